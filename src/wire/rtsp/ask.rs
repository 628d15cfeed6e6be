//! Requests as a client writes them (RFC 2326 section 6), serialised.
//!
//! It knows no order of requests: what is asked when is the client's affair.

use rtsp_types::headers::{self, HeaderName};
use rtsp_types::{Method, Request, RequestBuilder, Url, Version};

/// How a track shall come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// To these ports, for RTP and RTCP.
    Udp(u16, u16),
    /// In the connection, on these channels.
    Interleaved(u8, u8),
}

/// A request being written. It carries its CSeq and who asks from the start.
#[derive(Debug, Clone)]
#[must_use = "a request does nothing until its bytes are sent"]
pub struct Ask(RequestBuilder);

impl Ask {
    /// A request of `agent` about `uri`, whose user and password, if it has any, are not repeated.
    pub fn new(method: Method, uri: &Url, cseq: u32, agent: &str) -> Self {
        let builder = Request::builder(method, Version::V1_0).request_uri(without_login(uri));
        Self(builder).with(headers::CSEQ, &cseq.to_string()).with(headers::USER_AGENT, agent)
    }

    /// Accept: a session description, for DESCRIBE.
    pub fn accept_sdp(self) -> Self {
        self.with(headers::ACCEPT, "application/sdp")
    }

    /// Session: the id that SETUP was answered with.
    pub fn session(self, id: &str) -> Self {
        self.with(headers::SESSION, id)
    }

    /// Transport: how the track shall come.
    pub fn transport(self, wish: Wish) -> Self {
        let transport = match wish {
            Wish::Udp(rtp, rtcp) => format!("RTP/AVP;unicast;client_port={rtp}-{rtcp}"),
            Wish::Interleaved(rtp, rtcp) => format!("RTP/AVP/TCP;unicast;interleaved={rtp}-{rtcp}"),
        };
        self.with(headers::TRANSPORT, &transport)
    }

    /// Authorization: the answer to a challenge.
    pub fn authorization(self, answer: &str) -> Self {
        self.with(headers::AUTHORIZATION, answer)
    }

    /// Range: from now on, for PLAY.
    pub fn from_now(self) -> Self {
        self.with(headers::RANGE, "npt=0.000-")
    }

    /// Range: which part, for PLAY.
    pub fn range(self, range: &str) -> Self {
        self.with(headers::RANGE, range)
    }

    /// Scale: how fast it is shown, for PLAY.
    pub fn scale(self, scale: &str) -> Self {
        self.with(headers::SCALE, scale)
    }

    /// Speed: how fast it is delivered, for PLAY.
    pub fn speed(self, speed: &str) -> Self {
        self.with(headers::SPEED, speed)
    }

    /// Via: whom it is made for, one for another.
    pub fn via(self, via: &str) -> Self {
        self.with(headers::VIA, via)
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

/// The same without user and password, as it stands in a request line.
#[must_use]
pub fn without_login(uri: &Url) -> Url {
    let mut uri = uri.clone();
    // A URI without a host has neither to be removed.
    let _ = uri.set_username("").and_then(|()| uri.set_password(None));
    uri
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::rtsp::framing::{self, Incoming};

    #[test]
    fn what_we_ask_a_server_like_ours_understands() {
        let uri = Url::parse("rtsp://me:secret@edge:8554/news/trackID=1?x=y").expect("a URL");
        let ask = Ask::new(Method::Setup, &uri, 3, "a test").authorization("Basic x");
        let bytes = ask.session("c0ffee\r\nX: y").transport(Wish::Udp(5000, 5001)).to_bytes();
        let Ok(Some((Incoming::Request(request), consumed))) = framing::next(&bytes, &framing::FROM_CLIENTS)
        else {
            panic!("not read back: {}", String::from_utf8_lossy(&bytes));
        };
        assert_eq!(consumed, bytes.len());
        assert_eq!((request.method.clone(), request.cseq), (Method::Setup, 3));
        assert_eq!(request.uri, "rtsp://edge:8554/news/trackID=1?x=y", "neither user nor password");
        assert_eq!(request.session(), Some("c0ffeeX: y"), "no line of its own");
        assert_eq!(request.header("User-Agent"), Some("a test"));
        assert_eq!(request.header("Authorization"), Some("Basic x"));
        assert_eq!(request.header("Transport"), Some("RTP/AVP;unicast;client_port=5000-5001"));
    }
}
