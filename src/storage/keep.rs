//! How much of a channel is kept.

use std::time::Duration;

/// Both bounds hold, whichever is met first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// What is older goes.
    pub length: Duration,
    /// What is more goes, the oldest first.
    pub bytes: Option<u64>,
}

impl Keep {
    /// After how long a segment is to end: what goes, goes by the segment.
    pub(super) fn segment(self) -> Duration {
        (self.length / 10).clamp(Duration::from_secs(1), Duration::from_secs(60))
    }
}
