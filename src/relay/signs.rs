//! Signs of life of a track: when media came last, whether it is missing, and who is told when it returns.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Written with every packet; so all of it is atomic, and nothing is locked.
pub struct Signs {
    epoch: Instant,
    /// Microseconds from `epoch`, 0 before the first packet.
    last_us: AtomicU64,
    missing: AtomicBool,
    awaited: AtomicBool,
    returned: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl Signs {
    /// None yet: they are missing and awaited. `now` is the epoch that arrival times are counted from.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            epoch: now,
            last_us: AtomicU64::new(0),
            missing: AtomicBool::new(true),
            awaited: AtomicBool::new(true),
            returned: OnceLock::new(),
        }
    }

    pub(super) fn since_epoch(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.epoch)
    }

    /// Media came.
    pub(super) fn came(&self, arrival: Duration) {
        self.last_us.store((arrival.as_micros() as u64).max(1), Relaxed);
        if self.awaited.load(Relaxed) {
            self.has_returned();
        }
    }

    #[cold]
    fn has_returned(&self) {
        if self.awaited.swap(false, Relaxed) {
            self.missing.store(false, Relaxed);
            if let Some(tell) = self.returned.get() {
                tell();
            }
        }
    }

    /// When media came last.
    pub fn last(&self) -> Option<Instant> {
        let after_us = self.last_us.load(Relaxed);
        (after_us > 0).then(|| self.epoch + Duration::from_micros(after_us))
    }

    /// Whether media is missing, as the watch has found; over as soon as there is some.
    pub fn are_missing(&self) -> bool {
        self.missing.load(Relaxed)
    }

    /// What the watch has found.
    pub fn set_missing(&self, missing: bool) {
        self.missing.store(missing, Relaxed);
    }

    /// Who is told, on the thread that receives, of the first packet after an [`expect`](Self::expect); once for all.
    pub fn on_return(&self, tell: impl Fn() + Send + Sync + 'static) {
        let _ = self.returned.set(Box::new(tell));
    }

    /// The next packet is to be told of. One that comes in this very moment may go untold, and is seen with the next
    /// look at [`last`](Self::last): an order that rules it out would cost every packet.
    pub fn expect(&self) {
        self.awaited.store(true, Relaxed);
    }
}

#[cfg(all(test, not(model)))]
mod tests {
    use super::*;
    use crate::event::clock;
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn a_return_is_told_once_and_by_its_packet() {
        let now = clock::now();
        let (signs, told) = (Signs::new(now), Arc::<AtomicUsize>::default());
        let tally = told.clone();
        signs.on_return(move || {
            tally.fetch_add(1, Relaxed);
        });
        assert!(signs.are_missing() && signs.last().is_none(), "before the first packet");
        signs.came(Duration::ZERO);
        signs.came(Duration::from_millis(5));
        assert_eq!((signs.are_missing(), told.load(Relaxed)), (false, 1));
        assert_eq!(signs.last(), Some(now + Duration::from_millis(5)));
        signs.expect();
        signs.set_missing(true);
        signs.came(Duration::from_secs(9));
        assert_eq!((signs.are_missing(), told.load(Relaxed)), (false, 2));
    }
}
