//! What a flow has sent and what it could not.

use std::ops::AddAssign;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::net::Refusal;

/// A reading of a flow's counters.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct SentTotals {
    /// Packets handed to the kernel, over all subscribers.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Packets the kernel refused for a destination, by [`Refusal`].
    pub refused: [u64; Refusal::ALL.len()],
    /// Destinations whose route was found to refuse segmentation, and are served packet by packet.
    pub demoted: u64,
    /// Packets that were too large for a destination's path, and left in fragments.
    pub fragmented: u64,
    /// Times that a lane had to wait because all sockets of its port were full.
    pub waits: u64,
    /// Times that a lane fell so far behind that packets were about to leave the ring unsent.
    pub fell_behind: u64,
    /// Packets that left the ring before a subscriber could be sent them.
    pub overrun: u64,
    /// Times that a connection which had fallen out of the ring went on, where a decoder can start.
    pub came_back: u64,
    /// Packets that carry nothing of what their way takes: no transport stream.
    pub left_out: u64,
}

#[derive(Debug, Default)]
pub(super) struct Totals {
    packets: AtomicU64,
    bytes: AtomicU64,
    refused: [AtomicU64; Refusal::ALL.len()],
    demoted: AtomicU64,
    fragmented: AtomicU64,
    waits: AtomicU64,
    fell_behind: AtomicU64,
    overrun: AtomicU64,
    came_back: AtomicU64,
    left_out: AtomicU64,
}

impl Totals {
    pub fn sent(&self, packets: u64, bytes: u64) {
        self.packets.fetch_add(packets, Relaxed);
        self.bytes.fetch_add(bytes, Relaxed);
    }

    pub fn refused(&self, packets: [u64; Refusal::ALL.len()]) {
        self.refused.iter().zip(packets).for_each(|(counter, packets)| add(counter, packets));
    }

    pub fn demoted(&self, destinations: u64) {
        add(&self.demoted, destinations);
    }

    pub fn fragmented(&self, packets: u64) {
        add(&self.fragmented, packets);
    }

    pub fn waited(&self) {
        add(&self.waits, 1);
    }

    pub fn fell_behind(&self) {
        add(&self.fell_behind, 1);
    }

    pub fn overrun(&self, packets: u64) {
        add(&self.overrun, packets);
    }

    pub fn came_back(&self, is_back: bool) {
        add(&self.came_back, u64::from(is_back));
    }

    pub fn left_out(&self, packets: u64) {
        add(&self.left_out, packets);
    }

    pub fn read(&self) -> SentTotals {
        SentTotals {
            packets: self.packets.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            refused: self.refused.each_ref().map(|counter| counter.load(Relaxed)),
            demoted: self.demoted.load(Relaxed),
            fragmented: self.fragmented.load(Relaxed),
            waits: self.waits.load(Relaxed),
            fell_behind: self.fell_behind.load(Relaxed),
            overrun: self.overrun.load(Relaxed),
            came_back: self.came_back.load(Relaxed),
            left_out: self.left_out.load(Relaxed),
        }
    }
}

impl AddAssign for SentTotals {
    fn add_assign(&mut self, other: Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
        self.refused.iter_mut().zip(other.refused).for_each(|(sum, more)| *sum += more);
        self.demoted += other.demoted;
        self.fragmented += other.fragmented;
        self.waits += other.waits;
        self.fell_behind += other.fell_behind;
        self.overrun += other.overrun;
        self.came_back += other.came_back;
        self.left_out += other.left_out;
    }
}

/// These are nearly always zero: no write to a shared line for nothing.
fn add(counter: &AtomicU64, count: u64) {
    if count > 0 {
        counter.fetch_add(count, Relaxed);
    }
}
