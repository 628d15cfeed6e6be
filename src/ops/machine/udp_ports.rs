//! UDP ports: those that media leaves from, and those that it comes to. Of the first none is bound here, for the program that runs may
//! be about to.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{Ipv6Addr, SocketAddr};

use crate::net::{Group, ReceiveSocket};

use super::super::config::{Config, UdpPorts};
use super::finding::{Area, Finding, State};
use super::holders::{Holder, Holders, Transport};
use super::listening::taken;
use super::receptions::{Reception, whose};

/// A finding for the pairs, and one for the ports of sources, or for each that is taken.
pub fn look(config: &Config, receptions: &[Reception], holders: &Holders) -> Vec<Finding> {
    let pairs = of_pairs(config.rtsp.udp_ports, |at| holders.of(Transport::Udp, at));
    std::iter::once(pairs).chain(of_sources(receptions, holders)).collect()
}

fn of_pairs(ports: UdpPorts, holder: impl Fn(SocketAddr) -> Option<Holder>) -> Finding {
    let new = |subject: String, state, said: &str| Finding::new(Area::Port, subject, state, said);
    let UdpPorts::Range { first, last } = ports else {
        return new("UDP".to_owned(), State::Ok, "any free pairs, for [rtsp] udp_ports");
    };
    let of_others = |port: u16| match holder((Ipv6Addr::UNSPECIFIED, port).into()) {
        None | Some(Holder::Itself { .. }) => None,
        Some(other) => Some(format!("UDP port {port} is taken by {other}")),
    };
    let pairs = ports.rtp_ports().count();
    let lost: Vec<_> =
        ports.rtp_ports().filter_map(|rtp| of_others(rtp).or_else(|| of_others(rtp + 1))).collect();
    let subject = format!("UDP {first}-{last}");
    match lost.first() {
        None => {
            new(subject, State::Ok, &format!("{pairs} pairs, taken by nobody else, for [rtsp] udp_ports"))
        }
        Some(one) => {
            let state = if lost.len() == pairs { State::Fail } else { State::Warn };
            let said = format!(
                "{} of {pairs} pairs serve nobody: {one}; `sudo ss -lunp` tells all: end them, or write other ports in [rtsp] \
                 udp_ports",
                lost.len()
            );
            new(subject, state, &said)
        }
    }
}

fn of_sources(receptions: &[Reception], holders: &Holders) -> Vec<Finding> {
    let mut ports = BTreeMap::<SocketAddr, Vec<&Reception>>::new();
    for reception in receptions.iter().filter(|reception| is_kept_from(reception)) {
        ports.entry(SocketAddr::new(reception.group, reception.port)).or_default().push(reception);
    }
    let found = ports.into_iter().map(|(at, receptions)| {
        let (state, said) =
            taken(holders.of(Transport::Udp, at), "ss -lunp", "the source's URL, and at the source");
        Finding::new(Area::Port, format!("UDP {at}"), state, &format!("{}: {said}", whose(&receptions)))
    });
    let found: Vec<_> = found.collect();
    if found.is_empty() && !receptions.is_empty() {
        let said = "all that channels are received on are free, or shared";
        return vec![Finding::new(Area::Port, "UDP of sources", State::Ok, said)];
    }
    found
}

/// Whether another program has the port for itself alone. Nothing is taken from one that shares it.
fn is_kept_from(reception: &Reception) -> bool {
    let Ok(place) = &reception.place else { return false };
    let group = Group { address: reception.group, source: None, except: Vec::new(), interface: place.index };
    let tried = ReceiveSocket::bind_beside_others(reception.port, &group);
    tried.is_err_and(|error| error.kind() == ErrorKind::AddrInUse)
}

#[cfg(test)]
mod tests {
    use super::super::receptions::receptions;
    use super::*;
    use std::path::Path;

    #[test]
    fn a_source_port_that_another_program_has_is_told() {
        let taken = std::net::UdpSocket::bind("0.0.0.0:0").expect("a port");
        let port = taken.local_addr().expect("bound").port();
        let text = format!(
            "[[channel]]\nname = \"news\"\nsource = \"rtp://239.9.9.1:{port}\"\ninterface = \"lo\"\n\
             [[channel]]\nname = \"own\"\nsource = \"udp://127.0.0.1:{port}\"\n"
        );
        let receptions = receptions(&Config::parse(&text, Path::new("a.toml")).expect("it works"));
        let look = || of_sources(&receptions, &Holders::now());
        let found = look();
        assert_eq!(found.iter().map(|found| found.state).collect::<Vec<_>>(), [State::Fail; 2], "{found:?}");
        let pid = format!("(pid {})", std::process::id());
        assert!(found.iter().all(|found| found.found.contains(&pid)), "{found:?}");
        assert!(found.iter().any(|found| found.found.starts_with("channel \"own\": taken by")), "{found:?}");
        drop(taken);
        let free = look();
        assert_eq!(free.iter().map(|found| found.state).collect::<Vec<_>>(), [State::Ok], "{free:?}");
    }

    #[test]
    fn pairs_that_others_have_serve_nobody() {
        let range = UdpPorts::Range { first: 6970, last: 6973 };
        let told = |ports: UdpPorts, others: &[u16]| {
            let other = || Some(Holder::Other { name: "dnsmasq".into(), pid: 7 });
            of_pairs(ports, |at| others.contains(&at.port()).then(other).flatten())
        };
        assert_eq!(told(range, &[]).state, State::Ok);
        let one = told(range, &[6971]);
        assert!(
            one.found.starts_with("1 of 2 pairs serve nobody: UDP port 6971 is taken by dnsmasq"),
            "{one:?}"
        );
        assert_eq!([one.state, told(range, &[6970, 6973]).state], [State::Warn, State::Fail]);
        assert_eq!(of_pairs(range, |_| Some(Holder::Itself { pid: 7 })).state, State::Ok);
        assert_eq!(told(UdpPorts::Any, &[6970]).state, State::Ok);
    }
}
