//! The order in which one connection's bytes leave: what was begun, then replies, then packets.
//!
//! Packets are framed as they go, from cursors into the rings, so nothing is queued here but the rest of
//! what was begun: a frame is never split by another. Knows no socket, only something that takes bytes.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Write};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::{Buf, Bytes};

use crate::event::lock;
use crate::relay::{Batch, Cursor, Framing, Image, Standing};

use super::framing;

/// Packets of one `writev`: two slices each, well below the kernel's limit of 1024.
const PACKETS_PER_WRITE: usize = 64;
pub(super) const SLICES_PER_WRITE: usize = 2 * PACKETS_PER_WRITE;

/// What goes out, in the order it was posted.
pub enum Post {
    /// A reply, or a packet of our own with its interleaved header.
    Bytes(Bytes),
    /// From here on, packets of this cursor go out in this framing.
    Open { framing: Framing, cursor: Cursor },
    /// No more packets of the cursor that stands here. Channels may be another's meanwhile.
    Close(Arc<Standing>),
    /// Nothing follows.
    Hangup,
}

/// Posts that wait for their turn.
#[derive(Default)]
pub struct Posted(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    posts: VecDeque<Post>,
    /// What they take of memory, with the one that was begun.
    bytes: usize,
}

/// Writes what is due, and remembers how far it came.
#[derive(Default)]
pub struct Writer {
    /// What is left of what was begun. Anything else follows only when it is empty.
    begun: VecDeque<Bytes>,
    /// What the post that was begun took of memory.
    begun_post: usize,
    streams: Vec<Stream>,
    /// The stream that wrote last.
    turn: usize,
    packets: Vec<Bytes>,
}

/// How a round of writing ended, other than by the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// Nothing more is due now.
    AllDue,
    /// Nothing more will ever be due.
    AllThereIs,
}

struct Stream {
    framing: Framing,
    cursor: Cursor,
    /// Bytes of the packet whose rest is what was begun.
    unfinished: usize,
    /// Packets were skipped, and the next one is the first behind them.
    has_gap: bool,
}

/// A stream that is closed has finished; one whose connection is cut may not have.
impl Drop for Stream {
    fn drop(&mut self) {
        if self.unfinished > 0 {
            self.cursor.leave_unfinished(self.unfinished as u64);
        }
    }
}

enum Taken {
    Bytes,
    Nothing,
    Hangup,
}

impl Post {
    fn size(&self) -> usize {
        let bytes = if let Self::Bytes(bytes) = self { bytes.len() } else { 0 };
        mem::size_of::<Self>() + bytes
    }
}

impl Posted {
    /// Adds a post, unless more than `limit` bytes wait. `false`: they do.
    pub fn add(&self, post: Post, limit: usize) -> bool {
        let mut queue = self.queue();
        if queue.bytes > limit {
            return false;
        }
        queue.bytes += post.size();
        queue.posts.push_back(post);
        true
    }

    /// Bytes that wait, in whole posts: one that was begun counts until it is out.
    pub fn bytes(&self) -> usize {
        self.queue().bytes
    }

    /// The bytes of all that wait, in their order. `None`: nothing is to follow them.
    pub fn unsent(&self) -> Option<Vec<u8>> {
        let mut unsent = Vec::new();
        for post in &self.queue().posts {
            match post {
                Post::Bytes(bytes) => unsent.extend_from_slice(bytes),
                Post::Open { .. } | Post::Close(_) => {}
                Post::Hangup => return None,
            }
        }
        Some(unsent)
    }

    /// Lets everything go.
    pub fn clear(&self) {
        let gone = mem::take(&mut *self.queue());
        drop(gone); // outside the lock: cursors hold rings
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        lock(&self.0)
    }
}

impl Writer {
    /// Writes until nothing is due, or the socket fails or is full (`WouldBlock`).
    pub fn write(
        &mut self,
        socket: &mut impl Write,
        posted: &Posted,
        batch: Option<&Batch<'_>>,
    ) -> io::Result<Written> {
        loop {
            self.finish_begun(socket)?;
            if self.begun_post > 0 {
                posted.queue().bytes -= mem::take(&mut self.begun_post);
            }
            match self.take_posts(posted) {
                Taken::Bytes => continue,
                Taken::Hangup => return Ok(Written::AllThereIs),
                Taken::Nothing => {}
            }
            if !self.write_packets(socket, batch)? {
                return Ok(Written::AllDue);
            }
        }
    }

    /// What is left of what was begun.
    pub fn begun(&self) -> Vec<u8> {
        self.begun.iter().flatten().copied().collect()
    }

    fn finish_begun(&mut self, socket: &mut impl Write) -> io::Result<()> {
        if self.begun.is_empty() {
            return Ok(());
        }
        while let Some(front) = self.begun.front_mut() {
            let written = retry(|| socket.write(front))?;
            front.advance(written);
            if front.is_empty() {
                self.begun.pop_front();
            }
        }
        if let Some(stream) = self.streams.get_mut(self.turn) {
            stream.unfinished = 0;
        }
        Ok(())
    }

    /// Takes posts up to the first that has bytes.
    fn take_posts(&mut self, posted: &Posted) -> Taken {
        let mut queue = posted.queue();
        while let Some(post) = queue.posts.pop_front() {
            let size = post.size();
            if let Post::Bytes(bytes) = post {
                self.begun_post = size;
                self.begun.push_back(bytes);
                return Taken::Bytes;
            }
            queue.bytes -= size;
            match post {
                Post::Bytes(_) => {}
                Post::Open { framing, cursor } => {
                    self.streams.push(Stream { framing, cursor, unfinished: 0, has_gap: false });
                }
                Post::Close(place) => self.streams.retain(|stream| !stream.cursor.is_at(&place)),
                Post::Hangup => {
                    self.streams.clear();
                    return Taken::Hangup;
                }
            }
        }
        queue.posts.shrink_to_fit(); // clients rest for long
        Taken::Nothing
    }

    /// One batch of each stream in turn, as far as the socket takes them whole. `false`: nothing more is due.
    fn write_packets(&mut self, socket: &mut impl Write, batch: Option<&Batch<'_>>) -> io::Result<bool> {
        let mut more = false;
        for _ in 0..self.streams.len() {
            // The turn goes on where it stopped, so that a busy stream does not starve the others.
            self.turn = (self.turn + 1) % self.streams.len();
            more |= self.streams[self.turn].write(socket, batch, &mut self.packets, &mut self.begun)?;
            if !self.begun.is_empty() {
                return Ok(true);
            }
        }
        Ok(more)
    }
}

impl Stream {
    /// Writes one batch of what is due. `false`: that was all; what comes later is announced by its lane. What
    /// the socket did not take of a packet that was begun goes to `begun`; packets not begun are given back to
    /// the cursor.
    fn write(
        &mut self,
        socket: &mut impl Write,
        batch: Option<&Batch<'_>>,
        packets: &mut Vec<Bytes>,
        begun: &mut VecDeque<Bytes>,
    ) -> io::Result<bool> {
        let framing = self.framing;
        let frame = |packet: &[u8], out: &mut Vec<u8>| framing::append(framing, packet, out);
        if let Some(image) = batch.and_then(|batch| batch.image(&self.cursor, framing, frame)) {
            return self.write_image(socket, &image, begun);
        }
        packets.clear();
        let to = batch.map_or(u64::MAX, |batch| batch.end(&self.cursor));
        self.has_gap |= self.cursor.take(to, PACKETS_PER_WRITE, packets);
        if packets.is_empty() {
            return Ok(false);
        }
        packets.iter_mut().for_each(|packet| framing::body(framing, packet));
        if let Some(first) = packets.first_mut().filter(|_| self.has_gap) {
            framing::tell_gap(framing, first);
        }
        let mut headers = [[0; 4]; PACKETS_PER_WRITE];
        let mut slices = [IoSlice::new(&[]); SLICES_PER_WRITE];
        for (header, packet) in headers.iter_mut().zip(packets.iter()) {
            *header = framing::header(framing, packet.len());
        }
        let header_len = framing::header_len(framing);
        for ((pair, header), packet) in slices.chunks_exact_mut(2).zip(&headers).zip(packets.iter()) {
            pair[0] = IoSlice::new(&header[..header_len]);
            pair[1] = IoSlice::new(packet);
        }
        let slices = &slices[..2 * packets.len()];
        let written = if slices.iter().all(|slice| slice.is_empty()) {
            Ok(0) // nothing of them goes out
        } else {
            retry(|| socket.write_vectored(slices))
        };
        let written = match written {
            Ok(written) => written,
            Err(error) => {
                self.cursor.give_back(packets.len());
                return Err(error);
            }
        };
        let taken = self.account(written, &headers, packets, begun);
        self.has_gap &= taken == 0;
        // A short write may end with a frame: then nothing was begun, and yet more is due.
        let more = packets.len() == PACKETS_PER_WRITE || taken < packets.len();
        packets.clear(); // an idle connection holds no packets
        Ok(more)
    }

    /// Writes a whole batch in one go. `false`: the socket took all of it.
    fn write_image(
        &mut self,
        socket: &mut impl Write,
        image: &Image,
        begun: &mut VecDeque<Bytes>,
    ) -> io::Result<bool> {
        let is_empty = image.bytes.is_empty();
        let written = if is_empty { 0 } else { retry(|| socket.write(&image.bytes))? };
        let header_len = framing::header_len(self.framing);
        let whole = image.ends.partition_point(|end| *end <= written);
        let mut count = whole;
        let start = whole.checked_sub(1).map_or(0, |last| image.ends[last]);
        if let Some(end) = image.ends.get(whole).filter(|_| start < written) {
            // A copy: a reader that is stuck must not keep the batch of all the others.
            begun.push_back(Bytes::copy_from_slice(&image.bytes[written..*end]));
            self.unfinished = end - start - header_len;
            count += 1;
        }
        self.cursor.skip(count);
        let bytes = count.checked_sub(1).map_or(0, |last| image.ends[last]) - count * header_len;
        let left_out = image.left_out_of(count);
        self.cursor.count_sent((count - left_out) as u64, bytes as u64);
        self.cursor.leave_out(left_out as u64);
        Ok(count < image.ends.len() || !begun.is_empty())
    }

    /// Counts what was written; returns how many packets were, at least in part.
    fn account(
        &mut self,
        mut written: usize,
        headers: &[[u8; 4]],
        packets: &[Bytes],
        begun: &mut VecDeque<Bytes>,
    ) -> usize {
        let header_len = framing::header_len(self.framing);
        let (mut count, mut bytes, mut left_out) = (0, 0, 0);
        for (header, packet) in headers.iter().zip(packets) {
            let framed = header_len + packet.len();
            if written == 0 && framed > 0 {
                break;
            }
            count += 1;
            bytes += packet.len();
            left_out += usize::from(framed == 0);
            if written < framed {
                // Copied too: a slice of a packet keeps its whole chunk of the ring.
                let begun_at = written.saturating_sub(header_len);
                let rest = [&header[written.min(header_len)..header_len], &packet[begun_at..]].concat();
                begun.push_back(Bytes::from(rest));
                self.unfinished = packet.len();
            }
            written = written.saturating_sub(framed);
        }
        self.cursor.give_back(packets.len() - count);
        self.cursor.count_sent((count - left_out) as u64, bytes as u64);
        self.cursor.leave_out(left_out as u64);
        count
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

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
