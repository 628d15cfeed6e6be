//! How often an address has failed to log in: who guesses is made to wait. Knows neither users nor passwords.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::event::lock;
use crate::serve::access::counted_as;

/// Addresses that are known for their failures. Another one takes the place of the one that failed the longest ago.
const ADDRESSES: usize = 4096;

/// How much an address may fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailureLimits {
    /// Times, until it has to wait.
    pub most: u32,
    /// For how long it then waits, and after how long without a failure all is forgotten.
    pub pause: Duration,
}

pub(super) struct Failures {
    limits: FailureLimits,
    addresses: Mutex<HashMap<IpAddr, Tally>>,
    /// Addresses whose failures were forgotten before their time.
    pub forgotten: AtomicU64,
}

struct Tally {
    times: u32,
    last: Instant,
}

impl Failures {
    pub fn new(limits: FailureLimits) -> Self {
        Self { limits, addresses: Mutex::default(), forgotten: AtomicU64::new(0) }
    }

    /// How long an address has to wait yet, if it has to.
    pub fn wait(&self, client: IpAddr, now: Instant) -> Option<Duration> {
        let addresses = self.addresses();
        let tally = addresses.get(&counted_as(client)).filter(|tally| tally.times >= self.limits.most)?;
        let over = tally.last + self.limits.pause;
        over.checked_duration_since(now).filter(|left| !left.is_zero())
    }

    /// It has failed once more.
    pub fn note(&self, client: IpAddr, now: Instant) {
        let (address, pause) = (counted_as(client), self.limits.pause);
        let is_over = |tally: &Tally| now.saturating_duration_since(tally.last) >= pause;
        let mut addresses = self.addresses();
        if addresses.len() >= ADDRESSES && !addresses.contains_key(&address) {
            addresses.retain(|_, tally| !is_over(tally));
            if addresses.len() >= ADDRESSES {
                let oldest =
                    addresses.iter().min_by_key(|(_, tally)| tally.last).map(|(address, _)| *address);
                oldest.and_then(|oldest| addresses.remove(&oldest));
                self.forgotten.fetch_add(1, Relaxed);
            }
        }
        let tally = addresses.entry(address).or_insert(Tally { times: 0, last: now });
        tally.times = if is_over(tally) { 1 } else { tally.times.saturating_add(1) };
        tally.last = now;
    }

    fn addresses(&self) -> MutexGuard<'_, HashMap<IpAddr, Tally>> {
        lock(&self.addresses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::clock;
    use std::net::{Ipv4Addr, Ipv6Addr};

    const LIMITS: FailureLimits = FailureLimits { most: 3, pause: Duration::from_secs(60) };

    fn client(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(0x0a00_0000 + number).into()
    }

    #[test]
    fn who_fails_too_often_waits_and_nobody_else() {
        let (failures, start) = (Failures::new(LIMITS), clock::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        for second in [0, 10] {
            failures.note(client(1), at(second));
            assert_eq!(failures.wait(client(1), at(second)), None);
        }
        failures.note(client(1), at(20));
        assert_eq!(failures.wait(client(1), at(20)), Some(Duration::from_secs(60)));
        assert_eq!(failures.wait(client(1), at(79)), Some(Duration::from_secs(1)));
        assert_eq!(failures.wait(client(2), at(20)), None);
        assert_eq!(failures.wait(client(1), at(80)), None);
        failures.note(client(1), at(80));
        assert_eq!(failures.wait(client(1), at(80)), None, "it begins anew");
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let (failures, now) = (Failures::new(LIMITS), clock::now());
        let host = |last| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, last));
        (1..=3).for_each(|last| failures.note(host(last), now));
        assert!(failures.wait(host(9), now).is_some());
    }

    #[test]
    fn what_is_kept_is_bounded_and_who_failed_last_is_not_forgotten() {
        let (failures, start) = (Failures::new(LIMITS), clock::now());
        for number in 0..10_000 {
            let now = start + Duration::from_micros(number.into());
            (0..3).for_each(|_| failures.note(client(number), now));
            assert!(failures.wait(client(number), now).is_some());
        }
        assert_eq!(failures.addresses().len(), ADDRESSES);
        assert_eq!(failures.forgotten.load(Relaxed), 10_000 - ADDRESSES as u64);
        failures.note(client(20_000), start + Duration::from_secs(61));
        assert_eq!(failures.addresses().len(), 1, "what is over makes room");
    }
}
