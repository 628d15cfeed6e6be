//! Where a group is joined: the interface, its addresses, and what is in the way there.

use std::net::IpAddr;

use super::super::config::Interface;
use crate::ingest::in_the_way;
use crate::net::{GroupProtocol, RouteAsker, interface_addresses, interface_index, interface_name};
use crate::wire::source_filter::SourceFilter;

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

    /// By which protocol its network is told of a group. Of an address nobody is told.
    pub fn protocol(&self, group: IpAddr) -> Option<GroupProtocol> {
        group.is_multicast().then(|| GroupProtocol::of(self.index, &self.name, group.is_ipv4()))
    }

    /// What is in the way there of what is sent to a group, each with its remedy.
    pub fn in_the_way(&self, group: IpAddr, filter: &SourceFilter) -> Vec<String> {
        in_the_way(self.index, &self.name, group, filter)
    }
}
