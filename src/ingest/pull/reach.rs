//! From where an address can be reached: a server that leads elsewhere leads into no network that it is not in itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// From anywhere.
    World,
    /// From within a site: RFC 1918, RFC 4193.
    Site,
    /// From within a provider's network: RFC 6598.
    Provider,
    Link,
    Machine,
    /// No one host.
    Nowhere,
}

/// Whether a server at an address may lead to another one. `is_ours` tells addresses of this machine.
pub(super) fn may_lead(from: IpAddr, to: IpAddr, is_ours: impl Fn(IpAddr) -> bool) -> bool {
    let reach = |ip: IpAddr| {
        let ip = plain(ip);
        if ip.is_loopback() || is_ours(ip) { Reach::Machine } else { reach(ip) }
    };
    let to = reach(to);
    to == Reach::World || to != Reach::Nowhere && to == reach(from)
}

/// The address of IPv4 that an address of IPv6 stands for.
fn plain(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip.to_canonical() else { return ip.to_canonical() };
    let [a, b, c, d, e, f, high, low] = v6.segments();
    let v4 = |high: u16, low: u16| IpAddr::V4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    match [a, b, c, d, e, f] {
        [0, 0, 0, 0, 0, 0] if high > 0 => v4(high, low),
        [0x64, 0xff9b, 0, 0, 0, 0] => v4(high, low), // NAT64
        [0x2002, ..] => v4(b, c),                    // 6to4
        _ => IpAddr::V6(v6),
    }
}

fn reach(ip: IpAddr) -> Reach {
    match ip {
        IpAddr::V4(v4) => reach_of_v4(v4),
        IpAddr::V6(v6) => reach_of_v6(v6),
    }
}

fn reach_of_v4(v4: Ipv4Addr) -> Reach {
    match v4.octets() {
        [0 | 224..=255, ..] => Reach::Nowhere,
        [100, 64..128, ..] => Reach::Provider,
        _ if v4.is_private() => Reach::Site,
        _ if v4.is_link_local() => Reach::Link,
        _ => Reach::World,
    }
}

fn reach_of_v6(v6: Ipv6Addr) -> Reach {
    let is_of_site = v6.is_unique_local() || v6.segments()[0] & 0xffc0 == 0xfec0;
    match v6 {
        _ if v6.is_unspecified() || v6.is_multicast() => Reach::Nowhere,
        _ if v6.is_unicast_link_local() => Reach::Link,
        _ if is_of_site => Reach::Site,
        _ => Reach::World,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leads(from: &str, to: &str) -> bool {
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        may_lead(ip(from), ip(to), |any| any == ip("198.51.100.1"))
    }

    #[test]
    fn who_is_in_the_world_leads_into_no_network() {
        for to in [
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "10.0.0.1",
            "172.31.0.1",
            "192.168.9.9",
            "::ffff:10.0.0.1",
            "fd00::1",
            "fec0::1",
            "100.64.0.1",
            "100.127.255.255",
            "169.254.169.254",
            "fe80::1",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "239.1.2.3",
            "ff02::1",
            "255.255.255.255",
            "198.51.100.1",
        ] {
            assert!(!leads("203.0.113.1", to), "{to}");
        }
        for to in ["203.0.113.2", "100.63.0.1", "100.128.0.1", "172.32.0.1", "2001:db8::1", "::ffff:8.8.8.8"]
        {
            assert!(
                ["203.0.113.1", "127.0.0.1", "10.0.0.1", "fe80::1"].iter().all(|from| leads(from, to)),
                "{to}"
            );
        }
    }

    #[test]
    fn who_is_in_a_network_leads_about_in_it() {
        for (from, to) in [
            ("10.0.0.1", "10.0.0.2"),
            ("10.0.0.1", "fd00::1"),
            ("127.0.0.1", "::1"),
            ("127.0.0.1", "198.51.100.1"),
            ("fe80::1", "169.254.1.1"),
            ("100.64.0.1", "100.65.0.1"),
        ] {
            assert!(leads(from, to), "{from} to {to}");
        }
        for (from, to) in [
            ("10.0.0.1", "127.0.0.1"),
            ("100.64.0.1", "10.0.0.1"),
            ("127.0.0.1", "10.0.0.1"),
            ("0.0.0.0", "::"),
        ] {
            assert!(!leads(from, to), "{from} to {to}");
        }
    }
}
