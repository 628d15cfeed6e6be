//! What the program receives by groups.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use crate::event::{Poller, TaskQueue, Timers, lock};
use crate::net::{GroupProtocol, QueueFill};
use crate::relay::{Busy, Channel, Screen, Track};
use crate::wire::rtcp::{Counts, SenderTime};
use crate::wire::rtp::{FIXED_HEADER_LEN, RtpHeader};
use crate::wire::sdp::TrackDescription;

use super::super::leg::Leg;
use super::super::redundancy::{LegStats, Redundancy};
use super::super::standby::Standby;
use super::joinings::Joinings;
use super::looks::Looks;
use super::port_counts::PortStats;
use super::renewals::Renewals;
use super::shared_sockets::SharedSockets;
use super::wanted::Wanted;

/// A look goes on in another task after so long: joins wait for the kernel's lock, and thousands of them would look like
/// a worker that stands still.
const LONGEST_TURN: Duration = Duration::from_millis(100);

/// The receive sockets of the program, and those who see to what is joined on them.
pub struct Receivers {
    sockets: Arc<SharedSockets>,
    joinings: Arc<Joinings>,
    wanted: Arc<Wanted>,
    renewals: Arc<Renewals>,
    pub(super) looks: Arc<Looks>,
    /// What stands by, by channel.
    standbys: Mutex<BTreeMap<String, Arc<Standby>>>,
}

/// Whatever stands by for a channel, as a screen.
struct OfChannel {
    receivers: Weak<Receivers>,
    channel: String,
}

impl OfChannel {
    fn standby(&self) -> Option<Arc<Standby>> {
        lock(&self.receivers.upgrade()?.standbys).get(&self.channel).cloned()
    }
}

impl Screen for OfChannel {
    fn show(
        &self,
        track: usize,
        header: (&RtpHeader, &[u8; FIXED_HEADER_LEN]),
        payload: &[u8],
        now: Instant,
    ) {
        self.standby().iter().for_each(|standby| standby.show(track, header, payload, now));
    }

    fn report(&self, track: usize, time: &SenderTime, counts: Counts, now: Instant) {
        self.standby().iter().for_each(|standby| standby.report(track, time, counts, now));
    }

    fn pass_on(&self, track: usize, now: Instant) {
        self.standby().iter().for_each(|standby| standby.pass_on(track, now));
    }
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
        let sockets = SharedSockets::new(poller, busy, changes);
        let joinings = Joinings::new(sockets.clone(), timers, longest_turn);
        let (wanted, renewals) = (Wanted::new(joinings.clone()), Renewals::new(joinings.clone()));
        let looks = Looks::new(joinings.clone(), wanted.clone(), renewals.clone());
        Arc::new(Self { sockets, joinings, wanted, renewals, looks, standbys: Mutex::default() })
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
        let sockets = self.joinings.sockets();
        let tracks = channel.tracks.iter();
        let legs = tracks.map(|track| Leg::by(track, &track.description, redundancy, &sockets));
        let legs = self.stand_by(channel, legs);
        self.joinings.begin(channel, legs.into_iter(), on);
        self.wanted.follow(channel);
        self.looks.start();
    }

    /// Receives a channel's tracks from where these come from now on, of which each has as many feeds. What the stream has left
    /// out on its way is no loss.
    pub fn receive_elsewhere(
        &self,
        channel: &Arc<Channel>,
        tracks: &[TrackDescription],
        on: impl Fn(usize) -> Option<String>,
        redundancy: Redundancy,
    ) {
        self.forget(channel);
        let both = || channel.tracks.iter().zip(tracks);
        for (track, from) in both() {
            track.pause();
            track.comes_from(&from.feeds);
        }
        let sockets = self.joinings.sockets();
        let legs = both().map(|(track, from)| Leg::by(track, from, redundancy, &sockets));
        let legs = self.stand_by(channel, legs);
        self.joinings.begin(channel, legs.into_iter(), on);
    }

    /// Remembers what stands by for legs.
    fn stand_by(
        &self,
        channel: &Channel,
        legs: impl Iterator<Item = (Vec<Arc<Leg>>, Option<Arc<Standby>>)>,
    ) -> Vec<Arc<Leg>> {
        let (legs, standbys): (Vec<_>, Vec<_>) = legs.unzip();
        if let Some(standby) = standbys.into_iter().flatten().next() {
            lock(&self.standbys).insert(channel.name.clone(), standby);
        }
        legs.into_iter().flatten().collect()
    }

    /// Where what stands by for a channel is shown: on whatever stands by for it then.
    pub fn standby(self: &Arc<Self>, channel: &str) -> Arc<dyn Screen> {
        Arc::new(OfChannel { receivers: Arc::downgrade(self), channel: channel.to_owned() })
    }

    /// Receives a channel no longer.
    pub fn forget(&self, channel: &Arc<Channel>) {
        lock(&self.standbys).remove(&channel.name);
        self.joinings.forget(channel);
    }

    /// Joins the groups of a silent track again, unless something of it comes, to whatever track. A switch may have
    /// forgotten who listens.
    pub fn renew(&self, track: &Arc<Track>, now: Instant) {
        self.joinings.renew(track, now);
    }

    /// Tells the network of a channel's groups so often, whether or not anybody asks.
    pub fn renew_each(&self, channel: &Arc<Channel>, every: Duration) {
        self.renewals.renew_each(channel, every);
    }

    /// Leaves all groups and closes the sockets.
    pub fn stop(&self) {
        self.looks.stop();
        self.joinings.clear();
        self.sockets.close();
    }

    /// Groups that were joined on a socket; one that is there for another track already is none.
    pub fn joins(&self) -> u64 {
        self.sockets.joins.load(Relaxed)
    }

    /// Times that a leg was to be joined and could not be, each second's attempt one.
    pub fn join_failures(&self) -> u64 {
        self.sockets.join_failures.load(Relaxed)
    }

    /// Times that a silent group was joined again.
    pub fn renewals(&self) -> u64 {
        self.sockets.renewals.load(Relaxed)
    }

    /// Groups that the network was told of again without being left.
    pub fn retold(&self) -> u64 {
        self.renewals.told.load(Relaxed)
    }

    /// By which protocol each network is told of groups, by the name of its interface.
    pub fn spoken(&self) -> Vec<(String, GroupProtocol)> {
        self.looks.networks.spoken()
    }

    /// What every port did not take.
    pub fn stats(&self) -> Vec<PortStats> {
        self.sockets.counts.read()
    }

    /// How full the kernel's receive queues are, by port, of its sockets the fullest one.
    pub fn queues(&self) -> BTreeMap<u16, QueueFill> {
        let receivers = self.sockets.state().receivers.clone();
        let mut fullest = BTreeMap::<u16, QueueFill>::new();
        for (port, fill) in receivers.iter().filter_map(|receiver| Some((receiver.port, receiver.fill()?))) {
            let known = fullest.entry(port).or_insert(fill);
            if fill.bytes > known.bytes {
                *known = fill;
            }
        }
        fullest
    }

    /// All legs of tracks that have several.
    pub fn legs(&self, now: Instant) -> Vec<LegStats> {
        let joinings = self.joinings.those(|_| true);
        let sent = joinings.iter().filter_map(|joining| joining.leg.stats(now));
        sent.chain(lock(&self.standbys).values().map(|standby| standby.stats(now))).collect()
    }

    /// All legs of a track, and the interface that each is joined on.
    pub(in crate::ingest) fn places_of(&self, track: &Arc<Track>) -> Vec<(Arc<Leg>, Option<u32>)> {
        let legs = self.joinings.legs_of(track).into_iter();
        legs.map(|leg| (leg.clone(), self.sockets.place_of(&leg))).collect()
    }

    /// The queue of control tasks.
    pub(in crate::ingest) fn queue(&self) -> &Arc<TaskQueue> {
        self.joinings.queue()
    }
}

#[cfg(all(test, not(model)))]
#[path = "receivers_tests.rs"]
mod tests;
