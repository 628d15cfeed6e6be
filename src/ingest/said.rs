//! What the log was told last of something that falls silent and returns.

use std::time::{Duration, Instant};

/// Between two times that the log is told of one silence: what comes and goes all the time is no news.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// What the log was told last.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Said {
    pub silent: bool,
    at: Option<Instant>,
}

impl Said {
    /// As if it had been told this.
    pub fn that(silent: bool) -> Self {
        Self { silent, at: None }
    }

    /// What is to be said now, if anything.
    pub fn change(&mut self, silent: bool, now: Instant) -> Option<bool> {
        let too_soon = silent && self.at.is_some_and(|at| now < at + SAY_EVERY);
        if silent == self.silent || too_soon {
            return None;
        }
        if silent {
            self.at = Some(now);
        }
        self.silent = silent;
        Some(silent)
    }
}
