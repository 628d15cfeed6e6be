//! A Flow: the ring of one kind of packet (RTP or RTCP) of a track, and the lanes that read it.

use std::any::Any;
use std::collections::HashMap;
use std::mem;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use crate::event::lock;
use crate::net::Marks;

use super::batch::StreamSink;
use super::beat::Coalesce;
use super::books::{Account, Books, Sent, Stake};
use super::burst_budget::BurstBudget;
use super::carriage::Carriage;
use super::cursor::{Bursts, Cursor};
use super::dispatch::{Dispatch, Rhythm};
use super::handover::{Handover, Place};
use super::lane::{Lane, Outlet};
use super::mailbox::{Change, DatagramMember};
use super::outward::Outward;
use super::reach::Reach;
use super::repair_counts::{RepairCounts, RepairTotals};
use super::ring::{Packet, Ring, RingLimits};
use super::server_socket::ServerSocket;
use super::standing::Standing;
use super::totals::{SentTotals, Totals};

/// Subscribers of a lane before another one is opened beside it, as long as a worker is without one.
const MEMBERS_BEFORE_SPREAD: usize = 128;

/// One ring and its lanes.
pub struct Flow {
    pub(super) outward: Arc<Outward>,
    ring: Arc<Ring>,
    pub(super) dispatch: Dispatch,
    rhythm: Arc<Rhythm>,
    /// Something was received that the lanes have not been told of.
    touched: AtomicBool,
    lanes: Mutex<Vec<Open>>,
    /// The same lanes for those who tell them, who never wait for subscribers that come and go.
    published: Mutex<Arc<[Arc<Lane>]>>,
    next_number: AtomicU64,
    /// Where those who are subscribed over streams stand, by their numbers.
    places: Mutex<HashMap<u64, Seat>>,
    /// Those of them who are brought level.
    underway: Arc<AtomicUsize>,
    totals: [Arc<Totals>; Carriage::ALL.len()],
    repairs: RepairCounts,
}

/// A lane that takes subscribers, and how many it has.
struct Open {
    lane: Arc<Lane>,
    members: usize,
}

/// Where one who is subscribed over a stream stands, and by what it is counted.
#[derive(Clone)]
struct Seat {
    by: Carriage,
    place: Arc<Standing>,
}

/// A subscriber's membership in a lane; ends when it is dropped.
pub struct Subscription {
    flow: Arc<Flow>,
    lane: Arc<Lane>,
    number: u64,
    /// Who serves the subscriber next.
    heir: Option<Arc<Handover>>,
    stance: Stance,
}

/// What a subscriber is sent, and how far.
enum Stance {
    Stream(Seat),
    Datagrams(Arc<Stake>, Reach),
}

impl Flow {
    /// An empty flow of a channel.
    pub fn new(
        outward: &Arc<Outward>,
        limits: RingLimits,
        coalesce: Coalesce,
        dispatch: Dispatch,
    ) -> Arc<Self> {
        let ring = Arc::new(Ring::new(limits));
        let totals = Carriage::ALL.map(|_| dispatch.ledger.open_totals());
        Arc::new(Self {
            outward: outward.clone(),
            ring,
            rhythm: dispatch.rhythm(coalesce),
            dispatch,
            touched: AtomicBool::new(false),
            lanes: Mutex::default(),
            published: Mutex::new(Arc::new([])),
            next_number: AtomicU64::new(0),
            places: Mutex::default(),
            underway: Arc::default(),
            totals,
            repairs: RepairCounts::default(),
        })
    }

    /// The newest packets.
    pub fn ring(&self) -> &Ring {
        &self.ring
    }

    /// Has its ring reach back to where these are entered.
    pub(super) fn follow(&self, leads: &[Arc<Self>]) {
        self.ring.follow(leads.iter().map(|lead| lead.ring.clone()).collect());
    }

    /// What the IP header of its packets says.
    pub fn marks(&self) -> Marks {
        self.outward.marks
    }

    /// The rhythm that its lanes go by.
    pub fn rhythm(&self) -> &Arc<Rhythm> {
        &self.rhythm
    }

    /// Appends packets without telling anyone: [`tell`](Self::tell) follows once the batch is in. `true`: as [`Ring::push`] has it.
    pub fn push(&self, packets: impl IntoIterator<Item = Packet>) -> bool {
        self.ring.push(packets)
    }

    /// Notes that something was received. `true`: for the first time since the lanes were told.
    pub fn touch(&self) -> bool {
        !self.touched.swap(true, Relaxed)
    }

    /// Has the lanes wait for the next beat, which the [`Rhythm`] begins.
    pub fn tell(&self) {
        self.touched.store(false, Relaxed);
        let lanes = lock(&self.published).clone();
        lanes.iter().for_each(|lane| lane.wait_for_beat());
    }

    /// Tells of what was taken in by a timer, and not with what a socket gave.
    pub fn tell_now(&self, now: Instant) {
        self.tell();
        self.rhythm.go(now);
    }

    /// Runs `work` at a time, on a thread of media: it is brief.
    pub fn run_at(&self, at: Instant, work: impl FnOnce() + Send + 'static) {
        self.dispatch.timers.run_here_at(at, work);
    }

    /// Subscribes an address from there on, to packets or to their payloads alone. `reservation` is kept for as long as packets may
    /// still go to the address, and what went there is in `books`.
    pub fn subscribe_datagrams(
        self: &Arc<Self>,
        by: Carriage,
        (socket, address): (&Arc<ServerSocket>, SocketAddr),
        from: impl Into<Place>,
        reservation: Arc<dyn Any + Send + Sync>,
        books: Option<Arc<dyn Books>>,
    ) -> Subscription {
        let (destination, stake) = (socket.destination(address), Arc::<Stake>::default());
        books.iter().for_each(|books| books.open(stake.clone()));
        let from = from.into();
        let lane = self.lane_for(Outlet::Datagrams(socket.clone(), by));
        let reach = Reach::of(Arc::downgrade(&lane), &from);
        let subscription = self.subscribe(lane, Stance::Datagrams(stake.clone(), reach), |number| {
            let member = DatagramMember { number, destination, reservation, stake, books };
            Change::JoinDatagrams { from: from.clone(), member }
        });
        if let Place::After(before) = from {
            subscription.when_told(&before, || ());
        }
        subscription
    }

    /// Subscribes a stream connection. It reads by the [`cursor`](Self::cursor) that has this `place`, and begins there.
    pub fn subscribe_stream(
        self: &Arc<Self>,
        by: Carriage,
        sink: Arc<dyn StreamSink>,
        place: Arc<Standing>,
    ) -> Subscription {
        let before = place.after().cloned();
        let (lane, stance) =
            (self.lane_for(Outlet::Streams), Stance::Stream(Seat { by, place: place.clone() }));
        let subscription = self.subscribe(lane, stance, |number| Change::JoinStream { number, sink });
        if let Some(before) = before {
            subscription.when_told(&before, move || {
                place.begin();
            });
        }
        subscription
    }

    /// A cursor that begins there, and is counted by that.
    pub fn cursor(&self, by: Carriage, from: impl Into<Place>) -> Cursor {
        let bursts = Bursts { underway: self.underway.clone(), budget: self.dispatch.bursts.clone() };
        Cursor::new(self.ring.clone(), from.into(), self.of(by).clone(), bursts)
    }

    /// What was sent so far, and missed: also by those who stand still.
    pub fn sent(&self, by: Carriage) -> SentTotals {
        if Carriage::STREAMS.contains(&by) {
            self.count_missed();
        }
        self.of(by).read()
    }

    /// How many packets are there that the slowest of those over connections has not taken.
    pub fn waiting(&self) -> u64 {
        let (head, places) = (self.ring.head(), lock(&self.places));
        let slowest = places.values().map(|seat| seat.place.next().min(head)).min();
        slowest.map_or(0, |slowest| head - slowest)
    }

    /// What viewers have asked for again, and what came of it.
    pub fn repaired(&self) -> RepairTotals {
        self.repairs.read()
    }

    /// Whether anything is sent again.
    pub fn is_repaired(&self) -> bool {
        self.outward.repair_percent > 0
    }

    pub(super) fn repairs(&self) -> &RepairCounts {
        &self.repairs
    }

    /// What a viewer may be sent again a second.
    pub(super) fn repair_bytes_per_second(&self) -> f64 {
        self.ring.bits_per_second() as f64 / 8.0 * f64::from(self.outward.repair_percent) / 100.0
    }

    /// What all viewers may be sent again.
    pub(super) fn repair_budget(&self) -> &BurstBudget {
        &self.dispatch.repairs
    }

    /// The name of its channel.
    pub(super) fn channel(&self) -> &str {
        &self.outward.channel
    }

    /// Times that connections which had fallen out of the ring went on.
    pub fn reentries(&self) -> u64 {
        Carriage::STREAMS.into_iter().map(|by| self.of(by).read().came_back).sum()
    }

    /// Counts what those who stand still have missed by now.
    pub fn count_missed(&self) {
        let tail = self.ring.tail();
        for Seat { by, place } in lock(&self.places).values().filter(|seat| seat.place.next() < tail) {
            self.of(*by).overrun(self.ring.settle(place));
        }
    }

    fn subscribe(
        self: &Arc<Self>,
        lane: Arc<Lane>,
        stance: Stance,
        join: impl FnOnce(u64) -> Change,
    ) -> Subscription {
        let number = self.next_number.fetch_add(1, Relaxed);
        if let Stance::Stream(seat) = &stance {
            lock(&self.places).insert(number, seat.clone());
        }
        lane.change(join(number));
        Subscription { flow: self.clone(), lane, number, heir: None, stance }
    }

    /// The lane of one more subscriber: the one with the fewest, or another one beside it.
    fn lane_for(&self, outlet: Outlet) -> Arc<Lane> {
        let mut lanes = self.lanes();
        let serves = |open: &&mut Open| open.lane.serves(&outlet);
        let mut serving: Vec<_> = lanes.iter_mut().filter(serves).collect();
        let enough_lanes = serving.len() >= self.dispatch.busy.workers();
        let room = if enough_lanes { usize::MAX } else { MEMBERS_BEFORE_SPREAD };
        let roomiest = serving.iter_mut().min_by_key(|open| open.members);
        if let Some(open) = roomiest.filter(|open| open.members < room) {
            open.members += 1;
            return open.lane.clone();
        }
        let totals = self.of(outlet.carriage()).clone();
        let lane = Lane::new(
            self.outward.clone(),
            self.ring.clone(),
            self.dispatch.clone(),
            &self.rhythm,
            outlet,
            totals,
            self.underway.clone(),
        );
        lanes.push(Open { lane: lane.clone(), members: 1 });
        self.publish(&lanes);
        lane
    }

    fn leave(&self, lane: &Arc<Lane>, number: u64, heir: Option<Arc<Handover>>) {
        let mut lanes = self.lanes();
        if let Some(place) = lanes.iter().position(|open| Arc::ptr_eq(&open.lane, lane)) {
            lanes[place].members -= 1;
            if lanes[place].members == 0 {
                lanes.swap_remove(place);
                self.publish(&lanes);
            }
        }
        drop(lanes);
        lane.change(Change::Leave { number, heir });
    }

    fn publish(&self, lanes: &[Open]) {
        let published = lanes.iter().map(|open| open.lane.clone()).collect();
        let before = mem::replace(&mut *lock(&self.published), published);
        drop(before); // outside the lock, as it may be the last of a lane
    }

    fn of(&self, by: Carriage) -> &Arc<Totals> {
        &self.totals[by as usize]
    }

    fn lanes(&self) -> MutexGuard<'_, Vec<Open>> {
        lock(&self.lanes)
    }
}

impl Subscription {
    /// Has the lane look again once `before` has told where to begin, which is `noted` first.
    fn when_told(&self, before: &Handover, noted: impl FnOnce() + Send + 'static) {
        let lane = Arc::downgrade(&self.lane);
        before.when_told(move || {
            noted();
            // A change, not a mere wake-up: one that comes in the middle of a round has a round after it.
            lane.upgrade().iter().for_each(|lane| lane.change(Change::Told));
        });
    }

    /// What it is sent.
    pub fn account(&self) -> Arc<dyn Account> {
        match &self.stance {
            Stance::Stream(seat) => seat.place.clone(),
            Stance::Datagrams(stake, _) => stake.clone(),
        }
    }

    /// What it was sent so far, and how many packets are there that it was not sent yet; nothing is before it has begun.
    pub fn progress(&self) -> (Sent, u64) {
        let next = match &self.stance {
            Stance::Stream(seat) => seat.place.begun(),
            Stance::Datagrams(_, reach) => Some(reach.next()),
        };
        let behind = next.map_or(0, |next| self.flow.ring.head().saturating_sub(next));
        (self.account().sent(), behind)
    }

    /// How far one who begins there has been sent packets.
    pub fn reach(&self, from: &Place) -> Reach {
        Reach::of(Arc::downgrade(&self.lane), from)
    }

    /// The number of the packet up to which it was sent all, once it has begun.
    pub fn settled(&self) -> Option<u64> {
        match &self.stance {
            Stance::Stream(seat) => seat.place.begun(),
            Stance::Datagrams(_, reach) => Some(reach.settled()),
        }
    }

    /// Ends an address's membership, and has `heir` told up to where it was served. A connection tells by its
    /// [`Cursor`].
    pub fn hand_over(mut self, heir: &Arc<Handover>) {
        self.heir = Some(heir.clone());
    }
}

impl Drop for Subscription {
    /// What it has missed so far is counted, and nothing that comes after.
    fn drop(&mut self) {
        if let Stance::Stream(Seat { by, place }) = &self.stance {
            self.flow.of(*by).overrun(self.flow.ring.settle(place));
            place.end();
            lock(&self.flow.places).remove(&self.number);
        }
        self.flow.leave(&self.lane, self.number, self.heir.take());
    }
}

#[cfg(all(test, not(model)))]
#[path = "flow_tests.rs"]
mod tests;
