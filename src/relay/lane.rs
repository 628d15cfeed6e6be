//! A Lane: subscribers of one ring that one task serves at a time, and that task, FanOut.
//!
//! A lane is on the TaskQueue at most once ([`RunState`]). At low load a run carries one packet; while it
//! runs, packets gather, and its next run takes them all: batches grow exactly when work piles up.
//! Subscribers come and go through a mailbox that is emptied between batches, so a run owns its group.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::event::{RunState, Task, TaskQueue, Work};

use super::datagram_group::{DatagramGroup, DatagramMember};
use super::ring::Ring;
use super::server_socket::ServerSocket;
use super::stream_group::{StreamGroup, StreamSink};
use super::totals::Totals;

/// The kind of the task that runs a lane.
pub const FAN_OUT: &str = "FanOut";

/// One group of subscribers of one ring.
pub struct Lane {
    ring: Arc<Ring>,
    queue: Arc<TaskQueue>,
    outlet: Outlet,
    state: RunState,
    mailbox: Mailbox,
    /// Away while a run owns it.
    group: Mutex<Option<Group>>,
    closed: AtomicBool,
    totals: Arc<Totals>,
}

/// By what a lane's packets leave.
#[derive(Clone)]
pub(super) enum Outlet {
    Datagrams(Arc<ServerSocket>),
    Streams,
}

/// A subscriber's coming or going. Numbers are unique within a flow.
pub(super) enum Change {
    JoinDatagrams { number: u64, from: u64, member: DatagramMember },
    JoinStream { number: u64, sink: Arc<dyn StreamSink> },
    Leave { number: u64 },
}

/// Changes that wait for the gap between two batches.
#[derive(Default)]
pub(super) struct Mailbox(Mutex<Vec<Change>>);

impl Mailbox {
    pub fn take(&self) -> Vec<Change> {
        mem::take(&mut *lock(&self.0))
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// Everything that was due is out.
    Done,
    /// The budget of one run is used up and more is due.
    More,
    /// The socket is full.
    Blocked,
}

enum Group {
    Datagrams(DatagramGroup),
    Streams(StreamGroup),
}

impl Lane {
    pub(super) fn new(
        ring: Arc<Ring>,
        queue: Arc<TaskQueue>,
        outlet: Outlet,
        totals: Arc<Totals>,
    ) -> Arc<Self> {
        let group = match &outlet {
            Outlet::Datagrams(socket) => Group::Datagrams(DatagramGroup::new(socket.clone(), ring.head())),
            Outlet::Streams => Group::Streams(StreamGroup::default()),
        };
        Arc::new(Self {
            ring,
            queue,
            outlet,
            state: RunState::default(),
            mailbox: Mailbox::default(),
            group: Mutex::new(Some(group)),
            closed: AtomicBool::new(false),
            totals,
        })
    }

    /// Has everything that is due sent: now, or right after the run that is under way.
    pub(super) fn kick(self: &Arc<Self>) {
        if self.state.request() {
            self.queue.push(Task::new(FAN_OUT, self.clone()));
        }
    }

    /// Lets a subscriber come or go, soon.
    pub(super) fn change(self: &Arc<Self>, change: Change) {
        lock(&self.mailbox.0).push(change);
        self.kick();
    }

    pub(super) fn serves(&self, outlet: &Outlet) -> bool {
        match (&self.outlet, outlet) {
            (Outlet::Datagrams(mine), Outlet::Datagrams(other)) => Arc::ptr_eq(mine, other),
            (Outlet::Streams, Outlet::Streams) => true,
            _ => false,
        }
    }

    /// A run panicked: nobody is served here any more.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Relaxed)
    }
}

impl Work for Lane {
    fn run(self: Arc<Self>) {
        self.state.begin();
        let Some(mut group) = lock(&self.group).take() else { return };
        let progress = match &mut group {
            Group::Datagrams(group) => group.serve(&self.mailbox, &self.ring, &self.totals),
            Group::Streams(group) => group.serve(&self.mailbox),
        };
        *lock(&self.group) = Some(group);
        if let (Progress::Blocked, Outlet::Datagrams(socket)) = (progress, &self.outlet) {
            socket.wake_when_writable(self.clone());
        }
        let more = progress == Progress::More;
        if self.state.finish() || (more && self.state.request()) {
            self.queue.push(Task::new(FAN_OUT, self.clone()));
        }
    }

    fn close(self: Arc<Self>) {
        self.closed.store(true, Relaxed);
        drop(self.mailbox.take());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
