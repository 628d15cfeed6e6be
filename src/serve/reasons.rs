//! Why clients are not taken on, refused or hung up on: the words of metrics and the log.

use std::io;

use super::access::Beyond;

/// What carries a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    /// RTSP, or what is not known yet.
    Tcp,
    /// The same through TLS.
    Tls,
    /// One of the two connections of a tunnel.
    Http,
    /// The same through TLS.
    Https,
}

impl Transport {
    pub const ALL: [(Self, &'static str); 4] =
        [(Self::Tcp, "tcp"), (Self::Tls, "tls"), (Self::Http, "http"), (Self::Https, "https")];
}

/// Why a handshake of TLS fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoHandshake {
    /// It did not come to its end in time.
    Timeout,
    /// The client hung up.
    Closed,
    /// The client refuses: our certificate, most often.
    Alert,
    /// It is not TLS, or of no version or cipher that is served.
    Protocol,
    /// A fault of ours, or of the kernel's.
    Fault,
}

impl NoHandshake {
    pub const ALL: [(Self, &'static str); 5] = [
        (Self::Timeout, "timeout"),
        (Self::Closed, "closed"),
        (Self::Alert, "alert"),
        (Self::Protocol, "protocol"),
        (Self::Fault, "fault"),
    ];

    /// Its word, in metrics and the log.
    pub fn label(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

/// Why a session is not begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RefusedFor {
    /// Media is too late already.
    Late,
    /// A limit is reached, or the server stops.
    Limit,
    /// Packets are to go to a port that no viewer has.
    Port,
    /// The client's address holds all the sessions that it may.
    Address,
    /// It would take more than the client's address may have a second.
    Egress,
    /// The connection has set up all that it may.
    Connection,
    /// Its requests come through TLS, and its packets would go in the clear.
    Clear,
    /// The channel has as many sessions as it may.
    Channel,
    /// It would take more than all may have a second.
    TotalEgress,
    /// The channel's group can not be sent to.
    OutGroup,
    /// The line that groups come by carries no more.
    Line,
    /// The channel has ended, or is another one now.
    Gone,
    /// The server takes nobody in any more, as it is to be stopped.
    Draining,
    /// As many watch the past as may.
    Past,
}

impl RefusedFor {
    pub const ALL: [(Self, &'static str); 14] = [
        (Self::Late, "late"),
        (Self::Limit, "limit"),
        (Self::Port, "port"),
        (Self::Address, "address"),
        (Self::Egress, "egress"),
        (Self::Connection, "connection"),
        (Self::Clear, "clear"),
        (Self::Channel, "channel"),
        (Self::TotalEgress, "total egress"),
        (Self::OutGroup, "multicast_out"),
        (Self::Line, "line"),
        (Self::Gone, "channel gone"),
        (Self::Draining, "draining"),
        (Self::Past, "past"),
    ];

    /// Why a track gets no egress.
    pub fn egress(beyond: Beyond) -> Self {
        match beyond {
            Beyond::Address => Self::Egress,
            Beyond::All => Self::TotalEgress,
        }
    }

    /// Whether it is this server that is full, so that another one may do better.
    pub fn is_full(self) -> bool {
        matches!(
            self,
            Self::Late | Self::Limit | Self::Channel | Self::TotalEgress | Self::Line | Self::Draining
        )
    }

    /// Its word, in metrics and the log.
    pub fn label(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

/// Why a connection is not taken on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotTaken {
    /// There are as many as there may be.
    Limit,
    /// There are as many as there may be of its address.
    Address,
    /// Descriptors run out.
    Descriptors,
    /// The server stops.
    Stopping,
    /// The kernel or the Poller would not have it.
    Fault,
}

impl NotTaken {
    pub const ALL: [(Self, &'static str); 5] = [
        (Self::Limit, "limit"),
        (Self::Address, "address"),
        (Self::Descriptors, "descriptors"),
        (Self::Stopping, "stopping"),
        (Self::Fault, "fault"),
    ];

    /// Its word, in metrics and the log.
    pub fn label(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

/// Why a connection is ended from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CutFor {
    /// It never asked for anything.
    Silent,
    /// A message was begun and did not come to its end in time.
    Unfinished,
    /// It asked for nothing more, and holds no session.
    Idle,
    /// It leaves too much of our replies unread.
    UnreadReplies,
    /// Its address has us hold too much unread.
    UnreadBytes,
    /// Its address has asked for too many sessions that are none of its own.
    Guesses,
    /// TLS is spoken where none is served.
    TlsInTheClear,
    /// The rules of TLS are broken.
    BrokenTls,
    /// Another handshake was to follow the first.
    Renegotiation,
    /// One half of a tunnel came, and not the other.
    HalfTunnel,
    /// What comes up a tunnel is no base64.
    BrokenTunnel,
}

impl CutFor {
    pub const ALL: [(Self, &'static str); 11] = [
        (Self::Silent, "silent"),
        (Self::Unfinished, "unfinished"),
        (Self::Idle, "idle"),
        (Self::UnreadReplies, "unread replies"),
        (Self::UnreadBytes, "unread bytes"),
        (Self::Guesses, "session ids"),
        (Self::TlsInTheClear, "tls on a plain port"),
        (Self::BrokenTls, "broken tls"),
        (Self::Renegotiation, "renegotiation"),
        (Self::HalfTunnel, "half tunnel"),
        (Self::BrokenTunnel, "broken tunnel"),
    ];

    /// What reading of a connection failed for, if that is its client's doing.
    pub fn of_tls(error: &io::Error) -> Option<Self> {
        match error.kind() {
            io::ErrorKind::InvalidData => Some(Self::BrokenTls),
            io::ErrorKind::Unsupported => Some(Self::Renegotiation),
            _ => None,
        }
    }

    /// Its word, in metrics and the log.
    pub fn label(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

/// Which of a pair's ports a viewer was found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Port {
    Rtp,
    Rtcp,
}

impl Port {
    pub const ALL: [(Self, &'static str); 2] = [(Self::Rtp, "rtp"), (Self::Rtcp, "rtcp")];
}

/// What accept(2) fails for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AcceptError {
    /// The process or the machine has no descriptor left.
    Descriptors,
    /// The kernel has no memory for it.
    Memory,
    /// The connection was gone already.
    Connection,
    /// Anything else.
    Other,
}

impl AcceptError {
    pub const ALL: [(Self, &'static str); 4] = [
        (Self::Descriptors, "descriptors"),
        (Self::Memory, "memory"),
        (Self::Connection, "connection"),
        (Self::Other, "other"),
    ];
}
