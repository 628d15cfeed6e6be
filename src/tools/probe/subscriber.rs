//! One subscriber: its connection, its UDP sockets, and how it goes from connecting to leaving. It reads and writes
//! when its worker says so, and knows no other subscriber.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use std::{mem, vec};

use nix::sys::epoll::{EpollEvent, EpollFlags};

use crate::event::clock;
use crate::net::connect;
use crate::wire::rtsp::framing::{self, FROM_SERVERS};
use crate::wire::rtsp::{Incoming, Reply, Response, StatusCode};

use super::context::Context;
use super::dialogue::{Dialogue, Offer, Outcome};
use super::leg::{Carries, Leg};
use super::tally::Tally;
use super::{Delivery, Failure};

/// Time between two receiver reports of a track (RFC 3550 section 6.2).
const REPORT_INTERVAL: Duration = Duration::from_secs(5);
/// After this long without a packet a subscriber is not being served.
const SILENCE: Duration = Duration::from_secs(2);
/// Who is to be paused plays for so long before that.
const PLAYS_BEFORE_PAUSE: Duration = Duration::from_secs(1);

/// One subscriber.
pub struct Subscriber {
    stream: TcpStream,
    /// Where its events are told from others', shifted to leave room for the socket's number.
    token: u64,
    ssrc: u32,
    stage: Stage,
    dialogue: Dialogue,
    to_set_up: vec::IntoIter<Offer>,
    legs: Vec<Leg>,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    /// The server has said that there are packets.
    flows: bool,
    began: Duration,
    last_packet: Duration,
    keep_alive_due: Duration,
    report_due: Duration,
    /// When PLAY was asked for, until a packet came of it.
    play_asked: Option<Duration>,
    pause: Pause,
}

/// Whether it is paused, or will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pause {
    /// It will not, or was.
    Not,
    /// Once it plays.
    Once(Duration),
    At(Duration, Duration),
    Asked(Duration),
    Until(Duration),
}

/// How far a subscriber is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The connection is being made.
    Connecting,
    /// Up to the answer to PLAY.
    SettingUp,
    /// Media comes.
    Playing,
    /// TEARDOWN is sent.
    Leaving,
    /// The session is over.
    Gone,
}

impl Subscriber {
    /// Begins to connect.
    pub fn connect(number: u32, token: u64, cx: &Context<'_>) -> Result<Self, Failure> {
        let stream = connect(cx.server).map_err(|error| Failure::connect(&error))?;
        let event = EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT, token);
        cx.epoll.add(&stream, event).map_err(|error| Failure::connect(&error.into()))?;
        Ok(Self {
            stream,
            token,
            ssrc: 0x5052_0000_u32.wrapping_add(number),
            stage: Stage::Connecting,
            dialogue: Dialogue::new(cx.plan.url.url(), &cx.plan.course),
            to_set_up: Vec::new().into_iter(),
            legs: Vec::new(),
            incoming: Vec::new(),
            outgoing: Vec::new(),
            flows: false,
            began: cx.now,
            last_packet: cx.now,
            keep_alive_due: cx.now,
            report_due: cx.now,
            play_asked: None,
            pause: cx.plan.course.pause.map_or(Pause::Not, Pause::Once),
        })
    }

    /// How far it is.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// One of its sockets is ready: 0 is the connection, 2n + 1 and 2n + 2 are RTP and RTCP of track n.
    pub fn ready(&mut self, socket: usize, flags: EpollFlags, cx: &mut Context<'_>) -> Result<(), Failure> {
        let Some(socket) = socket.checked_sub(1) else { return self.connection_ready(flags, cx) };
        let what = if socket % 2 == 0 { Carries::Rtp } else { Carries::Rtcp };
        let Some(leg) = self.legs.get_mut(socket / 2) else { return Ok(()) };
        if self.stage == Stage::Leaving {
            leg.discard(what, cx);
        } else if leg.receive(what, cx) {
            self.came(cx);
        }
        Ok(())
    }

    /// Does what time has made due. Called about once a second.
    pub fn tick(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        match self.stage {
            Stage::Connecting | Stage::SettingUp => {
                if cx.now.saturating_sub(self.began) <= cx.plan.setup_timeout {
                    return Ok(());
                }
                Err(match self.dialogue.asked() {
                    Some(method) => Failure::Silence(method.clone()),
                    None => Failure::connect(&ErrorKind::TimedOut.into()),
                })
            }
            Stage::Playing => {
                self.pause_or_go_on(cx)?;
                self.show_life(cx)
            }
            Stage::Leaving | Stage::Gone => Ok(()),
        }
    }

    /// Ends the session. What comes from now on is not counted.
    pub fn leave(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        let asked = self.dialogue.tear_down();
        self.stage = if asked.is_some() { Stage::Leaving } else { Stage::Gone };
        asked.map_or(Ok(()), |bytes| self.send(&bytes, cx))
    }

    /// Adds what its tracks saw to the tally.
    pub fn account(&self, tally: &mut Tally) {
        self.legs.iter().for_each(|leg| tally.end_of_track(&leg.track.totals()));
    }

    /// Whether a subscriber that plays is served. One that has hardly begun when the probe is interrupted is.
    pub fn verdict(&self, now: Duration, delivery: Delivery, interrupted: bool) -> Result<(), Failure> {
        let silent = now.saturating_sub(self.last_packet) >= SILENCE;
        if self.legs.iter().any(|leg| leg.track.packets() > 0) {
            return if silent { Err(Failure::Stopped) } else { Ok(()) };
        }
        match delivery {
            _ if interrupted && !silent => Ok(()),
            Delivery::Udp if self.flows => {
                Err(Failure::Nothing(": does a firewall drop UDP? --transport tcp would tell"))
            }
            Delivery::Tcp if self.flows => Err(Failure::Nothing("")),
            _ => Err(Failure::Nothing(
                ": the answer to PLAY names no packet either, so the source may be silent",
            )),
        }
    }

    fn connection_ready(&mut self, flags: EpollFlags, cx: &mut Context<'_>) -> Result<(), Failure> {
        if self.stage == Stage::Connecting {
            if let Ok(Some(error)) = self.stream.take_error() {
                return Err(Failure::connect(&error));
            }
            self.stage = Stage::SettingUp;
            let bytes = self.dialogue.describe();
            self.send(&bytes, cx)?;
        } else if flags.contains(EpollFlags::EPOLLOUT) {
            self.flush(cx)?;
        }
        if flags.intersects(EpollFlags::EPOLLIN | EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR) {
            self.read(cx)?;
        }
        Ok(())
    }

    /// One read an event: the others shall have their turn too.
    fn read(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        let mut scratch = mem::take(&mut cx.scratch);
        let result = match self.stream.read(&mut scratch) {
            Ok(0) => Err(Failure::Closed(self.doing())),
            Ok(length) => {
                cx.now = clock::monotonic();
                self.take_in(&scratch[..length], cx)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(()),
            Err(error) => Err(Failure::broken(self.doing(), &error)),
        };
        cx.scratch = scratch;
        result
    }

    /// Takes in bytes; what is no whole message yet waits for the next ones.
    fn take_in(&mut self, bytes: &[u8], cx: &mut Context<'_>) -> Result<(), Failure> {
        if self.incoming.is_empty() {
            let taken = self.take_messages(bytes, cx)?;
            self.incoming.extend_from_slice(&bytes[taken..]);
        } else {
            let mut whole = mem::take(&mut self.incoming);
            whole.extend_from_slice(bytes);
            let taken = self.take_messages(&whole, cx)?;
            whole.drain(..taken);
            self.incoming = whole;
        }
        Ok(())
    }

    fn take_messages(&mut self, bytes: &[u8], cx: &mut Context<'_>) -> Result<usize, Failure> {
        let mut taken = 0;
        loop {
            let rest = &bytes[taken..];
            let next = framing::next(rest, &FROM_SERVERS).map_err(|_| Failure::not_rtsp(rest))?;
            let Some((message, length)) = next else { return Ok(taken) };
            match message {
                Incoming::Interleaved { channel, payload } => self.take_frame(channel, &rest[payload], cx),
                Incoming::Response => {
                    let response = Response::parse(&rest[..length]).map_err(|_| Failure::not_rtsp(rest))?;
                    self.take_response(&response, cx)?;
                }
                Incoming::Request(request) => {
                    let reply = Reply::new(StatusCode::Ok, Some(request.cseq)).to_bytes();
                    self.send(&reply, cx)?;
                }
                Incoming::LongFrame | Incoming::Blank => {}
            }
            taken += length;
        }
    }

    fn take_frame(&mut self, channel: u8, payload: &[u8], cx: &mut Context<'_>) {
        let mut legs = self.legs.iter_mut();
        match legs.find_map(|leg| leg.carried_by(channel).map(|what| (leg, what))) {
            Some((leg, Carries::Rtp)) if self.stage != Stage::Leaving => {
                leg.track.receive_rtp(payload, cx.now, &mut cx.tally);
                self.came(cx);
            }
            Some((leg, Carries::Rtcp)) => leg.track.receive_rtcp(payload, cx.now),
            _ => {}
        }
    }

    fn take_response(&mut self, response: &Response, cx: &mut Context<'_>) -> Result<(), Failure> {
        match self.dialogue.answer(response, cx.plan.tracks)? {
            Outcome::Described(offers) => {
                self.to_set_up = offers.into_iter();
                self.go_on(cx)
            }
            Outcome::Granted(granted) => {
                self.legs.last_mut().map_or(Ok(()), |leg| leg.granted(&granted, cx.server))?;
                self.go_on(cx)
            }
            Outcome::Playing { flows, said } => {
                self.flows = flows;
                self.last_packet = cx.now;
                if self.stage == Stage::Playing {
                    return Ok(()); // again, after a pause
                }
                self.stage = Stage::Playing;
                self.to_set_up = Vec::new().into_iter();
                cx.tally.set_up(self.began, cx.now);
                cx.tally.said = cx.tally.said.take().or(said);
                if let Pause::Once(length) = self.pause {
                    self.pause = Pause::At(cx.now + PLAYS_BEFORE_PAUSE, length);
                }
                self.keep_alive_due = cx.now + self.dialogue.keep_alive_interval();
                self.report_due = cx.now + REPORT_INTERVAL;
                Ok(())
            }
            Outcome::Paused => {
                if let Pause::Asked(length) = self.pause {
                    self.pause = Pause::Until(cx.now + length);
                }
                Ok(())
            }
            Outcome::Over => {
                self.stage = Stage::Gone;
                Ok(())
            }
            Outcome::Nothing => Ok(()),
        }
    }

    /// Sets up the next track, or plays when there is none left.
    fn go_on(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        let Some(offer) = self.to_set_up.next() else {
            let bytes = self.dialogue.play();
            self.play_asked = Some(cx.now);
            return self.send(&bytes, cx);
        };
        let (leg, wish) = Leg::open(self.legs.len(), offer.clock_rate, self.token, cx)?;
        self.legs.push(leg);
        let bytes = self.dialogue.set_up(&offer, wish);
        self.send(&bytes, cx)
    }

    /// Media has come.
    fn came(&mut self, cx: &mut Context<'_>) {
        self.last_packet = cx.now;
        if let Some(asked) = self.play_asked.take() {
            cx.tally.start(asked, cx.now);
        }
    }

    /// Pauses, and goes on, when that is due.
    fn pause_or_go_on(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        let bytes = match self.pause {
            Pause::At(due, length) if cx.now >= due => {
                self.pause = Pause::Asked(length);
                self.dialogue.pause()
            }
            Pause::Until(due) if cx.now >= due => {
                self.pause = Pause::Not;
                self.play_asked = Some(cx.now);
                self.dialogue.resume()
            }
            _ => return Ok(()),
        };
        self.send(&bytes, cx)
    }

    /// Sends what keeps a session: requests at half its timeout, and receiver reports.
    fn show_life(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        if cx.now >= self.keep_alive_due {
            self.keep_alive_due = cx.now + self.dialogue.keep_alive_interval();
            if let Some(bytes) = self.dialogue.keep_alive() {
                self.send(&bytes, cx)?;
            }
        }
        if cx.now >= self.report_due {
            self.report_due = cx.now + REPORT_INTERVAL;
            let (ssrc, now) = (self.ssrc, cx.now);
            let frames: Vec<u8> =
                self.legs.iter_mut().filter_map(|leg| leg.report(ssrc, now)).flatten().collect();
            self.send(&frames, cx)?;
        }
        Ok(())
    }

    fn send(&mut self, bytes: &[u8], cx: &mut Context<'_>) -> Result<(), Failure> {
        if self.outgoing.len() + bytes.len() > FROM_SERVERS.message() {
            return Err(Failure::NotRead);
        }
        self.outgoing.extend_from_slice(bytes);
        self.flush(cx)
    }

    /// Writes what waits, and has itself called again when there is room for what is left.
    fn flush(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        while !self.outgoing.is_empty() {
            match self.stream.write(&self.outgoing) {
                Ok(written) => drop(self.outgoing.drain(..written)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Failure::broken(self.doing(), &error)),
            }
        }
        let room = if self.outgoing.is_empty() { EpollFlags::empty() } else { EpollFlags::EPOLLOUT };
        let mut event = EpollEvent::new(EpollFlags::EPOLLIN | room, self.token);
        let modified = cx.epoll.modify(&self.stream, &mut event);
        modified.map_err(|error| Failure::broken(self.doing(), &error.into()))
    }

    fn doing(&self) -> &'static str {
        match self.stage {
            Stage::Connecting | Stage::SettingUp => "during the set-up",
            Stage::Playing => "while playing",
            Stage::Leaving | Stage::Gone => "while leaving",
        }
    }
}
