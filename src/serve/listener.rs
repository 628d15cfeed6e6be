//! A Listener: accepts connections, up to the limits, and leads them through a door.
//!
//! Some descriptors are kept from connections, so that what serves can still open what it needs. Where other programs, or
//! we ourselves, have taken all, a spare one makes it possible to turn a client away instead of leaving it waiting.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use nix::errno::Errno;

use crate::event::{Class, Episode, Event, Interest, PollEventConsumer, PollKey, Task, Work, clock, lock};
use crate::net::{SpareDescriptor, descriptor_limit, in_turn, listen};

use super::access::Good;
use super::arrival::{Arrival, Door, Place};
use super::journal::{Refused, Why};
use super::rtsp::retry_after_s;
use super::rtsp_server::RtspServer;
use super::stats::{AcceptError, NotTaken, Transport};

/// Connections taken per task; a storm goes to the queue's tail after this many.
const ACCEPTS_PER_TASK: usize = 64;
/// Where not even a client can be turned away, accepting is tried again after this long.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// A socket that has failed as often in a row, for no reason that passes, is opened again.
const FAILURES: u32 = 4;
/// An address that can not be opened again for so long ends the program: whoever starts it anew is told why it fails.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(10);
/// Descriptors kept from connections, or a quarter of all: for port pairs, poll tables, groups and operators.
const RESERVE: u64 = 64;

/// One listening address.
pub struct Listener {
    server: Arc<RtspServer>,
    door: Arc<dyn Door>,
    address: SocketAddr,
    state: Mutex<State>,
    spare: SpareDescriptor,
    /// Descriptors from here on are not for connections.
    reserve_from: i64,
    troubles: Troubles,
}

#[derive(Default)]
struct State {
    /// Absent where it is to be opened again.
    open: Option<(Arc<TcpListener>, PollKey)>,
    /// How often in a row it has failed.
    failures: u32,
    closed_since: Option<Instant>,
    stopped: bool,
}

/// What goes on for a while and is said once.
#[derive(Default)]
struct Troubles {
    accepting: Episode,
    full: Episode,
    address: Episode,
    fault: Episode,
}

impl Listener {
    /// Accepts connections of the server on one more address.
    pub(super) fn open(
        server: Arc<RtspServer>,
        door: Arc<dyn Door>,
        socket: TcpListener,
    ) -> io::Result<Arc<Self>> {
        let address = socket.local_addr()?;
        let limit = descriptor_limit();
        let listener = Arc::new(Self {
            server,
            door,
            address,
            state: Mutex::default(),
            spare: SpareDescriptor::new(),
            reserve_from: i64::try_from(limit - RESERVE.min(limit / 4)).unwrap_or(i64::MAX),
            troubles: Troubles::default(),
        });
        listener.begin(socket)?;
        Ok(listener)
    }

    /// Accepts from a socket, unless it was stopped meanwhile.
    fn begin(self: &Arc<Self>, socket: TcpListener) -> io::Result<()> {
        let socket = Arc::new(socket);
        let mut state = self.state();
        if state.stopped {
            return Ok(());
        }
        let key = self.server.poller.register(Class::Control, socket.clone(), self.clone())?;
        let enabled = key.enable(Interest::Read);
        if enabled.is_err() {
            key.unregister();
            return enabled;
        }
        *state = State { open: Some((socket, key)), ..State::default() };
        Ok(())
    }

    /// Opens the address again, once what was open is closed. `false`: it can not be, yet.
    fn open_again(self: &Arc<Self>) -> bool {
        let now = clock::now();
        let mut state = self.state();
        if state.stopped {
            return true;
        }
        state.close();
        let since = *state.closed_since.get_or_insert(now);
        drop(state);
        match listen(self.address).and_then(|socket| self.begin(socket)) {
            Ok(()) => {
                tracing::warn!(address = %self.address, "a listening socket that failed was opened again");
                true
            }
            Err(error) => {
                if now.saturating_duration_since(since) >= GIVEN_UP_AFTER {
                    let address = self.address;
                    self.server
                        .poller
                        .vitals()
                        .give_up(format!("listener: {address} can not be opened again: {error}"));
                }
                false
            }
        }
    }

    /// Whether accepting will not get better by itself.
    fn is_lost(&self, error: &io::Error) -> bool {
        let mut state = self.state();
        state.failures = if reason_of(error) == AcceptError::Other { state.failures + 1 } else { 0 };
        state.open.is_none() || state.failures >= FAILURES
    }

    /// Where it listens, with the port that was chosen if any was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it is listened on: what failed is opened again, as soon as it can be.
    pub fn is_open(&self) -> bool {
        self.state().open.is_some()
    }

    /// Accepts no more.
    pub fn stop(&self) {
        let mut state = self.state();
        state.stopped = true;
        state.close();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// What it accepts from.
    ///
    /// # Errors
    /// There is none before it is opened again.
    pub fn socket(&self) -> io::Result<Arc<TcpListener>> {
        let state = self.state();
        state.open.as_ref().map(|(socket, _)| socket.clone()).ok_or(io::ErrorKind::NotConnected.into())
    }

    fn accept(&self) -> io::Result<()> {
        self.server.poller.vitals().may_fault("listener", String::new);
        let listening = self.socket()?;
        for _ in 0..ACCEPTS_PER_TASK {
            match in_turn(|| listening.accept()) {
                Ok((socket, peer)) => {
                    self.state().failures = 0;
                    self.welcome(socket, peer);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => self.handle(&listening, error)?,
            }
        }
        Ok(())
    }

    /// What does not keep the next connection from being accepted is handled.
    fn handle(&self, listening: &TcpListener, error: io::Error) -> io::Result<()> {
        let reason = reason_of(&error);
        self.server.counters.accept_failed(reason);
        match reason {
            AcceptError::Connection => Ok(()),
            AcceptError::Descriptors => {
                self.say_that_descriptors_run_out();
                let turned_away = self.spare.lend(|| {
                    let (socket, peer) = listening.accept()?;
                    self.turn_away(&socket, peer, NotTaken::Descriptors);
                    io::Result::Ok(())
                });
                turned_away.map_err(|_| error)
            }
            AcceptError::Memory | AcceptError::Other => {
                if self.troubles.accepting.begins(clock::now()) {
                    tracing::warn!(%error, "connections can not be accepted; it is tried again all along");
                }
                Err(error)
            }
        }
    }

    fn welcome(&self, socket: TcpStream, peer: SocketAddr) {
        let server = &self.server;
        if server.is_stopping() {
            return self.turn_away(&socket, peer, NotTaken::Stopping);
        }
        if i64::from(socket.as_raw_fd()) >= self.reserve_from {
            self.say_that_descriptors_run_out();
            return self.turn_away(&socket, peer, NotTaken::Descriptors);
        }
        if server.counters.all_connections() >= server.config().limits.connections {
            if self.troubles.full.begins(clock::now()) {
                tracing::warn!("connections are refused: limits.connections are there");
            }
            return self.turn_away(&socket, peer, NotTaken::Limit);
        }
        let account = server.addresses.account(peer.ip());
        let Ok(share) = account.take(Good::Connections, 1) else {
            if self.troubles.address.begins(clock::now()) {
                let address = peer.ip();
                tracing::warn!(%address, "an address is refused more connections: limits.connections_per_address are there");
            }
            return self.turn_away(&socket, peer, NotTaken::Address);
        };
        let socket = Arc::new(socket);
        let place = Place::new(share, server.counters.clone(), Transport::Tcp);
        let arrival = Arrival::new(socket.clone(), peer, account, place);
        if let Err(error) = arrival.and_then(|arrival| self.door.lead_in(arrival)) {
            if self.troubles.fault.begins(clock::now()) {
                tracing::warn!(%peer, %error, "a connection could not be taken on");
            }
            self.turn_away(&socket, peer, NotTaken::Fault);
        }
    }

    /// Says that it is not taken on, if that can be said without waiting; it is closed as it goes.
    fn turn_away(&self, mut socket: &TcpStream, peer: SocketAddr, reason: NotTaken) {
        self.server.counters.connection_refused(reason);
        let why = Why { what: "connection refused", status: 503, reason: reason.label() };
        self.server.teller.refuse(&Refused::unheard(peer, why), clock::now());
        let retry_after_s = retry_after_s(peer.port()).to_string();
        let reply = self.door.turned_away(&retry_after_s, clock::unix_now());
        let _ = socket.set_nonblocking(true).and_then(|()| socket.write_all(&reply));
    }

    fn say_that_descriptors_run_out(&self) {
        if self.troubles.accepting.begins(clock::now()) {
            tracing::warn!("connections are refused: descriptors run out (raise LimitNOFILE, or ulimit -n)");
        }
    }

    fn resume(&self) {
        if let Some((_, key)) = &self.state().open {
            key.resume(Interest::Read);
        }
    }
}

impl PollEventConsumer for Listener {
    fn create_task(self: Arc<Self>, _: Event) -> Option<Task> {
        Some(Task::new("Accept", self))
    }

    fn close(self: Arc<Self>) {
        self.resume();
    }
}

impl Work for Listener {
    fn run(self: Arc<Self>) {
        match self.accept() {
            Ok(()) => self.resume(),
            Err(error) if self.is_lost(&error) && self.open_again() => {}
            Err(_) => {
                let again = Task::new("Accept", self.clone()); // a stop of the timers lets go of it
                self.server.timers.at(clock::now() + RETRY_AFTER, again);
            }
        }
    }

    fn close(self: Arc<Self>) {
        self.server.poller.vitals().fault("listener");
        self.resume();
    }
}

impl State {
    fn close(&mut self) {
        if let Some((_, key)) = self.open.take() {
            key.unregister();
        }
    }
}

pub(super) fn reason_of(error: &io::Error) -> AcceptError {
    match error.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw) {
        Errno::EMFILE | Errno::ENFILE => AcceptError::Descriptors,
        Errno::ENOBUFS | Errno::ENOMEM => AcceptError::Memory,
        // Errors that wait on the new connection are told by accept(2) on Linux.
        Errno::ECONNABORTED
        | Errno::ECONNRESET
        | Errno::EINTR
        | Errno::EPERM
        | Errno::EPROTO
        | Errno::ETIMEDOUT
        | Errno::ENETDOWN
        | Errno::ENETUNREACH
        | Errno::EHOSTDOWN
        | Errno::EHOSTUNREACH
        | Errno::ENOPROTOOPT
        | Errno::EOPNOTSUPP
        | Errno::ENONET => AcceptError::Connection,
        _ => AcceptError::Other,
    }
}
