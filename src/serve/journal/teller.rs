//! The Teller: lines of the log about viewers, at `info`. Sessions begin and end, requests and connections are refused.
//!
//! A session's end is told when its last packet is out, which a thread of media may be the first to know: it leaves word,
//! and a task of control tells.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::event::{Task, TaskQueue, Timers, Work, clock, lock};

use super::lately::{Lately, TurnedAway};
use super::lines::{Begun, Ended, Refused, VIEWERS};
use super::restraint::{Again, Refusals, Restrained};

/// How long sums grow before they are told.
const SUM_FOR: Duration = Duration::from_secs(1);

pub struct Teller {
    queue: Arc<TaskQueue>,
    timers: Arc<Timers>,
    sessions: AtomicU64,
    ended: Sender<Ended>,
    to_tell: Receiver<Ended>,
    /// A task is on the queue, or about to be.
    woken: AtomicBool,
    /// The queue has ended: whoever has something to say says it.
    closed: AtomicBool,
    state: Mutex<State>,
    lately: Mutex<Lately>,
}

#[derive(Default)]
struct State {
    begun: Restrained<BegunSum>,
    changed: Restrained<u64>,
    ended: Restrained<EndedSum>,
    refusals: Refusals,
    /// When sums are told, and what was refused again.
    look_at: Option<Instant>,
}

#[derive(Default)]
struct BegunSum {
    sessions: u64,
    over_tcp: u64,
}

#[derive(Default)]
struct EndedSum {
    sessions: u64,
    packets: u64,
    bytes: u64,
    missed: u64,
    lost: i64,
    reasons: BTreeMap<&'static str, u64>,
}

impl Teller {
    pub fn new(queue: Arc<TaskQueue>, timers: Arc<Timers>) -> Arc<Self> {
        let (ended, to_tell) = unbounded();
        Arc::new(Self {
            queue,
            timers,
            sessions: AtomicU64::new(0),
            ended,
            to_tell,
            woken: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            state: Mutex::default(),
            lately: Mutex::default(),
        })
    }

    /// What the log calls one more session by. Its id is the viewer's secret.
    pub fn number(&self) -> u64 {
        self.sessions.fetch_add(1, SeqCst) + 1
    }

    /// One was given elsewhere, and is nobody else's here.
    pub fn has_given(&self, number: u64) {
        self.sessions.fetch_max(number, SeqCst);
    }

    /// A session plays for the first time.
    pub fn begin(self: &Arc<Self>, begun: &Begun<'_>, now: Instant) {
        let mut state = self.state();
        let tells = state.begun.tells(begun.client.ip(), now, |sum| {
            sum.sessions += 1;
            sum.over_tcp += u64::from(begun.over_tcp);
        });
        if tells {
            drop(state);
            begun.tell();
        } else {
            self.look_soon(&mut state, now);
        }
    }

    /// A session plays on in another way.
    pub fn change(self: &Arc<Self>, begun: &Begun<'_>, now: Instant) {
        let mut state = self.state();
        if state.changed.tells(begun.client.ip(), now, |times| *times += 1) {
            drop(state);
            begun.tell();
        } else {
            self.look_soon(&mut state, now);
        }
    }

    /// A session is over, down to its last packet.
    pub fn end(self: &Arc<Self>, ended: Ended) {
        let _ = self.ended.send(ended); // heard for as long as this lives
        if self.closed.load(SeqCst) {
            return self.tell_ended(clock::now());
        }
        if !self.woken.swap(true, SeqCst) {
            self.queue.push(Task::new("Tell", self.clone()));
        }
    }

    /// Something is refused.
    pub fn refuse(self: &Arc<Self>, refused: &Refused<'_>, now: Instant) {
        let once = TurnedAway::new(refused, now);
        lock(&self.lately).note(once);
        let mut state = self.state();
        let tells = state.refusals.tells(refused.client.ip(), refused.why, now);
        self.look_soon(&mut state, now);
        drop(state);
        if tells {
            refused.tell();
        }
    }

    /// Who was refused lately, the last first.
    pub fn turned_away(&self) -> Vec<TurnedAway> {
        lock(&self.lately).all()
    }

    /// All that is left to tell. The queues have ended.
    pub fn close(self: &Arc<Self>) {
        self.closed.store(true, SeqCst);
        let now = clock::now();
        self.tell_ended(now);
        self.tell_sums(now, true);
    }

    fn tell_ended(self: &Arc<Self>, now: Instant) {
        for ended in self.to_tell.try_iter() {
            let mut state = self.state();
            if state.ended.tells(ended.client.ip(), now, |sum| sum.add(&ended)) {
                drop(state);
                ended.tell();
            } else {
                self.look_soon(&mut state, now);
            }
        }
    }

    fn tell_sums(&self, now: Instant, at_once: bool) {
        let mut state = self.state();
        let (begun, ended) = (state.begun.take_untold(), state.ended.take_untold());
        let changed = state.changed.take_untold();
        let (again, refused) = (state.refusals.take_again(now, at_once), state.refusals.take_untold());
        drop(state);
        begun.iter().for_each(BegunSum::tell);
        if let Some(times) = changed {
            tracing::info!(target: VIEWERS, times, "and more go on in another way");
        }
        again.iter().for_each(Again::tell);
        if let Some(times) = refused {
            tracing::info!(target: VIEWERS, times, "and more are refused");
        }
        ended.iter().for_each(EndedSum::tell);
    }

    fn look_soon(self: &Arc<Self>, state: &mut State, now: Instant) {
        if state.look_at.is_none() {
            state.look_at = Some(now + SUM_FOR);
            self.timers.at(now + SUM_FOR, Task::new("Tell", self.clone()));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Work for Teller {
    fn run(self: Arc<Self>) {
        self.woken.store(false, SeqCst); // before it looks: who comes from here on wakes it again
        let now = clock::now();
        self.tell_ended(now);
        let mut state = self.state();
        if state.look_at.is_none_or(|at| at > now) {
            return;
        }
        state.look_at = None;
        drop(state);
        self.tell_sums(now, false);
        let mut state = self.state();
        if !state.refusals.is_empty() {
            self.look_soon(&mut state, now);
        }
    }

    /// What was to be told in that moment is lost, and what follows is told.
    fn close(self: Arc<Self>) {
        self.woken.store(false, SeqCst);
        self.state().look_at = None;
    }
}

impl BegunSum {
    fn tell(&self) {
        let Self { sessions, over_tcp } = *self;
        tracing::info!(target: VIEWERS, sessions, over_tcp, "and more sessions play");
    }
}

impl EndedSum {
    fn add(&mut self, ended: &Ended) {
        self.sessions += 1;
        self.packets += ended.packets;
        self.bytes += ended.bytes;
        self.missed += ended.missed;
        self.lost += ended.lost.unwrap_or(0);
        *self.reasons.entry(ended.reason).or_default() += 1;
    }

    fn tell(&self) {
        let Self { sessions, packets, bytes, missed, lost, .. } = *self;
        let reasons: Vec<_> =
            self.reasons.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
        let reasons = reasons.join(", ");
        tracing::info!(target: VIEWERS, sessions, packets, bytes, missed, lost, reasons, "and more sessions have ended");
    }
}
