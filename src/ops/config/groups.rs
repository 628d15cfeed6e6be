//! Which groups can be received at all, and which are for something else than media.

use std::net::IpAddr;

use super::truth_channel::Interface;
use crate::wire::sdp::is_source_specific;
use crate::wire::source_filter::SourceFilter;

/// What is to be said of a group.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Remark {
    /// Nothing could be received.
    Wrong(String),
    /// It works, but worse than another group would.
    Worse(String),
}

/// What is to be said of joining `group`, of these senders, on `interface`.
pub(crate) fn remark(group: IpAddr, filter: &SourceFilter, interface: Option<&Interface>) -> Option<Remark> {
    let of_a_link = |host: &&IpAddr| matches!(host, IpAddr::V6(host) if host.is_unicast_link_local());
    let mut hosts = filter.named().iter().chain(filter.excluded());
    if let Some(link_local) = hosts.find(of_a_link).filter(|_| interface.is_none()) {
        let remedy = "name its interface, such as interface = \"eth0\"";
        return Some(Remark::Wrong(format!("source {link_local} is one of each link; {remedy}")));
    }
    if !group.is_multicast() {
        return None;
    }
    match group {
        // It works within one network, and there is somebody who does so: no reason to keep them from it.
        IpAddr::V4(v4) if v4.octets()[..3] == [224, 0, 0] => Some(Remark::Worse(format!(
            "{group} is of the block for the network's own protocols (224.0.0.0/24, RFC 5771): no router passes it \
             on, and switches send it to every port; let the source send to a group from 239.0.0.0 on"
        ))),
        IpAddr::V6(v6) => scoped(v6.segments()[0] & 0xf, group, interface),
        IpAddr::V4(_) => None,
    }
    .or_else(|| {
        let is_lost = filter.named().is_empty() && is_source_specific(group);
        is_lost.then(|| {
            Remark::Worse(format!(
                "{group} is for a source that is named (RFC 4607), and routers join it with one alone; name the \
                 sender in front of an @"
            ))
        })
    })
}

/// By how far a group reaches (RFC 4291 section 2.7).
fn scoped(scope: u16, group: IpAddr, interface: Option<&Interface>) -> Option<Remark> {
    match (scope, interface) {
        (0, _) => Some(Remark::Wrong(format!(
            "{group} is of scope 0, which nothing is sent to (RFC 4291); write a group such as ff15::1"
        ))),
        (1, Some(Interface::Name(name))) if name == "lo" => None,
        (1, Some(Interface::Address(address))) if address.is_loopback() => None,
        (1, _) => Some(Remark::Wrong(format!(
            "{group} never leaves a machine (RFC 4291), so it is joined on interface = \"lo\" alone; for another \
             sender write a group such as ff15::1"
        ))),
        (2, None) => Some(Remark::Wrong(format!(
            "{group} is one of each link (RFC 4291); say which one with interface = \"eth0\", or [{group}%eth0]"
        ))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(group: &str, source: Option<&str>, interface: Option<&str>) -> Option<Remark> {
        let address = |text: &str| text.parse().expect("an address");
        let interface = interface.map(|name| Interface::Name(name.to_owned()));
        remark(address(group), &source.map(address).into(), interface.as_ref())
    }

    #[test]
    fn what_can_not_be_received_is_wrong() {
        for (group, source, interface, says) in [
            ("ff02::1", None, None, "[ff02::1%eth0]"),
            ("ff12::9", None, None, "interface = \"eth0\""),
            ("ff01::1", None, Some("eth0"), "interface = \"lo\""),
            ("ff01::1", None, None, "interface = \"lo\""),
            ("ff10::1", None, Some("eth0"), "scope 0"),
            ("ff3e::1", Some("fe80::7"), None, "source fe80::7 is one of each link"),
        ] {
            let Some(Remark::Wrong(told)) = of(group, source, interface) else { panic!("{group} is right") };
            assert!(told.contains(says), "{told}");
        }
        for (group, source, interface) in [
            ("ff02::1", None, Some("eth0")),
            ("ff01::1", None, Some("lo")),
            ("ff15::1", None, None),
            ("ff3e::1", Some("fe80::7"), Some("eth0")),
            ("239.255.255.255", None, None),
            ("224.0.1.0", None, None),
            ("232.1.1.1", Some("10.0.0.1"), None),
        ] {
            assert_eq!(of(group, source, interface), None, "{group}");
        }
    }

    #[test]
    fn what_is_for_something_else_is_worse() {
        for (group, says) in [
            ("224.0.0.1", "RFC 5771"),
            ("224.0.0.251", "from 239.0.0.0 on"),
            ("232.1.1.1", "in front of an @"),
            ("ff3e::1", "RFC 4607"),
        ] {
            let Some(Remark::Worse(told)) = of(group, None, None) else { panic!("{group} is not told of") };
            assert!(told.contains(says), "{told}");
        }
    }
}
