//! What is said by hand: how replies begin that have no end, and to who is turned away before anything is read of it.

use std::time::{Duration, UNIX_EPOCH};

/// Of a reply whose body is a transport stream: caches and proxies are told to keep nothing of it, and nginx in a word of its own
/// not to wait until a buffer is full.
pub const MEDIA_HEADERS: [(&str, &str); 4] = [
    ("cache-control", "no-store"),
    ("x-accel-buffering", "no"),
    ("accept-ranges", "none"),
    ("content-type", "video/mp2t"),
];

/// The head of that. It has no end but the connection's.
#[must_use]
pub fn media_begins(since_1970: Duration) -> Vec<u8> {
    let date = date(since_1970);
    format!(
        "HTTP/1.1 200 OK\r\nDate: {date}\r\nConnection: close\r\nCache-Control: no-store\r\nX-Accel-Buffering: no\r\n\
         Accept-Ranges: none\r\nContent-Type: video/mp2t\r\n\r\n"
    )
    .into_bytes()
}

/// The same of what was on, which is called so where it is saved.
#[must_use]
pub fn past_begins(since_1970: Duration, called: &str) -> Vec<u8> {
    let mut head = media_begins(since_1970);
    head.truncate(head.len() - 2);
    head.extend(format!("Content-Disposition: attachment; filename=\"{called}\"\r\n\r\n").as_bytes());
    head
}

/// The head of the reply to a tunnel's GET: RTSP follows, as long as the connection lives. HTTP/1.0, in which a body without a
/// length is one; to caches and proxies the same is said.
#[must_use]
pub fn tunnel_begins(since_1970: Duration) -> Vec<u8> {
    let date = date(since_1970);
    format!(
        "HTTP/1.0 200 OK\r\nDate: {date}\r\nConnection: close\r\nCache-Control: no-store\r\nPragma: no-cache\r\n\
         X-Accel-Buffering: no\r\nContent-Type: application/x-rtsp-tunnelled\r\n\r\n"
    )
    .into_bytes()
}

/// That there is no room for a connection.
#[must_use]
pub fn turned_away(retry_after_s: &str, since_1970: Duration) -> Vec<u8> {
    let (date, text) = (date(since_1970), "There are too many connections.\n");
    let length = text.len();
    format!(
        "HTTP/1.1 503 Service Unavailable\r\nDate: {date}\r\nConnection: close\r\nRetry-After: {retry_after_s}\r\n\
         Content-Type: text/plain\r\nContent-Length: {length}\r\n\r\n{text}"
    )
    .into_bytes()
}

fn date(since_1970: Duration) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + since_1970)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_end_has_no_length() {
        for (bytes, kind) in [
            (media_begins(Duration::ZERO), "video/mp2t"),
            (tunnel_begins(Duration::ZERO), "application/x-rtsp-tunnelled"),
        ] {
            let head = String::from_utf8(bytes).expect("text");
            assert!(head.contains(" 200 OK\r\nDate: Thu, 01 Jan 1970"), "{head}");
            assert!(!head.contains("Content-Length"), "{head}");
            assert!(head.ends_with(&format!("Content-Type: {kind}\r\n\r\n")), "{head}");
        }
    }

    #[test]
    fn what_has_one_says_it() {
        let said = String::from_utf8(turned_away("3", Duration::ZERO)).expect("text");
        assert!(
            said.contains("\r\nRetry-After: 3\r\n") && said.contains("\r\nContent-Length: 32\r\n"),
            "{said}"
        );
        assert_eq!(said.split_once("\r\n\r\n").map(|(_, body)| body.len()), Some(32));
    }
}
