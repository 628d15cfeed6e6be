//! How far a leg is behind the one that gives a packet first.

use std::time::Duration;

/// The largest is that of the latest one or two of these.
const SPAN: Duration = Duration::from_secs(30);
/// One part in so many of the mean is the newest packet's.
const WEIGHT: f64 = 16.0;

/// The skew of one leg.
#[derive(Debug, Clone, Default)]
pub(super) struct Skew {
    seconds: f64,
    began: Duration,
    largest: Duration,
    largest_before: Duration,
}

impl Skew {
    /// A copy came so much later than the first.
    pub fn take(&mut self, behind: Duration, now: Duration) {
        self.seconds += (behind.as_secs_f64() - self.seconds) / WEIGHT;
        let passed = now.saturating_sub(self.began);
        if passed >= SPAN {
            self.largest_before = if passed < 2 * SPAN { self.largest } else { Duration::ZERO };
            (self.began, self.largest) = (now, Duration::ZERO);
        }
        self.largest = self.largest.max(behind);
    }

    /// As it is now, a mean of some dozen packets.
    pub fn mean(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }

    /// The largest of the last half minute, and up to as much before.
    pub fn largest(&self) -> Duration {
        self.largest.max(self.largest_before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_follows_and_the_largest_is_forgotten_after_a_while() {
        let (mut skew, ms) = (Skew::default(), Duration::from_millis);
        for packet in 0..200 {
            skew.take(ms(20), ms(packet));
        }
        assert!(skew.mean().abs_diff(ms(20)) < ms(1), "{:?}", skew.mean());
        skew.take(ms(90), ms(300));
        assert_eq!(skew.largest(), ms(90));
        skew.take(ms(5), ms(40_000));
        assert_eq!(skew.largest(), ms(90), "of the half minute before");
        skew.take(ms(5), ms(71_000));
        assert_eq!(skew.largest(), ms(5));
    }
}
