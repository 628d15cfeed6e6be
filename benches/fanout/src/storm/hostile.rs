//! Strangers who mean no good: connections of all bad kinds at once, each opened again as soon as it is closed.
//!
//! They take turns, and never wait: what the relay does not read of one holds up none of the others.

use std::io::{ErrorKind, Read, Result, Write};
use std::net::{SocketAddrV4, TcpStream};

use socket2::{Domain, Protocol, Socket, Type};

use crate::address_plan;
use crate::dialogue::channel_url;
use crate::sys;

use super::noise::{FIRST_STRANGER, Progress};

/// Connections at a time.
const CONNECTIONS: usize = 2000;
/// As many addresses: a limit for each would keep most of them out.
const ADDRESSES: usize = 500;
const TURN_NS: u64 = 20_000_000;
/// A byte now and then, of those who take their time.
const TURNS_OF_A_BYTE: u64 = 50;
/// At most in a turn, so that a relay that closes at once is not asked for more than it can give up.
const CONNECTS_PER_TURN: usize = 100;
const FLOOD: usize = 16 << 10;
/// What the kernel keeps of what one says. Elsewhere it were no memory of the relay's machine, and is not to be here.
const UNSENT: usize = 64 << 10;
/// The first bytes of a TLS hello, which is much longer.
const HELLO: [u8; 12] = [22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3, 7];

/// What one does.
#[derive(Debug, Clone, Copy)]
enum Manner {
    /// Says nothing.
    Silent,
    /// A head, a byte a second.
    Slow,
    /// A head without end.
    Endless,
    /// A body of 2 GiB.
    Long,
    /// Interleaved frames of nothing.
    Frames,
    /// The first half of a tunnel.
    HalfTunnel,
    /// TLS where there is none.
    Misplaced,
    /// A TLS handshake that stops half way.
    HalfHandshake,
    /// PLAY of sessions that may be.
    Guessing,
    /// Bytes that mean nothing.
    Rubbish,
}

const MANNERS: [Manner; 10] = [
    Manner::Silent,
    Manner::Slow,
    Manner::Endless,
    Manner::Long,
    Manner::Frames,
    Manner::HalfTunnel,
    Manner::Misplaced,
    Manner::HalfHandshake,
    Manner::Guessing,
    Manner::Rubbish,
];

/// Where they go.
#[derive(Clone, Copy)]
pub struct Doors {
    pub rtsp: SocketAddrV4,
    pub rtsps: SocketAddrV4,
}

struct Stranger {
    place: usize,
    manner: Manner,
    stream: Option<TcpStream>,
    /// What was begun is gone on with, as far as it was taken.
    unsent: Vec<u8>,
    turns: u64,
}

/// Makes noise of all kinds until it is to stop; each connection that was opened counts as one.
pub fn assail(doors: Doors, progress: &Progress) -> Result<()> {
    let mut strangers: Vec<_> = (0..CONNECTIONS).map(Stranger::new).collect();
    let mut next_ns = sys::monotonic_ns();
    while progress.goes_on() {
        let mut connects = CONNECTS_PER_TURN;
        // Who is first changes: else those who are closed at once took all that may connect in a turn.
        strangers.rotate_left(CONNECTS_PER_TURN);
        for stranger in &mut strangers {
            if stranger.stream.is_none() && connects > 0 {
                connects -= 1;
                let opened = stranger.connect(doors);
                progress.count(opened.is_ok());
            }
            if stranger.go_on(doors).is_err() {
                stranger.stream = None;
            }
        }
        next_ns = (next_ns + TURN_NS).max(sys::monotonic_ns());
        sys::sleep_until_ns(next_ns);
    }
    Ok(())
}

impl Stranger {
    fn new(place: usize) -> Self {
        let manner = MANNERS[place % MANNERS.len()];
        Self { place, manner, stream: None, unsent: Vec::new(), turns: 0 }
    }

    /// Begins to: whether it comes to something shows later.
    fn connect(&mut self, doors: Doors) -> Result<()> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        let address = address_plan::subscriber(FIRST_STRANGER + self.place % ADDRESSES);
        socket.bind(&SocketAddrV4::new(address, 0).into())?;
        socket.set_nonblocking(true)?;
        socket.set_send_buffer_size(UNSENT)?;
        let door = if matches!(self.manner, Manner::HalfHandshake) { doors.rtsps } else { doors.rtsp };
        match socket.connect(&door.into()) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error),
            _ => {}
        }
        (self.turns, self.unsent) = (0, Vec::new());
        self.stream = Some(socket.into());
        Ok(())
    }

    /// Hears and says what there is room for. An error: it is closed.
    fn go_on(&mut self, doors: Doors) -> Result<()> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        let mut room = [0; 4096];
        match stream.read(&mut room) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Err(error) if !is_pending(&error) => return Err(error),
            _ => {}
        }
        if self.unsent.is_empty() {
            self.unsent = self.manner.says(self.turns, self.place, doors);
        }
        self.turns += 1;
        match stream.write(&self.unsent) {
            Ok(count) => drop(self.unsent.drain(..count)),
            Err(error) if !is_pending(&error) => return Err(error),
            Err(_) => {}
        }
        Ok(())
    }
}

/// Not connected yet, or no room, or nothing there.
fn is_pending(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected)
}

impl Manner {
    /// What is said next, in a turn.
    fn says(self, turn: u64, place: usize, doors: Doors) -> Vec<u8> {
        let url = channel_url(doors.rtsp, "c0");
        let first = |bytes: &[u8]| if turn == 0 { bytes.to_vec() } else { Vec::new() };
        match self {
            Self::Silent => Vec::new(),
            Self::Slow if turn.is_multiple_of(TURNS_OF_A_BYTE) => {
                let head = b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nUser-Agent: slow and slower\r\n";
                vec![head[(turn / TURNS_OF_A_BYTE) as usize % head.len()]]
            }
            Self::Slow => Vec::new(),
            Self::Endless if turn == 0 => b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n".to_vec(),
            Self::Endless => b"X-Filler: and so on, and so on, and so on\r\n".repeat(100),
            Self::Long if turn == 0 => {
                format!("SET_PARAMETER {url} RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 2147483647\r\n\r\n")
                    .into()
            }
            Self::Long => vec![b'x'; FLOOD],
            Self::Frames => b"$\x07\x04\x00".iter().copied().chain([0; 1024]).collect::<Vec<_>>().repeat(16),
            Self::HalfTunnel => {
                first(format!("GET /c0 HTTP/1.0\r\nx-sessioncookie: half{place}\r\n\r\n").as_bytes())
            }
            Self::Misplaced | Self::HalfHandshake => first(&HELLO),
            Self::Guessing => {
                format!("PLAY {url} RTSP/1.0\r\nCSeq: {turn}\r\nSession: {place:012x}{turn:012x}\r\n\r\n")
                    .into()
            }
            Self::Rubbish => (0..FLOOD).map(|index| (index * 31 + place) as u8 | 1).collect(),
        }
    }
}
