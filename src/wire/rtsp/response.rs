//! One response of a server, as a client reads it (RFC 2326 section 7).
//!
//! Where it begins and ends is `framing`'s business; what it answers, the client's.

use rtsp_types::headers::{self, HeaderName};
use rtsp_types::{Message, StatusCode};

use super::granted::Granted;

/// How long a session lives without a sign of life where the server does not say (RFC 2326 section 12.37), in
/// seconds.
const DEFAULT_TIMEOUT_S: u32 = 60;

/// A response whose head was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response(rtsp_types::Response<Vec<u8>>);

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
        let blank = message.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        match Message::<Vec<u8>>::parse(&message[blank..]) {
            Ok((Message::Response(response), _)) => Ok(Self(response)),
            _ => Err(NotAResponse),
        }
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status()
    }

    /// The number of the request it answers.
    #[must_use]
    pub fn cseq(&self) -> Option<u32> {
        self.header(&headers::CSEQ)?.parse().ok()
    }

    /// The session's id, and how long it lives without a sign of life, in seconds.
    #[must_use]
    pub fn session(&self) -> Option<(&str, u32)> {
        let (id, parameters) = match self.header(&headers::SESSION)?.split_once(';') {
            Some((id, parameters)) => (id.trim(), parameters),
            None => (self.header(&headers::SESSION)?, ""),
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
        Granted::parse(self.header(&headers::TRANSPORT)?)
    }

    /// The URI that the description's controls are relative to, where it is not that of the request
    /// (RFC 2326 appendix C.1.1).
    #[must_use]
    pub fn content_base(&self) -> Option<&str> {
        let base = self.header(&headers::CONTENT_BASE).or_else(|| self.header(&headers::CONTENT_LOCATION));
        base.filter(|base| !base.is_empty())
    }

    /// Where to ask instead.
    #[must_use]
    pub fn location(&self) -> Option<&str> {
        self.header(&headers::LOCATION)
    }

    /// The body; empty for most.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.0.body()
    }

    fn header(&self, name: &HeaderName) -> Option<&str> {
        self.0.header(name).map(|value| value.as_str().trim())
    }
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
    fn what_is_no_response_is_told() {
        for bytes in
            [&b""[..], b"\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"PLAY rtsp://e/n RTSP/1.0\r\n\r\n"]
        {
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
