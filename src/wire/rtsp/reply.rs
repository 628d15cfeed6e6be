//! Responses to a client (RFC 2326 section 7), serialised.
//!
//! Values from a request may be put in: what could break a line is taken out of them here.

use std::fmt::Write;
use std::time::{Duration, UNIX_EPOCH};

use rtsp_types::headers::{self, HeaderName};
use rtsp_types::{Response, ResponseBuilder, StatusCode, Version};

use super::via::{LOOP_DETECTED, LOOP_PHRASE};

/// The methods that are answered, for Public and Allow.
pub const METHODS: &str = "OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, TEARDOWN, GET_PARAMETER, SET_PARAMETER";

const SERVER: &str = concat!("Mirrorball/", env!("CARGO_PKG_VERSION"));

/// A response being written. It carries the CSeq of its request and our name from the start.
#[derive(Debug, Clone)]
#[must_use = "a reply does nothing until its bytes are sent"]
pub struct Reply {
    builder: ResponseBuilder,
    /// Values of WWW-Authenticate. The serialiser would make one line of them, of which many clients read a part.
    challenges: Vec<String>,
    body: Vec<u8>,
}

/// What one track's first packet after PLAY will be (RFC 2326 section 12.33).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtpInfo<'a> {
    /// The track's URI, as in its SETUP.
    pub url: &'a str,
    /// The sequence number of the first packet, if known.
    pub sequence: Option<u16>,
    /// The RTP timestamp of the first packet, if known.
    pub rtptime: Option<u32>,
}

impl Reply {
    /// A response with this status. Without a CSeq only where none could be read.
    pub fn new(status: StatusCode, cseq: Option<u32>) -> Self {
        let mut builder = Response::builder(Version::V1_0, status).header(headers::SERVER, SERVER);
        match status {
            StatusCode::Ok => builder = builder.reason_phrase("OK"), // as RFC 2326 spells it, for clients that compare
            LOOP_DETECTED => builder = builder.reason_phrase(LOOP_PHRASE),
            _ => {}
        }
        let reply = Self { builder, challenges: vec![], body: vec![] };
        match cseq {
            Some(cseq) => reply.with(headers::CSEQ, cseq.to_string()),
            None => reply,
        }
    }

    /// Date: when this is sent, as the time since 1970 (RFC 2326 section 12.18).
    pub fn date(self, since_1970: Duration) -> Self {
        self.with(headers::DATE, httpdate::fmt_http_date(UNIX_EPOCH + since_1970))
    }

    /// Session: the id and how long it lives without a sign of life, in seconds.
    pub fn session(self, id: &str, timeout_s: u32) -> Self {
        self.with(headers::SESSION, format!("{id};timeout={timeout_s}"))
    }

    /// Transport: what `transport::Transport::reply` wrote.
    pub fn transport(self, transport: &str) -> Self {
        self.with(headers::TRANSPORT, transport)
    }

    /// Range: from now on, the answer to PLAY of a live channel.
    pub fn live_range(self) -> Self {
        self.with(headers::RANGE, "npt=now-")
    }

    /// Range: what is played.
    pub fn range(self, range: &str) -> Self {
        self.with(headers::RANGE, range)
    }

    /// RTP-Info: one entry for each track that plays. Nothing is written for none.
    pub fn rtp_info(self, tracks: &[RtpInfo<'_>]) -> Self {
        if tracks.is_empty() {
            return self;
        }
        let entries: Vec<String> = tracks.iter().map(RtpInfo::entry).collect();
        self.with(headers::RTP_INFO, entries.join(","))
    }

    /// Public: the methods of this server, for OPTIONS.
    pub fn public(self) -> Self {
        self.with(headers::PUBLIC, METHODS)
    }

    /// A body of SDP, and the URI its controls are relative to.
    pub fn description(self, content_base: &str, sdp: &str) -> Self {
        let reply = self.with(headers::CONTENT_BASE, content_base);
        reply.body(headers::CONTENT_TYPE, "application/sdp", sdp.as_bytes())
    }

    /// WWW-Authenticate: a line for each challenge, in this order.
    pub fn challenges(self, challenges: Vec<String>) -> Self {
        Self { challenges, ..self }
    }

    /// Any other header. A name that is not ASCII is left out, control characters in the value too.
    pub fn header(self, name: &str, value: &str) -> Self {
        match HeaderName::try_from(name) {
            Ok(name) => self.with(name, value),
            Err(_) => self,
        }
    }

    /// The bytes to send.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(256 + self.body.len());
        // Writing to memory does not fail.
        let _ = self.builder.build(self.body).write(&mut bytes);
        let challenges: String = self
            .challenges
            .into_iter()
            .map(|challenge| format!("WWW-Authenticate: {}\r\n", without_controls(challenge)))
            .collect();
        let status_line = bytes.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        bytes.splice(status_line..status_line, challenges.into_bytes());
        bytes
    }

    fn body(mut self, name: HeaderName, content_type: &str, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self.with(name, content_type)
    }

    fn with(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.builder = self.builder.header(name, without_controls(value.into()));
        self
    }
}

fn without_controls(mut value: String) -> String {
    value.retain(|c| !c.is_control());
    value
}

impl RtpInfo<'_> {
    fn entry(&self) -> String {
        let mut entry = format!("url={}", self.url);
        if let Some(sequence) = self.sequence {
            let _ = write!(entry, ";seq={sequence}"); // writing to a String does not fail
        }
        if let Some(rtptime) = self.rtptime {
            let _ = write!(entry, ";rtptime={rtptime}");
        }
        entry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(reply: Reply) -> String {
        String::from_utf8(reply.to_bytes()).expect("text")
    }

    #[test]
    fn a_plain_reply() {
        let text = text(Reply::new(StatusCode::Ok, Some(7)).public());
        assert!(text.starts_with("RTSP/1.0 200 OK\r\n"), "{text}");
        assert!(text.ends_with("\r\n\r\n"));
        for line in [
            "CSeq: 7\r\n",
            concat!("Server: Mirrorball/", env!("CARGO_PKG_VERSION"), "\r\n"),
            "Public: OPTIONS, DESCRIBE, ",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }

    #[test]
    fn a_description_has_base_type_and_length() {
        let text = text(Reply::new(StatusCode::Ok, Some(2)).description("rtsp://edge/news/", "v=0\r\n"));
        for line in [
            "Content-Base: rtsp://edge/news/\r\n",
            "Content-Type: application/sdp\r\n",
            "Content-Length: 5\r\n",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        assert!(text.ends_with("\r\n\r\nv=0\r\n"));
    }

    #[test]
    fn playing_tells_session_and_first_packets() {
        let tracks = [
            RtpInfo {
                url: "rtsp://edge/news/trackID=1",
                sequence: Some(65535),
                rtptime: Some(4_294_967_295),
            },
            RtpInfo { url: "rtsp://edge/news/trackID=2", sequence: None, rtptime: None },
        ];
        let text =
            text(Reply::new(StatusCode::Ok, Some(5)).session("c0ffee", 60).live_range().rtp_info(&tracks));
        let info = "RTP-Info: url=rtsp://edge/news/trackID=1;seq=65535;rtptime=4294967295,url=rtsp://edge/news/trackID=2\r\n";
        for line in ["Session: c0ffee;timeout=60\r\n", "Range: npt=now-\r\n", info] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }

    #[test]
    fn a_date_is_as_http_has_it() {
        let text = text(Reply::new(StatusCode::Ok, Some(1)).date(Duration::from_secs(784_111_777)));
        assert!(text.contains("Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"), "{text}");
    }

    #[test]
    fn an_error_without_cseq_has_no_cseq() {
        let text = text(Reply::new(StatusCode::RTSPVersionNotSupported, None));
        assert!(text.starts_with("RTSP/1.0 505 "), "{text}");
        assert!(!text.contains("CSeq"), "{text}");
    }

    #[test]
    fn each_challenge_is_a_line_of_its_own_in_the_order_given() {
        let challenges = vec!["Digest a=\"x\", b=y".to_owned(), "Digest c\r\nSession: stolen".to_owned()];
        let text = text(Reply::new(StatusCode::Unauthorized, Some(3)).challenges(challenges));
        let lines =
            "\r\nWWW-Authenticate: Digest a=\"x\", b=y\r\nWWW-Authenticate: Digest cSession: stolen\r\n";
        assert!(text.starts_with("RTSP/1.0 401 ") && text.contains(lines), "{text}");
        assert!(text.contains("CSeq: 3\r\n") && text.ends_with("\r\n\r\n"), "{text}");
    }

    #[test]
    fn a_value_cannot_add_a_line() {
        let text =
            text(Reply::new(StatusCode::Ok, Some(1)).header("Via", "x\r\nSession: stolen\r\n\r\nbody"));
        assert!(text.contains("Via: xSession: stolenbody\r\n"), "{text}");
    }
}
