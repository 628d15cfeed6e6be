//! What is in the way of a group at an interface, of all that this machine can know: in words, with the remedy.

use std::net::IpAddr;

use crate::net::{GroupProtocol, RouteAsker, RouteError, reverse_path_filter};
use crate::wire::source_filter::SourceFilter;

/// What keeps what is sent to a group, or to an address of this machine, from those who name whom they want.
#[must_use]
pub fn in_the_way(index: u32, name: &str, group: IpAddr, filter: &SourceFilter) -> Vec<String> {
    let mut found = Vec::new();
    if group.is_multicast() && *filter != SourceFilter::Any {
        found.extend(no_sources(GroupProtocol::of(index, name, group.is_ipv4()), name));
    }
    found.extend(dropped_on_the_way(index, name, filter));
    found
}

/// Whom of those that are named the reverse-path filter keeps away.
#[must_use]
pub fn dropped_on_the_way(index: u32, name: &str, filter: &SourceFilter) -> Vec<String> {
    if index == 0 {
        return Vec::new();
    }
    let mut routes = RouteAsker::default();
    let ways = filter.named().iter().filter(|source| source.is_ipv4()).filter_map(|source| {
        let way = match routes.interface_towards(*source) {
            Ok(0) | Err(RouteError::NotAsked(..)) => return None,
            Ok(way) => Some(way),
            Err(RouteError::NoRoute { .. }) => None,
        };
        no_way_back(*source, way, index, name, reverse_path_filter(name))
    });
    ways.collect()
}

/// What may keep it, where nothing comes and nobody knows from whom it would.
#[must_use]
pub fn perhaps_in_the_way(name: &str, group: IpAddr, filter: &SourceFilter) -> Option<String> {
    let is_strict = group.is_ipv4() && filter.named().is_empty() && reverse_path_filter(name) == 1;
    let remedy = || format!("set sysctl net.ipv4.conf.{}.rp_filter=2", name.replace('.', "/"));
    is_strict.then(|| {
        format!("rp_filter is 1 on {name}: senders that {name} is not the way to are dropped; {}", remedy())
    })
}

/// Where a network is told of groups alone.
#[must_use]
pub fn no_sources(protocol: GroupProtocol, name: &str) -> Option<String> {
    if protocol.tells_sources() {
        return None;
    }
    let remedy = remedy(protocol, name);
    Some(format!(
        "{name} speaks {protocol}, so the network is told of the group and of no source, and passes nothing of groups that \
         are for named sources (232.0.0.0/8); {remedy}"
    ))
}

/// Where a network can not be told of a group again without leaving it.
#[must_use]
pub fn no_renewals(protocol: GroupProtocol, name: &str) -> Option<String> {
    (!protocol.tells_sources()).then(|| {
        format!(
            "renew does nothing on {name}, which speaks {protocol}: by that a network is told of a group again only by who leaves \
             it; {}",
            remedy(protocol, name)
        )
    })
}

/// How it speaks a newer one.
fn remedy(protocol: GroupProtocol, name: &str) -> String {
    match protocol.forced_by(name) {
        Some(setting) => format!("this machine is set so; set sysctl {setting}=0"),
        None => "a querier there speaks it: have it speak IGMPv3".to_owned(),
    }
}

/// Whether the reverse-path filter drops what a source sends: `way` is the interface by which it would be answered, if by any.
fn no_way_back(source: IpAddr, way: Option<u32>, index: u32, name: &str, filter: u8) -> Option<String> {
    let (how, loose) = match (filter, way) {
        (0, _) | (2.., Some(_)) => return None,
        (1, Some(way)) if way == index => return None,
        (_, Some(_)) => ("the way to it is by another interface", 2),
        (_, None) => ("no route leads to it", 0),
    };
    let setting = format!("net.ipv4.conf.{}.rp_filter", name.replace('.', "/"));
    let all = if loose == 0 { " and net.ipv4.conf.all.rp_filter=0" } else { "" };
    Some(format!(
        "rp_filter is {filter} on {name}: what {source} sends is dropped, for {how}; set sysctl {setting}={loose}{all}, or \
         add a route to it by {name}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reverse_path_filter_is_in_the_way_where_a_sender_is_elsewhere() {
        let source = IpAddr::from([10, 0, 0, 7]);
        let told = |way, filter| no_way_back(source, way, 3, "eth1.5", filter);
        assert_eq!(
            [told(Some(3), 1), told(Some(4), 0), told(Some(4), 2), told(None, 0)],
            [const { None }; 4]
        );
        let elsewhere = told(Some(4), 1).expect("it is dropped");
        assert!(elsewhere.contains("what 10.0.0.7 sends is dropped, for the way to it is by another"));
        assert!(elsewhere.contains("set sysctl net.ipv4.conf.eth1/5.rp_filter=2, or"), "{elsewhere}");
        let nowhere = told(None, 2).expect("it is dropped");
        assert!(nowhere.contains("eth1/5.rp_filter=0 and net.ipv4.conf.all.rp_filter=0"), "{nowhere}");
    }

    #[test]
    fn an_old_protocol_is_in_the_way_of_named_sources_and_of_renewals() {
        for protocol in [GroupProtocol::Igmp(3), GroupProtocol::Mld(2)] {
            assert_eq!([no_sources(protocol, "nowhere7"), no_renewals(protocol, "nowhere7")], [None, None]);
        }
        assert!(no_renewals(GroupProtocol::Mld(1), "nowhere7").is_some());
        let told = no_sources(GroupProtocol::Igmp(2), "nowhere7").expect("it is in the way");
        assert!(told.contains("speaks IGMPv2") && told.ends_with("have it speak IGMPv3"), "{told}");
    }
}
