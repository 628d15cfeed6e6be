//! The RtspConnection: one client's TCP connection, and RtspTask, which reads and answers in order.

use std::cell::RefCell;
use std::io::{self, Read};
use std::mem;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Instant;

use bytes::Bytes;
use socket2::SockRef;

use crate::event::{Class, Event, Interest, PollEventConsumer, PollKey, Task, Work, clock, lock};
use crate::net::notice_vanishing;
use crate::relay::StreamSink;
use crate::wire::rtsp::{Incoming, Invalid, Reply};

use super::addresses::{Account, Good, Share};
use super::connection_watch::Alarm;
use super::inbox::{Inbox, READ_BYTES};
use super::output::{Output, Sink};
use super::requests::{self, Then};
use super::restraint::Why;
use super::rtsp_server::RtspServer;
use super::session::Session;
use super::stats::CutFor;
use super::teller::{REFUSED, Refused, reason_of};
use super::writer::Post;

/// Messages answered per task, and reads: a client that floods goes to the queue's tail after these many.
const MESSAGES_PER_TASK: usize = 32;
const READS_PER_TASK: usize = 4;
/// Bytes of media in the kernel that were not sent yet: bounds what a slow reader holds.
const UNSENT_BYTES: u32 = 256 << 10;

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
    socket: Arc<TcpStream>,
    key: OnceLock<PollKey>,
    /// Locked only by the task, of which there is one at a time, and the watch.
    state: Mutex<State>,
    pub closed: AtomicBool,
    /// Something has come and waits for a turn, or for a worker: until it is read the client is not to blame.
    pub waits: AtomicBool,
}

/// What the running task knows of the client.
pub(super) struct State {
    pub inbox: Inbox,
    /// Sessions end with the connection that set them up.
    pub sessions: Vec<Arc<Session>>,
    /// The latest request, or the beginning.
    pub last_sign: Instant,
    pub has_asked: bool,
    /// When the [`ConnectionWatch`](super::connection_watch) looks.
    pub alarm: Option<Alarm>,
    /// What has come is not all answered: the client has to read first, or others have their turn.
    holds_back: bool,
    /// Given back when the connection is closed.
    shares: Option<Shares>,
}

/// What the connection takes of what its address may hold.
struct Shares {
    _connection: Share,
    unread: Share,
}

impl RtspConnection {
    /// Takes a fresh connection on, which has this place among those of its address.
    pub fn open(
        server: Arc<RtspServer>,
        socket: Arc<TcpStream>,
        peer: SocketAddr,
        (account, place): (Arc<Account>, Share),
    ) -> io::Result<()> {
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        SockRef::from(&*socket).set_tcp_notsent_lowat(UNSENT_BYTES)?;
        notice_vanishing(&socket)?;
        let local = socket.local_addr()?;
        let output = Output::new(socket.clone(), server.poller.clone(), server.counters.clone());
        let unread = account.take(Good::UnreadBytes, 0);
        let shares = unread.map(|unread| Shares { _connection: place, unread });
        let connection = Arc::new(Self {
            server,
            peer,
            local,
            account,
            output,
            socket: socket.clone(),
            key: OnceLock::new(),
            state: Mutex::new(State::new(shares, clock::now())),
            closed: AtomicBool::new(false),
            waits: AtomicBool::new(false),
        });
        let server = &connection.server;
        let key = server.poller.register(Class::Control, socket, connection.clone())?;
        server.counters.connections.fetch_add(1, Relaxed);
        connection.watch(&mut connection.state());
        let polled = connection.key.get_or_init(|| key).enable(Interest::Read);
        polled.inspect_err(|_| connection.close_now(&mut connection.state()))
    }

    /// Ends the connection for what its client did or left undone.
    pub fn cut(&self, state: &mut State, reason: CutFor) {
        self.server.counters.connection_cut(reason);
        self.close(state, Some(reason));
    }

    fn tell_of_cut(&self, reason: CutFor) {
        let why = Why { what: "connection closed", status: 0, reason: reason.label() };
        self.server.teller.refuse(&Refused::unheard(self.peer, why), clock::now());
    }

    /// Ends the connection and its sessions, once.
    pub fn close_now(&self, state: &mut State) {
        self.close(state, None);
    }

    /// `reason`: why it is ended from here, if it is.
    fn close(&self, state: &mut State, reason: Option<CutFor>) {
        if self.closed.swap(true, Relaxed) {
            return;
        }
        if let Some(key) = self.key.get() {
            key.unregister();
        }
        self.end_watch(state);
        let unread = self.output.reads_nothing.load(Relaxed).then_some(CutFor::UnreadReplies);
        reason.or(unread).into_iter().for_each(|reason| self.tell_of_cut(reason));
        for session in state.sessions.drain(..) {
            self.server.end_session(&session, "connection closed");
        }
        state.inbox = Inbox::default();
        state.shares = None;
        self.output.cut_off();
        self.server.counters.connections.fetch_sub(1, Relaxed);
    }

    /// Reads what is there and answers it. `false`: the client is gone.
    fn serve(&self, state: &mut State, now: Instant) -> bool {
        self.server.poller.vitals().may_fault("connection", String::new);
        if mem::take(&mut state.holds_back) {
            self.output.flush(); // there is room, for this was polled for
        }
        let mut left = MESSAGES_PER_TASK;
        self.answer_all(state, &mut left, now);
        SCRATCH.with_borrow_mut(|scratch| {
            for _ in 0..READS_PER_TASK {
                if state.holds_back {
                    return true;
                }
                match (&*self.socket).read(scratch) {
                    Ok(0) => return false,
                    Ok(count) => {
                        state.inbox.add(&scratch[..count]);
                        self.answer_all(state, &mut left, now);
                        if count < scratch.len() {
                            return true;
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(_) => return false,
                }
            }
            true
        })
    }

    /// Answers what is whole, up to so many messages, and as long as the client reads the replies.
    fn answer_all(&self, state: &mut State, left: &mut usize, now: Instant) {
        let mut inbox = mem::take(&mut state.inbox);
        loop {
            state.holds_back = *left == 0 || self.output.holds_back();
            if state.holds_back {
                break;
            }
            match inbox.next() {
                Ok(None) => break,
                Ok(Some((incoming, bytes))) => self.take(state, incoming, bytes, now),
                Err(invalid) => self.refuse(&invalid, now),
            }
            *left -= 1;
        }
        inbox.settle(now);
        if state.holds_back {
            inbox.excuse();
        }
        state.inbox = inbox;
    }

    fn take(&self, state: &mut State, incoming: Incoming, bytes: &[u8], now: Instant) {
        match incoming {
            Incoming::Request(request) => {
                (state.has_asked, state.last_sign) = (true, now);
                let answer = requests::answer(self, state, &request, now);
                self.server.counters.request(Some(&request.method), answer.status);
                self.reply(answer.reply);
                match answer.then {
                    Then::Nothing => {}
                    Then::Play(session, plan) => session.play(&plan, request.header("User-Agent"), now),
                    Then::ChangeOver(session) => session.change_over(),
                }
            }
            Incoming::Interleaved { channel, payload } => self.hear(state, channel, &bytes[payload], now),
            Incoming::LongFrame => self.server.counters.rtcp_refused("frame_too_long"),
            Incoming::Response | Incoming::Blank => {}
        }
        state.sessions.iter().for_each(|session| session.touch(now));
    }

    /// RTCP of a viewer in the connection.
    fn hear(&self, state: &mut State, channel: u8, datagram: &[u8], now: Instant) {
        let Some(session) = state.sessions.iter().find(|session| session.uses_channel(channel)).cloned()
        else {
            return self.server.counters.rtcp_stranger();
        };
        let Some(track) = session.track_of_channel(channel) else { return };
        if session.hear(track, datagram, &self.server.counters, now) {
            state.sessions.retain(|own| !Arc::ptr_eq(own, &session));
            self.server.end_session(&session, "goodbye");
        }
    }

    fn refuse(&self, invalid: &Invalid, now: Instant) {
        let why = Why { what: REFUSED, status: invalid.status.into(), reason: reason_of(invalid.status) };
        let asked = Some(invalid.context.as_str());
        self.server.teller.refuse(&Refused { asked, ..Refused::unheard(self.peer, why) }, now);
        self.server.counters.request(None, invalid.status);
        self.reply(Reply::new(invalid.status, invalid.cseq).date(clock::unix_now()));
        if invalid.consumed.is_none() {
            self.output.close_when_written();
        }
    }

    fn reply(&self, reply: Reply) {
        self.output.post(Post::Bytes(Bytes::from(reply.to_bytes())));
        Sink(self.output.clone()).pump(None);
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    fn new(shares: Option<Shares>, now: Instant) -> Self {
        Self {
            inbox: Inbox::default(),
            sessions: Vec::new(),
            last_sign: now,
            has_asked: false,
            alarm: None,
            holds_back: false,
            shares,
        }
    }

    /// Lets go of sessions that have ended, by whomever.
    pub fn forget_ended(&mut self) {
        self.sessions.retain(|session| !session.has_ended());
    }

    /// Whether the client's address may have us hold so much that is not read.
    fn may_hold(&mut self, unread: usize) -> bool {
        self.shares.as_mut().is_some_and(|shares| shares.unread.change(unread as u64))
    }
}

/// A turn that the account has given; the next one's begins as it goes.
struct Turn<'a>(&'a RtspConnection);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let Turn(RtspConnection { account, server, .. }) = self;
        if let Some(next) = account.turns.over() {
            server.poller.queue(Class::Control).push(Task::new("RtspTask", next));
        }
    }
}

impl PollEventConsumer for RtspConnection {
    fn create_task(self: Arc<Self>, _: Event) -> Option<Task> {
        self.waits.store(true, Relaxed);
        let account = self.account.clone();
        account.turns.ask(self).map(|connection| Task::new("RtspTask", connection))
    }

    fn close(self: Arc<Self>) {
        self.close_now(&mut self.state());
    }
}

impl Work for RtspConnection {
    fn run(self: Arc<Self>) {
        let _turn = Turn(&self);
        let mut state = self.state();
        self.waits.store(false, Relaxed); // with the state in hand, as the watch has it
        if self.closed.load(Relaxed) {
            return; // by the watch, after this task was queued: what the client still sent is nobody's
        }
        if !self.serve(&mut state, clock::now()) {
            return self.close_now(&mut state);
        }
        let unread = state.inbox.len() + self.output.unread_bytes();
        if !state.may_hold(unread) {
            return self.cut(&mut state, CutFor::UnreadBytes);
        }
        self.watch(&mut state);
        let interest = if state.holds_back { Interest::Write } else { Interest::Read };
        drop(state);
        if let Some(key) = self.key.get() {
            key.resume(interest);
        }
    }

    fn close(self: Arc<Self>) {
        PollEventConsumer::close(self);
    }
}
