//! The way of a transport stream without RTP: the payload of each packet as a datagram, from a pair's RTP port to one port
//! of the client's. There is no RTCP, neither way.

use std::sync::Arc;

use crate::relay::{Carriage, Flow, Place, Subscription, Track};

use super::super::journal::Story;
use super::port_pairs::Reservation;
use super::way::{Grant, Heirs, Way};

/// A client's place at a pair, and what is sent there.
pub struct Raw {
    /// Both its places are one.
    at: Arc<Reservation>,
    feed: Option<Feed>,
}

struct Feed {
    payloads: Subscription,
    /// What it is not sent.
    rtcp: Arc<Flow>,
}

impl Raw {
    pub fn new(at: Arc<Reservation>) -> Self {
        Self { at, feed: None }
    }
}

impl Way for Raw {
    fn grant(&self) -> Grant {
        let (local, server) = self.at.server();
        Grant::Raw { local, client: self.at.rtp, server }
    }

    fn start(&mut self, track: &Track, (from, _): (Place, Place), story: &Arc<Story>) {
        let Reservation { pair, rtp, .. } = &*self.at;
        let (reservation, books) = (self.at.clone(), Some(story.clone() as _));
        let payloads =
            track.rtp.subscribe_datagrams(Carriage::Raw, (&pair.rtp, *rtp), from, reservation, books);
        self.feed = Some(Feed { payloads, rtcp: track.rtcp.clone() });
    }

    fn stop(&mut self, heirs: Option<&Heirs>) {
        if let (Some(feed), Some(heirs)) = (self.feed.take(), heirs) {
            feed.payloads.hand_over(&heirs.rtp);
            heirs.rtcp.tell(feed.rtcp.ring().head());
        }
    }

    fn say(&self, _: &[u8]) {}
}
