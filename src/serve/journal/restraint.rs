//! Which lines of the log are told, and what is kept of the others: sums. Knows neither the log nor what a session is.
//!
//! Some lines may come at once, then so many a second; of one address fewer, so that one who storms leaves room for the
//! others. What is refused again is counted, and the number told when it calms down, or once a minute.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::super::access::counted_as;

/// Lines of one kind, and of one kind and address: so many at once, and one more each so long.
const OF_ALL: Pace = Pace { at_once: 128, every: Duration::from_millis(31) };
const OF_AN_ADDRESS: Pace = Pace { at_once: 64, every: Duration::from_millis(125) };
/// From here on, addresses that may say all again are forgotten. No more can be told of within what it takes them.
const ADDRESSES: usize = 512;
/// Refusals that are known by address and reason. What comes beyond is counted as one.
const REFUSALS: usize = 512;
/// Where nothing was refused for so long it has calmed down.
const CALM: Duration = Duration::from_secs(5);
/// What goes on is told so often, and forgotten after as long.
const MINUTE: Duration = Duration::from_secs(60);
/// Lines about those who were refused again, of one look a second; the others wait for the next.
const AGAIN_A_LOOK: usize = 32;

struct Pace {
    at_once: u32,
    every: Duration,
}

impl Pace {
    /// Until when all would be taken with one more (GCRA). `None`: it is too soon.
    fn take(&self, taken_until: Option<Instant>, now: Instant) -> Option<Instant> {
        let until = taken_until.unwrap_or(now).max(now) + self.every;
        (until.saturating_duration_since(now) <= self.every * self.at_once).then_some(until)
    }
}

/// Lines of one kind that may be told.
#[derive(Default)]
struct Budget {
    taken_until: Option<Instant>,
    addresses: HashMap<IpAddr, Instant>,
}

impl Budget {
    fn take(&mut self, client: IpAddr, now: Instant) -> bool {
        let address = counted_as(client);
        let own = OF_AN_ADDRESS.take(self.addresses.get(&address).copied(), now);
        let all = OF_ALL.take(self.taken_until, now);
        let (Some(own), Some(all)) = (own, all) else { return false };
        if self.addresses.len() >= ADDRESSES {
            self.addresses.retain(|_, until| *until > now);
        }
        self.addresses.insert(address, own);
        self.taken_until = Some(all);
        true
    }
}

/// Lines of one kind: told, or added to a sum.
#[derive(Default)]
pub struct Restrained<Sum> {
    budget: Budget,
    untold: Option<Sum>,
}

impl<Sum: Default> Restrained<Sum> {
    /// Whether one about this client is told. Else it is added to what is untold.
    pub fn tells(&mut self, client: IpAddr, now: Instant, add: impl FnOnce(&mut Sum)) -> bool {
        let tells = self.budget.take(client, now);
        if !tells {
            add(self.untold.get_or_insert_default());
        }
        tells
    }

    /// What was not told since this was asked last.
    pub fn take_untold(&mut self) -> Option<Sum> {
        self.untold.take()
    }

    pub fn has_untold(&self) -> bool {
        self.untold.is_some()
    }
}

/// What is told once, and then counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Why {
    /// What happens, in the words of the log.
    pub what: &'static str,
    /// The status that was answered.
    pub status: u16,
    pub reason: &'static str,
}

/// Refusals by address and reason.
#[derive(Default)]
pub struct Refusals {
    known: HashMap<(IpAddr, Why), Known>,
    lines: Restrained<u64>,
}

struct Known {
    /// Who was refused last: an address may stand for a network.
    client: IpAddr,
    told_at: Instant,
    last: Instant,
    /// Times since it was told.
    times: u64,
}

/// What was refused again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Again {
    pub client: IpAddr,
    pub why: Why,
    pub times: u64,
    /// Since it was told last.
    pub seconds: u64,
}

impl Refusals {
    /// Whether this is told; else it is counted.
    pub fn tells(&mut self, client: IpAddr, why: Why, now: Instant) -> bool {
        let key = (counted_as(client), why);
        if let Some(known) = self.known.get_mut(&key) {
            (known.client, known.last) = (client, now);
            known.times += 1;
            return false;
        }
        if self.known.len() >= REFUSALS {
            *self.lines.untold.get_or_insert_default() += 1;
            return false;
        }
        let tells = self.lines.tells(client, now, |untold| *untold += 1);
        if tells {
            self.known.insert(key, Known { client, told_at: now, last: now, times: 0 });
        }
        tells
    }

    /// What has been refused again and calmed down, or gone on for a minute; `at_once`: all of it.
    pub fn take_again(&mut self, now: Instant, at_once: bool) -> Vec<Again> {
        let mut all = Vec::new();
        self.known.retain(|(_, why), known| {
            let age = now.saturating_duration_since(known.told_at);
            let quiet = now.saturating_duration_since(known.last);
            // One who only tries again now and then is told of by the minute.
            let is_due = age >= MINUTE || quiet >= CALM && known.times > 1 || at_once;
            if known.times > 0 && is_due && (at_once || all.len() < AGAIN_A_LOOK) {
                let (client, times, seconds) = (known.client, known.times, age.as_secs());
                all.push(Again { client, why: *why, times, seconds });
                (known.told_at, known.times) = (now, 0);
            }
            known.times > 0 || quiet < MINUTE
        });
        all
    }

    /// Refusals that are in no line, as there are too many of them.
    pub fn take_untold(&mut self) -> Option<u64> {
        self.lines.take_untold()
    }

    /// Whether there will be something to tell, or to forget.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty() && !self.lines.has_untold()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::clock;
    use std::net::Ipv4Addr;

    const ABSENT: Why = Why { what: "refused", status: 404, reason: "no such channel or track" };

    fn client(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(0x0a00_0000 + number).into()
    }

    fn told(lines: &mut Restrained<u64>, clients: impl Iterator<Item = u32>, now: Instant) -> usize {
        clients.filter(|number| lines.tells(client(*number), now, |untold| *untold += 1)).count()
    }

    #[test]
    fn sixty_of_one_address_are_told_and_of_three_thousand_the_rest_is_a_sum() {
        let (mut lines, now) = (Restrained::default(), clock::now());
        assert_eq!(told(&mut lines, (0..60).map(|_| 1), now), 60);
        assert_eq!(lines.take_untold(), None);
        assert_eq!(told(&mut lines, (0..3000).map(|_| 1), now), 4);
        assert_eq!(lines.take_untold(), Some(2996));
        assert_eq!(told(&mut lines, (0..3000).map(|_| 1), now + Duration::from_secs(1)), 8);
        assert_eq!(lines.take_untold(), Some(2992));
    }

    #[test]
    fn one_who_storms_leaves_room_for_the_others() {
        let (mut lines, now) = (Restrained::default(), clock::now());
        told(&mut lines, (0..3000).map(|_| 1), now);
        assert_eq!(told(&mut lines, 2..50, now), 48, "each of theirs");
        assert_eq!(told(&mut lines, 50..5000, now), 128 - 64 - 48);
    }

    #[test]
    fn what_is_kept_of_addresses_is_bounded() {
        let (mut lines, start) = (Restrained::<u64>::default(), clock::now());
        for number in 0..100_000 {
            lines.tells(client(number), start + Duration::from_millis(10) * number, |untold| *untold += 1);
        }
        assert!(lines.budget.addresses.len() <= ADDRESSES + 1);
    }

    #[test]
    fn ten_thousand_refusals_of_one_are_told_once_and_counted_when_they_calm_down() {
        let (mut refusals, start) = (Refusals::default(), clock::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let told = (0..10_000).filter(|_| refusals.tells(client(1), ABSENT, start)).count();
        assert_eq!(told, 1);
        assert_eq!(refusals.take_again(at(4), false), []);
        let again = Again { client: client(1), why: ABSENT, times: 9_999, seconds: 5 };
        assert_eq!(refusals.take_again(at(5), false), [again]);
        assert_eq!(refusals.take_again(at(6), false), []);
        assert!(!refusals.tells(client(1), ABSENT, at(7)), "it is still known");
        assert!(
            refusals.tells(client(1), Why { reason: "late", ..ABSENT }, at(7)),
            "another reason is another"
        );
        assert!(refusals.tells(client(2), ABSENT, at(7)), "and so is another address");
    }

    #[test]
    fn what_goes_on_is_told_by_the_minute_and_what_is_over_is_forgotten() {
        let (mut refusals, start) = (Refusals::default(), clock::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut lines = 0;
        for second in 0..600 {
            lines += usize::from(second % 30 == 0 && refusals.tells(client(1), ABSENT, at(second)));
            lines += refusals.take_again(at(second), false).len();
        }
        assert_eq!(lines, 1 + 9, "one who tries each half minute, for ten");
        assert_eq!(refusals.take_again(at(660), false).len(), 1);
        assert!(refusals.is_empty());
        assert!(refusals.tells(client(1), ABSENT, at(661)));
    }

    #[test]
    fn what_is_kept_of_refusals_is_bounded_and_nothing_is_lost_of_their_number() {
        let (mut refusals, start) = (Refusals::default(), clock::now());
        let (mut told, mut untold) = (0, 0);
        for number in 0..100_000 {
            let now = start + Duration::from_millis(10) * number;
            told += u64::from(refusals.tells(client(number), ABSENT, now));
            untold += refusals.take_untold().unwrap_or(0);
            assert!(refusals.known.len() <= REFUSALS);
            refusals.take_again(now, false);
        }
        assert_eq!(told + untold, 100_000);
    }

    #[test]
    fn of_many_who_are_refused_again_each_is_told_but_not_at_once() {
        let (mut refusals, now) = (Refusals::default(), clock::now());
        let known: Vec<_> = (0..100).filter(|number| refusals.tells(client(*number), ABSENT, now)).collect();
        for _ in 0..2 {
            known.iter().for_each(|number| assert!(!refusals.tells(client(*number), ABSENT, now)));
        }
        let looks =
            (0..5).map(|second| refusals.take_again(now + MINUTE + Duration::from_secs(second), false));
        assert_eq!(looks.map(|lines| lines.len()).collect::<Vec<_>>(), [32, 32, 32, 4, 0]);
    }
}
