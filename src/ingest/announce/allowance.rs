//! How often something may happen: so many times at once, and once more each so often.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::net::counted_as;

/// Senders whose haste is known. Who comes on top of them waits.
const SENDERS: usize = 1024;

/// What is left of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allowance {
    at_once: u32,
    each: Duration,
    /// When all of it is there again.
    whole_at: Instant,
}

impl Allowance {
    /// All of it is there.
    pub fn new(at_once: u32, each: Duration, now: Instant) -> Self {
        Self { at_once, each, whole_at: now }
    }

    /// Takes one. `false`: none is left.
    pub fn take(&mut self, now: Instant) -> bool {
        let whole_at = self.whole_at.max(now) + self.each;
        let is_left = whole_at <= now + self.each * self.at_once;
        if is_left {
            self.whole_at = whole_at;
        }
        is_left
    }

    /// Whether all of it is there.
    pub fn is_whole(&self, now: Instant) -> bool {
        self.whole_at <= now
    }
}

/// As much for each sender, by host.
pub(super) struct Each {
    at_once: u32,
    each: Duration,
    of: HashMap<IpAddr, Allowance>,
}

impl Each {
    pub fn new((at_once, each): (u32, Duration)) -> Self {
        Self { at_once, each, of: HashMap::new() }
    }

    /// Takes one of a sender's.
    pub fn take(&mut self, sender: IpAddr, now: Instant) -> bool {
        let host = counted_as(sender);
        if self.of.len() >= SENDERS && !self.of.contains_key(&host) {
            self.of.retain(|_, allowance| !allowance.is_whole(now));
            if self.of.len() >= SENDERS {
                return false;
            }
        }
        let whole = || Allowance::new(self.at_once, self.each, now);
        self.of.entry(host).or_insert_with(whole).take(now)
    }
}

/// So much for each sender, and so much for all of them.
pub(super) struct Shared {
    all: Allowance,
    each: Each,
}

impl Shared {
    pub fn new(all: (u32, Duration), each: (u32, Duration), now: Instant) -> Self {
        Self { all: Allowance::new(all.0, all.1, now), each: Each::new(each) }
    }

    /// Takes one of a sender's, and of all.
    pub fn take(&mut self, sender: IpAddr, now: Instant) -> bool {
        self.each.take(sender, now) && self.all.take(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::clock;
    use std::net::Ipv6Addr;

    #[test]
    fn what_is_known_of_senders_has_an_end_and_a_host_of_ipv6_is_one() {
        let began = clock::now();
        let mut each = Each::new((2, Duration::from_secs(1)));
        let host = |number: usize, of| Ipv6Addr::new(0x2001, 0xdb8, 0, number as u16, 0, 0, 0, of).into();
        assert_eq!((0..9).filter(|of| each.take(host(0, *of), began)).count(), 2);
        let taken = (1..9999).filter(|number| each.take(host(*number, 1), began)).count();
        assert_eq!((taken, each.of.len()), (SENDERS - 1, SENDERS));
        assert!(each.take(host(9999, 1), began + Duration::from_secs(1)), "who waits has his turn");
        assert_eq!(each.of.len(), 2);
    }

    #[test]
    fn so_many_at_once_and_one_more_each_so_often() {
        let began = clock::now();
        let mut allowance = Allowance::new(3, Duration::from_secs(1), began);
        let mut taken = |ms| (0..9).filter(|_| allowance.take(began + Duration::from_millis(ms))).count();
        assert_eq!([taken(0), taken(999), taken(1000), taken(3100), taken(60_000)], [3, 0, 1, 2, 3]);
        assert!(!allowance.is_whole(began + Duration::from_secs(61)));
        assert!(allowance.is_whole(began + Duration::from_secs(63)));
    }
}
