//! Which tracks a datagram belongs to: by where it was sent and by whom, and by what it is. A port that carries one
//! track's RTCP may carry another one's RTP in the same group, and they are told apart as RFC 5761 section 4 does.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::relay::{Rhythm, Track};
use crate::wire::rtp;

/// What a group carries on this port.
#[derive(Clone)]
pub(super) struct Route {
    pub track: Arc<Track>,
    pub kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// RTP, and RTCP too where the track says so (RFC 5761).
    Rtp,
    Rtcp,
}

/// What is sent to one group, by one source or by any.
#[derive(Default, Clone)]
struct Place {
    rtp: Option<Arc<Track>>,
    /// Several where descriptions give several tracks one port for reports. A muxed track is here too.
    rtcp: Vec<Arc<Track>>,
}

/// Whose a datagram is.
#[derive(Clone, Copy)]
pub(super) enum Owner<'r> {
    /// RTP of this track, or what is refused in its name.
    Rtp(&'r Arc<Track>),
    /// RTCP of these, or likewise.
    Rtcp(&'r [Arc<Track>]),
}

/// The routes of one socket.
#[derive(Default, Clone)]
pub(super) struct Routes {
    places: HashMap<(IpAddr, Option<IpAddr>), Place>,
    rhythms: Vec<Arc<Rhythm>>,
}

impl Routes {
    /// `false`: another track's RTP has the place; or the group is taken here from one source, and is to be from any, or the
    /// other way round. A socket has one filter for a group, and the kernel turns "any" into "that one" without a word.
    pub fn insert(&mut self, group: IpAddr, source: Option<IpAddr>, route: &Route) -> bool {
        let Route { track, kind } = route;
        if self.places.keys().any(|(of, from)| *of == group && from.is_some() != source.is_some()) {
            return false;
        }
        let place = self.places.entry((group, source)).or_default();
        if *kind == Kind::Rtp && place.rtp.is_some() {
            return false;
        }
        if *kind == Kind::Rtp {
            place.rtp = Some(track.clone());
        }
        if *kind == Kind::Rtcp || track.is_muxed() {
            place.rtcp.push(track.clone());
        }
        let rhythm = track.rtp.rhythm();
        if !self.rhythms.iter().any(|known| Arc::ptr_eq(known, rhythm)) {
            self.rhythms.push(rhythm.clone());
        }
        true
    }

    /// Takes a track's route out. `true`: nothing is left at its place.
    pub fn remove(&mut self, group: IpAddr, source: Option<IpAddr>, route: &Route) -> bool {
        let Some(place) = self.places.get_mut(&(group, source)) else { return false };
        let is_other = |track: &Arc<Track>| !Arc::ptr_eq(track, &route.track);
        if route.kind == Kind::Rtp {
            place.rtp = place.rtp.take().filter(is_other);
        }
        if route.kind == Kind::Rtcp || route.track.is_muxed() {
            place.rtcp.retain(is_other);
        }
        let is_empty = place.rtp.is_none() && place.rtcp.is_empty();
        if is_empty {
            self.places.remove(&(group, source));
        }
        is_empty
    }

    /// Whether something of the group is received, by that source.
    pub fn has(&self, group: IpAddr, source: Option<IpAddr>) -> bool {
        self.places.contains_key(&(group, source))
    }

    /// Groups and sources.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Those that carry RTP.
    pub fn streams(&self) -> usize {
        self.places.values().filter(|place| place.rtp.is_some()).count()
    }

    /// The rhythms that those who are subscribed to any of them go by.
    pub fn rhythms(&self) -> &[Arc<Rhythm>] {
        &self.rhythms
    }

    /// Whose a datagram is that was sent so. `None`: nobody asked for it.
    pub fn find(&self, destination: IpAddr, source: IpAddr, datagram: &[u8]) -> Option<Owner<'_>> {
        let place = self.places.get(&(destination, Some(source)));
        place.or_else(|| self.places.get(&(destination, None))).map(|place| place.owner(datagram))
    }
}

impl Place {
    /// What looks like nothing of anyone's is for the one that is there to refuse.
    fn owner(&self, datagram: &[u8]) -> Owner<'_> {
        match &self.rtp {
            Some(track) if self.rtcp.is_empty() || !is_rtcp(track, datagram) => Owner::Rtp(track),
            _ => Owner::Rtcp(&self.rtcp),
        }
    }
}

fn is_rtcp(beside: &Track, datagram: &[u8]) -> bool {
    rtp::is_rtcp_beside(datagram, &beside.description.payload_types)
}
