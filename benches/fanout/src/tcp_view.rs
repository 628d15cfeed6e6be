//! Subscribers over TCP: each connection is read and cut into its frames, whole.
//!
//! Delays are those of all packets, up to the look that read them. Between frames there may be RTSP replies.

use std::io::{ErrorKind, Result};

use crate::dialogue::Transport;
use crate::interleaved::{self, Came, Item, Room};
use crate::ledger::{Ledger, Notes};
use crate::mark::Mark;
use crate::receive::{Options, View};
use crate::rtsp::{self, KeepAlive};
use crate::stream::Stream;
use crate::sys::{self, Epoll};

/// How long after the window's start some stop reading.
const STALL_AFTER_NS: u64 = 1_000_000_000;

/// All subscribers over TCP.
pub struct TcpView {
    epoll: Epoll,
    streams: Vec<Stream>,
    /// What is left of each connection's last read: less than a frame.
    rests: Vec<Vec<u8>>,
    room: Room,
    stall: Stall,
    sessions: KeepAlive,
}

struct Stall {
    subscribers: usize,
    length_ns: u64,
    on: bool,
}

impl TcpView {
    /// Connects all subscribers, and registers them if there is a server to register at.
    pub fn open(options: &Options) -> Result<Self> {
        let (mut streams, mut rests, mut sessions) = (Vec::new(), Vec::new(), Vec::new());
        if let Some(server) = options.rtsp {
            let wanted =
                rtsp::subscriptions(server, options.transport, options.subscribers, options.channels);
            sessions = rtsp::register(server, wanted, options.transport)?;
        }
        for session in &mut sessions {
            streams.push(session.stream.clone());
            rests.push(std::mem::take(&mut session.rest));
        }
        if let Some(bare) = options.bare_tcp {
            for subscriber in 0..options.subscribers {
                streams.push(Stream::connect(bare, subscriber, Transport::Tcp)?);
                rests.push(Vec::new());
            }
        }
        let epoll = Epoll::new(options.subscribers)?;
        for (index, stream) in streams.iter().enumerate() {
            epoll.add(stream, index as u64, Epoll::READABLE)?;
        }
        let stall =
            Stall { subscribers: options.stall, length_ns: (options.stall_seconds * 1e9) as u64, on: false };
        Ok(Self { epoll, streams, rests, room: Room::new(), stall, sessions: KeepAlive::new(sessions) })
    }
}

impl View for TcpView {
    fn drain(&mut self, now_ns: u64, ledger: &mut Ledger) -> Result<()> {
        self.stall(now_ns, ledger)?;
        for token in self.epoll.wait(0)? {
            let index = token as usize;
            match self.room.read(&mut self.streams[index], &self.rests[index])? {
                Came::Bytes(bytes) => {
                    let left = frames(index, bytes, sys::monotonic_ns(), ledger);
                    self.rests[index] = interleaved::rest(left);
                }
                Came::Nothing => {}
                Came::End => return Err(ErrorKind::UnexpectedEof.into()),
            }
        }
        self.sessions.keep_alive(now_ns)
    }
}

impl TcpView {
    /// Some subscribers stop to read, and begin again.
    fn stall(&mut self, now_ns: u64, ledger: &Ledger) -> Result<()> {
        let Some(window) = ledger.window() else { return Ok(()) };
        let from_ns = window.start_ns + STALL_AFTER_NS;
        let on = (from_ns..from_ns + self.stall.length_ns).contains(&now_ns);
        if on == self.stall.on {
            return Ok(());
        }
        self.stall.on = on;
        let interest = if on { 0 } else { Epoll::READABLE };
        for (index, stream) in self.streams.iter().enumerate().take(self.stall.subscribers) {
            self.epoll.rearm(stream, index as u64, interest)?;
        }
        Ok(())
    }
}

/// Notes all whole frames; gives what is left.
fn frames<'a>(subscriber: usize, mut bytes: &'a [u8], now_ns: u64, ledger: &mut Ledger) -> &'a [u8] {
    while let Some((item, rest)) = interleaved::split(bytes) {
        bytes = rest;
        match item {
            Item::Packet(packet) => note(subscriber, packet, now_ns, ledger),
            Item::Junk => ledger.note_damaged(1),
            Item::Reply(_) | Item::Other => {}
        }
    }
    bytes
}

/// Checks and times a packet that was read by now.
pub fn note(subscriber: usize, packet: &[u8], now_ns: u64, notes: &mut impl Notes) {
    match Mark::read(packet) {
        Some(mark) => {
            notes.note(subscriber, &mark, 1);
            notes.note_delay(subscriber, &mark, now_ns);
        }
        None => notes.note_damaged(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mark::{Pattern, Shape};

    #[test]
    fn frames_are_found_at_every_cut_and_around_replies() {
        let mut stream = Vec::new();
        for number in 0..3 {
            let mut packet = Vec::new();
            let mark = Mark { number, sent_ns: 1, began_ns: 1, interval_ns: 1, channel: 0 };
            mark.write(Shape::H264, Pattern { frame: 2, group: 1 }, &mut packet);
            stream.extend([b'$', 0]);
            stream.extend((packet.len() as u16).to_be_bytes());
            stream.extend(packet);
            stream.extend(b"RTSP/1.0 200 OK\r\nCSeq: 4\r\nContent-Length: 2\r\n\r\nab");
        }
        for cut in 0..stream.len() {
            let mut ledger = Ledger::new(1, 0, 0, 10);
            let (head, tail) = stream.split_at(cut);
            let mut second = frames(0, head, 2, &mut ledger).to_vec();
            second.extend(tail);
            assert!(frames(0, &second, 2, &mut ledger).is_empty());
            assert_eq!((ledger.arrived, ledger.damaged), (3, 0), "cut at {cut}");
        }
    }
}
