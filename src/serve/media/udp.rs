//! The way over UDP: from a port pair to a client's two ports.

use std::mem;
use std::sync::Arc;

use bytes::Bytes;

use crate::net::Marks;
use crate::relay::{Carriage, Handover, Place, Reach, Repair, RepairTo, Sent, Subscription, Track};
use crate::wire::rtx::Rtx;

use super::super::journal::Story;
use super::super::stats::Port;
use super::askers::Asker;
use super::port_pairs::Reservation;
use super::taker::Learnt;
use super::way::{Asks, Followed, Grant, Heirs, Way};

/// A client's places at a pair, and what is sent there.
pub struct OverUdp {
    at: Arc<Reservation>,
    /// What the IP header of our own reports says.
    marks: Marks,
    /// The client has been heard at the port that it has for RTP.
    is_sure: bool,
    asks: Asks,
    feed: Option<(Subscription, Subscription)>,
    /// It may ask for packets again.
    asker: Option<Asker>,
}

impl OverUdp {
    pub fn new(at: Arc<Reservation>, marks: Marks) -> Self {
        let is_sure = !at.is_searched_for();
        Self { at, marks, is_sure, asks: Asks::default(), feed: None, asker: None }
    }

    fn subscribe_rtp(&self, track: &Track, from: Place, story: &Arc<Story>) -> Subscription {
        let (to, books) = ((&self.at.pair.rtp, self.at.rtp()), Some(story.clone() as _));
        track.rtp.subscribe_datagrams(Carriage::Udp, to, from, self.at.hold(Port::Rtp), books)
    }

    fn admit(&self, track: &Track, reach: Reach, story: &Arc<Story>) -> Asker {
        let (so_far, rtx) = ((self.asks.first, self.asks.alias, reach), stream_of_its_own(&self.asks));
        let repair = Repair::new(&track.rtp, self.repair_to(), so_far, rtx, Some(story.clone() as _));
        repair.know(self.asks.ssrc, self.asks.round_trip);
        self.at.pair.askers.admit(self.at.rtcp(), repair)
    }

    /// Where packets go again.
    fn repair_to(&self) -> RepairTo {
        let at = self.asks.apart.as_ref().unwrap_or(&self.at);
        RepairTo { socket: at.pair.rtp.clone(), at: at.rtp(), reservation: at.hold(Port::Rtp) }
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
        let rtp = self.subscribe_rtp(track, rtp_from.clone(), story);
        let reach = rtp.reach(&rtp_from);
        self.asker = track.rtp.is_repaired().then(|| self.admit(track, reach, story));
        self.feed = Some((rtp, self.subscribe_rtcp(track, rtcp_from)));
    }

    fn progress(&self) -> Option<(Sent, u64)> {
        self.feed.as_ref().map(|(rtp, _)| rtp.progress())
    }

    fn settled(&self) -> Option<u64> {
        self.feed.as_ref()?.0.settled()
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

    fn repair(&mut self, asks: &Asks) {
        let before = mem::replace(&mut self.asks, asks.clone());
        let Some(Asker { repair, .. }) = &self.asker else { return };
        repair.know(asks.ssrc, asks.round_trip);
        if (asks.rtx, asks.apart.is_some()) != (before.rtx, before.apart.is_some()) {
            repair.goes_by(stream_of_its_own(asks));
        }
        if asks.apart.as_ref().map(Arc::as_ptr) != before.apart.as_ref().map(Arc::as_ptr) {
            repair.move_to(self.repair_to());
        }
    }

    fn places(&self) -> Option<Arc<Reservation>> {
        Some(self.at.clone())
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
        self.asker.iter_mut().for_each(|asker| asker.move_to(self.at.rtcp()));
        self.asker.iter().for_each(|asker| asker.repair.move_to(self.repair_to()));
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

/// The retransmission stream by which a viewer has packets again, if it has. Anybody's guess of its numbers is as good; beside the track its
/// SSRC only has to be another one than that one's.
fn stream_of_its_own(asks: &Asks) -> Option<Rtx> {
    let random = || getrandom::u32().unwrap_or(1);
    let ssrc = asks.apart.is_none().then(random);
    asks.rtx.map(|payload_type| Rtx::new(payload_type, ssrc, random() as u16))
}
