//! A Cursor: one stream subscriber's place in a ring. It reads at its own pace, and skips what the ring has let go.

use std::sync::Arc;

use bytes::Bytes;

use super::ring::Ring;
use super::totals::Totals;

/// One stream subscriber's place in a ring.
#[derive(Debug)]
pub struct Cursor {
    ring: Arc<Ring>,
    next: u64,
    totals: Arc<Totals>,
}

impl Cursor {
    pub(super) fn new(ring: Arc<Ring>, next: u64, totals: Arc<Totals>) -> Self {
        Self { ring, next, totals }
    }

    pub(super) fn ring(&self) -> &Ring {
        &self.ring
    }

    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Appends what is due up to number `to` to `out`, at most `max` packets, and moves past it. A reader too slow for the
    /// ring goes on with the newest random access point, or the newest packet where there is none; what it skips is counted.
    pub fn take(&mut self, to: u64, max: usize, out: &mut Vec<Bytes>) {
        let (from, before) = (self.next, out.len());
        let mut first = self.ring.read(from, to, max, out);
        if first > from {
            out.truncate(before);
            first = self.ring.read(self.ring.resume_point(), to, max, out);
            self.totals.overrun(first - from);
        }
        self.next = first + (out.len() - before) as u64;
    }

    /// Moves past `packets` that the connection took as part of an [`Image`](super::Image).
    pub fn skip(&mut self, packets: usize) {
        self.next += packets as u64;
    }

    /// Takes back the last `packets` of those taken: they are due again.
    pub fn give_back(&mut self, packets: usize) {
        self.next -= packets as u64;
    }

    /// Counts packets that the connection has taken.
    pub fn count_sent(&self, packets: u64, bytes: u64) {
        self.totals.sent(packets, bytes);
    }
}
