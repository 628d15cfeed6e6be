//! The RtspConnection: one client's TCP connection. It reads for a conversation, and carries out what comes of it.

use std::cell::RefCell;
use std::io::{self, Read};
use std::mem;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use socket2::SockRef;

use crate::event::{Alarm, Class, Event, Interest, PollEventConsumer, PollKey, Task, Work, clock, lock};
use crate::net::notice_vanishing;
use crate::relay::StreamSink;
use crate::wire::rtsp::Reply;

use super::access::{Account, Good, Share};
use super::journal::{REFUSED, Refused, Why};
use super::rtsp::{Action, Conversation, Home, MESSAGE_TIMEOUT, READ_BYTES, Session};
use super::rtsp_server::RtspServer;
use super::session_watch::SessionWatch;
use super::stats::CutFor;
use super::stream::{Output, Post, Sink};

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
    /// The same, as sessions know it.
    home: Arc<Home>,
    socket: Arc<TcpStream>,
    key: OnceLock<PollKey>,
    /// Locked only by the task, of which there is one at a time, and the watch.
    state: Mutex<State>,
    closed: AtomicBool,
    /// Something has come and waits for a turn, or for a worker: until it is read the client is not to blame.
    waits: AtomicBool,
}

/// What the running task knows of the client.
struct State {
    conversation: Conversation,
    /// When the [`ConnectionWatch`] looks.
    alarm: Option<Alarm>,
    /// What has come is not all answered: the client has to read first, or others have their turn.
    holds_back: bool,
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
        let home = Home::of(output.clone());
        let unread = account.take(Good::UnreadBytes, 0);
        let shares = unread.map(|unread| Shares { _connection: place, unread });
        let connection = Arc::new(Self {
            server,
            peer,
            local,
            account,
            output,
            home: home.clone(),
            socket: socket.clone(),
            key: OnceLock::new(),
            state: Mutex::new(State {
                conversation: Conversation::new(home, clock::now()),
                alarm: None,
                holds_back: false,
                shares,
            }),
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
    fn cut(&self, state: &mut State, reason: CutFor) {
        self.server.counters.connection_cut(reason);
        self.end(state, Closed::Cut(reason));
    }

    fn tell_of_cut(&self, reason: CutFor) {
        let why = Why { what: "connection closed", status: 0, reason: reason.label() };
        self.server.teller.refuse(&Refused::unheard(self.peer, why), clock::now());
    }

    /// Ends the connection and its sessions, once.
    fn close_now(&self, state: &mut State) {
        self.end(state, Closed::Here);
    }

    fn end(&self, state: &mut State, closed: Closed) {
        if self.closed.swap(true, Relaxed) {
            return;
        }
        if let Some(key) = self.key.get() {
            key.unregister();
        }
        state.alarm = None;
        let closed = match closed {
            Closed::ByClient | Closed::Here if self.output.reads_nothing.load(Relaxed) => {
                Closed::Cut(CutFor::UnreadReplies)
            }
            closed => closed,
        };
        if let Closed::Cut(reason) = closed {
            self.tell_of_cut(reason);
        }
        let sessions = state.conversation.end();
        sessions.iter().for_each(|session| self.part_from(session, closed));
        state.shares = None;
        self.output.cut_off();
        self.server.counters.connections.fetch_sub(1, Relaxed);
    }

    /// Of what happens to the connection only that its client closes it is no end of a session over UDP, for a while.
    fn part_from(&self, session: &Arc<Session>, closed: Closed) {
        let (server, now) = (&self.server, clock::now());
        let has_grace = closed == Closed::ByClient && !server.config.close_grace.is_zero();
        if has_grace && session.leave(&self.home, now) {
            SessionWatch::await_return(server, session, now);
        } else if session.belongs_to(&self.home) {
            server.sessions.end(session, "connection closed", now);
        }
    }

    /// Reads what is there and answers it. `false`: the client is gone.
    fn serve(self: &Arc<Self>, state: &mut State, now: Instant) -> bool {
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
                        state.conversation.add(&scratch[..count]);
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
    fn answer_all(self: &Arc<Self>, state: &mut State, left: &mut usize, now: Instant) {
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
        state.conversation.settle(now);
        if state.holds_back {
            state.conversation.excuse();
        }
    }

    fn carry_out(self: &Arc<Self>, action: Action, now: Instant) {
        let server = &self.server;
        match action {
            Action::Reply { reply, method, status } => {
                server.counters.request(method.as_ref(), status);
                self.reply(reply);
            }
            Action::Refused(refused) => {
                let why = Why { what: REFUSED, status: refused.status.into(), reason: refused.reason };
                let (method, asked) = (refused.method.as_deref(), refused.asked.as_deref());
                let agent = refused.agent.as_deref();
                server.teller.refuse(&Refused { client: self.peer, why, method, asked, agent }, now);
            }
            Action::Watch(session) => SessionWatch::start(server, &session, now),
            Action::Start { session, plan, agent } => session.play(&plan, agent.as_deref(), now),
            Action::ChangeOver(session) => session.change_over(now),
            Action::Pause(session) => session.pause(),
            Action::TearDown(session, track) => session.tear_down(track),
            Action::End(session, reason) => drop(server.sessions.end(&session, reason, now)),
            Action::HangUp(reason) => {
                if let Some(reason) = reason {
                    server.counters.connection_cut(reason);
                    self.tell_of_cut(reason);
                }
                self.output.close_when_written();
            }
        }
    }

    fn reply(&self, reply: Reply) {
        let reply = reply.date(clock::unix_now());
        self.output.post(Post::Bytes(Bytes::from(reply.to_bytes())));
        Sink(self.output.clone()).pump(None);
    }

    /// Has the watch look when the time is up, unless it looks before that already.
    fn watch(self: &Arc<Self>, state: &mut State) {
        let (at, _) = self.time_is_up(state);
        if state.alarm.as_ref().is_none_or(|alarm| alarm.due() > at) {
            self.watch_at(state, at);
        }
    }

    fn watch_at(self: &Arc<Self>, state: &mut State, at: Instant) {
        let watch = Task::new("ConnectionWatch", Arc::new(ConnectionWatch(Arc::downgrade(self))));
        state.alarm = Some(self.server.timers.alarm(at, watch));
    }

    /// Whether something has come that we have not got round to.
    fn waits_for_us(&self, state: &State) -> bool {
        let has_come = || self.socket.peek(&mut [0]).is_ok_and(|bytes| bytes > 0);
        self.waits.load(Relaxed) || (!state.holds_back && has_come())
    }

    fn message_timeout(&self) -> Duration {
        MESSAGE_TIMEOUT.min(self.server.config.session_timeout)
    }

    /// When the connection is to be closed if nothing changes, and why.
    fn time_is_up(&self, state: &State) -> (Instant, CutFor) {
        state.conversation.time_is_up(self.message_timeout(), self.server.config.session_timeout)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
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
            return self.end(&mut state, Closed::ByClient);
        }
        let unread = state.conversation.unread() + self.output.unread_bytes();
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

/// The timer of a connection: closes one that never asked for anything, that does not finish what it began to ask, or that
/// neither asks nor holds a session.
struct ConnectionWatch(Weak<RtspConnection>);

impl Work for ConnectionWatch {
    fn run(self: Arc<Self>) {
        let Some(connection) = self.0.upgrade() else { return };
        connection.server.poller.vitals().may_fault("connection watch", || connection.peer.to_string());
        let now = clock::now();
        let mut state = connection.state();
        if connection.closed.load(Relaxed) {
            return;
        }
        state.alarm = None;
        state.conversation.lives_by_sessions(now);
        let (at, reason) = connection.time_is_up(&state);
        if at > now {
            connection.watch_at(&mut state, at);
        } else if connection.waits_for_us(&state) {
            connection.watch_at(&mut state, now + connection.message_timeout()); // the delay is ours
        } else {
            connection.cut(&mut state, reason);
        }
    }

    /// Nobody would watch over the connection any more.
    fn close(self: Arc<Self>) {
        if let Some(connection) = self.0.upgrade() {
            connection.close_now(&mut connection.state());
        }
    }
}
