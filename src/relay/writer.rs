//! The Writer: what a track's packets are measured by and kept in as they come, in one order.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::wire::random_access::Starts;
use crate::wire::reception::{Arrival, Reception};
use crate::wire::rtp::RtpHeader;
use crate::wire::sdp::TrackDescription;

use super::chunk::Chunk;
use super::senders::{News, Senders};

pub(super) struct Writer {
    chunk: Chunk,
    pub reception: Reception,
    senders: Senders,
    pub starts: Starts,
}

impl Writer {
    /// Of a track that is described so.
    pub fn new(of: &TrackDescription) -> Self {
        Self {
            chunk: Chunk::default(),
            reception: Reception::new(of.clock_rate),
            senders: Senders::default(),
            starts: Starts::of(&of.media, of.encoding.as_deref(), of.tells_parameter_sets),
        }
    }

    /// Takes a packet into the statistics; returns what the log is to hear of who sends.
    pub fn measure(
        &mut self,
        header: &RtpHeader,
        from: SocketAddr,
        arrival: Duration,
        at: Instant,
    ) -> Option<News> {
        let what = self.reception.receive(header, arrival);
        if matches!(what, Arrival::First | Arrival::NewSource { .. }) {
            self.senders.note(header.ssrc, from);
        }
        let turn = self.reception.turn(arrival)?;
        self.senders.news(turn, at)
    }

    /// Keeps a packet, which is in two parts.
    pub fn keep(&mut self, packet: [&[u8]; 2]) -> Bytes {
        self.chunk.keep(packet)
    }
}
