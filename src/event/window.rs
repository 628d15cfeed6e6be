//! A Window: a time at which something is due, and how much earlier it may be done along with other things.

use std::time::{Duration, Instant};

/// Timers that name a mere time may come so much early.
const SLACK: Duration = Duration::from_micros(250);
/// The widest window. It bounds how far a wake-up looks ahead for what may be done with it.
pub(super) const WIDEST: Duration = Duration::from_millis(5);

/// When something may be done, and when it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// From here on it may be done, if the program is awake anyway.
    pub earliest: Instant,
    /// Here it is due.
    pub latest: Instant,
}

impl Window {
    /// Due at `latest`, or up to `slack` (5 ms at most) before it.
    pub fn ending(latest: Instant, slack: Duration) -> Self {
        let earliest = latest.checked_sub(slack.min(WIDEST)).unwrap_or(latest);
        Self { earliest, latest }
    }

    /// When the sooner of two may be done, and when it must be.
    pub fn sooner(self, other: Self) -> Self {
        Self { earliest: self.earliest.min(other.earliest), latest: self.latest.min(other.latest) }
    }
}

impl From<Instant> for Window {
    fn from(at: Instant) -> Self {
        Self::ending(at, SLACK)
    }
}
