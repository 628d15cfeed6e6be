//! One viewer's session: what was set up, whether it plays, and its signs of life.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use crate::event::{TimerId, lock};
use crate::net::{Progress, VANISHED_AFTER};
use crate::relay::{Channel, RingStart, StreamSink, Viewer};
use crate::wire::rtcp;

use super::addresses::Share;
use super::output::{Output, Sink};
use super::patience::Media;
use super::reporter::Said;
use super::rtsp_connection::RtspConnection;
use super::rtsp_server::RtspServer;
use super::setup::{Granted, Quality, Setup};
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
    /// Nothing once it has ended, which another thread may do while a request is being answered.
    state: Mutex<Option<State>>,
}

struct State {
    setups: Vec<Setup>,
    /// There while a track plays: then the session does (RFC 2326 appendix A.2), else it is ready.
    viewer: Option<Viewer>,
    /// The timer that watches for signs of life.
    watch: Option<TimerId>,
    /// Its place among the sessions of its address.
    _place: Share,
    /// What the log tells of it once it has ended.
    story: Arc<Story>,
}

/// What the first packet will be of a track that is to start.
pub(super) struct Planned {
    track: usize,
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
        let story = Story::new(&client.server.teller, client.peer, channel.clone());
        Self {
            id,
            channel,
            peer: client.peer.ip(),
            output: client.output.clone(),
            server: Arc::downgrade(&client.server),
            epoch: now,
            last_sign_ms: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
            state: Mutex::new(Some(State {
                setups: Vec::new(),
                viewer: None,
                watch: None,
                _place: place,
                story,
            })),
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

    /// Sets a track up, anew if it was before. What plays goes on as it did until it [`changes over`](Self::change_over).
    pub(super) fn set_up(&self, setup: Setup) {
        self.with(|state| match state.of_track(setup.track.number) {
            Some(present) => present.renew(setup),
            None => {
                state.setups.push(setup);
                state.setups.sort_by_key(|setup| setup.track.number);
            }
        });
    }

    /// Has tracks that play go on by what they were granted last, which the viewer knows by now.
    pub(super) fn change_over(&self) {
        self.with(|state| {
            let State { setups, story, .. } = &mut *state;
            setups.iter_mut().for_each(|setup| setup.change_over(&self.output, story));
            state.count(&self.channel);
        });
        Sink(self.output.clone()).pump(None);
    }

    /// How a track reaches the viewer, if it is set up.
    pub(super) fn granted(&self, track: usize) -> Option<Granted> {
        self.with(|state| state.of_track(track).map(|setup| setup.granted().clone()))
    }

    /// Whether the viewer takes a track at this address.
    pub(super) fn is_at(&self, track: usize, address: SocketAddr) -> bool {
        self.with(|state| state.of_track(track).is_some_and(|setup| setup.is_at(address)))
    }

    pub(super) fn has_ended(&self) -> bool {
        lock(&self.state).is_none()
    }

    pub(super) fn is_playing(&self) -> bool {
        self.with(|state| state.viewer.is_some())
    }

    pub(super) fn tracks(&self) -> usize {
        self.with(|state| state.setups.len())
    }

    /// Reckons what tracks that are to start take by how fast they are now. `false`: its address would have too much.
    pub(super) fn weigh(&self) -> bool {
        lock(&self.state).iter_mut().all(State::weigh)
    }

    /// Reckons tracks of which nothing had come when they were weighed. `false`: its address would have too much. Others
    /// stay as they were: who was let in is not sent away for a moment in which its stream is faster.
    pub(super) fn weigh_what_has_come(&self) -> bool {
        let has_room = |state: &mut State| {
            let unknown = state.setups.iter_mut().filter(|setup| setup.costs.egress.amount() == 0);
            unknown.fold(true, |fits, setup| fits & setup.weigh())
        };
        lock(&self.state).as_mut().is_none_or(has_room)
    }

    /// Bits a second that are sent to it now.
    pub(super) fn bits_per_second(&self) -> u64 {
        self.with(|state| state.playing().map(|setup| setup.track.rtp.ring().bits_per_second()).sum())
    }

    /// Whether an interleaved channel of the connection is this session's.
    pub(super) fn uses_channel(&self, channel: u8) -> bool {
        self.with(|state| state.setups.iter().any(|setup| setup.uses_channel(channel)))
    }

    /// The packets that a PLAY of now starts with: those of tracks that do not play.
    pub(super) fn plan(&self, now: Instant) -> Vec<Planned> {
        let plan = |setup: &Setup| {
            // Asked first: a packet that comes in between is then not missed.
            let head = setup.track.rtp.ring().head();
            let start = setup.track.start(now);
            let (track, from) = (setup.track.number, start.map_or(head, |start| start.number));
            Planned { track, url: setup.url.clone(), start, from }
        };
        self.with(|state| state.setups.iter().filter(|setup| !setup.plays()).map(plan).collect())
    }

    /// Starts what was planned, as far as it is still set up. `agent` is what the viewer says that it is.
    pub(super) fn play(&self, plan: &[Planned], agent: Option<&str>, now: Instant) {
        let told = self.with(|state| {
            let story = state.story.clone();
            for planned in plan {
                if let Some(setup) = state.of_track(planned.track) {
                    setup.start(planned.from, &self.output, &story, now);
                }
            }
            state.count(&self.channel);
            Some((story, state.setups.iter().map(Setup::way).collect()))
        });
        if let Some((story, ways)) = told {
            story.play(ways, agent, now);
        }
    }

    /// Stops the packets and keeps what was set up.
    pub(super) fn pause(&self) {
        self.with(|state| state.stop(&self.output));
        self.let_streams_go();
    }

    /// Takes one track out; returns how many are left.
    pub(super) fn tear_down(&self, track: usize) -> usize {
        let left = self.with(|state| {
            for mut setup in state.setups.extract_if(.., |setup| setup.track.number == track) {
                setup.stop(&self.output);
            }
            state.count(&self.channel);
            state.setups.len()
        });
        self.let_streams_go();
        left
    }

    /// What the connection has for streams that were closed goes now: no lane asks for it any more.
    fn let_streams_go(&self) {
        Sink(self.output.clone()).pump(None);
    }

    /// Ends the session for `reason`.
    pub(super) fn finish(&self, reason: &'static str) {
        if let Some(server) = self.server.upgrade() {
            server.end_session(self, reason);
        }
    }

    /// Remembers the timer that watches. `false`: the session has ended and needs none.
    pub(super) fn watched_by(&self, timer: TimerId) -> bool {
        self.with(|state| {
            state.watch = Some(timer);
            true
        })
    }

    /// Gives everything back; returns the timer that watched.
    pub(super) fn end(&self, reason: &'static str, now: Instant) -> Option<TimerId> {
        // A PLAY comes before, and is stopped, or after, and starts nothing. Outside the lock: reservations are given back.
        let mut state = lock(&self.state).take()?;
        state.story.end(reason, self.epoch, now);
        state.stop(&self.output);
        self.let_streams_go();
        state.watch
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
        self.with(|state| {
            let story = state.story.clone();
            let Some(setup) = state.of_track(track) else { return false };
            let said = match setup.reporter.hear(&feedback, setup.track.ssrc()) {
                Ok(said) => said,
                Err(not_theirs) => {
                    counters.rtcp_refused(not_theirs.reason());
                    return false;
                }
            };
            counters.rtcp_report();
            self.touch(now);
            let report = match said {
                Said::Alive(report) => report,
                Said::Goodbye => feedback.report_on(setup.track.ssrc()),
            };
            if let Some(report) = report {
                setup.quality = Some(Quality::of(&report, &setup.track));
                story.hear(track, setup.judge(&report, now));
            }
            said == Said::Goodbye && setup.plays() && state.lose(track, self)
        })
    }

    /// The viewer's host says that nobody listens at a track's port. `true`: it has said so again, without a sign of
    /// life in between, of all that was playing. What is said at one time counts once: packets of a moment may all come
    /// back, though the viewer has opened its port since.
    pub(super) fn refuse(&self, track: usize, at: SocketAddr, now: Instant) -> bool {
        let last_sign = self.last_sign();
        self.with(|state| {
            let setup = state.of_track(track).filter(|setup| setup.plays() && setup.is_at(at));
            let Some(setup) = setup else { return false };
            let before = setup.refused_at.replace(now);
            let again = before.is_some_and(|before| before < now && last_sign < before);
            again && state.lose(track, self)
        })
    }

    /// What the session is sent.
    pub(super) fn media(&self, now: Instant) -> Media {
        let of = |state: &mut State| {
            state.viewer.as_ref()?;
            let flows = state.playing().filter_map(|setup| setup.track.signs.flows_since(now));
            Some(flows.min().map_or(Media::Silent, |since| Media::Flows { since }))
        };
        self.with(of).unwrap_or(Media::Stopped)
    }

    /// Whether packets go by the connection, where what arrives is acknowledged.
    pub(super) fn is_acknowledged(&self) -> bool {
        self.with(|state| state.playing().any(Setup::is_interleaved))
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
        self.with(|state| {
            let setup = state.setups.iter().find(|setup| setup.uses_channel(channel))?;
            Some(setup.track.number)
        })
    }

    /// Tells the viewer that the tracks end (RFC 3550 section 6.6).
    pub(super) fn say_goodbye(&self, reason: &str) {
        self.with(|state| state.setups.iter().for_each(|setup| setup.say_goodbye(&self.output, reason)));
        Sink(self.output.clone()).pump(None);
    }

    /// The latest report of each track that has one, with its track.
    pub fn qualities(&self) -> Vec<(usize, Quality)> {
        let of = |setup: &Setup| Some((setup.track.number, setup.quality?));
        self.with(|state| state.setups.iter().filter_map(of).collect())
    }

    /// What there is to say of the state, and nothing once it has ended.
    fn with<T: Default>(&self, say: impl FnOnce(&mut State) -> T) -> T {
        lock(&self.state).as_mut().map(say).unwrap_or_default()
    }
}

impl State {
    fn stop(&mut self, output: &Output) {
        self.viewer = None;
        self.setups.iter_mut().for_each(|setup| setup.stop(output));
    }

    /// Counts its viewer by what plays now.
    fn count(&mut self, channel: &Arc<Channel>) {
        let plays = self.playing().next().is_some();
        let over_tcp = self.playing().any(Setup::is_interleaved);
        self.viewer = plays.then(|| channel.watch(over_tcp));
    }

    fn weigh(&mut self) -> bool {
        self.setups.iter_mut().filter(|setup| !setup.plays()).all(Setup::weigh)
    }

    fn playing(&self) -> impl Iterator<Item = &Setup> {
        self.setups.iter().filter(|setup| setup.plays())
    }

    fn of_track(&mut self, number: usize) -> Option<&mut Setup> {
        self.setups.iter_mut().find(|setup| setup.track.number == number)
    }

    /// A track's viewer is gone. `true`: so it is from all others; else they play on without this one.
    fn lose(&mut self, number: usize, session: &Session) -> bool {
        let others_play = self.setups.iter().any(|setup| setup.track.number != number && setup.plays());
        if others_play && let Some(setup) = self.of_track(number) {
            setup.stop(&session.output);
            self.count(&session.channel);
        }
        !others_play
    }
}
