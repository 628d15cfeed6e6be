//! Time stamps: those that wrap, counted on; when pictures are decoded that only tell when they are shown; and one stream's time
//! by the clock of another.

use std::collections::VecDeque;

/// Numbers of so many bits, which wrap, counted on: each is the one that is nearest to the one before.
#[derive(Debug, Clone)]
pub(super) struct Unwrapped {
    bits: u32,
    last: Option<i64>,
}

impl Unwrapped {
    pub fn of_bits(bits: u32) -> Self {
        Self { bits, last: None }
    }

    /// The first one is near the last of another count of the same clock.
    pub fn begin_near(&mut self, other: &Self) {
        self.last = self.last.or(other.last);
    }

    pub fn take(&mut self, number: u64) -> i64 {
        let counted = self.near(number);
        self.last = Some(counted);
        counted
    }

    /// The same of a number that counts for nothing further.
    pub fn near(&self, number: u64) -> i64 {
        let all = 1_i64 << self.bits;
        let number = (number as i64).rem_euclid(all);
        let Some(last) = self.last else { return number };
        let ahead = (number - last).rem_euclid(all);
        last + if ahead < all / 2 { ahead } else { ahead - all }
    }
}

/// When pictures are decoded that come in the order of that, and tell when they are shown: by as many pictures earlier as are
/// decoded before one that is shown first.
#[derive(Debug, Default)]
pub(super) struct DecodeTimes {
    reorder: usize,
    /// How many were decoded before the first that has a time of its own.
    early: usize,
    first: i64,
    step: i64,
    /// Times that are shown of those that have come, in order: as many as are reordered.
    shown: VecDeque<i64>,
}

impl DecodeTimes {
    /// Begins with a picture that is shown first of all that come; `step` is a picture's time, more or less.
    pub fn begin(reorder: usize, first: i64, step: i64) -> Self {
        Self { reorder, early: 0, first, step, shown: VecDeque::new() }
    }

    pub fn take(&mut self, shown: i64) -> i64 {
        let place = self.shown.partition_point(|other| *other <= shown);
        self.shown.insert(place, shown);
        if self.shown.len() <= self.reorder {
            self.early += 1;
            return self.first - self.step * (self.reorder + 1 - self.early) as i64;
        }
        self.shown.pop_front().unwrap_or(shown)
    }
}

/// One stream's time: what its stamps mean by a clock that others go by too.
#[derive(Debug, Clone)]
pub(super) struct Line {
    /// Ticks of a second.
    pub rate: u32,
    pub clock: Unwrapped,
    /// A stamp and when it came, in nanoseconds.
    arrived: Option<Moment>,
    /// A stamp and what its sender's clock said.
    reported: Option<Moment>,
    /// The stamp of the beginning.
    pub base: Option<i64>,
}

#[derive(Debug, Clone, Copy)]
struct Moment {
    stamp: i64,
    nanos: i64,
}

const NANOS: i128 = 1_000_000_000;
/// Picture and sound that come further apart than this do not belong together.
const LARGEST_SKEW: i64 = 5_000_000_000;

impl Line {
    pub fn new(rate: u32, bits: u32) -> Self {
        let clock = Unwrapped::of_bits(bits);
        Self { rate: rate.max(1), clock, arrived: None, reported: None, base: None }
    }

    /// What was said of its time is forgotten.
    pub fn begin_anew(&mut self) {
        (self.arrived, self.reported, self.base) = (None, None, None);
    }

    /// A stamp came at a time; the first one counts.
    pub fn came(&mut self, stamp: i64, nanos: i64) {
        self.arrived.get_or_insert(Moment { stamp, nanos });
    }

    /// Its sender says which stamp its clock was at (RFC 3550 section 6.4.1).
    pub fn report(&mut self, stamp: u32, ntp: u64) {
        let nanos = (i128::from(ntp) * NANOS) >> 32;
        self.reported = Some(Moment { stamp: self.clock.near(stamp.into()), nanos: nanos as i64 });
    }

    pub fn is_reported(&self) -> bool {
        self.reported.is_some()
    }

    pub fn ticks(&self, nanos: i64) -> i64 {
        (i128::from(nanos) * i128::from(self.rate) / NANOS) as i64
    }

    pub fn nanos(&self, ticks: i64) -> i64 {
        (i128::from(ticks) * NANOS / i128::from(self.rate)) as i64
    }

    /// Its stamp where another one begins: by what both senders say, unless that is far from how both came. `None`: nothing is known
    /// of one of them.
    pub fn begins_with(&self, other: &Self) -> Option<i64> {
        let by = |moment: fn(&Self) -> Option<Moment>| {
            let (own, others, base) = (moment(self)?, moment(other)?, other.base?);
            let began = others.nanos.saturating_add(other.nanos(base.saturating_sub(others.stamp)));
            Some(own.stamp.saturating_add(self.ticks(began.saturating_sub(own.nanos))))
        };
        let (arrived, reported) = (by(|line| line.arrived), by(|line| line.reported));
        let is_likely = |reported: &i64| {
            arrived.is_none_or(|arrived| self.nanos(arrived - reported).abs() < LARGEST_SKEW)
        };
        reported.filter(is_likely).or(arrived)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_wrap_are_counted_on() {
        let mut clock = Unwrapped::of_bits(33);
        let top = (1 << 33) - 5;
        assert_eq!([top, top + 3, 2, top, 7].map(|number| clock.take(number) - top as i64), [0, 3, 7, 0, 12]);
    }

    #[test]
    fn pictures_are_decoded_in_their_order_and_before_they_are_shown() {
        // I P B B P B B, with two that are decoded before one that is shown first.
        let shown = [0, 300, 100, 200, 600, 400, 500];
        let mut times = DecodeTimes::begin(2, 0, 100);
        let decoded = shown.map(|shown| times.take(shown));
        assert_eq!(decoded, [-200, -100, 0, 100, 200, 300, 400]);
        let mut in_order = DecodeTimes::begin(0, 5, 100);
        assert_eq!([5, 105].map(|shown| in_order.take(shown)), [5, 105]);
    }

    #[test]
    fn a_stream_begins_when_another_one_does() {
        let mut picture = Line::new(90_000, 32);
        let mut sound = Line::new(48_000, 32);
        picture.came(picture.clock.near(1000), 5_000_000_000);
        picture.base = Some(1000 - 9000);
        assert_eq!(sound.begins_with(&picture), None, "nothing is known of it");
        sound.came(sound.clock.near(70_000), 5_100_000_000);
        assert_eq!(
            sound.begins_with(&picture),
            Some(70_000 - 9600),
            "0.1 s later, and 0.1 s before the picture"
        );
        picture.report(1000, 7 << 32);
        sound.report(70_000, 7 << 32);
        assert_eq!(sound.begins_with(&picture), Some(70_000 - 4800), "what the senders say");
        sound.report(70_000, 700 << 32);
        assert_eq!(sound.begins_with(&picture), Some(70_000 - 9600), "clocks that have never met");
    }
}
