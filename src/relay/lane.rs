//! A Lane: subscribers of one ring that one task serves at a time, and that task, FanOut.
//!
//! A lane is idle, queued (for the next beat, or on the queue), running, or dirty ([`RunState`]), so it is on the
//! TaskQueue at most once. Subscribers come and go through a mailbox that is emptied when a round begins, so a
//! run owns its group.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::event::{RunState, Task, Work, clock, lock};

use super::beat::{Beat, FAN_OUT};
use super::carriage::Carriage;
use super::datagram_group::DatagramGroup;
use super::dispatch::{Dispatch, Rhythm};
use super::lateness::Leg;
use super::mailbox::{Change, Mailbox};
use super::outward::Outward;
use super::ring::Ring;
use super::round::{Progress, Served};
use super::server_socket::ServerSocket;
use super::stream_group::StreamGroup;
use super::totals::Totals;

/// Packets that fill a message (64 KiB) at the usual size. More cost as much each.
const FULL_PACKETS: u64 = 48;
/// When a lane tries again that found all sockets full.
const RETRY_AFTER: Duration = Duration::from_millis(5);
/// When those are served again who are brought level, at the latest.
const BURST_AFTER: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(20)];

/// One group of subscribers of one ring.
pub struct Lane {
    outward: Arc<Outward>,
    ring: Arc<Ring>,
    dispatch: Dispatch,
    beat: Arc<Beat>,
    outlet: Outlet,
    state: RunState,
    mailbox: Mailbox,
    /// It has had its turn in the beat, and goes on.
    overhangs: AtomicBool,
    /// The round has waited for room in the sockets.
    waited_for_room: AtomicBool,
    /// Packets are about to be let go before they were sent, and the log has been told.
    behind: AtomicBool,
    /// A timer is set for those who are brought level.
    is_woken: AtomicBool,
    /// Away while a run owns it.
    group: Mutex<Option<Group>>,
    /// The number of the packet that the next round begins with.
    next: AtomicU64,
    /// How far the ring was when it was run last.
    reached: AtomicU64,
    totals: Arc<Totals>,
}

/// By what a lane's packets leave.
#[derive(Clone)]
pub(super) enum Outlet {
    Datagrams(Arc<ServerSocket>, Carriage),
    Streams,
}

enum Group {
    Datagrams(Box<DatagramGroup>),
    Streams(StreamGroup),
}

impl Lane {
    pub(super) fn new(
        outward: Arc<Outward>,
        ring: Arc<Ring>,
        dispatch: Dispatch,
        rhythm: &Rhythm,
        outlet: Outlet,
        totals: Arc<Totals>,
        underway: Arc<AtomicUsize>,
    ) -> Arc<Self> {
        let head = ring.head();
        let (group, beat) = match &outlet {
            Outlet::Datagrams(socket, by) => {
                let group = DatagramGroup::new(socket.clone(), *by, outward.marks, head);
                (Group::Datagrams(Box::new(group)), rhythm.datagrams.clone())
            }
            Outlet::Streams => {
                let vitals = dispatch.timers.vitals().clone();
                (Group::Streams(StreamGroup::new(head, vitals, underway)), rhythm.streams.clone())
            }
        };
        beat.add_lane();
        Arc::new(Self {
            outward,
            ring,
            dispatch,
            beat,
            outlet,
            state: RunState::default(),
            mailbox: Mailbox::default(),
            overhangs: AtomicBool::new(false),
            waited_for_room: AtomicBool::new(false),
            behind: AtomicBool::new(false),
            is_woken: AtomicBool::new(false),
            group: Mutex::new(Some(group)),
            next: AtomicU64::new(head),
            reached: AtomicU64::new(head),
            totals,
        })
    }

    /// There is something to serve: the lane takes part in the next beat.
    pub(super) fn wait_for_beat(self: &Arc<Self>) {
        if self.state.request() {
            self.beat.wait(self.clone());
        }
    }

    /// Lets a subscriber come or go, with the next beat.
    pub(super) fn change(self: &Arc<Self>, change: Change) {
        self.mailbox.post(change);
        self.wait_for_beat();
        self.beat.go(clock::now());
    }

    /// A lane that found the sockets full takes part in beats again.
    fn take_part(self: Arc<Self>, now: Instant) {
        self.beat.wait(self.clone());
        self.beat.go(now);
    }

    /// The number of the packet up to which those who are level are sent all, or are about to be.
    pub(super) fn reached(&self) -> u64 {
        self.reached.load(Relaxed)
    }

    /// The number of the packet up to which they were sent all.
    pub(super) fn settled(&self) -> u64 {
        self.next.load(Relaxed)
    }

    pub(super) fn serves(&self, outlet: &Outlet) -> bool {
        match (&self.outlet, outlet) {
            (Outlet::Datagrams(mine, by), Outlet::Datagrams(other, other_by)) => {
                by == other_by && Arc::ptr_eq(mine, other)
            }
            (Outlet::Streams, Outlet::Streams) => true,
            _ => false,
        }
    }

    /// Serves the group. A fault costs the round; the lane goes on with what comes next.
    fn serve(&self, group: &mut Group) -> Progress {
        self.reached.store(self.ring.head(), Relaxed);
        let vitals = self.dispatch.timers.vitals();
        let served = catch_unwind(AssertUnwindSafe(|| {
            vitals.may_fault("lane", || self.outward.channel.to_string());
            match group {
                Group::Datagrams(group) => {
                    group.serve(&self.mailbox, &self.ring, &self.totals, &self.dispatch.bursts)
                }
                Group::Streams(group) => group.serve(&self.mailbox, &self.ring),
            }
        }));
        served.unwrap_or_else(|_| {
            let head = self.ring.head();
            match group {
                Group::Datagrams(group) => group.abandon(head, &self.totals),
                Group::Streams(group) => group.abandon(head),
            }
            vitals.fault("lane"); // once it is over: whoever has seen it counted loses nothing more
            Progress::Done(Served { head, oldest: None, is_bursting: false })
        })
    }

    /// The round is over; what came meanwhile waits for the next beat.
    fn end_round(self: &Arc<Self>, served: &Served) {
        self.next.store(served.head, Relaxed);
        self.waited_for_room.store(false, Relaxed);
        if served.is_bursting {
            self.wake_soon();
        }
        if self.state.finish(|| self.has_something()) {
            self.beat.wait(self.clone());
            if self.ring.head() - served.head >= FULL_PACKETS {
                self.beat.skip_rest();
            }
        }
    }

    /// Those who are brought level go on though nothing comes.
    fn wake_soon(self: &Arc<Self>) {
        if self.is_woken.swap(true, Relaxed) {
            return;
        }
        let after = BURST_AFTER[usize::from(matches!(self.outlet, Outlet::Streams))];
        let lane = Arc::downgrade(self);
        self.dispatch.timers.run_here_at(clock::now() + after, move || {
            if let Some(lane) = lane.upgrade() {
                lane.is_woken.store(false, Relaxed);
                lane.wait_for_beat();
                lane.beat.go(clock::now());
            }
        });
    }

    /// The oldest packet that a run sent arrived then.
    fn note_lateness(&self, arrived_at: Instant, now: Instant) {
        let (age, waited_for_room) =
            (now.saturating_duration_since(arrived_at), self.waited_for_room.load(Relaxed));
        let leg = match self.outlet {
            Outlet::Datagrams(..) => Leg::Udp,
            Outlet::Streams => Leg::Tcp,
        };
        let Dispatch { lateness, .. } = &self.dispatch;
        lateness.observe(leg, age.saturating_sub(self.beat.rested()), waited_for_room, now);
        let behind = lateness.is_behind(age);
        if behind != self.behind.swap(behind, Relaxed) && behind {
            self.totals.fell_behind();
            let (channel, leg, age_ms) = (&*self.outward.channel, leg.name(), age.as_millis());
            tracing::warn!(
                channel,
                leg,
                age_ms,
                "sending has fallen behind: packets are half as old as ring.max_age lets them get, and soon lost"
            );
        }
    }

    /// Tells the log of packets that were larger than a path takes whole.
    fn tell_of_oversize(&self, group: &mut Group, now: Instant) {
        if let (Group::Datagrams(group), Outlet::Datagrams(socket, _)) = (group, &self.outlet)
            && let Some(oversize) = group.take_oversize()
        {
            self.outward.tell(oversize, || socket.mtu_towards(oversize.to), now);
        }
    }

    /// Tells the beat that the lane has had its turn, or that a longer one is over.
    fn tell_beat(&self, went_on: bool, goes_on: bool, now: Instant) {
        if !went_on {
            self.beat.served(goes_on, now);
        } else if !goes_on {
            self.beat.overhang_served(now);
        }
    }

    #[cfg(test)]
    pub(super) fn is_queued(&self) -> bool {
        self.state.is_queued()
    }

    fn has_something(&self) -> bool {
        self.ring.head() > self.next.load(Relaxed) || !self.mailbox.is_empty()
    }
}

impl Outlet {
    pub fn carriage(&self) -> Carriage {
        match self {
            Self::Datagrams(_, by) => *by,
            Self::Streams => Carriage::Tcp,
        }
    }
}

impl Work for Lane {
    fn run(self: Arc<Self>) {
        let started_at = clock::now();
        self.state.begin();
        let Some(mut group) = lock(&self.group).take() else { return };
        let progress = self.serve(&mut group);
        let ended_at = clock::now();
        self.tell_of_oversize(&mut group, ended_at);
        *lock(&self.group) = Some(group);
        self.dispatch.busy.add(ended_at.saturating_duration_since(started_at));
        if let Progress::Done(Served { oldest: Some(arrived_at), .. }) | Progress::More(Some(arrived_at)) =
            progress
        {
            self.note_lateness(arrived_at, ended_at);
        }
        let goes_on = matches!(progress, Progress::More(_));
        // Before the lane is anyone else's to run.
        let went_on = self.overhangs.swap(goes_on, Relaxed);
        match progress {
            Progress::Done(served) => self.end_round(&served),
            Progress::More(_) => {}
            Progress::Blocked => {
                self.waited_for_room.store(true, Relaxed);
                self.state.park();
                let lane = self.clone();
                self.dispatch
                    .timers
                    .run_here_at(ended_at + RETRY_AFTER, move || lane.take_part(clock::now()));
            }
        }
        self.tell_beat(went_on, goes_on, ended_at);
        if goes_on {
            // Behind what the beat was told: the next run may be over before this one is.
            self.state.park();
            self.dispatch.queue.push(Task::new(FAN_OUT, self.clone()));
        }
    }

    fn close(self: Arc<Self>) {
        let reason = format!("a lane of channel {} can not go on after a fault", self.outward.channel);
        self.dispatch.timers.vitals().give_up(reason);
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.beat.remove_lane();
    }
}
