//! A Lane: subscribers of one ring that one task serves at a time, and that task, FanOut.
//!
//! A lane is on the TaskQueue at most once ([`RunState`]). At low load a run carries one packet; while it
//! runs, packets gather, and its next run takes them all: batches grow exactly when work piles up.
//! Subscribers come and go through a mailbox that is emptied between batches, so a run owns its group.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::event::{RunState, Task, TaskQueue, Timers, Window, Work, clock, lock};

use super::datagram_group::{DatagramGroup, DatagramMember};
use super::hold::{Coalesce, Hold, Load, Round};
use super::pass::Pass;
use super::ring::Ring;
use super::server_socket::ServerSocket;
use super::stream_group::{StreamGroup, StreamSink};
use super::totals::Totals;

/// The kind of the task that runs a lane.
pub const FAN_OUT: &str = "FanOut";

/// When a lane tries again that found all sockets full.
const RETRY_AFTER: Duration = Duration::from_millis(5);

/// Where lanes run, and what they cost together.
#[derive(Clone)]
pub struct Dispatch {
    /// The queue of media.
    pub queue: Arc<TaskQueue>,
    /// The timers that end holds.
    pub timers: Arc<Timers>,
    /// The demand of all lanes.
    pub load: Arc<Load>,
    pub(super) pass: Arc<Pass>,
}

impl Dispatch {
    /// For lanes that share the `workers` of `queue`.
    pub fn new(queue: Arc<TaskQueue>, timers: Arc<Timers>, workers: usize) -> Self {
        Self { queue, timers, load: Load::new(workers), pass: Arc::default() }
    }
}

/// One group of subscribers of one ring.
pub struct Lane {
    ring: Arc<Ring>,
    dispatch: Dispatch,
    hold: Hold,
    outlet: Outlet,
    state: RunState,
    mailbox: Mailbox,
    pace: Mutex<Pace>,
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
    /// The sockets are full.
    Blocked,
}

/// When the lane ran, and when it will.
struct Pace {
    /// When the run began that ended the round before this one.
    previous_start: Instant,
    /// When the newest run ended.
    previous_end: Instant,
    /// Time spent on this round so far.
    busy: Duration,
    /// Time spent on the round before.
    last_busy: Duration,
    /// When the run that waits for its hold is due; until that run has ended.
    due: Option<Window>,
}

impl Pace {
    fn new(now: Instant) -> Self {
        let (busy, last_busy) = (Duration::ZERO, Duration::ZERO);
        Self { previous_start: now, previous_end: now, busy, last_busy, due: None }
    }
}

/// What a run did.
pub(super) struct Served {
    pub progress: Progress,
    /// Packets of the ring that all members have been served by now; 0 while a round is under way.
    pub packets: u64,
    /// Messages that they went out in.
    pub messages: u64,
    /// How far the ring was when the round began; what is beyond is for the next one.
    pub head: u64,
}

enum Group {
    Datagrams(DatagramGroup),
    Streams(StreamGroup),
}

impl Lane {
    pub(super) fn new(
        ring: Arc<Ring>,
        dispatch: Dispatch,
        coalesce: Coalesce,
        outlet: Outlet,
        totals: Arc<Totals>,
    ) -> Arc<Self> {
        let hold = Hold::new(coalesce, matches!(outlet, Outlet::Streams), dispatch.load.clone());
        let group = match &outlet {
            Outlet::Datagrams(socket) => Group::Datagrams(DatagramGroup::new(socket.clone(), ring.head())),
            Outlet::Streams => Group::Streams(StreamGroup::new(ring.head())),
        };
        Arc::new(Self {
            ring,
            dispatch,
            hold,
            outlet,
            state: RunState::default(),
            mailbox: Mailbox::default(),
            pace: Mutex::new(Pace::new(clock::now())),
            group: Mutex::new(Some(group)),
            closed: AtomicBool::new(false),
            totals,
        })
    }

    /// Has everything that is due sent: now, or right after the run that is under way.
    pub(super) fn kick(self: &Arc<Self>) {
        if self.state.request() {
            self.dispatch.queue.push(Task::new(FAN_OUT, self.clone()));
        }
    }

    /// A packet arrived at `at`: has it sent with those that follow within the hold, which begins no earlier
    /// than the run before has ended.
    pub(super) fn packet_arrived(self: &Arc<Self>, at: Instant, now: Instant) {
        if self.state.request() {
            let since = at.max(lock(&self.pace).previous_end);
            self.hold_since(since, now);
        }
    }

    /// When the lane will want what has not arrived yet.
    pub(super) fn wants_more(&self, now: Instant) -> Window {
        let pace = lock(&self.pace);
        if let Some(due) = pace.due.filter(|due| due.earliest > now) {
            return due;
        }
        if !self.state.is_queued() {
            return self.hold.due(now);
        }
        self.dispatch.pass.next_look(now).unwrap_or_else(|| self.hold.due(now + pace.last_busy))
    }

    fn learn(&self, started_at: Instant, ended_at: Instant, served: &Served) {
        let mut pace = lock(&self.pace);
        pace.due = None;
        pace.previous_end = ended_at;
        pace.busy += ended_at.saturating_duration_since(started_at);
        let Served { packets, messages, .. } = *served;
        if messages > 0 {
            let since = started_at.saturating_duration_since(pace.previous_start);
            pace.last_busy = mem::take(&mut pace.busy);
            self.hold.learn(&Round { busy: pace.last_busy, since, packets, messages });
            pace.previous_start = started_at;
        }
    }

    /// Runs after the hold, which begins at `since`, or when a pass is over that was under way then.
    pub(super) fn hold_since(self: &Arc<Self>, since: Instant, now: Instant) {
        if self.hold.is_zero() {
            self.run_at(Window::ending(now, Duration::ZERO), now);
        } else if let Some(since) = self.dispatch.pass.hold_begins(self, since) {
            self.hold_from(since, now);
        }
    }

    /// Runs after the hold, which begins at `since`.
    pub(super) fn hold_from(self: &Arc<Self>, since: Instant, now: Instant) {
        self.run_at(self.hold.due(since), now);
    }

    /// When the newest run ended.
    pub(super) fn previous_end(&self) -> Instant {
        lock(&self.pace).previous_end
    }

    /// A round of several runs leaves what arrived between them, where it found the lane queued and so asked for nothing.
    fn asks_for_what_is_left(&self, served: &Served) -> bool {
        self.ring.head() > served.head && self.state.request()
    }

    fn run_at(self: &Arc<Self>, due: Window, now: Instant) {
        let task = Task::new(FAN_OUT, self.clone());
        if due.earliest <= now {
            self.dispatch.queue.push(task);
        } else {
            lock(&self.pace).due = Some(due);
            self.dispatch.timers.at(due, task);
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

    /// Whether a run was asked for that has not begun.
    #[cfg(test)]
    pub(super) fn is_queued(&self) -> bool {
        self.state.is_queued()
    }

    /// A run panicked: nobody is served here any more.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Relaxed)
    }
}

impl Work for Lane {
    fn run(self: Arc<Self>) {
        let started_at = clock::now();
        self.state.begin();
        let Some(mut group) = lock(&self.group).take() else { return };
        let served = match &mut group {
            Group::Datagrams(group) => group.serve(&self.mailbox, &self.ring, &self.totals),
            Group::Streams(group) => group.serve(&self.mailbox, &self.ring),
        };
        *lock(&self.group) = Some(group);
        let ended_at = clock::now();
        self.learn(started_at, ended_at, &served);
        if !self.hold.is_zero() {
            self.dispatch.pass.run_ended(&self.dispatch.queue, started_at);
        }
        if served.progress == Progress::Blocked {
            self.state.park();
            self.dispatch.timers.at(ended_at + RETRY_AFTER, Task::new(FAN_OUT, self.clone()));
            return;
        }
        let again = self.state.finish();
        if served.progress == Progress::More || !lock(&self.mailbox.0).is_empty() {
            if again {
                self.dispatch.queue.push(Task::new(FAN_OUT, self.clone()));
            } else {
                self.kick();
            }
        } else if again || self.asks_for_what_is_left(&served) {
            self.hold_since(ended_at, ended_at);
        }
    }

    fn close(self: Arc<Self>) {
        self.closed.store(true, Relaxed);
        drop(self.mailbox.take());
    }
}
