//! One viewer's session: what was set up, whether it plays, and its signs of life.

use std::mem;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::event::{TimerId, lock};
use crate::relay::{Channel, RingStart, StreamSink, Subscription, Track, Viewer};
use crate::wire::rtcp::{self, Feedback, Report};
use crate::wire::rtsp::interleaved_header;

use super::addresses::Share;
use super::output::{Output, SetupBytes, Sink};
use super::port_pairs::Reservation;
use super::rtsp_connection::RtspConnection;
use super::rtsp_server::RtspServer;
use super::writer::Post;

/// A sender report this young is handed to a new viewer at once, for lip sync from the first picture.
const REPORT_MAX_AGE: Duration = Duration::from_secs(10);

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
    epoch: Instant,
    last_sign_ms: AtomicU64,
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
}

struct Setup {
    track: Arc<Track>,
    url: String,
    transport: Granted,
    costs: Costs,
    feed: Option<Feed>,
    quality: Option<Quality>,
}

/// What a track that is set up takes of what its address and its connection may have.
pub(super) struct Costs {
    pub egress: Share,
    pub _memory: SetupBytes,
}

/// How a track reaches the viewer.
pub(super) enum Granted {
    Udp(Arc<Reservation>),
    Interleaved { rtp: u8, rtcp: u8 },
}

/// Both of a track's flows, subscribed for as long as this lives.
struct Feed {
    rtp: Subscription,
    rtcp: Subscription,
}

/// What a subscriber's latest report says of a track (RFC 3550 section 6.4.1).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quality {
    /// Loss since the report before, 0 to 1.
    pub fraction_lost: f64,
    /// Interarrival jitter; absent where the track's clock rate is unknown.
    pub jitter_seconds: Option<f64>,
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
        Self {
            id,
            channel,
            peer: client.peer.ip(),
            output: client.output.clone(),
            server: Arc::downgrade(&client.server),
            epoch: now,
            last_sign_ms: AtomicU64::new(0),
            state: Mutex::new(State { place: Some(place), ..State::default() }),
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
        state.setups.push(Setup { track, url, transport, costs, feed: None, quality: None });
        state.setups.sort_by_key(|setup| setup.track.number);
    }

    pub(super) fn is_playing(&self) -> bool {
        self.state().viewer.is_some()
    }

    pub(super) fn tracks(&self) -> usize {
        self.state().setups.len()
    }

    /// Reckons what its tracks take by how fast they are now. `false`: its address would have too much.
    pub(super) fn weigh(&self) -> bool {
        let mut state = self.state();
        state
            .setups
            .iter_mut()
            .all(|setup| setup.costs.egress.change(setup.track.rtp.ring().bits_per_second()))
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

    /// Starts what was planned.
    pub(super) fn play(&self, plan: &[Planned], now: Instant) {
        let mut state = self.state();
        if state.ended {
            return;
        }
        for (setup, planned) in state.setups.iter_mut().zip(plan) {
            setup.feed = Some(setup.subscribe(planned.from, &self.output, now));
        }
        let over_tcp = state.setups.iter().any(Setup::is_interleaved);
        state.viewer = Some(self.channel.watch(over_tcp));
    }

    /// Stops the packets and keeps what was set up.
    pub(super) fn pause(&self) {
        let mut state = self.state();
        state.viewer = None;
        state.setups.iter_mut().for_each(|setup| setup.stop(&self.output));
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
    pub(super) fn end(&self) -> Option<TimerId> {
        self.pause();
        let mut state = self.state();
        state.ended = true;
        let setups = mem::take(&mut state.setups);
        let (watch, place) = (state.watch.take(), state.place.take());
        drop(state);
        drop((setups, place)); // outside the lock: reservations are given back
        watch
    }

    /// A packet from the viewer about a track. `true`: it has said goodbye to all that it was playing.
    pub(super) fn hear(&self, track: usize, feedback: &Feedback, now: Instant) -> bool {
        self.touch(now);
        let mut state = self.state();
        let Some(setup) = state.setups.iter_mut().find(|setup| setup.track.number == track) else {
            return false;
        };
        if let Some(report) = feedback.reports.first() {
            setup.quality = Some(Quality::of(report, &setup.track));
        }
        if !feedback.goodbye || setup.feed.is_none() {
            return false;
        }
        setup.stop(&self.output);
        state.setups.iter().all(|setup| setup.feed.is_none())
    }

    /// The track whose RTCP an interleaved channel carries.
    pub(super) fn track_of_channel(&self, channel: u8) -> Option<usize> {
        let state = self.state();
        state.setups.iter().find(|setup| setup.uses_channel(channel)).map(|setup| setup.track.number)
    }

    /// Tells the viewer that the tracks end (RFC 3550 section 6.6).
    pub(super) fn say_goodbye(&self, reason: &str) {
        for setup in self.state().setups.iter().filter(|setup| setup.feed.is_some()) {
            let Some(ssrc) = setup.track.ssrc() else { continue };
            let goodbye = rtcp::goodbye(ssrc, reason);
            match &setup.transport {
                Granted::Udp(at) => {
                    // A lost farewell is what the session's timeout is for.
                    let _ = at.pair.rtcp.current().send_to(&goodbye, at.rtcp);
                }
                Granted::Interleaved { rtcp, .. } => {
                    let mut framed = interleaved_header(*rtcp, goodbye.len() as u16).to_vec();
                    framed.extend(goodbye);
                    self.output.post(Post::Bytes(Bytes::from(framed)));
                }
            }
        }
        Sink(self.output.clone()).pump(None);
    }

    /// Whether a fault has ended the delivery of a track.
    pub(super) fn is_lost(&self) -> bool {
        self.state().setups.iter().filter_map(|setup| setup.feed.as_ref()).any(Feed::is_lost)
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

impl Setup {
    fn subscribe(&self, from: u64, output: &Arc<Output>, now: Instant) -> Feed {
        let (rtp, rtcp) = (&self.track.rtp, &self.track.rtcp);
        let newest_report = rtcp.ring().newest(now, REPORT_MAX_AGE);
        let rtcp_from = newest_report.map_or_else(|| rtcp.ring().head(), |report| report.number);
        match &self.transport {
            Granted::Udp(at) => Feed {
                rtp: rtp.subscribe_datagrams(&at.pair.rtp, at.rtp, from, at.clone()),
                rtcp: rtcp.subscribe_datagrams(&at.pair.rtcp, at.rtcp, rtcp_from, at.clone()),
            },
            Granted::Interleaved { rtp: rtp_channel, rtcp: rtcp_channel } => {
                output.post(Post::Open { channel: *rtp_channel, cursor: rtp.cursor(from) });
                output.post(Post::Open { channel: *rtcp_channel, cursor: rtcp.cursor(rtcp_from) });
                let sink = || Arc::new(Sink(output.clone()));
                Feed { rtp: rtp.subscribe_stream(sink()), rtcp: rtcp.subscribe_stream(sink()) }
            }
        }
    }

    fn stop(&mut self, output: &Output) {
        if self.feed.take().is_some()
            && let Granted::Interleaved { rtp, rtcp } = self.transport
        {
            output.post(Post::Close { channel: rtp });
            output.post(Post::Close { channel: rtcp });
        }
    }

    fn is_interleaved(&self) -> bool {
        matches!(self.transport, Granted::Interleaved { .. })
    }

    fn uses_channel(&self, channel: u8) -> bool {
        matches!(self.transport, Granted::Interleaved { rtp, rtcp } if rtp == channel || rtcp == channel)
    }
}

impl Feed {
    fn is_lost(&self) -> bool {
        self.rtp.is_lost() || self.rtcp.is_lost()
    }
}

impl Quality {
    fn of(report: &Report, track: &Track) -> Self {
        let rate = track.description.clock_rate.filter(|rate| *rate > 0);
        Self {
            fraction_lost: f64::from(report.fraction_lost) / 256.0,
            jitter_seconds: rate.map(|rate| f64::from(report.jitter) / f64::from(rate)),
        }
    }
}
