//! Just enough of an RTSP client to register thousands: DESCRIBE, SETUP, PLAY, and to keep sessions alive.

use std::collections::HashMap;
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{SocketAddrV4, TcpStream};

use socket2::{Domain, Protocol, Socket, Type};

use crate::address_plan;
use crate::sys::Epoll;

/// Handshakes under way at a time.
const CONCURRENT: usize = 64;
const LONGEST_WAIT_NS: u64 = 10_000_000_000;
const KEEP_ALIVE_INTERVAL_NS: u64 = 20_000_000_000;
const LARGEST_REPLY_BYTES: usize = 64 << 10;

/// How media comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Transport {
    /// RTP over UDP.
    Udp,
    /// RTP interleaved with RTSP, or over the bare loop's connection.
    Tcp,
}

impl Transport {
    /// As it is written in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }
}

/// A subscription to ask for.
pub struct Subscription {
    subscriber: usize,
    url: String,
    transport: String,
}

/// A session that plays.
pub struct Session {
    /// Its RTSP connection, which does not block.
    pub stream: TcpStream,
    /// What came behind the last reply.
    pub rest: Vec<u8>,
    url: String,
    id: String,
    sequence: u32,
}

/// The name of a channel's path in the relay's config.
pub fn channel_url(server: SocketAddrV4, name: &str) -> String {
    format!("rtsp://{server}/{name}")
}

/// One subscription for each subscriber, in the channels `c0`, `c1` …
pub fn subscriptions(
    server: SocketAddrV4,
    transport: Transport,
    subscribers: usize,
    channels: usize,
) -> Vec<Subscription> {
    let subscription = |subscriber| {
        let channel = address_plan::channel_of(subscriber, subscribers, channels);
        let port = address_plan::rtp_port(subscriber, subscribers);
        Subscription::new(subscriber, channel_url(server, &format!("c{channel}")), transport, port)
    };
    (0..subscribers).map(subscription).collect()
}

impl Subscription {
    /// A subscription of one subscriber to one URL.
    pub fn new(subscriber: usize, url: String, transport: Transport, rtp_port: u16) -> Self {
        let transport = match transport {
            Transport::Udp => format!("RTP/AVP;unicast;client_port={rtp_port}-{}", rtp_port + 1),
            Transport::Tcp => "RTP/AVP/TCP;unicast;interleaved=0-1".into(),
        };
        Self { subscriber, url, transport }
    }
}

/// Registers all, some at a time; gives the sessions in the same order. One that fails ends it.
pub fn register(server: SocketAddrV4, wanted: Vec<Subscription>) -> Result<Vec<Session>> {
    let mut epoll = Epoll::new(CONCURRENT)?;
    let mut waiting = wanted.into_iter().enumerate();
    let mut under_way: HashMap<u64, Handshake> = HashMap::new();
    let mut done: Vec<(usize, Session)> = Vec::new();
    loop {
        while under_way.len() < CONCURRENT
            && let Some((index, subscription)) = waiting.next()
        {
            let handshake = Handshake::begin(server, subscription)?;
            epoll.add(&handshake.stream, index as u64, Epoll::READABLE)?;
            under_way.insert(index as u64, handshake);
        }
        if under_way.is_empty() {
            break;
        }
        let ready: Vec<u64> = epoll.wait(LONGEST_WAIT_NS)?.collect();
        if ready.is_empty() {
            return Err(Error::new(ErrorKind::TimedOut, "no answer from the RTSP server"));
        }
        for token in ready {
            let Some(handshake) = under_way.get_mut(&token) else { continue };
            if handshake.advance()?
                && let Some(handshake) = under_way.remove(&token)
            {
                // Closing would remove it too, but the connection stays open.
                epoll.rearm(&handshake.stream, token, 0)?;
                done.push((token as usize, handshake.into_session()));
            }
        }
    }
    done.sort_by_key(|(index, _)| *index);
    Ok(done.into_iter().map(|(_, session)| session).collect())
}

/// A connection from a subscriber's own address.
pub fn connect(server: SocketAddrV4, subscriber: usize) -> Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.bind(&SocketAddrV4::new(address_plan::subscriber(subscriber), 0).into())?;
    socket.connect(&server.into())?;
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

/// The three requests of one subscriber.
struct Handshake {
    stream: TcpStream,
    subscription: Subscription,
    received: Vec<u8>,
    session: String,
    step: Step,
}

#[derive(Clone, Copy)]
enum Step {
    Describe,
    Setup,
    Play,
}

impl Handshake {
    fn begin(server: SocketAddrV4, subscription: Subscription) -> Result<Self> {
        let mut stream = connect(server, subscription.subscriber)?;
        let url = &subscription.url;
        write!(stream, "DESCRIBE {url} RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\n\r\n")?;
        let (received, session) = (Vec::new(), String::new());
        Ok(Self { stream, subscription, received, session, step: Step::Describe })
    }

    /// Reads what has come and asks for the next step; true when it plays.
    fn advance(&mut self) -> Result<bool> {
        let mut room = [0; 4096];
        match self.stream.read(&mut room) {
            Ok(0) => return Err(self.failed("the server closed the connection")),
            Ok(count) => self.received.extend_from_slice(&room[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
        let Some((reply, rest)) = split_reply(&self.received) else {
            let too_long = self.received.len() > LARGEST_REPLY_BYTES;
            return if too_long { Err(self.failed("the reply does not end")) } else { Ok(false) };
        };
        let (reply, rest) = (String::from_utf8_lossy(reply).into_owned(), rest.to_vec());
        if !reply.starts_with("RTSP/1.0 200 ") {
            return Err(self.failed(reply.lines().next().unwrap_or_default()));
        }
        self.received = rest;
        self.answer(&reply)
    }

    fn answer(&mut self, reply: &str) -> Result<bool> {
        let url = self.subscription.url.clone();
        match self.step {
            Step::Describe => {
                let (control, transport) = (control_url(&url, reply), &self.subscription.transport);
                write!(self.stream, "SETUP {control} RTSP/1.0\r\nCSeq: 2\r\nTransport: {transport}\r\n\r\n")?;
                self.step = Step::Setup;
            }
            Step::Setup => {
                let session =
                    header(reply, "Session").ok_or_else(|| self.failed("SETUP without a Session"))?;
                self.session = session.split(';').next().unwrap_or_default().trim().into();
                let session = &self.session;
                write!(self.stream, "PLAY {url} RTSP/1.0\r\nCSeq: 3\r\nSession: {session}\r\n\r\n")?;
                self.step = Step::Play;
            }
            Step::Play => return Ok(true),
        }
        Ok(false)
    }

    fn failed(&self, why: &str) -> Error {
        let Subscription { subscriber, url, .. } = &self.subscription;
        Error::other(format!("subscriber {subscriber} of {url}: {why}"))
    }

    fn into_session(self) -> Session {
        let Self { stream, subscription, received, session, .. } = self;
        Session { stream, rest: received, url: subscription.url, id: session, sequence: 3 }
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

/// Sessions that are reminded of themselves now and then.
pub struct KeepAlive {
    sessions: Vec<Session>,
    next: usize,
    due_ns: u64,
}

impl KeepAlive {
    /// Keeps these sessions alive from now on.
    pub fn new(sessions: Vec<Session>) -> Self {
        Self { sessions, next: 0, due_ns: 0 }
    }

    /// Sends GET_PARAMETER for sessions that are due: one after the other, round in the interval.
    pub fn keep_alive(&mut self, now_ns: u64) -> Result<()> {
        let Some(step_ns) = KEEP_ALIVE_INTERVAL_NS.checked_div(self.sessions.len() as u64) else {
            return Ok(());
        };
        if self.due_ns == 0 {
            self.due_ns = now_ns + step_ns;
        }
        while self.due_ns <= now_ns {
            self.due_ns += step_ns;
            self.next = (self.next + 1) % self.sessions.len();
            self.sessions[self.next].keep_alive()?;
        }
        Ok(())
    }
}

impl Session {
    fn keep_alive(&mut self) -> Result<()> {
        self.sequence += 1;
        let Self { url, id, sequence, .. } = self;
        write!(self.stream, "GET_PARAMETER {url} RTSP/1.0\r\nCSeq: {sequence}\r\nSession: {id}\r\n\r\n")
    }
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
}
