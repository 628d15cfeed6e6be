//! Where a group is joined, and what the kernel does there: the interface, its addresses, its protocol, its filters.

use std::fs;
use std::net::IpAddr;

use crate::net::{RouteAsker, interface_addresses, interface_index, interface_name};
use crate::ops::config::Interface;

/// An interface that groups are joined on.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its index; 0 where the kernel chooses and does not tell.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// The route to the group leads there; else it was named.
    pub is_by_route: bool,
}

impl Place {
    /// Where a group is to be joined.
    pub fn of(group: IpAddr, interface: Option<&Interface>) -> Result<Self, String> {
        if group.is_unspecified() {
            return Ok(Self { index: 0, name: "any".to_owned(), addresses: Vec::new(), is_by_route: false });
        }
        let own = Some(group).filter(|group| !group.is_multicast()).map(Interface::Address);
        let index = match own.as_ref().or(interface) {
            Some(named) => interface_index(&named.to_string()).map_err(|error| error.to_string())?,
            None => RouteAsker::default().interface_towards(group).map_err(|error| error.to_string())?,
        };
        let name = interface_name(index).unwrap_or_else(|| "the route's interface".to_owned());
        let addresses = interface_addresses(&name);
        Ok(Self { index, name, addresses, is_by_route: own.is_none() && interface.is_none() })
    }

    /// By which protocol its network is told of a group: of IPv4 what the querier there speaks, as far as one was heard, of IPv6
    /// what this machine is set to. Of an address nobody is told.
    pub fn protocol(&self, group: IpAddr) -> Option<&'static str> {
        if !group.is_multicast() {
            return None;
        }
        Some(if group.is_ipv6() { self.mld() } else { self.igmp() })
    }

    fn mld(&self) -> &'static str {
        let forced = fs::read_to_string(format!("/proc/sys/net/ipv6/conf/{}/force_mld_version", self.name));
        if forced.is_ok_and(|version| version.trim() == "1") { "MLDv1" } else { "MLDv2" }
    }

    fn igmp(&self) -> &'static str {
        let groups = fs::read_to_string("/proc/thread-self/net/igmp").unwrap_or_default();
        let version = groups.lines().find_map(|line| {
            let mut words = line.split_whitespace();
            let is_here = words.nth(1).is_some_and(|name| name.trim_end_matches(':') == self.name);
            words.last().filter(|_| is_here && line.starts_with(|first: char| first.is_ascii_digit()))
        });
        match version {
            Some("V1") => "IGMPv1",
            Some("V2") => "IGMPv2",
            _ => "IGMPv3",
        }
    }

    /// Whether the kernel drops what comes here from a sender that it would not answer by here.
    pub fn is_strict(&self) -> bool {
        let filter = |name: &str| {
            let text = fs::read_to_string(format!("/proc/sys/net/ipv4/conf/{name}/rp_filter")).ok();
            text.and_then(|text| text.trim().parse::<u8>().ok()).unwrap_or(0)
        };
        filter("all").max(filter(&self.name)) == 1
    }
}
