//! A Cursor: one stream subscriber's place in a ring. It reads at its own pace, and skips what the ring has let go.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use bytes::Bytes;

use crate::event::clock;

use super::alias::Alias;
use super::books::Books;
use super::burst::{Burst, Spot, Underway};
use super::burst_budget::BurstBudget;
use super::handover::Place;
use super::ring::{Ring, Took};
use super::standing::Standing;
use super::totals::Totals;

/// One stream subscriber's place in a ring.
pub struct Cursor {
    ring: Arc<Ring>,
    place: Arc<Standing>,
    stage: Stage,
    /// By what numbers it has the packets, if not by their own.
    alias: Option<Alias>,
    bursts: Bursts,
    totals: Arc<Totals>,
    books: Option<Arc<dyn Books>>,
}

/// Whether it has what all have who are level.
enum Stage {
    /// It has not begun. The lane looks after it from the outset: who writes for the connection just then may be another thread.
    New {
        _watched: Underway,
    },
    Behind(Box<Behind>),
    Level,
}

/// Of who is brought level.
struct Behind {
    prologue: Option<Bytes>,
    /// The same, while it may yet be given back.
    lent: Option<Bytes>,
    /// Packets of the ring that were taken last.
    taken: usize,
    burst: Option<(Burst, Underway)>,
}

/// Who is brought level over connections, and what they may take.
#[derive(Clone)]
pub(super) struct Bursts {
    pub underway: Arc<AtomicUsize>,
    pub budget: Arc<BurstBudget>,
}

impl Cursor {
    pub(super) fn new(ring: Arc<Ring>, from: Place, totals: Arc<Totals>, bursts: Bursts) -> Self {
        let (stage, alias) = match &from {
            Place::At(spot) => (Stage::of(spot.clone(), &bursts), spot.alias),
            Place::After(_) => (Stage::New { _watched: Underway::among(&bursts.underway) }, None),
        };
        let place = Arc::new(Standing::new(from));
        Self { ring, place, stage, alias, bursts, totals, books: None }
    }

    /// The same, and what it is sent is in `books`.
    #[must_use]
    pub fn told_to(mut self, books: Arc<dyn Books>) -> Self {
        books.open(self.place.clone());
        self.books = Some(books);
        self
    }

    pub(super) fn ring(&self) -> &Ring {
        &self.ring
    }

    /// The number of the packet that it wants next, as all do who are level and have the numbers that came; `None`: it is none of them.
    pub(super) fn next(&self) -> Option<u64> {
        let is_level = matches!(self.stage, Stage::Level) && self.alias.is_none() && !self.place.waits();
        is_level.then(|| self.place.next())
    }

    /// Where it stands, for [`subscribe_stream`](super::Flow::subscribe_stream).
    pub fn place(&self) -> Arc<Standing> {
        self.place.clone()
    }

    /// Appends what is due up to number `to` to `out`, at most `max` packets, and moves past it. A reader too slow for the
    /// ring goes on where a decoder can start, or with the newest packet where no such place is known; what it skips is counted.
    /// `true`: so it was, and the first of them is the one to go on with.
    pub fn take(&mut self, to: u64, max: usize, out: &mut Vec<Bytes>) -> bool {
        let begin = out.len();
        let Some((to, max)) = self.limit(to, max, out) else { return false };
        let before = out.len();
        let Took { missed, is_back } = self.ring.take(&self.place, to, max, out);
        if let Stage::Behind(behind) = &mut self.stage {
            behind.taken = out.len() - before;
        }
        self.alias.iter().for_each(|alias| alias.give(&mut out[begin..]));
        self.totals.overrun(missed);
        self.totals.came_back(is_back);
        is_back
    }

    /// Up to where packets are due, and how many; appends what goes before them. `None`: nothing is due.
    fn limit(&mut self, to: u64, max: usize, out: &mut Vec<Bytes>) -> Option<(u64, usize)> {
        if let Stage::New { .. } = self.stage {
            if !self.place.begin() {
                return None;
            }
            let origin = self.place.origin()?;
            self.alias = origin.alias;
            self.stage = Stage::of(origin, &self.bursts);
        }
        let Stage::Behind(behind) = &mut self.stage else { return Some((to, max)) };
        let (mut to, now) = (to, clock::now());
        if let Some((burst, _)) = &mut behind.burst {
            let (next, may) = (self.place.next(), self.bursts.budget.allows(now));
            if next < burst.whole() && !may {
                return None;
            }
            match self.ring.due(burst, next, may, now) {
                Some(due) => to = to.min(due),
                None => behind.burst = None,
            }
        }
        behind.lent = behind.prologue.take();
        behind.taken = 0;
        out.extend(behind.lent.clone());
        let max = max - usize::from(behind.lent.is_some());
        if behind.burst.is_none() && behind.lent.is_none() {
            self.stage = Stage::Level;
        }
        Some((to, max))
    }

    /// Moves past `packets` that the connection took as part of an [`Image`](super::Image).
    pub fn skip(&mut self, packets: usize) {
        self.place.move_to(self.place.next() + packets as u64);
    }

    /// Takes back the last `packets` of those taken: they are due again.
    pub fn give_back(&mut self, packets: usize) {
        let mut packets = packets;
        if let Stage::Behind(behind) = &mut self.stage
            && packets > behind.taken
        {
            behind.prologue = behind.lent.take();
            packets = behind.taken;
        }
        self.place.move_to(self.place.next() - packets as u64);
    }

    /// Whether this is where it stands.
    pub fn is_at(&self, place: &Arc<Standing>) -> bool {
        Arc::ptr_eq(&self.place, place)
    }

    /// Counts packets that the connection has taken.
    pub fn count_sent(&mut self, packets: u64, bytes: u64) {
        self.totals.sent(packets, bytes);
        self.place.passed.send(packets, bytes);
        if let Stage::Behind(behind) = &self.stage
            && let Some((burst, _)) = &behind.burst
        {
            let next = self.place.next();
            burst.reach(next);
            self.bursts.budget.spend(burst.cost(next, bytes), clock::now());
        }
    }

    /// Counts packets of which nothing goes out in its framing.
    pub fn leave_out(&self, packets: u64) {
        self.totals.left_out(packets);
    }

    /// One of those counted, of so many bytes, was begun and will never be finished: its reader has not got it.
    pub fn leave_unfinished(&mut self, bytes: u64) {
        self.place.passed.unsend(bytes);
    }
}

impl Stage {
    /// Of who begins there.
    fn of(Spot { prologue, burst, .. }: Spot, bursts: &Bursts) -> Self {
        if prologue.is_none() && burst.is_none() {
            return Self::Level;
        }
        let burst = burst.map(|burst| (burst, Underway::among(&bursts.underway)));
        Self::Behind(Box::new(Behind { prologue, lent: None, taken: 0, burst }))
    }

    /// How whoever has its place next is brought level.
    fn left(&mut self) -> (Option<Bytes>, Option<Burst>) {
        match mem::replace(self, Self::Level) {
            Self::Behind(behind) => (behind.prologue, behind.burst.map(|(burst, _)| burst)),
            Self::New { .. } | Self::Level => (None, None),
        }
    }
}

impl Drop for Cursor {
    fn drop(&mut self) {
        let (prologue, burst) = self.stage.left();
        let alias = self.alias.or_else(|| self.place.origin()?.alias); // it may have been told, and not have begun
        self.place.let_go(|| Spot { number: self.ring.give_up(&self.place), prologue, burst, alias });
        if self.books.is_some() {
            // A reader that was stuck to the end has missed what has gone meanwhile.
            self.totals.overrun(self.ring.settle(&self.place));
        }
    }
}
