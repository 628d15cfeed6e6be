//! Delays over time: a quarter of a second each, by the time at which packets were sent.
//!
//! By the time of sending, each slice has the same number of packets of a viewer: those that come late are in
//! the slice in which they were due, and a silence cannot hide them.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::histogram::Histogram;

/// The length of a slice.
pub const SLICE_NS: u64 = 250_000_000;
/// Slices of fewer packets tell nothing of their 99th percentile.
const FEWEST_PACKETS: u64 = 100;

/// Delays by slice, from an origin on that is set later.
#[derive(Default)]
pub struct Slices {
    origin_ns: Option<u64>,
    histograms: Vec<Histogram>,
}

/// One slice of a report.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    /// Its beginning, from the storm's on.
    pub at_s: f64,
    /// The delay that 99 of 100 packets do not exceed; 0 if there were none.
    pub p99_ms: f64,
    /// Packets that were timed.
    pub packets: u64,
}

impl Slices {
    /// From now on delays count.
    pub fn begin(&mut self, origin_ns: u64) {
        self.origin_ns = Some(origin_ns);
    }

    /// Notes the delay of a packet; what was sent before the origin does not count.
    pub fn record(&mut self, sent_ns: u64, delay_us: u64) {
        let Some(since_ns) = self.origin_ns.and_then(|origin_ns| sent_ns.checked_sub(origin_ns)) else {
            return;
        };
        let index = (since_ns / SLICE_NS) as usize;
        if index >= self.histograms.len() {
            self.histograms.resize_with(index + 1, Histogram::default);
        }
        self.histograms[index].record(delay_us);
    }

    /// p99 and the longest of all packets of the slices from one on and before another; `None` without enough of them.
    pub fn p99_and_longest_ms(&self, slices: Range<usize>) -> Option<(f64, f64)> {
        let mut all = Histogram::default();
        let last = slices.end.min(self.histograms.len());
        self.histograms[slices.start.min(last)..last].iter().for_each(|histogram| all.add(histogram));
        (all.total() >= FEWEST_PACKETS).then(|| (all.quantile_ms(0.99), all.largest_ms()))
    }

    /// All slices before `end`, told from slice `zero` on.
    pub fn list(&self, zero: usize, end: usize) -> Vec<Slice> {
        let slice = |(index, histogram): (usize, &Histogram)| Slice {
            at_s: (index as f64 - zero as f64) * SLICE_NS as f64 / 1e9,
            p99_ms: histogram.quantile_ms(0.99),
            packets: histogram.total(),
        };
        self.histograms.iter().enumerate().take(end).map(slice).collect()
    }
}

/// The highest p99 of all slices that have enough packets.
pub fn worst_ms(slices: &[Slice]) -> Option<f64> {
    counting(slices).map(|slice| slice.p99_ms).reduce(f64::max)
}

/// The p99 of calm: the median of its slices, which one disturbed by other programs does not move.
pub fn calm_ms(slices: &[Slice]) -> Option<f64> {
    let mut all: Vec<f64> = counting(slices).map(|slice| slice.p99_ms).collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied()
}

/// For how many seconds p99 was above a limit.
pub fn late_s(slices: &[Slice], limit_ms: f64) -> f64 {
    counting(slices).filter(|slice| slice.p99_ms > limit_ms).count() as f64 * SLICE_NS as f64 / 1e9
}

fn counting(slices: &[Slice]) -> impl Iterator<Item = &Slice> {
    slices.iter().filter(|slice| slice.packets >= FEWEST_PACKETS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN_NS: u64 = 1_000_000_000;

    /// 200 packets a slice, 1 ms each but for the third slice: 9 ms.
    fn slices() -> Slices {
        let mut slices = Slices::default();
        slices.record(ORIGIN_NS, 77);
        slices.begin(ORIGIN_NS);
        slices.record(ORIGIN_NS - 1, 77_000);
        for packet in 0..800 {
            let late = (400..600).contains(&packet);
            slices.record(ORIGIN_NS + packet * SLICE_NS / 200, if late { 9_000 } else { 1_000 });
        }
        slices
    }

    #[test]
    fn packets_are_in_the_slice_in_which_they_were_sent() {
        let list = slices().list(2, 4);
        assert_eq!(list.iter().map(|slice| slice.at_s).collect::<Vec<_>>(), [-0.5, -0.25, 0.0, 0.25]);
        assert!(list.iter().all(|slice| slice.packets == 200));
        assert_eq!(list.iter().map(|slice| slice.p99_ms.round()).collect::<Vec<_>>(), [1.0, 1.0, 9.0, 1.0]);
    }

    #[test]
    fn several_slices_are_told_as_one() {
        let both_ms = |range| slices().p99_and_longest_ms(range).map(|(p99, longest)| (p99.round(), longest));
        assert_eq!(both_ms(0..2), Some((1.0, 1.0)));
        assert_eq!((both_ms(0..9), both_ms(9..12)), (Some((9.0, 9.0)), None));
    }

    #[test]
    fn the_worst_slice_and_the_late_ones_have_enough_packets() {
        let mut list = slices().list(0, 4);
        assert_eq!((worst_ms(&list).map(f64::round), late_s(&list, 2.0)), (Some(9.0), 0.25));
        list[2].packets = 3;
        assert_eq!((worst_ms(&list).map(f64::round), late_s(&list, 2.0)), (Some(1.0), 0.0));
        assert_eq!((worst_ms(&[]), calm_ms(&[])), (None, None));
    }

    #[test]
    fn calm_is_the_median_of_its_slices() {
        let slice = |p99_ms| Slice { at_s: 0.0, p99_ms, packets: 1000 };
        assert_eq!(calm_ms(&[4.0, 90.0, 5.0].map(slice)), Some(5.0));
        assert_eq!(calm_ms(&[]), None);
    }
}
