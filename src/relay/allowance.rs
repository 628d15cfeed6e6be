//! An Allowance: what one viewer may be sent again. A share of the stream's rate, and no packet more often than it can have been
//! lost: so what is asked for is never worth more to somebody else than what it costs to ask.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::bucket::Bucket;
use super::repair_counts::RepairRefusal;

/// A share that was not used is kept for so long: a viewer that loses all for a moment gets back what it lost.
const KEPT: Duration = Duration::from_secs(2);
/// So often a packet is sent again within the way there and back.
const MOST_TIMES: u8 = 2;
/// Packets that are remembered at most; while they are, no other is sent again.
const MOST_RECENT: usize = 256;
/// What a look for a packet costs that is not there.
const LOOK_BYTES: f64 = 100.0;

/// What one viewer may be sent again.
#[derive(Debug, Default)]
pub(super) struct Allowance {
    /// `None`: all of it.
    left: Option<Bucket>,
    /// Sent within the way there and back, the oldest in front.
    recent: VecDeque<Recent>,
}

#[derive(Debug)]
struct Recent {
    number: u64,
    first_at: Instant,
    times: u8,
}

impl Allowance {
    /// What there is now, at so many bytes a second.
    pub fn refill(&mut self, bytes_per_second: f64, now: Instant) {
        let all = || Bucket::with(bytes_per_second * KEPT.as_secs_f64(), now);
        self.left.get_or_insert_with(all).refill(bytes_per_second, KEPT, now);
    }

    /// Whether there is nothing left.
    pub fn is_used_up(&self) -> bool {
        self.left.as_ref().is_none_or(Bucket::is_empty)
    }

    /// A packet was looked for, and is not there.
    pub fn look(&mut self) {
        self.spend(LOOK_BYTES);
    }

    /// A packet is to be sent again, to where the way there and back takes so long.
    pub fn take(
        &mut self,
        number: u64,
        bytes: usize,
        round_trip: Duration,
        now: Instant,
    ) -> Result<(), RepairRefusal> {
        let is_over = |recent: &Recent| now.saturating_duration_since(recent.first_at) >= round_trip;
        let over = self.recent.iter().take_while(|recent| is_over(recent)).count();
        self.recent.drain(..over);
        let is_full = self.recent.len() >= MOST_RECENT;
        match self.recent.iter_mut().find(|recent| recent.number == number) {
            Some(known) if known.times >= MOST_TIMES => return Err(RepairRefusal::Repeated),
            Some(known) => known.times += 1,
            None if is_full => return Err(RepairRefusal::Budget),
            None => self.recent.push_back(Recent { number, first_at: now, times: 1 }),
        }
        self.spend(bytes as f64);
        Ok(())
    }

    fn spend(&mut self, bytes: f64) {
        self.left.iter_mut().for_each(|left| left.spend(bytes));
    }
}

#[cfg(all(test, not(model)))]
mod tests {
    use super::*;
    use crate::event::clock;

    const MS: Duration = Duration::from_millis(1);
    const RATE: f64 = 100_000.0;

    #[test]
    fn two_seconds_of_the_share_are_there_at_once_and_no_more_than_the_share_after_that() {
        let (mut allowance, began) = (Allowance::default(), clock::now());
        let mut sent = 0;
        for at in 0..10_000 {
            let now = began + at * MS;
            allowance.refill(RATE, now);
            if !allowance.is_used_up() && allowance.take(u64::from(at), 1000, 20 * MS, now).is_ok() {
                sent += 1;
            }
        }
        assert!((1190..=1201).contains(&sent), "twelve seconds of it: {sent}");
    }

    #[test]
    fn a_packet_goes_twice_within_the_way_there_and_back() {
        let (mut allowance, began) = (Allowance::default(), clock::now());
        allowance.refill(RATE, began);
        let mut take = |at: u32| allowance.take(7, 1000, 20 * MS, began + at * MS);
        assert_eq!([take(0), take(10), take(19)], [Ok(()), Ok(()), Err(RepairRefusal::Repeated)]);
        assert_eq!([take(20), take(39), take(39)], [Ok(()), Ok(()), Err(RepairRefusal::Repeated)]);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (mut allowance, now) = (Allowance::default(), clock::now());
        allowance.refill(RATE, now);
        let taken = (0..1000).filter(|number| allowance.take(*number, 1, 20 * MS, now).is_ok()).count();
        assert_eq!(taken, MOST_RECENT);
        assert!(allowance.take(1000, 1, 20 * MS, now + 20 * MS).is_ok());
    }

    #[test]
    fn who_asks_for_what_is_not_there_uses_its_share_up() {
        let (mut allowance, now) = (Allowance::default(), clock::now());
        allowance.refill(RATE, now);
        let mut looks = 0;
        while !allowance.is_used_up() {
            allowance.look();
            looks += 1;
        }
        assert_eq!(looks, 2000);
    }
}
