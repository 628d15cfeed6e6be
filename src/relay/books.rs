//! Books: who wants to know what one subscriber was sent, once it has gone. Nothing is counted for a subscriber while
//! packets go out: those who stand at one place share what has passed it, and each knows how much had when it came.

use std::sync::Arc;

/// What a subscriber was sent of a flow.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// Packets that the kernel took.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Packets that were due to it and left the ring unsent, or that the kernel refused.
    pub missed: u64,
}

/// Hears what a subscriber was sent. The last reference goes when no packet can be sent any more.
pub trait Books: Send + Sync + 'static {
    /// A subscription is over: it comes to this.
    fn settle(&self, sent: Sent);
}

/// The place of one subscriber who shares what has passed with others.
pub(super) struct Entry {
    books: Option<Arc<dyn Books>>,
    /// What had passed when it came, and what passed it by since. Only the difference to the whole means something.
    since: Sent,
}

impl Sent {
    /// So many packets have left the ring unsent.
    pub(super) fn miss(&mut self, packets: u64) {
        self.missed = self.missed.wrapping_add(packets);
    }

    /// These are sent, or about to be.
    pub(super) fn send(&mut self, packets: u64, bytes: u64) {
        self.packets = self.packets.wrapping_add(packets);
        self.bytes = self.bytes.wrapping_add(bytes);
    }

    /// One that was said to be sent is missed.
    pub(super) fn unsend(&mut self, bytes: u64) {
        *self = self.minus(Self { packets: 1, bytes, missed: 0 });
        self.miss(1);
    }

    fn plus(self, other: Self) -> Self {
        Self {
            packets: self.packets.wrapping_add(other.packets),
            bytes: self.bytes.wrapping_add(other.bytes),
            missed: self.missed.wrapping_add(other.missed),
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            packets: self.packets.wrapping_sub(other.packets),
            bytes: self.bytes.wrapping_sub(other.bytes),
            missed: self.missed.wrapping_sub(other.missed),
        }
    }
}

impl Entry {
    /// One who comes to where so much has `passed`.
    pub fn new(books: Option<Arc<dyn Books>>, passed: Sent) -> Self {
        Self { books, since: passed }
    }

    /// It goes on where another amount has passed.
    pub fn move_on(&mut self, from: Sent, to: Sent) {
        self.since = self.since.minus(from).plus(to);
    }

    /// Of what has passed it was not sent this.
    pub fn except(&mut self, packets: u64, bytes: u64) {
        self.since = self.since.plus(Sent { packets, bytes, missed: 0 });
        self.since.missed = self.since.missed.wrapping_sub(packets);
    }

    /// It leaves where so much has `passed`.
    pub fn settle(&self, passed: Sent) {
        if let Some(books) = &self.books {
            books.settle(passed.minus(self.since));
        }
    }
}
