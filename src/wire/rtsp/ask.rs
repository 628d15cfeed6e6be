//! Requests as a client writes them (RFC 2326 section 6), serialised.
//!
//! It knows no order of requests: what is asked when is the client's affair.

use rtsp_types::headers::{self, HeaderName};
use rtsp_types::{Method, Request, RequestBuilder, Url, Version};

const USER_AGENT: &str = concat!("Mirrorball-probe/", env!("CARGO_PKG_VERSION"));

/// A request being written. It carries its CSeq and our name from the start.
#[derive(Debug, Clone)]
#[must_use = "a request does nothing until its bytes are sent"]
pub struct Ask(RequestBuilder);

impl Ask {
    /// A request about `uri`, whose user and password, if it has any, are not repeated.
    pub fn new(method: Method, uri: &Url, cseq: u32) -> Self {
        let mut uri = uri.clone();
        // A URI without a host has neither to be removed.
        let _ = uri.set_username("").and_then(|()| uri.set_password(None));
        let builder = Request::builder(method, Version::V1_0).request_uri(uri);
        Self(builder).with(headers::CSEQ, &cseq.to_string()).with(headers::USER_AGENT, USER_AGENT)
    }

    /// Accept: a session description, for DESCRIBE.
    pub fn accept_sdp(self) -> Self {
        self.with(headers::ACCEPT, "application/sdp")
    }

    /// Session: the id that SETUP was answered with.
    pub fn session(self, id: &str) -> Self {
        self.with(headers::SESSION, id)
    }

    /// Transport: media over UDP to these two ports of ours.
    pub fn over_udp(self, rtp_port: u16, rtcp_port: u16) -> Self {
        self.with(headers::TRANSPORT, &format!("RTP/AVP;unicast;client_port={rtp_port}-{rtcp_port}"))
    }

    /// Transport: media in this connection, on these two channels.
    pub fn interleaved(self, rtp_channel: u8, rtcp_channel: u8) -> Self {
        self.with(
            headers::TRANSPORT,
            &format!("RTP/AVP/TCP;unicast;interleaved={rtp_channel}-{rtcp_channel}"),
        )
    }

    /// Range: from now on, for PLAY.
    pub fn from_now(self) -> Self {
        self.with(headers::RANGE, "npt=0.000-")
    }

    /// The bytes to send.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(256);
        // Writing to memory does not fail.
        let _ = self.0.empty().write(&mut bytes);
        bytes
    }

    fn with(self, name: HeaderName, value: &str) -> Self {
        let value: String = value.chars().filter(|c| !c.is_control()).collect();
        Self(self.0.header(name, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::rtsp::framing::{self, Incoming};

    #[test]
    fn what_we_ask_a_server_like_ours_understands() {
        let uri = Url::parse("rtsp://me:secret@edge:8554/news/trackID=1?x=y").expect("a URL");
        let bytes =
            Ask::new(Method::Setup, &uri, 3).session("c0ffee\r\nX: y").over_udp(5000, 5001).to_bytes();
        let Ok(Some((Incoming::Request(request), consumed))) = framing::next(&bytes, &framing::FROM_CLIENTS)
        else {
            panic!("not read back: {}", String::from_utf8_lossy(&bytes));
        };
        assert_eq!(consumed, bytes.len());
        assert_eq!((request.method.clone(), request.cseq), (Method::Setup, 3));
        assert_eq!(request.uri, "rtsp://edge:8554/news/trackID=1?x=y", "neither user nor password");
        assert_eq!(request.session(), Some("c0ffeeX: y"), "no line of its own");
        assert_eq!(request.header("Transport"), Some("RTP/AVP;unicast;client_port=5000-5001"));
    }
}
