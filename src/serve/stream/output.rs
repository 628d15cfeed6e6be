//! Everything that leaves by one RTSP connection: replies and interleaved packets, whole and in order.
//!
//! Whoever has something due calls `pump`. One at a time writes ([`RunState`]); another that comes
//! meanwhile leaves it to the one who writes. A connection that takes no more waits in the Poller, and
//! costs the lanes nothing but a look at a flag.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};

use crate::event::{Class, Event, Interest, PollEventConsumer, PollKey, Poller, RunState, Task, Work, lock};
use crate::net::{Progress, allow_pauses, mark_connection, progress};
use crate::relay::{Batch, StreamSink};

use super::super::stats::{Counters, CutFor};
use super::bounds::{CUT_OFF_BYTES, HELD_BACK_BYTES, Room};
use super::byte_stream::ByteStream;
use super::writer::{Post, Posted, Writer};

/// The write side of one connection.
pub struct Output {
    stream: ByteStream,
    poller: Arc<Poller>,
    counters: Arc<Counters>,
    state: RunState,
    /// Locked only by the one who writes, so never waited for.
    writer: Mutex<Writer>,
    posted: Posted,
    /// The socket is full; only the Poller's word changes that.
    full: AtomicBool,
    dead: AtomicBool,
    /// Its packets say what class they are of.
    is_marked: AtomicBool,
    /// The client has left too much of our replies unread.
    pub reads_nothing: AtomicBool,
    writable: OnceLock<PollKey>,
    /// What is done once the client has read enough, and whether there is something.
    when_read: Mutex<Option<Box<dyn FnOnce() + Send>>>,
    is_waited_for: AtomicBool,
    /// For what the client sets up.
    pub room: Room,
}

impl Output {
    pub fn new(stream: ByteStream, poller: Arc<Poller>, counters: Arc<Counters>) -> Arc<Self> {
        Arc::new(Self {
            stream,
            poller,
            counters,
            state: RunState::default(),
            writer: Mutex::default(),
            posted: Posted::default(),
            full: AtomicBool::new(false),
            dead: AtomicBool::new(false),
            is_marked: AtomicBool::new(false),
            reads_nothing: AtomicBool::new(false),
            writable: OnceLock::new(),
            when_read: Mutex::default(),
            is_waited_for: AtomicBool::new(false),
            room: Room::default(),
        })
    }

    /// Posts something; [`pump`](StreamSink::pump) writes it. A client that leaves too much unread is cut off.
    pub fn post(&self, post: Post) {
        let limit = if matches!(post, Post::Hangup) { usize::MAX } else { CUT_OFF_BYTES };
        if !self.is_dead() && !self.posted.add(post, limit) {
            self.counters.connection_cut(CutFor::UnreadReplies);
            self.reads_nothing.store(true, Relaxed);
            self.die();
        }
    }

    /// At which of our addresses the client is.
    pub fn local(&self) -> Option<SocketAddr> {
        self.stream.socket().local_addr().ok()
    }

    /// Whether nobody else can read what leaves.
    pub fn is_secret(&self) -> bool {
        self.stream.is_secret()
    }

    /// Whether the client is to read what it was answered before it asks for more.
    pub fn holds_back(&self) -> bool {
        self.posted.bytes() > HELD_BACK_BYTES
    }

    /// Has something done once the client is held back no more. `false`: it is not, and nothing will be done.
    pub fn when_read(&self, then: Box<dyn FnOnce() + Send>) -> bool {
        *lock(&self.when_read) = Some(then);
        // Before the replies are looked at, as they are counted before whoever writes looks here.
        self.is_waited_for.store(true, Relaxed);
        self.holds_back() || lock(&self.when_read).take().is_none()
    }

    fn tell_of_room(&self) {
        if !self.holds_back() {
            self.is_waited_for.store(false, Relaxed);
            let then = lock(&self.when_read).take();
            then.into_iter().for_each(|then| then());
        }
    }

    /// Bytes of replies that are not out.
    pub fn unread_bytes(&self) -> usize {
        self.posted.bytes()
    }

    /// The Poller has said that there is room: writes what is due.
    pub fn flush(self: &Arc<Self>) {
        self.full.store(false, Relaxed);
        Sink(self.clone()).pump(None);
    }

    /// Ends the connection once all that was posted is out.
    pub fn close_when_written(self: &Arc<Self>) {
        self.post(Post::Hangup);
        Sink(self.clone()).pump(None);
    }

    /// The same, but at once if it takes nothing now.
    pub fn close_soon(self: &Arc<Self>) {
        self.close_when_written();
        if self.waits() {
            self.cut_off();
        }
    }

    /// The connection carries media from now on, of which a player that is paused takes nothing. It is of one class (DSCP):
    /// that of the first who has one.
    pub fn carry_media(&self, dscp: Option<u8>) {
        if let Err(error) = allow_pauses(self.stream.socket()) {
            tracing::debug!(%error, "a connection is not set up for media");
        }
        if let Some(dscp) = dscp.filter(|_| !self.is_marked.swap(true, Relaxed))
            && let Err(error) = mark_connection(self.stream.socket(), dscp)
        {
            tracing::debug!(%error, "a connection is not given its class");
        }
    }

    /// What is to go out before anything else, and by what. `None`: it ends with that, or has ended, or nobody else could go on
    /// with it, which is so of TLS.
    pub fn unsent(&self) -> Option<(Vec<u8>, Arc<TcpStream>)> {
        let ByteStream::Plain(socket) = &self.stream else { return None };
        let mut unsent = lock(&self.writer).begun();
        unsent.extend(self.posted.unsent()?);
        (!self.is_dead()).then(|| (unsent, socket.clone()))
    }

    /// How far the client has come with what it was sent.
    pub fn progress(&self) -> Option<Progress> {
        progress(self.stream.socket()).ok()
    }

    /// Ends the connection's output at once.
    pub fn cut_off(self: &Arc<Self>) {
        self.die();
        self.forget();
        // Whoever is writing may register for room just now, and tidies up on our behalf.
        Sink(self.clone()).pump(None);
    }

    fn die(&self) {
        self.dead.store(true, Relaxed);
        // The read side sees the end and closes the connection.
        self.stream.shut();
    }

    fn is_dead(&self) -> bool {
        self.dead.load(Relaxed)
    }

    fn forget(&self) {
        if let Some(key) = self.writable.get() {
            key.unregister();
        }
    }

    /// Whether there is nothing to try before the Poller says that there is room.
    fn waits(&self) -> bool {
        self.full.load(Relaxed) && !self.is_dead()
    }

    /// Polls for room to write: the same descriptor in a table of media, so that reading is polled apart.
    fn wait_until_writable(self: &Arc<Self>) {
        self.full.store(true, Relaxed);
        let key = match self.writable.get() {
            Some(key) => key,
            None => match self.register() {
                Ok(key) => self.writable.get_or_init(|| key),
                Err(error) => {
                    tracing::warn!(%error, "a slow client is cut off: its connection can not be polled");
                    return self.die();
                }
            },
        };
        key.resume(Interest::Write);
    }

    fn register(self: &Arc<Self>) -> io::Result<PollKey> {
        self.poller.register(Class::Media, self.stream.socket().clone(), self.clone())
    }

    fn write_all_due(self: &Arc<Self>, batch: Option<&Batch<'_>>) {
        let mut writer = lock(&self.writer);
        if !self.is_dead() {
            self.write(&mut writer, batch);
        }
        if self.is_dead() {
            *writer = Writer::default();
            self.posted.clear();
            self.forget();
        }
    }

    fn write(self: &Arc<Self>, writer: &mut Writer, batch: Option<&Batch<'_>>) {
        match self.stream.write(writer, &self.posted, batch) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait_until_writable(),
            Err(error) => {
                tracing::debug!(%error, "writing to a client failed");
                self.die();
            }
        }
    }
}

/// The sink is the shared handle, so that a full socket can be registered with its own Arc.
pub struct Sink(pub Arc<Output>);

impl StreamSink for Sink {
    fn pump(&self, batch: Option<&Batch<'_>>) {
        let mut batch = batch;
        let output = &self.0;
        if output.waits() || !output.state.claim() {
            return;
        }
        loop {
            if !output.waits() {
                // Another round is for what came meanwhile, which the batch knows nothing of.
                output.write_all_due(batch.take());
            }
            if !output.state.finish_claim() {
                break;
            }
        }
        if output.is_waited_for.load(Relaxed) {
            output.tell_of_room();
        }
    }

    fn close(&self) {
        self.0.die();
    }
}

impl PollEventConsumer for Output {
    fn create_task(self: Arc<Self>, _: Event) -> Option<Task> {
        Some(Task::new("Flush", self))
    }

    fn close(self: Arc<Self>) {
        self.cut_off();
    }
}

impl Work for Output {
    fn run(self: Arc<Self>) {
        self.flush();
    }

    fn close(self: Arc<Self>) {
        self.cut_off();
    }
}

#[cfg(all(test, not(model)))]
#[path = "output_tests.rs"]
mod tests;
