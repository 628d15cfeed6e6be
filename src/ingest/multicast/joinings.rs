//! All legs that are to be received, and the turns of those who see to them.

use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

use crate::event::{Class, TaskQueue, Timers, clock, lock};
use crate::relay::{Channel, Track};

use super::super::leg::Leg;
use super::super::merging::Sockets;
use super::joining::{Joining, Pass};
use super::shared_sockets::SharedSockets;

/// All of them.
pub(super) struct Joinings {
    pub sockets: Arc<SharedSockets>,
    pub timers: Arc<Timers>,
    longest_turn: Duration,
    list: Mutex<List>,
}

#[derive(Default)]
struct List {
    all: Vec<Arc<Joining>>,
    /// The next of them that is looked at.
    next: usize,
}

impl Joinings {
    /// None yet. Who sees to them lets others go before after so long.
    pub fn new(sockets: Arc<SharedSockets>, timers: Arc<Timers>, longest_turn: Duration) -> Arc<Self> {
        Arc::new(Self { sockets, timers, longest_turn, list: Mutex::default() })
    }

    /// Begins to receive a channel by these legs.
    pub fn begin(
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
            self.list().all.push(joining);
        }
    }

    /// Receives a channel no longer.
    pub fn forget(&self, channel: &Arc<Channel>) {
        let own = self.of(channel);
        self.list().all.retain(|joining| !Arc::ptr_eq(&joining.channel, channel));
        own.iter().for_each(|joining| joining.end(&self.sockets));
    }

    /// Sees to none any more.
    pub fn clear(&self) {
        self.list().all.clear();
    }

    /// Those that are asked for.
    pub fn those(&self, is_asked_for: impl Fn(&&Arc<Joining>) -> bool) -> Vec<Arc<Joining>> {
        self.list().all.iter().filter(is_asked_for).cloned().collect()
    }

    /// All legs of a channel's tracks.
    pub fn of(&self, channel: &Arc<Channel>) -> Vec<Arc<Joining>> {
        self.those(|joining| Arc::ptr_eq(&joining.channel, channel))
    }

    /// All that are received though nobody wants them any more.
    pub fn left_over(&self) -> Vec<Arc<Joining>> {
        let now = clock::now();
        self.those(|joining| joining.leg.is_joined() && !joining.is_wanted(now))
    }

    /// The next leg of the look that is under way. It is passed even if looking at it fails.
    pub fn next(&self) -> Option<Arc<Joining>> {
        let mut list = self.list();
        let joining = list.all.get(list.next).cloned();
        list.next = if joining.is_some() { list.next + 1 } else { 0 };
        joining
    }

    /// The channel of one that is joined and silent.
    pub fn silent(&self) -> Option<String> {
        let list = self.list();
        let tracks = list.all.iter().map(|joining| (&joining.channel, &joining.leg.track));
        let mut silent = tracks.filter(|(_, track)| track.is_joined() && track.is_silent());
        silent.next().map(|(channel, _)| channel.name.clone())
    }

    /// All legs of a track.
    pub fn legs_of(&self, track: &Arc<Track>) -> Vec<Arc<Leg>> {
        let joinings = self.those(|joining| Arc::ptr_eq(&joining.leg.track, track));
        joinings.iter().map(|joining| joining.leg.clone()).collect()
    }

    /// Joins the groups of a silent track again, unless something of it comes, to whatever track.
    pub fn renew(&self, track: &Arc<Track>, now: Instant) {
        self.legs_of(track).iter().for_each(|leg| self.sockets.renew(leg, now));
    }

    /// Looks at all legs of tracks that have several.
    pub fn watch_legs(&self, now: Instant) {
        let several = self.those(|joining| !joining.leg.is_alone());
        several.iter().for_each(|joining| joining.watch(&self.sockets, now));
    }

    /// The sockets, as legs know them.
    pub fn sockets(&self) -> Weak<dyn Sockets> {
        Arc::downgrade(&self.sockets) as _
    }

    /// When a task that begins now lets others go before.
    pub fn turn_ends(&self) -> Instant {
        clock::now() + self.longest_turn
    }

    /// The queue of these tasks.
    pub fn queue(&self) -> &Arc<TaskQueue> {
        self.sockets.poller.queue(Class::Control)
    }

    fn list(&self) -> MutexGuard<'_, List> {
        lock(&self.list)
    }
}
