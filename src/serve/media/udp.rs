//! The way over UDP: from a port pair to a client's two ports.

use std::sync::Arc;

use bytes::Bytes;

use crate::net::Marks;
use crate::relay::{Carriage, Place, Subscription, Track};

use super::super::journal::Story;
use super::port_pairs::Reservation;
use super::way::{Grant, Heirs, Way};

/// A client's places at a pair, and what is sent there.
pub struct OverUdp {
    at: Arc<Reservation>,
    /// What the IP header of our own reports says.
    marks: Marks,
    feed: Option<(Subscription, Subscription)>,
}

impl OverUdp {
    pub fn new(at: Arc<Reservation>, marks: Marks) -> Self {
        Self { at, marks, feed: None }
    }
}

impl Way for OverUdp {
    fn grant(&self) -> Grant {
        let (local, port) = self.at.server();
        Grant::Udp { local, client: (self.at.rtp, self.at.rtcp), server: (port, port + 1) }
    }

    fn start(&mut self, track: &Track, (rtp_from, rtcp_from): (Place, Place), story: &Arc<Story>) {
        let Reservation { pair, rtp, rtcp } = &*self.at;
        let (by, books) = (Carriage::Udp, Some(story.clone() as _));
        self.feed = Some((
            track.rtp.subscribe_datagrams(by, (&pair.rtp, *rtp), rtp_from, self.at.clone(), books),
            track.rtcp.subscribe_datagrams(by, (&pair.rtcp, *rtcp), rtcp_from, self.at.clone(), None),
        ));
    }

    fn stop(&mut self, heirs: Option<&Heirs>) {
        if let (Some((rtp, rtcp)), Some(heirs)) = (self.feed.take(), heirs) {
            rtp.hand_over(&heirs.rtp);
            rtcp.hand_over(&heirs.rtcp);
        }
    }

    fn say(&self, rtcp: &[u8]) {
        // What is lost here is also told by the connection's end.
        self.at.pair.rtcp.say(Bytes::copy_from_slice(rtcp), self.at.rtcp, self.marks);
    }
}
