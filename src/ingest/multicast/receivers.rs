//! What is received, and on whose behalf: which legs are to be joined where, and when.

use std::collections::BTreeMap;
use std::mem;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

use crate::event::{Class, Poller, Task, TaskQueue, Timers, clock, lock};
use crate::net::{GroupProtocol, QueueFill};
use crate::relay::{Busy, Channel, Track};

use super::super::leg::Leg;
use super::super::merging::Sockets;
use super::super::redundancy::{LegStats, Redundancy};
use super::joining::{Joining, Pass};
use super::looks::Looks;
use super::network_watch::NetworkWatch;
use super::port_counts::PortStats;
use super::renewals::Renewals;
use super::shared_sockets::SharedSockets;
use super::wanted::{Join, Waiting};

/// A look goes on in another task after so long: joins wait for the kernel's lock, and thousands of them would look like
/// a worker that stands still.
const LONGEST_TURN: Duration = Duration::from_millis(100);

/// What the program receives by groups.
pub struct Receivers {
    poller: Arc<Poller>,
    pub(super) timers: Arc<Timers>,
    pub(super) sockets: Arc<SharedSockets>,
    state: Mutex<State>,
    pub(super) looks: Looks,
    longest_turn: Duration,
    pub(super) renewed: Renewals,
    networks: NetworkWatch,
    pub(super) waiting: Waiting,
    pub(super) this: Weak<Receivers>,
}

#[derive(Default)]
struct State {
    joinings: Vec<Arc<Joining>>,
    /// The next of them that is looked at.
    next: usize,
    follows: bool,
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
            sockets: SharedSockets::new(poller.clone(), busy, changes),
            looks: Looks::new(timers.clone()),
            poller,
            timers,
            state: Mutex::default(),
            longest_turn,
            renewed: Renewals::default(),
            networks: NetworkWatch::default(),
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
        self.legs_of(track).iter().for_each(|leg| self.sockets.renew(leg, now));
    }

    /// Times that a silent group was joined again.
    pub fn renewals(&self) -> u64 {
        self.sockets.renewals.load(Relaxed)
    }

    /// Groups that were joined on a socket; one that is there for another track already is none.
    pub fn joins(&self) -> u64 {
        self.sockets.joins.load(Relaxed)
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
        self.networks.look(has_changed, || self.sockets.state().memberships.networks(), silent, clock::now());
    }

    /// What every port did not take.
    pub fn stats(&self) -> Vec<PortStats> {
        self.sockets.stats()
    }

    /// How full the kernel's receive queues are, by port, of its sockets the fullest one.
    pub fn queues(&self) -> BTreeMap<u16, QueueFill> {
        self.sockets.queues()
    }

    /// Receives a channel no longer.
    pub fn forget(&self, channel: &Arc<Channel>) {
        let own = self.joinings_of(channel);
        self.state().joinings.retain(|joining| !Arc::ptr_eq(&joining.channel, channel));
        own.iter().for_each(|joining| joining.end(&self.sockets));
    }

    /// The ports of the sockets that there are.
    #[cfg(test)]
    pub(super) fn ports(&self) -> Vec<u16> {
        self.sockets.state().receivers.iter().map(|receiver| receiver.port).collect()
    }

    /// Leaves all groups and closes the sockets.
    pub fn stop(&self) {
        self.looks.stop();
        self.sockets.refuse();
        self.state().joinings.clear();
        self.sockets.close();
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

    /// The queue of control tasks.
    pub(in crate::ingest) fn queue(&self) -> &Arc<TaskQueue> {
        self.poller.queue(Class::Control)
    }

    /// Receives all tracks of a channel. What can not be joined now is tried again every second.
    pub fn receive(&self, channel: &Arc<Channel>, interface: Option<&str>) {
        self.receive_legs(channel, |_| interface.map(str::to_owned), Redundancy::default());
    }

    /// The same where tracks may come by several legs, each by an interface of its own.
    pub fn receive_legs(
        &self,
        channel: &Arc<Channel>,
        on: impl Fn(usize) -> Option<String>,
        redundancy: Redundancy,
    ) {
        let sockets = self.sockets();
        let legs = channel.tracks.iter().flat_map(|track| Leg::all_of(track, redundancy, &sockets));
        self.begin(channel, legs, on);
        self.follow(channel);
    }

    /// Begins to receive a channel by these legs.
    pub(super) fn begin(
        &self,
        channel: &Arc<Channel>,
        legs: impl Iterator<Item = Arc<Leg>>,
        on: impl Fn(usize) -> Option<String>,
    ) {
        let mut pass = Pass::default();
        for leg in legs {
            let interface = on(leg.place);
            let joining = Joining::new(channel.clone(), leg, interface);
            joining.begin(&self.sockets, &mut pass);
            self.add(joining);
        }
    }

    /// Times that a leg was to be joined and could not be, each second's attempt one.
    pub fn join_failures(&self) -> u64 {
        self.sockets.join_failures.load(Relaxed)
    }

    /// All legs of tracks that have several.
    pub fn legs(&self, now: Instant) -> Vec<LegStats> {
        self.joinings(|_| true).iter().filter_map(|joining| joining.leg.stats(now)).collect()
    }

    /// All legs of a channel's tracks.
    pub(super) fn joinings_of(&self, channel: &Arc<Channel>) -> Vec<Arc<Joining>> {
        self.joinings(|joining| Arc::ptr_eq(&joining.channel, channel))
    }

    /// All that are received though nobody wants them any more.
    pub(super) fn left_over(&self) -> Vec<Arc<Joining>> {
        let now = clock::now();
        self.joinings(|joining| joining.leg.is_joined() && !joining.is_wanted(now))
    }

    /// Looks at all legs of tracks that have several.
    pub(super) fn watch_legs(&self, now: Instant) {
        self.joinings(|joining| !joining.leg.is_alone())
            .iter()
            .for_each(|joining| joining.watch(&self.sockets, now));
    }

    /// Itself, as legs know it.
    pub(super) fn sockets(&self) -> Weak<dyn Sockets> {
        Arc::downgrade(&self.sockets) as _
    }

    /// All legs of a track.
    fn legs_of(&self, track: &Arc<Track>) -> Vec<Arc<Leg>> {
        let joinings = self.joinings(|joining| Arc::ptr_eq(&joining.leg.track, track));
        joinings.iter().map(|joining| joining.leg.clone()).collect()
    }

    /// The same, and the interface that each is joined on.
    pub(in crate::ingest) fn places_of(&self, track: &Arc<Track>) -> Vec<(Arc<Leg>, Option<u32>)> {
        let legs = self.legs_of(track).into_iter();
        legs.map(|leg| (leg.clone(), self.sockets.place_of(&leg))).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

#[cfg(all(test, not(model)))]
#[path = "receivers_tests.rs"]
mod tests;
