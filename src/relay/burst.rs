//! A Burst: how somebody who begins at a place that is past is brought level. The picture there goes at once, and what lies
//! behind it somewhat faster than it came, until the newest packet is reached; as fast as it came while there is no budget.
//!
//! ```text
//!   start ─── its picture ───┬──────── faster than it came ────────▶ head: level from here on
//!             at once        └ due: what has arrived by then
//! ```

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::alias::Alias;

/// Time beyond that passes while nothing is sent, as something is in the way, is not made up for.
const LONGEST_STEP: Duration = Duration::from_millis(250);

/// How much faster than it came, in per cent of that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BurstPace(u32);

/// Where a subscriber begins.
#[derive(Debug, Clone)]
pub struct Spot {
    /// The number of the packet in the ring.
    pub number: u64,
    /// A packet of ours that goes before it.
    pub prologue: Option<Bytes>,
    /// How it is brought level, if it begins with what is past.
    pub burst: Option<Burst>,
    /// By what numbers it has the packets, if not by their own.
    pub alias: Option<Alias>,
}

/// How far somebody who is brought level may go.
#[derive(Debug, Clone)]
pub struct Burst {
    pace: BurstPace,
    /// The number up to which all goes at once.
    whole: u64,
    /// What had arrived by then is due.
    due: Instant,
    /// As of this moment.
    at: Instant,
    pin: Pin,
}

/// Keeps a ring from letting go of a packet, and of those behind it, while it lives.
#[derive(Debug, Clone, Default)]
pub struct Pin(Arc<AtomicU64>);

/// One of those who are brought level, as long as it lives.
#[derive(Debug)]
pub(super) struct Underway(Arc<AtomicUsize>);

impl Default for BurstPace {
    fn default() -> Self {
        Self(130)
    }
}

impl BurstPace {
    /// So many per cent of how fast it came: more than 100.
    #[must_use]
    pub const fn of_percent(percent: u32) -> Self {
        Self(percent)
    }

    /// How much of the stream goes in a time.
    fn covers(self, time: Duration) -> Duration {
        time * self.0 / 100
    }

    /// How much of so many bytes would not go at the stream's own rate.
    pub(super) fn extra(self, bytes: u64) -> u64 {
        bytes * u64::from(self.0.saturating_sub(100)) / u64::from(self.0.max(1))
    }
}

/// Where a pin is, without keeping anything.
#[derive(Debug, Clone)]
pub(super) struct Pinned(Weak<AtomicU64>);

impl Pinned {
    /// `None`: it is nowhere any more.
    pub fn number(&self) -> Option<u64> {
        self.0.upgrade().map(|number| number.load(Relaxed))
    }
}

impl Pin {
    pub(super) fn watched(&self) -> Pinned {
        Pinned(Arc::downgrade(&self.0))
    }

    pub(super) fn at(number: u64) -> Self {
        Self(Arc::new(AtomicU64::new(number)))
    }

    /// The number that it is at. `None`: nobody has it any more but the one who asks.
    pub(super) fn number(&self) -> Option<u64> {
        (Arc::strong_count(&self.0) > 1).then(|| self.0.load(Relaxed))
    }
}

impl Burst {
    /// All before number `whole` goes at once. What comes behind it is counted from `due`: when the last packet before it arrived.
    pub fn new(pace: BurstPace, whole: u64, due: Instant, pin: Pin, now: Instant) -> Self {
        Self { pace, whole, due, at: now, pin }
    }

    /// It begins anew: all before number `whole` goes at once, of which the last packet arrived at `due`.
    pub(super) fn begin_anew(&mut self, whole: u64, due: Instant) {
        (self.whole, self.due) = (whole, due);
    }

    /// The number up to which all goes at once.
    pub(super) fn whole(&self) -> u64 {
        self.whole
    }

    /// Where whoever is brought level stands.
    pub(super) fn place(&self) -> Pinned {
        self.pin.watched()
    }

    /// Whoever is brought level wants this packet next.
    pub(super) fn reach(&self, next: u64) {
        self.pin.0.store(next, Relaxed);
    }

    /// How much of so many bytes, up to packet `next`, is beyond what the stream takes anyway.
    pub(super) fn cost(&self, next: u64, bytes: u64) -> u64 {
        if next <= self.whole { bytes } else { self.pace.extra(bytes) }
    }

    /// Somebody wants packet `next`, which had arrived at `reached`, and `may` go faster than that came: returns by when what is
    /// due had.
    pub(super) fn advance(&mut self, next: u64, reached: Instant, may: bool, now: Instant) -> Instant {
        let step = now.saturating_duration_since(self.at).min(LONGEST_STEP);
        self.at = self.at.max(now);
        if next >= self.whole {
            // Less than it was allowed, if something was in the way.
            self.due = self.due.min(reached) + if may { self.pace.covers(step) } else { step };
        }
        self.due
    }
}

impl Underway {
    pub fn among(all: &Arc<AtomicUsize>) -> Self {
        all.fetch_add(1, Relaxed);
        Self(all.clone())
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl From<u64> for Spot {
    fn from(number: u64) -> Self {
        Self { number, prologue: None, burst: None, alias: None }
    }
}

impl Spot {
    /// The same, by these numbers.
    #[must_use]
    pub fn under(self, alias: Option<Alias>) -> Self {
        Self { alias, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::clock;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn what_is_due_grows_faster_than_time_and_starts_behind_the_picture() {
        let now = clock::now();
        let came = now - 1000 * MS;
        let mut burst = Burst::new(BurstPace::default(), 10, came, Pin::default(), now);
        assert_eq!(burst.advance(9, came, true, now + 40 * MS), came, "the picture is not out");
        assert_eq!(burst.advance(10, came + MS, true, now + 60 * MS), came + 26 * MS);
        assert_eq!(burst.advance(15, came + 27 * MS, true, now + 80 * MS), came + 52 * MS);
        assert_eq!(burst.advance(20, came + 53 * MS, false, now + 90 * MS), came + 62 * MS, "as it came");
        assert_eq!([burst.cost(10, 1300), burst.cost(11, 1300)], [1300, 300]);
    }

    #[test]
    fn what_was_held_up_is_not_made_up_for() {
        let now = clock::now();
        let (mut burst, came) = (Burst::new(BurstPace::default(), 0, now, Pin::default(), now), now);
        assert_eq!(burst.advance(1, came + MS, true, now + 20 * MS), came + 26 * MS);
        assert_eq!(burst.advance(1, came + MS, true, now + 40 * MS), came + 27 * MS, "it has not moved");
        assert_eq!(burst.advance(1, came + MS, true, now + 940 * MS), came + 326 * MS, "a long pause");
    }
}
