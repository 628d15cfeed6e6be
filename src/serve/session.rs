//! One viewer's session: what was set up, whether it plays, and its signs of life.

use std::mem;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

use crate::event::{TimerId, lock};
use crate::net::{Progress, VANISHED_AFTER};
use crate::relay::{Channel, RingStart, StreamSink, Track, Viewer};
use crate::wire::rtcp;

use super::addresses::Share;
use super::output::{Output, Sink};
use super::patience::Media;
use super::reporter::Said;
use super::rtsp_connection::RtspConnection;
use super::rtsp_server::RtspServer;
use super::setup::{Costs, Granted, Quality, Setup};
use super::stats::Counters;
use super::story::Story;

/// One viewer of one channel.
pub struct Session {
    /// Unguessable: it is what entitles to control the session.
    pub(super) id: String,
    /// What is watched.
    pub channel: Arc<Channel>,
    /// The viewer's address.
    pub peer: IpAddr,
    pub(super) output: Arc<Output>,
    server: Weak<RtspServer>,
    /// When it began.
    pub(super) epoch: Instant,
    last_sign_ms: AtomicU64,
    /// Bytes of the connection that were known to be acknowledged.
    acknowledged: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    setups: Vec<Setup>,
    viewer: Option<Viewer>,
    /// The timer that watches for signs of life.
    watch: Option<TimerId>,
    /// Another thread may end the session while a request is being answered.
    ended: bool,
    /// Its place among the sessions of its address.
    place: Option<Share>,
    /// What the log tells of it, until it has ended.
    story: Option<Arc<Story>>,
}

/// What one track's first packet will be.
pub(super) struct Planned {
    pub url: String,
    pub start: Option<RingStart>,
    /// Its number in the ring; what arrives once the PLAY is answered is never before it.
    pub from: u64,
}

impl Session {
    pub(super) fn new(
        id: String,
        channel: Arc<Channel>,
        client: &RtspConnection,
        place: Share,
        now: Instant,
    ) -> Self {
        let story = Some(Story::new(&client.server.teller, client.peer, channel.clone()));
        Self {
            id,
            channel,
            peer: client.peer.ip(),
            output: client.output.clone(),
            server: Arc::downgrade(&client.server),
            epoch: now,
            last_sign_ms: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
            state: Mutex::new(State { place: Some(place), story, ..State::default() }),
        }
    }

    /// A sign of life.
    pub(super) fn touch(&self, now: Instant) {
        let ms = now.saturating_duration_since(self.epoch).as_millis() as u64;
        self.last_sign_ms.fetch_max(ms, Relaxed);
    }

    pub(super) fn last_sign(&self) -> Instant {
        self.epoch + Duration::from_millis(self.last_sign_ms.load(Relaxed))
    }

    /// Sets a track up, anew if it was before. Not while it plays.
    pub(super) fn set_up(&self, track: Arc<Track>, url: String, transport: Granted, costs: Costs) {
        let mut state = self.state();
        if state.ended {
            return;
        }
        state.setups.retain(|setup| setup.track.number != track.number);
        state.setups.push(Setup::new(track, url, transport, costs));
        state.setups.sort_by_key(|setup| setup.track.number);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.state().ended
    }

    pub(super) fn is_playing(&self) -> bool {
        self.state().viewer.is_some()
    }

    pub(super) fn tracks(&self) -> usize {
        self.state().setups.len()
    }

    /// Reckons what its tracks take by how fast they are now. `false`: its address would have too much.
    pub(super) fn weigh(&self) -> bool {
        self.state().setups.iter_mut().all(Setup::weigh)
    }

    /// Reckons tracks of which nothing had come when they were weighed. `false`: its address would have too much. Others
    /// stay as they were: who was let in is not sent away for a moment in which its stream is faster.
    pub(super) fn weigh_what_has_come(&self) -> bool {
        let mut state = self.state();
        let unknown = state.setups.iter_mut().filter(|setup| setup.costs.egress.amount() == 0);
        unknown.fold(true, |fits, setup| fits & setup.weigh())
    }

    /// Bits a second that are sent to it now.
    pub(super) fn bits_per_second(&self) -> u64 {
        let state = self.state();
        let playing = state.setups.iter().filter(|setup| setup.plays());
        playing.map(|setup| setup.track.rtp.ring().bits_per_second()).sum()
    }

    /// Whether an interleaved channel of the connection is this session's.
    pub(super) fn uses_channel(&self, channel: u8) -> bool {
        self.state().setups.iter().any(|setup| setup.uses_channel(channel))
    }

    /// The packets that a PLAY of now starts with.
    pub(super) fn plan(&self, now: Instant) -> Vec<Planned> {
        let state = self.state();
        let plan = state.setups.iter().map(|setup| {
            // Asked first: a packet that comes in between is then not missed.
            let head = setup.track.rtp.ring().head();
            let start = setup.track.start(now);
            Planned { url: setup.url.clone(), start, from: start.map_or(head, |start| start.number) }
        });
        plan.collect()
    }

    /// Starts what was planned. `agent` is what the viewer says that it is.
    pub(super) fn play(&self, plan: &[Planned], agent: Option<&str>, now: Instant) {
        let mut state = self.state();
        if state.ended {
            return;
        }
        let story = state.story.clone();
        for (setup, planned) in state.setups.iter_mut().zip(plan) {
            setup.start(planned.from, &self.output, story.as_ref(), now);
        }
        let over_tcp = state.setups.iter().any(Setup::is_interleaved);
        state.viewer = Some(self.channel.watch(over_tcp));
        let ways = state.setups.iter().map(Setup::way).collect();
        drop(state);
        if let Some(story) = story {
            story.play(ways, agent, now);
        }
    }

    /// Stops the packets and keeps what was set up.
    pub(super) fn pause(&self) {
        self.state().stop(&self.output);
    }

    /// Takes one track out; returns how many are left.
    pub(super) fn tear_down(&self, track: usize) -> usize {
        let mut state = self.state();
        for setup in state.setups.iter_mut().filter(|setup| setup.track.number == track) {
            setup.stop(&self.output);
        }
        state.setups.retain(|setup| setup.track.number != track);
        state.setups.len()
    }

    /// Ends the session for `reason`.
    pub(super) fn finish(&self, reason: &'static str) {
        if let Some(server) = self.server.upgrade() {
            server.end_session(self, reason);
        }
    }

    /// Remembers the timer that watches. `false`: the session has ended and needs none.
    pub(super) fn watched_by(&self, timer: TimerId) -> bool {
        let mut state = self.state();
        state.watch = Some(timer);
        !state.ended
    }

    /// Gives everything back; returns the timer that watched.
    pub(super) fn end(&self, reason: &'static str, now: Instant) -> Option<TimerId> {
        let mut state = self.state();
        state.ended = true; // under the same lock as the stop: a PLAY comes before both or after both
        let story = state.story.take();
        story.iter().for_each(|story| story.end(reason, self.epoch, now));
        state.stop(&self.output);
        let setups = mem::take(&mut state.setups);
        let (watch, place) = (state.watch.take(), state.place.take());
        drop(state);
        drop((setups, place, story)); // outside the lock: reservations are given back
        watch
    }

    /// A datagram from the viewer's address about a track. `true`: the viewer has said goodbye to all that was playing.
    pub(super) fn hear(&self, track: usize, datagram: &[u8], counters: &Counters, now: Instant) -> bool {
        let feedback = match rtcp::feedback(datagram) {
            Ok(feedback) => feedback,
            Err(not_rtcp) => {
                counters.rtcp_refused(not_rtcp.reason());
                return false;
            }
        };
        let mut state = self.state();
        let story = state.story.clone();
        let Some(setup) = state.of_track(track) else { return false };
        match setup.reporter.hear(&feedback, setup.track.ssrc()) {
            Ok(said) => {
                counters.rtcp_report();
                self.touch(now);
                let report = match said {
                    Said::Alive(report) => report,
                    Said::Goodbye => feedback.report_on(setup.track.ssrc()),
                };
                if let Some(report) = report {
                    setup.quality = Some(Quality::of(&report, &setup.track));
                    story.iter().for_each(|story| story.hear(track, setup.judge(&report, now)));
                }
                said == Said::Goodbye && setup.plays() && state.lose(track, &self.output)
            }
            Err(not_theirs) => {
                counters.rtcp_refused(not_theirs.reason());
                false
            }
        }
    }

    /// The viewer's host says that nobody listens at a track's port. `true`: it has said so again, without a sign of
    /// life in between, of all that was playing. What is said at one time counts once: packets of a moment may all come
    /// back, though the viewer has opened its port since.
    pub(super) fn refuse(&self, track: usize, now: Instant) -> bool {
        let last_sign = self.last_sign();
        let mut state = self.state();
        let Some(setup) = state.of_track(track).filter(|setup| setup.plays()) else { return false };
        let before = setup.refused_at.replace(now);
        let again = before.is_some_and(|before| before < now && last_sign < before);
        again && state.lose(track, &self.output)
    }

    /// What the session is sent.
    pub(super) fn media(&self, now: Instant) -> Media {
        let state = self.state();
        if state.viewer.is_none() {
            return Media::Stopped;
        }
        let flows = state.setups.iter().filter_map(|setup| setup.track.signs.flows_since(now));
        flows.min().map_or(Media::Silent, |since| Media::Flows { since })
    }

    /// Whether packets go by the connection, where what arrives is acknowledged.
    pub(super) fn is_acknowledged(&self) -> bool {
        self.state().setups.iter().any(|setup| setup.plays() && setup.is_interleaved())
    }

    /// Takes what was acknowledged for a sign of life. `false`: what is under way is answered by nobody any more.
    pub(super) fn take_progress(&self, progress: Progress, now: Instant) -> bool {
        if self.acknowledged.fetch_max(progress.acknowledged, Relaxed) < progress.acknowledged {
            self.touch(now);
        }
        !(progress.in_flight && progress.last_answer_age >= VANISHED_AFTER)
    }

    /// The track whose RTCP an interleaved channel carries.
    pub(super) fn track_of_channel(&self, channel: u8) -> Option<usize> {
        let state = self.state();
        state.setups.iter().find(|setup| setup.uses_channel(channel)).map(|setup| setup.track.number)
    }

    /// Tells the viewer that the tracks end (RFC 3550 section 6.6).
    pub(super) fn say_goodbye(&self, reason: &str) {
        self.state().setups.iter().for_each(|setup| setup.say_goodbye(&self.output, reason));
        Sink(self.output.clone()).pump(None);
    }

    /// The latest report of each track that has one, with its track.
    pub fn qualities(&self) -> Vec<(usize, Quality)> {
        let state = self.state();
        let reported = state.setups.iter().filter_map(|setup| Some((setup.track.number, setup.quality?)));
        reported.collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    fn stop(&mut self, output: &Output) {
        self.viewer = None;
        self.setups.iter_mut().for_each(|setup| setup.stop(output));
    }

    fn of_track(&mut self, number: usize) -> Option<&mut Setup> {
        self.setups.iter_mut().find(|setup| setup.track.number == number)
    }

    /// A track's viewer is gone. `true`: so it is from all others; else they play on without this one.
    fn lose(&mut self, number: usize, output: &Output) -> bool {
        let others_play = self.setups.iter().any(|setup| setup.track.number != number && setup.plays());
        if others_play && let Some(setup) = self.of_track(number) {
            setup.stop(output);
        }
        !others_play
    }
}
