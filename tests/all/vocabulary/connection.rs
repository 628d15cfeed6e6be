//! An RTSP connection by hand: bytes out, replies and interleaved frames in. Knows no session.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use mirrorball::event::clock;
use socket2::{Domain, Protocol, Socket, Type};

use super::patience::eventually;

const PATIENCE: Duration = Duration::from_secs(20);

/// One connection to the program.
pub struct Connection {
    pub stream: TcpStream,
    cseq: u32,
    bytes: Vec<u8>,
    /// How much of `bytes` has been read.
    read: usize,
    /// Frames that came while something else was waited for.
    frames: VecDeque<Frame>,
}

/// A reply, its head taken apart.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub body: String,
    headers: Vec<(String, String)>,
}

/// A packet in the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub channel: u8,
    pub payload: Vec<u8>,
}

enum Message {
    Reply(Reply),
    Frame(Frame),
}

impl Connection {
    pub fn open(address: SocketAddr) -> Self {
        Self::by(connect(None, address))
    }

    /// A connection from one of this machine's addresses.
    pub fn from(own: impl Into<IpAddr>, address: SocketAddr) -> Self {
        Self::by(connect(Some(own.into()), address))
    }

    /// A connection whose kernel holds little for a reader that does not read.
    pub fn with_little_room(address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).expect("a socket");
        socket.set_recv_buffer_size(16 << 10).expect("a small buffer");
        socket.connect(&address.into()).expect("the program accepts");
        Self::by(socket.into())
    }

    /// On a stream that is there.
    pub fn by(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("a TCP option");
        Self { stream, cseq: 0, bytes: Vec::new(), read: 0, frames: VecDeque::new() }
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("the program reads");
    }

    /// A request's text, with the next CSeq.
    pub fn compose(&mut self, method: &str, uri: &str, headers: &[(&str, &str)]) -> String {
        self.cseq += 1;
        let mut text = format!("{method} {uri} RTSP/1.0\r\nCSeq: {}\r\n", self.cseq);
        headers.iter().for_each(|(name, value)| text.push_str(&format!("{name}: {value}\r\n")));
        text + "\r\n"
    }

    /// Sends a request and waits for its reply, which has to echo the CSeq.
    #[track_caller]
    pub fn request(&mut self, method: &str, uri: &str, headers: &[(&str, &str)]) -> Reply {
        let text = self.compose(method, uri, headers);
        self.send(&text);
        let reply = self.reply();
        assert_eq!(reply.header("CSeq"), Some(self.cseq.to_string().as_str()), "{text}{reply:?}");
        reply
    }

    /// The next reply; frames that come before it are kept.
    #[track_caller]
    pub fn reply(&mut self) -> Reply {
        loop {
            match self.message(PATIENCE) {
                Ok(Message::Reply(reply)) => return reply,
                Ok(Message::Frame(frame)) => self.frames.push_back(frame),
                Err(error) => panic!("no reply: {error}"),
            }
        }
    }

    /// The next frame on a channel, or `None` for a good reply before it.
    #[track_caller]
    pub fn frame_or_reply(&mut self, channel: u8) -> Option<Vec<u8>> {
        loop {
            match self.message(PATIENCE).expect("a message") {
                Message::Frame(frame) if frame.channel == channel => return Some(frame.payload),
                Message::Frame(_) => {}
                Message::Reply(reply) => {
                    reply.expect(200);
                    return None;
                }
            }
        }
    }

    /// The next frame on a channel, if one comes in time; those on others are kept.
    pub fn frame(&mut self, channel: u8, patience: Duration) -> Option<Vec<u8>> {
        if let Some(place) = self.frames.iter().position(|frame| frame.channel == channel) {
            return self.frames.remove(place).map(|frame| frame.payload);
        }
        let deadline = clock::now() + patience;
        loop {
            match self.message(deadline.saturating_duration_since(clock::now())) {
                Ok(Message::Frame(frame)) if frame.channel == channel => return Some(frame.payload),
                Ok(Message::Frame(frame)) => self.frames.push_back(frame),
                Ok(Message::Reply(reply)) => panic!("a reply to nothing: {reply:?}"),
                Err(_) => return None,
            }
        }
    }

    /// Takes all frames that are there without waiting. The stream must not block. `false`: it has ended.
    pub fn drain(&mut self, mut take: impl FnMut(u8, &[u8])) -> bool {
        self.frames.drain(..).for_each(|frame| take(frame.channel, &frame.payload));
        loop {
            let read = self.fill();
            while let Some((channel, start, end)) = frame_in(&self.bytes[self.read..]) {
                take(channel, &self.bytes[self.read + start..self.read + end]);
                self.read += end;
            }
            match read {
                Ok(0) => return false,
                Ok(_) => {}
                Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
            }
        }
    }

    /// All that comes until the program closes the connection, which it does in time.
    pub fn all_until_closed(&mut self, patience: Duration) -> Vec<u8> {
        let mut all = self.bytes.split_off(self.read);
        self.stream.set_read_timeout(Some(patience)).expect("a time");
        self.stream.read_to_end(&mut all).expect("it is closed");
        all
    }

    /// Whether the program closes the connection; what it still sends is passed over.
    pub fn is_closed_within(&mut self, patience: Duration) -> bool {
        let deadline = clock::now() + patience;
        loop {
            match self.message(deadline.saturating_duration_since(clock::now())) {
                Ok(_) => {}
                Err(error) => {
                    return !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut);
                }
            }
        }
    }

    fn message(&mut self, patience: Duration) -> io::Result<Message> {
        let deadline = clock::now() + patience;
        loop {
            if let Some(message) = self.parse() {
                return Ok(message);
            }
            let left = deadline.saturating_duration_since(clock::now());
            self.stream.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
            match self.fill() {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn fill(&mut self) -> io::Result<usize> {
        self.bytes.drain(..self.read);
        self.read = 0;
        let mut buffer = [0; 64 << 10];
        let count = self.stream.read(&mut buffer)?;
        self.bytes.extend_from_slice(&buffer[..count]);
        Ok(count)
    }

    fn parse(&mut self) -> Option<Message> {
        let bytes = &self.bytes[self.read..];
        if bytes.first() == Some(&b'$') {
            let (channel, start, end) = frame_in(bytes)?;
            let frame = Frame { channel, payload: bytes[start..end].to_vec() };
            self.read += end;
            return Some(Message::Frame(frame));
        }
        let head_len = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
        let head = std::str::from_utf8(&bytes[..head_len]).expect("replies are text");
        let mut lines = head.lines();
        let first = lines.next().unwrap_or_default();
        let status = first.strip_prefix("RTSP/1.0 ").and_then(|rest| rest.get(..3)?.parse().ok());
        let status = status.unwrap_or_else(|| panic!("neither a reply nor a frame: {first:?}"));
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let mut reply = Reply { status, body: String::new(), headers };
        let length: usize =
            reply.header("Content-Length").map_or(0, |length| length.parse().expect("a number"));
        let body = bytes.get(head_len..head_len + length)?;
        reply.body = String::from_utf8(body.to_vec()).expect("descriptions are text");
        self.read += head_len + length;
        Some(Message::Reply(reply))
    }
}

/// A connection to the program, from one of this machine's addresses where that is said. While the kernel lays out routes
/// of IPv6, as it does when it gets round to a cable, it may find none for a moment.
pub fn connect(own: Option<IpAddr>, address: SocketAddr) -> TcpStream {
    let attempt = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        own.map_or(Ok(()), |own| socket.bind(&SocketAddr::new(own, 0).into()))?;
        socket.connect(&address.into()).map(|()| TcpStream::from(socket))
    };
    eventually("a route to the program", || match attempt() {
        Err(error) if matches!(error.kind(), ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable) => {
            None
        }
        connected => Some(connected.expect("the program accepts")),
    })
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// All headers of a name, in their order.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let own = self.headers.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name));
        own.map(|(_, value)| value.as_str()).collect()
    }

    /// Itself, if its status is that.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }
}

/// The channel of a whole frame, and where its payload starts and ends.
fn frame_in(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let [b'$', channel, high, low, ..] = *bytes else { return None };
    let end = 4 + usize::from(u16::from_be_bytes([high, low]));
    (bytes.len() >= end).then_some((channel, 4, end))
}
