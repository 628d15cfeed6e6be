//! A Batch: what one run of a lane serves to its stream subscribers, framed once for all of them; and what such a
//! subscriber is to the relay, a [`StreamSink`].
//!
//! A connection that stands where the batch begins takes it as one slice of bytes, so a run costs one copy for each
//! framing in use, whatever the number of subscribers. One that stands elsewhere reads the ring itself.

use std::cell::{OnceCell, RefCell};
use std::ptr;
use std::rc::Rc;

use bytes::Bytes;

use super::cursor::Cursor;
use super::ring::Ring;

/// Packets of a batch at most; a longer gap is for the cursors to bridge.
const MAX_PACKETS: u64 = 512;

/// A connection that takes packets.
pub trait StreamSink: Send + Sync + 'static {
    /// Writes what is due to the connection, as far as it takes it, and never blocks. In a run of a lane,
    /// `batch` is what the run serves.
    fn pump(&self, batch: Option<&Batch<'_>>);

    /// `pump` panicked: closes the connection. Until its session has ended it may be asked again.
    fn close(&self);
}

/// The packets between two numbers of a ring, as one run serves them.
pub struct Batch<'a> {
    ring: &'a Ring,
    from: u64,
    to: u64,
    packets: OnceCell<Vec<Bytes>>,
    images: RefCell<Vec<Rc<Image>>>,
}

/// How packets look on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Whole, each behind a header that names this channel.
    Channel(u8),
    /// The packets of a transport stream that they carry, and nothing else.
    TransportStream,
}

/// A batch as bytes, as it is framed.
pub struct Image {
    framing: Framing,
    /// All frames, one after the other.
    pub bytes: Bytes,
    /// Where each frame ends. One that has no bytes ends where it begins.
    pub ends: Vec<usize>,
    /// Frames that have no bytes.
    left_out: usize,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(ring: &'a Ring, from: u64, to: u64) -> Self {
        Self { ring, from, to, packets: OnceCell::new(), images: RefCell::default() }
    }

    /// The number up to which `cursor` is to be served now; without end if the batch is of another ring.
    pub fn end(&self, cursor: &Cursor) -> u64 {
        if ptr::eq(self.ring, cursor.ring()) { self.to } else { u64::MAX }
    }

    /// The whole batch in a framing, of which `frame` appends one packet. `None` if the batch is empty, or if `cursor` does not
    /// stand where it begins.
    pub fn image(
        &self,
        cursor: &Cursor,
        framing: Framing,
        frame: impl Fn(&[u8], &mut Vec<u8>),
    ) -> Option<Rc<Image>> {
        let count = self.to - self.from;
        if !ptr::eq(self.ring, cursor.ring())
            || cursor.next() != Some(self.from)
            || !(1..=MAX_PACKETS).contains(&count)
        {
            return None;
        }
        let packets = self.packets.get_or_init(|| self.read());
        if packets.len() as u64 != count {
            return None;
        }
        let mut images = self.images.borrow_mut();
        if let Some(image) = images.iter().find(|image| image.framing == framing) {
            return Some(image.clone());
        }
        let image = Rc::new(Image::new(framing, packets, frame));
        images.push(image.clone());
        Some(image)
    }

    /// Nothing if the ring has let some of it go.
    fn read(&self) -> Vec<Bytes> {
        let mut packets = Vec::new();
        let first = self.ring.read(self.from, self.to, MAX_PACKETS as usize, &mut packets);
        if first != self.from {
            packets.clear();
        }
        packets
    }
}

impl Image {
    fn new(framing: Framing, packets: &[Bytes], frame: impl Fn(&[u8], &mut Vec<u8>)) -> Self {
        let mut bytes = Vec::with_capacity(packets.iter().map(|packet| packet.len() + 4).sum());
        let mut ends = Vec::with_capacity(packets.len());
        for packet in packets {
            frame(packet, &mut bytes);
            ends.push(bytes.len());
        }
        let left_out = left_out(&ends);
        Self { framing, bytes: Bytes::from(bytes), ends, left_out }
    }

    /// How many of the first so many frames have no bytes.
    #[must_use]
    pub fn left_out_of(&self, count: usize) -> usize {
        if self.left_out == 0 { 0 } else { left_out(&self.ends[..count]) }
    }
}

fn left_out(ends: &[usize]) -> usize {
    let begins = std::iter::once(&0).chain(ends);
    begins.zip(ends).filter(|(begin, end)| begin == end).count()
}
