//! The Beat: the one idea that decides when packets leave.
//!
//! A beat takes in what has arrived, queues each lane that has something, once, and is over when each of them has had
//! its turn. Then it rests, packets gather, and the next one takes them all.
//!
//! ```text
//!   open ── something waits ──▶ playing ── all lanes had a turn ──▶ resting ── the rest is over ──▶ open
//! ```
//!
//! **What holds:** a lane's round is queued by a beat and by nothing else; while one plays, no other of its kind begins; and
//! whatever waits when the rest is over goes out with the next. A lane with more to do than one turn goes on behind the
//! others, and never waits for a rest in the middle of it; a rest begins anew when it is done. A message to a subscriber
//! costs nearly the same whether it carries one packet or twenty, so a rest divides the cost per packet:
//!
//! - `auto` rests until the media threads have been busy for no more than their target share of the time, and at
//!   most 5 ms (20 ms over connections). Where there is little to do, the rest is over before the next packet
//!   comes, which goes out as it comes. Where there is much, the rest grows with the work, and so do the batches.
//! - A fixed `coalesce` rests for so long.
//! - Where a lane has a whole message full by the end of a beat there is no rest: it would divide nothing further.
//!
//! Knows neither lanes nor sockets: only work to queue, and [`Sleeper`]s who ask when their turn is.

use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

use crate::event::{Task, TaskQueue, Timers, Work, clock, lock};

use super::busy::Busy;

/// The kind of the task that runs a lane.
pub const FAN_OUT: &str = "FanOut";

/// How long packets of a channel may wait to be sent together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Coalesce {
    /// As long as keeps the media threads at their target, up to 5 ms (20 ms over connections).
    #[default]
    Auto,
    /// Always this long; zero is never.
    Fixed(Duration),
}

/// Beats of one kind, one after the other.
pub(super) struct Beat {
    coalesce: Coalesce,
    /// The longest rest of `auto`.
    longest: Duration,
    queue: Arc<TaskQueue>,
    timers: Arc<Timers>,
    busy: Arc<Busy>,
    /// Lanes that there are; without any there is no beat.
    lanes: AtomicUsize,
    state: Mutex<State>,
    this: Weak<Self>,
}

struct State {
    /// Lanes that have something for the next beat.
    waiting: Vec<Arc<dyn Work>>,
    /// Lanes of this beat whose turn is not over.
    playing: usize,
    /// Lanes that had their turn and go on.
    overhanging: usize,
    began: Instant,
    ended: Instant,
    /// When the rest is over.
    due: Instant,
    /// How long it was let rest before this beat.
    rest: Duration,
    /// What [`Busy`] said at the newest end, and at the one before this beat.
    busy_at_end: Duration,
    busy_before: Duration,
    /// Who is to be told when the next turn is.
    asleep: Vec<Arc<dyn Sleeper>>,
    /// A lane has so much that a rest would be for nothing.
    is_full: bool,
    /// A timer is set, in case that nobody who sleeps wakes.
    alarm: bool,
    stopped: bool,
}

/// When what has arrived is taken in.
/// The smaller is the sooner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Turn {
    /// When the rest is over, or was.
    At(Instant),
    /// A beat plays: at its end the [`Sleeper`] is told.
    Told,
}

/// Whoever leaves packets where they arrive until their turn comes.
pub trait Sleeper: Send + Sync + 'static {
    /// The turn is at `due`, or has come. Called on any thread, and must be brief.
    fn wake_at(&self, due: Instant);
}

/// So often is looked for packets that lanes which are still to come take along.
const LOOK_WHILE_MANY_PLAY: Duration = Duration::from_millis(1);
/// So often, at most, for packets of others than a lane that goes on.
const LOOK_WHILE_ONE_GOES_ON: Duration = Duration::from_millis(5);
/// Who sleeps looks first: lanes that wait for nothing else are queued so much later.
const AFTER_SLEEPERS: Duration = Duration::from_millis(1);

impl Beat {
    pub fn new(
        coalesce: Coalesce,
        longest: Duration,
        queue: Arc<TaskQueue>,
        timers: Arc<Timers>,
        busy: Arc<Busy>,
        now: Instant,
    ) -> Arc<Self> {
        let state = State::new(now);
        Arc::new_cyclic(|this| Self {
            coalesce,
            longest,
            queue,
            timers,
            busy,
            lanes: AtomicUsize::new(0),
            state: Mutex::new(state),
            this: this.clone(),
        })
    }

    /// There is one lane more.
    pub fn add_lane(&self) {
        self.lanes.fetch_add(1, Relaxed);
    }

    /// There is one lane less.
    pub fn remove_lane(&self) {
        self.lanes.fetch_sub(1, Relaxed);
    }

    /// A lane has something, and waits for the next beat; [`go`](Self::go) follows.
    pub fn wait(&self, lane: Arc<dyn Work>) {
        let mut state = self.state();
        if !state.stopped {
            state.waiting.push(lane);
        }
    }

    /// A lane that waits has as much as a message carries: no rest divides the cost any further.
    pub fn skip_rest(&self) {
        self.state().is_full = true;
    }

    /// Begins a beat if lanes wait and it is time.
    pub fn go(&self, now: Instant) {
        let mut state = self.state();
        if state.playing > 0 || state.waiting.is_empty() || state.stopped {
            return;
        }
        let now = now.max(state.ended); // it is later than who asks knew
        if state.due > now {
            return self.set_alarm(&mut state);
        }
        let lanes = mem::take(&mut state.waiting);
        state.playing = lanes.len();
        state.began = now;
        state.busy_before = state.busy_at_end;
        state.is_full = false;
        state.rest = state.due.saturating_duration_since(state.ended);
        drop(state);
        lanes.into_iter().for_each(|lane| self.queue.push(Task::new(FAN_OUT, lane)));
    }

    /// When it is the turn of packets that wait where they arrived. `None`: nobody wants any.
    ///
    /// While lanes are still to come they take along what is taken in, so it is their turn soon. While a lane goes
    /// on it is only the others' turn, who rest anyway.
    pub fn turn(&self, sleeper: &Arc<dyn Sleeper>, now: Instant) -> Option<Turn> {
        if self.lanes.load(Relaxed) == 0 {
            return None;
        }
        let mut state = self.state();
        if state.playing + state.overhanging == 0 {
            return Some(Turn::At(state.due));
        }
        if !state.asleep.iter().any(|other| Arc::ptr_eq(other, sleeper)) {
            state.asleep.push(sleeper.clone());
        }
        if state.playing > self.busy.workers() {
            Some(Turn::At(now + LOOK_WHILE_MANY_PLAY))
        } else if state.playing == 0 {
            Some(Turn::At(state.due.max(now + LOOK_WHILE_ONE_GOES_ON)))
        } else {
            Some(Turn::Told)
        }
    }

    /// A lane of this beat has had its turn; it `goes_on` if it has more to do than that.
    pub fn served(&self, goes_on: bool, now: Instant) {
        let mut state = self.state();
        state.playing = state.playing.saturating_sub(1);
        state.overhanging += usize::from(goes_on);
        self.end(state, now);
    }

    /// A lane that went on is done.
    pub fn overhang_served(&self, now: Instant) {
        let mut state = self.state();
        state.overhanging = state.overhanging.saturating_sub(1);
        self.end(state, now);
    }

    /// The beat is over, unless there are lanes whose turn is still to come: a rest begins.
    fn end(&self, mut state: MutexGuard<'_, State>, now: Instant) {
        if state.playing > 0 {
            return;
        }
        state.ended = now;
        state.busy_at_end = self.busy.total();
        state.due = match self.coalesce {
            _ if state.is_full => now,
            Coalesce::Auto => {
                let worked = state.busy_at_end.saturating_sub(state.busy_before);
                (state.began + self.busy.time_for(worked)).clamp(now, now + self.longest)
            }
            Coalesce::Fixed(rest) => now + rest,
        };
        let asleep = mem::take(&mut state.asleep);
        if asleep.is_empty() {
            drop(state);
            return self.go(now);
        }
        if !state.waiting.is_empty() {
            self.set_alarm(&mut state);
        }
        let due = state.due;
        drop(state);
        asleep.iter().for_each(|sleeper| sleeper.wake_at(due));
    }

    /// Lets go of all that wait: a lane that its beat holds would live for ever.
    pub fn stop(&self) {
        let mut state = self.state();
        state.stopped = true;
        let gone = (mem::take(&mut state.waiting), mem::take(&mut state.asleep));
        drop(state);
        drop(gone); // outside the lock: they may run code of their own as they go
    }

    /// How long packets were let wait, on purpose, for the beat that plays.
    pub fn rested(&self) -> Duration {
        self.state().rest
    }

    fn set_alarm(&self, state: &mut State) {
        if !mem::replace(&mut state.alarm, true)
            && let Some(this) = self.this.upgrade()
        {
            self.timers.run_here_at(state.due + AFTER_SLEEPERS, move || {
                this.state().alarm = false;
                this.go(clock::now());
            });
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    fn new(now: Instant) -> Self {
        Self {
            waiting: Vec::new(),
            playing: 0,
            overhanging: 0,
            began: now,
            ended: now,
            due: now,
            rest: Duration::ZERO,
            busy_at_end: Duration::ZERO,
            busy_before: Duration::ZERO,
            asleep: Vec::new(),
            is_full: false,
            alarm: false,
            stopped: false,
        }
    }
}

#[cfg(all(test, not(model)))]
#[path = "beat_stress_tests.rs"]
mod stress_tests;
#[cfg(all(test, not(model)))]
#[path = "beat_tests.rs"]
mod tests;
