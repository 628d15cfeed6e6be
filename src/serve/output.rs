//! Everything that leaves by one RTSP connection: replies and interleaved packets, whole and in order.
//!
//! Whoever has something due calls `pump`. One at a time writes ([`RunState`]); another that comes
//! meanwhile leaves it to the one who writes. A connection that takes no more waits in the Poller, and
//! costs the lanes nothing but a look at a flag.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use bytes::{Buf, Bytes};

use crate::event::{Class, Event, Interest, PollEventConsumer, PollKey, Poller, RunState, Task, Work};
use crate::relay::{Cursor, StreamSink};
use crate::wire::rtsp::interleaved_header;

/// Packets of one `writev`: two slices each, well below the kernel's limit of 1024.
const PACKETS_PER_WRITE: usize = 64;
/// Replies that a client may leave unread before it is cut off.
const MAX_UNREAD_REPLY_BYTES: usize = 256 << 10;

/// The write side of one connection.
pub(super) struct Output {
    socket: Arc<TcpStream>,
    poller: Arc<Poller>,
    state: RunState,
    /// Locked only by the one who writes, so never waited for.
    writer: Mutex<Writer>,
    posted: Mutex<Posted>,
    /// The socket is full; only the Poller's word changes that.
    full: AtomicBool,
    dead: AtomicBool,
    writable: OnceLock<PollKey>,
}

/// What goes out, in the order it was posted.
pub(super) enum Post {
    /// A reply, or a packet of our own with its interleaved header.
    Bytes(Bytes),
    /// From here on, packets of this cursor go out on this channel.
    Open { channel: u8, cursor: Cursor },
    /// No more packets on this channel.
    Close { channel: u8 },
    /// Nothing follows: the write side is shut once all is out.
    Hangup,
}

#[derive(Default)]
struct Posted {
    posts: VecDeque<Post>,
    unread_bytes: usize,
}

#[derive(Default)]
struct Writer {
    /// What is left of what was begun. Packets follow only when it is empty.
    begun: VecDeque<Bytes>,
    streams: Vec<Stream>,
    /// The stream that wrote last.
    turn: usize,
    packets: Vec<Bytes>,
}

struct Stream {
    channel: u8,
    cursor: Cursor,
}

impl Output {
    pub fn new(socket: Arc<TcpStream>, poller: Arc<Poller>) -> Arc<Self> {
        Arc::new(Self {
            socket,
            poller,
            state: RunState::default(),
            writer: Mutex::default(),
            posted: Mutex::default(),
            full: AtomicBool::new(false),
            dead: AtomicBool::new(false),
            writable: OnceLock::new(),
        })
    }

    /// Posts something; [`pump`](StreamSink::pump) writes it. A client that leaves too much unread is cut off.
    pub fn post(&self, post: Post) {
        let mut posted = lock(&self.posted);
        if let Post::Bytes(bytes) = &post {
            posted.unread_bytes += bytes.len();
        }
        posted.posts.push_back(post);
        if posted.unread_bytes > MAX_UNREAD_REPLY_BYTES {
            tracing::info!("a client that reads no replies is cut off");
            self.die();
        }
    }

    /// Ends the connection once all that was posted is out.
    pub fn close_when_written(self: &Arc<Self>) {
        self.post(Post::Hangup);
        Sink(self.clone()).pump();
    }

    /// Ends the connection's output at once.
    pub fn cut_off(&self) {
        self.die();
        if let Some(key) = self.writable.get() {
            key.unregister();
        }
    }

    fn die(&self) {
        self.dead.store(true, Relaxed);
        // The read side sees the end and closes the connection.
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    /// Polls for room to write, on a duplicate so that reading is polled apart.
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
        self.poller.register(Class::Media, Arc::new(self.socket.try_clone()?), self.clone())
    }

    fn write_all_due(self: &Arc<Self>) {
        let mut writer = lock(&self.writer);
        let writer = &mut *writer;
        match writer.write(&self.socket, &self.posted) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait_until_writable(),
            Err(error) => {
                tracing::debug!(%error, "writing to a client failed");
                self.die();
            }
        }
        if self.dead.load(Relaxed) {
            *writer = Writer::default();
            *lock(&self.posted) = Posted::default();
        }
    }
}

/// The sink is the shared handle, so that a full socket can be registered with its own Arc.
pub(super) struct Sink(pub Arc<Output>);

impl StreamSink for Sink {
    fn pump(&self) {
        let output = &self.0;
        if output.full.load(Relaxed) || !output.state.claim() {
            return;
        }
        loop {
            if !output.full.load(Relaxed) {
                output.write_all_due();
            }
            if !output.state.finish_claim() {
                break;
            }
        }
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
        self.full.store(false, Relaxed);
        Sink(self).pump();
    }

    fn close(self: Arc<Self>) {
        self.cut_off();
    }
}

impl Writer {
    /// Writes what was begun, then replies, then packets, until nothing is due or the socket is full.
    fn write(&mut self, socket: &TcpStream, posted: &Mutex<Posted>) -> io::Result<()> {
        loop {
            self.finish_begun(socket)?;
            if !self.take_posts(socket, posted) && !self.write_packets(socket)? {
                return Ok(());
            }
        }
    }

    fn finish_begun(&mut self, mut socket: &TcpStream) -> io::Result<()> {
        while let Some(front) = self.begun.front_mut() {
            let written = retry(|| socket.write(front))?;
            front.advance(written);
            if front.is_empty() {
                self.begun.pop_front();
            }
        }
        Ok(())
    }

    /// One batch of each stream in turn, as far as the socket takes them whole. `false`: nothing more is due.
    fn write_packets(&mut self, socket: &TcpStream) -> io::Result<bool> {
        let mut more = false;
        for _ in 0..self.streams.len() {
            // The turn goes on where it stopped, so that a busy stream does not starve the others.
            self.turn = (self.turn + 1) % self.streams.len();
            more |= self.streams[self.turn].write(socket, &mut self.packets, &mut self.begun)?;
            if !self.begun.is_empty() {
                return Ok(true);
            }
        }
        Ok(more)
    }

    /// Takes posts up to the first that has bytes. `true`: there are bytes to write.
    fn take_posts(&mut self, socket: &TcpStream, posted: &Mutex<Posted>) -> bool {
        let mut posted = lock(posted);
        while let Some(post) = posted.posts.pop_front() {
            match post {
                Post::Bytes(bytes) => {
                    posted.unread_bytes -= bytes.len();
                    self.begun.push_back(bytes);
                    return true;
                }
                Post::Open { channel, cursor } => self.streams.push(Stream { channel, cursor }),
                Post::Close { channel } => self.streams.retain(|stream| stream.channel != channel),
                Post::Hangup => {
                    self.streams.clear();
                    let _ = socket.shutdown(Shutdown::Write);
                }
            }
        }
        false
    }
}

impl Stream {
    /// Writes one batch of what is due. `false`: that was all; what comes later is announced by its lane. What the socket did not take of a packet
    /// that was begun goes to `begun`; packets not begun are given back to the cursor.
    fn write(
        &mut self,
        mut socket: &TcpStream,
        packets: &mut Vec<Bytes>,
        begun: &mut VecDeque<Bytes>,
    ) -> io::Result<bool> {
        packets.clear();
        self.cursor.take(PACKETS_PER_WRITE, packets);
        if packets.is_empty() {
            return Ok(false);
        }
        let mut headers = [[0; 4]; PACKETS_PER_WRITE];
        let mut slices = [IoSlice::new(&[]); 2 * PACKETS_PER_WRITE];
        for (header, packet) in headers.iter_mut().zip(packets.iter()) {
            // A datagram is never longer than 16 bits can say.
            *header = interleaved_header(self.channel, packet.len() as u16);
        }
        for ((pair, header), packet) in slices.chunks_exact_mut(2).zip(&headers).zip(packets.iter()) {
            pair[0] = IoSlice::new(header);
            pair[1] = IoSlice::new(packet);
        }
        let slices = &slices[..2 * packets.len()];
        let written = match retry(|| socket.write_vectored(slices)) {
            Ok(written) => written,
            Err(error) => {
                self.cursor.give_back(packets.len());
                return Err(error);
            }
        };
        self.account(written, &headers, packets, begun);
        Ok(packets.len() == PACKETS_PER_WRITE)
    }

    fn account(
        &mut self,
        mut written: usize,
        headers: &[[u8; 4]],
        packets: &[Bytes],
        begun: &mut VecDeque<Bytes>,
    ) {
        let (mut count, mut bytes) = (0, 0);
        for (header, packet) in headers.iter().zip(packets) {
            let framed = header.len() + packet.len();
            if written == 0 {
                break;
            }
            count += 1;
            bytes += packet.len();
            if written < framed {
                let rest = [
                    Bytes::copy_from_slice(&header[written.min(4)..]),
                    packet.slice(written.saturating_sub(4)..),
                ];
                begun.extend(rest.into_iter().filter(|slice| !slice.is_empty()));
            }
            written = written.saturating_sub(framed);
        }
        self.cursor.give_back(packets.len() - count);
        self.cursor.count_sent(count as u64, bytes as u64);
    }
}

fn retry(mut write: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match write() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            result => return result,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
