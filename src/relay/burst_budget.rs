//! What all bursts may take together, and all repairs: so many bits a second, and nothing while media is late. They give way
//! first: who is level is never kept waiting for those who are brought there.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::event::lock;

use super::bucket::Bucket;
use super::lateness::Lateness;

/// What was not used is kept for so long.
const KEPT: Duration = Duration::from_millis(50);

/// The budget of all bursts, or of all repairs.
#[derive(Debug)]
pub struct BurstBudget {
    bytes_per_second: u64,
    lateness: Arc<Lateness>,
    left: Mutex<Bucket>,
    bytes: AtomicU64,
    held: [AtomicU64; Held::ALL.len()],
}

/// Why a burst waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// The bits a second are used up.
    Budget,
    /// Media is late.
    Late,
}

impl Held {
    /// All reasons, each with its word in metrics.
    pub const ALL: [(Self, &'static str); 2] = [(Self::Budget, "budget"), (Self::Late, "late")];
}

impl BurstBudget {
    /// So many bits a second, and none while media is late.
    pub fn new(mbit_per_second: u64, lateness: Arc<Lateness>, now: Instant) -> Arc<Self> {
        let bytes_per_second = mbit_per_second.saturating_mul(1_000_000 / 8);
        let (left, held) = (Mutex::new(Bucket::with(0.0, now)), Default::default());
        Arc::new(Self { bytes_per_second, lateness, left, bytes: AtomicU64::new(0), held })
    }

    /// Whether a burst may send something now; what it was is [`spent`](Self::spend) then.
    pub(super) fn allows(&self, now: Instant) -> bool {
        let judged = self.judge(now);
        if let Err(held) = judged {
            self.held[held as usize].fetch_add(1, Relaxed);
        }
        judged.is_ok()
    }

    /// The same for who counts it: or why not.
    pub(super) fn judge(&self, now: Instant) -> Result<(), Held> {
        if self.lateness.is_late(now) {
            Err(Held::Late)
        } else if self.left(now).is_empty() {
            Err(Held::Budget)
        } else {
            Ok(())
        }
    }

    /// So many bytes of bursts are sent, or about to be.
    pub(super) fn spend(&self, bytes: u64, now: Instant) {
        self.bytes.fetch_add(bytes, Relaxed);
        self.left(now).spend(bytes as f64);
    }

    /// Bytes that were sent in bursts.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// What may be sent.
    pub fn bits_per_second(&self) -> u64 {
        self.bytes_per_second.saturating_mul(8)
    }

    /// Times that a burst had to wait, by [`Held`].
    pub fn held(&self) -> [u64; Held::ALL.len()] {
        self.held.each_ref().map(|count| count.load(Relaxed))
    }

    fn left(&self, now: Instant) -> MutexGuard<'_, Bucket> {
        let mut left = lock(&self.left);
        left.refill(self.bytes_per_second as f64, KEPT, now);
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::clock;
    use crate::relay::Leg;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn what_was_taken_beyond_the_budget_is_waited_for() {
        let now = clock::now();
        let budget = BurstBudget::new(8, Lateness::new(1000 * MS, now), now);
        assert!(!budget.allows(now), "it begins with nothing");
        assert!(budget.allows(now + 10 * MS));
        budget.spend(20_000, now + 10 * MS);
        assert!(!budget.allows(now + 19 * MS) && budget.allows(now + 21 * MS), "a megabyte a second");
        budget.spend(50_000, now + 5000 * MS);
        assert!(!budget.allows(now + 5000 * MS), "50 ms of it are kept");
        assert_eq!((budget.bytes(), budget.held()), (70_000, [3, 0]));
    }

    #[test]
    fn while_media_is_late_there_is_nothing() {
        let now = clock::now();
        let lateness = Lateness::new(1000 * MS, now);
        let budget = BurstBudget::new(1000, lateness.clone(), now);
        lateness.observe(Leg::Udp, 51 * MS, false, now + 10 * MS);
        assert!(!budget.allows(now + 10 * MS) && budget.allows(now + 200 * MS));
        assert_eq!(budget.held(), [0, 1]);
    }
}
