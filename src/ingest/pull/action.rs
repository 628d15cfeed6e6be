//! What a conversation wants done, in the words of who leads it.

use crate::wire::rtsp::StatusCode;
use crate::wire::sdp::Presentation;

use super::failure::Failure;

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
pub enum Action<'a> {
    /// Is sent to the server.
    Write(Vec<u8>),
    /// A packet of a track came in the connection.
    Frame {
        /// Its place in the description.
        track: usize,
        /// Whether it came where RTCP is expected.
        is_rtcp: bool,
        /// The packet.
        bytes: &'a [u8],
    },
    /// These are the tracks: they are to be set up, or the session left.
    Described(Box<Presentation>),
    /// The server does not serve a track; the others go on.
    TrackRefused(usize, StatusCode),
    /// A track is set up: where its packets come from.
    Granted(usize, Way),
    /// Media comes from now on.
    Playing,
    /// There is nothing more to say.
    Over(End),
}

/// How a track's packets come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From these ports of the server, for RTP and RTCP, where it names them.
    Udp(Option<(u16, u16)>),
    /// On these channels.
    Channels(u8, u8),
}

/// Why a conversation is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The session was left, and the server knows.
    Left,
    /// The stream is elsewhere.
    Redirected(String),
    /// It went wrong.
    Failed(Failure),
}
