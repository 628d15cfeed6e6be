//! What viewers have asked for again of a flow, and what came of it.

use std::ops::AddAssign;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Why something is not sent again that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RepairRefusal {
    /// It is asked for under another SSRC than the viewer's, or of another stream than the viewer is sent.
    Ssrc,
    /// One NACK asks for more than a viewer can have lost.
    TooMany,
    /// It was sent again twice within the way there and back.
    Repeated,
    /// The viewer's share is used up.
    Budget,
    /// What all viewers may have is used up.
    Total,
    /// Media is late, or the socket has no room.
    Late,
    /// It is not sent to the viewer yet.
    Early,
}

/// A reading of these.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct RepairTotals {
    /// Packets that were asked for.
    pub asked: u64,
    /// Packets that were sent again.
    pub repaired: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Packets that are not there: they never came, or are gone.
    pub not_held: u64,
    /// Packets that were not sent again, by [`RepairRefusal`].
    pub refused: [u64; RepairRefusal::ALL.len()],
}

#[derive(Debug, Default)]
pub(super) struct RepairCounts {
    asked: AtomicU64,
    repaired: AtomicU64,
    bytes: AtomicU64,
    not_held: AtomicU64,
    refused: [AtomicU64; RepairRefusal::ALL.len()],
}

impl RepairRefusal {
    /// All of them, in order, each with its word in metrics.
    pub const ALL: [(Self, &'static str); 7] = [
        (Self::Ssrc, "ssrc"),
        (Self::TooMany, "too_many"),
        (Self::Repeated, "repeated"),
        (Self::Budget, "budget"),
        (Self::Total, "total"),
        (Self::Late, "late"),
        (Self::Early, "early"),
    ];
}

impl RepairTotals {
    pub(super) fn refuse(&mut self, reason: RepairRefusal, packets: u64) {
        self.refused[reason as usize] += packets;
    }
}

impl AddAssign for RepairTotals {
    fn add_assign(&mut self, other: Self) {
        self.asked += other.asked;
        self.repaired += other.repaired;
        self.bytes += other.bytes;
        self.not_held += other.not_held;
        self.refused.iter_mut().zip(other.refused).for_each(|(sum, more)| *sum += more);
    }
}

impl RepairCounts {
    pub fn add(&self, more: &RepairTotals) {
        self.asked.fetch_add(more.asked, Relaxed);
        self.repaired.fetch_add(more.repaired, Relaxed);
        self.bytes.fetch_add(more.bytes, Relaxed);
        self.not_held.fetch_add(more.not_held, Relaxed);
        self.refused.iter().zip(more.refused).for_each(|(count, more)| {
            count.fetch_add(more, Relaxed);
        });
    }

    pub fn read(&self) -> RepairTotals {
        RepairTotals {
            asked: self.asked.load(Relaxed),
            repaired: self.repaired.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            not_held: self.not_held.load(Relaxed),
            refused: self.refused.each_ref().map(|count| count.load(Relaxed)),
        }
    }
}
