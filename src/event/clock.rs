//! The one place that reads the monotonic clock; everything above is handed its instants.

use std::time::Instant;

/// Now.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub fn now() -> Instant {
    Instant::now()
}
