//! From which addresses a channel may be watched. Knows no user.

use std::net::IpAddr;

use ipnet::IpNet;

/// Lists of networks, of all channels or of one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks {
    /// Nobody but these; `None`: anybody.
    pub allow: Option<Vec<IpNet>>,
    /// None of these.
    pub deny: Vec<IpNet>,
}

impl Networks {
    /// Whether these lists, and what `own` has beside and in place of them, let an address in. What is denied anywhere is
    /// denied, so that one line bars a network for good; a channel's own `allow` takes the place of the general one, so
    /// that it may be for more than others are, or for fewer. An IPv4 address is one in IPv6's clothes too.
    pub(super) fn let_in(&self, own: Option<&Self>, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let holds = |networks: &[IpNet]| networks.iter().any(|network| network.contains(&address));
        let is_denied = holds(&self.deny) || own.is_some_and(|own| holds(&own.deny));
        let allow = own.and_then(|own| own.allow.as_ref()).or(self.allow.as_ref());
        !is_denied && allow.is_none_or(|allow| holds(allow))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(networks: &[&str]) -> Vec<IpNet> {
        networks.iter().map(|network| network.parse().expect("a network")).collect()
    }

    fn networks(allow: Option<&[&str]>, deny: &[&str]) -> Networks {
        Networks { allow: allow.map(list), deny: list(deny) }
    }

    #[track_caller]
    fn expect(general: &Networks, own: Option<&Networks>, address: &str, let_in: bool) {
        assert_eq!(general.let_in(own, address.parse().expect("an address")), let_in, "{address}");
    }

    #[test]
    fn without_lists_anybody_is_let_in() {
        expect(&Networks::default(), None, "192.0.2.1", true);
        expect(&Networks::default(), Some(&Networks::default()), "2001:db8::1", true);
    }

    #[test]
    fn what_is_denied_anywhere_is_denied() {
        let general = networks(Some(&["10.0.0.0/8"]), &["10.6.0.0/16"]);
        let own = networks(Some(&["10.0.0.0/8", "192.0.2.0/24"]), &["192.0.2.7/32"]);
        for (address, let_in) in [
            ("10.1.2.3", true),
            ("10.6.2.3", false),
            ("192.0.2.6", true),
            ("192.0.2.7", false),
            ("198.51.100.1", false),
        ] {
            expect(&general, Some(&own), address, let_in);
        }
    }

    #[test]
    fn a_channels_own_list_takes_the_place_of_the_general_one() {
        let general = networks(Some(&["10.0.0.0/8"]), &[]);
        expect(&general, None, "192.0.2.1", false);
        expect(&general, Some(&networks(Some(&["0.0.0.0/0"]), &[])), "192.0.2.1", true);
        let narrower = networks(Some(&["10.1.0.0/16"]), &[]);
        expect(&general, Some(&narrower), "10.1.0.1", true);
        expect(&general, Some(&narrower), "10.2.0.1", false);
        expect(&general, Some(&networks(None, &["10.2.0.0/16"])), "10.1.0.1", true);
        expect(&general, Some(&networks(Some(&[]), &[])), "10.1.0.1", false);
    }

    #[test]
    fn an_address_of_ipv4_is_one_however_it_is_written() {
        let general = networks(Some(&["192.0.2.0/24", "2001:db8::/32"]), &["192.0.2.7/32"]);
        for (address, let_in) in [
            ("::ffff:192.0.2.1", true),
            ("::ffff:192.0.2.7", false),
            ("::ffff:198.51.100.1", false),
            ("2001:db8:1::2", true),
            ("2001:db9::1", false),
        ] {
            expect(&general, None, address, let_in);
        }
        expect(&networks(Some(&["::/0"]), &[]), None, "192.0.2.1", false);
    }
}
