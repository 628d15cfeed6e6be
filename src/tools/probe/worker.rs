//! A worker: one thread, one epoll, and its share of the subscribers. It starts them, serves their sockets, and
//! ends them; nothing else touches them.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollTimeout};

use crate::event::clock;
use crate::net::ReceiveBatch;

use super::context::Context;
use super::subscriber::{Stage, Subscriber};
use super::tally::Tally;
use super::udp_ports::UdpPorts;
use super::{Failure, Plan};

/// Set-ups under way at once, over all workers, when no rate is given.
const SETUPS_AT_ONCE: usize = 64;
/// After so many failures and not one success, no more are tried.
const HOPELESS: u64 = 64;
/// Bits of an event's datum that tell a subscriber's sockets apart: a connection, and two for each of 32 tracks.
const SOCKET_BITS: u32 = 8;
const EVENTS_PER_WAIT: usize = 256;
/// Datagrams taken from a socket at once: a video frame of a high bit rate.
const DATAGRAMS_PER_RECEIVE: usize = 64;
const SCRATCH_BYTES: usize = 256 * 1024;
/// How often a subscriber looks at the time.
const TICK: Duration = Duration::from_secs(1);
/// The longest wait, so that a stop is noticed.
const LONGEST_WAIT: Duration = Duration::from_millis(20);
/// How long the answers to TEARDOWN are waited for.
const FAREWELL: Duration = Duration::from_secs(2);

/// What workers and the one who watches them share.
#[derive(Debug, Default)]
pub struct Shared {
    /// Subscribers that have reached PLAY.
    pub played: AtomicU64,
    /// Subscribers whose set-up failed.
    pub failed: AtomicU64,
    /// Subscribers that played and were lost.
    pub left: AtomicU64,
    /// Subscribers that were never tried, as nothing succeeded.
    pub untried: AtomicU64,
    /// Packets so far.
    pub packets: AtomicU64,
    /// Their bytes.
    pub bytes: AtomicU64,
    /// Packets lost so far.
    pub lost: AtomicI64,
    /// It is over: everyone leaves.
    pub ending: AtomicBool,
    /// It is over before its time.
    pub interrupted: AtomicBool,
}

/// What a worker is given.
pub struct Assignment {
    /// What to probe.
    pub plan: Arc<Plan>,
    /// The server's address.
    pub server: SocketAddr,
    /// Where UDP sockets come from.
    pub ports: Arc<UdpPorts>,
    /// What is shared with the others.
    pub shared: Arc<Shared>,
    /// This worker's number, from 0, and how many there are: its subscribers are every `workers`-th.
    pub index: u32,
    /// How many workers there are.
    pub workers: u32,
    /// When the first subscriber is due, on CLOCK_MONOTONIC.
    pub began: Duration,
}

impl Assignment {
    /// Starts the worker's thread; it returns what was counted.
    pub fn start(self) -> io::Result<JoinHandle<Tally>> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let name = format!("probe-{}", self.index);
        thread::Builder::new().name(name).spawn(move || Worker::new(&self, &epoll).run())
    }
}

struct Worker<'a> {
    assignment: &'a Assignment,
    cx: Context<'a>,
    subscribers: Vec<Option<Subscriber>>,
    /// Who looks at the time when; in order, for all do so at the same interval.
    ticks: VecDeque<(Duration, usize)>,
    setting_up: usize,
    /// How many subscribers are this worker's.
    share: usize,
    /// What has been published of the tally.
    published: (u64, u64, i64),
}

impl<'a> Worker<'a> {
    fn new(assignment: &'a Assignment, epoll: &'a Epoll) -> Self {
        let Assignment { plan, server, ports, index, workers, .. } = assignment;
        let share = (plan.subscribers + workers - 1 - index) / workers;
        let cx = Context {
            plan,
            server: *server,
            ports,
            epoll,
            batch: ReceiveBatch::new(DATAGRAMS_PER_RECEIVE),
            scratch: vec![0; SCRATCH_BYTES].into_boxed_slice(),
            tally: Tally::default(),
            now: clock::monotonic(),
        };
        let (subscribers, ticks) = (Vec::new(), VecDeque::new());
        Self {
            assignment,
            cx,
            subscribers,
            ticks,
            setting_up: 0,
            share: share as usize,
            published: (0, 0, 0),
        }
    }

    fn run(mut self) -> Tally {
        while !self.assignment.shared.ending.load(Relaxed) {
            self.start_due();
            self.tick_due();
            self.serve(self.wait());
            self.publish();
        }
        self.end();
        self.publish();
        self.cx.tally
    }

    /// Starts the subscribers that are due.
    fn start_due(&mut self) {
        let shared = &self.assignment.shared;
        if shared.played.load(Relaxed) == 0 && shared.failed.load(Relaxed) >= HOPELESS {
            let untried = self.share - self.subscribers.len();
            shared.untried.fetch_add(untried as u64, Relaxed);
            self.share = self.subscribers.len();
        }
        self.cx.now = clock::monotonic();
        while self.start_at().is_some_and(|at| at <= self.cx.now) {
            let local = self.subscribers.len();
            let number = self.number(local);
            match Subscriber::connect(number, (local as u64) << SOCKET_BITS, &self.cx) {
                Ok(subscriber) => {
                    self.subscribers.push(Some(subscriber));
                    self.setting_up += 1;
                    self.ticks.push_back((self.cx.now + TICK, local));
                }
                Err(failure) => {
                    self.subscribers.push(None);
                    self.count_failure(Stage::Connecting, &failure);
                }
            }
        }
    }

    /// When the next subscriber is due. None while none may start.
    fn start_at(&self) -> Option<Duration> {
        let local = self.subscribers.len();
        if local >= self.share {
            return None;
        }
        match self.assignment.plan.rate {
            Some(rate) => {
                let after = f64::from(self.number(local)) / f64::from(rate.max(1));
                Some(self.assignment.began + Duration::from_secs_f64(after))
            }
            None => {
                let at_once = (SETUPS_AT_ONCE / self.assignment.workers as usize).max(1);
                (self.setting_up < at_once).then_some(self.cx.now)
            }
        }
    }

    fn number(&self, local: usize) -> u32 {
        self.assignment.index + local as u32 * self.assignment.workers
    }

    fn tick_due(&mut self) {
        while let Some((_, local)) = self.ticks.front().copied().filter(|(at, _)| *at <= self.cx.now) {
            self.ticks.pop_front();
            self.with(local, |subscriber, cx| subscriber.tick(cx));
            if self.subscribers[local].is_some() {
                self.ticks.push_back((self.cx.now + TICK, local));
            }
        }
    }

    fn wait(&self) -> Vec<EpollEvent> {
        let next = [self.ticks.front().map(|(at, _)| *at), self.start_at()].into_iter().flatten().min();
        let wait = next.map_or(LONGEST_WAIT, |at| at.saturating_sub(self.cx.now).min(LONGEST_WAIT));
        let mut events = vec![EpollEvent::empty(); EVENTS_PER_WAIT];
        let timeout = EpollTimeout::from(wait.as_millis() as u8); // at most LONGEST_WAIT
        match self.cx.epoll.wait(&mut events, timeout) {
            Ok(count) => events.truncate(count),
            Err(Errno::EINTR) => events.clear(),
            Err(error) => {
                tracing::error!(%error, "epoll_wait failed");
                events.clear();
            }
        }
        events
    }

    fn serve(&mut self, events: Vec<EpollEvent>) {
        self.cx.now = clock::monotonic();
        for event in events {
            let local = (event.data() >> SOCKET_BITS) as usize;
            let socket = (event.data() & ((1 << SOCKET_BITS) - 1)) as usize;
            self.with(local, |subscriber, cx| subscriber.ready(socket, event.events(), cx));
        }
    }

    /// Lets a subscriber act, if it is still there, and counts what became of it.
    fn with(
        &mut self,
        local: usize,
        act: impl FnOnce(&mut Subscriber, &mut Context<'a>) -> Result<(), Failure>,
    ) {
        let Some(Some(subscriber)) = self.subscribers.get_mut(local) else { return };
        let before = subscriber.stage();
        let result = act(subscriber, &mut self.cx);
        let after = subscriber.stage();
        let is_setup = |stage| matches!(stage, Stage::Connecting | Stage::SettingUp);
        if is_setup(before) && (!is_setup(after) || result.is_err()) {
            self.setting_up -= 1;
        }
        if is_setup(before) && after == Stage::Playing {
            self.assignment.shared.played.fetch_add(1, Relaxed);
        }
        match result {
            Err(failure) => self.drop_failed(local, after, &failure),
            Ok(()) if after == Stage::Gone => self.subscribers[local] = None,
            Ok(()) => {}
        }
    }

    fn drop_failed(&mut self, local: usize, stage: Stage, failure: &Failure) {
        let Some(subscriber) = self.subscribers[local].take() else { return };
        if stage == Stage::Playing {
            subscriber.account(&mut self.cx.tally);
        }
        self.count_failure(stage, failure);
    }

    /// One that fails while it leaves was counted before.
    fn count_failure(&mut self, stage: Stage, failure: &Failure) {
        let shared = &self.assignment.shared;
        match stage {
            Stage::Connecting | Stage::SettingUp => shared.failed.fetch_add(1, Relaxed),
            Stage::Playing => shared.left.fetch_add(1, Relaxed),
            Stage::Leaving | Stage::Gone => return,
        };
        self.cx.tally.fail(failure.to_string());
    }

    /// Everyone's account is closed first, so that leaving disturbs no measurement; then all leave.
    fn end(&mut self) {
        self.cx.now = clock::monotonic();
        let interrupted = self.assignment.shared.interrupted.load(Relaxed);
        let Context { tally, now, plan, .. } = &mut self.cx;
        for subscriber in self.subscribers.iter().flatten().filter(|one| one.stage() == Stage::Playing) {
            subscriber.account(tally);
            match subscriber.verdict(*now, plan.delivery, interrupted) {
                Ok(()) => tally.served += 1,
                Err(failure) => tally.fail(failure.to_string()),
            }
        }
        self.ticks.clear();
        self.share = 0;
        (0..self.subscribers.len()).for_each(|local| self.with(local, |subscriber, cx| subscriber.leave(cx)));
        let deadline = self.cx.now + FAREWELL;
        while self.cx.now < deadline && self.subscribers.iter().any(Option::is_some) {
            self.serve(self.wait());
        }
    }

    fn publish(&mut self) {
        let Tally { packets, bytes, lost, .. } = self.cx.tally;
        let shared = &self.assignment.shared;
        shared.packets.fetch_add(packets - self.published.0, Relaxed);
        shared.bytes.fetch_add(bytes - self.published.1, Relaxed);
        shared.lost.fetch_add(lost - self.published.2, Relaxed);
        self.published = (packets, bytes, lost);
    }
}
