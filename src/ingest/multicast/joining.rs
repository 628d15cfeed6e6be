//! Where a leg is to be received, found anew each time: interfaces come and go, and routes move.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use crate::event::{clock, lock};
use crate::net::{RouteAsker, interface_index, interface_is_there};
use crate::relay::Channel;

use super::super::leg::Leg;
use super::super::leg_watch::LegWatch;
use super::shared_sockets::SharedSockets;

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
    pub fn end(&self, sockets: &SharedSockets) {
        let _told = lock(&self.told_joined);
        self.is_over.store(true, Relaxed);
        sockets.leave(&self.leg, None);
    }

    pub fn is_wanted(&self, now: Instant) -> bool {
        !self.is_over.load(Relaxed) && self.channel.demand.is_there(now)
    }

    /// Joins for the first time, unless somebody is waited for who wants it.
    pub fn begin(&self, sockets: &SharedSockets, pass: &mut Pass) {
        let mut told = lock(&self.told_joined);
        if !self.is_wanted(clock::now()) {
            return;
        }
        let place = pass.interface(self);
        let joined = self.join(sockets, place);
        *told = Some(joined.is_ok());
        let (channel, track) = (&self.channel.name, self.leg.track.number);
        match joined {
            Ok(()) => {
                let interface = sockets.interface_of(&self.leg);
                tracing::info!(channel, track, group = %self.leg.feed.group, interface, "joined");
            }
            Err(error) => tracing::warn!(channel, track, "not received yet, and tried again: {error}"),
        }
    }

    /// Joins where it is to be joined by now, and leaves where it was, or where nobody wants it. `true`: it is wanted on demand,
    /// and waits for its turn.
    pub fn follow(&self, sockets: &SharedSockets, pass: &mut Pass) -> bool {
        let mut told = lock(&self.told_joined);
        let (leg, demand, now) = (&self.leg, &self.channel.demand, clock::now());
        let was_joined = leg.is_joined();
        if !self.is_wanted(now) {
            if sockets.place_of(leg).is_some() && self.may_leave(sockets, now) {
                self.leave(sockets);
                pass.note(self, sockets, What::Unwanted, String::new());
                *told = None;
            }
            return false;
        }
        if !was_joined && demand.is_needed() {
            return true;
        }
        if was_joined && !pass.is_anew {
            return false;
        }
        let place = pass.interface(self);
        if was_joined && pass.stays(leg, place.as_ref().ok(), sockets) {
            return false;
        }
        let joined = self.join(sockets, place);
        match (told.replace(joined.is_ok()), joined) {
            (Some(true), Ok(())) if was_joined => pass.note(self, sockets, What::Moved, String::new()),
            (Some(true), Ok(())) => pass.note(self, sockets, What::Mended, String::new()),
            (_, Ok(())) => pass.note(self, sockets, What::Joined, String::new()),
            (Some(true), Err(error)) => {
                sockets.leave(leg, None);
                pass.note(self, sockets, What::Lost, error);
            }
            (_, Err(_)) => {}
        }
        false
    }

    /// Joins what is wanted on demand. `Err`: not before that, for too much has changed just now.
    pub fn want(&self, sockets: &SharedSockets, pass: &mut Pass) -> Result<(), Instant> {
        let mut told = lock(&self.told_joined);
        let (leg, now) = (&self.leg, clock::now());
        if leg.is_joined() || !self.is_wanted(now) {
            return Ok(());
        }
        let place = pass.interface(self);
        let is_change = place.is_ok() && self.changes_membership();
        if is_change {
            sockets.changes.take(now)?;
        }
        if sockets.place_of(leg).is_none() && !leg.track.is_joined() {
            leg.track.pause(); // a last packet may have come as it was left
        }
        let joined = self.join(sockets, place);
        if joined.is_err() && is_change {
            sockets.changes.give_back();
        }
        match (told.replace(joined.is_ok()), joined) {
            (Some(false), Ok(())) => pass.note(self, sockets, What::Joined, String::new()),
            (_, Ok(())) => pass.note(self, sockets, What::Wanted, String::new()),
            (Some(false), Err(_)) => {}
            (_, Err(error)) => pass.note(self, sockets, What::InVain, error),
        }
        Ok(())
    }

    /// Leaves what nobody wants, at once: others have no room otherwise. `Err`: not before that.
    pub fn make_way(&self, sockets: &SharedSockets, pass: &mut Pass) -> Result<(), Instant> {
        let mut told = lock(&self.told_joined);
        let now = clock::now();
        if self.is_wanted(now) || sockets.place_of(&self.leg).is_none() {
            return Ok(());
        }
        if self.changes_membership() {
            sockets.changes.take(now)?;
        }
        self.leave(sockets);
        pass.note(self, sockets, What::Unwanted, String::new());
        *told = None;
        Ok(())
    }

    /// Leaves it: who comes before it is joined again begins with what comes then.
    fn leave(&self, sockets: &SharedSockets) {
        sockets.leave(&self.leg, None);
        if !self.leg.track.is_joined() {
            self.leg.track.pause();
        }
    }

    /// Looks at a leg that is one of several. What is silent while other legs bring something is joined again.
    pub fn watch(&self, sockets: &SharedSockets, now: Instant) {
        let Self { channel, leg, .. } = self;
        let news = lock(&self.watch).look(leg, channel.silent_after, now);
        news.iter().for_each(|news| news.tell(leg, || sockets.interface_of(leg)));
        if leg.is_silent() && leg.is_joined() && !leg.track.is_silent() {
            sockets.renew(leg, now);
        }
    }

    fn may_leave(&self, sockets: &SharedSockets, now: Instant) -> bool {
        !self.changes_membership() || sockets.changes.take_spare(now).is_ok()
    }

    /// What is sent to an address is told to nobody.
    fn changes_membership(&self) -> bool {
        self.leg.feed.group.is_multicast()
    }

    fn join(&self, sockets: &SharedSockets, place: Result<u32, String>) -> Result<(), String> {
        let joined = place.and_then(|interface| {
            sockets.leave(&self.leg, Some(interface));
            sockets.open(&self.leg, interface).map_err(|error| error.to_string())
        });
        sockets.join_failures.fetch_add(u64::from(joined.is_err()), Relaxed);
        joined
    }
}

impl Pass {
    /// A pass over legs that are joined so.
    pub fn over(joined_on: HashMap<usize, u32>, is_anew: bool) -> Self {
        Self { joined_on, is_anew, ..Self::default() }
    }

    /// Whether a joined leg is where it is to be. Where nothing leads for the moment, as between two routes or
    /// while an interface has no address, it stays as long as there is that interface.
    fn stays(&mut self, leg: &Arc<Leg>, place: Option<&u32>, sockets: &SharedSockets) -> bool {
        let before = self.joined_on.get(&Arc::as_ptr(leg).addr()).copied();
        // It may have been joined since.
        let Some(on) = before.or_else(|| sockets.place_of(leg)) else { return false };
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

    fn note(&mut self, joining: &Joining, sockets: &SharedSockets, what: What, error: String) {
        let named = || joining.interface.clone().unwrap_or_else(|| "by route".to_owned());
        let interface = sockets.interface_of(&joining.leg).unwrap_or_else(named);
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
