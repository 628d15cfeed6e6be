//! A connection after its last request: a stream without end goes out by it, or nothing more. What its client says is not heard.

use std::io;
use std::sync::{Arc, Mutex, OnceLock};

use bytes::Bytes;

use crate::event::{Alarm, Class, Event, Interest, PollEventConsumer, PollKey, Task, Work, clock, lock};
use crate::relay::{StreamSink, Track};

use super::super::arrival::{Arrival, Place, Turn, ask_for_turn};
use super::super::attendance::{Attending, ConnectionParcel, Packed, Speaks};
use super::super::media::OverHttp;
use super::super::rtsp::{Home, Session};
use super::super::rtsp_server::RtspServer;
use super::super::stream::{Output, Post, READ_BYTES, Sink};
use super::request::Client;

/// A client that floods goes to the queue's tail after these many reads.
const READS_PER_TASK: usize = 4;

pub struct Outgoing {
    pub(super) client: Arc<Client>,
    pub output: Arc<Output>,
    /// The same, as sessions know it.
    pub home: Arc<Home>,
    key: OnceLock<PollKey>,
    /// Given back when it is closed.
    held: Mutex<Option<Held>>,
}

#[derive(Default)]
struct Held {
    /// Absent while the connection is another's.
    place: Option<Place>,
    /// Until then the client has to have closed.
    alarm: Option<Alarm>,
    session: Option<Arc<Session>>,
}

impl Outgoing {
    pub(super) fn of(client: &Arc<Client>) -> Arc<Self> {
        let Client { server, stream, .. } = &**client;
        let output = Output::new(stream.clone(), server.poller.clone(), server.counters.clone());
        Arc::new(Self {
            client: client.clone(),
            home: Home::of(output.clone()),
            output,
            key: OnceLock::new(),
            held: Mutex::new(Some(Held::default())),
        })
    }

    /// That of a client who was served elsewhere, with what was still to go out.
    pub fn moved(server: &Arc<RtspServer>, arrival: Arrival, unsent: &[u8]) -> io::Result<Arc<Self>> {
        let Arrival { stream, peer, account, place } = arrival;
        let (local, server) = (stream.socket().local_addr()?, server.clone());
        let out =
            Self::of(&Arc::new(Client { server, peer, local, account, stream, known: Mutex::default() }));
        out.take_over(place);
        if !unsent.is_empty() {
            out.output.post(Post::Bytes(Bytes::copy_from_slice(unsent)));
        }
        Ok(out)
    }

    /// The way of a track that goes by it, and has it end with that.
    pub fn way(self: &Arc<Self>, track: &Track) -> OverHttp {
        let over = Arc::downgrade(self);
        let when_over = Box::new(move || over.upgrade().into_iter().for_each(|out| out.part()));
        OverHttp::new(self.output.clone(), track.rtp.marks(), when_over)
    }

    /// A session goes by it, and ends with it.
    pub fn carry(&self, session: &Arc<Session>) {
        if let Some(held) = &mut *lock(&self.held) {
            held.session = Some(session.clone());
        }
    }

    /// The connection is its own from here on.
    pub fn take_over(&self, place: Place) {
        if let Some(held) = &mut *lock(&self.held) {
            held.place = Some(place);
        }
    }

    /// Notices from now on when the client goes.
    pub fn attend(self: &Arc<Self>) {
        if self.key.get().is_some() {
            return;
        }
        let Client { server, peer, stream, .. } = &*self.client;
        let first = if stream.has_more() { Interest::Write } else { Interest::Read };
        server.attendance.add(self);
        let registered = server.poller.register(Class::Control, stream.socket().clone(), self.clone());
        let enabled = registered.and_then(|key| self.key.get_or_init(|| key).enable(first));
        if let Err(error) = enabled {
            tracing::debug!(%peer, %error, "a client of HTTP can not be attended to");
            self.end();
        }
    }

    /// Ends it behind what is out already: who closes before the client has read that may take it away.
    pub fn hang_up(self: &Arc<Self>, place: Place) {
        self.take_over(place);
        self.output.post(Post::Hangup);
        Sink(self.output.clone()).pump(None);
        self.part();
        self.attend();
    }

    /// All that is to go out is posted: the client has a while to read it, and to close.
    pub fn part(self: &Arc<Self>) {
        let watch = Task::new("ConnectionWatch", Arc::new(Parting(Arc::downgrade(self))));
        let server = &self.client.server;
        let alarm = server.timers.alarm(clock::now() + server.message_timeout(), watch);
        if let Some(held) = &mut *lock(&self.held) {
            held.alarm = Some(alarm);
        }
    }

    /// The client is gone, or has to go.
    fn end(&self) {
        let Some(held) = lock(&self.held).take() else { return };
        self.client.server.attendance.remove(self);
        if let Some(key) = self.key.get() {
            key.unregister();
        }
        if let Some(session) = &held.session {
            self.client.server.sessions.end(session, "connection closed", clock::now());
        }
        self.output.cut_off();
    }

    /// Passes over what has come. `None`: the client says no more.
    fn pass_over(&self) -> Option<Interest> {
        let mut scratch = [0; READ_BYTES];
        for _ in 0..READS_PER_TASK {
            match self.client.stream.read(&mut scratch) {
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
        let client = self.client.clone();
        ask_for_turn(&client.account, self)
    }

    fn close(self: Arc<Self>) {
        self.end();
    }
}

impl Work for Outgoing {
    fn run(self: Arc<Self>) {
        let _turn = Turn { account: &self.client.account, poller: &self.client.server.poller };
        match self.pass_over() {
            Some(interest) => {
                if self.client.stream.has_to_answer() {
                    Sink(self.output.clone()).pump(None);
                }
                self.key.get().into_iter().for_each(|key| key.resume(interest));
            }
            None => self.end(),
        }
    }

    fn close(self: Arc<Self>) {
        self.end();
    }
}

impl Attending for Outgoing {
    /// One that only waits for its client to close does not move.
    fn pack(&self) -> Option<Packed> {
        let is_watched =
            lock(&self.held).as_ref().is_some_and(|held| held.alarm.is_none() && held.session.is_some());
        let (unsent, socket) = self.output.unsent().filter(|_| is_watched)?;
        let (client, speaks, heard, unwanted) = (self.client.peer, Speaks::Http, Vec::new(), 0);
        let parcel = ConnectionParcel { client, speaks, heard, unwanted, unsent };
        Some(Packed { parcel, socket, home: Some(self.home.clone()) })
    }
}

/// Of a session that was begun for a client who has gone before it played.
impl Drop for Outgoing {
    fn drop(&mut self) {
        let session = lock(&self.held).take().and_then(|held| held.session);
        let sessions = &self.client.server.sessions;
        session.into_iter().for_each(|session| {
            sessions.end(&session, "connection closed", clock::now());
        });
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
