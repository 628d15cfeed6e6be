//! The RtspConnection: one client's TCP connection, and RtspTask, which reads and answers in order.

use std::cell::RefCell;
use std::io::{self, Read};
use std::mem;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};
use std::time::Instant;

use bytes::Bytes;
use socket2::SockRef;

use crate::event::{Class, Event, Interest, PollEventConsumer, PollKey, Task, TimerId, Work, clock, lock};
use crate::net::notice_vanishing;
use crate::relay::StreamSink;
use crate::wire::rtsp::{self, Incoming, Invalid, Reply};

use super::output::{Output, Sink};
use super::requests::{self, Then};
use super::rtsp_server::RtspServer;
use super::session::Session;
use super::writer::Post;

/// Bytes per read.
const READ_BYTES: usize = 16 << 10;
/// Reads per task: a client that floods goes to the queue's tail after this many.
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
    pub output: Arc<Output>,
    socket: Arc<TcpStream>,
    key: OnceLock<PollKey>,
    /// Locked only by the task, of which there is one at a time.
    state: Mutex<State>,
    closed: AtomicBool,
}

/// What the running task knows of the client.
pub(super) struct State {
    unread: Vec<u8>,
    /// Sessions end with the connection that set them up.
    pub sessions: Vec<Arc<Session>>,
    last_sign: Instant,
    /// The timer of the [`IdleWatch`].
    idle_watch: Option<TimerId>,
    /// After a message whose end is unknown, nothing more can be read.
    deaf: bool,
}

impl RtspConnection {
    /// Takes a fresh connection on.
    pub fn open(server: Arc<RtspServer>, socket: TcpStream, peer: SocketAddr) -> io::Result<()> {
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        SockRef::from(&socket).set_tcp_notsent_lowat(UNSENT_BYTES)?;
        notice_vanishing(&socket)?;
        let local = socket.local_addr()?;
        let socket = Arc::new(socket);
        let output = Output::new(socket.clone(), server.poller.clone());
        let state = State::new(clock::now());
        let connection = Arc::new(Self {
            server,
            peer,
            local,
            output,
            socket: socket.clone(),
            key: OnceLock::new(),
            state: Mutex::new(state),
            closed: AtomicBool::new(false),
        });
        let server = &connection.server;
        let key = server.poller.register(Class::Control, socket, connection.clone())?;
        server.counters.connections.fetch_add(1, Relaxed);
        let watch = Arc::new(IdleWatch(Arc::downgrade(&connection)));
        watch.wait(&connection, &mut connection.state());
        let polled = connection.key.get_or_init(|| key).enable(Interest::Read);
        polled.inspect_err(|_| connection.close_now(&mut connection.state()))
    }

    /// Ends the connection and its sessions, once.
    fn close_now(&self, state: &mut State) {
        if self.closed.swap(true, Relaxed) {
            return;
        }
        if let Some(key) = self.key.get() {
            key.unregister();
        }
        if let Some(timer) = state.idle_watch.take() {
            self.server.timers.cancel(timer);
        }
        for session in state.sessions.drain(..) {
            self.server.end_session(&session, "connection closed");
        }
        self.output.cut_off();
        self.server.counters.connections.fetch_sub(1, Relaxed);
    }

    /// Reads what is there and answers it. `false`: the client is gone.
    fn serve(&self, state: &mut State) -> bool {
        SCRATCH.with_borrow_mut(|scratch| {
            for _ in 0..READS_PER_TASK {
                match (&*self.socket).read(scratch) {
                    Ok(0) => return false,
                    Ok(count) => {
                        if !state.deaf {
                            state.unread.extend_from_slice(&scratch[..count]);
                            self.answer_all(state);
                        }
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

    fn answer_all(&self, state: &mut State) {
        let now = clock::now();
        state.last_sign = now;
        let unread = mem::take(&mut state.unread);
        let mut rest = unread.as_slice();
        while !state.deaf {
            match rtsp::framing::next(rest) {
                Ok(None) => break,
                Ok(Some((incoming, length))) => {
                    self.take(state, incoming, rest, now);
                    rest = &rest[length..];
                }
                Err(invalid) => rest = self.refuse(state, &invalid, rest),
            }
        }
        // A client that asks for nothing more holds no buffer.
        state.unread = if state.deaf { Vec::new() } else { rest.to_vec() };
    }

    fn take(&self, state: &mut State, incoming: Incoming, bytes: &[u8], now: Instant) {
        match incoming {
            Incoming::Request(request) => {
                let answer = requests::answer(self, state, &request, now);
                self.server.counters.request(Some(&request.method), answer.status);
                self.reply(answer.reply);
                match answer.then {
                    Then::Nothing => {}
                    Then::Play(session, plan) => session.play(&plan, now),
                }
            }
            Incoming::Interleaved { channel, payload } => self.hear(state, channel, &bytes[payload], now),
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

    fn refuse<'a>(&self, state: &mut State, invalid: &Invalid, bytes: &'a [u8]) -> &'a [u8] {
        tracing::debug!(peer = %self.peer, status = u16::from(invalid.status), "refused: {invalid}");
        self.server.counters.request(None, invalid.status);
        self.reply(Reply::new(invalid.status, invalid.cseq));
        match invalid.consumed {
            Some(length) => &bytes[length..],
            None => {
                state.deaf = true;
                self.output.post(Post::Hangup);
                Sink(self.output.clone()).pump(None);
                &[]
            }
        }
    }

    fn reply(&self, reply: Reply) {
        self.output.post(Post::Bytes(Bytes::from(reply.to_bytes())));
        Sink(self.output.clone()).pump(None);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    fn new(now: Instant) -> Self {
        let (unread, sessions) = (Vec::new(), Vec::new());
        Self { unread, sessions, last_sign: now, idle_watch: None, deaf: false }
    }
}

impl PollEventConsumer for RtspConnection {
    fn create_task(self: Arc<Self>, _: Event) -> Option<Task> {
        Some(Task::new("RtspTask", self))
    }

    fn close(self: Arc<Self>) {
        self.close_now(&mut self.state());
    }
}

impl Work for RtspConnection {
    fn run(self: Arc<Self>) {
        let mut state = self.state();
        if self.closed.load(Relaxed) {
            return; // by the watch, after this task was queued: what the client still sent is nobody's
        }
        if !self.serve(&mut state) {
            return self.close_now(&mut state);
        }
        drop(state);
        if let Some(key) = self.key.get() {
            key.resume(Interest::Read);
        }
    }

    fn close(self: Arc<Self>) {
        PollEventConsumer::close(self);
    }
}

/// Closes a connection that neither asks for anything nor holds a session.
struct IdleWatch(Weak<RtspConnection>);

impl IdleWatch {
    fn wait(self: Arc<Self>, connection: &RtspConnection, state: &mut State) {
        let server = &connection.server;
        let at = state.last_sign + server.config.session_timeout;
        state.idle_watch = Some(server.timers.at(at, Task::new("IdleWatch", self)));
    }
}

impl Work for IdleWatch {
    fn run(self: Arc<Self>) {
        let Some(connection) = self.0.upgrade() else { return };
        let now = clock::now();
        let timeout = connection.server.config.session_timeout;
        let mut state = connection.state();
        if connection.closed.load(Relaxed) {
            return;
        }
        state.sessions.retain(|session| connection.server.sessions.find(&session.id).is_some());
        if !state.sessions.is_empty() {
            state.last_sign = now;
        }
        if state.last_sign + timeout <= now {
            tracing::debug!(peer = %connection.peer, "an idle connection is closed");
            connection.close_now(&mut state);
        } else {
            self.clone().wait(&connection, &mut state);
        }
    }

    /// Nobody would watch over the connection any more.
    fn close(self: Arc<Self>) {
        if let Some(connection) = self.0.upgrade() {
            connection.close_now(&mut connection.state());
        }
    }
}
