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

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

use crate::event::{RunState, Task, TimerId, Work, clock, lock};
use crate::net::plain;
use crate::relay::{Channel, Demand};
use crate::wire::rtsp::Url;

use super::action::End;
use super::backoff::{Backoff, LONGEST_WATCHED};
use super::conversation::Conversation;
use super::dice::random;
use super::failure::Failure;
use super::figures::{Figures, PullState, PullStats};
use super::journey::{Journey, port};
use super::link::{Link, Turned};
use super::names::Found;
use super::opening::Opening;
use super::puller::{Parts, Pull};
use super::stream::Stream;
use super::telling::Telling;

/// The kind of the task that pulls.
pub const PULL: &str = "Pull";

/// No answer from a server for so long is none.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// A host is looked up for no longer.
const FIND_WITHIN: Duration = Duration::from_secs(10);
/// So often is looked whether anybody watches.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// One stream.
pub(super) struct Upstream {
    pub pull: Pull,
    pub demand: Arc<Demand>,
    pub parts: Arc<Parts>,
    runs: RunState,
    figures: Figures,
    state: Mutex<State>,
    this: Weak<Self>,
}

struct State {
    stage: Stage,
    journey: Journey,
    /// Where a host was last, which may be found no more.
    known: (String, Vec<SocketAddr>),
    backoff: Backoff,
    /// The channel that it is, once it was described.
    channel: Option<Arc<Channel>>,
    timer: Option<(Instant, TimerId)>,
    telling: Telling,
    stopped: bool,
}

enum Stage {
    Idle,
    Finding(Found, Instant),
    Linked(Box<Link>),
    /// Until the second, and where somebody waits until the first.
    Resting(Instant, Instant),
}

/// What follows a step.
enum Next {
    /// Another one.
    Step,
    /// Nothing, until something comes.
    Wait,
    /// Another turn, after others.
    Turn,
}

impl Upstream {
    pub fn new(pull: Pull, demand: Arc<Demand>, parts: Arc<Parts>) -> Arc<Self> {
        let state = State {
            stage: Stage::Idle,
            journey: Journey::new(&pull.url, pull.login.clone()),
            known: Default::default(),
            backoff: Backoff::default(),
            channel: None,
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

    /// A descriptor is polled no more.
    pub fn lose(self: &Arc<Self>) {
        let mut state = self.state();
        if let Stage::Linked(_) = state.stage {
            let lost = Failure::Broken("its descriptor is polled no more".to_owned());
            self.fail(&mut state, &lost, clock::now());
        }
        drop(state);
        self.poke();
    }

    /// The channel that was made of what was described.
    pub fn opened(self: &Arc<Self>, channel: Option<Arc<Channel>>) {
        let mut state = self.state();
        if channel.is_none() {
            let none = Failure::Description("no channel can be made of it".to_owned());
            self.fail(&mut state, &none, clock::now());
        }
        state.channel = channel;
        drop(state);
        self.poke();
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

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Does what is to be done. `true`: there is more.
    fn turn(self: &Arc<Self>, now: Instant) -> bool {
        let mut state = self.state();
        let mut next = Next::Step;
        for _ in 0..8 {
            if state.stopped {
                return false;
            }
            next = self.step(&mut state, now);
            if !matches!(next, Next::Step) {
                break;
            }
        }
        self.set_timer(&mut state, now);
        !matches!(next, Next::Wait)
    }

    fn step(self: &Arc<Self>, state: &mut State, now: Instant) -> Next {
        match &mut state.stage {
            Stage::Idle => {
                if !self.demand.is_there(now) {
                    self.figures.is(PullState::Idle);
                    return Next::Wait;
                }
                self.find(state, now);
                Next::Step
            }
            Stage::Finding(found, until) => {
                let found = match (lock(found).take(), now >= *until) {
                    (Some(found), _) => found,
                    (None, false) => return Next::Wait,
                    (None, true) => Err("its host's name is looked up, without an answer".to_owned()),
                };
                self.found(state, found, now);
                Next::Step
            }
            Stage::Resting(hurry_from, until) => {
                let is_awaited = self.demand.is_claimed() && now >= *hurry_from;
                if self.demand.is_there(now) && now < *until && !is_awaited {
                    return Next::Wait;
                }
                state.stage = Stage::Idle;
                Next::Step
            }
            Stage::Linked(_) => self.lead(state, now),
        }
    }

    /// Looks up where the server is.
    fn find(self: &Arc<Self>, state: &mut State, now: Instant) {
        self.figures.is(PullState::Connecting);
        let url = state.journey.at();
        let this = self.clone();
        let found = self.parts.names.find(url.host_str().unwrap_or_default(), port(url), move || this.poke());
        state.stage = Stage::Finding(found, now + FIND_WITHIN);
    }

    /// Goes where the host is now; where that is not to be had, where it was.
    fn found(self: &Arc<Self>, state: &mut State, found: Result<Vec<SocketAddr>, String>, now: Instant) {
        let host = state.journey.at().host_str().unwrap_or_default().to_owned();
        match found {
            Ok(addresses) => state.known = (host, addresses),
            Err(_) if state.known.0 == host => {}
            Err(error) => return self.fail(state, &Failure::Connect(error), now),
        }
        let addresses = state.known.1.clone();
        self.link(state, &addresses, now);
    }

    /// Connects to one of the addresses, another one each time.
    fn link(self: &Arc<Self>, state: &mut State, addresses: &[SocketAddr], now: Instant) {
        let failed = self.figures.failures() as usize;
        let Some(server) = addresses.get(failed % addresses.len().max(1)) else { return };
        match self.connect(state.journey.at(), *server, now) {
            Ok(link) => state.stage = Stage::Linked(Box::new(link)),
            Err(failure) => self.fail(state, &failure, now),
        }
    }

    fn connect(&self, url: &Url, server: SocketAddr, now: Instant) -> Result<Link, Failure> {
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let tls = match (url.scheme(), &self.pull.trust) {
            ("rtsps", Some(trust)) => Some(trust.session(host).map_err(Failure::Tls)?),
            ("rtsps", None) => return Err(Failure::Tls("nobody is trusted".to_owned())),
            _ => None,
        };
        let connect = |error: std::io::Error| Failure::Connect(plain(&error));
        let stream = Stream::connect(server, tls).map_err(connect)?;
        let ssrc = random() as u32;
        Link::open(stream, server, ssrc, &self.parts.poller, self.this.clone(), now).map_err(connect)
    }

    /// Goes on with the link.
    fn lead(self: &Arc<Self>, state: &mut State, now: Instant) -> Next {
        let State { stage: Stage::Linked(link), journey, backoff, .. } = state else { return Next::Wait };
        if !link.leaves && !self.demand.is_there(now) {
            link.leave(now);
        }
        let begin = || {
            let answers = journey.answers(format!("{:016x}", random()));
            Conversation::new(journey.at(), answers, (ANSWER_WITHIN, backoff.patience), now)
        };
        let came = link.comes();
        let turned = link.turn(begin, &self.figures, now);
        journey.wants_hash |= link.wants_hash();
        let (comes, is_described) = (link.comes(), link.described.is_some());
        if comes != came && comes.0 {
            self.figures.is(PullState::Playing);
            state.telling.it_comes(&self.pull, self.demand.is_needed(), comes.1);
            state.telling.lacks(&self.pull, &link.refused);
        }
        match turned {
            Turned::Done | Turned::More if is_described => return self.set_up(state, now),
            Turned::Done => return Next::Wait,
            Turned::More => return Next::Turn,
            Turned::Over(end) => self.end(state, end, now),
        }
        Next::Step
    }

    /// Sets up what was described, by the channel that has these tracks. Where there is none it is made first.
    fn set_up(self: &Arc<Self>, state: &mut State, now: Instant) -> Next {
        let State { stage: Stage::Linked(link), channel, telling, .. } = state else { return Next::Wait };
        let Some(described) = &link.described else { return Next::Wait };
        let is_counted = telling.take_announced();
        let known = channel.as_ref().filter(|known| described.carries_what_is_in(&known.presentation()));
        let Some(known) = known else {
            if channel.take().is_some() && !is_counted {
                self.figures.failed(&Failure::Changed);
                tracing::warn!(channel = self.pull.name, "{}", Failure::Changed);
            }
            let opening = Opening::new(self.clone(), (**described).clone());
            if link.asks_to_open() {
                self.parts.control.push(Task::new(super::opening::OPEN, opening));
            }
            return Next::Wait;
        };
        // The rest of it may be another one, for those who come.
        known.describe((**described).clone());
        let (pull, parts) = (&self.pull, &self.parts);
        let set_up = link.set_up(&known.tracks, pull.transport, &parts.poller, &self.this, now);
        if let Err(failure) = set_up {
            self.fail(state, &failure, now);
        }
        Next::Step
    }

    /// The link is over.
    fn end(&self, state: &mut State, end: End, now: Instant) {
        match end {
            End::Failed(failure) => self.fail(state, &failure, now),
            End::Left => {
                part(state.channel.as_ref());
                let tracks = state.channel.iter().flat_map(|channel| &channel.tracks);
                tracks.for_each(|track| track.pause());
                state.stage = Stage::Idle;
            }
            End::Redirected(location) => match state.journey.follow(&location) {
                Ok(()) => {
                    self.figures.redirected();
                    part(state.channel.as_ref());
                    state.stage = Stage::Idle;
                }
                Err(failure) => self.fail(state, &failure, now),
            },
        }
    }

    fn fail(&self, state: &mut State, failure: &Failure, now: Instant) {
        self.figures.failed(failure);
        self.figures.is(PullState::Waiting);
        part(state.channel.as_ref());
        state.journey.begin_again();
        let since = match &state.stage {
            Stage::Linked(link) => link.plays_since,
            _ => None,
        };
        let flowed = since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        let watched = self.demand.is_claimed();
        let wait = state.backoff.next(failure, flowed, watched, random() as u32);
        state.telling.it_fails(&self.pull, failure, now);
        let hurry_from = if Backoff::is_firm(failure) { now + wait } else { now + LONGEST_WATCHED };
        state.stage = Stage::Resting(hurry_from, now + wait);
    }

    /// Has itself poked when something is due.
    fn set_timer(self: &Arc<Self>, state: &mut State, now: Instant) {
        let due = match &state.stage {
            Stage::Idle => return,
            Stage::Finding(_, until) => *until,
            Stage::Resting(_, until) => (*until).min(now + LOOK_EVERY),
            Stage::Linked(link) => match (link.due(now), self.demand.is_needed()) {
                (due, true) => due.unwrap_or(now + LOOK_EVERY).min(now + LOOK_EVERY),
                (Some(due), false) => due,
                (None, false) => return,
            },
        };
        if state.timer.is_some_and(|(before, _)| before > now && before <= due) {
            return;
        }
        let this = self.this.clone();
        let timer = self.parts.timers.run_here_at(due, move || {
            this.upgrade().into_iter().for_each(|upstream| upstream.poke());
        });
        if let Some((_, before)) = state.timer.replace((due, timer)) {
            self.parts.timers.cancel(before);
        }
    }
}

impl Work for Upstream {
    fn run(self: Arc<Self>) {
        self.runs.begin();
        let began = clock::now();
        self.parts.timers.vitals().may_fault("pull", || self.pull.name.clone());
        let more = self.turn(began);
        self.parts.busy.add(clock::now().saturating_duration_since(began));
        if self.runs.finish(|| more) {
            self.parts.media.push(Task::new(PULL, self.clone()));
        }
    }

    /// What was under way is lost, and is made anew.
    fn close(self: Arc<Self>) {
        let mut state = self.state();
        part(state.channel.as_ref());
        let now = clock::now();
        state.stage = Stage::Resting(now, now + LOOK_EVERY);
        drop(state);
        if self.runs.finish(|| true) {
            self.parts.media.push(Task::new(PULL, self.clone()));
        }
    }
}

/// Nothing of it comes.
fn part(channel: Option<&Arc<Channel>>) {
    let tracks = channel.into_iter().flat_map(|channel| &channel.tracks);
    tracks.for_each(|track| track.set_joined(0, false));
}
