//! Signs of life of a session's viewer, which come by many threads.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::net::{Progress, VANISHED_AFTER};

/// Those of one viewer.
pub struct Life {
    epoch: Instant,
    /// When it said something last, since then.
    last_ms: AtomicU64,
    /// Until when its host has kept its connection up, where it has no RTCP to say something.
    kept_ms: AtomicU64,
    /// Bytes of the connection that were known to be acknowledged.
    acknowledged: AtomicU64,
}

impl Life {
    pub fn new(now: Instant) -> Self {
        let zero = || AtomicU64::new(0);
        Self { epoch: now, last_ms: zero(), kept_ms: zero(), acknowledged: zero() }
    }

    /// It has said something.
    pub fn touch(&self, now: Instant) {
        self.last_ms.fetch_max(self.ms(now), Relaxed);
    }

    /// The last sign.
    pub fn last(&self) -> Instant {
        self.epoch + Duration::from_millis(self.last_ms.load(Relaxed).max(self.kept_ms.load(Relaxed)))
    }

    /// It goes by another connection from now on.
    pub fn moves(&self) {
        self.acknowledged.store(0, Relaxed);
    }

    /// Takes what was acknowledged for a sign. So it is, of one without RTCP, that its host keeps the connection up; which it
    /// does for a player that hangs, too, and so for this long at most.
    pub fn take(&self, progress: &Progress, kept_for: Option<Duration>, now: Instant) {
        if self.acknowledged.fetch_max(progress.acknowledged, Relaxed) < progress.acknowledged {
            return self.touch(now);
        }
        let ms = self.ms(now);
        let silent = Duration::from_millis(ms.saturating_sub(self.last_ms.load(Relaxed)));
        if progress.last_answer_age < VANISHED_AFTER && kept_for.is_some_and(|longest| silent < longest) {
            self.kept_ms.fetch_max(ms, Relaxed);
        }
    }

    fn ms(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.epoch).as_millis() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::clock;

    #[test]
    fn a_connection_that_is_kept_up_is_a_sign_of_one_without_rtcp_for_so_long() {
        let (began, longest) = (clock::now(), Some(Duration::from_secs(100)));
        let at = |seconds| began + Duration::from_secs(seconds);
        let kept =
            |age| Progress { acknowledged: 7, in_flight: false, last_answer_age: Duration::from_secs(age) };
        let life = Life::new(began);
        life.take(&kept(0), longest, at(10));
        assert_eq!(life.last(), at(10), "a reply was acknowledged");
        life.take(&kept(0), None, at(20));
        assert_eq!(life.last(), at(10), "who has RTCP is to use it");
        life.take(&kept(3600), longest, at(30));
        assert_eq!(life.last(), at(10), "its host is gone");
        life.take(&kept(0), longest, at(109));
        assert_eq!(life.last(), at(109));
        life.take(&kept(0), longest, at(111));
        assert_eq!(life.last(), at(109), "it has said nothing for too long");
        life.touch(at(112));
        life.take(&kept(0), longest, at(113));
        assert_eq!(life.last(), at(113), "it has spoken");
    }
}
