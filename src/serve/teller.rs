//! The Teller: lines of the log about viewers, at `info`. Sessions begin and end, requests and connections are refused.
//!
//! A session's end is told when its last packet is out, which a thread of media may be the first to know: it leaves word,
//! and a task of control tells.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::event::{Task, TaskQueue, Timers, Work, clock, lock};

use crate::wire::rtsp::StatusCode;

use super::legible::{legible, legible_path};
use super::restraint::{Again, Refusals, Restrained, Why};
use super::story::{Begun, Ended};

/// What lines about viewers are said to come from, so that they can be filtered and found.
pub(super) const VIEWERS: &str = "mirrorball::viewers";

/// A request is refused, in the words of the log.
pub(super) const REFUSED: &str = "refused";

/// How long sums grow before they are told.
const SUM_FOR: Duration = Duration::from_secs(1);

pub(super) struct Teller {
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
}

#[derive(Default)]
struct State {
    begun: Restrained<BegunSum>,
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

/// Who was refused, and what it had asked for.
#[derive(Clone, Copy)]
pub(super) struct Refused<'a> {
    pub client: SocketAddr,
    pub why: Why,
    pub method: Option<&'a str>,
    /// The channel, or what could not be read.
    pub asked: Option<&'a str>,
    pub agent: Option<&'a str>,
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
        })
    }

    /// What the log calls one more session by. Its id is the viewer's secret.
    pub fn number(&self) -> u64 {
        self.sessions.fetch_add(1, SeqCst) + 1
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
        let mut state = self.state();
        let tells = state.refusals.tells(refused.client.ip(), refused.why, now);
        self.look_soon(&mut state, now);
        drop(state);
        if tells {
            refused.tell();
        }
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
        let (again, refused) = (state.refusals.take_again(now, at_once), state.refusals.take_untold());
        drop(state);
        begun.iter().for_each(BegunSum::tell);
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

impl Refused<'_> {
    /// One that has said nothing yet.
    pub fn unheard(client: SocketAddr, why: Why) -> Self {
        Self { client, why, method: None, asked: None, agent: None }
    }

    fn tell(&self) {
        let Self { client, why: Why { what, status, reason }, method, asked, agent } = *self;
        let (method, asked, agent) = (method.map(legible), asked.map(legible_path), agent.map(legible));
        let (method, asked, agent) = (method.as_deref(), asked.as_deref(), agent.as_deref());
        let (client, port) = (client.ip(), client.port());
        let status = Some(status).filter(|status| *status > 0);
        tracing::info!(target: VIEWERS, %client, port, status, reason, method, asked, agent, "{what}");
    }
}

/// Why a request is refused, where the status says all.
pub(super) fn reason_of(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BadRequest => "bad request",
        StatusCode::NotFound => "no such channel or track",
        StatusCode::MethodNotAllowed => "method not allowed",
        StatusCode::NotAcceptable => "not acceptable",
        StatusCode::RequestMessageBodyTooLarge => "body too large",
        StatusCode::RequestURITooLong => "URI too long",
        StatusCode::ParameterNotUnderstood => "parameter not understood",
        StatusCode::NotEnoughBandwidth => "not enough bandwidth",
        StatusCode::SessionNotFound => "no such session",
        StatusCode::MethodNotValidInThisState => "not in this state",
        StatusCode::AggregateOperationNotAllowed => "not of the whole",
        StatusCode::OnlyAggregateOperationAllowed => "of the whole only",
        StatusCode::UnsupportedTransport => "transport not supported",
        StatusCode::NotImplemented => "not implemented",
        StatusCode::RTSPVersionNotSupported => "version not supported",
        StatusCode::OptionNotSupported => "option not supported",
        _ => "unavailable",
    }
}

impl Again {
    fn tell(&self) {
        let Self { client, why: Why { what, status, reason }, times, seconds } = *self;
        let status = Some(status).filter(|status| *status > 0);
        tracing::info!(target: VIEWERS, %client, status, reason, times, seconds, "{what} again");
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
