//! Network interfaces by the names and addresses that operators write.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};

use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::net::if_::{InterfaceFlags, if_nameindex, if_nametoindex};

/// No such interface on this machine, or not now.
#[derive(Debug, thiserror::Error)]
#[error("no interface is named or addressed \"{wanted}\"; this machine has: {present}")]
pub struct InterfaceError {
    wanted: String,
    present: String,
}

/// The kernel's index of an interface given by name (`eth0`) or by one of its addresses.
pub fn interface_index(wanted: &str) -> Result<u32, InterfaceError> {
    let by_address = || wanted.parse().ok().and_then(name_of_address);
    if let Ok(index) = if_nametoindex(wanted) {
        return Ok(index);
    }
    by_address()
        .and_then(|name| if_nametoindex(name.as_str()).ok())
        .ok_or_else(|| InterfaceError { wanted: wanted.to_owned(), present: present() })
}

/// Whether an interface has this index, or may have: where the kernel can not be asked now (no descriptor, no memory),
/// nothing has changed as far as anybody knows.
pub fn interface_is_there(index: u32) -> bool {
    if_nameindex().map_or(true, |all| all.iter().any(|interface| interface.index() == index))
}

/// The name of the interface with an index, while there is one.
pub fn interface_name(index: u32) -> Option<String> {
    let all = if_nameindex().ok()?;
    let named = all.iter().find(|interface| interface.index() == index)?;
    Some(named.name().to_string_lossy().into_owned())
}

/// What the kernel says of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// It is switched on.
    pub is_up: bool,
    /// Something is at the other end.
    pub has_carrier: bool,
    /// Groups can be joined there.
    pub takes_groups: bool,
    /// It leads nowhere but back.
    pub is_loopback: bool,
}

/// How the interface of a name is, while there is one.
pub fn link(name: &str) -> Option<Link> {
    let flags = getifaddrs().ok()?.find(|interface| interface.interface_name == name)?.flags;
    Some(Link {
        is_up: flags.contains(InterfaceFlags::IFF_UP),
        has_carrier: flags.contains(InterfaceFlags::IFF_RUNNING),
        takes_groups: flags.contains(InterfaceFlags::IFF_MULTICAST),
        is_loopback: flags.contains(InterfaceFlags::IFF_LOOPBACK),
    })
}

/// The addresses of an interface, those of IPv4 first.
pub fn interface_addresses(name: &str) -> Vec<IpAddr> {
    let all = getifaddrs().into_iter().flatten().filter(|interface| interface.interface_name == name);
    let mut addresses: Vec<_> = all.filter_map(|interface| ip_of(&interface)).collect();
    addresses.sort();
    addresses
}

fn ip_of(interface: &InterfaceAddress) -> Option<IpAddr> {
    let address = interface.address?;
    let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
}

/// An address by which others may reach this machine: the one that it speaks to the world from, else any that is not its own alone.
pub fn address_for_others() -> Option<IpAddr> {
    let is_for_others = |ip: &IpAddr| {
        let is_of_link = matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local());
        !ip.is_loopback() && !ip.is_unspecified() && !is_of_link
    };
    // Nothing is sent by that: the kernel only chooses where from it would be (192.0.2.0/24 is nobody's, RFC 5737).
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0));
    let chosen = socket.and_then(|socket| {
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
        socket.local_addr()
    });
    let chosen = chosen.ok().map(|address| address.ip()).filter(is_for_others);
    chosen.or_else(|| {
        let all = getifaddrs().into_iter().flatten().filter_map(|interface| ip_of(&interface));
        all.filter(is_for_others).min()
    })
}

/// Whether an address is one of this machine's.
pub fn is_of_this_machine(ip: IpAddr) -> bool {
    ip.is_loopback() || name_of_address(ip).is_some()
}

fn name_of_address(wanted: IpAddr) -> Option<String> {
    let addresses = getifaddrs().ok()?;
    let mut addresses = addresses.filter_map(|interface| {
        let ip = ip_of(&interface)?;
        Some((interface.interface_name, ip))
    });
    addresses.find(|(_, ip)| *ip == wanted).map(|(name, _)| name)
}

fn present() -> String {
    let mut names: Vec<_> =
        getifaddrs().map(|all| all.map(|each| each.interface_name).collect()).unwrap_or_default();
    names.sort();
    names.dedup();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_found_by_name_and_by_address() {
        let by_name = interface_index("lo").unwrap();
        assert_eq!(interface_index("127.0.0.1").unwrap(), by_name);
        assert!(interface_is_there(by_name));
        assert_eq!(interface_addresses("lo").first(), Some(&"127.0.0.1".parse().unwrap()));
        assert_eq!(interface_name(by_name).as_deref(), Some("lo"));
        assert_eq!(interface_name(0x7fff_0000), None);
        assert!(link("lo").is_some_and(|lo| lo.is_up && lo.has_carrier && lo.is_loopback));
        assert_eq!(link("nowhere7"), None);
        assert!(!interface_is_there(0x7fff_0000));
    }

    #[test]
    fn an_unknown_interface_is_answered_with_the_known_ones() {
        let error = interface_index("nowhere7").unwrap_err().to_string();
        assert!(error.contains("nowhere7") && error.contains("lo"), "{error}");
    }
}
