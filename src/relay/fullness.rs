//! Fullness: whether sockets without room are full for a moment, or stay so.

use std::time::{Duration, Instant};

/// Sockets that are found without room for so long, again and again, stay full: a burst would be over.
const STAYS_AFTER: Duration = Duration::from_millis(50);
/// Found without room at least so often is one time, and not two.
const AGAIN_WITHIN: Duration = Duration::from_millis(20);
/// Many lanes may wait; one look is for all of them.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Since when sockets have been without room.
#[derive(Default)]
pub(super) struct Fullness(Option<Found>);

#[derive(Clone, Copy)]
struct Found {
    first: Instant,
    last: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It may pass.
    Passing,
    /// It does not; what follows is another time.
    Stays,
}

impl Fullness {
    /// Whether it may be otherwise than at the last look.
    pub fn is_worth_a_look(&self, now: Instant) -> bool {
        self.0.is_none_or(|found| now.saturating_duration_since(found.last) >= LOOK_EVERY)
    }

    /// No room was found. A lane looks every 5 ms while it waits, but on a busy machine any look may be late: where
    /// the one that looks `has_waited` since an earlier look, however long ago, nothing went well meanwhile.
    pub fn found(&mut self, now: Instant, has_waited: bool) -> Verdict {
        let is_again = |found: &Found| has_waited || now.saturating_duration_since(found.last) < AGAIN_WITHIN;
        let before = self.0.filter(is_again);
        let first = before.map_or(now, |found| found.first);
        let stays = now.saturating_duration_since(first) >= STAYS_AFTER;
        self.0 = Some(Found { first: if stays { now } else { first }, last: now });
        if stays { Verdict::Stays } else { Verdict::Passing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::clock;

    const RETRY: Duration = Duration::from_millis(5);

    #[test]
    fn a_burst_passes() {
        let (mut fullness, mut now) = (Fullness::default(), clock::now());
        for _ in 0..10 {
            for _ in 0..5 {
                assert_eq!(fullness.found(now, false), Verdict::Passing);
                now += RETRY;
            }
            now += AGAIN_WITHIN; // meanwhile all went well
        }
    }

    #[test]
    fn what_is_full_at_every_look_stays_full_until_that_is_said() {
        let (mut fullness, began) = (Fullness::default(), clock::now());
        let verdicts: Vec<_> = (0..=20).map(|look| fullness.found(began + RETRY * look, look > 0)).collect();
        let said: Vec<_> = (0..=20).filter(|look| verdicts[*look] == Verdict::Stays).collect();
        assert_eq!(said, [10, 20], "after 50 ms, and after 50 more");
    }

    #[test]
    fn looks_that_come_late_are_of_one_time_for_who_waited_between_them() {
        let (mut fullness, began) = (Fullness::default(), clock::now());
        let late = AGAIN_WITHIN * 3 / 2;
        assert_eq!(fullness.found(began, false), Verdict::Passing);
        assert_eq!(fullness.found(began + late, true), Verdict::Passing);
        assert_eq!(fullness.found(began + late * 2, true), Verdict::Stays);
        assert_eq!(fullness.found(began + late * 4, false), Verdict::Passing, "it came anew");
    }

    #[test]
    fn one_look_is_enough_for_all_who_wait() {
        let (mut fullness, now) = (Fullness::default(), clock::now());
        assert!(fullness.is_worth_a_look(now));
        fullness.found(now, false);
        assert!(!fullness.is_worth_a_look(now + LOOK_EVERY / 2));
        assert!(fullness.is_worth_a_look(now + LOOK_EVERY));
    }
}
