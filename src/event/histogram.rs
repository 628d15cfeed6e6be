//! A histogram of durations with fixed bounds: cheap to write, merged and rendered elsewhere.

use std::time::Duration;

/// Upper bounds of the buckets in seconds, from a cache miss to a stall; the last bucket is open.
pub const BOUNDS_SECONDS: [f64; 12] =
    [0.000_01, 0.000_03, 0.000_1, 0.000_3, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0];

/// Counts of durations by bucket.
#[derive(Debug, Clone, Default)]
pub struct Histogram {
    /// Counts of each bucket alone (not cumulative), the open one last.
    pub buckets: [u64; BOUNDS_SECONDS.len() + 1],
    /// The sum of all durations.
    pub sum: Duration,
}

impl Histogram {
    /// Counts one more.
    pub fn observe(&mut self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let bucket = BOUNDS_SECONDS.iter().position(|bound| seconds <= *bound);
        self.buckets[bucket.unwrap_or(BOUNDS_SECONDS.len())] += 1;
        self.sum += duration;
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.buckets.iter_mut().zip(other.buckets) {
            *mine += theirs;
        }
        self.sum += other.sum;
    }

    /// How many durations were observed.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_in_the_first_bucket_that_holds_it() {
        let mut histogram = Histogram::default();
        histogram.observe(Duration::from_micros(10));
        histogram.observe(Duration::from_micros(11));
        histogram.observe(Duration::from_secs(4));
        assert_eq!((histogram.buckets[0], histogram.buckets[1], histogram.buckets[12]), (1, 1, 1));
        assert_eq!(histogram.count(), 3);
    }
}
