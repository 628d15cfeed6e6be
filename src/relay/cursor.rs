//! A Cursor: one stream subscriber's place in a ring. It reads at its own pace, and skips what the ring has let go.

use std::sync::Arc;

use bytes::Bytes;

use super::books::{Books, Sent};
use super::handover::Place;
use super::ring::{Ring, Took};
use super::standing::Standing;
use super::totals::Totals;

/// One stream subscriber's place in a ring.
pub struct Cursor {
    ring: Arc<Ring>,
    place: Arc<Standing>,
    totals: Arc<Totals>,
    sent: Sent,
    books: Option<Arc<dyn Books>>,
}

impl Cursor {
    pub(super) fn new(ring: Arc<Ring>, from: Place, totals: Arc<Totals>) -> Self {
        Self { ring, place: Arc::new(Standing::new(from)), totals, sent: Sent::default(), books: None }
    }

    /// The same, and `books` hears what it was sent once it is let go.
    #[must_use]
    pub fn told_to(mut self, books: Arc<dyn Books>) -> Self {
        self.books = Some(books);
        self
    }

    pub(super) fn ring(&self) -> &Ring {
        &self.ring
    }

    /// The number of the packet that it wants next; `None`: of one that a decoder can start with, which is to come.
    pub(super) fn next(&self) -> Option<u64> {
        Some(self.place.next()).filter(|_| !self.place.waits())
    }

    /// Where it stands, for [`subscribe_stream`](super::Flow::subscribe_stream).
    pub fn place(&self) -> Arc<Standing> {
        self.place.clone()
    }

    /// Appends what is due up to number `to` to `out`, at most `max` packets, and moves past it. A reader too slow for the
    /// ring goes on where a decoder can start, or with the newest packet where no such place is known; what it skips is counted.
    pub fn take(&mut self, to: u64, max: usize, out: &mut Vec<Bytes>) {
        if !self.place.begin() {
            return;
        }
        let Took { missed, is_back } = self.ring.take(&self.place, to, max, out);
        self.totals.overrun(missed);
        self.totals.came_back(is_back);
    }

    /// Moves past `packets` that the connection took as part of an [`Image`](super::Image).
    pub fn skip(&mut self, packets: usize) {
        self.place.move_to(self.place.next() + packets as u64);
    }

    /// Takes back the last `packets` of those taken: they are due again.
    pub fn give_back(&mut self, packets: usize) {
        self.place.move_to(self.place.next() - packets as u64);
    }

    /// Whether this is where it stands.
    pub fn is_at(&self, place: &Arc<Standing>) -> bool {
        Arc::ptr_eq(&self.place, place)
    }

    /// Counts packets that the connection has taken.
    pub fn count_sent(&mut self, packets: u64, bytes: u64) {
        self.totals.sent(packets, bytes);
        self.sent.send(packets, bytes);
    }

    /// Counts packets of which nothing goes out in its framing.
    pub fn leave_out(&self, packets: u64) {
        self.totals.left_out(packets);
    }

    /// One of those counted, of so many bytes, was begun and will never be finished: its reader has not got it.
    pub fn leave_unfinished(&mut self, bytes: u64) {
        self.sent.unsend(bytes);
    }
}

impl Drop for Cursor {
    fn drop(&mut self) {
        self.place.let_go(|| self.ring.give_up(&self.place));
        if let Some(books) = &self.books {
            // A reader that was stuck to the end has missed what has gone meanwhile.
            self.totals.overrun(self.ring.settle(&self.place));
            self.sent.miss(self.place.missed());
            books.settle(self.sent);
        }
    }
}
