//! Who watches the past: so many at a time, as each takes memory and a thread's time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// All seats.
#[derive(Debug)]
pub(in super::super) struct Seats {
    taken: AtomicUsize,
    all: usize,
}

/// One of them, until it is dropped.
pub struct Seat(Arc<Seats>);

impl Seats {
    pub fn new(all: usize) -> Arc<Self> {
        Arc::new(Self { taken: AtomicUsize::new(0), all })
    }

    /// `None`: all are taken.
    pub fn take(self: &Arc<Self>) -> Option<Seat> {
        let more = |taken: usize| (taken < self.all).then_some(taken + 1);
        self.taken.fetch_update(Relaxed, Relaxed, more).ok().map(|_| Seat(self.clone()))
    }

    /// How many are taken, and how many there are.
    pub fn fill(&self) -> (usize, usize) {
        (self.taken.load(Relaxed), self.all)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_is_one_until_it_is_given_back() {
        let seats = Seats::new(1);
        let seat = seats.take();
        assert!(seat.is_some() && seats.take().is_none());
        drop(seat);
        assert!(seats.take().is_some());
        assert_eq!(seats.fill(), (0, 1));
    }
}
