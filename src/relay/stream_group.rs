//! Subscribers over stream connections (RTSP interleaved): each has cursors of its own, since each reads
//! at its own pace. Knows no protocol: what a packet looks like on the connection is the sink's.

use std::mem;
use std::sync::Arc;

use bytes::Bytes;

use super::lane::{Change, Mailbox, Progress, Served};
use super::ring::Ring;
use super::totals::Totals;

/// A connection that takes packets.
pub trait StreamSink: Send + Sync + 'static {
    /// Writes what is due to the connection, as far as it takes it, and never blocks.
    fn pump(&self);
}

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

    /// Appends what is due to `out`, at most `max` packets, and moves past it. A reader too slow for the
    /// ring goes on with the newest random access point; what it skips is counted.
    pub fn take(&mut self, max: usize, out: &mut Vec<Bytes>) {
        let (from, before) = (self.next, out.len());
        let mut first = self.ring.read(from, u64::MAX, max, out);
        if first > from {
            out.truncate(before);
            first = self.ring.read(self.ring.resume_point(), u64::MAX, max, out);
            self.totals.overrun(first - from);
        }
        self.next = first + (out.len() - before) as u64;
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

pub(super) struct StreamGroup {
    members: Vec<(u64, Arc<dyn StreamSink>)>,
    /// How far the ring was at the last run.
    head: u64,
}

impl StreamGroup {
    pub fn new(head: u64) -> Self {
        Self { members: Vec::new(), head }
    }

    pub fn serve(&mut self, mailbox: &Mailbox, ring: &Ring) -> Served {
        for change in mailbox.take() {
            match change {
                Change::JoinStream { number, sink } => self.members.push((number, sink)),
                Change::Leave { number } => self.members.retain(|(member, _)| *member != number),
                Change::JoinDatagrams { .. } => debug_assert!(false, "an address joins a lane of datagrams"),
            }
        }
        let head = ring.head();
        for (_, sink) in &self.members {
            sink.pump();
        }
        let previous = mem::replace(&mut self.head, head);
        let packets = head - previous;
        let (messages, waiting_since) = (u64::from(packets > 0), ring.arrived_at(head));
        Served { progress: Progress::Done, packets, messages, waiting_since }
    }
}

#[cfg(test)]
#[path = "stream_group_tests.rs"]
mod tests;
