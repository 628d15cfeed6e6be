//! A link: one connection to a server, and what is said and sent by it.

use std::cell::RefCell;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::event::{Interest, Poller, clock};
use crate::net::plain;
use crate::relay::Track;
use crate::wire::rtsp::{StatusCode, Wish};
use crate::wire::sdp::Presentation;

use super::super::touched::Touched;
use super::action::{Action, End};
use super::conversation::Conversation;
use super::ear::{Ear, Listener};
use super::failure::Failure;
use super::feed::{Feed, REPORT_EVERY};
use super::figures::Figures;
use super::stream::Stream;

/// Room for what one read brings, and reads at a turn: then others have theirs.
const READ_BYTES: usize = 64 << 10;
const READS_PER_TURN: usize = 8;
/// Bytes that the server has not taken.
const MOST_UNSENT: usize = 64 << 10;
/// When what the server did not take is tried again.
const TRY_AGAIN: Duration = Duration::from_millis(50);

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// How media comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transport {
    /// In the connection: nothing is lost.
    #[default]
    Tcp,
    /// To ports of ours.
    Udp,
}

pub(super) struct Link {
    stream: Stream,
    ear: Ear,
    listener: Weak<dyn Listener>,
    pub server: SocketAddr,
    /// Absent until it is connected: until then at the latest.
    talk: Result<Conversation, Instant>,
    outgoing: Vec<u8>,
    feeds: Vec<Feed>,
    ssrc: u32,
    report_due: Option<Instant>,
    /// Since when it plays.
    pub plays_since: Option<Instant>,
    /// The tracks that were described, and are to be set up.
    pub described: Option<Box<Presentation>>,
    /// Tracks that the server does not serve.
    pub refused: Vec<(usize, StatusCode)>,
    pub leaves: bool,
}

/// What a turn of a link has come to.
pub(super) enum Turned {
    /// Nothing more is there.
    Done,
    /// More is there than a turn takes.
    More,
    Over(End),
}

impl Link {
    /// Begins to connect, until then at the latest.
    pub fn open(
        stream: Stream,
        server: SocketAddr,
        ssrc: u32,
        poller: &Poller,
        listener: Weak<dyn Listener>,
        until: Instant,
    ) -> io::Result<Self> {
        let ear = Ear::open(poller, stream.socket().clone(), listener.clone(), Interest::Write)?;
        Ok(Self {
            stream,
            ear,
            listener,
            server,
            talk: Err(until),
            outgoing: Vec::new(),
            feeds: Vec::new(),
            ssrc,
            report_due: None,
            plays_since: None,
            described: None,
            refused: Vec::new(),
            leaves: false,
        })
    }

    /// When there is something to do if nothing comes before.
    pub fn due(&self, now: Instant) -> Option<Instant> {
        let Ok(conversation) = &self.talk else { return self.talk.as_ref().err().copied() };
        let is_unsent = !self.outgoing.is_empty() || self.stream.holds_back();
        let unsent = is_unsent.then(|| now + TRY_AGAIN);
        [conversation.due(), self.report_due, unsent].into_iter().flatten().min()
    }

    /// Whether it plays, and whether media has come.
    pub fn comes(&self) -> (bool, bool) {
        (self.plays_since.is_some(), self.talk.as_ref().is_ok_and(Conversation::has_media))
    }

    /// Whether the server has wanted a hash of the password.
    pub fn wants_hash(&self) -> bool {
        self.talk.as_ref().is_ok_and(Conversation::wants_hash)
    }

    /// Ends the session, if it has begun.
    pub fn leave(&mut self, now: Instant) {
        self.leaves = true;
        if let Ok(conversation) = &mut self.talk {
            conversation.leave(now);
        }
    }

    /// Ends it at once; what is to be said is said as far as it is taken.
    pub fn shut(&mut self, now: Instant) {
        self.leave(now);
        let mut touched = Touched::default();
        let _ = self.carry_out(&Figures::default(), &mut touched, now);
        let _ = self.flush();
        self.stream.shut();
    }

    /// Does what is to be done. `begin` makes the conversation once it is connected.
    pub fn turn(&mut self, begin: impl FnOnce() -> Conversation, figures: &Figures, now: Instant) -> Turned {
        let mut touched = Touched::default();
        let turned = self.take_turn(begin, figures, &mut touched, now);
        drop(touched); // which tells the lanes
        for feed in &self.feeds {
            feed.track.rtp.rhythm().go(now);
            feed.track.rtcp.rhythm().go(now);
        }
        turned.unwrap_or_else(|failure| Turned::Over(End::Failed(failure)))
    }

    fn take_turn(
        &mut self,
        begin: impl FnOnce() -> Conversation,
        figures: &Figures,
        touched: &mut Touched,
        now: Instant,
    ) -> Result<Turned, Failure> {
        if let Err(until) = self.talk {
            if !self.is_connected()? {
                return if now < until { Ok(Turned::Done) } else { Err(Failure::NoConnection) };
            }
            figures.connected();
            let mut conversation = begin();
            if self.leaves {
                conversation.leave(now);
            }
            self.talk = Ok(conversation);
            self.ear.take();
            self.ear.listen();
        }
        let mut more = false;
        for feed in &mut self.feeds {
            let arrived = feed.receive(figures, touched);
            more |= arrived.more;
            if let Ok(conversation) = &mut self.talk {
                match (arrived.rtp, arrived.rtcp) {
                    (true, _) => conversation.media(now),
                    (false, true) => conversation.heard(now),
                    (false, false) => {}
                }
            }
        }
        if let Some(end) = self.carry_out(figures, touched, now)? {
            return Ok(Turned::Over(end));
        }
        match self.read(figures, touched)? {
            Turned::Done => {}
            Turned::More => more = true,
            over @ Turned::Over(_) => return Ok(over),
        }
        self.be_on_time(now)?;
        if let Some(end) = self.carry_out(figures, touched, now)? {
            return Ok(Turned::Over(end));
        }
        self.flush()?;
        Ok(if more { Turned::More } else { Turned::Done })
    }

    fn is_connected(&self) -> Result<bool, Failure> {
        self.stream.is_connected().map_err(|error| match error.kind() {
            ErrorKind::ConnectionRefused => {
                Failure::Connect("connection refused: nobody listens there".to_owned())
            }
            _ => Failure::Connect(plain(&error)),
        })
    }

    /// Reads as much as a turn takes.
    fn read(&mut self, figures: &Figures, touched: &mut Touched) -> Result<Turned, Failure> {
        if !self.ear.take() {
            return Ok(Turned::Done);
        }
        for _ in 0..READS_PER_TURN {
            let read = SCRATCH.with_borrow_mut(|scratch| {
                let count = self.stream.read(scratch)?;
                if let Ok(conversation) = &mut self.talk {
                    conversation.hear(&scratch[..count], clock::now());
                }
                io::Result::Ok(count)
            });
            match read {
                Ok(0) => return Err(self.closed()),
                Ok(_) => {
                    if let Some(end) = self.carry_out(figures, touched, clock::now())? {
                        return Ok(Turned::Over(end));
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.ear.listen();
                    return Ok(Turned::Done);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(broken(&error)),
            }
        }
        self.ear.fire();
        Ok(Turned::More)
    }

    /// The server has closed the connection.
    fn closed(&self) -> Failure {
        match &self.talk {
            Ok(conversation) if conversation.is_strange() => {
                Failure::unreadable("it is no RTSP: is another service on that port?")
            }
            _ => Failure::Closed,
        }
    }

    /// Does what time has made due.
    fn be_on_time(&mut self, now: Instant) -> Result<(), Failure> {
        let Ok(conversation) = &mut self.talk else { return Ok(()) };
        conversation.pass(now);
        if self.report_due.is_none_or(|due| now < due) || self.leaves {
            return Ok(());
        }
        // Some servers count nothing else.
        self.report_due = Some(now + conversation.shows_life_every().min(REPORT_EVERY));
        let mut frames = Vec::new();
        for (track, feed) in self.feeds.iter_mut().enumerate() {
            let report = feed.report(self.ssrc, now);
            frames.extend(report.and_then(|report| conversation.framed(track, &report)).unwrap_or_default());
        }
        self.send(&frames)
    }

    fn carry_out(
        &mut self,
        figures: &Figures,
        touched: &mut Touched,
        now: Instant,
    ) -> Result<Option<End>, Failure> {
        let Ok(conversation) = &mut self.talk else { return Ok(None) };
        let mut over = None;
        let mut unsent = Vec::new();
        while let Some(action) = conversation.poll(now) {
            match action {
                Action::Frame { track, is_rtcp, bytes } => {
                    if let Some(feed) = self.feeds.get_mut(track) {
                        feed.take(is_rtcp, bytes, self.server, now, touched);
                    }
                }
                Action::Write(bytes) => unsent.extend(bytes),
                Action::Described(presentation) => self.described = Some(presentation),
                Action::TrackRefused(track, status) => self.refused.push((track, status)),
                Action::Granted(track, way) => {
                    self.feeds.get_mut(track).into_iter().for_each(|feed| feed.granted(way));
                }
                Action::Playing => {
                    (self.plays_since, self.report_due) = (Some(now), Some(now));
                    self.feeds.iter().for_each(|feed| feed.plays());
                }
                Action::Over(end) => over = Some(end),
            }
            if unsent.len() > MOST_UNSENT {
                return Err(Failure::NotRead);
            }
        }
        figures.strays(conversation.take_strays());
        self.send(&unsent)?;
        if over.is_some() {
            let _ = self.flush(); // what is said last
        }
        Ok(over)
    }

    /// Sets up the tracks that were described.
    pub fn set_up(
        &mut self,
        tracks: &[Arc<Track>],
        transport: Transport,
        poller: &Poller,
        now: Instant,
    ) -> Result<(), Failure> {
        self.described = None;
        let own = self.stream.socket().local_addr().map_err(|error| broken(&error))?.ip();
        let between = (own, self.server.ip().to_canonical());
        let open = |track: &Arc<Track>| match transport {
            Transport::Tcp => Ok(Feed::interleaved(track.clone())),
            Transport::Udp => Feed::over_udp(track.clone(), between, poller, &self.listener),
        };
        let feeds: io::Result<Vec<_>> = tracks.iter().map(open).collect();
        self.feeds = feeds.map_err(|error| Failure::Ports(plain(&error)))?;
        let wishes = self.feeds.iter().zip(0u8..).map(|(feed, track)| match feed.ports() {
            Some((rtp, rtcp)) => Wish::Udp(rtp, rtcp),
            None => Wish::Interleaved(2 * track, 2 * track + 1), // a description has at most 32 tracks
        });
        if let Ok(conversation) = &mut self.talk {
            conversation.set_up(wishes.collect(), now);
        }
        Ok(())
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if self.outgoing.len() + bytes.len() > MOST_UNSENT {
            return Err(Failure::NotRead);
        }
        self.outgoing.extend_from_slice(bytes);
        Ok(())
    }

    /// Writes what waits, as far as it is taken.
    fn flush(&mut self) -> Result<(), Failure> {
        let flushed = self.stream.flush();
        flushed.or_else(
            |error| if error.kind() == ErrorKind::WouldBlock { Ok(()) } else { Err(broken(&error)) },
        )?;
        while !self.outgoing.is_empty() {
            match self.stream.write(&self.outgoing) {
                Ok(written) => drop(self.outgoing.drain(..written)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(broken(&error)),
            }
        }
        Ok(())
    }
}

fn broken(error: &io::Error) -> Failure {
    match error.kind() {
        ErrorKind::InvalidData => Failure::Tls(error.to_string()),
        ErrorKind::UnexpectedEof => {
            Failure::Tls("the server closed the connection in the handshake".to_owned())
        }
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Failure::Closed,
        _ => Failure::Broken(plain(error)),
    }
}
