//! Why a subscriber is not served. The text names what to do about it, or what to look at; equal texts are
//! counted together. It knows no subscriber.

use std::io;

use crate::net::plain;
use crate::wire::rtsp::{Method, StatusCode};

/// Why a subscriber is not served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// There is no connection.
    #[error("connecting failed: {0}")]
    Connect(String),
    /// The server said no.
    #[error("{method} was answered {status}{hint}", method = name(.0), status = status(.1), hint = hint(.1))]
    Refused(Method, StatusCode),
    /// The stream is elsewhere.
    #[error("{method} was answered {status}: probe {to} instead", method = name(.0), status = status(.1), to = .2)]
    Elsewhere(Method, StatusCode, String),
    /// An answer that lacks what is needed to go on.
    #[error("the answer to {method} {1}", method = name(.0))]
    Answer(Method, &'static str),
    /// The description is of no use.
    #[error("the description cannot be used: {0}")]
    Description(String),
    /// No answer in time.
    #[error("no answer to {method} in time", method = name(.0))]
    Silence(Method),
    /// The server has closed the connection.
    #[error("the server closed the connection {0}")]
    Closed(&'static str),
    /// Reading or writing failed.
    #[error("the connection broke {0}: {1}")]
    Broken(&'static str, String),
    /// What the server sends is not RTSP.
    #[error("the server does not speak RTSP, it says {0:?}")]
    NotRtsp(String),
    /// The server sends requests and does not read the answers.
    #[error("the server does not read what it is sent")]
    NotRead,
    /// No UDP socket.
    #[error("no UDP ports: {0}")]
    Ports(String),
    /// It plays, and not one packet came.
    #[error("plays, but no packet came{0}")]
    Nothing(&'static str),
    /// Packets came, and then no more.
    #[error("packets stopped while playing")]
    Stopped,
}

impl Failure {
    /// Connecting failed.
    pub fn connect(error: &io::Error) -> Self {
        Self::Connect(match error.kind() {
            io::ErrorKind::ConnectionRefused => "connection refused: nobody listens there".to_owned(),
            io::ErrorKind::TimedOut => "no answer in time: a firewall, or a wrong address?".to_owned(),
            _ => plain(error),
        })
    }

    /// What the server sends is not RTSP. Its first words tell what it is instead.
    pub fn not_rtsp(bytes: &[u8]) -> Self {
        let line = bytes.split(|byte| matches!(byte, b'\r' | b'\n')).find(|line| !line.is_empty());
        let start = line.unwrap_or_default();
        Self::NotRtsp(String::from_utf8_lossy(&start[..start.len().min(40)]).into_owned())
    }

    /// Reading or writing failed, while doing something.
    pub fn broken(doing: &'static str, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Closed(doing),
            _ => Self::Broken(doing, plain(error)),
        }
    }
}

fn name(method: &Method) -> &str {
    method.into()
}

fn status(status: &StatusCode) -> String {
    format!("{} {status}", u16::from(*status))
}

fn hint(status: &StatusCode) -> &'static str {
    match u16::from(*status) {
        401 => ": the server wants a password, which the probe cannot give",
        404 => ": the server has no such stream",
        453 | 503 => ": a limit of the server?",
        461 => ": the server does not serve this --transport",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_happened_and_where_to_look() {
        for (failure, text) in [
            (
                Failure::Refused(Method::Describe, StatusCode::NotFound),
                "DESCRIBE was answered 404 Not Found: the server has no such stream",
            ),
            (
                Failure::Elsewhere(Method::Describe, StatusCode::Found, "rtsp://b/".into()),
                "DESCRIBE was answered 302 Found: probe rtsp://b/ instead",
            ),
            (
                Failure::not_rtsp(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n"),
                "the server does not speak RTSP, it says \"HTTP/1.1 400 Bad Request\"",
            ),
            (Failure::Silence(Method::Setup), "no answer to SETUP in time"),
            (
                Failure::broken("while playing", &io::ErrorKind::UnexpectedEof.into()),
                "the server closed the connection while playing",
            ),
            (
                Failure::connect(&io::Error::from_raw_os_error(111)),
                "connecting failed: connection refused: nobody listens there",
            ),
            (
                Failure::connect(&io::Error::from_raw_os_error(101)),
                "connecting failed: Network is unreachable",
            ),
        ] {
            assert_eq!(failure.to_string(), text);
        }
    }
}
