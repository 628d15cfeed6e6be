//! The way of a transport stream without RTP: the payload of each packet as a datagram, from a pair's RTP port to one port
//! of the client's. There is no RTCP, neither way.

use std::sync::Arc;

use crate::relay::{Carriage, Flow, Handover, Place, Sent, Subscription, Track};

use super::super::journal::Story;
use super::super::stats::Port;
use super::port_pairs::Reservation;
use super::taker::Learnt;
use super::way::{Followed, Grant, Heirs, Way};

/// A client's place at a pair, and what is sent there.
pub struct Raw {
    /// Both its places are one.
    at: Arc<Reservation>,
    /// The client has been heard at the port that it has.
    is_sure: bool,
    feed: Option<Feed>,
}

struct Feed {
    payloads: Subscription,
    /// What it is not sent.
    rtcp: Arc<Flow>,
}

impl Raw {
    pub fn new(at: Arc<Reservation>) -> Self {
        let is_sure = !at.is_searched_for();
        Self { at, is_sure, feed: None }
    }

    fn subscribe(&self, track: &Track, from: Place, story: &Arc<Story>) -> Subscription {
        let (to, books) = ((&self.at.pair.rtp, self.at.rtp()), Some(story.clone() as _));
        track.rtp.subscribe_datagrams(Carriage::Raw, to, from, self.at.hold(Port::Rtp), books)
    }
}

impl Way for Raw {
    fn grant(&self) -> Grant {
        let (local, server) = self.at.server();
        Grant::Raw { local, client: self.at.announced.0, at: self.at.rtp(), server }
    }

    fn start(&mut self, track: &Track, (from, _): (Place, Place), story: &Arc<Story>) {
        let payloads = self.subscribe(track, from, story);
        self.feed = Some(Feed { payloads, rtcp: track.rtcp.clone() });
    }

    fn settled(&self) -> Option<u64> {
        self.feed.as_ref()?.payloads.settled()
    }

    fn progress(&self) -> Option<(Sent, u64)> {
        self.feed.as_ref().map(|feed| feed.payloads.progress())
    }

    fn stop(&mut self, heirs: Option<&Heirs>) {
        if let (Some(feed), Some(heirs)) = (self.feed.take(), heirs) {
            feed.payloads.hand_over(&heirs.rtp);
            heirs.rtcp.tell(feed.rtcp.ring().head());
        }
    }

    fn say(&self, _: &[u8]) {}

    fn follow(&mut self, learnt: &Learnt, track: &Track, story: &Arc<Story>) -> Option<Followed> {
        if !self.at.is_of(learnt) {
            return None;
        }
        let at = self.at.follow(learnt)?;
        self.is_sure = true;
        if at.rtp() == self.at.rtp() {
            return Some(Followed::Stays);
        }
        self.at = at;
        if let Some(Feed { payloads, rtcp }) = self.feed.take() {
            let heir = Handover::new();
            let next = self.subscribe(track, Place::After(heir.clone()), story);
            payloads.hand_over(&heir);
            self.feed = Some(Feed { payloads: next, rtcp });
        }
        Some(Followed::Moves)
    }

    fn is_unsure(&self) -> bool {
        !self.is_sure
    }
}
