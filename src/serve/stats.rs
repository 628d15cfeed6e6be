//! What the server has been asked, and what it refused.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard};

use crate::event::lock;
use crate::wire::rtcp::NotRtcp;
use crate::wire::rtsp::{Method, StatusCode};

use super::reporter::NotTheirs;

pub(super) use super::reasons::{AcceptError, CutFor, NoHandshake, NotTaken, Port, RefusedFor, Transport};

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
    /// Datagrams to an RTP port, while a viewer is looked for there, from addresses that nobody registered.
    pub rtp_strangers: u64,
    /// Ports of viewers behind a NAT that were learnt, by ours.
    pub learnt: [(&'static str, u64); Port::ALL.len()],
    /// Tracks whose viewers' ports are not learnt, since too many of their address are looked for.
    pub not_learnt: u64,
    /// Datagrams from subscribers' addresses that are not RTCP, or not theirs, by reason.
    pub rtcp_refused: BTreeMap<&'static str, u64>,
}

impl ServerStats {
    /// All connections now.
    pub fn all_connections(&self) -> usize {
        self.connections.iter().map(|(_, count)| count).sum()
    }
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
    rtp_strangers: AtomicU64,
    learnt: [AtomicU64; Port::ALL.len()],
    not_learnt: AtomicU64,
}

/// Its connection was closed, and no sign of its viewer has come since.
pub(super) const NOT_BACK: &str = "not back";
/// RTCP about what is sent again in a session of its own: the viewer lives, and asks, by that of the track.
pub(super) const OF_RTX: &str = "rtx";

/// Its channel is there no longer, or is another one.
pub(super) const CHANNEL_GONE: &str = "channel gone";

/// An operator has ended it.
pub(super) const OPERATOR: &str = "operator";

/// Another process had it before, and this one could not take it over.
pub(super) const NOT_TAKEN_OVER: &str = "not taken over";

/// What was asked for of the past has been played to its end.
pub(super) const PLAYED: &str = "played";

/// Its source sends again, and that is more than there is for it.
pub(super) const EGRESS: &str = "egress";
/// Its client has set up the same anew in its connection, as nothing came over UDP.
pub(super) const FELL_BACK: &str = "fell back";

/// Why sessions end. Each has a series from the start, so that the first is seen as one.
const ENDED_FOR: [&str; 15] = [
    PLAYED,
    OPERATOR,
    NOT_TAKEN_OVER,
    "teardown",
    "connection closed",
    NOT_BACK,
    CHANNEL_GONE,
    FELL_BACK,
    "timeout",
    "goodbye",
    "refused",
    EGRESS,
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
        let refused = not_rtcp.chain(not_theirs).chain(["frame_too_long", "receive_error", "full", OF_RTX]);
        Self {
            requests: SERVED.map(|method| ((method, 200), 0)).into(),
            http_requests: ["GET", "HEAD", "POST"].map(|method| ((method, 200), 0)).into(),
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

    pub fn rtp_stranger(&self) {
        self.rtp_strangers.fetch_add(1, Relaxed);
    }

    pub fn learnt(&self, port: Port) {
        self.learnt[port as usize].fetch_add(1, Relaxed);
    }

    pub fn not_learnt(&self) {
        self.not_learnt.fetch_add(1, Relaxed);
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
            rtp_strangers: self.rtp_strangers.load(Relaxed),
            learnt: Port::ALL.map(|(port, label)| (label, self.learnt[port as usize].load(Relaxed))),
            not_learnt: self.not_learnt.load(Relaxed),
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
