//! How busy the threads are that receive and send: measured, as time at work.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// The time that the media threads have worked, and how much of the time they should.
#[derive(Debug)]
pub struct Busy {
    worked_ns: AtomicU64,
    workers: u32,
    target: f64,
}

impl Busy {
    /// `workers` threads that send are to be at work for `target` of the time, above 0 and at most 1.
    pub fn new(workers: usize, target: f64) -> Arc<Self> {
        let workers = u32::try_from(workers.max(1)).unwrap_or(u32::MAX);
        Arc::new(Self { worked_ns: AtomicU64::new(0), workers, target: target.clamp(0.01, 1.0) })
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
        worked.div_f64(f64::from(self.workers) * self.target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_busy_is_twice_the_time_and_two_share_it() {
        let ms = Duration::from_millis;
        let busy = Busy::new(1, 0.5);
        busy.add(ms(3));
        busy.add(ms(1));
        assert_eq!((busy.total(), busy.time_for(busy.total())), (ms(4), ms(8)));
        assert_eq!(Busy::new(2, 0.5).time_for(ms(4)), ms(4));
    }
}
