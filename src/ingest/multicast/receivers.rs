//! All the receive sockets: which one a group is joined on.

use std::collections::HashMap;
use std::io;
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

use crate::event::{Class, Episode, Poller, Task, TaskQueue, Timers, clock, lock};
use crate::net::{Group, GroupProtocol, MembershipError, ReceiveSocket, bound_for, interface_name};
use crate::relay::{Busy, Channel, Track};

use super::super::leg::Leg;
use super::change_pace::ChangePace;
use super::intake::{Intake, roomiest};
use super::joining::Joining;
use super::looks::Looks;
use super::memberships::{Membership, Memberships, groups_of};
use super::network_watch::NetworkWatch;
use super::port_counts::{AllCounts, PortStats};
use super::renewals::Renewals;
use super::routes::{Kind, Route};
use super::rtp_receiver::{OpenError, RtpReceiver};
use super::wanted::{Join, Waiting};

/// Groups of one socket. Hundreds on one port spread over several, and with them over the media tables.
pub const GROUPS_PER_SOCKET: usize = 64;
/// A look goes on in another task after so long: joins wait for the kernel's lock, and thousands of them would look like
/// a worker that stands still.
const LONGEST_TURN: Duration = Duration::from_millis(100);

/// The receive sockets of the program.
pub struct Receivers {
    poller: Arc<Poller>,
    pub(super) timers: Arc<Timers>,
    busy: Arc<Busy>,
    /// Held by who joins and leaves, over the system calls. Taken before `state`, which is never held over one: metrics
    /// and who only looks wait for no kernel.
    pub(super) operations: Mutex<()>,
    state: Mutex<State>,
    pub(super) looks: Looks,
    longest_turn: Duration,
    counts: AllCounts,
    renewal_fails: Episode,
    renewals: AtomicU64,
    pub(super) renewed: Renewals,
    networks: NetworkWatch,
    joins: AtomicU64,
    pub(super) join_failures: AtomicU64,
    /// How often groups are joined and left on demand.
    pub(super) changes: ChangePace,
    pub(super) waiting: Waiting,
    pub(super) this: Weak<Receivers>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) receivers: Vec<Arc<RtpReceiver>>,
    /// One for each media table that receives.
    pub(super) intakes: Vec<Arc<Intake>>,
    joinings: Vec<Arc<Joining>>,
    /// The next of them that is looked at.
    next: usize,
    pub memberships: Memberships,
    follows: bool,
    stopped: bool,
}

impl Receivers {
    /// No receiver yet. `busy` is told of the time that receiving takes. On demand, memberships change so many times a second.
    pub fn new(poller: Arc<Poller>, timers: Arc<Timers>, busy: Arc<Busy>, changes: usize) -> Arc<Self> {
        Self::with_turns(poller, timers, busy, changes, LONGEST_TURN)
    }

    fn with_turns(
        poller: Arc<Poller>,
        timers: Arc<Timers>,
        busy: Arc<Busy>,
        changes: usize,
        longest_turn: Duration,
    ) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            looks: Looks::new(timers.clone()),
            poller,
            timers,
            busy,
            operations: Mutex::default(),
            state: Mutex::default(),
            longest_turn,
            counts: AllCounts::default(),
            renewal_fails: Episode::default(),
            renewals: AtomicU64::new(0),
            renewed: Renewals::default(),
            networks: NetworkWatch::default(),
            joins: AtomicU64::new(0),
            join_failures: AtomicU64::new(0),
            changes: ChangePace::new(changes),
            waiting: Waiting::default(),
            this: this.clone(),
        })
    }

    /// Looks after one leg more.
    pub(super) fn add(&self, joining: Arc<Joining>) {
        self.state().joinings.push(joining);
    }

    /// Joins a channel when it is wanted, and looks for what is not joined each second.
    pub(super) fn follow(&self, channel: &Arc<Channel>) {
        let (this, wanted) = (self.this.clone(), Arc::downgrade(channel));
        channel.demand.on_begin(move || {
            let both = this.upgrade().zip(wanted.upgrade());
            both.into_iter().for_each(|(this, wanted)| this.want(&wanted));
        });
        if let Some(this) = self.this.upgrade().filter(|_| !mem::replace(&mut self.state().follows, true)) {
            self.looks.start(&this, &self.poller);
        }
    }

    /// Joins the groups of a silent track again, unless something of it comes, to whatever track. A switch may have
    /// forgotten who listens.
    pub fn renew(&self, track: &Arc<Track>, now: Instant) {
        self.legs_of(track).iter().for_each(|leg| self.renew_leg(leg, now));
    }

    pub(super) fn renew_leg(&self, leg: &Arc<Leg>, now: Instant) {
        let _operations = lock(&self.operations);
        let together = self.state().memberships.due_together(leg, now);
        if together.is_empty() {
            return;
        }
        for joined in &together {
            joined.receiver.leave_for_a_moment(&joined.group);
        }
        let mut failed = Vec::new();
        for joined in together {
            if let Err(error) = joined.receiver.join_again(&joined.group) {
                failed.push(joined);
                if self.renewal_fails.begins(now) {
                    tracing::warn!("a silent group was left to be joined again, and is not yet: {error}");
                }
            }
        }
        self.renewals.fetch_add(1, Relaxed);
        // The next look joins them, where they then belong.
        let left = self.state().memberships.take_out(&failed);
        self.let_go(&left);
    }

    /// Times that a silent group was joined again.
    pub fn renewals(&self) -> u64 {
        self.renewals.load(Relaxed)
    }

    /// Groups that were joined on a socket; one that is there for another track already is none.
    pub fn joins(&self) -> u64 {
        self.joins.load(Relaxed)
    }

    /// The name of the interface that a leg is joined on.
    pub(in crate::ingest) fn interface_of(&self, leg: &Arc<Leg>) -> Option<String> {
        interface_name(self.place_of(leg)?)
    }

    /// By which protocol each network is told of groups, by the name of its interface.
    pub fn spoken(&self) -> Vec<(String, GroupProtocol)> {
        self.networks.spoken()
    }

    /// Looks at the networks that groups are joined on, if it is time.
    pub(super) fn look_at_networks(&self, has_changed: bool) {
        let silent = || {
            let state = self.state();
            let tracks = state.joinings.iter().map(|joining| (&joining.channel, &joining.leg.track));
            let mut silent = tracks.filter(|(_, track)| track.is_joined() && track.is_silent());
            silent.next().map(|(channel, _)| channel.name.clone())
        };
        self.networks.look(has_changed, || self.state().memberships.networks(), silent, clock::now());
    }

    /// What every port did not take.
    pub fn stats(&self) -> Vec<PortStats> {
        self.counts.read()
    }

    /// Receives a channel no longer.
    pub fn forget(&self, channel: &Arc<Channel>) {
        let own = self.joinings_of(channel);
        self.state().joinings.retain(|joining| !Arc::ptr_eq(&joining.channel, channel));
        own.iter().for_each(|joining| joining.end(self));
    }

    /// The ports of the sockets that there are.
    #[cfg(test)]
    pub(super) fn ports(&self) -> Vec<u16> {
        self.state().receivers.iter().map(|receiver| receiver.port).collect()
    }

    /// Leaves all groups and closes the sockets.
    pub fn stop(&self) {
        self.looks.stop();
        let mut state = self.state();
        state.stopped = true;
        state.joinings.clear();
        drop(state);
        // What is being joined is joined, and left with the others.
        let _operations = lock(&self.operations);
        let mut state = self.state();
        let memberships = state.memberships.take_all();
        let receivers = mem::take(&mut state.receivers);
        let intakes = mem::take(&mut state.intakes);
        drop(state);
        for joined in &memberships {
            joined.receiver.leave(&joined.group, &joined.route);
            joined.route.leg.set_joined(false);
        }
        receivers.iter().for_each(|receiver| receiver.shut());
        intakes.iter().for_each(|intake| intake.stop());
    }

    /// Joins a leg's groups on an interface, as far as they are not.
    pub(super) fn open(&self, leg: &Arc<Leg>, interface: u32) -> Result<(), OpenError> {
        let _operations = lock(&self.operations);
        let feed = &leg.feed;
        for group in groups_of(feed, interface) {
            self.join(feed.port, group.clone(), Route { leg: leg.clone(), kind: Kind::Media })?;
            if let Some(port) = feed.own_rtcp_port() {
                let of_reports = Group { address: feed.rtcp_group.unwrap_or(group.address), ..group };
                self.join(port, of_reports, Route { leg: leg.clone(), kind: Kind::Rtcp })?;
            }
        }
        leg.set_joined(true);
        Ok(())
    }

    /// Leaves the leg's groups on other interfaces than the one to keep, and closes the sockets that no group is
    /// left on.
    pub(super) fn leave(&self, leg: &Arc<Leg>, keep: Option<u32>) {
        let _operations = lock(&self.operations);
        let left = self.state().memberships.take(leg, keep);
        self.let_go(&left);
    }

    /// Leaves the groups of sockets that only fail, and closes these: the look joins the groups on others.
    pub(super) fn leave_failed(&self) {
        let _operations = lock(&self.operations);
        let left = self.state().memberships.take_failed();
        self.let_go(&left);
    }

    /// Leaves what was taken out, and closes the sockets that nothing is left on.
    pub(super) fn let_go(&self, left: &[Membership]) {
        let unused = self.state().take_unused(left);
        for joined in left {
            joined.receiver.leave(&joined.group, &joined.route);
            joined.route.leg.set_joined(false);
        }
        unused.iter().for_each(|receiver| receiver.shut());
    }

    /// Those of all legs that are asked for.
    pub(super) fn joinings(&self, is_asked_for: impl Fn(&&Arc<Joining>) -> bool) -> Vec<Arc<Joining>> {
        self.state().joinings.iter().filter(is_asked_for).cloned().collect()
    }

    /// The next leg of the look that is under way. It is passed even if looking at it fails.
    pub(super) fn next_joining(&self) -> Option<Arc<Joining>> {
        let mut state = self.state();
        let joining = state.joinings.get(state.next).cloned();
        state.next = if joining.is_some() { state.next + 1 } else { 0 };
        joining
    }

    /// Has a channel joined that is wanted on demand, as soon as it is its turn.
    pub(super) fn want(&self, channel: &Arc<Channel>) {
        if self.waiting.add(channel) {
            self.queue().push(Task::new("Join", Arc::new(Join(self.this.clone()))));
        }
    }

    /// When a task of joining that begins now lets others go before.
    pub(super) fn turn_ends(&self) -> Instant {
        clock::now() + self.longest_turn
    }

    /// The interface that something of a leg is joined on.
    pub(in crate::ingest) fn place_of(&self, leg: &Arc<Leg>) -> Option<u32> {
        self.state().memberships.interface_of(leg)
    }

    /// The queue of control tasks.
    pub(in crate::ingest) fn queue(&self) -> &Arc<TaskQueue> {
        self.poller.queue(Class::Control)
    }

    /// The interface that each leg is joined on.
    pub(super) fn places(&self) -> HashMap<usize, u32> {
        self.state().memberships.interfaces()
    }

    /// Joins on the first socket of the port that takes the group, or on a further one: the kernel limits
    /// the memberships of a socket (net.ipv4.igmp_max_memberships). The caller holds `operations`.
    fn join(&self, port: u16, group: Group, route: Route) -> Result<(), OpenError> {
        let state = self.state();
        if state.stopped || state.memberships.has(port, &group, &route.leg) {
            return Ok(());
        }
        let mut shared = state.sockets_for(port, &group);
        drop(state);
        // Where something of the group comes already, all of it has to be told apart; room is no question then.
        shared.sort_by_key(|receiver| !receiver.has(&group));
        let is_taken = !group.address.is_multicast() && !shared.is_empty();
        for receiver in shared {
            match receiver.join(&group, &route) {
                Ok(is_new) => {
                    self.joins.fetch_add(u64::from(is_new), Relaxed);
                    self.state().memberships.add(group, receiver, route);
                    return Ok(());
                }
                Err(MembershipError::SocketFull { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if is_taken {
            return Err(OpenError::Taken(port)); // of two sockets on one address the kernel chooses one
        }
        let receiver = self.open_joined(port, &group, route.clone())?;
        self.joins.fetch_add(1, Relaxed);
        let mut state = self.state();
        state.receivers.push(receiver.clone());
        state.memberships.add(group, receiver, route);
        Ok(())
    }

    /// A further socket. It is joined before anything else: what can not be joined now opens one each second.
    fn open_joined(&self, port: u16, group: &Group, route: Route) -> Result<Arc<RtpReceiver>, OpenError> {
        let failed = |error| OpenError::Socket { port, error };
        let socket = ReceiveSocket::bind(port, group.address).map_err(failed)?;
        socket.join(group)?;
        let (number, intake) = self.intake().map_err(failed)?;
        let counts = self.counts.of(port);
        let receiver = RtpReceiver::open(port, socket, group, &route, number, counts).map_err(failed)?;
        intake.poll(&self.poller, receiver.clone()).map_err(failed)?;
        Ok(receiver)
    }

    /// The intake of one more socket: another one, while there are fewer than media workers, or that with the least.
    fn intake(&self) -> io::Result<(usize, Arc<Intake>)> {
        if self.state().intakes.len() < self.busy.workers() {
            let intake = Intake::open(&self.poller, self.busy.clone())?;
            self.state().intakes.push(intake);
        }
        let state = self.state();
        let number = roomiest(state.intakes.len(), &state.receivers);
        let found = number.and_then(|number| Some((number, state.intakes.get(number)?.clone())));
        found.ok_or_else(|| io::Error::other("no media table receives"))
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    /// The sockets that a group may be joined on.
    fn sockets_for(&self, port: u16, group: &Group) -> Vec<Arc<RtpReceiver>> {
        let bound = bound_for(group.address);
        let shared = self.receivers.iter().filter(|receiver| {
            (receiver.port, receiver.bound, receiver.interface) == (port, bound, group.interface)
                && (receiver.groups() < GROUPS_PER_SOCKET
                    || receiver.has(group)
                    || !group.address.is_multicast())
        });
        shared.cloned().collect()
    }

    /// Takes out the receivers that nothing is left on, of those that this was left on.
    fn take_unused(&mut self, left: &[Membership]) -> Vec<Arc<RtpReceiver>> {
        let mut unused = Vec::<Arc<RtpReceiver>>::new();
        for receiver in left.iter().map(|left| &left.receiver) {
            let known = unused.iter().any(|unused| Arc::ptr_eq(unused, receiver));
            if !known && !self.memberships.use_receiver(receiver) {
                unused.push(receiver.clone());
            }
        }
        self.receivers.retain(|receiver| !unused.iter().any(|unused| Arc::ptr_eq(unused, receiver)));
        unused
    }
}

#[cfg(all(test, not(model)))]
#[path = "receivers_tests.rs"]
mod tests;
