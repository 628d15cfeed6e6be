//! Noise: what strangers and viewers may do to a relay as fast as they can, from a thread of its own.
//!
//! It waits for what it does, and runs behind the thread that looks at the viewers' packets.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use crate::address_plan;
use crate::dialogue::{Dialogue, Subscription, Transport, channel_url, split_reply};
use crate::stream;
use crate::sys::{self, Epoll};

use super::hostile::{self, Doors};
use super::kind::Kind;
use super::reports;

const DESCRIBING: usize = 64;
const PATIENCE: Duration = Duration::from_secs(1);
/// Noise comes from addresses that no viewer has.
pub const FIRST_STRANGER: usize = 20_000;
/// A port is not used again for a minute, so connections come from many addresses.
const STRANGERS: usize = 8192;

/// Where to make noise.
pub struct Target {
    pub server: SocketAddrV4,
    /// The same through TLS.
    pub rtsps: SocketAddrV4,
    pub admin: SocketAddrV4,
    /// Who plays, and the sockets of their RTCP.
    pub reporters: reports::Reporters,
}

/// Noise that is made until it is stopped.
pub struct Noise {
    progress: Arc<Progress>,
    thread: JoinHandle<Result<()>>,
}

/// What the makers of noise share with those who wait for its end.
#[derive(Default)]
pub struct Progress {
    stop: AtomicBool,
    made: AtomicU64,
    refused: AtomicU64,
}

impl Noise {
    /// Starts a thread that makes it.
    pub fn start(kind: Kind, target: Target) -> Self {
        let progress = Arc::new(Progress::default());
        let shared = progress.clone();
        let thread = std::thread::spawn(move || {
            sys::run_last()?;
            match kind {
                Kind::Reports => target.reporters.report(&shared),
                Kind::Describe => describe(target.server, &shared),
                Kind::Scrape => scrape(target.admin, &shared),
                Kind::Connect => connect(target.server, &shared),
                Kind::Hostile => hostile::assail(Doors { rtsp: target.server, rtsps: target.rtsps }, &shared),
                _ => Ok(()),
            }
        });
        Self { progress, thread }
    }

    /// Stops it; gives how often something was done, and how often it was refused.
    pub fn stop(self) -> Result<(u64, u64)> {
        self.progress.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| Error::other("noise: its thread panicked"))??;
        Ok((self.progress.made.load(Ordering::Relaxed), self.progress.refused.load(Ordering::Relaxed)))
    }
}

impl Progress {
    /// Whether to go on.
    pub fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    /// Something was done, or was refused.
    pub fn count(&self, done: bool) {
        let counter = if done { &self.made } else { &self.refused };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// DESCRIBE over and over, on many connections.
fn describe(server: SocketAddrV4, progress: &Progress) -> Result<()> {
    let mut epoll = Epoll::new(DESCRIBING)?;
    let mut speakers = Vec::new();
    for index in 0..DESCRIBING {
        let speaker = Speaker::connect(server, FIRST_STRANGER + index)?;
        epoll.add(&speaker.stream, index as u64, Epoll::READABLE)?;
        speakers.push(speaker);
    }
    while progress.goes_on() {
        let ready: Vec<u64> = epoll.wait(PATIENCE.as_nanos() as u64 / 10)?.collect();
        for token in ready {
            let speaker = &mut speakers[token as usize];
            match speaker.go_on() {
                Ok(Some(served)) => progress.count(served),
                Ok(None) => {}
                Err(_) => {
                    progress.count(false);
                    *speaker = Speaker::connect(server, FIRST_STRANGER + token as usize)?;
                    epoll.add(&speaker.stream, token, Epoll::READABLE)?;
                }
            }
        }
    }
    Ok(())
}

/// A connection that asks the same again and again.
struct Speaker {
    stream: TcpStream,
    dialogue: Dialogue,
    received: Vec<u8>,
}

impl Speaker {
    fn connect(server: SocketAddrV4, stranger: usize) -> Result<Self> {
        let subscription = Subscription::new(stranger, channel_url(server, "c0"), Transport::Tcp, 0);
        let (stream, dialogue) = (stream::plain(server, stranger)?, Dialogue::new(subscription));
        let mut speaker = Self { stream, dialogue, received: Vec::new() };
        speaker.ask()?;
        Ok(speaker)
    }

    fn ask(&mut self) -> Result<()> {
        self.received.clear();
        self.stream.write_all(self.dialogue.begin().as_bytes())
    }

    /// Reads what has come. With the whole reply it asks again, and tells whether it was served.
    fn go_on(&mut self) -> Result<Option<bool>> {
        let mut room = [0; 4096];
        match self.stream.read(&mut room) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => self.received.extend_from_slice(&room[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        if split_reply(&self.received).is_none() {
            return Ok(None);
        }
        let served = self.received.starts_with(b"RTSP/1.0 200 ");
        self.ask()?;
        Ok(Some(served))
    }
}

/// One scrape after the other.
fn scrape(admin: SocketAddrV4, progress: &Progress) -> Result<()> {
    let mut answer = Vec::new();
    while progress.goes_on() {
        answer.clear();
        progress.count(read_metrics(admin, &mut answer).is_ok() && answer.starts_with(b"HTTP/1.1 200 "));
    }
    Ok(())
}

fn read_metrics(admin: SocketAddrV4, answer: &mut Vec<u8>) -> Result<usize> {
    let mut stream = TcpStream::connect_timeout(&admin.into(), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n")?;
    stream.read_to_end(answer)
}

/// Connections that are closed as soon as they are made. One that is not made in time is given up.
fn connect(server: SocketAddrV4, progress: &Progress) -> Result<()> {
    let mut strangers = (0..STRANGERS).cycle();
    while progress.goes_on() {
        let stranger = FIRST_STRANGER + strangers.next().unwrap_or_default();
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        socket.bind(&SocketAddrV4::new(address_plan::subscriber(stranger), 0).into())?;
        progress.count(socket.connect_timeout(&server.into(), PATIENCE).is_ok());
    }
    Ok(())
}
