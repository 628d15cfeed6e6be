//! A Leg: one feed of a track, and how what comes by it becomes the track's packets.

use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use crate::event::lock;
use crate::relay::Track;
use crate::wire::packetizer::Packetizer;
use crate::wire::rtcp::Reflectable;
use crate::wire::sdp::{Feed, Framing};
use crate::wire::{rtp, transport_stream};

pub(super) struct Leg {
    pub track: Arc<Track>,
    /// Which of the track's feeds it is, from 0.
    pub place: usize,
    /// Where it comes from.
    pub feed: Feed,
    framing: Framing,
    /// Makes packets of a bare transport stream.
    packetizer: Mutex<Packetizer>,
}

impl Leg {
    /// One for each feed of a track.
    pub fn all_of(track: &Arc<Track>) -> Vec<Arc<Self>> {
        Self::by(track, &track.description.feeds)
    }

    /// One for each of these feeds, by which a track comes now.
    pub fn by(track: &Arc<Track>, feeds: &[Feed]) -> Vec<Arc<Self>> {
        let feeds = feeds.iter().cloned().enumerate();
        feeds.map(|(place, feed)| Self::of(track.clone(), place, feed)).collect()
    }

    fn of(track: Arc<Track>, place: usize, feed: Feed) -> Arc<Self> {
        let random = RandomState::new();
        let [ssrc, timestamp, sequence] = ["ssrc", "timestamp", "sequence"].map(|what| random.hash_one(what));
        let packetizer = Mutex::new(Packetizer::new(ssrc as u32, sequence as u16, timestamp as u32));
        Arc::new(Self { framing: track.description.framing, track, place, feed, packetizer })
    }

    pub fn is_joined(&self) -> bool {
        self.track.is_feed_joined(self.place)
    }

    pub fn set_joined(&self, joined: bool) {
        self.track.set_joined(self.place, joined);
    }

    /// Takes in what was sent to it. `true`: the track has one packet more.
    pub fn receive(&self, datagram: &[u8], from: SocketAddr, at: Instant) -> bool {
        if self.framing == Framing::Rtp {
            return self.receive_rtp(datagram, from, at);
        }
        match transport_stream::check(datagram) {
            Ok(()) => {
                self.receive_bare(datagram, from, at);
                true
            }
            // A version of RTP that there is does not begin as a transport stream does.
            Err(_) if self.framing == Framing::Either => self.receive_rtp(datagram, from, at),
            Err(reason) => {
                self.track.refuse_bare(reason, datagram, at);
                false
            }
        }
    }

    /// Takes in what may be passed on of its RTCP.
    pub fn receive_rtcp(&self, reflectable: &Reflectable<'_>, at: Instant) {
        self.track.receive_rtcp(reflectable, at);
    }

    fn receive_rtp(&self, datagram: &[u8], from: SocketAddr, at: Instant) -> bool {
        match rtp::check(datagram) {
            Ok(header) => self.track.receive(&header, datagram, from, at),
            Err(reason) => {
                self.track.refuse(reason, datagram, at);
                false
            }
        }
    }

    fn receive_bare(&self, datagram: &[u8], from: SocketAddr, at: Instant) {
        // Held until the packet is in the ring: what comes by several sockets is numbered in one order.
        let mut packetizer = lock(&self.packetizer);
        let (header, bytes) = packetizer.next(datagram, self.track.signs.since_epoch(at));
        self.track.receive_bare((&header, &bytes), datagram, from, at);
    }
}
