//! One track of a session: how it reaches its viewer, whether it does, and what the viewer says of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::relay::{Subscription, Track};
use crate::wire::rtcp::{self, Report};
use crate::wire::rtsp::interleaved_header;

use super::addresses::Share;
use super::output::{Output, SetupBytes, Sink};
use super::port_pairs::Reservation;
use super::reporter::Reporter;
use super::writer::Post;

/// A sender report this young is handed to a new viewer at once, for lip sync from the first picture.
const REPORT_MAX_AGE: Duration = Duration::from_secs(10);

/// One track that was set up.
pub(super) struct Setup {
    pub track: Arc<Track>,
    pub url: String,
    pub costs: Costs,
    transport: Granted,
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
    pub _memory: SetupBytes,
}

/// How a track reaches the viewer.
pub(super) enum Granted {
    Udp(Arc<Reservation>),
    Interleaved { rtp: u8, rtcp: u8 },
}

/// Both of a track's flows, subscribed for as long as this lives.
struct Feed {
    _rtp: Subscription,
    _rtcp: Subscription,
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
        let (feed, reporter, quality, refused_at) = (None, Reporter::default(), None, None);
        Self { track, url, costs, transport, feed, reporter, quality, refused_at }
    }

    /// Has packets sent from ring number `from` on.
    pub fn start(&mut self, from: u64, output: &Arc<Output>, now: Instant) {
        self.feed = Some(self.subscribe(from, output, now));
    }

    fn subscribe(&self, from: u64, output: &Arc<Output>, now: Instant) -> Feed {
        let (rtp, rtcp) = (&self.track.rtp, &self.track.rtcp);
        let newest_report = rtcp.ring().newest(now, REPORT_MAX_AGE);
        let rtcp_from = newest_report.map_or_else(|| rtcp.ring().head(), |report| report.number);
        match &self.transport {
            Granted::Udp(at) => Feed {
                _rtp: rtp.subscribe_datagrams(&at.pair.rtp, at.rtp, from, at.clone()),
                _rtcp: rtcp.subscribe_datagrams(&at.pair.rtcp, at.rtcp, rtcp_from, at.clone()),
            },
            Granted::Interleaved { rtp: rtp_channel, rtcp: rtcp_channel } => {
                let sink = || Arc::new(Sink(output.clone()));
                let (rtp_cursor, rtcp_cursor) = (rtp.cursor(from), rtcp.cursor(rtcp_from));
                let (rtp_place, rtcp_place) = (rtp_cursor.place(), rtcp_cursor.place());
                output.post(Post::Open { channel: *rtp_channel, cursor: rtp_cursor });
                output.post(Post::Open { channel: *rtcp_channel, cursor: rtcp_cursor });
                Feed {
                    _rtp: rtp.subscribe_stream(sink(), rtp_place),
                    _rtcp: rtcp.subscribe_stream(sink(), rtcp_place),
                }
            }
        }
    }

    /// Has no more packets sent.
    pub fn stop(&mut self, output: &Output) {
        if self.feed.take().is_some()
            && let Granted::Interleaved { rtp, rtcp } = self.transport
        {
            output.post(Post::Close { channel: rtp });
            output.post(Post::Close { channel: rtcp });
        }
    }

    /// Tells the viewer that the track ends (RFC 3550 section 6.6), if it plays.
    pub fn say_goodbye(&self, output: &Arc<Output>, reason: &str) {
        let Some(ssrc) = self.track.ssrc().filter(|_| self.plays()) else { return };
        let goodbye = rtcp::goodbye(ssrc, reason);
        match &self.transport {
            Granted::Udp(at) => {
                // A lost farewell is what the connection's end is for.
                let _ = at.pair.rtcp.current().send_to(&goodbye, at.rtcp);
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

    /// Whether packets are sent.
    pub fn plays(&self) -> bool {
        self.feed.is_some()
    }

    pub fn is_interleaved(&self) -> bool {
        matches!(self.transport, Granted::Interleaved { .. })
    }

    pub fn uses_channel(&self, channel: u8) -> bool {
        matches!(self.transport, Granted::Interleaved { rtp, rtcp } if rtp == channel || rtcp == channel)
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
