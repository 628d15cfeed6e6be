//! A shared UDP socket that sends: back-pressure on it wakes the lanes that wait, and nobody else.

use std::io;
use std::mem;
use std::net::UdpSocket;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use crate::event::{Class, Event, Interest, PollEventConsumer, PollKey, Poller, Task, Work, lock};

use crate::net::segments;

use super::lane::Lane;

/// One of a server port pair's sockets. Reading from it is someone else's: here it is written to.
pub struct ServerSocket {
    socket: UdpSocket,
    segments: bool,
    /// A duplicate, so that room to write is polled apart from packets to read.
    writable: OwnedFd,
    key: OnceLock<PollKey>,
    /// Absent once the socket is out of the Poller: nobody would wake them.
    waiting: Mutex<Option<Vec<Arc<Lane>>>>,
}

impl ServerSocket {
    /// Registers the socket; it is polled for room only while a lane waits.
    pub fn register(socket: UdpSocket, poller: &Poller) -> io::Result<Arc<Self>> {
        let writable = socket.as_fd().try_clone_to_owned()?;
        let (waiting, segments) = (Mutex::new(Some(Vec::new())), segments(&socket));
        let server = Arc::new(Self { socket, segments, writable, key: OnceLock::new(), waiting });
        let key = poller.register(Class::Media, Arc::new(Writable(server.clone())), server.clone())?;
        server.key.get_or_init(|| key);
        Ok(server)
    }

    /// Whether the kernel segments what is sent here.
    pub(super) fn segments(&self) -> bool {
        self.segments
    }

    /// The socket itself.
    pub fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// Runs the parked `lane` once the socket has room again. A socket that is polled no more never has:
    /// the lane is closed.
    pub(super) fn wake_when_writable(&self, lane: Arc<Lane>) {
        match &mut *self.waiting() {
            Some(waiting) => waiting.push(lane),
            None => return Work::close(lane),
        }
        if let Some(key) = self.key.get() {
            key.resume(Interest::Write);
        }
    }

    /// Takes the socket out of the Poller. Lanes that wait for room, now or later, are closed.
    pub fn unregister(&self) {
        if let Some(key) = self.key.get() {
            key.unregister();
        }
        let waiting = self.waiting().take();
        waiting.into_iter().flatten().for_each(Work::close);
    }

    fn waiting(&self) -> MutexGuard<'_, Option<Vec<Arc<Lane>>>> {
        lock(&self.waiting)
    }
}

impl PollEventConsumer for ServerSocket {
    /// The descriptor stays suspended until the next lane waits: a socket with room is no event.
    fn create_task(self: Arc<Self>, _: Event) -> Option<Task> {
        Some(Task::new("WakeLanes", self))
    }

    fn close(self: Arc<Self>) {
        tracing::error!("a server socket is closed after a fault; sessions that wait for it are ended");
        self.unregister();
    }
}

impl Work for ServerSocket {
    fn run(self: Arc<Self>) {
        let lanes = self.waiting().as_mut().map(mem::take).unwrap_or_default();
        lanes.iter().for_each(Lane::unblocked);
    }

    fn close(self: Arc<Self>) {
        PollEventConsumer::close(self);
    }
}

struct Writable(Arc<ServerSocket>);

impl AsFd for Writable {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.writable.as_fd()
    }
}
