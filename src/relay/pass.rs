//! The pass: from when a lane has to wait for a worker until all that waited then have had one.
//!
//! Were a lane's hold to begin while the others are still being served, it would be due again by the time
//! they all have been: the workers would never rest, at batches smaller than they need be. So a hold that
//! would begin during a pass begins when the pass is over, and the lanes that took part are due together, in
//! the order in which they were served: whatever their number, a cycle is a pass and a hold.
//!
//! The pass is over when its last task runs, which was put on the queue behind all that waited.

use std::mem;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use crate::event::{Task, TaskQueue, Window, Work, clock, lock};

use super::lane::Lane;

/// A pass at least this long is worth looking for more packets while it lasts.
const LONG: Duration = Duration::from_millis(2);
/// Looks in a long pass.
const LOOKS: u32 = 4;

/// The pass that is under way, if one is.
#[derive(Default)]
pub(super) struct Pass(Mutex<State>);

#[derive(Default)]
struct State {
    began: Option<Instant>,
    /// Lanes that will hold packets once it is over.
    deferred: Vec<Weak<Lane>>,
    /// When the pass before it was over.
    ended: Option<Instant>,
    /// How long that one took; zero once nobody waits any more.
    took: Duration,
}

impl Pass {
    /// A held lane's run is over. A pass begins with it if something waits on the queue.
    pub fn run_ended(self: &Arc<Self>, queue: &TaskQueue, started_at: Instant) {
        let others_wait = queue.depth() > 0;
        let mut state = lock(&self.0);
        if state.began.is_some() {
            return;
        }
        if others_wait {
            state.began = Some(started_at);
            drop(state);
            queue.push(Task::new("EndPass", self.clone()));
        } else {
            state.took = Duration::ZERO;
        }
    }

    /// When a hold of `lane` that would begin at `since` does begin. `None`: a pass is under way, and the lane will
    /// hear of its end.
    pub fn hold_begins(&self, lane: &Arc<Lane>, since: Instant) -> Option<Instant> {
        let mut state = lock(&self.0);
        if state.began.is_some() {
            state.deferred.push(Arc::downgrade(lane));
            return None;
        }
        Some(state.ended.map_or(since, |ended| since.max(ended)))
    }

    /// When a lane that waits for a worker will want more packets. In a long pass its turn may come at any time,
    /// and what arrives before goes along; `None`: its turn is now.
    pub fn next_look(&self, now: Instant) -> Option<Window> {
        let took = lock(&self.0).took;
        (took >= LONG).then(|| Window::ending(now + took / LOOKS, Duration::ZERO))
    }

    fn end(&self, now: Instant) {
        let mut state = lock(&self.0);
        state.took = state.began.take().map_or(Duration::ZERO, |began| now.saturating_duration_since(began));
        state.ended = Some(now);
        let deferred = mem::take(&mut state.deferred);
        drop(state);
        let mut lanes: Vec<_> = deferred.iter().filter_map(Weak::upgrade).collect();
        lanes.sort_by_cached_key(|lane| lane.previous_end());
        lanes.iter().for_each(|lane| lane.hold_from(now, now));
    }
}

impl Work for Pass {
    fn run(self: Arc<Self>) {
        self.end(clock::now());
    }

    fn close(self: Arc<Self>) {
        self.end(clock::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Class, Poller, Timers};
    use crate::relay::Coalesce;
    use crate::relay::lane::{Dispatch, Outlet};
    use crate::relay::rig::ROOMY;
    use crate::relay::ring::Ring;
    use std::sync::mpsc::{Receiver, Sender, channel};

    const HOLD: Duration = Duration::from_secs(3600);

    /// Keeps the queue's one worker until the test lets go.
    struct Gate(Mutex<Receiver<()>>);

    impl Work for Gate {
        fn run(self: Arc<Self>) {
            let _ = lock(&self.0).recv();
        }

        fn close(self: Arc<Self>) {}
    }

    /// A dispatch whose one worker is busy while another task waits behind it.
    fn contended() -> (Dispatch, Sender<()>) {
        let queue = TaskQueue::start("t-pass", 1).expect("a thread");
        let poller = Poller::new(8, 1, queue.clone(), queue.clone()).expect("a thread");
        let timers = Timers::start(&poller, Class::Media).expect("a timer");
        poller.stop();
        let (open, gate) = channel();
        let gate = Arc::new(Gate(Mutex::new(gate)));
        queue.push(Task::new("gate", gate.clone()));
        queue.push(Task::new("gate", gate));
        (Dispatch::new(queue, timers, 1), open)
    }

    fn lane(dispatch: &Dispatch) -> Arc<Lane> {
        let ring = Arc::new(Ring::new(ROOMY));
        Lane::new(ring, dispatch.clone(), Coalesce::Fixed(HOLD), Outlet::Streams, Arc::default())
    }

    #[test]
    fn holds_begin_when_the_pass_is_over() {
        let (dispatch, gate) = contended();
        let (first, second) = (lane(&dispatch), lane(&dispatch));
        let pass = dispatch.pass.clone();
        let began = clock::now();
        pass.run_ended(&dispatch.queue, began);
        first.packet_arrived(began, began);
        second.packet_arrived(began, began);
        drop(second);
        assert!(dispatch.timers.is_empty(), "nobody is due before the pass is over");
        drop(gate);
        dispatch.queue.stop();
        assert_eq!(dispatch.timers.len(), 1, "who has gone meanwhile is not waited for");
        let late = lane(&dispatch);
        let begins = pass.hold_begins(&late, began).expect("no pass is under way");
        assert!(begins > began, "a packet of before the end waits from the end on");
    }

    #[test]
    fn without_anyone_who_waits_there_is_no_pass() {
        let (dispatch, gate) = contended();
        drop(gate);
        dispatch.queue.stop();
        let (lane, now) = (lane(&dispatch), clock::now());
        dispatch.pass.run_ended(&dispatch.queue, now);
        assert_eq!(dispatch.pass.hold_begins(&lane, now), Some(now));
        assert_eq!(dispatch.pass.next_look(now), None);
    }
}
