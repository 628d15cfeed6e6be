//! How a channel's packets leave: what their IP header says, and that the log hears once of those that are too large.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use crate::event::Episode;
use crate::net::Marks;

/// What the ways out of a channel's packets have in common.
pub struct Outward {
    /// Whose packets these are.
    pub(super) channel: Arc<str>,
    /// What their IP header says.
    pub(super) marks: Marks,
    /// What is sent again to a viewer, in per cent of the stream's rate at most.
    pub(super) repair_percent: u32,
    in_fragments: Episode,
    too_large: Episode,
}

/// A packet that is larger than the path to a subscriber takes whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Oversize {
    pub bytes: usize,
    pub to: SocketAddr,
    /// It was not sent.
    pub is_dropped: bool,
}

impl Outward {
    /// Of a channel of this name.
    pub fn new(channel: &str, marks: Marks, repair_percent: u32) -> Arc<Self> {
        let (in_fragments, too_large) = (Episode::default(), Episode::default());
        Arc::new(Self { channel: channel.into(), marks, repair_percent, in_fragments, too_large })
    }

    /// Tells of packets that are too large, once an episode: they come at the rate of a stream.
    pub(super) fn tell(&self, oversize: Oversize, mtu: impl FnOnce() -> Option<usize>, now: Instant) {
        let Oversize { bytes, is_dropped, .. } = oversize;
        let episode = if is_dropped { &self.too_large } else { &self.in_fragments };
        if !episode.begins(now) {
            return;
        }
        let (channel, mtu) = (&*self.channel, mtu());
        if is_dropped {
            tracing::warn!(
                channel,
                bytes,
                mtu,
                "packets are dropped that are larger than the path to a viewer takes whole, and may not be cut up: have \
                 the source send smaller ones, or set rtsp.dont_fragment = false"
            );
        } else {
            tracing::warn!(
                channel,
                bytes,
                mtu,
                "packets are larger than the path to a viewer takes whole, and leave in fragments, which firewalls may \
                 drop: have the source send smaller ones, or raise the interface's MTU"
            );
        }
    }
}
