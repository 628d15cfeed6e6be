//! A client of HTTP that reads what it is told to, and no more.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long anything may take to come.
const PATIENCE: Duration = Duration::from_secs(20);
const HEAD_BYTES: usize = 64 << 10;

/// An answer whose head was read.
pub struct Web {
    pub head: String,
    is_to_head: bool,
    stream: TcpStream,
}

impl Web {
    /// Asks for something by GET.
    pub fn get(address: SocketAddr, target: &str) -> Self {
        Self::ask(address, &format!("GET {target} HTTP/1.1\r\nHost: edge:8080\r\n\r\n"))
    }

    /// Says what it is told to.
    pub fn ask(address: SocketAddr, request: &str) -> Self {
        Self::ask_by(TcpStream::connect(address).expect("somebody listens"), request)
    }

    /// The same by a connection that is there.
    pub fn ask_by(mut stream: TcpStream, request: &str) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.write_all(request.as_bytes()).expect("the program reads");
        Self::answered(stream, request)
    }

    fn answered(mut stream: TcpStream, request: &str) -> Self {
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            assert!(head.len() < HEAD_BYTES, "a head without end");
            match stream.read(&mut byte) {
                Ok(1) => head.push(byte[0]),
                other => panic!("{request}: {other:?} after {:?}", String::from_utf8_lossy(&head)),
            }
        }
        let is_to_head = request.starts_with("HEAD");
        Self { head: String::from_utf8(head).expect("text"), is_to_head, stream }
    }

    /// The next answer to what was asked at once.
    pub fn next(self) -> Self {
        Self::answered(self.stream, "")
    }

    /// What is answered by the same connection to who asks again, having read all.
    pub fn then(self, request: &str) -> Self {
        Self::ask_by(self.stream, request)
    }

    /// The connection itself.
    pub fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// That nothing follows.
    #[track_caller]
    pub fn expect_end(mut self) {
        assert!(matches!(self.stream.read(&mut [0]), Ok(0) | Err(_)), "it goes on");
    }

    /// All that is said to who says this.
    pub fn told(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).expect("somebody listens");
        stream.set_read_timeout(Some(Duration::from_secs(1))).expect("a timeout");
        stream.write_all(request.as_bytes()).expect("the program reads");
        let (mut told, mut part) = (Vec::new(), [0; 4096]);
        while let Ok(count @ 1..) = stream.read(&mut part) {
            told.extend_from_slice(&part[..count]);
        }
        String::from_utf8_lossy(&told).into_owned()
    }

    /// The whole answer to who says this, up to the connection's end.
    pub fn try_told(address: SocketAddr, request: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(request.as_bytes())?;
        let mut told = String::new();
        stream.read_to_string(&mut told)?;
        Ok(told)
    }

    /// Says something more.
    pub fn say(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).expect("the program reads");
    }

    /// The same, if it is answered so.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert!(self.head.starts_with(&format!("HTTP/1.1 {status} ")), "{status} is not {}", self.head);
        self
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// So many bytes of the body.
    #[track_caller]
    pub fn take(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).expect("they come");
        bytes
    }

    /// What comes within a while.
    pub fn within(&mut self, patience: Duration) -> Vec<u8> {
        self.stream.set_read_timeout(Some(patience)).expect("a timeout");
        let (mut bytes, mut part) = (Vec::new(), vec![0; 64 << 10]);
        while let Ok(count @ 1..) = self.stream.read(&mut part) {
            bytes.extend_from_slice(&part[..count]);
        }
        self.stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        bytes
    }

    /// All of the body, up to its end or that of the connection.
    #[track_caller]
    pub fn rest(mut self) -> Vec<u8> {
        self.body()
    }

    #[track_caller]
    pub fn body(&mut self) -> Vec<u8> {
        let length = self.header("Content-Length").filter(|_| !self.is_to_head);
        if let Some(length) = length.map(|length| length.parse().expect("a number")) {
            return self.take(length);
        }
        let mut bytes = Vec::new();
        self.stream.read_to_end(&mut bytes).expect("it ends");
        bytes
    }

    /// The same, as text.
    #[track_caller]
    pub fn text(self) -> String {
        String::from_utf8(self.rest()).expect("text")
    }
}
