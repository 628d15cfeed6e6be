//! A moment by both clocks.

use std::time::{Duration, Instant};

use crate::event::clock;

/// What is kept has the time of day, which may be set; what is reckoned goes by the clock that nobody sets.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// Since 1970.
    pub unix: Duration,
    pub at: Instant,
}

impl Moment {
    pub fn now() -> Self {
        Self { unix: clock::unix_now(), at: clock::now() }
    }
}
