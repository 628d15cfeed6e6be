//! What tests of this floor and the next stand on: lanes that run when the test says so, and packets.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;

use crate::event::{Class, Poller, TaskQueue, Timers, clock, lock};
use crate::net::Marks;
use crate::wire::sdp::Presentation;

use super::lane::{Lane, Outlet};
use super::ring::Ring;
use super::totals::Totals;
use super::{
    Account, Books, BurstBudget, Busy, Channel, Coalesce, Dispatch, EnterAt, Flow, Keeping, Lateness,
    OfferRepair, Outward, Packet, RingLimits, Sent,
};

/// A ring that nothing leaves.
pub const ROOMY: RingLimits = RingLimits { age: Duration::from_secs(3600), bytes: usize::MAX };

/// A channel that forgets nothing, and counts as silent after two seconds.
pub const FORGETS_NOTHING: Keeping = Keeping {
    silent_after: Duration::from_secs(2),
    limits: ROOMY,
    coalesce: Coalesce::Auto,
    enter_at: EnterAt::Live,
    offer_repair: OfferRepair::Known,
};

/// A queue and timers that have stopped, for what asks to be run.
pub fn stopped() -> (Arc<TaskQueue>, Arc<Timers>) {
    let queue = TaskQueue::start("by-hand", 1).expect("a thread");
    let poller = Poller::new(8, 1, queue.clone(), queue.clone()).expect("a thread");
    let timers = Timers::start(&poller, Class::Media).expect("a timer");
    poller.stop();
    queue.stop();
    (queue, timers)
}

/// A dispatch of these: a lane asks for its run, and the test runs it.
pub fn by_hand() -> Dispatch {
    let (queue, timers) = stopped();
    let lateness = Lateness::new(Duration::from_secs(2), clock::now());
    Dispatch::new(
        queue,
        timers,
        Busy::new(1, 0.5, || false),
        lateness.clone(),
        boundless(lateness.clone()),
        boundless(lateness),
    )
}

/// A budget that suffices for all bursts.
pub fn boundless(lateness: Arc<Lateness>) -> Arc<BurstBudget> {
    BurstBudget::new(u64::MAX / 1_000_000, lateness, clock::now())
}

/// How packets of a channel leave that says nothing of it.
pub fn outward(channel: &str) -> Arc<Outward> {
    Outward::new(channel, Marks::default(), 20)
}

/// A channel that forgets nothing, counts as silent after two seconds, and is sent when the test says so.
pub fn channel(name: &str, presentation: Presentation) -> Arc<Channel> {
    Channel::new(&outward(name), presentation, FORGETS_NOTHING, Arc::default(), &by_hand(), clock::now())
}

/// A lane that the test runs.
pub(super) fn lane(ring: &Arc<Ring>, outlet: Outlet, totals: &Arc<Totals>) -> Arc<Lane> {
    let dispatch = by_hand();
    let rhythm = dispatch.rhythm(Coalesce::Fixed(Duration::ZERO));
    Lane::new(outward("news"), ring.clone(), dispatch, &rhythm, outlet, totals.clone(), Arc::default())
}

/// A flow whose lanes the test runs.
pub fn flow(limits: RingLimits) -> Arc<Flow> {
    Flow::new(&outward("news"), limits, Coalesce::Fixed(Duration::ZERO), by_hand())
}

/// Packet number `number`, of `len` bytes that all say so.
pub fn packet(number: u16, len: usize) -> Packet {
    let data = Bytes::from(vec![number as u8; len]);
    let timestamp = u32::from(number) * 90;
    Packet { data, sequence: number, timestamp, arrived_at: clock::now() }
}

/// Accounts that were opened.
#[derive(Default)]
pub struct Record(Mutex<Vec<Arc<dyn Account>>>);

impl Record {
    /// What each came to that is over.
    pub fn settled(&self) -> Vec<Sent> {
        let accounts = lock(&self.0);
        let over = accounts.iter().filter(|account| Arc::strong_count(account) == 1);
        over.map(|account| account.sent()).collect()
    }

    /// What each comes to so far.
    pub fn so_far(&self) -> Vec<Sent> {
        lock(&self.0).iter().map(|account| account.sent()).collect()
    }
}

impl Books for Record {
    fn open(&self, account: Arc<dyn Account>) {
        lock(&self.0).push(account);
    }
}
