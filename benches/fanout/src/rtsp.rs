//! Registers thousands of subscribers at an RTSP server, each on a connection of its own, and keeps them alive.

use std::collections::HashMap;
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::SocketAddrV4;

use crate::address_plan;
use crate::dialogue::{Dialogue, Next, Subscription, Transport, channel_url, split_reply};
use crate::stream::Stream;
use crate::sys::Epoll;

/// Handshakes under way at a time.
const CONCURRENT: usize = 64;
const LONGEST_WAIT_NS: u64 = 10_000_000_000;
const KEEP_ALIVE_INTERVAL_NS: u64 = 20_000_000_000;
const LARGEST_REPLY_BYTES: usize = 64 << 10;

/// A session that plays.
pub struct Session {
    /// Its RTSP connection, which does not block.
    pub stream: Stream,
    /// What came behind the last reply.
    pub rest: Vec<u8>,
    dialogue: Dialogue,
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

/// Registers all, some at a time; gives the sessions in the same order. One that fails ends it.
pub fn register(
    server: SocketAddrV4,
    wanted: Vec<Subscription>,
    transport: Transport,
) -> Result<Vec<Session>> {
    let mut epoll = Epoll::new(CONCURRENT)?;
    let mut waiting = wanted.into_iter().enumerate();
    let mut under_way: HashMap<u64, Handshake> = HashMap::new();
    let mut done: Vec<(usize, Session)> = Vec::new();
    loop {
        while under_way.len() < CONCURRENT
            && let Some((index, subscription)) = waiting.next()
        {
            let handshake = Handshake::begin(server, subscription, transport)?;
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

/// A handshake under way.
struct Handshake {
    stream: Stream,
    dialogue: Dialogue,
    received: Vec<u8>,
}

impl Handshake {
    fn begin(server: SocketAddrV4, subscription: Subscription, transport: Transport) -> Result<Self> {
        let mut stream = Stream::connect(server, subscription.subscriber, transport)?;
        let mut dialogue = Dialogue::new(subscription);
        stream.write_all(dialogue.begin().as_bytes())?;
        Ok(Self { stream, dialogue, received: Vec::new() })
    }

    /// Reads what has come and asks for the next step; true when it plays.
    fn advance(&mut self) -> Result<bool> {
        let mut room = [0; 4096];
        match self.stream.read(&mut room) {
            Ok(0) => return Err(Error::other("the server closed the connection of a handshake")),
            Ok(count) => self.received.extend_from_slice(&room[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
        let Some((reply, rest)) = split_reply(&self.received) else {
            let too_long = self.received.len() > LARGEST_REPLY_BYTES;
            return if too_long { Err(Error::other("a reply that does not end")) } else { Ok(false) };
        };
        let (reply, rest) = (String::from_utf8_lossy(reply).into_owned(), rest.to_vec());
        self.received = rest;
        match self.dialogue.answer(&reply) {
            Next::Send(request) => self.stream.write_all(request.as_bytes()).map(|()| false),
            Next::Refused(why, _) => Err(Error::other(why)),
            Next::Plays(_) => Ok(true),
            Next::Ended | Next::Nothing => Ok(false),
        }
    }

    fn into_session(self) -> Session {
        Session { stream: self.stream, rest: self.received, dialogue: self.dialogue }
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

    /// Where the server hears RTCP of each, if it plays over UDP.
    pub fn server_rtcp_ports(&self) -> impl Iterator<Item = Option<u16>> {
        self.sessions.iter().map(|session| session.dialogue.server_rtcp_port())
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
        self.stream.write_all(self.dialogue.keep_alive().as_bytes())
    }
}
