//! Books: what one subscriber is sent, to be read while it goes on and once it is over. Nothing is counted for a subscriber
//! while packets go out: those who stand at one place share what has passed it, and each knows how much had when it came.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

use crate::event::lock;

/// What a subscriber was sent of a flow.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// Packets that the kernel took, or is about to be given.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Packets that were due to it and left the ring unsent, or that the kernel refused.
    pub missed: u64,
}

/// Tells what one subscriber was sent so far. Once nobody else has it, that is what it comes to.
pub trait Account: Send + Sync + 'static {
    /// So much by now.
    fn sent(&self) -> Sent;
}

/// Keeps accounts. The last reference goes when no packet can be sent any more.
pub trait Books: Send + Sync + 'static {
    /// One more is opened.
    fn open(&self, account: Arc<dyn Account>);
}

/// What has passed a place. One thread at a time counts, and any may read.
#[derive(Debug, Default)]
pub(super) struct Passed {
    packets: AtomicU64,
    bytes: AtomicU64,
    missed: AtomicU64,
}

/// The account of one who shares what has passed a place with others.
#[derive(Default)]
pub(super) struct Stake(Mutex<Staked>);

#[derive(Default)]
struct Staked {
    /// Where it stands. `None`: not yet, or no more.
    place: Option<Arc<Passed>>,
    /// What had passed when it came, and what passed it by since. Only the difference to the whole means something.
    since: Sent,
}

impl Sent {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            packets: self.packets.wrapping_add(other.packets),
            bytes: self.bytes.wrapping_add(other.bytes),
            missed: self.missed.wrapping_add(other.missed),
        }
    }

    /// What is beyond another one.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self {
            packets: self.packets.wrapping_sub(other.packets),
            bytes: self.bytes.wrapping_sub(other.bytes),
            missed: self.missed.wrapping_sub(other.missed),
        }
    }
}

impl Passed {
    /// These are sent, or about to be.
    pub fn send(&self, packets: u64, bytes: u64) {
        add(&self.packets, packets);
        add(&self.bytes, bytes);
    }

    /// So many have left the ring unsent.
    pub fn miss(&self, packets: u64) {
        add(&self.missed, packets);
    }

    /// One that was said to be sent is missed.
    pub fn unsend(&self, bytes: u64) {
        add(&self.packets, 1_u64.wrapping_neg());
        add(&self.bytes, bytes.wrapping_neg());
        self.miss(1);
    }
}

impl Account for Passed {
    fn sent(&self) -> Sent {
        Sent {
            packets: self.packets.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            missed: self.missed.load(Relaxed),
        }
    }
}

impl Stake {
    /// Its owner comes to that place, or goes on there from where it was.
    pub fn move_to(&self, place: &Arc<Passed>) {
        let mut staked = lock(&self.0);
        staked.since = place.sent().minus(staked.sent());
        staked.place = Some(place.clone());
    }

    /// Of what has passed it was not sent this.
    pub fn except(&self, packets: u64, bytes: u64) {
        let excepted = Sent { packets, bytes, missed: packets.wrapping_neg() };
        let mut staked = lock(&self.0);
        staked.since = staked.since.plus(excepted);
    }

    /// Its owner leaves: what passes from here on is not for it.
    pub fn close(&self) {
        let mut staked = lock(&self.0);
        *staked = Staked { place: None, since: Sent::default().minus(staked.sent()) };
    }
}

impl Account for Stake {
    fn sent(&self) -> Sent {
        lock(&self.0).sent()
    }
}

impl Staked {
    fn sent(&self) -> Sent {
        let passed = self.place.as_ref().map(|place| place.sent()).unwrap_or_default();
        passed.minus(self.since)
    }
}

/// As one thread at a time counts, nothing is lost between the two.
fn add(counter: &AtomicU64, count: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(count), Relaxed);
}
