//! A connection after its one request: a reply goes out by it, or a stream without end. What its client says is not heard.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};

use bytes::Bytes;

use crate::event::{Alarm, Class, Event, Interest, PollEventConsumer, PollKey, Task, Work, clock, lock};
use crate::relay::StreamSink;

use super::super::access::{Account, Good, Share};
use super::super::arrival::{Arrival, Place, Turn, ask_for_turn};
use super::super::rtsp::{Home, Session};
use super::super::rtsp_server::RtspServer;
use super::super::stats::CutFor;
use super::super::stream::{ByteStream, Output, Post, READ_BYTES, Sink};

/// A client that floods goes to the queue's tail after these many reads.
const READS_PER_TASK: usize = 4;

pub(super) struct Outgoing {
    pub server: Arc<RtspServer>,
    pub peer: SocketAddr,
    /// Our address, as the client reached it.
    pub local: SocketAddr,
    pub account: Arc<Account>,
    pub output: Arc<Output>,
    /// The same, as sessions know it.
    pub home: Arc<Home>,
    stream: ByteStream,
    key: OnceLock<PollKey>,
    /// Given back when it is closed.
    held: Mutex<Option<Held>>,
}

struct Held {
    _place: Place,
    /// Of the reply, in what its address may have us hold.
    reply: Option<Share>,
    /// Until then the client has to have read the reply.
    alarm: Option<Alarm>,
    session: Option<Arc<Session>>,
}

impl Outgoing {
    pub fn of(server: &Arc<RtspServer>, arrival: Arrival) -> io::Result<Arc<Self>> {
        let Arrival { stream, peer, account, place } = arrival;
        let local = stream.socket().local_addr()?;
        let output = Output::new(stream.clone(), server.poller.clone(), server.counters.clone());
        let held = Held { _place: place, reply: None, alarm: None, session: None };
        Ok(Arc::new(Self {
            server: server.clone(),
            peer,
            local,
            account,
            home: Home::of(output.clone()),
            output,
            stream,
            key: OnceLock::new(),
            held: Mutex::new(Some(held)),
        }))
    }

    pub fn is_secret(&self) -> bool {
        self.stream.is_secret()
    }

    /// Whether its client is gone.
    pub fn is_closed(&self) -> bool {
        lock(&self.held).is_none()
    }

    /// Notices from now on when the client goes.
    pub fn attend(self: &Arc<Self>) {
        if self.key.get().is_some() {
            return;
        }
        let first = if self.stream.has_more() { Interest::Write } else { Interest::Read };
        let registered =
            self.server.poller.register(Class::Control, self.stream.socket().clone(), self.clone());
        let enabled = registered.and_then(|key| self.key.get_or_init(|| key).enable(first));
        if let Err(error) = enabled {
            tracing::debug!(peer = %self.peer, %error, "a client of HTTP can not be attended to");
            self.end();
        }
    }

    /// A session goes by it. `false`: the client is gone already.
    pub fn carry(&self, session: &Arc<Session>) -> bool {
        lock(&self.held).as_mut().is_some_and(|held| {
            held.session = Some(session.clone());
            true
        })
    }

    /// Sends a reply, and nothing after it.
    pub fn reply(self: &Arc<Self>, bytes: Vec<u8>) {
        let Ok(share) = self.account.take(Good::UnreadBytes, bytes.len() as u64) else {
            self.server.counters.connection_cut(CutFor::UnreadBytes);
            self.server.tell_of_cut(self.peer, CutFor::UnreadBytes);
            return self.end();
        };
        if let Some(held) = &mut *lock(&self.held) {
            held.reply = Some(share);
        }
        self.output.post(Post::Bytes(Bytes::from(bytes)));
        self.output.post(Post::Hangup);
        Sink(self.output.clone()).pump(None);
        self.part();
        self.attend();
    }

    /// All that is to go out is posted: the client has a while to read it, and to close.
    pub fn part(self: &Arc<Self>) {
        let watch = Task::new("ConnectionWatch", Arc::new(Parting(Arc::downgrade(self))));
        let alarm = self.server.timers.alarm(clock::now() + self.server.message_timeout(), watch);
        if let Some(held) = &mut *lock(&self.held) {
            held.alarm = Some(alarm);
        }
    }

    /// The client is gone, or has to go.
    fn end(&self) {
        let Some(held) = lock(&self.held).take() else { return };
        if let Some(key) = self.key.get() {
            key.unregister();
        }
        if let Some(session) = &held.session {
            self.server.sessions.end(session, "connection closed", clock::now());
        }
        self.output.cut_off();
    }

    /// Passes over what has come. `None`: the client says no more.
    fn pass_over(&self) -> Option<Interest> {
        let mut scratch = [0; READ_BYTES];
        for _ in 0..READS_PER_TASK {
            match self.stream.read(&mut scratch) {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Some(Interest::Read),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
        Some(Interest::Write) // in turn
    }
}

impl PollEventConsumer for Outgoing {
    fn create_task(self: Arc<Self>, _: Event) -> Option<Task> {
        let account = self.account.clone();
        ask_for_turn(&account, self)
    }

    fn close(self: Arc<Self>) {
        self.end();
    }
}

impl Work for Outgoing {
    fn run(self: Arc<Self>) {
        let _turn = Turn { account: &self.account, poller: &self.server.poller };
        match self.pass_over() {
            Some(interest) => {
                if self.stream.has_to_answer() {
                    Sink(self.output.clone()).pump(None);
                }
                self.key.get().into_iter().for_each(|key| key.resume(interest));
            }
            // Who says no more may still read.
            None if self.output.unread_bytes() > 0 => {}
            None => self.end(),
        }
    }

    fn close(self: Arc<Self>) {
        self.end();
    }
}

/// A client that has been told all has so long to close.
struct Parting(std::sync::Weak<Outgoing>);

impl Work for Parting {
    fn run(self: Arc<Self>) {
        if let Some(outgoing) = self.0.upgrade() {
            outgoing.end();
        }
    }

    fn close(self: Arc<Self>) {
        self.run();
    }
}
