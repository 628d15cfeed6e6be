//! What on this machine, as it is now, is in the way of what a config wants to receive. It may be for another machine, or for
//! what is yet to be plugged in: nothing of this is an error.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::net::IpAddr;

use crate::ingest::{GROUPS_PER_SOCKET, no_renewals};
use crate::net::{Group, ReceiveSocket};
use crate::wire::sdp::Feed;
use crate::wire::source_filter::SourceFilter;

use super::super::config::{ChannelConfig, ChannelSettings, Config};
use super::super::names::list;
use super::place::Place;

/// Each with its remedy.
pub fn obstacles(config: &Config) -> Vec<String> {
    let limit = fs::read_to_string("/proc/sys/net/ipv4/igmp_max_memberships").ok();
    let limit = limit.and_then(|text| text.trim().parse().ok());
    let of_groups = limit.and_then(|limit| few_memberships(&config.channels, limit));
    let in_the_way = config.channels.iter().flat_map(of_channel);
    not_received(&config.channels).into_iter().chain(in_the_way).chain(of_groups).collect()
}

/// Why channels would not be received now, each reason once.
fn not_received(channels: &[ChannelConfig]) -> Vec<String> {
    let mut reasons = BTreeMap::<String, Vec<&str>>::new();
    for channel in channels {
        for (feed, interface) in channel.feeds() {
            let reason = match Place::of(feed.group, interface) {
                Ok(place) => held_port(feed, place.index),
                Err(error) => Some(error),
            };
            let Some(reason) = reason else { continue };
            let told = reasons.entry(reason).or_default();
            if told.last() != Some(&channel.name.as_str()) {
                told.push(&channel.name);
            }
        }
    }
    let told = reasons.into_iter().map(|(reason, names)| {
        let names: Vec<_> = names.into_iter().map(|name| format!("\"{name}\"")).collect();
        let named = list(&names, MOST_NAMED);
        format!("channel {named}: not received on this machine as it is now: {reason}")
    });
    told.collect()
}

/// Of many channels that share a reason so many are named.
const MOST_NAMED: usize = 5;

/// Whether another program has the port for itself alone. Nothing is taken from one that shares it.
fn held_port(feed: &Feed, interface: u32) -> Option<String> {
    let group = Group { address: feed.group, source: None, except: Vec::new(), interface };
    let error = ReceiveSocket::bind_beside_others(feed.port, &group).err()?;
    let whose = if feed.group.is_multicast() { "" } else { ", unless it is this one, which runs" };
    (error.kind() == ErrorKind::AddrInUse)
        .then(|| format!("another program has UDP port {} (`ss -lunp` tells which){whose}", feed.port))
}

/// Of those that name from whom they take what comes, or want networks to be told again.
fn of_channel(channel: &ChannelConfig) -> BTreeSet<String> {
    let ChannelSettings { renew, .. } = &channel.settings;
    let is_concerned = |feed: &Feed| feed.filter != SourceFilter::Any || renew.is_some();
    let concerned = channel.feeds().filter(|(feed, _)| is_concerned(feed));
    let found = concerned.filter_map(|(feed, interface)| {
        let place = Place::of(feed.group, interface).ok()?;
        let protocol = place.protocol(feed.group).filter(|_| renew.is_some());
        let renewals = protocol.and_then(|protocol| no_renewals(protocol, &place.name));
        Some(place.in_the_way(feed.group, &feed.filter).into_iter().chain(renewals))
    });
    found.flatten().map(|told| format!("channel \"{}\": {told}", channel.name)).collect()
}

/// Whether the groups of a port take more sockets than they would.
fn few_memberships(channels: &[ChannelConfig], limit: usize) -> Option<String> {
    let mut ports = BTreeMap::<u16, BTreeSet<IpAddr>>::new();
    for (feed, _) in channels.iter().flat_map(ChannelConfig::feeds) {
        if feed.group.is_multicast() && feed.group.is_ipv4() {
            ports.entry(feed.port).or_default().insert(feed.group);
        }
    }
    let (port, groups) = ports.into_iter().max_by_key(|(_, groups)| groups.len())?;
    let (groups, enough) = (groups.len(), GROUPS_PER_SOCKET);
    (limit < enough && groups > limit).then(|| {
        format!(
            "{groups} groups of port {port} take a socket for each {limit} of them, and not for each {enough}; set sysctl \
             net.ipv4.igmp_max_memberships=1024"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn config(count: usize) -> Config {
        let channel =
            |number| format!("[[channel]]\nname = \"n{number}\"\nsource = \"rtp://239.9.9.{number}:5004\"\n");
        let text: String = (1..=count).map(channel).collect();
        Config::parse(&text, Path::new("a.toml")).expect("it works")
    }

    #[test]
    fn a_low_limit_of_memberships_is_told_where_it_is_met() {
        let told = |count, limit| few_memberships(&config(count).channels, limit);
        assert_eq!([told(20, 20), told(100, 1024), told(0, 20)], [const { None }; 3]);
        let remedy = told(21, 20).expect("it is met");
        assert!(remedy.starts_with("21 groups of port 5004 take a socket for each 20 of them"), "{remedy}");
    }

    #[test]
    fn what_is_not_there_is_told_once_for_all() {
        let channel = |number| {
            format!(
                "[[channel]]\nname = \"n{number}\"\nsource = \"rtp://239.9.9.{number}:5004\"\ninterface = \"nowhere7\"\n"
            )
        };
        let text: String = (1..=7).map(channel).collect();
        let config = Config::parse(&text, Path::new("a.toml")).expect("it works");
        let told = not_received(&config.channels);
        assert_eq!(told.len(), 1, "{told:?}");
        let all = "channel \"n1\", \"n2\", \"n3\", \"n4\", \"n5\" and 2 more: not received on this machine as it is now: ";
        assert!(told[0].starts_with(all) && told[0].contains("nowhere7"), "{}", told[0]);
    }

    #[test]
    fn a_port_that_another_program_has_is_told() {
        let taken = std::net::UdpSocket::bind("0.0.0.0:0").expect("a port");
        let port = taken.local_addr().expect("bound").port();
        let text = format!(
            "[[channel]]\nname = \"news\"\nsource = \"rtp://239.9.9.1:{port}\"\ninterface = \"lo\"\n\
             [[channel]]\nname = \"own\"\nsource = \"udp://127.0.0.1:{port}\"\n"
        );
        let config = Config::parse(&text, Path::new("a.toml")).expect("it works");
        let told = not_received(&config.channels);
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(
            told.iter().all(|told| told.contains(&format!("another program has UDP port {port}"))),
            "{told:?}"
        );
        drop(taken);
        assert_eq!(not_received(&config.channels).len(), 0);
    }

    #[test]
    fn of_an_interface_that_is_not_there_nothing_more_is_said() {
        let text = "[[channel]]\nname = \"news\"\nsource = \"rtp://10.0.0.7@232.9.9.1:5004\"\ninterface = \"nowhere7\"\n";
        let config = Config::parse(text, Path::new("a.toml")).expect("it works");
        assert_eq!(of_channel(&config.channels[0]), BTreeSet::new());
    }
}
