//! What moves, in words that both processes understand. Unknown fields are passed over, so that a newer process may say more.

use std::net::SocketAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::event::Descriptor;
use crate::relay::Signpost;

use super::super::attendance::ConnectionParcel;
use super::super::rtsp::SessionParcel;

/// Everything of viewers that moves. Their descriptors go beside it, in this order: the two of each pair, one of each connection.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Household {
    /// Of tracks whose packets are numbered here, how they are.
    pub(super) numbered: Vec<Numbered>,
    pub(super) pairs: Vec<PairParcel>,
    pub(super) connections: Vec<ConnectionParcel>,
    pub(super) sessions: Vec<SessionParcel>,
}

/// A household, and what is open in it.
#[derive(Default)]
pub struct Removal {
    /// In words.
    pub household: Household,
    /// Its own.
    pub descriptors: Vec<Arc<dyn Descriptor>>,
    /// Sessions that stay behind, and end.
    pub left_behind: usize,
}

/// What did not arrive, though it was sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotMoved {
    /// Viewers.
    pub sessions: usize,
    /// Clients, most of whom are viewers.
    pub connections: usize,
}

/// How the packets of a track are numbered.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Numbered {
    pub channel: String,
    pub track: usize,
    pub signpost: Signpost,
}

/// A server's port pair.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct PairParcel {
    /// Whom its clients connected to; of no port.
    pub local: SocketAddr,
    pub port: u16,
}

impl Household {
    /// How many viewers there are in it.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }
}
