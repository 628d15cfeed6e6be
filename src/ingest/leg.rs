//! A Leg: one source of a track, and how what it sends becomes the track's packets.

use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use crate::event::lock;
use crate::relay::Track;
use crate::wire::packetizer::Packetizer;
use crate::wire::sdp::Framing;
use crate::wire::{rtp, transport_stream};

pub(super) struct Leg {
    pub track: Arc<Track>,
    framing: Framing,
    /// Makes packets of a bare transport stream.
    packetizer: Mutex<Packetizer>,
}

impl Leg {
    /// The one source of a track.
    pub fn of(track: Arc<Track>) -> Arc<Self> {
        let random = RandomState::new();
        let [ssrc, timestamp, sequence] = ["ssrc", "timestamp", "sequence"].map(|what| random.hash_one(what));
        let packetizer = Mutex::new(Packetizer::new(ssrc as u32, sequence as u16, timestamp as u32));
        Arc::new(Self { framing: track.description.framing, track, packetizer })
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
