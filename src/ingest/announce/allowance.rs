//! How often something may happen: so many times at once, and once more each so often.

use std::time::{Duration, Instant};

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::clock;

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
