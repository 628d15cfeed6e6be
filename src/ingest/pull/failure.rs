//! Why a stream is not pulled. The text names what to do about it, or what to look at; the reason is its label in metrics.

use std::time::Duration;

use crate::wire::rtsp::{LOOP_DETECTED, LOOP_PHRASE, Method, NoUse, StatusCode, Url};

/// Why a stream is not pulled, or no longer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// There is no connection.
    #[error("connecting failed: {0}")]
    Connect(String),
    /// Nobody has answered who was to be connected to.
    #[error("connecting failed: no answer in time: a firewall, or a wrong address?")]
    NoConnection,
    /// TLS was not agreed on, or broke.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// The server has closed the connection.
    #[error("the server closed the connection")]
    Closed,
    /// Reading or writing failed.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// No answer in time.
    #[error("no answer to {method} in time", method = name(.0))]
    Silence(Method),
    /// It plays and answers, and sends no RTP for so long.
    #[error("the server plays, and no media has come for {} s", .0.as_secs())]
    NoMedia(Duration),
    /// The server wants a login, or another one.
    #[error("the server answered 401: {0}")]
    Login(NoUse),
    /// The server said no. It may say after how long to ask again.
    #[error("{method} was answered {code} {status}{hint}", method = name(.0), code = u16::from(*.1), status = phrase(*.1), hint = hint(*.1))]
    Refused(Method, StatusCode, Option<Duration>),
    /// An answer that lacks what is needed to go on.
    #[error("the answer to {method} {what}", method = name(.0), what = .1)]
    Answer(Method, &'static str),
    /// The description is of no use.
    #[error("the description can not be used: {0}")]
    Description(String),
    /// The stream has other tracks than before, or other parameters.
    #[error("the server describes another stream than before")]
    Changed,
    /// The server leads elsewhere, and it is not followed there.
    #[error("the redirect to {0} is not followed: {1}")]
    Redirect(String, &'static str),
    /// What the server sends is not RTSP.
    #[error("what the server says can not be read: {0}")]
    Unreadable(String),
    /// The server does not read what it is sent.
    #[error("the server does not read what it is sent")]
    NotRead,
    /// The server has ended the session.
    #[error("the server ended the session")]
    Ended,
    /// No UDP socket.
    #[error("no UDP ports: {0}")]
    Ports(String),
}

impl Failure {
    /// All labels.
    pub const REASONS: [&str; 11] = [
        "changed",
        "closed",
        "connect",
        "description",
        "login",
        "redirect",
        "refused",
        "silent",
        "timeout",
        "tls",
        "unreadable",
    ];

    /// Its label.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Connect(_) | Self::NoConnection | Self::Ports(_) => "connect",
            Self::Tls(_) => "tls",
            Self::Closed | Self::Broken(_) | Self::Ended | Self::NotRead => "closed",
            Self::Silence(_) => "timeout",
            Self::NoMedia(_) => "silent",
            Self::Login(_) => "login",
            Self::Refused(..) => "refused",
            Self::Answer(..) | Self::Unreadable(_) => "unreadable",
            Self::Description(_) => "description",
            Self::Changed => "changed",
            Self::Redirect(..) => "redirect",
        }
    }

    /// Whether it is the connection, by which nothing more can be said.
    pub(super) const fn is_of_the_connection(&self) -> bool {
        matches!(self, Self::Connect(_) | Self::NoConnection | Self::Tls(_) | Self::Closed | Self::Broken(_))
    }

    /// Whether the stream is pulled from itself.
    pub(super) fn is_a_ring(&self) -> bool {
        matches!(self, Self::Refused(_, LOOP_DETECTED, _))
    }

    /// What the server sends is not RTSP.
    pub(super) fn unreadable(what: impl Into<String>) -> Self {
        Self::Unreadable(what.into())
    }
}

/// Of where a server leads, what may be told: scheme, host and port, as much as a line of the log holds. Where these can not
/// be told from a login, a path or a query, nothing.
pub(super) fn place(location: &str) -> String {
    let url = Url::parse(location).ok();
    let told = url.as_ref().and_then(|url| {
        let host = url.host_str().filter(|host| !host.is_empty())?;
        let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
        Some(format!("{}://{host}{port}", url.scheme()))
    });
    told.unwrap_or_else(|| "somewhere".to_owned()).chars().filter(|c| !c.is_control()).take(120).collect()
}

fn name(method: &Method) -> &str {
    method.into()
}

fn phrase(status: StatusCode) -> String {
    if status == LOOP_DETECTED { LOOP_PHRASE.to_owned() } else { status.to_string() }
}

fn hint(status: StatusCode) -> &'static str {
    match u16::from(status) {
        403 => ": it does not let this machine in",
        404 => ": the server has no such stream",
        453 | 503 => ": a limit of the server?",
        482 => ": the channel is pulled from itself, here or by way of other edges; look at their sources",
        461 => ": it does not serve this transport; write the other one",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_happened_and_where_to_look() {
        for (failure, reason, text) in [
            (
                Failure::Refused(Method::Describe, StatusCode::NotFound, None),
                "refused",
                "DESCRIBE was answered 404 Not Found: the server has no such stream",
            ),
            (Failure::Silence(Method::Setup), "timeout", "no answer to SETUP in time"),
            (
                Failure::NoMedia(Duration::from_secs(10)),
                "silent",
                "the server plays, and no media has come for 10 s",
            ),
            (
                Failure::Login(NoUse::NoLogin),
                "login",
                "the server answered 401: it wants a login, and none is configured",
            ),
        ] {
            assert_eq!((failure.to_string().as_str(), failure.reason()), (text, reason));
            assert!(Failure::REASONS.contains(&reason));
        }
        assert!(Failure::REASONS.is_sorted());
    }

    #[test]
    fn of_a_url_neither_login_nor_path_nor_query_is_told() {
        for (location, told) in [
            ("rtsp://anna:x@y@edge:1\r\n/a@b", "rtsp://edge:1"),
            ("rtsps://[2001:db8::7]?token=x#y", "rtsps://[2001:db8::7]"),
            ("http://edge\\@x/y", "http://edge"),
            ("rtsp://anna:pass/word@edge/", "somewhere"),
            ("rtsp:///x", "somewhere"),
            ("anna:x@edge", "somewhere"),
            ("live?token=x", "somewhere"),
            ("/a", "somewhere"),
        ] {
            assert_eq!(place(location), told, "{location}");
        }
        assert_eq!(place(&format!("rtsp://{}", "x".repeat(200))).len(), 120);
    }
}
