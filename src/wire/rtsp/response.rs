//! One response of a server, as a client reads it (RFC 2326 section 7).
//!
//! Where it begins and ends is `framing`'s business; what it answers, the client's.
//!
//! Lenient where servers are loose and the meaning is clear: line ends, a reason that is missing, headers without a colon.

use rtsp_types::StatusCode;

use super::granted::Granted;
use super::headers::Headers;

/// How long a session lives without a sign of life where the server does not say (RFC 2326 section 12.37), in
/// seconds.
const DEFAULT_TIMEOUT_S: u32 = 60;

/// A response whose head was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    status: StatusCode,
    headers: Headers,
    body: Vec<u8>,
}

/// Why the bytes are no response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the response's status line or headers cannot be read")]
pub struct NotAResponse;

impl Response {
    /// Reads the bytes of one response, with the line ends that may stand before it.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(message: &[u8]) -> Result<Self, NotAResponse> {
        let (head, body) = split(message).ok_or(NotAResponse)?;
        let mut lines =
            head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let mut lines = lines.by_ref().skip_while(|line| line.is_empty());
        let status = status(lines.next().unwrap_or_default()).ok_or(NotAResponse)?;
        let lines = lines.filter(|line| line.contains(&b':') || line.starts_with(b" "));
        let headers = Headers::read(lines).map_err(|_| NotAResponse)?;
        Ok(Self { status, headers, body: body.to_vec() })
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The number of the request it answers.
    #[must_use]
    pub fn cseq(&self) -> Option<u32> {
        self.header("CSeq")?.parse().ok()
    }

    /// The session's id, and how long it lives without a sign of life, in seconds.
    #[must_use]
    pub fn session(&self) -> Option<(&str, u32)> {
        let (id, parameters) = match self.header("Session")?.split_once(';') {
            Some((id, parameters)) => (id.trim(), parameters),
            None => (self.header("Session")?, ""),
        };
        let timeout = parameters.split(';').find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.trim().eq_ignore_ascii_case("timeout").then(|| value.trim().parse().ok())?
        });
        (!id.is_empty()).then(|| (id, timeout.filter(|seconds| *seconds > 0).unwrap_or(DEFAULT_TIMEOUT_S)))
    }

    /// The transport that was granted.
    #[must_use]
    pub fn granted(&self) -> Option<Granted> {
        Granted::parse(self.header("Transport")?)
    }

    /// The URI that the description's controls are relative to, where it is not that of the request
    /// (RFC 2326 appendix C.1.1).
    #[must_use]
    pub fn content_base(&self) -> Option<&str> {
        let base = self.header("Content-Base").or_else(|| self.header("Content-Location"));
        base.filter(|base| !base.is_empty())
    }

    /// What a refusal with 401 wants to be answered, where it says so: several headers are one list.
    #[must_use]
    pub fn challenges(&self) -> Option<&str> {
        self.header("WWW-Authenticate")
    }

    /// Whether the server names a method among those that it understands. `None`: it names none.
    #[must_use]
    pub fn offers(&self, method: &str) -> Option<bool> {
        let public = self.header("Public").filter(|public| !public.is_empty())?;
        Some(public.split([',', ' ']).any(|offered| offered.trim().eq_ignore_ascii_case(method)))
    }

    /// After how many seconds it is worth asking again.
    #[must_use]
    pub fn retry_after_s(&self) -> Option<u32> {
        self.header("Retry-After")?.parse().ok()
    }

    /// Where to ask instead.
    #[must_use]
    pub fn location(&self) -> Option<&str> {
        self.header("Location")
    }

    /// Whether the answer to PLAY names a packet that the stream goes on with: there are some.
    #[must_use]
    pub fn names_a_packet(&self) -> bool {
        let info = self.header("RTP-Info").unwrap_or_default();
        info.split([',', ';']).any(|part| part.trim().to_ascii_lowercase().starts_with("seq="))
    }

    /// What is played, and how fast, as far as the answer to PLAY says that.
    #[must_use]
    pub fn played(&self) -> [Option<&str>; 3] {
        ["Range", "Scale", "Speed"].map(|name| self.header(name))
    }

    /// The body; empty for most.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.value(name)
    }
}

/// The head, with blank lines that may stand before it, and the body.
fn split(message: &[u8]) -> Option<(&[u8], &[u8])> {
    let start = message.iter().position(|byte| !matches!(byte, b'\r' | b'\n'))?;
    let message = &message[start..];
    let ends = [&b"\n\r\n"[..], b"\n\n"];
    let end = (0..message.len()).find_map(|at| {
        let found = ends.iter().find(|end| message[at..].starts_with(end))?;
        Some(at + found.len())
    })?;
    Some(message.split_at(end))
}

/// `RTSP/1.0 200 OK`.
fn status(line: &[u8]) -> Option<StatusCode> {
    let line = String::from_utf8_lossy(line);
    let mut words = line.split_ascii_whitespace();
    let version = words.next()?;
    let is_rtsp = version.get(..5).is_some_and(|name| name.eq_ignore_ascii_case("RTSP/"));
    let code = words.next().filter(|code| code.len() == 3)?.parse::<u16>().ok()?;
    (is_rtsp && code >= 100).then(|| code.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::rtsp::{GrantedDelivery, Reply};
    use proptest::prelude::*;

    fn parse(head: &str) -> Response {
        Response::parse(format!("{head}\r\n\r\n").as_bytes()).expect("a response")
    }

    #[test]
    fn our_own_replies_are_read_back() {
        let reply = Reply::new(StatusCode::Ok, Some(7))
            .session("c0ffee", 90)
            .transport("RTP/AVP/TCP;unicast;interleaved=2-3;mode=\"PLAY\"")
            .description("rtsp://edge/news/", "v=0\r\n");
        let response = Response::parse(&reply.to_bytes()).expect("a response");
        assert_eq!((response.status(), response.cseq()), (StatusCode::Ok, Some(7)));
        assert_eq!(response.session(), Some(("c0ffee", 90)));
        assert_eq!(response.content_base(), Some("rtsp://edge/news/"));
        assert_eq!(response.body(), b"v=0\r\n");
        let granted = response.granted().expect("a transport");
        assert_eq!(granted.delivery, GrantedDelivery::Interleaved { rtp_channel: 2, rtcp_channel: 3 });
    }

    #[test]
    fn servers_spell_headers_as_they_like() {
        let response = parse("RTSP/1.0 200 OK\r\ncseq: 4\r\nSESSION:  12AB ; timeout = 30\r\nContent-base:");
        assert_eq!((response.cseq(), response.session()), (Some(4), Some(("12AB", 30))));
        assert_eq!(response.content_base(), None);
        assert_eq!(parse("RTSP/1.0 200 OK\r\nSession: 9").session(), Some(("9", 60)));
        assert_eq!(parse("RTSP/1.0 200 OK\r\nSession: 9;timeout=0").session(), Some(("9", 60)));
        assert_eq!(parse("RTSP/1.0 200 OK\r\nSession: ;timeout=9").session(), None);
    }

    #[test]
    fn what_small_firmware_writes_is_understood() {
        let bytes =
            b"\r\nRTSP/1.0 401\nCSeq: 2\nhello\nWWW-Authenticate: Digest a\nWWW-authenticate: Basic b\n\n";
        let response = Response::parse(bytes).expect("a response");
        assert_eq!((u16::from(response.status()), response.cseq()), (401, Some(2)));
        assert_eq!(response.challenges(), Some("Digest a, Basic b"), "several are one list");
        let response =
            parse("RTSP/1.0 200 OK\r\nServer: caf\u{e9}\r\nPublic: OPTIONS, get_parameter\r\nPublic: PLAY");
        assert_eq!(
            ["GET_PARAMETER", "PLAY", "PAUSE"].map(|method| response.offers(method)),
            [true, true, false].map(Some)
        );
        assert_eq!(parse("RTSP/1.0 200 OK\r\nPublic:").offers("PLAY"), None);
        assert_eq!(parse("RTSP/1.0 503 Busy\r\nRetry-After: 7").retry_after_s(), Some(7));
    }

    #[test]
    fn what_is_no_response_is_told() {
        for bytes in [
            &b""[..],
            b"\r\n",
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            b"PLAY rtsp://e/n RTSP/1.0\r\n\r\n",
            b"RTSP/1.0 2 OK\r\n\r\n",
            b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n",
        ] {
            assert_eq!(Response::parse(bytes), Err(NotAResponse));
        }
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(
            head in "RTSP/1.0 [0-9]{3} [ -~]{0,9}\r\n((Session|Transport|CSeq):[ -~]{0,40}\r\n){0,3}\r\n",
            any in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            if let Ok(response) = Response::parse(head.as_bytes()) {
                let _ = (response.cseq(), response.session(), response.granted());
            }
            let _ = Response::parse(&any);
        }
    }
}
