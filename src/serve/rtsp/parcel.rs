//! What a session takes along to another process. Unknown fields are passed over, so that a newer process may say more.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::relay::{Alias, Landmark, Sent};
use crate::storage;

use super::super::media::Grant;

/// A viewer's session.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionParcel {
    pub id: String,
    /// Its number in the log.
    pub number: u64,
    pub channel: String,
    pub peer: IpAddr,
    /// The viewer, as the log names it.
    pub client: SocketAddr,
    pub agent: Option<String>,
    pub age_ms: u64,
    /// What it was sent so far.
    #[serde(default)]
    pub sent: Sent,
    pub is_paused: bool,
    /// The place of its connection among those that move. `None`: its client has closed that, or it can not be moved.
    pub connection: Option<usize>,
    pub tracks: Vec<TrackParcel>,
}

/// A track that is set up.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct TrackParcel {
    pub number: usize,
    pub url: String,
    pub grant: Grant,
    /// Its viewer may yet turn out to be elsewhere.
    pub is_unsure: bool,
    pub plays: bool,
    /// What it was sent last of what comes, as that came.
    pub last: Option<Landmark>,
    /// By what numbers it has what comes, if not by their own.
    #[serde(default)]
    pub alias: Option<Alias>,
    /// What it was sent last where that was of the past, or has numbers of its own since.
    #[serde(default)]
    pub left: Option<storage::Sent>,
    /// The payload type of what it is sent again, and where that goes if not with the track.
    pub rtx: Option<u8>,
    pub apart: Option<Grant>,
}
