//! A Cursor: one stream subscriber's place in a ring. It reads at its own pace, and skips what the ring has let go.

use std::sync::Arc;

use bytes::Bytes;

use super::ring::Ring;
use super::standing::Standing;
use super::totals::Totals;

/// One stream subscriber's place in a ring.
#[derive(Debug)]
pub struct Cursor {
    ring: Arc<Ring>,
    place: Arc<Standing>,
    totals: Arc<Totals>,
}

impl Cursor {
    pub(super) fn new(ring: Arc<Ring>, next: u64, totals: Arc<Totals>) -> Self {
        Self { ring, place: Arc::new(Standing::at(next)), totals }
    }

    pub(super) fn ring(&self) -> &Ring {
        &self.ring
    }

    pub(super) fn next(&self) -> u64 {
        self.place.next()
    }

    /// Where it stands, for [`subscribe_stream`](super::Flow::subscribe_stream).
    pub fn place(&self) -> Arc<Standing> {
        self.place.clone()
    }

    /// Appends what is due up to number `to` to `out`, at most `max` packets, and moves past it. A reader too slow for the
    /// ring goes on with the newest random access point; what it skips is counted.
    pub fn take(&mut self, to: u64, max: usize, out: &mut Vec<Bytes>) {
        let missed = self.ring.take(&self.place, to, max, out);
        self.totals.overrun(missed);
    }

    /// Moves past `packets` that the connection took as part of an [`Image`](super::Image).
    pub fn skip(&mut self, packets: usize) {
        self.place.move_to(self.next() + packets as u64);
    }

    /// Takes back the last `packets` of those taken: they are due again.
    pub fn give_back(&mut self, packets: usize) {
        self.place.move_to(self.next() - packets as u64);
    }

    /// Counts packets that the connection has taken.
    pub fn count_sent(&self, packets: u64, bytes: u64) {
        self.totals.sent(packets, bytes);
    }
}
