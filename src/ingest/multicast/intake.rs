//! The Intake of a media table: takes in what has arrived at all of the table's receive sockets, when it is time.
//!
//! While nobody wants packets yet, they are left where they arrived, in their sockets: one wake-up takes them all. A
//! socket that gave something is looked at again when the next beat is due, without being polled; one that gave
//! nothing is polled. So a wake-up costs what has arrived, and not what is configured. Everything here runs on the
//! table's own thread, but [`Sleeper::wake_at`].

use std::io;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Instant;

use crate::event::{Class, Event, PollEventConsumer, Poller, Task, TimerId, Timers, clock, lock};
use crate::relay::{Busy, Rhythm, Sleeper, Turn};

use super::super::arrivals::Arrivals;
use super::receive_data::{Gave, Intaken};
use super::rtp_receiver::RtpReceiver;

/// So many messages at a look make a busy table: the next ones are there before they could be waited for.
const MANY: usize = 16;
/// Times that all sockets are gone through at one look: what comes in faster than it is taken is left.
const MOST_PASSES: usize = 64;

/// The receive sockets of one media table.
pub(super) struct Intake {
    timers: Arc<Timers>,
    busy: Arc<Busy>,
    arrivals: Mutex<Arrivals>,
    state: Mutex<State>,
    this: Weak<Self>,
}

/// Hears of what arrives at one socket.
struct Ear {
    intake: Arc<Intake>,
    receiver: Arc<RtpReceiver>,
}

#[derive(Default)]
struct State {
    /// Receivers whose sockets are not polled.
    waiting: Vec<Arc<RtpReceiver>>,
    /// When they are looked at.
    look: Option<(Instant, TimerId)>,
    stopped: bool,
}

impl Intake {
    /// An intake without sockets; its first descriptor, the timers', is placed in a media table, and sockets beside it.
    pub fn open(poller: &Poller, busy: Arc<Busy>) -> io::Result<Arc<Self>> {
        let timers = Timers::start(poller, Class::Media)?;
        let arrivals = Mutex::new(Arrivals::new(clock::now(), clock::unix_now()));
        Ok(Arc::new_cyclic(|this| Self {
            timers,
            busy,
            arrivals,
            state: Mutex::default(),
            this: this.clone(),
        }))
    }

    /// Polls a receiver's socket in the intake's table.
    pub fn poll(self: &Arc<Self>, poller: &Poller, receiver: Arc<RtpReceiver>) -> io::Result<()> {
        let ear = Arc::new(Ear { intake: self.clone(), receiver: receiver.clone() });
        receiver.begin(poller.register_beside(self.timers.key(), receiver.socket.clone(), ear)?)
    }

    /// Something has arrived at a socket, which is not polled any more. It is left there if its turn is later.
    fn arrived(self: &Arc<Self>, receiver: Arc<RtpReceiver>) {
        let now = clock::now();
        match self.turn(&receiver, now) {
            Some(later) => self.leave(receiver, later),
            None => self.look(Some(receiver), now),
        }
    }

    /// Takes in what has arrived at a receiver's socket until now, before its turn, on the intake's thread, which then drops `done`.
    pub fn take_in_of(self: &Arc<Self>, receiver: Arc<RtpReceiver>, done: Arc<dyn Send + Sync>) {
        let this = self.clone();
        self.timers.run_here_at(clock::now(), move || {
            let mut taken = Intaken::default();
            this.take_in(&mut vec![receiver], &mut taken);
            drop(taken); // which tells the lanes
            drop(done);
        });
    }

    /// Lets go of all sockets.
    pub fn stop(&self) {
        let mut state = self.state();
        state.stopped = true;
        let gone = mem::take(&mut state.waiting);
        drop(state);
        drop(gone); // outside the lock: sockets close as they go
        self.timers.stop();
    }

    /// When what arrives at a socket is to be taken in; `None`: at once.
    fn turn(self: &Arc<Self>, receiver: &RtpReceiver, now: Instant) -> Option<Instant> {
        let longest = receiver.longest_wait?;
        let sleeper: Arc<dyn Sleeper> = self.clone();
        let routes = receiver.current_routes();
        let turns = routes.rhythms().iter().filter_map(|rhythm| rhythm.turn(&sleeper, now));
        match turns.min() {
            Some(Turn::At(due)) => Some(due.min(now + longest)).filter(|due| *due > now),
            Some(Turn::Told) | None => Some(now + longest),
        }
    }

    fn leave(self: &Arc<Self>, receiver: Arc<RtpReceiver>, until: Instant) {
        let mut state = self.state();
        if !state.stopped {
            state.waiting.push(receiver);
            self.look_at(&mut state, until);
        }
    }

    fn look_at(self: &Arc<Self>, state: &mut State, at: Instant) {
        if state.look.is_some_and(|(before, _)| before <= at) {
            return;
        }
        let this = self.clone();
        let timer = self.timers.run_here_at(at, move || this.look(None, clock::now()));
        if let Some((_, before)) = state.look.replace((at, timer)) {
            self.timers.cancel(before);
        }
    }

    /// Takes in what has arrived at all sockets that wait, and tells the lanes.
    fn look(self: &Arc<Self>, newest: Option<Arc<RtpReceiver>>, now: Instant) {
        let mut waited = {
            let mut state = self.state();
            if let Some((_, timer)) = state.look.take() {
                self.timers.cancel(timer);
            }
            mem::take(&mut state.waiting)
        };
        waited.extend(newest);
        let all = waited.clone();
        if catch_unwind(AssertUnwindSafe(|| self.take_turn(waited, now))).is_err() {
            self.timers.vitals().fault("receiver");
            all.iter().for_each(|receiver| receiver.poll());
        }
    }

    /// A look's own work. Whatever becomes of it, no socket is forgotten.
    fn take_turn(self: &Arc<Self>, mut waited: Vec<Arc<RtpReceiver>>, now: Instant) {
        let mut taken = Intaken::default();
        let quiet = self.take_in(&mut waited, &mut taken);
        self.timers.vitals().may_fault("intake", String::new);
        let many = taken.messages >= MANY;
        drop(taken); // which tells the lanes
        self.go(&quiet, &waited, now);
        let done_at = clock::now();
        self.busy.add(done_at.saturating_duration_since(now));
        quiet.iter().for_each(|receiver| receiver.poll());
        for receiver in waited {
            let later = if many { self.turn(&receiver, done_at) } else { None };
            match later {
                Some(later) => self.leave(receiver, later),
                None => receiver.poll(),
            }
        }
    }

    /// Begins the beats that are due of all who may wait for what was looked for.
    fn go(&self, quiet: &[Arc<RtpReceiver>], waited: &[Arc<RtpReceiver>], now: Instant) {
        let mut rhythms = Vec::<Arc<Rhythm>>::new();
        for receiver in quiet.iter().chain(waited) {
            for rhythm in receiver.current_routes().rhythms() {
                if !rhythms.iter().any(|known| Arc::ptr_eq(known, rhythm)) {
                    rhythms.push(rhythm.clone());
                }
            }
        }
        rhythms.iter().for_each(|rhythm| rhythm.go(now));
    }

    /// Empties the sockets into the rings; takes out and returns the receivers where nothing had come.
    fn take_in(&self, receivers: &mut Vec<Arc<RtpReceiver>>, taken: &mut Intaken) -> Vec<Arc<RtpReceiver>> {
        let (vitals, mut arrivals) = (self.timers.vitals(), lock(&self.arrivals));
        let (mut quiet, mut full) = (Vec::new(), Vec::new());
        let mut take = |receiver: &Arc<RtpReceiver>| {
            let taken = catch_unwind(AssertUnwindSafe(|| taken.take(receiver, &mut arrivals, vitals)));
            taken.unwrap_or_else(|_| {
                vitals.fault("receiver");
                Gave::Nothing
            })
        };
        receivers.retain(|receiver| {
            let gave = take(receiver);
            match gave {
                Gave::Nothing => quiet.push(receiver.clone()),
                Gave::All => {}
                Gave::Some => full.push(receiver.clone()),
            }
            gave != Gave::Nothing
        });
        for _ in 0..MOST_PASSES {
            full.retain(|receiver| take(receiver) == Gave::Some);
            if full.is_empty() {
                break;
            }
        }
        quiet
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Sleeper for Intake {
    fn wake_at(&self, due: Instant) {
        let Some(this) = self.this.upgrade() else { return };
        let mut state = self.state();
        if !state.waiting.is_empty() {
            this.look_at(&mut state, due);
        }
    }
}

impl PollEventConsumer for Ear {
    /// Receiving is minor work, done at once or when it is time: the intake polls on.
    fn create_task(self: Arc<Self>, _: Event) -> Option<Task> {
        self.intake.arrived(self.receiver.clone());
        None
    }

    fn close(self: Arc<Self>) {
        self.receiver.poll();
    }
}

/// The one with the least to do of so many intakes, by the sockets that are theirs.
pub(super) fn roomiest(intakes: usize, receivers: &[Arc<RtpReceiver>]) -> Option<usize> {
    // Streams are the work: sockets of reports are as many, and do little.
    let load = |intake: &usize| {
        let own = receivers.iter().filter(|receiver| receiver.intake == *intake);
        own.fold((0, 0), |(streams, sockets), receiver| (streams + receiver.streams(), sockets + 1))
    };
    (0..intakes).min_by_key(load)
}
