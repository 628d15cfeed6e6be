//! What a viewer asks the site for, whether it may have that, and where it finds it.

use std::sync::Arc;
use std::time::Instant;

use hyper::Method;

use crate::event::lock;
use crate::wire::http::{Place, host_of};
use crate::wire::rtsp::{Method as RtspMethod, Target};

use super::super::guard::{Acquaintance, Asked as Judged, OverHttp};
use super::super::rtsp_server::RtspServer;
use super::presence::Presence;
use super::refusal::Refusal;
use super::request::Request;

pub(super) struct Asked<'a> {
    pub presence: &'a Presence,
    pub request: &'a Request,
    pub place: Place,
}

impl Asked<'_> {
    pub fn server(&self) -> &Arc<RtspServer> {
        &self.request.client.server
    }

    /// Whether a channel is for who asks.
    pub fn judge(&self, channel: &str, now: Instant) -> Result<(), Refusal> {
        let guard = &self.server().guard;
        let verdict = self.judged(Some(channel), |judged, known| guard.judge(judged, known, now));
        Refusal::by(verdict).map_or(Ok(()), Err)
    }

    /// Which of these channels are.
    pub fn visible(&self, channels: &[String], now: Instant) -> Result<Vec<bool>, Refusal> {
        let guard = &self.server().guard;
        let visible = self.judged(None, |judged, known| guard.visible(judged, known, channels, now));
        visible.map_err(|verdict| {
            Refusal::by(verdict).unwrap_or(Refusal::of(403, "This is not for you to see."))
        })
    }

    fn judged<T>(&self, channel: Option<&str>, judge: impl FnOnce(&Judged<'_>, &mut Acquaintance) -> T) -> T {
        let Self { request, place, .. } = self;
        let method = RtspMethod::Extension(request.label().to_owned());
        let over_http =
            OverHttp { uri: &request.target, token: place.token.as_deref(), wants_login: place.has_login };
        let judged = Judged {
            method: &method,
            target: &Target::Server,
            channel,
            names_session: false,
            authorization: request.header("Authorization"),
            client: request.client.peer.ip(),
            over_tls: self.is_secret(),
            over_http: Some(over_http),
        };
        judge(&judged, &mut lock(&request.client.known))
    }

    /// Where the client finds us: scheme, host and port.
    pub fn base(&self) -> String {
        if let Some(url) = &self.presence.config().url {
            return url.clone();
        }
        let scheme = if self.is_secret() { "https" } else { "http" };
        let named = self.request.header("Host").and_then(host_of);
        named.map_or_else(
            || format!("{scheme}://{}", self.request.client.local),
            |(host, _)| format!("{scheme}://{host}"),
        )
    }

    /// Where it finds a channel by RTSP, if that is served.
    pub fn rtsp_url(&self, channel: &str) -> Option<String> {
        let base = self.base();
        let (_, host) = host_of(base.split_once("://")?.1)?;
        let (scheme, port) = self.presence.rtsp_port(self.is_secret())?;
        Some(format!("{scheme}://{host}:{port}/{channel}"))
    }

    pub fn is_head(&self) -> bool {
        self.request.head.method == Method::HEAD
    }

    fn is_secret(&self) -> bool {
        self.request.client.stream.is_secret()
    }
}
