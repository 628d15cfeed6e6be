//! A shared UDP socket that sends: back-pressure on it wakes the lanes that wait, and nobody else.

use std::io;
use std::net::UdpSocket;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use crate::event::{Class, Event, Interest, PollEventConsumer, PollKey, Poller, Task, Work};

use super::lane::Lane;

/// One of a server port pair's sockets. Reading from it is someone else's: here it is written to.
pub struct ServerSocket {
    socket: UdpSocket,
    /// A duplicate, so that room to write is polled apart from packets to read.
    writable: OwnedFd,
    key: OnceLock<PollKey>,
    waiting: Mutex<Vec<Arc<Lane>>>,
}

impl ServerSocket {
    /// Registers the socket; it is polled for room only while a lane waits.
    pub fn register(socket: UdpSocket, poller: &Poller) -> io::Result<Arc<Self>> {
        let writable = socket.as_fd().try_clone_to_owned()?;
        let server = Arc::new(Self { socket, writable, key: OnceLock::new(), waiting: Mutex::default() });
        let key = poller.register(Class::Media, Arc::new(Writable(server.clone())), server.clone())?;
        server.key.get_or_init(|| key);
        Ok(server)
    }

    /// The socket itself.
    pub fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// Kicks `lane` once the socket has room again.
    pub(super) fn wake_when_writable(&self, lane: Arc<Lane>) {
        self.waiting().push(lane);
        if let Some(key) = self.key.get() {
            key.resume(Interest::Write);
        }
    }

    /// Takes the socket out of the Poller.
    pub fn unregister(&self) {
        if let Some(key) = self.key.get() {
            key.unregister();
        }
        drop(std::mem::take(&mut *self.waiting()));
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Arc<Lane>>> {
        self.waiting.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl PollEventConsumer for ServerSocket {
    /// The descriptor stays suspended until the next lane waits: a socket with room is no event.
    fn create_task(self: Arc<Self>, _: Event) -> Option<Task> {
        Some(Task::new("WakeLanes", self))
    }

    fn close(self: Arc<Self>) {
        self.waiting().clear();
    }
}

impl Work for ServerSocket {
    fn run(self: Arc<Self>) {
        let lanes = std::mem::take(&mut *self.waiting());
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
