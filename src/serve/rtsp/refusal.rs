//! Why a request is refused: the status, what the client is told beside it, and the word of the log.

use crate::wire::rtsp::{METHODS, StatusCode};

use super::super::guard::Verdict;
use super::super::journal::reason_of;
use super::super::stats::RefusedFor;

/// Seconds until one who was sent away may come back, and over how many a crowd is spread.
const RETRY_AFTER_S: u16 = 3;
const RETRY_SPREAD_S: u16 = 8;

/// A request refused.
pub struct Refusal {
    pub status: StatusCode,
    pub header: Option<(&'static str, String)>,
    /// What the client is to log in by.
    pub challenges: Vec<String>,
    /// Why, for the log, if it is to hear of it.
    pub reason: Option<&'static str>,
}

impl Refusal {
    /// One that says what there is (RFC 2326 sections 11.3.5 and 11.3.6).
    pub fn not_now(status: StatusCode) -> Self {
        Self { header: Some(("Allow", METHODS.to_owned())), ..status.into() }
    }

    /// A refusal for what there is too little of. Where waiting helps it says when to come back: a crowd that is sent away
    /// is spread, so as not to come back as one.
    pub fn of(reason: RefusedFor, client_port: u16) -> Self {
        let (status, header) = match reason {
            RefusedFor::Port | RefusedFor::Clear => (StatusCode::UnsupportedTransport, None),
            RefusedFor::Egress | RefusedFor::TotalEgress | RefusedFor::Line => {
                (StatusCode::NotEnoughBandwidth, None)
            }
            RefusedFor::Late
            | RefusedFor::Limit
            | RefusedFor::Address
            | RefusedFor::Connection
            | RefusedFor::Channel
            | RefusedFor::OutGroup
            | RefusedFor::Gone
            | RefusedFor::Draining
            | RefusedFor::Past => {
                let seconds = retry_after_s(client_port).to_string();
                (StatusCode::ServiceUnavailable, Some(("Retry-After", seconds)))
            }
        };
        Self { status, header, challenges: Vec::new(), reason: Some(reason.label()) }
    }

    /// What a judgement comes to, unless it is that the request is allowed. That somebody comes without a login is no news: so
    /// do all.
    pub fn by(verdict: Verdict) -> Option<Self> {
        let (status, header, challenges, reason) = match verdict {
            Verdict::Allowed => return None,
            Verdict::Challenge { challenges, failed } => (StatusCode::Unauthorized, None, challenges, failed),
            Verdict::Forbidden(reason) => (StatusCode::Forbidden, None, Vec::new(), Some(reason)),
            Verdict::NotNow(wait, reason) => {
                let seconds = wait.as_secs_f64().ceil().to_string();
                (StatusCode::ServiceUnavailable, Some(("Retry-After", seconds)), Vec::new(), Some(reason))
            }
        };
        Some(Self { status, header, challenges, reason })
    }
}

impl From<StatusCode> for Refusal {
    fn from(status: StatusCode) -> Self {
        Self { status, header: None, challenges: Vec::new(), reason: Some(reason_of(status)) }
    }
}

/// Ports of a host, or behind one address, are as good as random, but for their lowest bit: Linux gives out even ones.
pub fn retry_after_s(client_port: u16) -> u16 {
    RETRY_AFTER_S + client_port / 2 % RETRY_SPREAD_S
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_with_even_ports_is_spread_over_all_seconds() {
        let seconds: Vec<_> = (0..8).map(|n| retry_after_s(40_000 + 2 * n)).collect();
        assert_eq!(seconds, [3, 4, 5, 6, 7, 8, 9, 10]);
    }
}
