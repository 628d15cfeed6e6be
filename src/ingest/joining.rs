//! Where a track is to be received, found anew each time: interfaces come and go, and routes move.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, Weak};

use crate::event::{Work, clock, lock};
use crate::net::{RouteAsker, interface_index, interface_is_there};
use crate::relay::{Channel, Track};

use super::leg::Leg;
use super::receivers::Receivers;

/// A track's leg, and where it is to be received.
pub(super) struct Joining {
    pub channel: Arc<Channel>,
    pub leg: Arc<Leg>,
    /// An interface's name or address; the kernel's route where absent.
    pub interface: Option<String>,
    /// Whether the log has it joined; nothing was told of it since it is wanted where absent. Locked by the one who sees to it.
    pub told_joined: Mutex<Option<bool>>,
}

/// What was found in one pass over all tracks: each interface and route is looked up once, and told of once.
#[derive(Default)]
pub(super) struct Pass {
    /// Where each track is joined as the pass begins, and whether there is such an interface.
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
    /// Joins for the first time, unless somebody is waited for who wants it.
    pub fn begin(&self, receivers: &Receivers, pass: &mut Pass) {
        let mut told = lock(&self.told_joined);
        if !self.channel.demand.is_there(clock::now()) {
            return;
        }
        let place = pass.interface(self);
        let joined = place.and_then(|index| self.join(receivers, index));
        *told = Some(joined.is_ok());
        let (channel, track) = (&self.channel.name, self.leg.track.number);
        match joined {
            Ok(()) => tracing::info!(channel, track, group = %self.leg.track.description.group, "joined"),
            Err(error) => tracing::warn!(channel, track, "not received yet, and tried again: {error}"),
        }
    }

    /// Joins where it is to be joined by now, and leaves where it was, or where nobody wants it.
    pub fn follow(&self, receivers: &Receivers, pass: &mut Pass) {
        let mut told = lock(&self.told_joined);
        let (track, demand) = (&self.leg.track, &self.channel.demand);
        let was_joined = track.is_joined();
        let now = clock::now();
        if !demand.is_there(now) {
            *told = None;
            if was_joined && receivers.changes.take_spare(now).is_ok() {
                receivers.leave(track, None);
                track.pause();
                pass.note(self, What::Unwanted, String::new());
            }
            return;
        }
        let place = pass.interface(self);
        if was_joined && pass.stays(track, place.as_ref().ok()) {
            return;
        }
        if !was_joined
            && demand.is_needed()
            && place.is_ok()
            && let Err(at) = receivers.changes.take(now)
        {
            return receivers.want_later(&self.channel, at);
        }
        let joined = place.and_then(|index| self.join(receivers, index));
        match (told.replace(joined.is_ok()), joined) {
            (Some(true), Ok(())) if was_joined => pass.note(self, What::Moved, String::new()),
            (Some(true), Ok(())) => pass.note(self, What::Mended, String::new()),
            (Some(false), Ok(())) => pass.note(self, What::Joined, String::new()),
            (None, Ok(())) => pass.note(self, What::Wanted, String::new()),
            (Some(true), Err(error)) => {
                receivers.leave(track, None);
                pass.note(self, What::Lost, error);
            }
            (None, Err(error)) => pass.note(self, What::InVain, error),
            (Some(false), Err(_)) => {}
        }
    }

    fn join(&self, receivers: &Receivers, interface: u32) -> Result<(), String> {
        receivers.leave(&self.leg.track, Some(interface));
        receivers.open(&self.leg, interface).map_err(|error| error.to_string())
    }
}

/// Somebody wants a channel that is joined on demand.
pub(super) struct Wanted {
    receivers: Weak<Receivers>,
    channel: Weak<Channel>,
}

impl Wanted {
    pub fn new(receivers: &Weak<Receivers>, channel: &Arc<Channel>) -> Arc<Self> {
        Arc::new(Self { receivers: receivers.clone(), channel: Arc::downgrade(channel) })
    }
}

impl Work for Wanted {
    fn run(self: Arc<Self>) {
        let Some((receivers, channel)) = self.receivers.upgrade().zip(self.channel.upgrade()) else { return };
        let (joinings, mut pass) = receivers.joinings_of(&channel);
        joinings.iter().for_each(|joining| joining.follow(&receivers, &mut pass));
        pass.tell();
    }

    /// The next look joins it.
    fn close(self: Arc<Self>) {}
}

impl Pass {
    /// A pass over tracks that are joined so.
    pub fn over(joined_on: HashMap<usize, u32>) -> Self {
        Self { joined_on, ..Self::default() }
    }

    /// Whether a joined track is where it is to be. Where nothing leads for the moment, as between two routes or
    /// while an interface has no address, it stays as long as there is that interface.
    fn stays(&mut self, track: &Arc<Track>, place: Option<&u32>) -> bool {
        let Some(on) = self.joined_on.get(&Arc::as_ptr(track).addr()) else { return false };
        match place {
            Some(index) => index == on,
            None => *self.there.entry(*on).or_insert_with(|| interface_is_there(*on)),
        }
    }

    fn interface(&mut self, joining: &Joining) -> Result<u32, String> {
        let group = joining.leg.track.description.group;
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

    fn note(&mut self, joining: &Joining, what: What, error: String) {
        let interface = joining.interface.clone().unwrap_or_else(|| "by route".to_owned());
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
