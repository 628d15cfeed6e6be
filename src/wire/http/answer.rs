//! Replies of HTTP.

use std::time::{Duration, UNIX_EPOCH};

/// A refusal, with words for whoever reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body, in one line.
    pub text: &'static str,
}

impl Answer {
    /// The bytes to send, at that time.
    #[must_use]
    pub fn to_bytes(&self, since_1970: Duration, headers: &[(&str, &str)]) -> Vec<u8> {
        let Self { status, text } = self;
        let (reason, date) = (reason(*status), date(since_1970));
        let mut reply = format!("HTTP/1.0 {status} {reason}\r\nDate: {date}\r\nConnection: close\r\n");
        for (name, value) in headers {
            reply.push_str(&format!("{name}: {value}\r\n"));
        }
        if *status == 405 {
            reply.push_str("Allow: GET, POST\r\n");
        }
        if !text.is_empty() {
            reply.push_str("Content-Type: text/plain\r\n");
        }
        let length = text.len() + usize::from(!text.is_empty());
        reply.push_str(&format!("Content-Length: {length}\r\n\r\n{text}"));
        if !text.is_empty() {
            reply.push('\n');
        }
        reply.into_bytes()
    }
}

/// The head of the reply to a tunnel's GET, which has no end: RTSP follows, as long as the connection lives. HTTP/1.0, in which a
/// body without a length is one; caches and proxies are told to keep nothing of it, and nginx in a word of its own not to wait
/// until a buffer is full.
#[must_use]
pub fn tunnel_begins(since_1970: Duration) -> Vec<u8> {
    let date = date(since_1970);
    format!(
        "HTTP/1.0 200 OK\r\nDate: {date}\r\nConnection: close\r\nCache-Control: no-store\r\nPragma: no-cache\r\n\
         X-Accel-Buffering: no\r\nContent-Type: application/x-rtsp-tunnelled\r\n\r\n"
    )
    .into_bytes()
}

pub(super) fn date(since_1970: Duration) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + since_1970)
}

pub(super) fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        411 => "Length Required",
        415 => "Unsupported Media Type",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_a_length_and_says_why() {
        let reply = Answer { status: 405, text: "no" }.to_bytes(Duration::ZERO, &[("Retry-After", "3")]);
        let reply = String::from_utf8(reply).expect("text");
        assert!(reply.starts_with("HTTP/1.0 405 Method Not Allowed\r\nDate: Thu, 01 Jan 1970"), "{reply}");
        assert!(
            reply.contains("\r\nAllow: GET, POST\r\n") && reply.contains("\r\nRetry-After: 3\r\n"),
            "{reply}"
        );
        assert!(reply.ends_with("Content-Length: 3\r\n\r\nno\n"), "{reply}");
    }

    #[test]
    fn a_tunnel_has_no_length() {
        let reply = String::from_utf8(tunnel_begins(Duration::ZERO)).expect("text");
        assert!(
            !reply.contains("Content-Length") && reply.ends_with("application/x-rtsp-tunnelled\r\n\r\n"),
            "{reply}"
        );
    }
}
