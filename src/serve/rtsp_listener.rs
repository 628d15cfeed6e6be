//! The RtspListener: accepts connections, up to the limits.
//!
//! Some descriptors are kept from connections, so that what serves can still open what it needs. Where other programs, or
//! we ourselves, have taken all, a spare one makes it possible to turn a client away instead of leaving it waiting.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use nix::errno::Errno;

use crate::event::{Class, Episode, Event, Interest, PollEventConsumer, PollKey, Task, Work, clock};
use crate::net::{SpareDescriptor, descriptor_limit, listen};
use crate::wire::rtsp::{Reply, StatusCode};

use super::addresses::Good;
use super::admission::retry_after_s;
use super::rtsp_connection::RtspConnection;
use super::rtsp_server::RtspServer;
use super::stats::{AcceptError, NotTaken};

/// Connections taken per task; a storm goes to the queue's tail after this many.
const ACCEPTS_PER_TASK: usize = 64;
/// Where not even a client can be turned away, accepting is tried again after this long.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// Descriptors kept from connections, or a quarter of all: for port pairs, poll tables, groups and operators.
const RESERVE: u64 = 64;

/// One listening address.
pub struct RtspListener {
    server: Arc<RtspServer>,
    socket: Arc<TcpListener>,
    address: SocketAddr,
    key: OnceLock<PollKey>,
    spare: SpareDescriptor,
    /// Descriptors from here on are not for connections.
    reserve_from: i64,
    troubles: Troubles,
}

/// What goes on for a while and is said once.
#[derive(Default)]
struct Troubles {
    accepting: Episode,
    full: Episode,
    address: Episode,
    fault: Episode,
}

impl RtspListener {
    pub(super) fn open(server: Arc<RtspServer>, address: SocketAddr) -> io::Result<Arc<Self>> {
        let socket = Arc::new(listen(address)?);
        let address = socket.local_addr()?;
        let limit = descriptor_limit();
        let listener = Arc::new(Self {
            server,
            socket: socket.clone(),
            address,
            key: OnceLock::new(),
            spare: SpareDescriptor::new(),
            reserve_from: i64::try_from(limit - RESERVE.min(limit / 4)).unwrap_or(i64::MAX),
            troubles: Troubles::default(),
        });
        let key = listener.server.poller.register(Class::Control, socket, listener.clone())?;
        listener.key.get_or_init(|| key).enable(Interest::Read)?;
        Ok(listener)
    }

    /// Where it listens, with the port that was chosen if any was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts no more.
    pub fn stop(&self) {
        if let Some(key) = self.key.get() {
            key.unregister();
        }
    }

    fn accept(&self) -> io::Result<()> {
        self.server.poller.vitals().may_fault("listener", String::new);
        for _ in 0..ACCEPTS_PER_TASK {
            match self.socket.accept() {
                Ok((socket, peer)) => self.welcome(socket, peer),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => self.handle(error)?,
            }
        }
        Ok(())
    }

    /// What does not keep the next connection from being accepted is handled.
    fn handle(&self, error: io::Error) -> io::Result<()> {
        let reason = reason_of(&error);
        self.server.counters.accept_failed(reason);
        match reason {
            AcceptError::Connection => Ok(()),
            AcceptError::Descriptors => {
                self.say_that_descriptors_run_out();
                let turned_away = self.spare.lend(|| {
                    let (socket, peer) = self.socket.accept()?;
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
        if server.counters.connections.load(Relaxed) >= server.config.limits.connections {
            if self.troubles.full.begins(clock::now()) {
                tracing::warn!("connections are refused: limits.connections are there");
            }
            return self.turn_away(&socket, peer, NotTaken::Limit);
        }
        let account = server.addresses.account(peer.ip());
        let Some(place) = account.take(Good::Connections, 1) else {
            if self.troubles.address.begins(clock::now()) {
                let address = peer.ip();
                tracing::warn!(%address, "an address is refused more connections: limits.connections_per_address are there");
            }
            return self.turn_away(&socket, peer, NotTaken::Address);
        };
        let socket = Arc::new(socket);
        if let Err(error) = RtspConnection::open(server.clone(), socket.clone(), peer, (account, place)) {
            if self.troubles.fault.begins(clock::now()) {
                tracing::warn!(%peer, %error, "a connection could not be taken on");
            }
            self.turn_away(&socket, peer, NotTaken::Fault);
        }
    }

    /// Says that it is not taken on, if that can be said without waiting; it is closed as it goes.
    fn turn_away(&self, mut socket: &TcpStream, peer: SocketAddr, reason: NotTaken) {
        self.server.counters.connection_refused(reason);
        let reply = Reply::new(StatusCode::ServiceUnavailable, None);
        let reply = reply.header("Retry-After", &retry_after_s(peer.port()).to_string());
        let _ = socket.set_nonblocking(true).and_then(|()| socket.write_all(&reply.to_bytes()));
    }

    fn say_that_descriptors_run_out(&self) {
        if self.troubles.accepting.begins(clock::now()) {
            tracing::warn!("connections are refused: descriptors run out (raise LimitNOFILE, or ulimit -n)");
        }
    }

    fn resume(&self) {
        if let Some(key) = self.key.get() {
            key.resume(Interest::Read);
        }
    }
}

impl PollEventConsumer for RtspListener {
    fn create_task(self: Arc<Self>, _: Event) -> Option<Task> {
        Some(Task::new("Accept", self))
    }

    fn close(self: Arc<Self>) {
        self.server.poller.vitals().fault("listener");
        self.resume();
    }
}

impl Work for RtspListener {
    fn run(self: Arc<Self>) {
        match self.accept() {
            Ok(()) => self.resume(),
            Err(_) => {
                let again = Task::new("Accept", self.clone()); // a stop of the timers lets go of it
                self.server.timers.at(clock::now() + RETRY_AFTER, again);
            }
        }
    }

    fn close(self: Arc<Self>) {
        PollEventConsumer::close(self);
    }
}

fn reason_of(error: &io::Error) -> AcceptError {
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
