//! The one place that reads the clocks; everything above is handed its instants.

use std::time::{Duration, Instant, SystemTime};

use nix::time::{ClockId, clock_gettime};

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

/// CLOCK_MONOTONIC as a number, since an epoch that all programs of this machine share: what stamps that
/// another program made are compared with.
pub fn monotonic() -> Duration {
    // The clock always exists, so the call does not fail.
    clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default()
}
