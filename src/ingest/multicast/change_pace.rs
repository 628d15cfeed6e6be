//! How often memberships change for viewers' sake: so many times a second at most, whatever they do. A track that is
//! joined or left is a change, and a report on the wire, which routers and switches have to act on; leaving waits for joining.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::event::lock;

const SECOND: Duration = Duration::from_secs(1);

/// Of the whole program.
pub(super) struct ChangePace {
    most: usize,
    /// The changes of the latest second.
    latest: Mutex<VecDeque<Instant>>,
}

impl ChangePace {
    /// So many a second.
    pub fn new(most: usize) -> Self {
        Self { most: most.max(1), latest: Mutex::default() }
    }

    /// Somebody waits for a change: it is made now. `Err`: not before that.
    pub fn take(&self, now: Instant) -> Result<(), Instant> {
        self.take_below(self.most, now)
    }

    /// Nobody waits for it: it is made while there is room for others.
    pub fn take_spare(&self, now: Instant) -> Result<(), Instant> {
        self.take_below(self.most.div_ceil(2), now)
    }

    /// What was taken last has changed nothing.
    pub fn give_back(&self) {
        lock(&self.latest).pop_back();
    }

    fn take_below(&self, most: usize, now: Instant) -> Result<(), Instant> {
        let mut latest = lock(&self.latest);
        while latest.front().is_some_and(|first| now.saturating_duration_since(*first) >= SECOND) {
            latest.pop_front();
        }
        if latest.len() >= most {
            return Err(latest[latest.len() - most] + SECOND);
        }
        latest.push_back(now);
        Ok(())
    }
}

#[cfg(all(test, not(model)))]
mod tests {
    use super::*;
    use crate::event::clock;

    #[test]
    fn within_any_second_there_are_no_more_changes() {
        let (pace, began) = (ChangePace::new(4), clock::now());
        let at = |ms| began + Duration::from_millis(ms);
        let made: Vec<u64> = (0..40).map(|step| step * 100).filter(|ms| pace.take(at(*ms)).is_ok()).collect();
        assert!(made.windows(5).all(|five| five[4] - five[0] >= 1000), "{made:?}");
        assert_eq!(made.len(), 16);
    }

    #[test]
    fn who_has_to_wait_is_told_until_when_and_who_leaves_waits_for_the_others() {
        let (pace, now) = (ChangePace::new(3), clock::now());
        assert_eq!([pace.take_spare(now), pace.take_spare(now)], [Ok(()), Ok(())]);
        assert_eq!(pace.take_spare(now), Err(now + SECOND));
        assert_eq!([pace.take(now), pace.take(now)], [Ok(()), Err(now + SECOND)]);
        assert_eq!(pace.take(now + SECOND), Ok(()));
        pace.give_back();
        assert_eq!([pace.take(now + SECOND), pace.take(now + SECOND)], [Ok(()), Ok(())]);
        let of_one = ChangePace::new(1);
        assert_eq!([of_one.take_spare(now), of_one.take(now)], [Ok(()), Err(now + SECOND)]);
    }
}
