//! The Mailbox of a lane: who comes and who goes, from any thread, until the lane's next round takes it in.

use std::any::Any;
use std::mem;
use std::sync::{Arc, Mutex};

use crate::event::lock;
use crate::net::Destination;

use super::batch::StreamSink;
use super::books::{Books, Stake};
use super::handover::{Handover, Place};

/// A subscriber's coming or going. Numbers are unique within a flow.
pub(super) enum Change {
    JoinDatagrams {
        from: Place,
        member: DatagramMember,
    },
    JoinStream {
        number: u64,
        sink: Arc<dyn StreamSink>,
    },
    /// A place is told that somebody here waits for.
    Told,
    /// An `heir` is told where an address stood; a connection knows that itself.
    Leave {
        number: u64,
        heir: Option<Arc<Handover>>,
    },
}

/// One UDP subscriber.
pub(super) struct DatagramMember {
    pub number: u64,
    pub destination: Destination,
    /// Keeps the address taken for as long as packets may still be sent to it.
    pub reservation: Arc<dyn Any + Send + Sync>,
    /// What it is sent.
    pub stake: Arc<Stake>,
    /// Who keeps that.
    pub books: Option<Arc<dyn Books>>,
}

/// Changes that wait for the gap between two rounds.
#[derive(Default)]
pub(super) struct Mailbox(Mutex<Vec<Change>>);

impl Mailbox {
    pub fn post(&self, change: Change) {
        lock(&self.0).push(change);
    }

    pub fn take(&self) -> Vec<Change> {
        mem::take(&mut *lock(&self.0))
    }

    pub fn is_empty(&self) -> bool {
        lock(&self.0).is_empty()
    }
}
