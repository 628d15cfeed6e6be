//! Replies to who is served over HTTP alone. Each ends its connection.

use std::time::Duration;

use super::answer::{Answer, date, reason};

/// A reply with all of its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    kind: &'static str,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Reply {
    /// What was asked for, of this media type.
    #[must_use]
    pub const fn of(kind: &'static str, body: String) -> Self {
        Self { status: 200, kind, headers: Vec::new(), body }
    }

    /// A refusal, with more words behind those of the answer.
    #[must_use]
    pub fn refusal(answer: Answer, more: &str) -> Self {
        let Answer { status, text } = answer;
        let body = format!("{text}{more}\n");
        Self { status, kind: "text/plain; charset=utf-8", headers: Vec::new(), body }
    }

    /// With a header more.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The bytes to send, at that time; to HEAD those of its head alone.
    #[must_use]
    pub fn to_bytes(&self, since_1970: Duration, to_head: bool) -> Vec<u8> {
        let Self { status, kind, headers, body } = self;
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let (reason, date, length) = (reason(*status), date(since_1970), body.len());
        let head = format!(
            "HTTP/1.1 {status} {reason}\r\nDate: {date}\r\nConnection: close\r\nCache-Control: no-store\r\n\
             {headers}Content-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
        );
        if to_head { head.into_bytes() } else { (head + body).into_bytes() }
    }
}

/// The head of a reply whose body is a transport stream. It has no end but the connection's; caches and proxies are told to keep
/// nothing of it, and nginx in a word of its own not to wait until a buffer is full.
#[must_use]
pub fn media_begins(since_1970: Duration) -> Vec<u8> {
    let date = date(since_1970);
    format!(
        "HTTP/1.1 200 OK\r\nDate: {date}\r\nConnection: close\r\nCache-Control: no-store\r\nX-Accel-Buffering: no\r\n\
         Accept-Ranges: none\r\nContent-Type: video/mp2t\r\n\r\n"
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn a_head_says_how_long_the_body_would_be() {
        let reply = Reply::of("application/json", "{}".to_owned()).header("X", "y".to_owned());
        let whole = text(reply.to_bytes(Duration::ZERO, false));
        assert!(whole.starts_with("HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970"), "{whole}");
        assert!(
            whole.contains("\r\nX: y\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"),
            "{whole}"
        );
        assert_eq!(text(reply.to_bytes(Duration::ZERO, true)), whole.trim_end_matches("{}"));
    }

    #[test]
    fn a_refusal_is_told_in_words() {
        let reply = Reply::refusal(Answer { status: 415, text: "No. " }, "rtsp://edge/news");
        let reply = text(reply.to_bytes(Duration::ZERO, false));
        assert!(reply.starts_with("HTTP/1.1 415 Unsupported Media Type\r\n"), "{reply}");
        assert!(reply.ends_with("Content-Length: 21\r\n\r\nNo. rtsp://edge/news\n"), "{reply}");
    }

    #[test]
    fn media_has_no_length() {
        let head = text(media_begins(Duration::ZERO));
        assert!(
            !head.contains("Content-Length") && head.ends_with("Content-Type: video/mp2t\r\n\r\n"),
            "{head}"
        );
    }
}
