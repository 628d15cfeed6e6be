//! Where the hosts of one journey are, as far as that is known: what their names led to last, and where they were reached.

use std::net::IpAddr;

use super::names::Found;

/// Hosts that are remembered: that of the config, and those that a server may lead to in a row.
const MOST: usize = 6;

/// The hosts, the first of them being that of the config.
#[derive(Default)]
pub(super) struct Whereabouts(Vec<Host>);

struct Host {
    name: String,
    /// In the order in which they are tried.
    addresses: Vec<IpAddr>,
    tries: usize,
    /// An answer that took too long to be waited for, and may come yet.
    late: Option<Found>,
}

impl Whereabouts {
    /// Whether a host was somewhere before.
    pub fn knows(&self, host: &str) -> bool {
        self.0.iter().any(|known| known.name == host)
    }

    /// What a name has led to. Where it was reached last is tried first, if it is still there.
    pub fn learn(&mut self, host: &str, found: Vec<IpAddr>) {
        let Some(known) = self.0.iter_mut().find(|known| known.name == host) else {
            if self.0.len() == MOST {
                self.0.remove(1);
            }
            self.0.push(Host { name: host.to_owned(), addresses: found, tries: 0, late: None });
            return;
        };
        let mut addresses: Vec<_> =
            known.addresses.iter().filter(|before| found.contains(before)).copied().collect();
        addresses.extend(found.iter().filter(|address| !known.addresses.contains(address)));
        known.addresses = addresses;
        known.late = None;
    }

    /// Where it was is good enough for now. What its name leads to is taken in when it is known.
    pub fn wait_no_longer(&mut self, host: &str, found: Found) {
        if let Some(known) = self.0.iter_mut().find(|known| known.name == host) {
            known.late = Some(found);
        }
    }

    /// The question that was not waited for, with its answer, if that has come.
    pub fn late(&mut self, host: &str) -> Option<Found> {
        self.0.iter_mut().find(|known| known.name == host)?.late.take()
    }

    /// Where to try it among those that may be: another one each time.
    pub fn next(&mut self, host: &str, may_be: impl Fn(&IpAddr) -> bool) -> Option<IpAddr> {
        let known = self.0.iter_mut().find(|known| known.name == host)?;
        let addresses: Vec<_> = known.addresses.iter().copied().filter(may_be).collect();
        let next = addresses.get(known.tries % addresses.len().max(1)).copied();
        known.tries = known.tries.wrapping_add(1);
        next
    }

    /// It was reached there.
    pub fn reached(&mut self, host: &str, at: IpAddr) {
        let Some(known) = self.0.iter_mut().find(|known| known.name == host) else { return };
        known.tries = 0;
        if let Some(place) = known.addresses.iter().position(|address| *address == at) {
            known.addresses[..=place].rotate_right(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ips(last: impl IntoIterator<Item = u8>) -> Vec<IpAddr> {
        last.into_iter().map(|last| IpAddr::from([192, 0, 2, last])).collect()
    }

    fn tried(hosts: &mut Whereabouts, count: usize) -> Vec<IpAddr> {
        (0..count).filter_map(|_| hosts.next("edge", |_| true)).collect()
    }

    #[test]
    fn where_it_was_reached_is_tried_first_and_then_the_others() {
        let mut hosts = Whereabouts::default();
        hosts.learn("edge", ips([1, 2, 3]));
        assert_eq!(tried(&mut hosts, 4), ips([1, 2, 3, 1]));
        hosts.reached("edge", ips([3])[0]);
        assert_eq!(tried(&mut hosts, 3), ips([3, 1, 2]));
        hosts.learn("edge", ips([4, 2, 3]));
        hosts.reached("edge", ips([3])[0]);
        assert_eq!(tried(&mut hosts, 3), ips([3, 2, 4]), "as far as it is there still");
        assert_eq!(hosts.next("edge", |ip| *ip == ips([4])[0]), Some(ips([4])[0]));
        assert_eq!(hosts.next("edge", |_| false), None);
    }

    #[test]
    fn an_answer_that_is_late_is_taken_in_at_the_next_try() {
        let (mut hosts, found) = (Whereabouts::default(), Found::default());
        hosts.learn("edge", ips([1]));
        assert!(hosts.late("edge").is_none());
        hosts.wait_no_longer("edge", found.clone());
        assert_eq!(tried(&mut hosts, 1), ips([1]), "where it was");
        *crate::event::lock(&found) = Some(Ok(ips([2])));
        let late = hosts.late("edge").expect("it was asked");
        assert!(std::sync::Arc::ptr_eq(&late, &found) && hosts.late("edge").is_none());
    }

    #[test]
    fn the_host_of_the_config_is_forgotten_for_no_other_one() {
        let mut hosts = Whereabouts::default();
        hosts.learn("edge", ips([1]));
        (0..20).for_each(|other| hosts.learn(&other.to_string(), ips([2])));
        assert_eq!(
            (hosts.0.len(), hosts.knows("edge"), hosts.knows("0"), hosts.knows("19")),
            (MOST, true, false, true)
        );
    }
}
