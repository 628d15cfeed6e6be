//! Subscribers over stream connections (RTSP interleaved): each has cursors of its own, since each reads
//! at its own pace. Knows no protocol: what a packet looks like on the connection is the sink's.

use std::collections::HashSet;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use crate::event::Vitals;

use super::batch::{Batch, StreamSink};
use super::mailbox::{Change, Mailbox};
use super::ring::Ring;
use super::round::{Progress, Served};

/// Connections that are served in one run; the lane goes to the queue's tail before the others.
const SINKS_PER_RUN: usize = 256;

pub(super) struct StreamGroup {
    vitals: Arc<Vitals>,
    members: Vec<(u64, Arc<dyn StreamSink>)>,
    /// How far the ring was at the round before.
    from: u64,
    /// How far it was when this round began.
    to: u64,
    /// When the oldest packet of this round arrived.
    oldest: Option<Instant>,
    /// Members of this round that were served.
    served: usize,
    /// Cursors of the flow that are brought level.
    underway: Arc<AtomicUsize>,
}

impl StreamGroup {
    pub fn new(head: u64, vitals: Arc<Vitals>, underway: Arc<AtomicUsize>) -> Self {
        Self { vitals, members: Vec::new(), from: head, to: head, oldest: None, served: 0, underway }
    }

    /// One run: a part of the round that is under way, or of a new one.
    pub fn serve(&mut self, mailbox: &Mailbox, ring: &Ring) -> Progress {
        if self.served == 0 {
            self.admit(mailbox.take());
            self.to = ring.head();
            self.oldest = ring.arrival(self.from);
        }
        let batch = Batch::new(ring, self.from, self.to);
        let end = (self.served + SINKS_PER_RUN).min(self.members.len());
        for (_, sink) in &self.members[self.served..end] {
            // A fault of one connection is not the lane's: it must not end the others.
            let pump = || {
                self.vitals.may_fault("write", String::new);
                sink.pump(Some(&batch));
            };
            if catch_unwind(AssertUnwindSafe(pump)).is_err() {
                self.vitals.fault("write");
                let _ = catch_unwind(AssertUnwindSafe(|| sink.close()));
            }
        }
        self.served = end;
        if end < self.members.len() {
            return Progress::More(self.oldest);
        }
        self.served = 0;
        self.from = self.to;
        let is_bursting = self.underway.load(Relaxed) > 0;
        Progress::Done(Served { head: self.to, oldest: mem::take(&mut self.oldest), is_bursting })
    }

    /// Lets go of a round that a fault has ended: the next one begins with what comes from here on.
    pub fn abandon(&mut self, head: u64) {
        (self.served, self.from, self.to, self.oldest) = (0, head, head, None);
    }

    fn admit(&mut self, changes: Vec<Change>) {
        let mut gone = HashSet::new();
        for change in changes {
            match change {
                Change::JoinStream { number, sink } => self.members.push((number, sink)),
                Change::Told => {}
                Change::Leave { number, .. } => drop(gone.insert(number)),
                Change::JoinDatagrams { .. } => debug_assert!(false, "an address joins a lane of datagrams"),
            }
        }
        if !gone.is_empty() {
            self.members.retain(|(member, _)| !gone.contains(member));
        }
    }
}

#[cfg(test)]
#[path = "stream_group_tests.rs"]
mod tests;
