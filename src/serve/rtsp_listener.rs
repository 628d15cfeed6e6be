//! The RtspListener: accepts connections, up to the limit.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::event::{Class, Event, Interest, PollEventConsumer, PollKey, Task, Work, clock};
use crate::net::listen;

use super::rtsp_connection::RtspConnection;
use super::rtsp_server::RtspServer;

/// Connections taken per task; a storm goes to the queue's tail after this many.
const ACCEPTS_PER_TASK: usize = 64;
/// With no descriptors left, accepting is tried again after this long.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// One listening address.
pub struct RtspListener {
    server: Arc<RtspServer>,
    socket: Arc<TcpListener>,
    address: SocketAddr,
    key: OnceLock<PollKey>,
}

impl RtspListener {
    pub(super) fn open(server: Arc<RtspServer>, address: SocketAddr) -> io::Result<Arc<Self>> {
        let socket = Arc::new(listen(address)?);
        let address = socket.local_addr()?;
        let listener = Arc::new(Self { server, socket: socket.clone(), address, key: OnceLock::new() });
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
        self.server.poller.vitals().may_fault("listener");
        for _ in 0..ACCEPTS_PER_TASK {
            match self.socket.accept() {
                Ok((socket, peer)) => self.welcome(socket, peer),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn welcome(&self, socket: TcpStream, peer: SocketAddr) {
        let counters = &self.server.counters;
        if counters.connections.load(Relaxed) >= self.server.config.limits.connections
            || self.server.is_stopping()
        {
            counters.connections_refused.fetch_add(1, Relaxed);
            return;
        }
        if let Err(error) = RtspConnection::open(self.server.clone(), socket, peer) {
            counters.connections_refused.fetch_add(1, Relaxed);
            tracing::warn!(%peer, %error, "a connection could not be taken on");
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
            Err(error) => {
                tracing::warn!(%error, "accepting failed; trying again soon (see LimitNOFILE, ulimit -n)");
                let again = Task::new("Accept", self.clone()); // a stop of the timers lets go of it
                self.server.timers.at(clock::now() + RETRY_AFTER, again);
            }
        }
    }

    fn close(self: Arc<Self>) {
        PollEventConsumer::close(self);
    }
}

/// Errors of accept(2) that belong to the connection that was about to be taken.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionReset, Interrupted, NetworkUnreachable, PermissionDenied, TimedOut,
    };
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | Interrupted | NetworkUnreachable | PermissionDenied | TimedOut
    )
}
