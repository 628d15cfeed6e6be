//! Who may run: the one-at-a-time rule of a lane and of a connection's output, without a lock.
//!
//! ```text
//!            request            begin             finish
//!    idle ──────────▶ queued ──────────▶ running ────────▶ idle
//!     │                  ▲                │    ▲
//!     │ claim            │ finish         │    │ finish_claim
//!     └──────▶ running   └──── dirty ◀────┘    └── dirty (run again, at once)
//!                                     request / claim
//! ```
//!
//! A request made while a run is under way is never lost: the run ends dirty and is repeated. Every step
//! is a read-modify-write, so what the requester published before is seen by the run that follows.

use super::sync::{AtomicU8, Ordering};

const IDLE: u8 = 0;
const QUEUED: u8 = 1;
const RUNNING: u8 = 2;
const DIRTY: u8 = 3;

/// The state of something that runs at most once at a time.
#[derive(Debug)]
pub struct RunState(AtomicU8);

impl Default for RunState {
    fn default() -> Self {
        Self(AtomicU8::new(IDLE))
    }
}

impl RunState {
    /// Asks for a run. `true`: the caller puts the work on its queue. `false`: a run is already to come.
    #[must_use]
    pub fn request(&self) -> bool {
        self.step(|state| match state {
            IDLE => QUEUED,
            RUNNING => DIRTY,
            other => other,
        }) == IDLE
    }

    /// The queued run starts.
    pub fn begin(&self) {
        self.step(|_| RUNNING);
    }

    /// The queued run is over. `true`: more was asked for meanwhile, or something `is_left` that was asked for before
    /// the run began and that it did not do; the caller queues the work again.
    #[must_use]
    pub fn finish(&self, is_left: impl FnOnce() -> bool) -> bool {
        let dirty = self.step(|state| if state == DIRTY { QUEUED } else { IDLE }) == DIRTY;
        dirty || (is_left() && self.request())
    }

    /// The run is over, and its work already waits elsewhere to be queued again: requests ask for nothing.
    pub fn park(&self) {
        self.step(|_| QUEUED);
    }

    /// Asks to run right here, on the caller's thread. `false`: someone else is running and will run
    /// again on the caller's behalf.
    #[must_use]
    pub fn claim(&self) -> bool {
        self.step(|state| if state == IDLE { RUNNING } else { DIRTY }) == IDLE
    }

    /// The claimed run is over. `true`: the caller still holds the claim and runs once more.
    #[must_use]
    pub fn finish_claim(&self) -> bool {
        self.step(|state| if state == DIRTY { RUNNING } else { IDLE }) == DIRTY
    }

    /// Whether a run was asked for that has not begun.
    pub fn is_queued(&self) -> bool {
        self.0.load(Ordering::Relaxed) == QUEUED
    }

    fn step(&self, next: impl Fn(u8) -> u8) -> u8 {
        let mut state = self.0.load(Ordering::Relaxed);
        loop {
            match self.0.compare_exchange(state, next(state), Ordering::AcqRel, Ordering::Relaxed) {
                Ok(previous) => return previous,
                Err(actual) => state = actual,
            }
        }
    }
}

#[cfg(all(test, not(model)))]
mod tests {
    use super::*;

    #[test]
    fn a_request_while_queued_asks_for_nothing_new() {
        let state = RunState::default();
        assert!(state.request());
        assert!(!state.request());
        state.begin();
        assert!(!state.finish(|| false));
        assert!(state.request());
    }

    #[test]
    fn a_request_while_running_queues_one_more_run() {
        let state = RunState::default();
        assert!(state.request());
        state.begin();
        assert!(!state.request());
        assert!(!state.request());
        assert!(state.finish(|| false));
        state.begin();
        assert!(!state.finish(|| false));
    }

    #[test]
    fn a_refused_claim_is_made_good_by_the_holder() {
        let state = RunState::default();
        assert!(state.claim());
        assert!(!state.claim());
        assert!(state.finish_claim());
        assert!(!state.finish_claim());
        assert!(state.claim());
    }
}

#[cfg(all(test, model))]
mod loom_models {
    use super::*;
    use loom::sync::Arc;
    use loom::sync::atomic::AtomicUsize;

    /// Two producers publish and request; workers drain. Everything published is seen, and two runs
    /// never overlap.
    #[test]
    fn loom_nothing_published_is_left_behind() {
        loom::model(|| {
            let state = Arc::new(RunState::default());
            let published = Arc::new(AtomicUsize::new(0));
            let seen = Arc::new(AtomicUsize::new(0));
            let running = Arc::new(AtomicUsize::new(0));
            let produce = {
                let (state, published) = (state.clone(), published.clone());
                let (seen, running) = (seen.clone(), running.clone());
                move || {
                    published.fetch_add(1, Ordering::Relaxed);
                    let mut queued = state.request();
                    while queued {
                        state.begin();
                        assert_eq!(running.fetch_add(1, Ordering::Relaxed), 0, "two runs at once");
                        seen.store(published.load(Ordering::Relaxed), Ordering::Relaxed);
                        running.fetch_sub(1, Ordering::Relaxed);
                        queued = state.finish(|| false);
                    }
                }
            };
            let other = loom::thread::spawn(produce.clone());
            produce();
            other.join().expect("the model's thread ends");
            assert_eq!(seen.load(Ordering::Relaxed), 2);
        });
    }

    #[test]
    fn loom_a_claim_covers_what_others_published() {
        loom::model(|| {
            let state = Arc::new(RunState::default());
            let published = Arc::new(AtomicUsize::new(0));
            let written = Arc::new(AtomicUsize::new(0));
            let pump = {
                let (state, published, written) = (state.clone(), published.clone(), written.clone());
                move || {
                    published.fetch_add(1, Ordering::Relaxed);
                    if !state.claim() {
                        return;
                    }
                    loop {
                        written.store(published.load(Ordering::Relaxed), Ordering::Relaxed);
                        if !state.finish_claim() {
                            break;
                        }
                    }
                }
            };
            let other = loom::thread::spawn(pump.clone());
            pump();
            other.join().expect("the model's thread ends");
            assert_eq!(written.load(Ordering::Relaxed), 2);
        });
    }

    /// Someone publishes and asks while a run parks and goes on in another run. What the second one did not see is left
    /// at its end, and asked for there.
    fn parked_run(serves_what_the_first_run_saw: bool) {
        loom::model(move || {
            let state = Arc::new(RunState::default());
            let published = Arc::new(AtomicUsize::new(1));
            let queued = Arc::new(AtomicUsize::new(0));
            assert!(state.request());
            let asker = {
                let (state, published, queued) = (state.clone(), published.clone(), queued.clone());
                loom::thread::spawn(move || {
                    published.fetch_add(1, Ordering::Relaxed);
                    if state.request() {
                        queued.fetch_add(1, Ordering::Relaxed);
                    }
                })
            };
            let read = || published.load(Ordering::Relaxed);
            state.begin();
            let seen_first = read();
            state.park();
            state.begin();
            let seen = if serves_what_the_first_run_saw { seen_first } else { read() };
            let again = state.finish(|| serves_what_the_first_run_saw && read() > seen);
            asker.join().expect("the model's thread ends");
            let asked_after_the_end = queued.load(Ordering::Relaxed) == 1;
            assert!(seen == 2 || again || asked_after_the_end, "nothing published is left behind");
            assert!(!(again && asked_after_the_end), "queued twice");
        });
    }

    /// A lane that found no room: whatever it waits for queues it again, and a request made before that is covered.
    #[test]
    fn loom_a_parked_run_goes_on_for_all_who_asked_meanwhile() {
        parked_run(false);
    }

    /// A round of two runs serves what was there when it began; who asks in between finds the work queued.
    #[test]
    fn loom_what_a_long_round_left_is_asked_for_at_its_end() {
        parked_run(true);
    }
}
