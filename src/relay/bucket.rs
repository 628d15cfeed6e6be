//! A Bucket: bytes that may be sent, which come back at a rate. What was sent beyond them has to come back first.

use std::time::{Duration, Instant};

#[derive(Debug)]
pub(super) struct Bucket {
    left: f64,
    at: Instant,
}

impl Bucket {
    /// One with so many bytes in it.
    pub fn with(bytes: f64, now: Instant) -> Self {
        Self { left: bytes, at: now }
    }

    /// Adds what has come back; no more is kept than comes in so long.
    pub fn refill(&mut self, bytes_per_second: f64, kept: Duration, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + bytes_per_second * passed).min(bytes_per_second * kept.as_secs_f64());
        self.at = self.at.max(now);
    }

    pub fn is_empty(&self) -> bool {
        self.left <= 0.0
    }

    pub fn spend(&mut self, bytes: f64) {
        self.left -= bytes;
    }
}
