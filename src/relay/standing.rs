//! What a subscriber has missed, and where it stands in its ring: so that what it misses is counted while it misses it,
//! also for one that never reads again. It is counted when somebody asks, by arithmetic: nothing is done for each packet.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// Packets that a subscriber missed, until its subscription ends.
#[derive(Debug, Default)]
pub(super) struct Missed {
    packets: AtomicU64,
    over: AtomicBool,
}

impl Missed {
    /// Counts some more; returns how many count.
    pub fn add(&self, packets: u64) -> u64 {
        if packets == 0 || self.over.load(Relaxed) {
            return 0;
        }
        self.packets.fetch_add(packets, Relaxed);
        packets
    }

    pub fn packets(&self) -> u64 {
        self.packets.load(Relaxed)
    }

    /// What goes past it from here on, it does not miss.
    pub fn end(&self) {
        self.over.store(true, Relaxed);
    }
}

/// The place of a stream subscriber. It is changed under the ring's lock, or by the reader alone as it moves within the
/// ring; so those who look compare it with a tail that it was read with.
#[derive(Debug)]
pub struct Standing {
    next: AtomicU64,
    /// All before it were read, or are counted as missed.
    settled: AtomicU64,
    pub(super) missed: Missed,
}

impl Standing {
    pub(super) fn at(next: u64) -> Self {
        Self { next: AtomicU64::new(next), settled: AtomicU64::new(0), missed: Missed::default() }
    }

    /// The number of the packet that it wants next.
    pub(super) fn next(&self) -> u64 {
        self.next.load(Relaxed)
    }

    pub(super) fn move_to(&self, next: u64) {
        self.next.store(next, Relaxed);
    }

    /// Counts what it will never get of the packets before `end`, once each; returns how many are new. Under the ring's lock.
    pub(super) fn settle(&self, end: u64) -> u64 {
        let from = self.next().max(self.settled.load(Relaxed));
        if end <= from {
            return 0;
        }
        self.settled.store(end, Relaxed);
        self.missed.add(end - from)
    }
}
