//! The one place that reads the clocks; everything above is handed its instants.

use std::time::{Duration, Instant, SystemTime};

/// Now.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub fn now() -> Instant {
    Instant::now()
}

/// The wall clock, since 1970; a clock set before that says 1970.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub fn unix_now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}
