//! Where a stream subscriber stands in its ring, and what it has missed: so that what it misses is counted while it misses
//! it, also for one that never reads again. It is counted when somebody asks, by arithmetic: nothing is done for each packet.

use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use crate::event::lock;

use super::books::{Account, Passed, Sent};
use super::burst::Spot;
use super::handover::{Handover, Place};

/// It stands nowhere yet.
const NOWHERE: u64 = u64::MAX;

/// The place of a stream subscriber. It is changed under the ring's lock, or by the reader alone as it moves within the
/// ring.
pub struct Standing {
    next: AtomicU64,
    /// Who knows where it begins.
    after: Option<Arc<Handover>>,
    /// All before it were read, or are counted as missed.
    settled: AtomicU64,
    missed: AtomicU64,
    /// What its reader was sent.
    pub(super) passed: Passed,
    /// It has fallen out of the ring, and goes on where a decoder can start.
    waits: AtomicBool,
    over: AtomicBool,
    heir: Mutex<Heir>,
}

/// Who goes on from here.
enum Heir {
    /// Nobody, as far as is known.
    None,
    Named(Arc<Handover>),
    /// Whoever is named from now on is told at once: it is read no more.
    Late,
}

impl Standing {
    pub(super) fn new(from: Place) -> Self {
        let (next, after) = match from {
            Place::At(spot) => (spot.number, None),
            Place::After(before) => (NOWHERE, Some(before)),
        };
        let (next, settled, missed) = (AtomicU64::new(next), AtomicU64::new(0), AtomicU64::new(0));
        let (waits, over, heir) = (AtomicBool::new(false), AtomicBool::new(false), Mutex::new(Heir::None));
        Self { next, after, settled, missed, passed: Passed::default(), waits, over, heir }
    }

    /// Has `heir` go on where this one is let go, however that comes about, or was.
    pub fn bequeath(&self, heir: Arc<Handover>) {
        let mut state = lock(&self.heir);
        if matches!(*state, Heir::Late) {
            drop(state);
            return self.tell(&heir, || self.give_up().into());
        }
        *state = Heir::Named(heir);
    }

    /// It is let go: its heir is told how far it went, which is where it is given up.
    pub(super) fn let_go(&self, give_up: impl FnOnce() -> Spot) {
        let heir = mem::replace(&mut *lock(&self.heir), Heir::Late);
        if let Heir::Named(heir) = heir {
            self.tell(&heir, give_up);
        }
    }

    fn tell(&self, heir: &Arc<Handover>, give_up: impl FnOnce() -> Spot) {
        match self.after().filter(|_| !self.begin()) {
            Some(before) => before.pass_on(heir),
            None => heir.tell(give_up()),
        }
    }

    /// Who tells it where to begin.
    pub(super) fn after(&self) -> Option<&Arc<Handover>> {
        self.after.as_ref()
    }

    /// Where it was told to begin.
    pub(super) fn origin(&self) -> Option<Spot> {
        self.after()?.place()
    }

    /// Begins where it is told to, once. `false`: it is not told yet.
    pub(super) fn begin(&self) -> bool {
        let told = self.after().filter(|_| self.next() == NOWHERE).and_then(|before| before.place());
        let _ = told.map(|place| self.next.compare_exchange(NOWHERE, place.number, Relaxed, Relaxed));
        self.next() != NOWHERE
    }

    /// The number of the packet that it wants next; beyond all while it is not told where to begin.
    pub(super) fn next(&self) -> u64 {
        self.next.load(Relaxed)
    }

    pub(super) fn move_to(&self, next: u64) {
        self.next.store(next, Relaxed);
    }

    /// The same, once it has begun.
    pub(super) fn begun(&self) -> Option<u64> {
        Some(self.next()).filter(|next| *next != NOWHERE)
    }

    /// Whether it waits for a packet that a decoder can start with.
    pub(super) fn waits(&self) -> bool {
        self.waits.load(Relaxed)
    }

    pub(super) fn wait(&self, waits: bool) {
        self.waits.store(waits, Relaxed);
    }

    /// Packets that it missed.
    pub(super) fn missed(&self) -> u64 {
        self.missed.load(Relaxed)
    }

    /// Counts what it will never get of the packets before `end`, once each; returns how many are new. Under the ring's lock.
    pub(super) fn settle(&self, end: u64) -> u64 {
        let from = self.next().max(self.settled.load(Relaxed));
        if end <= from || self.over.load(Relaxed) {
            return 0;
        }
        self.settled.store(end, Relaxed);
        self.missed.fetch_add(end - from, Relaxed);
        end - from
    }

    /// What goes past it from here on, it does not miss.
    pub(super) fn end(&self) {
        self.over.store(true, Relaxed);
    }

    /// Gives the place up; returns where whoever has it next goes on: what is counted as missed is not missed again. Under
    /// the ring's lock.
    pub(super) fn give_up(&self) -> u64 {
        self.end();
        self.next().max(self.settled.load(Relaxed))
    }
}

impl Account for Standing {
    fn sent(&self) -> Sent {
        let sent = self.passed.sent();
        Sent { missed: sent.missed.wrapping_add(self.missed()), ..sent }
    }
}
