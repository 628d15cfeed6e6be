//! What a conversation asks of the world around it. All is answered at once, and nothing waits.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use crate::relay::{Channel, Track};

use super::super::media::{Grant, Way};
use super::super::stats::{Counters, RefusedFor};
use super::session::Session;
use super::setup::Costs;

/// The server, as one client finds it.
pub trait World {
    /// Where the client is.
    fn peer(&self) -> SocketAddr;

    /// Where the client finds us.
    fn local(&self) -> SocketAddr;

    /// A channel by its name.
    fn channel(&self, name: &str) -> Option<Arc<Channel>>;

    /// The group that a channel goes to by multicast, and how far.
    fn out_group(&self, channel: &Channel) -> Option<(SocketAddr, u8)>;

    /// The session of this id, if it is this client's.
    fn session(&self, id: &str) -> Option<Arc<Session>>;

    /// Whether one more can be served. One who comes while media is too late is told so before it costs anything.
    fn welcome(&self, now: Instant) -> Result<(), RefusedFor>;

    /// A new session of this client's, if it may have one more.
    fn begin(&self, channel: Arc<Channel>, now: Instant) -> Result<Arc<Session>, RefusedFor>;

    /// What a track takes of what the client's address and its session's connection may have.
    fn costs(&self, session: &Session, track: &Track, url: &str) -> Result<Costs, RefusedFor>;

    /// A way for a track of a session.
    fn way(
        &self,
        session: &Arc<Session>,
        track: &Track,
        wanted: Wanted,
        now: Instant,
    ) -> Result<Box<dyn Way>, RefusedFor>;

    /// How long a session lives without a sign of its viewer.
    fn timeout_seconds(&self) -> u32;

    fn counters(&self) -> &Counters;
}

/// How a client wants a track to reach it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// At these places, RTP and RTCP.
    Udp { client: (SocketAddr, SocketAddr) },
    /// Without RTP, at this place.
    Raw { client: SocketAddr },
    /// To the channel's group.
    Multicast,
    /// On these channels of the connection.
    Interleaved { channels: (u8, u8) },
}

impl Wanted {
    /// Whether that is what the client has been granted, when it found us there.
    pub fn is(&self, grant: &Grant, found_at: SocketAddr) -> bool {
        match (self, grant) {
            (Self::Udp { client: wanted }, Grant::Udp { local, client, .. }) => {
                wanted == client && local.ip() == found_at.ip()
            }
            (Self::Raw { client: wanted }, Grant::Raw { local, client, .. }) => {
                wanted == client && local.ip() == found_at.ip()
            }
            (Self::Multicast, Grant::Multicast { .. }) => true,
            (Self::Interleaved { channels: wanted }, Grant::Interleaved { channels }) => wanted == channels,
            _ => false,
        }
    }
}
