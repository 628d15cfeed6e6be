//! A request of a viewer over HTTP: who asks, for what, and what it is answered.

use std::sync::Arc;
use std::time::Instant;

use crate::event::clock;
use crate::wire::http::{Answer, Head, Method, Place, Reply, host_of};
use crate::wire::rtsp::{Method as RtspMethod, Target};

use super::super::guard::{Acquaintance, Asked as Judged, OverHttp, Verdict};
use super::super::journal::{Refused, Why};
use super::super::rtsp::retry_after_s;
use super::super::stats::RefusedFor;
use super::http_connection::NOT_SERVED;
use super::outgoing::Outgoing;
use super::presence::Presence;

pub(super) struct Asked {
    pub presence: Arc<Presence>,
    pub out: Arc<Outgoing>,
    pub head: Head,
    pub place: Place,
}

/// A refusal: its words, with more of what is to be told, and its headers.
pub(super) struct Refusal {
    answer: Answer,
    more: String,
    headers: Vec<(&'static str, String)>,
    /// For the log, if it is to hear of it.
    reason: Option<&'static str>,
}

impl Refusal {
    pub fn of(status: u16, text: &'static str) -> Self {
        let answer = Answer { status, text };
        Self { answer, more: String::new(), headers: Vec::new(), reason: Some(text) }
    }

    /// Of what there is not.
    pub fn not_found() -> Self {
        Self::of(404, "There is no such channel. /playlist.m3u lists those there are.")
    }

    pub fn more(self, more: String) -> Self {
        Self { more, ..self }
    }

    /// The same, with a header.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// There is too little of something; waiting may help. A crowd that is sent away is spread.
    pub fn too_much(reason: RefusedFor, client_port: u16) -> Self {
        let text = match reason {
            RefusedFor::Gone => "The channel has ended, or is another one now.",
            RefusedFor::Address | RefusedFor::Egress => "Your address has as much as it may have.",
            _ => "There is no room for one more viewer.",
        };
        let headers = vec![("Retry-After", retry_after_s(client_port).to_string())];
        Self { headers, reason: Some(reason.label()), ..Self::of(503, text) }
    }

    fn by(verdict: Verdict) -> Option<Self> {
        match verdict {
            Verdict::Allowed => None,
            Verdict::Challenge { challenges, failed } => {
                let headers = challenges.into_iter().map(|value| ("WWW-Authenticate", value)).collect();
                Some(Self { headers, reason: failed, ..Self::of(401, "This takes a login.") })
            }
            Verdict::Forbidden(reason) => {
                Some(Self { reason: Some(reason), ..Self::of(403, "This is not for you to see.") })
            }
            Verdict::NotNow(wait, reason) => {
                let headers = vec![("Retry-After", wait.as_secs_f64().ceil().to_string())];
                Some(Self { headers, reason: Some(reason), ..Self::of(503, "Not now.") })
            }
        }
    }
}

impl Asked {
    /// Whether a channel is for who asks.
    pub fn judge(&self, channel: &str, now: Instant) -> Result<(), Refusal> {
        let mut known = Acquaintance::default();
        let guard = &self.out.server.guard;
        let verdict = self.judged(Some(channel), |judged| guard.judge(judged, &mut known, now));
        Refusal::by(verdict).map_or(Ok(()), Err)
    }

    /// Which of these channels are.
    pub fn visible(&self, channels: &[String], now: Instant) -> Result<Vec<bool>, Refusal> {
        let mut known = Acquaintance::default();
        let guard = &self.out.server.guard;
        let visible = self.judged(None, |judged| guard.visible(judged, &mut known, channels, now));
        visible.map_err(|verdict| {
            Refusal::by(verdict).unwrap_or(Refusal::of(403, "This is not for you to see."))
        })
    }

    fn judged<T>(&self, channel: Option<&str>, judge: impl FnOnce(&Judged<'_>) -> T) -> T {
        let Self { head, out, place, .. } = self;
        let method = RtspMethod::Extension(head.method.label().to_owned());
        let over_http =
            OverHttp { uri: &head.target, token: place.token.as_deref(), wants_login: place.has_login };
        judge(&Judged {
            method: &method,
            target: &Target::Server,
            channel,
            names_session: false,
            authorization: head.authorization.as_deref(),
            client: out.peer.ip(),
            over_tls: out.is_secret(),
            over_http: Some(over_http),
        })
    }

    /// Where the client finds us: scheme, host and port.
    pub fn base(&self) -> String {
        if let Some(url) = &self.presence.config.url {
            return url.clone();
        }
        let scheme = if self.out.is_secret() { "https" } else { "http" };
        let named = self.head.host.as_deref().and_then(host_of);
        named.map_or_else(
            || format!("{scheme}://{}", self.out.local),
            |(host, _)| format!("{scheme}://{host}"),
        )
    }

    /// Where it finds a channel by RTSP, if that is served.
    pub fn rtsp_url(&self, channel: &str) -> Option<String> {
        let base = self.base();
        let (_, host) = host_of(base.split_once("://")?.1)?;
        let (scheme, port) = self.presence.rtsp_port(self.out.is_secret())?;
        Some(format!("{scheme}://{host}:{port}/{channel}"))
    }

    pub fn is_head(&self) -> bool {
        self.head.method == Method::Head
    }

    /// Counts the request, and sends a reply.
    pub fn answer(&self, reply: &Reply) {
        self.out.server.counters.http_request(self.head.method.label(), reply.status);
        self.out.reply(reply.to_bytes(clock::unix_now(), self.is_head()));
    }

    pub fn refuse(&self, refusal: Refusal) {
        let Refusal { answer, more, headers, reason } = refusal;
        if let Some(reason) = reason {
            let why = Why { what: NOT_SERVED, status: answer.status, reason };
            let (method, agent) = (Some(self.head.method.label()), self.head.agent.as_deref());
            // Its query may have a token in it.
            let asked = Some(self.head.target.split(['?', '#']).next().unwrap_or_default());
            let refused = Refused { client: self.out.peer, why, method, asked, agent };
            self.out.server.teller.refuse(&refused, clock::now());
        }
        let reply = headers
            .into_iter()
            .fold(Reply::refusal(answer, &more), |reply, (name, value)| reply.header(name, value));
        self.answer(&reply);
    }
}
