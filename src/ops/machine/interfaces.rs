//! The interfaces that groups are joined on, and left by: whether they are there, and up.

use std::collections::BTreeMap;

use crate::net::{Link, interface_index, link};

use super::super::config::{Config, Interface};
use super::finding::{Area, Finding, State};
use super::place::Place;
use super::receptions::{Reception, told_once, whose};

/// One finding for each, and for each reason why something is received nowhere.
pub fn look(config: &Config, receptions: &[Reception]) -> Vec<Finding> {
    let mut nowhere = Vec::new();
    let mut places = BTreeMap::<&str, (&Place, Vec<&Reception>)>::new();
    for reception in receptions {
        match &reception.place {
            Ok(place) if place.index == 0 => {}
            Ok(place) => {
                places.entry(&place.name).or_insert_with(|| (place, Vec::new())).1.push(reception);
            }
            Err(reason) => {
                nowhere.push((reception, format!("not received on this machine as it is now: {reason}")));
            }
        }
    }
    let nowhere = told_once(nowhere);
    let nowhere = nowhere.iter().map(|said| Finding::new(Area::Interface, "not found", State::Fail, said));
    let there =
        places.into_values().map(|(place, receptions)| of_link(place, link(&place.name), &receptions));
    nowhere.chain(there).chain(named_elsewhere(config)).collect()
}

fn of_link(place: &Place, link: Option<Link>, receptions: &[&Reception]) -> Finding {
    let (name, whose) = (&place.name, whose(receptions));
    let (state, said) = match link {
        Some(Link { is_up: false, .. }) => {
            (State::Fail, format!("down, so nothing is received for {whose}; ip link set {name} up"))
        }
        Some(Link { has_carrier: false, .. }) => (
            State::Fail,
            format!("no carrier, so nothing is received for {whose}; see the cable, or what it leads to"),
        ),
        Some(Link { takes_groups: false, is_loopback: false, .. }) => {
            (State::Warn, format!("takes no multicast, as {whose} would; ip link set {name} multicast on"))
        }
        _ => (State::Ok, there(place, &whose)),
    };
    Finding::new(Area::Interface, name, state, &said)
}

fn there(place: &Place, whose: &str) -> String {
    let addresses: Vec<_> = place.addresses.iter().map(ToString::to_string).collect();
    let has = if addresses.is_empty() { "no address".to_owned() } else { addresses.join(", ") };
    let by_route = if place.is_by_route { ", by route" } else { "" };
    format!("up, {has}: {whose}{by_route}")
}

/// Interfaces by which nothing is received yet, or only sent.
fn named_elsewhere(config: &Config) -> Vec<Finding> {
    let out = config.channels.iter().filter_map(|channel| {
        let interface = channel.multicast_out.as_ref()?.interface.as_ref()?;
        Some((format!("channel \"{}\" multicast_out_interface", channel.name), interface))
    });
    let of_directories = config.directories.iter().flat_map(|directory| {
        let settings = &directory.settings;
        let all = settings.interface.iter().chain(settings.interfaces.iter().flatten());
        all.map(|interface| (format!("channels of {}", directory.path.display()), interface))
    });
    let of_http =
        config.http.iter().filter_map(|http| Some(("[http] interface".to_owned(), http.interface.as_ref()?)));
    let missing = |(who, interface): (String, &Interface)| {
        let error = interface_index(&interface.to_string()).err()?;
        Some(Finding::new(Area::Interface, interface.to_string(), State::Fail, &format!("{who}: {error}")))
    };
    out.chain(of_directories).chain(of_http).filter_map(missing).collect()
}

#[cfg(test)]
mod tests {
    use super::super::receptions::receptions;
    use super::*;
    use std::path::Path;

    fn config(text: &str) -> Config {
        Config::parse(text, Path::new("a.toml")).expect("it works")
    }

    fn looked(text: &str) -> Vec<Finding> {
        let config = config(text);
        look(&config, &receptions(&config))
    }

    #[test]
    fn what_is_not_there_is_told_once_for_all() {
        let channel = |number| {
            format!(
                "[[channel]]\nname = \"n{number}\"\nsource = \"rtp://239.9.9.{number}:5004\"\ninterface = \"nowhere7\"\n"
            )
        };
        let text: String = (1..=7).map(channel).collect();
        let found = looked(&text);
        assert_eq!(found.len(), 1, "{found:?}");
        let all = "channel \"n1\", channel \"n2\", channel \"n3\", channel \"n4\", channel \"n5\" and 2 more: not received on this \
                   machine as it is now: ";
        assert_eq!(found[0].state, State::Fail);
        assert!(found[0].found.starts_with(all) && found[0].found.contains("nowhere7"), "{found:?}");
    }

    #[test]
    fn an_interface_that_nothing_is_received_on_yet_is_looked_for_too() {
        let found = looked(
            "[[channel]]\nname = \"news\"\nsource = \"rtp://239.9.9.1:5004\"\ninterface = \"lo\"\n\
             multicast_out = \"239.2.2.2:5000\"\nmulticast_out_interface = \"nowhere7\"\n",
        );
        let states: Vec<_> = found.iter().map(|found| (found.subject.as_str(), found.state)).collect();
        assert_eq!(states, [("lo", State::Ok), ("nowhere7", State::Fail)]);
        assert!(
            found[1].found.starts_with("channel \"news\" multicast_out_interface: no interface is named")
        );
    }

    #[test]
    fn an_interface_that_is_there_may_be_of_no_use() {
        let up = Link { is_up: true, has_carrier: true, takes_groups: true, is_loopback: false };
        let config =
            config("[[channel]]\nname = \"news\"\nsource = \"rtp://239.9.9.1:5004\"\ninterface = \"lo\"\n");
        let receptions = receptions(&config);
        let place = receptions[0].place.as_ref().expect("loopback is there");
        let told = |link| of_link(place, link, &[&receptions[0]]);
        for (link, state, part) in [
            (Some(up), State::Ok, "up, 127.0.0.1"),
            (None, State::Ok, "up, "),
            (Some(Link { is_up: false, ..up }), State::Fail, "down"),
            (Some(Link { has_carrier: false, ..up }), State::Fail, "no carrier"),
            (Some(Link { takes_groups: false, ..up }), State::Warn, "takes no multicast"),
            (Some(Link { takes_groups: false, is_loopback: true, ..up }), State::Ok, "up"),
        ] {
            let found = told(link);
            assert!(found.state == state && found.found.starts_with(part), "{found:?}");
        }
    }
}
