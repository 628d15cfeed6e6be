//! What the server has been asked, and what it refused.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard};

use crate::event::lock;
use crate::wire::rtcp::NotRtcp;
use crate::wire::rtsp::{Method, StatusCode};

use super::reporter::NotTheirs;

/// The figures of an RTSP server.
#[derive(Debug, Clone, Default)]
pub struct ServerStats {
    /// Requests by method and status. Methods that RFC 2326 does not name count as `other`.
    pub requests: BTreeMap<(&'static str, u16), u64>,
    /// Connections now, by what carries them.
    pub connections: [(&'static str, usize); Transport::ALL.len()],
    /// Handshakes of TLS that came to their end so far.
    pub handshakes: u64,
    /// Those that did not, by reason.
    pub handshakes_failed: [(&'static str, u64); NoHandshake::ALL.len()],
    /// Until when the certificate is valid, in seconds since 1970; absent without TLS.
    pub certificate_expires: Option<u64>,
    /// Requests of HTTP by method and status. Methods other than the tunnel's count as `other`.
    pub http_requests: BTreeMap<(&'static str, u16), u64>,
    /// Connections that were not taken on so far, by reason.
    pub connections_refused: [(&'static str, u64); NotTaken::ALL.len()],
    /// Connections that were ended for what their clients did or left undone so far, by reason.
    pub connections_cut: [(&'static str, u64); CutFor::ALL.len()],
    /// Errors of accept(2) so far, by reason.
    pub accept_errors: [(&'static str, u64); AcceptError::ALL.len()],
    /// Sessions now.
    pub sessions: usize,
    /// Sessions that were not begun so far, by reason.
    pub sessions_refused: [(&'static str, u64); RefusedFor::ALL.len()],
    /// Sessions ended so far, by reason.
    pub sessions_ended: BTreeMap<&'static str, u64>,
    /// Datagrams with reports from subscribers.
    pub rtcp_reports: u64,
    /// Datagrams to the RTCP port from addresses that nobody registered.
    pub rtcp_strangers: u64,
    /// Datagrams from subscribers' addresses that are not RTCP, or not theirs, by reason.
    pub rtcp_refused: BTreeMap<&'static str, u64>,
}

impl ServerStats {
    /// All connections now.
    pub fn all_connections(&self) -> usize {
        self.connections.iter().map(|(_, count)| count).sum()
    }
}

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
}

impl RefusedFor {
    pub const ALL: [(Self, &'static str); 7] = [
        (Self::Late, "late"),
        (Self::Limit, "limit"),
        (Self::Port, "port"),
        (Self::Address, "address"),
        (Self::Egress, "egress"),
        (Self::Connection, "connection"),
        (Self::Clear, "clear"),
    ];

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
    pub const ALL: [(Self, &'static str); 10] = [
        (Self::Silent, "silent"),
        (Self::Unfinished, "unfinished"),
        (Self::Idle, "idle"),
        (Self::UnreadReplies, "unread replies"),
        (Self::UnreadBytes, "unread bytes"),
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

#[derive(Default)]
pub(super) struct Counters {
    tables: Mutex<Tables>,
    pub connections: [AtomicUsize; Transport::ALL.len()],
    handshakes: AtomicU64,
    handshakes_failed: [AtomicU64; NoHandshake::ALL.len()],
    connections_refused: [AtomicU64; NotTaken::ALL.len()],
    connections_cut: [AtomicU64; CutFor::ALL.len()],
    accept_errors: [AtomicU64; AcceptError::ALL.len()],
    sessions_refused: [AtomicU64; RefusedFor::ALL.len()],
    rtcp_reports: AtomicU64,
    rtcp_strangers: AtomicU64,
}

/// Why sessions end. Each has a series from the start, so that the first is seen as one.
const ENDED_FOR: [&str; 9] = [
    "teardown",
    "connection closed",
    "timeout",
    "goodbye",
    "refused",
    "egress",
    "not granted",
    "shutdown",
    "fault",
];

/// Requests that are served, which have a series from the start too.
const SERVED: [&str; 8] =
    ["OPTIONS", "DESCRIBE", "SETUP", "PLAY", "PAUSE", "TEARDOWN", "GET_PARAMETER", "SET_PARAMETER"];

struct Tables {
    requests: BTreeMap<(&'static str, u16), u64>,
    http_requests: BTreeMap<(&'static str, u16), u64>,
    sessions_ended: BTreeMap<&'static str, u64>,
    rtcp_refused: BTreeMap<&'static str, u64>,
}

impl Default for Tables {
    fn default() -> Self {
        let not_rtcp = NotRtcp::ALL.iter().map(NotRtcp::reason);
        let not_theirs = NotTheirs::ALL.iter().map(|reason| reason.reason());
        let refused = not_rtcp.chain(not_theirs).chain(["frame_too_long", "receive_error"]);
        Self {
            requests: SERVED.map(|method| ((method, 200), 0)).into(),
            http_requests: ["GET", "POST"].map(|method| ((method, 200), 0)).into(),
            sessions_ended: ENDED_FOR.map(|reason| (reason, 0)).into(),
            rtcp_refused: refused.map(|reason| (reason, 0)).collect(),
        }
    }
}

impl Counters {
    /// `method` is absent where the request could not be read.
    pub fn request(&self, method: Option<&Method>, status: StatusCode) {
        let key = (method.map_or("invalid", method_label), u16::from(status));
        *self.tables().requests.entry(key).or_default() += 1;
    }

    pub fn http_request(&self, method: &'static str, status: u16) {
        *self.tables().http_requests.entry((method, status)).or_default() += 1;
    }

    /// All connections now.
    pub fn all_connections(&self) -> usize {
        self.connections.iter().map(|count| count.load(Relaxed)).sum()
    }

    pub fn handshake(&self, result: Result<(), NoHandshake>) {
        match result {
            Ok(()) => self.handshakes.fetch_add(1, Relaxed),
            Err(reason) => self.handshakes_failed[reason as usize].fetch_add(1, Relaxed),
        };
    }

    pub fn connection_refused(&self, reason: NotTaken) {
        self.connections_refused[reason as usize].fetch_add(1, Relaxed);
    }

    pub fn connection_cut(&self, reason: CutFor) {
        self.connections_cut[reason as usize].fetch_add(1, Relaxed);
    }

    pub fn accept_failed(&self, reason: AcceptError) {
        self.accept_errors[reason as usize].fetch_add(1, Relaxed);
    }

    pub fn session_refused(&self, reason: RefusedFor) {
        self.sessions_refused[reason as usize].fetch_add(1, Relaxed);
    }

    pub fn session_ended(&self, reason: &'static str) {
        *self.tables().sessions_ended.entry(reason).or_default() += 1;
    }

    pub fn rtcp_report(&self) {
        self.rtcp_reports.fetch_add(1, Relaxed);
    }

    pub fn rtcp_stranger(&self) {
        self.rtcp_strangers.fetch_add(1, Relaxed);
    }

    pub fn rtcp_refused(&self, reason: &'static str) {
        *self.tables().rtcp_refused.entry(reason).or_default() += 1;
    }

    pub fn read(&self, sessions: usize) -> ServerStats {
        let tables = self.tables();
        ServerStats {
            requests: tables.requests.clone(),
            http_requests: tables.http_requests.clone(),
            connections: Transport::ALL
                .map(|(transport, label)| (label, self.connections[transport as usize].load(Relaxed))),
            handshakes: self.handshakes.load(Relaxed),
            handshakes_failed: NoHandshake::ALL
                .map(|(reason, label)| (label, self.handshakes_failed[reason as usize].load(Relaxed))),
            certificate_expires: None,
            connections_refused: NotTaken::ALL
                .map(|(reason, label)| (label, self.connections_refused[reason as usize].load(Relaxed))),
            connections_cut: CutFor::ALL
                .map(|(reason, label)| (label, self.connections_cut[reason as usize].load(Relaxed))),
            accept_errors: AcceptError::ALL
                .map(|(reason, label)| (label, self.accept_errors[reason as usize].load(Relaxed))),
            sessions,
            sessions_refused: RefusedFor::ALL
                .map(|(reason, label)| (label, self.sessions_refused[reason as usize].load(Relaxed))),
            sessions_ended: tables.sessions_ended.clone(),
            rtcp_reports: self.rtcp_reports.load(Relaxed),
            rtcp_strangers: self.rtcp_strangers.load(Relaxed),
            rtcp_refused: tables.rtcp_refused.clone(),
        }
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        lock(&self.tables)
    }
}

fn method_label(method: &Method) -> &'static str {
    match method {
        Method::Options => "OPTIONS",
        Method::Describe => "DESCRIBE",
        Method::Setup => "SETUP",
        Method::Play => "PLAY",
        Method::Pause => "PAUSE",
        Method::Teardown => "TEARDOWN",
        Method::GetParameter => "GET_PARAMETER",
        Method::SetParameter => "SET_PARAMETER",
        Method::Announce => "ANNOUNCE",
        Method::Record => "RECORD",
        Method::Redirect => "REDIRECT",
        _ => "other",
    }
}
