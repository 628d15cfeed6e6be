//! How busy the threads are that receive and send: measured, as time at work.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// So much of the target is left to media while others wait for the processor: what a rest saves is theirs.
const SHARE_WHILE_OTHERS_WAIT: f64 = 1.0 / 3.0;

/// The time that the media threads have worked, and how much of the time they should.
pub struct Busy {
    worked_ns: AtomicU64,
    workers: u32,
    target: f64,
    others_wait: Box<dyn Fn() -> bool + Send + Sync>,
}

impl Busy {
    /// `workers` threads that send are to be at work for `target` of the time, above 0 and at most 1, or for a third
    /// of that while `others_wait`.
    pub fn new(
        workers: usize,
        target: f64,
        others_wait: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Arc<Self> {
        let workers = u32::try_from(workers.max(1)).unwrap_or(u32::MAX);
        let (worked_ns, target) = (AtomicU64::new(0), target.clamp(0.01, 1.0));
        Arc::new(Self { worked_ns, workers, target, others_wait: Box::new(others_wait) })
    }

    /// Threads that send.
    pub fn workers(&self) -> usize {
        self.workers as usize
    }

    /// A thread has worked for so long.
    pub fn add(&self, worked: Duration) {
        self.worked_ns.fetch_add(u64::try_from(worked.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    /// The time that all of them have worked.
    pub fn total(&self) -> Duration {
        Duration::from_nanos(self.worked_ns.load(Relaxed))
    }

    /// The time in which so much work makes them as busy as they should be.
    pub(super) fn time_for(&self, worked: Duration) -> Duration {
        let share = if (self.others_wait)() { SHARE_WHILE_OTHERS_WAIT } else { 1.0 };
        worked.div_f64(f64::from(self.workers) * self.target * share)
    }
}

impl fmt::Debug for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Busy({:?} of {} workers)", self.total(), self.workers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_busy_is_twice_the_time_two_share_it_and_others_get_more() {
        let ms = Duration::from_millis;
        let busy = Busy::new(1, 0.5, || false);
        busy.add(ms(3));
        busy.add(ms(1));
        assert_eq!((busy.total(), busy.time_for(busy.total())), (ms(4), ms(8)));
        assert_eq!(Busy::new(2, 0.5, || false).time_for(ms(4)), ms(4));
        assert_eq!(Busy::new(2, 0.5, || true).time_for(ms(4)), ms(12));
    }
}
