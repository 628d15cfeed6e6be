//! One track of a session: how it reaches its viewer, whether it does, and what the viewer says of it.

use std::mem;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::relay::{Alias, Carriage, Handover, Place, Sent, Spot, Track};
use crate::wire::rtcp::{self, Report};

use super::super::access::{Beyond, Share};
use super::super::journal::{self, Story};
use super::super::media::{Asks, Followed, Grant, Heirs, Learnt, Settling, Way};
use super::super::reporter::Reporter;
use super::super::stream::SetupBytes;
use super::parcel::TrackParcel;

/// A sender report this young is handed to a new viewer at once, for lip sync from the first picture.
const REPORT_MAX_AGE: Duration = Duration::from_secs(10);

/// So long a viewer that plays has to show where it is, if it is not where it said, or to ask for its connection instead:
/// players wait for ten seconds before they do.
const UNSURE_FOR: Duration = Duration::from_secs(15);

/// One track that was set up.
pub struct Setup {
    pub track: Arc<Track>,
    pub url: String,
    pub costs: Costs,
    way: Box<dyn Way>,
    /// What the viewer has been granted since, while packets still go by the one before.
    coming: Option<Box<dyn Way>>,
    /// When packets began to be sent, while they are.
    since: Option<Instant>,
    /// When they began to go this way.
    this_way_since: Option<Instant>,
    /// Who reports on it.
    pub reporter: Reporter,
    /// What the viewer may ask for again.
    asks: Asks,
    /// By what way it has that, where it is not the track's.
    apart: Option<Retransmission>,
    /// What it has reported last.
    pub quality: Option<Quality>,
    /// When its port was last found closed.
    pub refused_at: Option<Instant>,
}

/// What a track that is set up takes of what its address and its connection may have.
pub struct Costs {
    pub egress: Share,
    pub memory: SetupBytes,
}

/// The way of what is sent again of a track, by which nothing else goes.
pub struct Retransmission {
    pub way: Box<dyn Way>,
    pub memory: SetupBytes,
}

/// What a subscriber's latest report says of a track (RFC 3550 section 6.4.1).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quality {
    /// Loss since the report before, 0 to 1.
    pub fraction_lost: f64,
    /// Interarrival jitter; absent where the track's clock rate is unknown.
    pub jitter_seconds: Option<f64>,
}

impl Setup {
    pub fn new(track: Arc<Track>, url: String, way: Box<dyn Way>, costs: Costs) -> Self {
        let (coming, since, this_way_since, quality, refused_at) = (None, None, None, None, None);
        let (reporter, asks, apart) = (Reporter::default(), Asks::default(), None);
        Self {
            track,
            url,
            costs,
            way,
            coming,
            since,
            this_way_since,
            reporter,
            asks,
            apart,
            quality,
            refused_at,
        }
    }

    /// How the track reaches the viewer, by what was granted last.
    pub fn grant(&self) -> Grant {
        self.coming.as_ref().unwrap_or(&self.way).grant()
    }

    /// Another SETUP of the track, which was granted `way`, or what it has already. While it plays, packets
    /// [`change over`](Self::change_over) only once the viewer knows. What the track weighs stays as it is.
    pub fn renew(&mut self, url: String, memory: SetupBytes, way: Option<Box<dyn Way>>) {
        (self.url, self.costs.memory) = (url, memory);
        let Some(way) = way else { return };
        self.refused_at = None;
        if self.plays() {
            self.coming = Some(way);
        } else {
            self.way = way;
        }
    }

    /// The viewer takes what it has lost as a stream of its own, of this payload type; or as it was. What goes apart stays there.
    pub fn repair_by(&mut self, rtx: Option<u8>) {
        if self.apart.is_none() {
            self.asks.rtx = rtx;
        }
        if self.coming.is_none() {
            self.way.repair(&self.asks);
        }
    }

    /// It takes it as a stream of its own by another way; or as it was.
    pub fn repair_apart(&mut self, apart: Option<(u8, Retransmission)>) {
        let (rtx, apart) = apart.unzip();
        (self.asks.rtx, self.apart) = (rtx, apart);
        self.find_apart();
    }

    /// Where that way leads now.
    fn find_apart(&mut self) {
        self.asks.apart = self.apart.as_ref().and_then(|apart| apart.way.places());
        self.way.repair(&self.asks);
    }

    /// By what way it takes what it has lost, if that is another one.
    pub fn retransmission(&self) -> Option<&Retransmission> {
        self.apart.as_ref()
    }

    /// What it takes of its connection's memory.
    pub fn memory(&mut self) -> impl Iterator<Item = &mut SetupBytes> {
        let apart = self.apart.as_mut().map(|apart| &mut apart.memory);
        apart.into_iter().chain([&mut self.costs.memory])
    }

    /// Has packets go on by what was granted last: from the very one at which the way before ends. `false`: they do already.
    pub fn change_over(&mut self, story: &Arc<Story>, now: Instant) -> bool {
        let Some(coming) = self.coming.take() else { return false };
        let mut before = mem::replace(&mut self.way, coming);
        let heirs = Heirs::new();
        self.asks.alias = self.alias().filter(|_| self.carriage().may_have_alias());
        self.way.repair(&self.asks);
        self.way.start(&self.track, heirs.places(), story);
        before.stop(Some(&heirs));
        self.this_way_since = Some(now);
        true
    }

    /// Its viewer is there, as has been learnt. `None`: it is not about how it reaches the viewer.
    pub fn follow(&mut self, learnt: &Learnt, story: &Arc<Story>) -> Option<Followed> {
        let Self { coming, way, apart, track, .. } = self;
        let of_track = coming.iter_mut().chain([way]).find_map(|way| way.follow(learnt, track, story));
        if of_track.is_some() {
            self.refused_at = None;
            return of_track;
        }
        let followed = apart.as_mut()?.way.follow(learnt, track, story)?;
        self.find_apart();
        Some(followed)
    }

    /// Whether it may yet be learnt that its viewer is elsewhere.
    pub fn is_looked_for(&self) -> bool {
        self.ways().chain(self.apart.iter().map(|apart| &apart.way)).any(|way| way.is_unsure())
    }

    /// Whether it plays and its viewer should listen where it is sent. Before that is known, a NAT answers.
    pub fn is_to_listen(&self, now: Instant) -> bool {
        let has_had_time = |since| now.saturating_duration_since(since) >= UNSURE_FOR;
        self.plays() && (!self.way.is_unsure() || self.this_way_since.is_none_or(has_had_time))
    }

    /// Has packets sent from there on, unless they are. They are a part of the viewer's `story`.
    pub fn start(&mut self, from: Spot, story: &Arc<Story>, now: Instant) {
        if !self.plays() {
            let rtcp = self.track.rtcp.ring();
            let newest_report = rtcp.newest(now, REPORT_MAX_AGE);
            let rtcp_from = newest_report.map_or_else(|| rtcp.head(), |report| report.number);
            let from = self.begin_at(from);
            let rtcp_from = Spot::from(rtcp_from).under(self.alias());
            self.way.start(&self.track, (from.into(), rtcp_from.into()), story);
            (self.since, self.this_way_since) = (Some(now), Some(now));
        }
    }

    /// Its viewer begins there; what it may ask for again is what it is sent.
    fn begin_at(&mut self, spot: Spot) -> Spot {
        let alias = spot.alias.filter(|_| self.carriage().may_have_alias());
        (self.asks.first, self.asks.alias) = (spot.number, alias);
        self.way.repair(&self.asks);
        spot.under(alias)
    }

    /// By what numbers its viewer has the packets, if not by their own.
    pub fn alias(&self) -> Option<Alias> {
        self.asks.alias
    }

    /// The SSRC by which its viewer has what comes.
    pub fn ssrc(&self) -> Option<u32> {
        let ssrc = self.track.ssrc()?;
        Some(self.alias().map_or(ssrc, |alias| alias.ssrc(ssrc)))
    }

    /// Whether its viewer was sent all that is there, as far as that is known.
    pub fn has_all(&self) -> bool {
        self.plays() && self.coming.is_none() && self.way.settled() == Some(self.track.rtp.ring().head())
    }

    /// Goes on with another track from there, which is what follows the newest packet of this one.
    pub fn cross(&mut self, track: &Arc<Track>, spot: Spot, story: &Arc<Story>, now: Instant) {
        let (heirs, heir, head) = (Heirs::new(), Handover::new(), self.track.rtp.ring().head());
        self.end(Some(&heirs));
        self.track = track.clone();
        let spot = self.begin_at(spot);
        let (told, next, first) = (Arc::downgrade(&heirs.rtp), heir.clone(), spot.number);
        heirs.rtp.when_told(move || {
            let place = told.upgrade().and_then(|told| told.place());
            // What it was not sent of this one is there, too.
            let missing = place.map_or(0, |place| head.saturating_sub(place.number));
            next.tell(Spot { number: first.saturating_sub(missing), ..spot });
        });
        let rtcp = Spot::from(track.rtcp.ring().head()).under(self.alias());
        self.way.start(track, (Place::After(heir), rtcp.into()), story);
        (self.since, self.this_way_since) = (Some(now), Some(now));
    }

    /// Has another track be what is sent, if there is one: of the same number, and while nothing is.
    pub fn watch(&mut self, track: Option<&Arc<Track>>) {
        track.into_iter().for_each(|track| self.track = track.clone());
    }

    /// The number of the packet that its viewer is to get next, while it plays. One that comes just now may be among those before.
    pub fn next(&self) -> Option<u64> {
        let head = self.track.rtp.ring().head();
        self.way.progress().map(|(_, behind)| head.saturating_sub(behind))
    }

    /// Has no more packets sent.
    pub fn stop(&mut self) {
        self.end(None);
    }

    /// The same. What is returned is told the number of the packet that would have been next, and what waits for that is dropped then.
    pub fn let_go(&mut self, waits: Arc<Settling>) -> Arc<OnceLock<u64>> {
        let heirs = Heirs::new();
        let end = heirs.ended_at(waits);
        self.end((!self.goes_to_group()).then_some(&heirs));
        end
    }

    fn end(&mut self, heirs: Option<&Heirs>) {
        if self.since.take().is_some() {
            self.way.stop(heirs);
        }
        if let Some(coming) = self.coming.take() {
            self.way = coming;
        }
    }

    /// Tells the viewer that the track ends (RFC 3550 section 6.6), if it plays: by `unheard`, if there is one, where nothing of it was sent.
    pub fn say_goodbye(&self, reason: &str, unheard: Option<u32>) {
        if let Some(ssrc) = self.ssrc().or(unheard).filter(|_| self.plays()) {
            self.way.say(&rtcp::goodbye(ssrc, reason));
        }
    }

    /// Reckons what the track takes by how fast it is now.
    pub fn weigh(&mut self) -> Result<(), Beyond> {
        self.costs.egress.change(self.track.rtp.ring().bits_per_second())
    }

    /// How it reaches the viewer, for the log.
    pub fn told(&self) -> journal::Way {
        self.way.grant().told()
    }

    /// Its viewer reports so; returns what it says, for the log.
    pub fn hear(&mut self, report: &Report, now: Instant) -> journal::Report {
        let quality = Quality::of(report, &self.track);
        let (jitter_seconds, _) = (quality.jitter_seconds, self.quality.insert(quality));
        let (ssrc, lost, round_trip) = (report.ssrc, report.cumulative_lost, self.round_trip(report, now));
        (self.asks.ssrc, self.asks.round_trip) = (self.reporter.own(), round_trip.or(self.asks.round_trip));
        self.way.repair(&self.asks);
        journal::Report { ssrc, lost, jitter_seconds, round_trip }
    }

    /// The way there and back: since the sender report that this one names was passed on, less how long the viewer has had
    /// it. A newcomer was given one that had come before.
    fn round_trip(&self, report: &Report, now: Instant) -> Option<Duration> {
        let passed_at = self.track.report_came_at(report.last_sender_report)?.max(self.since?);
        let held = Duration::from_secs_f64(f64::from(report.delay_since_last_sender_report) / 65_536.0);
        now.checked_duration_since(passed_at)?.checked_sub(held)
    }

    /// What the viewer was sent of it since it goes by this way, and how many packets are there that it was not sent yet.
    pub fn progress(&self) -> Option<(Sent, u64)> {
        self.way.progress()
    }

    /// What it takes along where its session moves.
    pub fn pack(&self) -> TrackParcel {
        let next = self.way.settled().filter(|_| self.plays());
        let apart = self.apart.as_ref().map(|apart| apart.way.grant());
        TrackParcel {
            number: self.track.number,
            url: self.url.clone(),
            grant: self.grant(),
            is_unsure: self.way.is_unsure(),
            plays: self.plays(),
            last: next.and_then(|next| self.track.rtp.ring().landmark_before(next)),
            alias: self.alias(),
            left: None,
            rtx: self.asks.rtx,
            apart,
        }
    }

    /// Whether packets are sent.
    pub fn plays(&self) -> bool {
        self.since.is_some()
    }

    /// How packets reach the viewer by now.
    pub fn carriage(&self) -> Carriage {
        self.way.grant().carriage()
    }

    /// Whether others have the same packets with it.
    pub fn goes_to_group(&self) -> bool {
        self.grant().carriage() == Carriage::Multicast
    }

    /// Whether a channel of the connection is its own, now or soon.
    pub fn uses_channel(&self, channel: u8) -> bool {
        self.ways().any(|way| way.grant().uses_channel(channel))
    }

    /// Whether it goes by the connection, now or soon.
    pub fn uses_connection(&self) -> bool {
        self.ways().any(|way| way.grant().is_in_connection())
    }

    fn ways(&self) -> impl Iterator<Item = &Box<dyn Way>> {
        self.coming.iter().chain([&self.way])
    }

    /// Whether its viewer takes what it was granted last at this address. What comes from an address that it has left
    /// is about what was.
    pub fn is_at(&self, address: SocketAddr) -> bool {
        self.grant().is_at(address)
    }
}

impl Quality {
    pub(super) fn of(report: &Report, track: &Track) -> Self {
        let rate = track.description.clock_rate.filter(|rate| *rate > 0);
        Self {
            fraction_lost: f64::from(report.fraction_lost) / 256.0,
            jitter_seconds: rate.map(|rate| f64::from(report.jitter) / f64::from(rate)),
        }
    }
}
