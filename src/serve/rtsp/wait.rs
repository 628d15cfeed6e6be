//! A request about a channel that is to come waits for it, and what the client says behind it waits too.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::relay::{Claim, Expected};
use crate::wire::rtsp::Request;

/// A description has to be had by then; players give up after some ten seconds.
pub const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// How something was waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    ToItsEnd,
    /// It is not over.
    TooLong,
}

/// What is waited for, and by whom.
pub struct Wait {
    /// What is asked once it is over.
    pub request: Request,
    pub expected: Arc<Expected>,
    /// It is over by then at the latest.
    pub until: Instant,
    /// Somebody wants it.
    _claim: Claim,
}

impl Wait {
    pub fn new(request: Request, expected: Arc<Expected>, now: Instant) -> Self {
        let claim = Claim::on(&expected.demand);
        Self { request, expected, until: now + LONGEST_WAIT, _claim: claim }
    }

    /// Waits for something else in its place: no longer than it would have, unless that was too long.
    pub fn also(&self, expected: Arc<Expected>, now: Instant) -> Self {
        let next = Self::new(self.request.clone(), expected, now);
        if now < self.until { Self { until: self.until, ..next } } else { next }
    }

    pub fn is_over(&self, now: Instant) -> bool {
        self.expected.is_over() || now >= self.until
    }
}
