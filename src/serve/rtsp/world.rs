//! What a conversation asks of the world around it. All is answered at once, and nothing waits.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use crate::relay::{Carriage, Channel, Expected, Track};
use crate::storage::Programme;
use crate::wire::rtsp::Request;

use super::super::guard::{Acquaintance, Verdict};
use super::super::kept::{Extent, NotKept, Rerun};
use super::super::media::{Grant, Way};
use super::super::stats::{Counters, RefusedFor};
use super::home::Home;
use super::repair_offer::RepairAgents;
use super::session::Session;
use super::setup::Costs;

/// The server, as one client finds it.
pub trait World {
    /// Where the client is.
    fn peer(&self) -> SocketAddr;

    /// Who is known to ask again for what it has lost.
    fn repair_agents(&self) -> Arc<RepairAgents>;

    /// Where the client finds us.
    fn local(&self) -> SocketAddr;

    /// What this program is called among those that pull from each other.
    fn instance(&self) -> &str;

    /// A channel by its name.
    fn channel(&self, name: &str) -> Option<Arc<Channel>>;

    /// A channel of this name that is to come.
    fn expected(&self, name: &str) -> Option<Arc<Expected>>;

    /// Whether it is a file that can not be played.
    fn is_no_film(&self, name: &str) -> bool;

    /// The group that a channel goes to by multicast, and how far.
    fn out_group(&self, channel: &Channel) -> Option<(SocketAddr, u8)>;

    /// The session of this id, if it is this client's.
    fn session(&self, id: &str) -> Option<Arc<Session>>;

    /// The client has named a session that is not its own. `true`: its address has done so too often.
    fn is_guessing(&self, now: Instant) -> bool;

    /// Where one who asks for this, and whom there is no room for, is sent instead.
    fn elsewhere(&self, uri: &str) -> Option<String>;

    /// Whether the client may make a request.
    fn judge(&self, request: &Request, about: &About<'_>, known: &mut Acquaintance, now: Instant) -> Verdict;

    /// Whether one more can be served with a channel. One who comes while media is too late is told so before it costs
    /// anything.
    fn welcome(&self, channel: &Channel, now: Instant) -> Result<(), RefusedFor>;

    /// A new session of this client's, which belongs to its connection, if it may have one more. It may take the place of
    /// another one, which ends.
    fn begin(
        &self,
        home: &Arc<Home>,
        channel: Arc<Channel>,
        instead_of: Option<&Session>,
        now: Instant,
    ) -> Result<Arc<Session>, RefusedFor>;

    /// How far what is kept of a channel reaches, if it is, or of a film.
    fn extent(&self, channel: &Channel) -> Option<Extent>;

    /// What is kept of a channel, for one viewer of it.
    fn rerun(&self, channel: &Channel, programme: Programme, now: Instant) -> Result<Rerun, NotKept>;

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

    /// Whether packets may reach viewers so at all.
    fn serves(&self, by: Carriage) -> bool;

    /// Whether packets may go beside the connection, where everybody on the way can read them.
    fn allows_udp(&self) -> bool;

    /// How long a session lives without a sign of its viewer.
    fn timeout_seconds(&self) -> u32;

    fn counters(&self) -> &Counters;
}

/// What a request is judged by.
#[derive(Debug, Clone, Copy)]
pub struct About<'r> {
    /// The channel that it is about, which need not exist.
    pub channel: Option<&'r str>,
    /// It names a session of the client's.
    pub names_session: bool,
    /// Its Authorization header.
    pub login: Option<&'r str>,
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
    /// Whether that is what the client has been granted, when it found us there. One that was found elsewhere than it said is
    /// looked for anew when it says so again.
    pub fn is(&self, grant: &Grant, found_at: SocketAddr) -> bool {
        match (self, grant) {
            (Self::Udp { client: wanted }, Grant::Udp { local, at, .. }) => {
                wanted == at && local.ip() == found_at.ip()
            }
            (Self::Raw { client: wanted }, Grant::Raw { local, at, .. }) => {
                wanted == at && local.ip() == found_at.ip()
            }
            (Self::Multicast, Grant::Multicast { .. }) => true,
            (Self::Interleaved { channels: wanted }, Grant::Interleaved { channels }) => wanted == channels,
            _ => false,
        }
    }
}
