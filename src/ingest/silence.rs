//! Silent sources: a timer per channel that is moved on by packets, and tells when its tracks stop and return. While
//! a track is silent its group is joined again now and then: the network may have forgotten who listens.

use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use crate::event::{Task, TimerId, Timers, Work, clock, lock};
use crate::net::interface_name;
use crate::relay::{Channel, Track};
use crate::wire::sdp::Feed;

use super::multicast::Receivers;
use super::obstacles::{in_the_way, perhaps_in_the_way};
use super::pulse::{LOOK_EVERY, Pulse};
use super::said::Said;
use super::unheard::{self, Unheard, Wait};

/// Of a track that has fallen silent, so long it is waited for packets without payload, or for what is refused: where they come the
/// network delivers the group, and to join it again would lose some.
const OTHERS_COME_WITHIN: Duration = Duration::from_millis(200);
/// A look is so much later than it is due, of `silent_after` and at most: tracks that stop together are seen together.
const SLACK: (u32, Duration) = (8, Duration::from_millis(100));

/// Watches one channel for as long as it is in the catalogue.
pub struct SilenceWatch {
    channel: Arc<Channel>,
    receivers: Weak<Receivers>,
    timers: Weak<Timers>,
    started_at: Instant,
    state: Mutex<State>,
}

struct State {
    pulses: Vec<Pulse>,
    /// Of each track that is silent, the datagrams that were no media when it was last looked at.
    others: Vec<Option<u64>>,
    unheard: Vec<Unheard>,
    timer: Option<TimerId>,
    /// Since when not all tracks are silent.
    sends_since: Option<Instant>,
    channel: Said,
    tracks: Vec<Said>,
}

impl SilenceWatch {
    /// Starts to watch.
    pub fn start(channel: &Arc<Channel>, receivers: &Arc<Receivers>, timers: &Arc<Timers>) {
        let silent_after = channel.silent_after;
        let state = State {
            pulses: channel.tracks.iter().map(|_| Pulse::new(silent_after)).collect(),
            others: vec![None; channel.tracks.len()],
            unheard: channel.tracks.iter().map(|_| Unheard::default()).collect(),
            timer: None,
            sends_since: None,
            // A source that has not begun yet is no news.
            channel: Said::that(true),
            tracks: vec![Said::default(); channel.tracks.len()],
        };
        let started_at = clock::now();
        let watch = Arc::new(Self {
            started_at,
            channel: channel.clone(),
            receivers: Arc::downgrade(receivers),
            timers: Arc::downgrade(timers),
            state: Mutex::new(state),
        });
        for track in &channel.tracks {
            let (watch, queue) = (Arc::downgrade(&watch), receivers.queue().clone());
            track.signs.on_return(move || {
                if let Some(watch) = watch.upgrade() {
                    queue.push(Task::new("SilenceWatch", watch));
                }
            });
        }
        let mut state = lock(&watch.state);
        watch.look_at(&mut state, started_at + silent_after.min(LOOK_EVERY));
        // From here on it is waited for the first packets.
        let _ = watch.unheard_tracks(&mut state, started_at);
    }

    fn look_at(self: &Arc<Self>, state: &mut State, at: Instant) {
        let Some(timers) = self.timers.upgrade() else { return };
        let timer = timers.at(at, Task::new("SilenceWatch", self.clone()));
        if let Some(before) = state.timer.replace(timer) {
            timers.cancel(before);
        }
    }

    /// Looks at all tracks; returns when to look again.
    fn look(&self, state: &mut State, now: Instant) -> Instant {
        let mut next = now + LOOK_EVERY;
        for (track, pulse) in self.channel.tracks.iter().zip(&mut state.pulses) {
            let mut sight = pulse.look(track.signs.last(), now);
            if sight.expects {
                track.signs.expect();
                sight = pulse.look(track.signs.last(), now);
            }
            track.signs.set_missing(sight.silent);
            next = next.min(sight.next);
        }
        state.sends_since = if self.channel.is_silent() { None } else { state.sends_since.or(Some(now)) };
        let (part, most) = SLACK;
        next + (self.channel.silent_after / part).min(most)
    }

    /// Tracks that were waited for in vain, and when to look again at those that are waited for.
    fn unheard_tracks(&self, state: &mut State, now: Instant) -> (Vec<Arc<Track>>, Option<Instant>) {
        let (mut in_vain, mut next) = (Vec::new(), None::<Instant>);
        for (track, unheard) in self.channel.tracks.iter().zip(&mut state.unheard) {
            match unheard.look(track, self.channel.silent_after, now) {
                Wait::Over => {}
                Wait::Until(at) => next = Some(next.map_or(at, |next| next.min(at))),
                Wait::InVain => in_vain.push(track.clone()),
            }
        }
        (in_vain, next)
    }

    fn tell_of_unheard(&self, track: &Arc<Track>, receivers: &Receivers) {
        if track.description.feeds.is_empty() {
            let (channel, track) = (&self.channel.name, track.number);
            tracing::warn!(channel, track, "the server has sent nothing of it");
        }
        for (leg, place) in receivers.places_of(track) {
            let Feed { group, port, filter, .. } = &leg.feed;
            let nowhere = if group.is_unspecified() { "any" } else { "an interface that is gone" };
            let interface = place.and_then(interface_name).unwrap_or_else(|| nowhere.to_owned());
            let mut advice = unheard::advice(*group, filter, &interface);
            let known = in_the_way(place.unwrap_or(0), &interface, *group, filter);
            for told in perhaps_in_the_way(&interface, *group, filter).into_iter().chain(known) {
                advice = format!("{told}. {advice}");
            }
            let channel = &self.channel.name;
            tracing::warn!(channel, track = track.number, %group, port, "{advice}");
        }
    }

    /// Tells the log of a source that stops or returns, and of single tracks that do so while others flow.
    fn tell(&self, state: &mut State, now: Instant) {
        let channel = &self.channel.name;
        let demand = &self.channel.demand;
        let is_joined = || self.channel.tracks.iter().all(|track| track.is_joined());
        if demand.is_needed() && !(demand.has_lasted(self.channel.silent_after, now) && is_joined()) {
            return; // nobody waits for it, or not for long enough
        }
        match state.channel.change(state.sends_since.is_none(), now) {
            Some(true) => tracing::warn!(channel, "the source is silent; viewers stay connected"),
            Some(false) => tracing::info!(channel, "the source sends"),
            None => {}
        }
        let flows_for_long = state.sends_since.is_some_and(|since| now >= since + self.channel.silent_after);
        for (track, said) in self.channel.tracks.iter().zip(&mut state.tracks) {
            // What its channel's silence explains is told already.
            let silent = track.is_silent() && (said.silent || flows_for_long);
            let track = track.number;
            match said.change(silent, now) {
                Some(true) => tracing::warn!(channel, track, "the track is silent while others flow"),
                Some(false) => tracing::info!(channel, track, "the track sends"),
                None => {}
            }
        }
    }

    /// Tracks that the network may have forgotten: their silence has lasted, and nothing else comes. One that has not begun yet
    /// was joined just now. Of others it is to be seen by then whether something does.
    fn forgotten_tracks(&self, state: &mut State, now: Instant) -> (Vec<Arc<Track>>, Option<Instant>) {
        let (mut forgotten, mut next) = (Vec::new(), None);
        let is_new = !self.channel.demand.has_lasted(self.channel.silent_after, now);
        for (track, others) in self.channel.tracks.iter().zip(&mut state.others) {
            let since = track.signs.last().unwrap_or(self.started_at);
            if is_new || !track.is_silent() || now < since + self.channel.silent_after {
                *others = None;
                continue;
            }
            match others.replace(track.others()) {
                None => next = Some(now + OTHERS_COME_WITHIN),
                Some(before) if *others == Some(before) => forgotten.push(track.clone()),
                Some(_) => {}
            }
        }
        (forgotten, next)
    }
}

impl Work for SilenceWatch {
    fn run(self: Arc<Self>) {
        if self.channel.is_gone() {
            return;
        }
        let now = clock::now();
        if let Some(timers) = self.timers.upgrade() {
            timers.vitals().may_fault("silence", String::new);
        }
        let mut state = lock(&self.state);
        let next = self.look(&mut state, now);
        self.tell(&mut state, now);
        let (unheard, wait) = self.unheard_tracks(&mut state, now);
        let (forgotten, soon) = self.forgotten_tracks(&mut state, now);
        self.look_at(&mut state, [wait, soon].into_iter().flatten().fold(next, Instant::min));
        drop(state); // who renews may wait for the kernel
        if let Some(receivers) = self.receivers.upgrade() {
            unheard.iter().for_each(|track| self.tell_of_unheard(track, &receivers));
            forgotten.iter().for_each(|track| receivers.renew(track, now));
        }
    }

    /// Watching goes on whatever happened once.
    fn close(self: Arc<Self>) {
        if let Some(timers) = self.timers.upgrade() {
            timers.vitals().fault("watch");
        }
        self.look_at(&mut lock(&self.state), clock::now() + LOOK_EVERY);
    }
}
