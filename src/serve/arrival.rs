//! A client that was let in: its connection, who it is, and what it takes of what there may be. Knows not what it speaks.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::event::{Class, Poller, Task, Work};

use super::access::{Account, Share};
use super::stats::{Counters, Transport};
use super::stream::ByteStream;

pub(super) struct Arrival {
    pub stream: ByteStream,
    pub peer: SocketAddr,
    /// What the client's address holds.
    pub account: Arc<Account>,
    pub place: Place,
}

/// A place among the connections of an address, and of all. Given back as it goes.
pub(super) struct Place {
    _share: Share,
    counters: Arc<Counters>,
    transport: Transport,
}

/// A turn that the account has given; the next one's begins as it goes.
pub(super) struct Turn<'a> {
    pub account: &'a Account,
    pub poller: &'a Poller,
}

/// Someone who is led in.
pub(super) trait Door: Send + Sync {
    /// Has the client served by what it came for.
    fn lead_in(&self, arrival: Arrival) -> io::Result<()>;

    /// What a client is told that is not let in.
    fn turned_away(&self, retry_after_s: &str, since_1970: Duration) -> Vec<u8>;
}

impl Arrival {
    /// Sets a fresh connection up.
    pub fn new(
        socket: Arc<TcpStream>,
        peer: SocketAddr,
        account: Arc<Account>,
        place: Place,
    ) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self { stream: ByteStream::Plain(socket), peer, account, place })
    }
}

impl Place {
    pub fn new(share: Share, counters: Arc<Counters>, transport: Transport) -> Self {
        counters.connections[transport as usize].fetch_add(1, Relaxed);
        Self { _share: share, counters, transport }
    }

    /// It is known what the client speaks.
    pub fn carries(&mut self, transport: Transport) {
        self.counters.connections[transport as usize].fetch_add(1, Relaxed);
        self.counters.connections[self.transport as usize].fetch_sub(1, Relaxed);
        self.transport = transport;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.counters.connections[self.transport as usize].fetch_sub(1, Relaxed);
    }
}

/// Asks for a turn of a client's address. `None`: the work has it when others are done.
pub(super) fn ask_for_turn(account: &Account, work: Arc<dyn Work>) -> Option<Task> {
    account.turns.ask(work).map(|work| Task::new("RtspTask", work))
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(next) = self.account.turns.over() {
            self.poller.queue(Class::Control).push(Task::new("RtspTask", next));
        }
    }
}
