//! The Ledger: what all tracks have counted, those that are gone included, so that no total ever goes down.

use std::ops::AddAssign;
use std::sync::{Arc, Mutex};

use crate::event::lock;

use super::refused::{Refused, RefusedTotals};
use super::totals::{SentTotals, Totals};

/// The counters of all flows and tracks that there ever were.
#[derive(Default)]
pub struct Ledger {
    sent: Roll<Totals, SentTotals>,
    refused: Roll<Refused, RefusedTotals>,
}

/// Counters that somebody may still count with, and the sum of the others.
struct Roll<C, S>(Mutex<(Vec<Arc<C>>, S)>);

impl Ledger {
    /// What was sent and what could not be, over all flows.
    pub fn sent(&self) -> SentTotals {
        self.sent.sum(Totals::read)
    }

    /// What was not taken, over all tracks.
    pub fn refused(&self) -> RefusedTotals {
        self.refused.sum(Refused::read)
    }

    pub(super) fn open_totals(&self) -> Arc<Totals> {
        self.sent.open(Totals::read)
    }

    pub(super) fn open_refused(&self) -> Arc<Refused> {
        self.refused.open(Refused::read)
    }
}

impl<C: Default, S: AddAssign + Copy> Roll<C, S> {
    fn open(&self, read: fn(&C) -> S) -> Arc<C> {
        let mut roll = lock(&self.0);
        let (open, gone) = &mut *roll;
        close_unused(open, gone, read);
        let counters = Arc::<C>::default();
        open.push(counters.clone());
        counters
    }

    fn sum(&self, read: fn(&C) -> S) -> S {
        let mut roll = lock(&self.0);
        let (open, gone) = &mut *roll;
        close_unused(open, gone, read);
        let mut sum = *gone;
        open.iter().for_each(|counters| sum += read(counters));
        sum
    }
}

/// Only the ledger has these: nobody will count with them any more.
fn close_unused<C, S: AddAssign>(open: &mut Vec<Arc<C>>, gone: &mut S, read: fn(&C) -> S) {
    open.retain(|counters| {
        let is_used = Arc::strong_count(counters) > 1;
        if !is_used {
            // What its last holder counted comes before the count that says that it has let go.
            std::sync::atomic::fence(std::sync::atomic::Ordering::Acquire);
            *gone += read(counters);
        }
        is_used
    });
}

impl<C, S: Default> Default for Roll<C, S> {
    fn default() -> Self {
        Self(Mutex::new((Vec::new(), S::default())))
    }
}

#[cfg(all(test, not(model)))]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_stays_when_its_counters_go() {
        let ledger = Ledger::default();
        let (first, second) = (ledger.open_totals(), ledger.open_totals());
        first.sent(3, 300);
        second.overrun(5);
        drop(first);
        let third = ledger.open_totals();
        third.sent(1, 100);
        second.overrun(1);
        let sum = ledger.sent();
        assert_eq!((sum.packets, sum.bytes, sum.overrun), (4, 400, 6));
        drop((second, third));
        assert_eq!((ledger.sent(), ledger.sent()), (sum, sum));
        assert_eq!(lock(&ledger.sent.0).0.len(), 0, "and nothing is kept of them");
    }
}
