//! One track of a session: how it reaches its viewer, whether it does, and what the viewer says of it.

use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::relay::{Handover, Place, Subscription, Track};
use crate::wire::rtcp::{self, Report};
use crate::wire::rtsp::interleaved_header;

use super::addresses::Share;
use super::output::{Output, SetupBytes, Sink};
use super::port_pairs::Reservation;
use super::reporter::Reporter;
use super::story::{self, Story};
use super::writer::Post;

/// A sender report this young is handed to a new viewer at once, for lip sync from the first picture.
const REPORT_MAX_AGE: Duration = Duration::from_secs(10);

/// One track that was set up.
pub(super) struct Setup {
    pub track: Arc<Track>,
    pub url: String,
    pub costs: Costs,
    transport: Granted,
    /// What the viewer has been granted since, while packets still go by the one before.
    coming: Option<Granted>,
    feed: Option<Feed>,
    /// Who reports on it.
    pub reporter: Reporter,
    /// What it has reported last.
    pub quality: Option<Quality>,
    /// When its port was last found closed.
    pub refused_at: Option<Instant>,
}

/// What a track that is set up takes of what its address and its connection may have.
pub(super) struct Costs {
    pub egress: Share,
    pub memory: SetupBytes,
}

/// How a track reaches the viewer.
#[derive(Clone)]
pub(super) enum Granted {
    Udp(Arc<Reservation>),
    Interleaved { rtp: u8, rtcp: u8 },
}

/// Both of a track's flows, subscribed for as long as this lives.
struct Feed {
    rtp: Subscription,
    rtcp: Subscription,
    since: Instant,
}

/// How a track reaches the viewer, for the log.
pub(super) enum Way {
    Udp { client: (u16, u16), server: (u16, u16) },
    Tcp { channels: (u8, u8) },
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
    pub fn new(track: Arc<Track>, url: String, transport: Granted, costs: Costs) -> Self {
        let (coming, feed, quality, refused_at) = (None, None, None, None);
        let reporter = Reporter::default();
        Self { track, url, costs, transport, coming, feed, reporter, quality, refused_at }
    }

    /// How the track reaches the viewer, by what was granted last.
    pub fn granted(&self) -> &Granted {
        self.coming.as_ref().unwrap_or(&self.transport)
    }

    /// Takes what another SETUP of the track was granted. While it plays, packets [`change over`](Self::change_over) only
    /// once the viewer knows. What the track weighs stays as it is.
    pub fn renew(&mut self, by: Self) {
        (self.url, self.costs.memory) = (by.url, by.costs.memory);
        if self.granted().is(&by.transport) {
            return;
        }
        self.refused_at = None;
        match self.feed {
            Some(_) => self.coming = Some(by.transport),
            None => self.transport = by.transport,
        }
    }

    /// Has packets go on by what was granted last: from the very one at which the way before ends.
    pub fn change_over(&mut self, output: &Arc<Output>, story: &Arc<Story>) {
        let Some(coming) = self.coming.take() else { return };
        let before = mem::replace(&mut self.transport, coming);
        let Some(feed) = self.feed.take() else { return };
        let (rtp, rtcp) = (Handover::new(), Handover::new());
        before.close(output, Some((&rtp, &rtcp)));
        let from = (Place::After(rtp.clone()), Place::After(rtcp.clone()));
        self.feed = Some(self.subscribe(from, output, story, feed.since));
        if let Granted::Udp(_) = before {
            feed.rtp.hand_over(&rtp);
            feed.rtcp.hand_over(&rtcp);
        }
    }

    /// Has packets sent from ring number `from` on, unless they are. They are a part of the viewer's `story`.
    pub fn start(&mut self, from: u64, output: &Arc<Output>, story: &Arc<Story>, now: Instant) {
        if !self.plays() {
            let rtcp = self.track.rtcp.ring();
            let newest_report = rtcp.newest(now, REPORT_MAX_AGE);
            let rtcp_from = newest_report.map_or_else(|| rtcp.head(), |report| report.number);
            self.feed = Some(self.subscribe((from.into(), rtcp_from.into()), output, story, now));
        }
    }

    /// `from`: where RTP and RTCP begin.
    fn subscribe(
        &self,
        from: (Place, Place),
        output: &Arc<Output>,
        story: &Arc<Story>,
        since: Instant,
    ) -> Feed {
        let (rtp, rtcp) = (&self.track.rtp, &self.track.rtcp);
        let (rtp_from, rtcp_from) = from;
        match &self.transport {
            Granted::Udp(at) => Feed {
                since,
                rtp: rtp.subscribe_datagrams(&at.pair.rtp, at.rtp, rtp_from, at.clone(), Some(story.clone())),
                rtcp: rtcp.subscribe_datagrams(&at.pair.rtcp, at.rtcp, rtcp_from, at.clone(), None),
            },
            Granted::Interleaved { rtp: rtp_channel, rtcp: rtcp_channel } => {
                let (rtp_cursor, rtcp_cursor) = (rtp.cursor(rtp_from), rtcp.cursor(rtcp_from));
                let (rtp_place, rtcp_place) = (rtp_cursor.place(), rtcp_cursor.place());
                output.post(Post::Open { channel: *rtp_channel, cursor: rtp_cursor.told_to(story.clone()) });
                output.post(Post::Open { channel: *rtcp_channel, cursor: rtcp_cursor });
                let sink = || Arc::new(Sink(output.clone()));
                Feed {
                    since,
                    rtp: rtp.subscribe_stream(sink(), rtp_place),
                    rtcp: rtcp.subscribe_stream(sink(), rtcp_place),
                }
            }
        }
    }

    /// Has no more packets sent.
    pub fn stop(&mut self, output: &Output) {
        if self.feed.take().is_some() {
            self.transport.close(output, None);
        }
        if let Some(coming) = self.coming.take() {
            self.transport = coming;
        }
    }

    /// Tells the viewer that the track ends (RFC 3550 section 6.6), if it plays.
    pub fn say_goodbye(&self, output: &Arc<Output>, reason: &str) {
        let Some(ssrc) = self.track.ssrc().filter(|_| self.plays()) else { return };
        let goodbye = rtcp::goodbye(ssrc, reason);
        match &self.transport {
            Granted::Udp(at) => {
                // A lost farewell is what the connection's end is for.
                at.pair.rtcp.say(goodbye.into(), at.rtcp, self.track.rtcp.marks());
            }
            Granted::Interleaved { rtcp, .. } => {
                let mut framed = interleaved_header(*rtcp, goodbye.len() as u16).to_vec();
                framed.extend(goodbye);
                output.post(Post::Bytes(Bytes::from(framed)));
            }
        }
    }

    /// Reckons what the track takes by how fast it is now. `false`: the address would have too much.
    pub fn weigh(&mut self) -> bool {
        self.costs.egress.change(self.track.rtp.ring().bits_per_second())
    }

    /// How it reaches the viewer, for the log.
    pub fn way(&self) -> Way {
        match &self.transport {
            Granted::Udp(at) => {
                Way::Udp { client: (at.rtp.port(), at.rtcp.port()), server: (at.pair.port, at.pair.port + 1) }
            }
            Granted::Interleaved { rtp, rtcp } => Way::Tcp { channels: (*rtp, *rtcp) },
        }
    }

    /// What a report says, for the log.
    pub fn judge(&self, report: &Report, now: Instant) -> story::Report {
        let Quality { jitter_seconds, .. } = Quality::of(report, &self.track);
        let (ssrc, lost, round_trip) = (report.ssrc, report.cumulative_lost, self.round_trip(report, now));
        story::Report { ssrc, lost, jitter_seconds, round_trip }
    }

    /// The way there and back: since the sender report that this one names was passed on, less how long the viewer has had
    /// it. A newcomer was given one that had come before.
    fn round_trip(&self, report: &Report, now: Instant) -> Option<Duration> {
        let passed_at = self.track.report_came_at(report.last_sender_report)?.max(self.feed.as_ref()?.since);
        let held = Duration::from_secs_f64(f64::from(report.delay_since_last_sender_report) / 65_536.0);
        now.checked_duration_since(passed_at)?.checked_sub(held)
    }

    /// Whether packets are sent.
    pub fn plays(&self) -> bool {
        self.feed.is_some()
    }

    pub fn is_interleaved(&self) -> bool {
        matches!(self.transport, Granted::Interleaved { .. })
    }

    pub fn uses_channel(&self, channel: u8) -> bool {
        let mut granted = self.coming.iter().chain([&self.transport]);
        granted.any(|granted| granted.channels().is_some_and(|(rtp, rtcp)| [rtp, rtcp].contains(&channel)))
    }

    /// Whether its viewer takes what it was granted last at this address. What comes from an address that it has left
    /// is about what was.
    pub fn is_at(&self, address: SocketAddr) -> bool {
        matches!(self.granted(), Granted::Udp(at) if [at.rtp, at.rtcp].contains(&address))
    }
}

impl Granted {
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Udp(one), Self::Udp(other)) => Arc::ptr_eq(one, other),
            _ => self.channels().is_some() && self.channels() == other.channels(),
        }
    }

    /// Its channels of the connection.
    pub fn channels(&self) -> Option<(u8, u8)> {
        match self {
            Self::Udp(_) => None,
            Self::Interleaved { rtp, rtcp } => Some((*rtp, *rtcp)),
        }
    }

    /// Closes its channels; who goes on instead is told how far they came.
    fn close(&self, output: &Output, heirs: Option<(&Arc<Handover>, &Arc<Handover>)>) {
        let Some((rtp, rtcp)) = self.channels() else { return };
        output.post(Post::Close { channel: rtp, heir: heirs.map(|(rtp, _)| rtp.clone()) });
        output.post(Post::Close { channel: rtcp, heir: heirs.map(|(_, rtcp)| rtcp.clone()) });
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
