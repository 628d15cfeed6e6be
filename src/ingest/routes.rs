//! Which track a datagram belongs to, by where it was sent and by whom.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::event::Window;
use crate::relay::Track;

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
pub(super) struct Routes(HashMap<(IpAddr, Option<IpAddr>), Route>);

impl Routes {
    /// `false`: the place is taken.
    pub fn insert(&mut self, group: IpAddr, source: Option<IpAddr>, route: Route) -> bool {
        let free = !self.0.contains_key(&(group, source));
        if free {
            self.0.insert((group, source), route);
        }
        free
    }

    pub fn remove(&mut self, group: IpAddr, source: Option<IpAddr>) {
        self.0.remove(&(group, source));
    }

    /// When those who are subscribed will want what has not arrived yet; `None`: nobody is.
    pub fn want_more(&self, now: Instant) -> Option<Window> {
        let each = self.0.values().filter_map(|route| match route.kind {
            Kind::Rtp => route.track.rtp.wants_more(now),
            Kind::Rtcp => Some(Window::ending(now, Duration::ZERO)),
        });
        each.reduce(Window::sooner)
    }

    pub fn find(&self, destination: IpAddr, source: IpAddr) -> Option<&Route> {
        self.0.get(&(destination, Some(source))).or_else(|| self.0.get(&(destination, None)))
    }
}
