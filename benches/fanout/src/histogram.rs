//! A histogram of delays: from a microsecond to an hour in steps of about 1.5 %.

const STEPS_PER_OCTAVE: u64 = 64;
const OCTAVES: u64 = 32;

/// Counts of delays.
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    largest_us: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; (STEPS_PER_OCTAVE * OCTAVES) as usize], total: 0, largest_us: 0 }
    }
}

impl Histogram {
    /// Counts a delay of some microseconds.
    pub fn record(&mut self, us: u64) {
        let last = self.counts.len() - 1;
        self.counts[(bucket(us) as usize).min(last)] += 1;
        self.total += 1;
        self.largest_us = self.largest_us.max(us);
    }

    /// Counts what another has counted as well.
    pub fn add(&mut self, other: &Self) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(count, more)| *count += more);
        self.total += other.total;
        self.largest_us = self.largest_us.max(other.largest_us);
    }

    /// How many were counted.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The largest delay, in milliseconds.
    pub fn largest_ms(&self) -> f64 {
        self.largest_us as f64 / 1e3
    }

    /// The delay, in milliseconds, that this share of all does not exceed; 0 if there are none.
    pub fn quantile_ms(&self, share: f64) -> f64 {
        let wanted = (self.total as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted.max(1) {
                return upper_us(index as u64).min(self.largest_us) as f64 / 1e3;
            }
        }
        0.0
    }
}

/// Linear up to the first octave's end, then so many steps an octave.
fn bucket(us: u64) -> u64 {
    if us < STEPS_PER_OCTAVE {
        return us;
    }
    let shift = u64::from(us.ilog2() - STEPS_PER_OCTAVE.ilog2());
    (shift << STEPS_PER_OCTAVE.ilog2()) + (us >> shift)
}

/// The largest delay of a bucket.
fn upper_us(bucket: u64) -> u64 {
    let shift = (bucket / STEPS_PER_OCTAVE).saturating_sub(1);
    ((bucket - shift * STEPS_PER_OCTAVE + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_delay_is_in_its_bucket() {
        for us in (0..5_000).chain([65_535, 65_536, 1_000_000, 123_456_789]) {
            let upper = upper_us(bucket(us));
            assert!(upper >= us && upper - us <= us / 60, "{us} in a bucket up to {upper}");
        }
    }

    #[test]
    fn quantiles_are_those_of_what_was_counted() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile_ms(0.5), 0.0);
        (1..=1000).for_each(|us| histogram.record(us * 10));
        assert!((histogram.quantile_ms(0.5) - 5.0).abs() < 0.1);
        assert!((histogram.quantile_ms(0.99) - 9.9).abs() < 0.2);
        assert_eq!((histogram.total(), histogram.largest_ms()), (1000, 10.0));
    }
}
