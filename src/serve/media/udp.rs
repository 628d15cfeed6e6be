//! The way over UDP: from a port pair to a client's two ports.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::net::Marks;
use crate::relay::{Carriage, Handover, Place, Reach, Repair, Subscription, Track};
use crate::wire::rtx::Rtx;

use super::super::journal::Story;
use super::super::stats::Port;
use super::askers::Asker;
use super::port_pairs::Reservation;
use super::taker::Learnt;
use super::way::{Followed, Grant, Heirs, Way};

/// A client's places at a pair, and what is sent there.
pub struct OverUdp {
    at: Arc<Reservation>,
    /// What the IP header of our own reports says.
    marks: Marks,
    /// The client has been heard at the port that it has for RTP.
    is_sure: bool,
    rtx: Option<u8>,
    feed: Option<(Subscription, Subscription)>,
    /// It may ask for packets again.
    asker: Option<Asker>,
}

impl OverUdp {
    /// `rtx` is the payload type under which the client takes what it has lost as a stream of its own, if it does.
    pub fn new(at: Arc<Reservation>, marks: Marks, rtx: Option<u8>) -> Self {
        let is_sure = !at.is_searched_for();
        Self { at, marks, is_sure, rtx, feed: None, asker: None }
    }

    fn subscribe_rtp(&self, track: &Track, from: Place, story: &Arc<Story>) -> Subscription {
        let (to, books) = ((&self.at.pair.rtp, self.at.rtp()), Some(story.clone() as _));
        track.rtp.subscribe_datagrams(Carriage::Udp, to, from, self.at.hold(Port::Rtp), books)
    }

    fn admit(&self, track: &Track, so_far: (u64, Reach), story: &Arc<Story>) -> Asker {
        let (to, books) = ((&self.at.pair.rtp, self.at.rtp()), Some(story.clone() as _));
        // Anybody's guess is as good: they only have to be others than the track's.
        let (ssrc, first) = (getrandom::u32().unwrap_or(1), getrandom::u32().unwrap_or(1) as u16);
        let rtx = self.rtx.map(|payload_type| Rtx::new(payload_type, ssrc, first));
        let repair = Repair::new(&track.rtp, to, so_far, self.at.hold(Port::Rtp), rtx, books);
        self.at.pair.askers.admit(self.at.rtcp(), repair)
    }

    fn subscribe_rtcp(&self, track: &Track, from: Place) -> Subscription {
        let to = (&self.at.pair.rtcp, self.at.rtcp());
        track.rtcp.subscribe_datagrams(Carriage::Udp, to, from, self.at.hold(Port::Rtcp), None)
    }
}

impl Way for OverUdp {
    fn grant(&self) -> Grant {
        let (local, port) = self.at.server();
        let (client, at) = (self.at.announced, (self.at.rtp(), self.at.rtcp()));
        Grant::Udp { local, client, at, server: (port, port + 1) }
    }

    fn start(&mut self, track: &Track, (rtp_from, rtcp_from): (Place, Place), story: &Arc<Story>) {
        let since = if let Place::At(spot) = &rtp_from { spot.number } else { 0 };
        let rtp = self.subscribe_rtp(track, rtp_from.clone(), story);
        let so_far = (since, rtp.reach(&rtp_from));
        self.asker = track.rtp.is_repaired().then(|| self.admit(track, so_far, story));
        self.feed = Some((rtp, self.subscribe_rtcp(track, rtcp_from)));
    }

    fn stop(&mut self, heirs: Option<&Heirs>) {
        self.asker = None;
        if let (Some((rtp, rtcp)), Some(heirs)) = (self.feed.take(), heirs) {
            rtp.hand_over(&heirs.rtp);
            rtcp.hand_over(&heirs.rtcp);
        }
    }

    fn say(&self, rtcp: &[u8]) {
        // What is lost here is also told by the connection's end.
        self.at.pair.rtcp.say(&[Bytes::copy_from_slice(rtcp)], self.at.rtcp(), self.marks);
    }

    fn know(&self, ssrc: Option<u32>, round_trip: Option<Duration>) {
        self.asker.iter().for_each(|asker| asker.repair.know(ssrc, round_trip));
    }

    fn follow(&mut self, learnt: &Learnt, track: &Track, story: &Arc<Story>) -> Option<Followed> {
        if !self.at.is_of(learnt) {
            return None;
        }
        let at = self.at.follow(learnt)?;
        self.is_sure |= learnt.port == Port::Rtp;
        if (at.rtp(), at.rtcp()) == (self.at.rtp(), self.at.rtcp()) {
            return Some(Followed::Stays);
        }
        self.at = at;
        if let Some(asker) = &mut self.asker {
            asker.repair.move_to(self.at.rtp(), self.at.hold(Port::Rtp));
            asker.move_to(self.at.rtcp());
        }
        if let Some((rtp, rtcp)) = self.feed.take() {
            let heir = Handover::new();
            let from = Place::After(heir.clone());
            self.feed = Some(match learnt.port {
                Port::Rtp => {
                    let next = self.subscribe_rtp(track, from.clone(), story);
                    self.asker.iter().for_each(|asker| asker.repair.goes_on(next.reach(&from)));
                    rtp.hand_over(&heir);
                    (next, rtcp)
                }
                Port::Rtcp => {
                    let next = self.subscribe_rtcp(track, from);
                    rtcp.hand_over(&heir);
                    (rtp, next)
                }
            });
        }
        Some(Followed::Moves)
    }

    fn is_unsure(&self) -> bool {
        !self.is_sure
    }
}
