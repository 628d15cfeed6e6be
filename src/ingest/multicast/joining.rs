//! Where a leg is to be received, found anew each time: interfaces come and go, and routes move.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, Weak};
use std::time::Instant;

use crate::event::{clock, lock};
use crate::net::{RouteAsker, interface_index, interface_is_there};
use crate::relay::{Channel, Track};

use super::super::leg::Leg;
use super::super::leg_watch::LegWatch;
use super::super::merging::Sockets;
use super::super::redundancy::{LegStats, Redundancy};
use super::receivers::Receivers;

/// A leg of a track, and where it is to be received.
pub(super) struct Joining {
    pub channel: Arc<Channel>,
    pub leg: Arc<Leg>,
    /// An interface's name or address; the kernel's route where absent.
    pub interface: Option<String>,
    /// Whether the log has it joined; nothing was told of it since it is wanted where absent. Locked by the one who sees to it.
    pub told_joined: Mutex<Option<bool>>,
    watch: Mutex<LegWatch>,
    /// It is to be received no longer. Written with that in hand.
    is_over: AtomicBool,
}

/// What was found in one pass over all legs: each interface and route is looked up once, and told of once.
#[derive(Default)]
pub(super) struct Pass {
    /// Whether it is looked where they belong that are joined.
    pub is_anew: bool,
    /// Where each leg is joined as the pass begins, and whether there is such an interface.
    joined_on: HashMap<usize, u32>,
    there: HashMap<u32, bool>,
    by_name: HashMap<String, Result<u32, String>>,
    by_route: HashMap<IpAddr, Result<u32, String>>,
    routes: RouteAsker,
    found: BTreeMap<(String, What), (usize, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Lost,
    Moved,
    Mended,
    Joined,
    /// By somebody, on demand.
    Wanted,
    Unwanted,
    /// It is wanted, and can not be joined.
    InVain,
}

impl Joining {
    pub fn new(channel: Arc<Channel>, leg: Arc<Leg>, interface: Option<String>) -> Arc<Self> {
        let (told_joined, watch, is_over) = (Mutex::default(), Mutex::default(), AtomicBool::new(false));
        Arc::new(Self { channel, leg, interface, told_joined, watch, is_over })
    }

    /// Leaves for good: whoever still has it joins no more.
    pub fn end(&self, receivers: &Receivers) {
        let _told = lock(&self.told_joined);
        self.is_over.store(true, Relaxed);
        receivers.leave(&self.leg, None);
    }

    fn is_wanted(&self, now: Instant) -> bool {
        !self.is_over.load(Relaxed) && self.channel.demand.is_there(now)
    }

    /// Joins for the first time, unless somebody is waited for who wants it.
    pub fn begin(&self, receivers: &Receivers, pass: &mut Pass) {
        let mut told = lock(&self.told_joined);
        if !self.is_wanted(clock::now()) {
            return;
        }
        let place = pass.interface(self);
        let joined = self.join(receivers, place);
        *told = Some(joined.is_ok());
        let (channel, track) = (&self.channel.name, self.leg.track.number);
        match joined {
            Ok(()) => {
                let interface = receivers.interface_of(&self.leg);
                tracing::info!(channel, track, group = %self.leg.feed.group, interface, "joined");
            }
            Err(error) => tracing::warn!(channel, track, "not received yet, and tried again: {error}"),
        }
    }

    /// Joins where it is to be joined by now, and leaves where it was, or where nobody wants it. Who is to be joined on demand
    /// waits for his turn.
    pub fn follow(&self, receivers: &Receivers, pass: &mut Pass) {
        let mut told = lock(&self.told_joined);
        let (leg, demand, now) = (&self.leg, &self.channel.demand, clock::now());
        let was_joined = leg.is_joined();
        if !self.is_wanted(now) {
            if receivers.place_of(leg).is_some() && self.may_leave(receivers, now) {
                receivers.leave(leg, None);
                pass.note(self, receivers, What::Unwanted, String::new());
                *told = None;
            }
            return;
        }
        if !was_joined && demand.is_needed() {
            return receivers.want(&self.channel);
        }
        if was_joined && !pass.is_anew {
            return;
        }
        let place = pass.interface(self);
        if was_joined && pass.stays(leg, place.as_ref().ok(), receivers) {
            return;
        }
        let joined = self.join(receivers, place);
        match (told.replace(joined.is_ok()), joined) {
            (Some(true), Ok(())) if was_joined => pass.note(self, receivers, What::Moved, String::new()),
            (Some(true), Ok(())) => pass.note(self, receivers, What::Mended, String::new()),
            (_, Ok(())) => pass.note(self, receivers, What::Joined, String::new()),
            (Some(true), Err(error)) => {
                receivers.leave(leg, None);
                pass.note(self, receivers, What::Lost, error);
            }
            (_, Err(_)) => {}
        }
    }

    /// Joins what is wanted on demand. `Err`: not before that, for too much has changed just now.
    pub fn want(&self, receivers: &Receivers, pass: &mut Pass) -> Result<(), Instant> {
        let mut told = lock(&self.told_joined);
        let (leg, now) = (&self.leg, clock::now());
        if leg.is_joined() || !self.is_wanted(now) {
            return Ok(());
        }
        let place = pass.interface(self);
        let is_change = place.is_ok() && self.changes_membership();
        if is_change {
            receivers.changes.take(now)?;
        }
        if receivers.place_of(leg).is_none() && !leg.track.is_joined() {
            leg.track.pause(); // a last packet may have come as it was left
        }
        let joined = self.join(receivers, place);
        if joined.is_err() && is_change {
            receivers.changes.give_back();
        }
        match (told.replace(joined.is_ok()), joined) {
            (Some(false), Ok(())) => pass.note(self, receivers, What::Joined, String::new()),
            (_, Ok(())) => pass.note(self, receivers, What::Wanted, String::new()),
            (Some(false), Err(_)) => {}
            (_, Err(error)) => pass.note(self, receivers, What::InVain, error),
        }
        Ok(())
    }

    /// Leaves what nobody wants, at once: others have no room otherwise. `Err`: not before that.
    pub fn make_way(&self, receivers: &Receivers, pass: &mut Pass) -> Result<(), Instant> {
        let mut told = lock(&self.told_joined);
        let now = clock::now();
        if self.is_wanted(now) || receivers.place_of(&self.leg).is_none() {
            return Ok(());
        }
        if self.changes_membership() {
            receivers.changes.take(now)?;
        }
        receivers.leave(&self.leg, None);
        pass.note(self, receivers, What::Unwanted, String::new());
        *told = None;
        Ok(())
    }

    /// Looks at a leg that is one of several. What is silent while other legs bring something is joined again.
    fn watch(&self, receivers: &Receivers, now: Instant) {
        let Self { channel, leg, .. } = self;
        let news = lock(&self.watch).look(leg, channel.silent_after, now);
        news.iter().for_each(|news| news.tell(leg, || receivers.interface_of(leg)));
        if leg.is_silent() && leg.is_joined() && !leg.track.is_silent() {
            receivers.renew_leg(leg, now);
        }
    }

    fn may_leave(&self, receivers: &Receivers, now: Instant) -> bool {
        !self.changes_membership() || receivers.changes.take_spare(now).is_ok()
    }

    /// What is sent to an address is told to nobody.
    fn changes_membership(&self) -> bool {
        self.leg.feed.group.is_multicast()
    }

    fn join(&self, receivers: &Receivers, place: Result<u32, String>) -> Result<(), String> {
        let joined = place.and_then(|interface| {
            receivers.leave(&self.leg, Some(interface));
            receivers.open(&self.leg, interface).map_err(|error| error.to_string())
        });
        receivers.join_failures.fetch_add(u64::from(joined.is_err()), Relaxed);
        joined
    }
}

impl Receivers {
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
            joining.begin(self, &mut pass);
            self.add(joining);
        }
    }

    /// Times that a leg was to be joined and could not be, each second's attempt one.
    pub fn join_failures(&self) -> u64 {
        self.join_failures.load(Relaxed)
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
        self.joinings(|joining| !joining.leg.is_alone()).iter().for_each(|joining| joining.watch(self, now));
    }

    /// Itself, as legs know it.
    pub(super) fn sockets(&self) -> Weak<dyn Sockets> {
        self.this.clone()
    }

    /// All legs of a track.
    pub(in crate::ingest) fn legs_of(&self, track: &Arc<Track>) -> Vec<Arc<Leg>> {
        let joinings = self.joinings(|joining| Arc::ptr_eq(&joining.leg.track, track));
        joinings.iter().map(|joining| joining.leg.clone()).collect()
    }
}

impl Sockets for Receivers {
    fn take_in(&self, track: &Arc<Track>, done: &Arc<dyn Send + Sync>) {
        let state = self.state();
        let (intakes, receivers) = (state.intakes.clone(), state.memberships.receivers_of(track));
        drop(state);
        for receiver in receivers {
            if let Some(intake) = intakes.get(receiver.intake) {
                intake.take_in_of(receiver, done.clone());
            }
        }
    }
}

impl Pass {
    /// A pass over legs that are joined so.
    pub fn over(joined_on: HashMap<usize, u32>, is_anew: bool) -> Self {
        Self { joined_on, is_anew, ..Self::default() }
    }

    /// Whether a joined leg is where it is to be. Where nothing leads for the moment, as between two routes or
    /// while an interface has no address, it stays as long as there is that interface.
    fn stays(&mut self, leg: &Arc<Leg>, place: Option<&u32>, receivers: &Receivers) -> bool {
        let before = self.joined_on.get(&Arc::as_ptr(leg).addr()).copied();
        // It may have been joined since.
        let Some(on) = before.or_else(|| receivers.place_of(leg)) else { return false };
        match place {
            Some(index) => *index == on,
            None => *self.there.entry(on).or_insert_with(|| interface_is_there(on)),
        }
    }

    fn interface(&mut self, joining: &Joining) -> Result<u32, String> {
        let group = joining.leg.feed.group;
        let own = Some(group).filter(|group| !group.is_multicast()).map(|own| own.to_string());
        let found = match own.as_ref().or(joining.interface.as_ref()) {
            // Any address of this machine.
            Some(_) if group.is_unspecified() => return Ok(0),
            Some(name) => self
                .by_name
                .entry(name.clone())
                .or_insert_with(|| interface_index(name).map_err(|error| error.to_string())),
            None => self
                .by_route
                .entry(group)
                .or_insert_with(|| self.routes.interface_towards(group).map_err(|error| error.to_string())),
        };
        found.clone()
    }

    fn note(&mut self, joining: &Joining, receivers: &Receivers, what: What, error: String) {
        let named = || joining.interface.clone().unwrap_or_else(|| "by route".to_owned());
        let interface = receivers.interface_of(&joining.leg).unwrap_or_else(named);
        self.found.entry((interface, what)).or_insert((0, error)).0 += 1;
    }

    /// What it would tell.
    #[cfg(test)]
    pub fn noted(&self) -> Vec<String> {
        self.found.keys().map(|(_, what)| format!("{what:?}")).collect()
    }

    /// Tells the log of what has changed, in one line for each interface.
    pub fn tell(self) {
        for ((interface, what), (tracks, error)) in self.found {
            match what {
                What::Lost => tracing::warn!(
                    interface,
                    tracks,
                    "groups are joined no longer, and again as soon as they can be: {error}"
                ),
                What::Moved => tracing::warn!(
                    interface,
                    tracks,
                    "the interface was replaced, or the route leads elsewhere: joined there"
                ),
                What::Mended => {
                    tracing::warn!(interface, tracks, "a renewal had failed, or the socket: joined again")
                }
                What::Joined => tracing::info!(interface, tracks, "joined"),
                What::Wanted => tracing::debug!(interface, tracks, "joined on demand"),
                What::Unwanted => tracing::debug!(interface, tracks, "left, since nobody wants them"),
                What::InVain => {
                    tracing::warn!(interface, tracks, "wanted and not received, and tried again: {error}")
                }
            }
        }
    }
}
