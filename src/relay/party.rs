//! A Party: UDP subscribers of a lane who want the same packet next, and are served together.
//!
//! Those who begin at one place in one round, and are to be brought level, are a party of their own until they are.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::event::clock;
use crate::net::Destination;

use super::alias::Alias;
use super::books::{Books, Passed, Stake};
use super::burst::{Burst, Spot};
use super::burst_budget::BurstBudget;
use super::handover::Handover;
use super::mailbox::DatagramMember;
use super::outward::Oversize;
use super::places::StartPoint;
use super::ring::Ring;
use super::totals::Totals;

/// Packets of a picture that goes at once: what a receive buffer of the usual size has room for, and is let empty itself.
pub(super) const SLICE_PACKETS: u64 = 64;
const SLICE_EVERY: Duration = Duration::from_millis(5);
/// The fewest that go to a crowd at once. Its slices are smaller, so that others wait no longer for it.
const FEWEST_PACKETS: u64 = 16;
const SLICE_OF_ALL: u64 = 1024;

/// Subscribers who want the same packet next.
pub(super) struct Party {
    pub cursor: u64,
    /// Up to where it is served in this round.
    pub due: u64,
    /// A packet of ours that goes to them first.
    pub prologue: Option<Bytes>,
    /// By what numbers they have the packets, if not by their own.
    pub alias: Option<Alias>,
    /// They are to be brought level.
    behind: Option<Behind>,
    pub destinations: Vec<Destination>,
    /// The largest packet that goes to all of them whole.
    pub whole: usize,
    /// Beside `destinations`: who stands at each place.
    pub members: Vec<Member>,
    /// What each of them was sent, or would have been had it been here from the first.
    pub passed: Arc<Passed>,
}

struct Behind {
    burst: Burst,
    /// Nothing more before that.
    next_at: Instant,
}

/// Who leaves, by number, and who serves them next.
pub(super) type Gone = HashMap<u64, Option<Arc<Handover>>>;

pub(super) struct Member {
    pub number: u64,
    pub stake: Arc<Stake>,
    _books: Option<Arc<dyn Books>>,
    _reservation: Arc<dyn Any + Send + Sync>,
}

impl Party {
    /// Nobody, who is to begin there.
    pub fn at(Spot { number: cursor, prologue, burst, alias }: Spot, now: Instant) -> Self {
        let behind = burst.map(|burst| Behind { burst, next_at: now });
        let (destinations, members) = (Vec::new(), Vec::new());
        let (due, whole, passed) = (cursor, usize::MAX, Arc::default());
        Self { cursor, due, prologue, alias, behind, destinations, whole, members, passed }
    }

    /// Whether it begins, or goes on, as one who is to begin there.
    pub fn is_at(&self, spot: &Spot) -> bool {
        let is_as_far = self.cursor == spot.number && self.prologue.is_some() == spot.prologue.is_some();
        is_as_far && self.is_behind() == spot.burst.is_some() && self.alias == spot.alias
    }

    /// Whether another one stands where it does, and goes on as it does.
    pub fn is_with(&self, other: &Self) -> bool {
        let stands = |party: &Self| (party.cursor, party.prologue.is_some(), party.is_behind(), party.alias);
        stands(self) == stands(other)
    }

    /// Whether it is to be brought level.
    pub fn is_behind(&self) -> bool {
        self.behind.is_some()
    }

    /// Where one who leaves it goes on.
    fn spot(&self) -> Spot {
        let burst = self.behind.as_ref().map(|behind| behind.burst.clone());
        Spot { number: self.cursor, prologue: self.prologue.clone(), burst, alias: self.alias }
    }

    /// It was behind for so long that its place is gone: it goes on at the newest start, if there is one.
    fn begin_anew(&mut self, ring: &Ring, totals: &Totals, now: Instant) {
        let Some(StartPoint { number, prologue, end }) = ring.newest_start() else { return };
        self.miss(number, totals);
        self.prologue = prologue;
        if let Some(Behind { burst, .. }) = &mut self.behind {
            let whole = end.unwrap_or_else(|| ring.head());
            burst.begin_anew(whole, ring.arrival(whole.saturating_sub(1)).unwrap_or(now));
        }
    }

    /// A round begins that goes up to `head`.
    pub fn begin(&mut self, (ring, head): (&Ring, u64), budget: &BurstBudget, totals: &Totals, now: Instant) {
        self.due = head;
        if self.is_behind() && self.cursor < ring.tail() {
            self.begin_anew(ring, totals, now);
        }
        let Some(Behind { burst, next_at }) = &mut self.behind else { return };
        if now < *next_at {
            self.due = self.cursor;
            return;
        }
        let Some(due) = ring.due(burst, self.cursor, budget.allows(now), now) else {
            self.behind = None;
            return;
        };
        let slice = (SLICE_OF_ALL / self.members.len().max(1) as u64).clamp(FEWEST_PACKETS, SLICE_PACKETS);
        let is_at_once = self.cursor < burst.whole();
        self.due = if is_at_once { due.min(self.cursor + slice) } else { due };
        if self.due < due {
            *next_at = now + SLICE_EVERY;
        }
    }

    /// Takes what is due next to `packets`, which are none; its members miss what is there no more. `false`: nothing is, or it has
    /// to wait.
    pub fn load(
        &mut self,
        (ring, budget): (&Ring, &BurstBudget),
        most: usize,
        packets: &mut Vec<Bytes>,
        totals: &Totals,
    ) -> bool {
        let picture = self.behind.as_ref().filter(|behind| self.cursor < behind.burst.whole());
        if self.cursor >= self.due || picture.is_some() && !budget.allows(clock::now()) {
            return false;
        }
        let read = if self.is_behind() { Ring::read_past } else { Ring::read };
        packets.extend(self.prologue.take());
        let ahead = packets.len();
        let first = read(ring, self.cursor, self.due, most, packets);
        self.miss(first, totals);
        self.cursor = first + (packets.len() - ahead) as u64;
        if let Some(Behind { burst, .. }) = &self.behind {
            burst.reach(self.cursor);
            let bytes: usize = packets.iter().map(Bytes::len).sum();
            let cost = burst.cost(self.cursor, (bytes * self.members.len()) as u64);
            budget.spend(cost, clock::now());
        }
        true
    }

    pub fn add(&mut self, member: DatagramMember) {
        let DatagramMember { number, destination, reservation, stake, books } = member;
        stake.move_to(&self.passed);
        self.whole = self.whole.min(destination.largest_whole());
        self.destinations.push(destination);
        self.members.push(Member { number, stake, _books: books, _reservation: reservation });
    }

    /// Goes on with packet `next`, if it is not as far; what is before it, its members miss.
    pub fn miss(&mut self, next: u64, totals: &Totals) {
        let missed = next.saturating_sub(self.cursor);
        totals.overrun(missed * self.members.len() as u64);
        self.passed.miss(missed);
        self.cursor += missed;
    }

    /// Goes on as one with another, which stands where it does.
    pub fn join(&mut self, mut other: Self) {
        other.members.iter().for_each(|member| member.stake.move_to(&self.passed));
        self.whole = self.whole.min(other.whole);
        self.destinations.append(&mut other.destinations);
        self.members.append(&mut other.members);
    }

    /// How many of `packets` leave in fragments, over all members.
    #[cold]
    pub fn fragments_of(&self, packets: &[Bytes]) -> u64 {
        let larger_than = |whole| packets.iter().filter(|packet| packet.len() > whole).count() as u64;
        // Nearly all paths take the same.
        let (mut known, mut sum) = ((usize::MAX, 0), 0);
        for whole in self.destinations.iter().map(Destination::largest_whole) {
            if whole != known.0 {
                known = (whole, larger_than(whole));
            }
            sum += known.1;
        }
        sum
    }

    /// A packet that large, on the narrowest path.
    #[cold]
    pub fn oversize(&self, bytes: usize) -> Option<Oversize> {
        let narrowest = self.destinations.iter().min_by_key(|destination| destination.largest_whole())?;
        Some(Oversize { bytes, to: narrowest.address()?, is_dropped: false })
    }

    /// Lets those go who leave.
    pub fn dismiss(&mut self, gone: &Gone) {
        let mut stay = self.members.iter().map(|member| !gone.contains_key(&member.number));
        self.destinations.retain(|_| stay.next().unwrap_or(true));
        self.whole = smallest_whole(&self.destinations);
        let spot = self.spot();
        self.members.retain(|member| stays(gone, member.number, |heir| heir.tell(spot.clone())));
    }
}

/// It leaves, or its lane goes.
impl Drop for Member {
    fn drop(&mut self) {
        self.stake.close();
    }
}

/// Whether somebody stays; who does not has whoever serves them next told.
pub(super) fn stays(gone: &Gone, number: u64, tell: impl FnOnce(&Arc<Handover>)) -> bool {
    let Some(heir) = gone.get(&number) else { return true };
    if let Some(heir) = heir {
        tell(heir);
    }
    false
}

pub(super) fn smallest_whole(destinations: &[Destination]) -> usize {
    destinations.iter().map(Destination::largest_whole).min().unwrap_or(usize::MAX)
}
