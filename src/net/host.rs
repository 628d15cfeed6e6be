//! Which addresses are counted as one host.

use std::net::{IpAddr, Ipv6Addr};

/// A host has a whole /64 of IPv6 to itself (RFC 6177), so the network is what is counted; but on a link all share one.
pub fn counted_as(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(v6) if !v6.is_unicast_link_local() => {
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("right")
    }

    #[test]
    fn who_counts_as_one() {
        for (client, counted) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8:0:1::1", "2001:db8:0:1::"),
            ("2001:db8:0:1:ffff::9", "2001:db8:0:1::"),
            ("2001:db8:0:2::1", "2001:db8:0:2::"),
            ("fe80::1:2", "fe80::1:2"),
        ] {
            assert_eq!(counted_as(ip(client)), ip(counted), "{client}");
        }
    }
}
