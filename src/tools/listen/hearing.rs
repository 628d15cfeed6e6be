//! What was heard of one track: who sends, and what its RTCP says. Reads no clock and opens nothing.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::serve::legible;
use crate::wire::rtcp;
use crate::wire::rtp;
use crate::wire::sdp::{Feed, TrackDescription};

use super::sender::Sender;

/// The most senders that are told apart.
const MAX_SENDERS: usize = 16;
/// The most names of streams that are kept.
const MAX_NAMES: usize = 16;

/// Whether a source is what was said of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    AsSaid,
    /// Something else came.
    SomethingElse,
    /// Nothing came.
    Nothing,
}

/// One feed of a track.
#[derive(Debug)]
pub struct Hearing {
    /// As the source describes it.
    pub description: TrackDescription,
    /// Where it comes from.
    pub feed: Feed,
    /// Who sent, in the order in which they began.
    pub senders: Vec<(SocketAddr, Sender)>,
    /// Datagrams of further senders.
    pub of_more_senders: u64,
    /// RTCP.
    pub control: Control,
}

/// What came as RTCP.
#[derive(Debug, Default)]
pub struct Control {
    /// Datagrams that are RTCP.
    pub packets: u64,
    /// Datagrams that are not.
    pub not_rtcp: u64,
    /// Sender reports.
    pub sender_reports: u64,
    /// Goodbyes.
    pub goodbyes: u64,
    /// Names of streams by SSRC, legible.
    pub names: BTreeMap<u32, String>,
}

impl Hearing {
    /// Nothing so far.
    pub fn of(description: TrackDescription, feed: Feed) -> Self {
        Self { description, feed, senders: Vec::new(), of_more_senders: 0, control: Control::default() }
    }

    /// Takes a datagram to the port of media.
    pub fn take(&mut self, datagram: &[u8], from: SocketAddr, at: Duration) {
        let Self { description, feed, senders, .. } = self;
        if feed.is_muxed() && rtp::is_rtcp_beside(datagram, &description.payload_types) {
            self.control.take(datagram);
            return;
        }
        let known = senders.iter().position(|(address, _)| *address == from);
        if known.is_none() {
            if senders.len() == MAX_SENDERS {
                self.of_more_senders += 1;
                return;
            }
            senders.push((from, Sender::new(at)));
        }
        let place = known.unwrap_or(senders.len() - 1);
        senders[place].1.take(datagram, at, description);
    }

    /// What came, as far as it goes.
    pub fn verdict(&self) -> Verdict {
        match self.senders.iter().map(|(_, sender)| sender.taken).sum::<u64>() {
            0 if self.senders.is_empty() => Verdict::Nothing,
            0 => Verdict::SomethingElse,
            _ => Verdict::AsSaid,
        }
    }
}

impl Control {
    /// Takes a datagram to the port of RTCP.
    pub fn take(&mut self, datagram: &[u8]) {
        let Ok(said) = rtcp::source_says(datagram) else {
            self.not_rtcp += 1;
            return;
        };
        self.packets += 1;
        self.sender_reports += u64::from(said.sender_reports);
        self.goodbyes += u64::from(said.is_goodbye);
        for (ssrc, name) in said.names {
            if self.names.len() < MAX_NAMES || self.names.contains_key(&ssrc) {
                self.names.insert(ssrc, legible(&name));
            }
        }
    }
}
