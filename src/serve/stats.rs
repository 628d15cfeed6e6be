//! What the server has been asked, and what it refused.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard};

use crate::event::lock;
use crate::wire::rtsp::{Method, StatusCode};

/// The figures of an RTSP server.
#[derive(Debug, Clone, Default)]
pub struct ServerStats {
    /// Requests by method and status. Methods that RFC 2326 does not name count as `other`.
    pub requests: BTreeMap<(&'static str, u16), u64>,
    /// Connections now.
    pub connections: usize,
    /// Connections refused because of the limit.
    pub connections_refused: u64,
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

/// Why a session is not begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RefusedFor {
    /// Media is too late already.
    Late,
    /// A limit is reached, or the server stops.
    Limit,
    /// Packets are to go to a port that no viewer has.
    Port,
}

impl RefusedFor {
    pub const ALL: [(Self, &'static str); 3] =
        [(Self::Late, "late"), (Self::Limit, "limit"), (Self::Port, "port")];
}

#[derive(Default)]
pub(super) struct Counters {
    tables: Mutex<Tables>,
    pub connections: AtomicUsize,
    pub connections_refused: AtomicU64,
    sessions_refused: [AtomicU64; RefusedFor::ALL.len()],
    rtcp_reports: AtomicU64,
    rtcp_strangers: AtomicU64,
}

#[derive(Default)]
struct Tables {
    requests: BTreeMap<(&'static str, u16), u64>,
    sessions_ended: BTreeMap<&'static str, u64>,
    rtcp_refused: BTreeMap<&'static str, u64>,
}

impl Counters {
    /// `method` is absent where the request could not be read.
    pub fn request(&self, method: Option<&Method>, status: StatusCode) {
        let key = (method.map_or("invalid", method_label), u16::from(status));
        *self.tables().requests.entry(key).or_default() += 1;
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
            connections: self.connections.load(Relaxed),
            connections_refused: self.connections_refused.load(Relaxed),
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
