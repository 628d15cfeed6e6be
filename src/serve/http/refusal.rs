//! What is told to who gets nothing.

use hyper::StatusCode;
use hyper::header::{ALLOW, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};

use super::super::guard::Verdict;
use super::super::rtsp::retry_after_s;
use super::super::stats::RefusedFor;
use super::request::{Answer, Request, reply};

/// A refusal: its words, with more of what is to be told, and its headers.
pub(super) struct Refusal {
    status: u16,
    text: &'static str,
    more: String,
    headers: Vec<(HeaderName, String)>,
    /// For the log, if it is to hear of it.
    reason: Option<&'static str>,
}

impl Refusal {
    pub fn of(status: u16, text: &'static str) -> Self {
        Self { status, text, more: String::new(), headers: Vec::new(), reason: Some(text) }
    }

    /// Of what there is not.
    pub fn not_found() -> Self {
        Self::of(404, "There is no such channel. /playlist.m3u lists those there are.")
    }

    /// Of a method, where there are others.
    pub fn no_method(text: &'static str, allow: &str) -> Self {
        Self { headers: vec![(ALLOW, allow.to_owned())], ..Self::of(405, text) }
    }

    pub fn more(self, more: String) -> Self {
        Self { more, ..self }
    }

    /// There is too little of something; waiting may help. A crowd that is sent away is spread.
    pub fn too_much(reason: RefusedFor, client_port: u16) -> Self {
        let text = match reason {
            RefusedFor::Gone => "The channel has ended, or is another one now.",
            RefusedFor::Draining => "This server is about to be stopped.",
            RefusedFor::Address | RefusedFor::Egress => "Your address has as much as it may have.",
            _ => "There is no room for one more viewer.",
        };
        let headers = vec![(RETRY_AFTER, retry_after_s(client_port).to_string())];
        Self { headers, reason: Some(reason.label()), ..Self::of(503, text) }
    }

    /// `None`: none is refused.
    pub fn by(verdict: Verdict) -> Option<Self> {
        match verdict {
            Verdict::Allowed => None,
            Verdict::Challenge { challenges, failed } => {
                let headers = challenges.into_iter().map(|value| (WWW_AUTHENTICATE, value)).collect();
                Some(Self { headers, reason: failed, ..Self::of(401, "This takes a login.") })
            }
            Verdict::Forbidden(reason) => {
                Some(Self { reason: Some(reason), ..Self::of(403, "This is not for you to see.") })
            }
            Verdict::NotNow(wait, reason) => {
                let headers = vec![(RETRY_AFTER, wait.as_secs_f64().ceil().to_string())];
                Some(Self { headers, reason: Some(reason), ..Self::of(503, "Not now.") })
            }
        }
    }

    /// Tells it to the client, and to the log.
    pub fn answer(self, request: &Request) -> Answer {
        let Self { status, text, more, headers, reason } = self;
        if let Some(reason) = reason {
            request.client.tell(status, reason, Some(request));
        }
        let mut reply = reply("text/plain; charset=utf-8", format!("{text}{more}\n"));
        *reply.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::try_from(value) {
                reply.headers_mut().append(name, value);
            }
        }
        Answer::Reply(reply)
    }
}
