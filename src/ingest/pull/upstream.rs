//! An Upstream: one stream that is pulled, from the first who wants it to the last, over as many links as it takes.
//!
//! ```text
//!  idle ── wanted ──▶ looked up ──▶ linked ── failed ──▶ resting ──▶ looked up …
//!    ▲                                 │ left
//!    └─────────────────────────────────┘
//! ```
//!
//! All of it runs as a task of media, of which there is one at a time: what comes is at most one stream's, and is handed to
//! the lanes as it comes.

use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Instant;

use crate::event::{RunState, Task, TimerId, clock, lock};
use crate::relay::{Channel, Demand};

use super::backoff::Backoff;
use super::figures::{Figures, PullStats};
use super::journey::Journey;
use super::link::Link;
use super::names::Found;
use super::parts::{Parts, Pull};
use super::patience::Patience;
use super::telling::Telling;
use super::whereabouts::Whereabouts;

/// The kind of the task that pulls.
pub const PULL: &str = "Pull";

/// One stream.
pub(super) struct Upstream {
    pub pull: Pull,
    pub demand: Arc<Demand>,
    pub parts: Arc<Parts>,
    pub runs: RunState,
    pub figures: Figures,
    state: Mutex<State>,
    pub this: Weak<Self>,
}

pub(super) struct State {
    pub stage: Stage,
    pub journey: Journey,
    pub hosts: Whereabouts,
    pub backoff: Backoff,
    pub patience: Patience,
    /// Since when it is tried this time.
    pub tried_at: Instant,
    /// The server wants to be left alone until then, whoever comes and goes.
    pub not_before: Option<Instant>,
    /// The channel that it is, once it was described.
    pub channel: Option<Arc<Channel>>,
    /// How many links there were: the number of the last one.
    pub links: u64,
    /// The link for which a channel is being made. There is one at a time, so that the last one made is the channel.
    pub opening: Option<u64>,
    /// It was counted that it has become another one, since it came last.
    pub has_changed: bool,
    pub timer: Option<(Instant, TimerId)>,
    pub telling: Telling,
    pub stopped: bool,
}

pub(super) enum Stage {
    Idle,
    Finding(Found, Instant),
    Linked(Box<Link>),
    /// Until the second, and where somebody waits until the first.
    Resting(Instant, Instant),
}

impl Upstream {
    pub fn new(pull: Pull, demand: Arc<Demand>, parts: Arc<Parts>) -> Arc<Self> {
        let state = State {
            stage: Stage::Idle,
            journey: Journey::new(&pull.url, pull.login.clone()),
            hosts: Whereabouts::default(),
            backoff: Backoff::default(),
            patience: Patience::default(),
            tried_at: clock::now(),
            not_before: None,
            channel: None,
            links: 0,
            opening: None,
            has_changed: false,
            timer: None,
            telling: Telling::default(),
            stopped: false,
        };
        Arc::new_cyclic(|this| Self {
            pull,
            demand,
            parts,
            runs: RunState::default(),
            figures: Figures::default(),
            state: Mutex::new(state),
            this: this.clone(),
        })
    }

    /// Something has happened.
    pub fn poke(self: &Arc<Self>) {
        if self.runs.request() {
            self.parts.media.push(Task::new(PULL, self.clone()));
        }
    }

    /// Ends it for good.
    pub fn stop(&self) {
        let mut state = self.state();
        state.stopped = true;
        if let Stage::Linked(link) = &mut state.stage {
            link.shut(clock::now());
        }
        state.stage = Stage::Idle;
        let (timer, _channel) = (state.timer.take(), state.channel.take());
        drop(state); // before what is others', as it goes
        let _ = timer.map(|(_, timer)| self.parts.timers.cancel(timer));
    }

    pub fn stats(&self) -> PullStats {
        self.figures.read(&self.pull.name)
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}
