//! Who asks a network for its groups: without anybody switches forget them after some minutes. The kernel keeps little of what it
//! has heard, and listening for it would take minutes and privileges: what is not known is told as such.

use std::collections::BTreeMap;
use std::fs;

use crate::ingest::{no_renewals, no_sources};
use crate::net::{GroupProtocol, link};
use crate::wire::source_filter::SourceFilter;

use super::finding::{Area, Finding, State};
use super::place::Place;
use super::receptions::{Reception, told_once};

/// A finding for each interface and family, and for what the protocol there keeps from somebody.
pub fn look(receptions: &[Reception]) -> Vec<Finding> {
    let mut networks = BTreeMap::<(&str, bool), (&Place, Vec<&Reception>)>::new();
    for reception in receptions.iter().filter(|reception| reception.group.is_multicast()) {
        if let Ok(place) = &reception.place {
            let network = networks.entry((&place.name, !reception.group.is_ipv4()));
            network.or_insert_with(|| (place, Vec::new())).1.push(reception);
        }
    }
    let of_network = |((name, is_ipv6), (place, receptions)): ((&str, bool), (&Place, Vec<&Reception>))| {
        let protocol = GroupProtocol::of(place.index, name, !is_ipv6);
        let signs = Signs::of(name, protocol, &receptions);
        let (state, said) = signs.verdict(protocol);
        let about = Finding::new(Area::Querier, format!("{name} {}", protocol.name()), state, &said);
        std::iter::once(about).chain(in_the_way(name, protocol, &receptions))
    };
    networks.into_iter().flat_map(of_network).collect()
}

/// What can be known at once.
#[derive(Debug, Clone, Copy, Default)]
struct Signs {
    /// Nobody else is on the network.
    is_loopback: bool,
    /// A bridge of this machine, which asks itself.
    asks_itself: bool,
    /// The protocol is one of the machine's settings.
    is_forced: bool,
    /// All groups are told to the network whether or not it asks.
    is_renewed: bool,
    /// Queries of MLD since the interface is there. Of IGMP nobody counts.
    queries: u64,
}

impl Signs {
    fn of(name: &str, protocol: GroupProtocol, receptions: &[&Reception]) -> Self {
        let bridge = fs::read_to_string(format!("/sys/class/net/{name}/bridge/multicast_querier"));
        let counters = match protocol {
            GroupProtocol::Igmp(_) => String::new(),
            GroupProtocol::Mld(_) => {
                fs::read_to_string(format!("/proc/thread-self/net/dev_snmp6/{name}")).unwrap_or_default()
            }
        };
        Self {
            is_loopback: link(name).is_some_and(|link| link.is_loopback),
            asks_itself: bridge.is_ok_and(|text| text.trim() == "1"),
            is_forced: protocol.forced_by(name).is_some(),
            is_renewed: receptions.iter().all(|reception| reception.renew.is_some()),
            queries: mld_queries(&counters),
        }
    }

    fn verdict(&self, protocol: GroupProtocol) -> (State, String) {
        match self {
            Self { is_loopback: true, .. } => {
                (State::Ok, "not needed: nobody else is on this network".to_owned())
            }
            Self { asks_itself: true, .. } => (State::Ok, "this machine's bridge asks itself".to_owned()),
            Self { queries: 1.., .. } => (State::Ok, format!("heard, {} times", self.queries)),
            // Only an older one makes the kernel speak so.
            Self { is_forced: false, .. } if protocol.is_older_igmp() => {
                (State::Ok, format!("heard, and it speaks {protocol}"))
            }
            Self { is_renewed: true, .. } => {
                (State::Ok, "not needed: the network is told of the groups by renew".to_owned())
            }
            _ => (
                State::Note,
                format!(
                    "not known: the kernel, which speaks {protocol} there, does not tell whether anybody asks; if channels stop \
                     some minutes after they began, nobody does: turn on a querier in that network, or set renew"
                ),
            ),
        }
    }
}

/// Queries that an interface has had, in the kernel's counters of IPv6.
fn mld_queries(counters: &str) -> u64 {
    let row = counters.lines().find_map(|line| line.strip_prefix("Icmp6InGroupMembQueries"));
    row.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

/// What the protocol keeps from those who name their senders, or want the network to be told again.
fn in_the_way(name: &str, protocol: GroupProtocol, receptions: &[&Reception]) -> Vec<Finding> {
    let told = receptions.iter().flat_map(|reception| {
        let names_sources = reception.filter != SourceFilter::Any;
        let of_sources = names_sources.then(|| no_sources(protocol, name)).flatten();
        let of_renewals = reception.renew.and_then(|_| no_renewals(protocol, name));
        of_sources.into_iter().chain(of_renewals).map(|reason| (*reception, reason))
    });
    let subject = format!("{name} {}", protocol.name());
    let found = |said: &String| Finding::new(Area::Querier, &subject, State::Warn, said);
    told_once(told).iter().map(found).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_a_querier_is_told_and_what_is_not_as_well() {
        let (igmp, older, mld) = (GroupProtocol::Igmp(3), GroupProtocol::Igmp(2), GroupProtocol::Mld(2));
        let none = Signs::default();
        for (signs, protocol, state, part) in [
            (none, igmp, State::Note, "not known: the kernel, which speaks IGMPv3"),
            (none, mld, State::Note, "not known"),
            (none, older, State::Ok, "heard, and it speaks IGMPv2"),
            (Signs { is_forced: true, ..none }, older, State::Note, "not known"),
            (Signs { queries: 7, ..none }, mld, State::Ok, "heard, 7 times"),
            (Signs { is_loopback: true, ..none }, igmp, State::Ok, "not needed"),
            (Signs { is_renewed: true, ..none }, igmp, State::Ok, "not needed"),
            (Signs { asks_itself: true, ..none }, igmp, State::Ok, "this machine's bridge"),
        ] {
            let (told, said) = signs.verdict(protocol);
            assert!(told == state && said.starts_with(part), "{signs:?}, {protocol}: {said}");
        }
    }

    #[test]
    fn queries_are_read_from_the_kernels_counters() {
        let counters = "ifIndex                         \t2\nIcmp6InGroupMembQueries         \t41\nIcmp6InGroupMembResponses\t3\n";
        assert_eq!([mld_queries(counters), mld_queries("")], [41, 0]);
    }
}
