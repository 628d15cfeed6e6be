//! The steps of an Upstream: what it does as something comes, or is due.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::event::{Task, Work, clock, lock};
use crate::wire::rtsp::via;

use super::conversation::Conversation;
use super::dice::token;
use super::ear::Listener;
use super::ending::{part, pause};
use super::failure::Failure;
use super::figures::PullState;
use super::link::Turned;
use super::opening::{OPEN, Opening};
use super::patience::Patience;
use super::reaching::host;
use super::upstream::{PULL, Stage, State, Upstream};

/// So often is looked whether anybody watches.
const LOOK_EVERY: Duration = Duration::from_secs(1);

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
                match state.not_before.filter(|until| now < *until) {
                    Some(until) => {
                        self.figures.is(PullState::Waiting);
                        state.stage = Stage::Resting(until, until);
                    }
                    None => self.find(state, now),
                }
                Next::Step
            }
            Stage::Finding(found, until) => {
                let answer = lock(found).take();
                if answer.is_none() && now < *until {
                    return Next::Wait;
                }
                self.found(state, answer, now);
                Next::Step
            }
            Stage::Resting(hurry_from, until) => {
                let is_awaited = self.demand.is_claimed() && now >= *hurry_from;
                match self.demand.is_there(now) {
                    true if now < *until && !is_awaited => return Next::Wait,
                    true => {}
                    false => pause(state.channel.as_ref()),
                }
                state.stage = Stage::Idle;
                Next::Step
            }
            Stage::Linked(_) => self.lead(state, now),
        }
    }

    /// Goes on with the link.
    fn lead(self: &Arc<Self>, state: &mut State, now: Instant) -> Next {
        let State { stage: Stage::Linked(link), journey, backoff, patience, .. } = state else {
            return Next::Wait;
        };
        if !link.leaves && !self.demand.is_there(now) {
            link.leave(now);
        }
        let begin = || {
            let answers = journey.answers(token());
            let within = patience.with_first_answer(self.demand.is_claimed());
            let mut conversation =
                Conversation::new(journey.at(), answers, (within, backoff.silence_limit), now);
            let others = self.demand.askers(now);
            let all = std::iter::once(&self.parts.instance).chain(&others);
            conversation.comes_by(via(all.map(String::as_str)));
            conversation
        };
        let came = link.comes();
        let turned = link.turn(begin, &self.figures, now);
        journey.wants_hash |= link.wants_hash();
        let (comes, is_described) = (link.comes(), link.described.is_some());
        if comes != came && comes.0 {
            state.telling.it_comes(&self.pull, self.demand.is_needed(), comes.1);
            state.telling.lacks(&self.pull, &link.refused);
            let at = link.server.ip();
            self.plays(state, at);
        }
        match turned {
            Turned::Done | Turned::More if is_described => return self.set_up(state, now),
            Turned::Done => return Next::Wait,
            Turned::More => return Next::Turn,
            Turned::Over(end) => self.end(state, end, now),
        }
        Next::Step
    }

    fn plays(&self, state: &mut State, at: IpAddr) {
        self.figures.is(PullState::Playing);
        state.hosts.reached(&host(state.journey.at()), at);
        (state.patience, state.has_changed) = (Patience::default(), false);
    }

    /// Sets up what was described, by the channel that has these tracks. Where there is none it is made first.
    fn set_up(self: &Arc<Self>, state: &mut State, now: Instant) -> Next {
        let State { stage: Stage::Linked(link), channel, opening, .. } = state else { return Next::Wait };
        let Some(described) = &link.described else { return Next::Wait };
        if opening.is_some() {
            return Next::Wait;
        }
        channel.take_if(|known| known.is_gone());
        let known = channel.as_ref().filter(|known| described.carries_what_is_in(&known.presentation()));
        let Some(known) = known else {
            let making = Opening::new(self.clone(), (**described).clone());
            *opening = Some(state.links);
            if channel.take().is_some() {
                self.changes(state, now);
            }
            self.parts.control.push(Task::new(OPEN, making));
            return Next::Wait;
        };
        // The rest of it may be another one, for those who come.
        known.describe((**described).clone());
        let (pull, parts) = (&self.pull, &self.parts);
        let set_up = link.set_up(&known.tracks, pull.transport, &parts.poller, now);
        if let Err(failure) = set_up {
            self.fail(state, &failure, now);
        }
        Next::Step
    }

    /// It has become another one, which its server may have said before.
    fn changes(&self, state: &mut State, now: Instant) {
        if !std::mem::replace(&mut state.has_changed, true) {
            self.figures.failed(&Failure::Changed);
            state.telling.it_changes(&self.pull, now);
        }
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

impl Listener for Upstream {
    fn hear(self: Arc<Self>) {
        self.poke();
    }

    fn lose(self: Arc<Self>) {
        let mut state = self.state();
        if let Stage::Linked(_) = state.stage {
            let lost = Failure::Broken("its descriptor is polled no more".to_owned());
            self.fail(&mut state, &lost, clock::now());
        }
        drop(state);
        self.poke();
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

#[cfg(all(test, not(model)))]
mod tests {
    use super::*;
    use crate::event::{Class, Poller, TaskQueue, Timers};
    use crate::ingest::pull::{Pull, Transport};
    use crate::relay::{Busy, Channel, Demand, Opens, rig};
    use crate::wire::rtsp::{Method, StatusCode, Url};
    use crate::wire::sdp::{self, Presentation};

    use super::super::failure::Failure;
    use super::super::names::Names;
    use super::super::parts::Parts;

    struct Nobody;

    impl Opens for Nobody {
        fn open(&self, _: &str, _: Presentation, _: &Arc<Demand>) -> Option<Arc<Channel>> {
            None
        }
    }

    /// An upstream that nobody wants yet, on threads that end with the test.
    fn with_upstream(test: impl FnOnce(&Arc<Upstream>)) {
        let queue = TaskQueue::start("t-pull", 1).expect("a thread");
        let poller = Poller::new(64, 1, queue.clone(), queue.clone()).expect("a thread");
        let timers = Timers::start(&poller, Class::Media).expect("a timer");
        let parts = Parts {
            poller: poller.clone(),
            timers: timers.clone(),
            media: queue.clone(),
            control: queue.clone(),
            busy: Busy::new(1, 0.6, || false),
            names: Names::default(),
            instance: "7".into(),
            opens: Arc::new(Nobody),
        };
        let url = Url::parse("rtsp://127.0.0.1:9/news").expect("a URL");
        let pull = Pull { name: "news".into(), url, login: None, transport: Transport::Tcp, trust: None };
        let demand = Arc::<Demand>::default();
        demand.be_needed(Duration::ZERO);
        let upstream = Upstream::new(pull, demand, Arc::new(parts));
        test(&upstream);
        upstream.stop();
        poller.stop();
        timers.stop();
        queue.stop();
    }

    fn channel() -> Arc<Channel> {
        rig::channel("news", sdp::mpegts("news", [239, 77, 60, 3].into(), 5004, None))
    }

    fn failures(upstream: &Upstream) -> u64 {
        upstream.stats().failures.iter().map(|(_, count)| count).sum()
    }

    #[test]
    fn a_channel_that_is_made_too_late_is_kept_by_nobody() {
        with_upstream(|upstream| {
            upstream.state().opening = Some(1);
            upstream.stop();
            let channel = channel();
            upstream.opened(Some(channel.clone()));
            assert_eq!(Arc::strong_count(&channel), 1);
        });
    }

    #[test]
    fn what_is_not_made_for_a_link_that_is_gone_fails_no_other() {
        with_upstream(|upstream| {
            let before = channel();
            (upstream.state().links, upstream.state().opening) = (2, Some(1));
            upstream.state().channel = Some(before.clone());
            upstream.opened(None);
            let state = upstream.state();
            assert!(state.channel.as_ref().is_some_and(|channel| Arc::ptr_eq(channel, &before)));
            assert_eq!((failures(upstream), state.opening), (0, None), "another one may be made");
        });
    }

    #[test]
    fn who_wants_to_be_left_alone_is_so_whoever_comes() {
        with_upstream(|upstream| {
            let (mut state, now) = (upstream.state(), clock::now());
            let wanted = Some(10 * LOOK_EVERY);
            let busy = Failure::Refused(Method::Describe, StatusCode::ServiceUnavailable, wanted);
            upstream.fail(&mut state, &busy, now);
            upstream.step(&mut state, now);
            assert!(matches!(state.stage, Stage::Idle), "nobody wants it");
            let _claim = crate::relay::Claim::on(&upstream.demand);
            upstream.step(&mut state, now + LOOK_EVERY);
            assert!(matches!(state.stage, Stage::Resting(..)));
            assert!(matches!(upstream.step(&mut state, now + LOOK_EVERY), Next::Wait));
        });
    }
}
