//! What all lanes share: the queue they run on, the beats they go by, and how late they are.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::event::{TaskQueue, Timers, clock, lock};

use super::beat::{Beat, Coalesce, Sleeper, Turn};
use super::burst_budget::BurstBudget;
use super::busy::Busy;
use super::lateness::Lateness;
use super::ledger::Ledger;

/// The longest rest of `auto` where there are UDP subscribers.
const MAX_DATAGRAM_REST: Duration = Duration::from_millis(5);
/// The longest rest of `auto` for subscribers over a connection, whose players buffer more.
const MAX_STREAM_REST: Duration = Duration::from_millis(20);

/// Where lanes run, when, and what came of it.
#[derive(Clone)]
pub struct Dispatch {
    /// The queue of media.
    pub queue: Arc<TaskQueue>,
    /// The timers of media.
    pub timers: Arc<Timers>,
    /// How busy the media threads are.
    pub busy: Arc<Busy>,
    /// How late packets leave.
    pub lateness: Arc<Lateness>,
    /// What those may take who are brought level.
    pub bursts: Arc<BurstBudget>,
    /// What may be sent again.
    pub repairs: Arc<BurstBudget>,
    /// What all of them have counted.
    pub ledger: Arc<Ledger>,
    rhythms: Arc<Mutex<Vec<Arc<Rhythm>>>>,
}

/// The beats of all channels with one `coalesce`.
pub struct Rhythm {
    coalesce: Coalesce,
    pub(super) datagrams: Arc<Beat>,
    pub(super) streams: Arc<Beat>,
}

impl Dispatch {
    /// For lanes that run on `queue`, whose workers are `busy`.
    pub fn new(
        queue: Arc<TaskQueue>,
        timers: Arc<Timers>,
        busy: Arc<Busy>,
        lateness: Arc<Lateness>,
        bursts: Arc<BurstBudget>,
        repairs: Arc<BurstBudget>,
    ) -> Self {
        Self {
            queue,
            timers,
            busy,
            lateness,
            bursts,
            repairs,
            ledger: Arc::default(),
            rhythms: Arc::default(),
        }
    }

    /// Another one, whose lanes run on another queue: what is sent here never waits for those.
    #[must_use]
    pub fn beside(&self, queue: Arc<TaskQueue>, busy: Arc<Busy>, lateness: Arc<Lateness>) -> Self {
        Self { queue, busy, lateness, rhythms: Arc::default(), ..self.clone() }
    }

    /// The rhythm of a `coalesce`.
    pub(super) fn rhythm(&self, coalesce: Coalesce) -> Arc<Rhythm> {
        let mut rhythms = lock(&self.rhythms);
        if let Some(rhythm) = rhythms.iter().find(|rhythm| rhythm.coalesce == coalesce) {
            return rhythm.clone();
        }
        let now = clock::now();
        let beat = |longest| {
            Beat::new(coalesce, longest, self.queue.clone(), self.timers.clone(), self.busy.clone(), now)
        };
        let (datagrams, streams) = (beat(MAX_DATAGRAM_REST), beat(MAX_STREAM_REST));
        let rhythm = Arc::new(Rhythm { coalesce, datagrams, streams });
        rhythms.push(rhythm.clone());
        rhythm
    }

    /// Lets go of all lanes that wait. The queue has ended.
    pub fn stop(&self) {
        for rhythm in lock(&self.rhythms).iter() {
            rhythm.datagrams.stop();
            rhythm.streams.stop();
        }
    }
}

impl Rhythm {
    /// When it is the turn of packets that wait where they arrived: that of the sooner beat. `None`: nobody wants any.
    pub fn turn(&self, sleeper: &Arc<dyn Sleeper>, now: Instant) -> Option<Turn> {
        [&self.datagrams, &self.streams].into_iter().filter_map(|beat| beat.turn(sleeper, now)).min()
    }

    /// What was taken in is in the rings, and the lanes know: begins the beats that are due.
    pub fn go(&self, now: Instant) {
        self.datagrams.go(now);
        self.streams.go(now);
    }
}
