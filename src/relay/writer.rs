//! The Writer: what a track's packets are measured by and kept in as they come, in one order.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use crate::wire::random_access::Starts;
use crate::wire::reception::{Arrival, Reception};
use crate::wire::rtp::RtpHeader;
use crate::wire::sdp::TrackDescription;

use super::senders::{News, Senders};

/// Packets are copied once, into chunks of this size, so that neighbours in a stream are neighbours in
/// memory and a run of them is one slice to the kernel.
const CHUNK_BYTES: usize = 64 << 10;

pub(super) struct Writer {
    chunk: BytesMut,
    pub reception: Reception,
    senders: Senders,
    pub starts: Starts,
}

impl Writer {
    /// Of a track that is described so.
    pub fn new(of: &TrackDescription) -> Self {
        Self {
            chunk: BytesMut::new(),
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
    pub fn keep(&mut self, [head, rest]: [&[u8]; 2]) -> Bytes {
        let length = head.len() + rest.len();
        if self.chunk.capacity() < length {
            self.chunk = BytesMut::with_capacity(CHUNK_BYTES.max(length));
        }
        self.chunk.extend_from_slice(head);
        self.chunk.extend_from_slice(rest);
        self.chunk.split().freeze()
    }
}
