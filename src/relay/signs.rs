//! Signs of life of a track: when media came last, whether it is missing, and who is told when it returns.

use std::sync::OnceLock;
use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use std::time::{Duration, Instant};

/// Viewers whose source is silent for so long are not expected to say anything.
const SILENT_AFTER: Duration = Duration::from_secs(1);

/// Written with every packet; so all of it is atomic, and nothing is locked.
pub struct Signs {
    epoch: Instant,
    /// Microseconds from `epoch`, 0 before the first packet.
    last_us: AtomicU64,
    /// Likewise, of the first packet after the latest silence.
    flows_since_us: AtomicU64,
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
            flows_since_us: AtomicU64::new(0),
            missing: AtomicBool::new(true),
            awaited: AtomicBool::new(true),
            returned: OnceLock::new(),
        }
    }

    /// A time, counted as arrivals are.
    pub fn since_epoch(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.epoch)
    }

    /// When that was.
    pub fn at(&self, since_epoch: Duration) -> Instant {
        self.epoch + since_epoch
    }

    /// Media came.
    pub(super) fn came(&self, arrival: Duration) {
        let us = (arrival.as_micros() as u64).max(1);
        let before = self.last_us.load(Relaxed);
        if before == 0 || us.saturating_sub(before) >= SILENT_AFTER.as_micros() as u64 {
            self.flows_since_us.store(us, Relaxed);
        }
        self.last_us.store(us, Release);
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

    /// Since when packets come without a silence. `None`: the source is silent.
    pub fn flows_since(&self, now: Instant) -> Option<Instant> {
        // In the reverse order of how they were written: an end of silence is never seen without its time.
        let last = self.epoch + Duration::from_micros(self.last_us.load(Acquire));
        let since = self.flows_since_us.load(Relaxed);
        let flows = since > 0 && now.saturating_duration_since(last) < SILENT_AFTER;
        flows.then(|| self.epoch + Duration::from_micros(since))
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
    fn a_flow_begins_anew_after_a_second_of_silence() {
        let began = clock::now();
        let (signs, at) = (Signs::new(began), |ms| began + Duration::from_millis(ms));
        let come = |ms| signs.came(Duration::from_millis(ms));
        assert_eq!(signs.flows_since(at(0)), None, "it has not begun");
        [500, 1400, 2300].into_iter().for_each(come);
        assert_eq!(signs.flows_since(at(3200)), Some(at(500)));
        assert_eq!(signs.flows_since(at(3300)), None);
        come(3300);
        assert_eq!(signs.flows_since(at(3300)), Some(at(3300)));
    }

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
