//! HTTP as a viewer speaks it: one GET, and the head of its reply.

use std::io::{Error, Result};
use std::net::SocketAddrV4;

const LARGEST_HEAD_BYTES: usize = 16 << 10;

/// Asks for a channel that has this name in the relay's config.
pub fn request(server: SocketAddrV4, channel: &str) -> String {
    format!("GET /{channel} HTTP/1.1\r\nHost: {server}\r\nUser-Agent: fanout\r\nAccept: */*\r\n\r\n")
}

/// The head of a reply, as far as it has come.
#[derive(Default)]
pub struct Head {
    received: Vec<u8>,
    is_over: bool,
}

impl Head {
    /// Gives what of these bytes is behind the head. One that does not promise a plain transport stream is an error.
    pub fn skip<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8]> {
        if self.is_over {
            return Ok(bytes);
        }
        let before = self.received.len();
        self.received.extend_from_slice(bytes);
        let Some(end) = self.received.windows(4).position(|window| window == b"\r\n\r\n") else {
            let is_too_long = self.received.len() > LARGEST_HEAD_BYTES;
            return if is_too_long { Err(Error::other("a head that does not end")) } else { Ok(&[]) };
        };
        self.is_over = true;
        let head = String::from_utf8_lossy(&self.received[..end]).to_ascii_lowercase();
        self.received = Vec::new();
        let status = head.lines().next().unwrap_or_default();
        let is_stream =
            status.split(' ').nth(1) == Some("200") && head.contains("\r\ncontent-type: video/mp2t");
        if !is_stream || head.contains("\r\ntransfer-encoding:") {
            return Err(Error::other(format!("no plain transport stream, but: {head}")));
        }
        Ok(&bytes[end + 4 - before..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_skipped_at_every_cut() {
        let reply = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\n\r\nabc\r\n\r\n";
        for cut in 0..reply.len() {
            let mut head = Head::default();
            let (first, second) = reply.split_at(cut);
            let body =
                [head.skip(first).expect("a good head"), head.skip(second).expect("a good head")].concat();
            assert_eq!(body, b"abc\r\n\r\n", "cut at {cut}");
        }
    }

    #[test]
    fn what_is_no_plain_stream_is_refused() {
        for reply in [
            "HTTP/1.1 415 Unsupported Media Type\r\nContent-Type: video/mp2t\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\nTransfer-Encoding: chunked\r\n\r\n",
        ] {
            assert!(Head::default().skip(reply.as_bytes()).is_err(), "{reply}");
        }
        assert!(Head::default().skip(&[b'a'; LARGEST_HEAD_BYTES + 1]).is_err());
    }
}
