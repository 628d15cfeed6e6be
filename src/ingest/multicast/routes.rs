//! Which tracks a datagram belongs to: by where it was sent and by whom, and by what it is. A port that carries one
//! track's RTCP may carry another one's RTP in the same group, and they are told apart as RFC 5761 section 4 does.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::net::{Group, any_beside};
use crate::relay::{Rhythm, Track};
use crate::wire::rtp;

use super::super::leg::Leg;

/// What a group carries on this port.
#[derive(Clone)]
pub(super) struct Route {
    pub leg: Arc<Leg>,
    pub kind: Kind,
}

impl Route {
    pub fn track(&self) -> &Arc<Track> {
        &self.leg.track
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// RTP, and RTCP too where the track says so (RFC 5761); or a bare transport stream.
    Media,
    Rtcp,
}

/// What is sent to one group, by one source or by any.
#[derive(Default, Clone)]
struct Place {
    /// Where it is any, those who are not meant.
    except: Vec<IpAddr>,
    media: Option<Arc<Leg>>,
    /// Several where descriptions give several tracks one port for reports. A muxed track is here too.
    rtcp: Vec<Arc<Leg>>,
}

/// Whose a datagram is.
#[derive(Clone, Copy)]
pub(super) enum Owner<'r> {
    /// Media of this leg, or what is refused in its name.
    Media(&'r Arc<Leg>),
    /// RTCP of these, or likewise.
    Rtcp(&'r [Arc<Leg>]),
}

/// The routes of one socket.
#[derive(Default, Clone)]
pub(super) struct Routes {
    places: HashMap<(IpAddr, Option<IpAddr>), Place>,
    rhythms: Vec<Arc<Rhythm>>,
}

impl Routes {
    /// `false`: another leg's media has the place, or it is another's who does not mean the same senders. Nor are a group from
    /// one source and from any on one socket: it has one filter for a group, and the kernel turns "any" into "that one"
    /// without a word.
    pub fn insert(&mut self, group: &Group, route: &Route) -> bool {
        let Route { leg, kind } = route;
        let is_otherwise = |(address, from): &(IpAddr, Option<IpAddr>)| {
            *address == group.address && from.is_some() != group.source.is_some()
        };
        if group.address.is_multicast() && self.places.keys().any(is_otherwise) {
            return false;
        }
        let new = || Place { except: group.except.clone(), ..Place::default() };
        let place = self.places.entry((group.address, group.source)).or_insert_with(new);
        if place.except != group.except || (*kind == Kind::Media && place.media.is_some()) {
            return false;
        }
        if *kind == Kind::Media {
            place.media = Some(leg.clone());
        }
        if *kind == Kind::Rtcp || leg.feed.is_muxed() {
            place.rtcp.push(leg.clone());
        }
        let rhythm = leg.track.rtp.rhythm();
        if !self.rhythms.iter().any(|known| Arc::ptr_eq(known, rhythm)) {
            self.rhythms.push(rhythm.clone());
        }
        true
    }

    /// Takes a leg's route out. `true`: nothing is left at its place.
    pub fn remove(&mut self, group: &Group, route: &Route) -> bool {
        let at = (group.address, group.source);
        let Some(place) = self.places.get_mut(&at) else { return false };
        if route.kind == Kind::Media {
            place.media = place.media.take().filter(|leg| !Arc::ptr_eq(leg, &route.leg));
        }
        if route.kind == Kind::Rtcp || route.leg.feed.is_muxed() {
            place.rtcp.retain(|leg| !Arc::ptr_eq(leg, &route.leg));
        }
        let is_empty = place.media.is_none() && place.rtcp.is_empty();
        if is_empty {
            self.places.remove(&at);
        }
        is_empty
    }

    /// Whether something of the group is received, by the same senders.
    pub fn has(&self, group: &Group) -> bool {
        let place = self.places.get(&(group.address, group.source));
        place.is_some_and(|place| place.except == group.except)
    }

    /// Groups and sources.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Those that carry media.
    pub fn streams(&self) -> usize {
        self.places.values().filter(|place| place.media.is_some()).count()
    }

    /// The rhythms that those who are subscribed to any of them go by.
    pub fn rhythms(&self) -> &[Arc<Rhythm>] {
        &self.rhythms
    }

    /// Whose a datagram is that was sent so. `None`: nobody asked for it.
    pub fn find(&self, destination: IpAddr, source: IpAddr, datagram: &[u8]) -> Option<Owner<'_>> {
        let sent_to = |address| {
            let from_one = self.places.get(&(address, Some(source)));
            let from_any = || self.places.get(&(address, None)).filter(|any| !any.except.contains(&source));
            from_one.or_else(from_any)
        };
        let elsewhere = || if destination.is_multicast() { None } else { sent_to(any_beside(destination)) };
        sent_to(destination).or_else(elsewhere).map(|place| place.owner(datagram))
    }
}

impl Place {
    /// What looks like nothing of anyone's is for the one that is there to refuse.
    fn owner(&self, datagram: &[u8]) -> Owner<'_> {
        match &self.media {
            Some(leg) if self.rtcp.is_empty() || !is_rtcp(&leg.track, datagram) => Owner::Media(leg),
            _ => Owner::Rtcp(&self.rtcp),
        }
    }
}

fn is_rtcp(beside: &Track, datagram: &[u8]) -> bool {
    rtp::is_rtcp_beside(datagram, &beside.description.payload_types)
}
