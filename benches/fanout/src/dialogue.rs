//! What a viewer says to an RTSP server: DESCRIBE, SETUP, PLAY, then GET_PARAMETER now and then, and TEARDOWN.
//!
//! It knows requests and replies, and no socket.

use std::net::SocketAddrV4;

/// How media comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Transport {
    /// RTP over UDP.
    Udp,
    /// RTP interleaved with RTSP, or over the bare loop's connection.
    Tcp,
    /// The same through TLS.
    Tls,
    /// The same in a tunnel of two HTTP connections.
    Tunnel,
    /// The transport stream as the body of an HTTP reply, or interleaved over the bare loop's connection.
    Http,
}

impl Transport {
    /// As it is written in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Tunnel => "tunnel",
            Self::Http => "http",
        }
    }
}

/// A subscription to ask for.
pub struct Subscription {
    /// Whose it is.
    pub subscriber: usize,
    url: String,
    transport: String,
    /// What is asked for, one after the other, as Range has it; without any, what comes.
    pub ranges: Vec<String>,
}

impl Subscription {
    /// A subscription of one subscriber to one URL.
    pub fn new(subscriber: usize, url: String, transport: Transport, rtp_port: u16) -> Self {
        let transport = match transport {
            Transport::Udp => format!("RTP/AVP;unicast;client_port={rtp_port}-{}", rtp_port + 1),
            _ => "RTP/AVP/TCP;unicast;interleaved=0-1".into(),
        };
        Self { subscriber, url, transport, ranges: Vec::new() }
    }
}

/// The URL of a channel that has this name in the relay's config.
pub fn channel_url(server: SocketAddrV4, name: &str) -> String {
    format!("rtsp://{server}/{name}")
}

/// One subscriber's requests, in their order.
pub struct Dialogue {
    subscription: Subscription,
    step: Step,
    sequence: u32,
    session: String,
    server_rtcp_port: Option<u16>,
}

#[derive(Clone, Copy)]
enum Step {
    Describe,
    Setup,
    Play,
    Playing,
    Teardown,
}

/// What follows from a reply.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// The next request.
    Send(String),
    /// It plays, from this RTP sequence number on if the server said so.
    Plays(Option<u16>),
    /// The server would not. It may have said after how many seconds to try again.
    Refused(String, Option<u64>),
    /// The session has ended as it was asked to.
    Ended,
    /// Nothing.
    Nothing,
}

impl Dialogue {
    /// A dialogue that has not begun.
    pub fn new(subscription: Subscription) -> Self {
        let session = String::new();
        Self { subscription, step: Step::Describe, sequence: 0, session, server_rtcp_port: None }
    }

    /// The first request.
    pub fn begin(&mut self) -> String {
        self.request("DESCRIBE", None, "Accept: application/sdp\r\n")
    }

    /// Takes a whole reply.
    pub fn answer(&mut self, reply: &str) -> Next {
        if !reply.starts_with("RTSP/1.0 200 ") {
            let retry_after_s = header(reply, "Retry-After").and_then(|seconds| seconds.parse().ok());
            let Subscription { subscriber, url, .. } = &self.subscription;
            let status = reply.lines().next().unwrap_or_default();
            return Next::Refused(format!("subscriber {subscriber} of {url}: {status}"), retry_after_s);
        }
        match self.step {
            Step::Describe => {
                self.step = Step::Setup;
                let control = control_url(&self.subscription.url, reply);
                let transport = format!("Transport: {}\r\n", self.subscription.transport);
                Next::Send(self.request("SETUP", Some(&control), &transport))
            }
            Step::Setup => {
                self.step = Step::Play;
                let session = header(reply, "Session").unwrap_or_default();
                self.session = session.split(';').next().unwrap_or_default().trim().into();
                self.server_rtcp_port = header(reply, "Transport").and_then(server_rtcp_port);
                Next::Send(self.play())
            }
            Step::Play if !self.subscription.ranges.is_empty() => Next::Send(self.play()),
            Step::Play => {
                self.step = Step::Playing;
                Next::Plays(header(reply, "RTP-Info").and_then(first_sequence))
            }
            Step::Playing => Next::Nothing,
            Step::Teardown => Next::Ended,
        }
    }

    fn play(&mut self) -> String {
        let ranges = &mut self.subscription.ranges;
        let range = (!ranges.is_empty()).then(|| format!("Range: {}\r\n", ranges.remove(0)));
        self.request("PLAY", None, &range.unwrap_or_default())
    }

    /// Asks for nothing, so that the session does not time out.
    pub fn keep_alive(&mut self) -> String {
        self.request("GET_PARAMETER", None, "")
    }

    /// Asks for the session's end.
    pub fn teardown(&mut self) -> String {
        self.step = Step::Teardown;
        self.request("TEARDOWN", None, "")
    }

    /// Where the server hears RTCP of this session, if it plays over UDP.
    pub fn server_rtcp_port(&self) -> Option<u16> {
        self.server_rtcp_port
    }

    fn request(&mut self, method: &str, url: Option<&str>, headers: &str) -> String {
        self.sequence += 1;
        let Self { subscription, sequence, session, .. } = self;
        let url = url.unwrap_or(&subscription.url);
        let session = if session.is_empty() { String::new() } else { format!("Session: {session}\r\n") };
        format!("{method} {url} RTSP/1.0\r\nCSeq: {sequence}\r\n{session}{headers}\r\n")
    }
}

/// Splits the first whole reply, with its body, off `bytes`.
pub fn split_reply(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&bytes[..head]);
    let body = header(&text, "Content-Length").and_then(|length| length.parse().ok()).unwrap_or(0);
    bytes.split_at_checked(head.checked_add(body)?)
}

fn header<'a>(reply: &'a str, name: &str) -> Option<&'a str> {
    let head = reply.split("\r\n\r\n").next()?;
    let mut fields = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// The first medium's URL: its `a=control`, relative to Content-Base or to the URL that was asked for.
fn control_url(url: &str, reply: &str) -> String {
    let base = header(reply, "Content-Base").unwrap_or(url).trim_end_matches('/');
    let media = reply.split_once("\r\nm=").map_or("", |(_, media)| media);
    match media.lines().find_map(|line| line.strip_prefix("a=control:")) {
        Some(control) if control.contains("://") => control.into(),
        Some(control) => format!("{base}/{control}"),
        None => base.into(),
    }
}

/// The second of the server's ports.
fn server_rtcp_port(transport: &str) -> Option<u16> {
    let ports = transport.split(';').find_map(|part| part.trim().strip_prefix("server_port="))?;
    ports.split_once('-')?.1.parse().ok()
}

/// The sequence number that the first track of RTP-Info begins with.
fn first_sequence(rtp_info: &str) -> Option<u16> {
    let track = rtp_info.split(',').next()?;
    track.split(';').find_map(|part| part.trim().strip_prefix("seq="))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_is_relative_to_the_base() {
        let url = "rtsp://10.8.0.1:8554/c0";
        let reply = "RTSP/1.0 200 OK\r\nContent-Base: rtsp://10.8.0.1:8554/c0/\r\n\r\nv=0\r\na=control:*\r\nm=video 0 \
                     RTP/AVP 33\r\na=control:track1\r\n";
        assert_eq!(control_url(url, reply), "rtsp://10.8.0.1:8554/c0/track1");
        assert_eq!(control_url(url, &reply.replace("track1", "rtsp://h/t")), "rtsp://h/t");
        assert_eq!(control_url(url, "RTSP/1.0 200 OK\r\n\r\nv=0\r\n"), url);
    }

    #[test]
    fn a_reply_is_split_off_with_its_body() {
        let bytes = b"RTSP/1.0 200 OK\r\ncontent-length: 3\r\n\r\nabc$";
        assert_eq!(split_reply(bytes).map(|(_, rest)| rest), Some(&b"$"[..]));
        assert_eq!(split_reply(&bytes[..bytes.len() - 2]), None);
    }

    #[test]
    fn a_dialogue_leads_to_a_session_that_plays_from_what_was_announced() {
        let mut dialogue = Dialogue::new(Subscription::new(7, "rtsp://h/c0".into(), Transport::Udp, 5000));
        assert!(dialogue.begin().starts_with("DESCRIBE rtsp://h/c0 RTSP/1.0\r\nCSeq: 1\r\n"));
        let Next::Send(setup) = dialogue.answer("RTSP/1.0 200 OK\r\n\r\n\r\nm=video\r\na=control:t\r\n")
        else {
            panic!("no SETUP");
        };
        assert!(setup.starts_with("SETUP rtsp://h/c0/t ") && setup.contains("client_port=5000-5001\r\n"));
        let reply =
            "RTSP/1.0 200 OK\r\nSession: ab;timeout=60\r\nTransport: RTP/AVP;server_port=70-71\r\n\r\n";
        let Next::Send(play) = dialogue.answer(reply) else { panic!("no PLAY") };
        assert!(play.contains("Session: ab\r\n") && dialogue.server_rtcp_port() == Some(71));
        let reply = "RTSP/1.0 200 OK\r\nRTP-Info: url=rtsp://h/c0/t;seq=65535;rtptime=1,url=x;seq=3\r\n\r\n";
        assert_eq!(dialogue.answer(reply), Next::Plays(Some(65_535)));
        assert_eq!(dialogue.answer("RTSP/1.0 200 OK\r\n\r\n"), Next::Nothing);
        assert!(dialogue.teardown().starts_with("TEARDOWN "));
        assert_eq!(dialogue.answer("RTSP/1.0 200 OK\r\n\r\n"), Next::Ended);
    }

    #[test]
    fn a_refusal_tells_when_to_try_again() {
        let mut dialogue = Dialogue::new(Subscription::new(0, "rtsp://h/c0".into(), Transport::Tcp, 0));
        let refusal = dialogue.answer("RTSP/1.0 503 Service Unavailable\r\nRetry-After: 2\r\n\r\n");
        assert!(matches!(refusal, Next::Refused(_, Some(2))), "{refusal:?}");
    }
}
