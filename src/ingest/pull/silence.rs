//! How long a session that plays may bring no media before it is set up anew.
//!
//! A server that has forgotten PLAY, or whose way through a NAT is gone, answers as one does whose source is silent. So a
//! session is waited for longer after each that brought nothing, and briefly again once media flows. It knows no server.

use std::time::{Duration, Instant};

/// A session that has brought media all the time is waited for so long.
const SHORTEST: Duration = Duration::from_secs(10);
/// Of a source that may be silent for hours.
const LONGEST: Duration = Duration::from_secs(300);

/// How long media is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SilenceLimit(Duration);

impl Default for SilenceLimit {
    fn default() -> Self {
        Self(SHORTEST)
    }
}

impl SilenceLimit {
    /// Of the session after one in which media was waited for so long, and did not come.
    #[must_use]
    pub fn after(waited: Duration) -> Self {
        Self((2 * waited).clamp(SHORTEST, LONGEST))
    }
}

/// Of one session.
#[derive(Debug)]
pub(super) struct Silence {
    limit: SilenceLimit,
    /// Media has come since then, without a pause that even the shortest limit would have minded.
    flows_since: Instant,
    last: Instant,
    /// Whether there was any media.
    is_broken: bool,
}

impl Silence {
    /// The session is to be set up.
    pub fn new(limit: SilenceLimit, now: Instant) -> Self {
        Self { limit, flows_since: now, last: now, is_broken: false }
    }

    /// It plays.
    pub fn begin(&mut self, now: Instant) {
        self.last = now;
    }

    /// Media comes. What has flowed for as long as it would be waited for is a stream without pauses.
    pub fn media(&mut self, now: Instant) {
        if now >= self.last + SHORTEST || !self.is_broken {
            self.flows_since = now;
        }
        (self.last, self.is_broken) = (now, true);
        if now >= self.flows_since + self.limit.0 {
            self.limit = SilenceLimit::default();
        }
    }

    /// Whether media has come.
    pub fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// How long media is waited for.
    pub fn lasts(&self) -> Duration {
        self.limit.0
    }

    /// When it has lasted too long.
    pub fn due(&self) -> Instant {
        self.last + self.limit.0
    }
}

#[cfg(all(test, not(model)))]
mod tests {
    use super::*;
    use crate::event::clock;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_source_that_is_silent_is_disturbed_less_and_less() {
        let mut limit = SilenceLimit::default();
        let waits = [(); 8].map(|()| {
            let silence = Silence::new(limit, clock::now());
            limit = SilenceLimit::after(silence.lasts());
            silence.lasts().as_secs()
        });
        assert_eq!(waits, [10, 20, 40, 80, 160, 300, 300, 300]);
    }

    #[test]
    fn media_that_flows_is_soon_missed_and_sparse_media_is_not() {
        let began = clock::now();
        let mut silence = Silence::new(SilenceLimit::after(20 * SECOND), began);
        for second in [1, 15, 30, 60, 95] {
            silence.media(began + second * SECOND);
        }
        assert_eq!(silence.due(), began + 135 * SECOND, "packets come now and then");
        for second in 96..=134 {
            silence.media(began + second * SECOND);
        }
        assert_eq!(silence.lasts(), 40 * SECOND);
        silence.media(began + 135 * SECOND);
        assert_eq!(silence.due(), began + 145 * SECOND);
    }
}
