//! Which track a datagram belongs to, by where it was sent and by whom.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::relay::{Rhythm, Track};

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

/// The routes of one socket. A route with a source (SSM) goes before one for any source.
#[derive(Default, Clone)]
pub(super) struct Routes {
    routes: HashMap<(IpAddr, Option<IpAddr>), Route>,
    rhythms: Vec<Arc<Rhythm>>,
}

impl Routes {
    /// `false`: the place is taken.
    pub fn insert(&mut self, group: IpAddr, source: Option<IpAddr>, route: Route) -> bool {
        let free = !self.routes.contains_key(&(group, source));
        if free {
            let rhythm = route.track.rtp.rhythm();
            if !self.rhythms.iter().any(|known| Arc::ptr_eq(known, rhythm)) {
                self.rhythms.push(rhythm.clone());
            }
            self.routes.insert((group, source), route);
        }
        free
    }

    pub fn remove(&mut self, group: IpAddr, source: Option<IpAddr>) {
        self.routes.remove(&(group, source));
    }

    pub fn len(&self) -> usize {
        self.routes.len()
    }

    /// Groups that carry RTP.
    pub fn streams(&self) -> usize {
        self.routes.values().filter(|route| route.kind == Kind::Rtp).count()
    }

    /// The rhythms that those who are subscribed to any of them go by.
    pub fn rhythms(&self) -> &[Arc<Rhythm>] {
        &self.rhythms
    }

    pub fn find(&self, destination: IpAddr, source: IpAddr) -> Option<&Route> {
        self.routes.get(&(destination, Some(source))).or_else(|| self.routes.get(&(destination, None)))
    }
}
