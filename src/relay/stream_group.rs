//! Subscribers over stream connections (RTSP interleaved): each has cursors of its own, since each reads
//! at its own pace. Knows no protocol: what a packet looks like on the connection is the sink's.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;

use super::batch::Batch;
use super::lane::{Change, Mailbox, Progress, Served};
use super::ring::Ring;
use super::totals::Totals;

/// A connection that takes packets.
pub trait StreamSink: Send + Sync + 'static {
    /// Writes what is due to the connection, as far as it takes it, and never blocks. In a run of a lane,
    /// `batch` is what the run serves.
    fn pump(&self, batch: Option<&Batch<'_>>);

    /// `pump` panicked: closes the connection. Until its session has ended it may be asked again.
    fn close(&self);
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

    pub(super) fn ring(&self) -> &Ring {
        &self.ring
    }

    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Appends what is due up to number `to` to `out`, at most `max` packets, and moves past it. A reader too slow for the
    /// ring goes on with the newest random access point; what it skips is counted.
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

pub(super) struct StreamGroup {
    members: Vec<(u64, Arc<dyn StreamSink>)>,
    /// How far the ring was at the round before.
    from: u64,
    /// How far it was when this round began.
    to: u64,
    /// Members of this round that were served.
    served: usize,
}

/// Connections that are served in one run; the lane goes to the queue's tail before the others.
const SINKS_PER_RUN: usize = 256;

impl StreamGroup {
    pub fn new(head: u64) -> Self {
        Self { members: Vec::new(), from: head, to: head, served: 0 }
    }

    /// One run: a part of the round that is under way, or of a new one.
    pub fn serve(&mut self, mailbox: &Mailbox, ring: &Ring) -> Served {
        if self.served == 0 {
            mailbox.take().into_iter().for_each(|change| self.apply(change));
            self.to = ring.head();
        }
        let batch = Batch::new(ring, self.from, self.to);
        let end = (self.served + SINKS_PER_RUN).min(self.members.len());
        for (_, sink) in &self.members[self.served..end] {
            // A fault of one connection is not the lane's: it must not end the others.
            if catch_unwind(AssertUnwindSafe(|| sink.pump(Some(&batch)))).is_err() {
                tracing::error!("writing to a connection panicked; it is closed");
                let _ = catch_unwind(AssertUnwindSafe(|| sink.close()));
            }
        }
        self.served = end;
        if end < self.members.len() {
            return Served { progress: Progress::More, packets: 0, messages: 0, head: self.to };
        }
        self.served = 0;
        let packets = self.to - mem::replace(&mut self.from, self.to);
        Served { progress: Progress::Done, packets, messages: u64::from(packets > 0), head: self.to }
    }

    fn apply(&mut self, change: Change) {
        match change {
            Change::JoinStream { number, sink } => self.members.push((number, sink)),
            Change::Leave { number } => self.members.retain(|(member, _)| *member != number),
            Change::JoinDatagrams { .. } => debug_assert!(false, "an address joins a lane of datagrams"),
        }
    }
}

#[cfg(test)]
#[path = "stream_group_tests.rs"]
mod tests;
