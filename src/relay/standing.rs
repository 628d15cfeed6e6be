//! Where a stream subscriber stands in its ring, and what it has missed: so that what it misses is counted while it misses
//! it, also for one that never reads again. It is counted when somebody asks, by arithmetic: nothing is done for each packet.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// The place of a stream subscriber. It is changed under the ring's lock, or by the reader alone as it moves within the
/// ring; so those who look compare it with a tail that it was read with.
#[derive(Debug)]
pub struct Standing {
    next: AtomicU64,
    /// All before it were read, or are counted as missed.
    settled: AtomicU64,
    missed: AtomicU64,
    over: AtomicBool,
}

impl Standing {
    pub(super) fn at(next: u64) -> Self {
        let (settled, missed) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { next: AtomicU64::new(next), settled, missed, over: AtomicBool::new(false) }
    }

    /// The number of the packet that it wants next.
    pub(super) fn next(&self) -> u64 {
        self.next.load(Relaxed)
    }

    pub(super) fn move_to(&self, next: u64) {
        self.next.store(next, Relaxed);
    }

    /// Packets that it missed.
    pub(super) fn missed(&self) -> u64 {
        self.missed.load(Relaxed)
    }

    /// Counts what it will never get of the packets before `end`, once each; returns how many are new. Under the ring's lock.
    pub(super) fn settle(&self, end: u64) -> u64 {
        let from = self.next().max(self.settled.load(Relaxed));
        if end <= from || self.over.load(Relaxed) {
            return 0;
        }
        self.settled.store(end, Relaxed);
        self.missed.fetch_add(end - from, Relaxed);
        end - from
    }

    /// What goes past it from here on, it does not miss.
    pub(super) fn end(&self) {
        self.over.store(true, Relaxed);
    }

    /// Gives the place up; returns where whoever has it next goes on: what is counted as missed is not missed again. Under
    /// the ring's lock.
    pub(super) fn give_up(&self) -> u64 {
        self.end();
        self.next().max(self.settled.load(Relaxed))
    }
}
