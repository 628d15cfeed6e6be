//! The RtspConnection: one client's connection. It reads for a conversation, and carries out what comes of it.
//!
//! What the client says first shows whether it speaks RTSP at all. Of a tunnel this is the half by which we speak, and what the
//! client says comes by [the other](super::downstream).

use std::cell::RefCell;
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Instant;

use crate::event::{Alarm, Class, Event, Interest, PollEventConsumer, PollKey, Task, Work, clock, lock};
use crate::relay::{Call, StreamSink};
use crate::wire::http::{Spoken, spoken};

use super::access::{Account, Good, Share};
use super::arrival::{Arrival, Place, Turn, ask_for_turn};
use super::rtsp::{Conversation, Home, Session};
use super::rtsp_server::RtspServer;
use super::saying::{Half, Says, SpeaksHttp};
use super::session_watch::SessionWatch;
use super::stats::CutFor;
use super::stream::{ByteStream, Output, READ_BYTES, Sink};

/// Messages answered per task, and reads: a client that floods goes to the queue's tail after these many.
const MESSAGES_PER_TASK: usize = 32;
const READS_PER_TASK: usize = 4;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// One client's connection.
pub(super) struct RtspConnection {
    pub server: Arc<RtspServer>,
    pub peer: SocketAddr,
    /// Our address, as the client reached it.
    pub local: SocketAddr,
    /// What the client's address holds.
    pub account: Arc<Account>,
    pub output: Arc<Output>,
    /// The same, as sessions know it.
    pub home: Arc<Home>,
    pub stream: ByteStream,
    /// Who takes on those that speak HTTP.
    http: Option<Arc<dyn SpeaksHttp>>,
    key: OnceLock<PollKey>,
    /// Locked only by the task, of which there is one at a time, the watch, and the other half of a tunnel.
    state: Mutex<State>,
    pub(super) closed: AtomicBool,
    /// Something has come and waits for a turn, or for a worker: until it is read the client is not to blame.
    pub(super) waits: AtomicBool,
}

/// What the running task knows of the client.
pub(super) struct State {
    pub conversation: Conversation,
    /// When the [`ConnectionWatch`] looks.
    pub(super) alarm: Option<Alarm>,
    /// Has it go on that waits for a channel to come.
    pub(super) wake: Option<Arc<Call>>,
    /// What has come is not all answered: the client has to read first, or others have their turn.
    pub holds_back: bool,
    pub says: Says,
    /// How often the client was read, and how often it had been when its time was up but the delay was ours.
    pub reads: u64,
    pub excused_at: Option<u64>,
    /// Given back when the connection is closed.
    shares: Option<Shares>,
}

/// How a connection has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closed {
    ByClient,
    /// For what its client did or left undone.
    Cut(CutFor),
    /// For what is not the client's.
    Here,
}

/// What the connection takes of what its address may hold.
struct Shares {
    connection: Place,
    unread: Share,
}

/// Why the connection ends, or is another's from here.
enum Over {
    Gone,
    Cut(CutFor),
    Http(Vec<u8>),
}

impl RtspConnection {
    /// Takes a client on.
    pub fn open(
        server: Arc<RtspServer>,
        arrival: Arrival,
        says: Says,
        http: Option<Arc<dyn SpeaksHttp>>,
    ) -> io::Result<Arc<Self>> {
        // What has come already is read when the socket takes something, which is at once.
        let first = if arrival.stream.has_more() { Interest::Write } else { Interest::Read };
        let connection = Self::prepare(server, arrival, says, http)?;
        connection.begin(first)?;
        Ok(connection)
    }

    /// The same, of which nothing is heard before it begins.
    pub(super) fn prepare(
        server: Arc<RtspServer>,
        arrival: Arrival,
        says: Says,
        http: Option<Arc<dyn SpeaksHttp>>,
    ) -> io::Result<Arc<Self>> {
        let Arrival { stream, peer, account, place } = arrival;
        let socket = stream.socket().clone();
        let local = socket.local_addr()?;
        let output = Output::new(stream.clone(), server.poller.clone(), server.counters.clone());
        let home = Home::of(output.clone());
        let unread = account.take(Good::UnreadBytes, 0).ok();
        let shares = unread.map(|unread| Shares { connection: place, unread });
        let connection = Arc::new(Self {
            server,
            peer,
            local,
            account,
            output,
            home: home.clone(),
            stream,
            http,
            key: OnceLock::new(),
            state: Mutex::new(State {
                conversation: Conversation::new(home, clock::now()),
                alarm: None,
                wake: None,
                holds_back: false,
                says,
                reads: 0,
                excused_at: None,
                shares,
            }),
            closed: AtomicBool::new(false),
            waits: AtomicBool::new(false),
        });
        let server = &connection.server;
        let key = server.poller.register(Class::Control, socket, connection.clone())?;
        connection.key.get_or_init(|| key);
        server.attendance.add(&connection);
        Ok(connection)
    }

    /// Hears the client from now on.
    pub(super) fn begin(self: &Arc<Self>, first: Interest) -> io::Result<()> {
        self.watch(&mut self.state());
        let polled = self.key.get().map_or(Ok(()), |key| key.enable(first));
        polled.inspect_err(|_| self.close_now(&mut self.state()))
    }

    /// Ends the connection for what its client did or left undone.
    pub(super) fn cut(&self, state: &mut State, reason: CutFor) {
        if !self.is_closed() {
            self.server.counters.connection_cut(reason);
        }
        self.end(state, Closed::Cut(reason));
    }

    /// Ends the connection and its sessions, once.
    pub(super) fn close_now(&self, state: &mut State) {
        self.end(state, Closed::Here);
    }

    fn end(&self, state: &mut State, closed: Closed) {
        if !self.leave(state) {
            return;
        }
        let closed = match closed {
            Closed::ByClient | Closed::Here if self.output.reads_nothing.load(Relaxed) => {
                Closed::Cut(CutFor::UnreadReplies)
            }
            closed => closed,
        };
        if let Closed::Cut(reason) = closed {
            self.server.tell_of_cut(self.peer, reason);
        }
        let sessions = state.conversation.end();
        sessions.iter().for_each(|session| self.part_from(session, closed));
        if let Says::Nothing(Half { other: Some(other), .. }) = mem::replace(&mut state.says, Says::Rtsp) {
            other.close();
        }
        state.shares = None;
        self.output.cut_off();
    }

    /// Neither polls nor watches any more. `false`: it has not since before.
    fn leave(&self, state: &mut State) -> bool {
        if self.closed.swap(true, Relaxed) {
            return false;
        }
        if let Some(key) = self.key.get() {
            key.unregister();
        }
        self.home.close(clock::now());
        self.server.attendance.remove(self);
        state.alarm = None;
        state.wake.take().into_iter().for_each(|wake| wake.cancel());
        true
    }

    /// Of what happens to the connection only that its client closes it is no end of a session over UDP, for a while.
    fn part_from(&self, session: &Arc<Session>, closed: Closed) {
        let (server, now) = (&self.server, clock::now());
        let has_grace = closed == Closed::ByClient && !server.config().close_grace.is_zero();
        if has_grace && session.leave(&self.home, now) {
            SessionWatch::await_return(server, session, now);
        } else if session.belongs_to(&self.home) {
            server.sessions.end(session, "connection closed", now);
        }
    }

    pub(super) fn resume(&self, interest: Interest) {
        self.key.get().into_iter().for_each(|key| key.resume(interest));
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Relaxed)
    }

    /// Leads the client on to who speaks HTTP.
    fn lead_on(&self, state: &mut State, bytes: Vec<u8>) {
        let Some(http) = &self.http else { return self.close_now(state) };
        if !self.leave(state) {
            return;
        }
        let Some(Shares { connection: place, .. }) = state.shares.take() else { return };
        let (stream, account) = (self.stream.clone(), self.account.clone());
        if let Err(error) = http.take_on(Arrival { stream, peer: self.peer, account, place }, bytes) {
            tracing::debug!(peer = %self.peer, %error, "a client that speaks HTTP could not be served");
            self.stream.shut();
        }
    }

    /// Reads what is there and answers it.
    fn serve(self: &Arc<Self>, state: &mut State, now: Instant) -> Result<(), Over> {
        self.server.poller.vitals().may_fault("connection", String::new);
        if mem::take(&mut state.holds_back) {
            self.output.flush(); // there is room, for this was polled for
        }
        state.reads += 1;
        let mut left = MESSAGES_PER_TASK;
        self.answer_all(state, &mut left, now);
        SCRATCH.with_borrow_mut(|scratch| {
            for _ in 0..READS_PER_TASK {
                if state.holds_back {
                    return Ok(());
                }
                match self.stream.read(scratch) {
                    Ok(0) => return Err(Over::Gone),
                    Ok(count) => {
                        state.hear(&scratch[..count])?;
                        self.answer_all(state, &mut left, now);
                        if count < scratch.len() {
                            break;
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(CutFor::of_tls(&error).map_or(Over::Gone, Over::Cut)),
                }
            }
            state.holds_back |= self.stream.has_more(); // polling would not tell of it
            Ok(())
        })
    }

    /// Answers what is whole, up to so many messages, and as long as the client reads the replies.
    pub(super) fn answer_all(self: &Arc<Self>, state: &mut State, left: &mut usize, now: Instant) {
        loop {
            state.holds_back = *left == 0 || self.output.holds_back();
            if state.holds_back || !state.conversation.step(&**self, now) {
                break;
            }
            while let Some(action) = state.conversation.poll() {
                self.carry_out(action, now);
            }
            *left -= 1;
        }
        state.holds_back |= state.is_kept_waiting();
        state.conversation.settle(now);
        if state.holds_back || state.waits_until().is_some() {
            state.conversation.excuse();
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    /// Takes in what one read brought.
    fn hear(&mut self, bytes: &[u8]) -> Result<(), Over> {
        let first = match &mut self.says {
            Says::Something(first) => first,
            Says::Rtsp => {
                self.conversation.add(bytes);
                return Ok(());
            }
            // Who goes on where it only hears never comes by another connection.
            Says::Nothing(half) if !half.was_whole && !bytes.trim_ascii().is_empty() => {
                return Err(Over::Cut(CutFor::BrokenTunnel));
            }
            Says::Nothing(_) => return Ok(()),
        };
        first.extend_from_slice(bytes);
        match spoken(first) {
            None => Ok(()),
            Some(Spoken::Rtsp) => {
                self.conversation.add(first);
                self.says = Says::Rtsp;
                Ok(())
            }
            Some(Spoken::Http) => Err(Over::Http(mem::take(first))),
            Some(Spoken::Tls) => Err(Over::Cut(CutFor::TlsInTheClear)),
        }
    }

    /// Whether the client's address may have us hold so much that is not read.
    pub(super) fn may_hold(&mut self, unread: usize) -> bool {
        self.shares.as_mut().is_some_and(|shares| shares.unread.change(unread as u64).is_ok())
    }
}

impl PollEventConsumer for RtspConnection {
    fn create_task(self: Arc<Self>, _: Event) -> Option<Task> {
        self.waits.store(true, Relaxed);
        let account = self.account.clone();
        ask_for_turn(&account, self)
    }

    fn close(self: Arc<Self>) {
        self.close_now(&mut self.state());
    }
}

impl Work for RtspConnection {
    fn run(self: Arc<Self>) {
        let _turn = Turn { account: &self.account, poller: &self.server.poller };
        let mut state = self.state();
        self.waits.store(false, Relaxed); // with the state in hand, as the watch has it
        if self.closed.load(Relaxed) {
            return; // by the watch, after this task was queued: what the client still sent is nobody's
        }
        match self.serve(&mut state, clock::now()) {
            Ok(()) => {}
            Err(Over::Gone) => return self.end(&mut state, Closed::ByClient),
            Err(Over::Cut(reason)) => return self.cut(&mut state, reason),
            Err(Over::Http(bytes)) => return self.lead_on(&mut state, bytes),
        }
        if self.stream.has_to_answer() {
            Sink(self.output.clone()).pump(None);
        }
        let unread = state.conversation.unread() + self.output.unread_bytes();
        if !state.may_hold(unread) {
            return self.cut(&mut state, CutFor::UnreadBytes);
        }
        self.watch(&mut state);
        self.go_on(state);
    }

    fn close(self: Arc<Self>) {
        PollEventConsumer::close(self);
    }
}
