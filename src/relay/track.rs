//! A Track: one RTP stream of a channel and the RTCP beside it, from the receiver's hands to the lanes.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::event::{Episode, lock};
use crate::wire::rtcp::{NotRtcp, Reflectable};
use crate::wire::rtp::{self, FIXED_HEADER_LEN, NotRtp, RtpHeader};
use crate::wire::sdp::{Feed, Framing, TrackDescription};
use crate::wire::strangers;
use crate::wire::transport_stream::NotTs;

use super::beat::Coalesce;
use super::dispatch::Dispatch;
use super::flow::Flow;
use super::joined_feeds::JoinedFeeds;
use super::outward::Outward;
use super::places::RingStart;
use super::refused::Refused;
use super::reports::Reports;
use super::ring::{Packet, RingLimits};
use super::senders::News;
use super::signpost::{Numbers, Signpost};
use super::signs::Signs;
use super::track_stats::TrackStats;
use super::writer::Writer;

/// Bytes that the ring of a track's RTCP keeps: a few hundred reports.
const RTCP_RING_BYTES: usize = 64 << 10;
/// A subscriber starts with the newest packet unless the source has been silent for this long.
const START_MAX_AGE: Duration = Duration::from_secs(1);
/// With a picture that is past it starts for longer: what follows it is to come yet.
const ENTRY_MAX_AGE: Duration = Duration::from_secs(3);

/// One RTP stream of a channel.
pub struct Track {
    /// Its channel's name.
    channel: Arc<str>,
    /// Its place in the channel, from 1: `trackID=N`.
    pub number: usize,
    /// Where it comes from and what it is.
    pub description: TrackDescription,
    /// RTP packets.
    pub rtp: Arc<Flow>,
    /// The source's RTCP packets.
    pub rtcp: Arc<Flow>,
    /// Whether media comes, for those who watch.
    pub signs: Signs,
    reports: Reports,
    writer: Mutex<Writer>,
    joined: JoinedFeeds,
    /// The number in the ring of the first packet after the latest pause.
    paused_at: AtomicU64,
    bytes: AtomicU64,
    empty: AtomicU64,
    refused: Arc<Refused>,
    strange: Episode,
    strange_rtcp: Episode,
    lost_start: Episode,
    /// Where it comes from now, for the log.
    feeds: Mutex<Vec<Feed>>,
    /// Who numbers its packets, where that is not its source alone.
    numbers: Mutex<Option<Weak<dyn Numbers>>>,
}

impl Track {
    /// A track of a channel. `now` is the epoch that arrival times are counted from.
    pub fn new(
        outward: &Arc<Outward>,
        number: usize,
        description: TrackDescription,
        limits: RingLimits,
        coalesce: Coalesce,
        dispatch: &Dispatch,
        now: Instant,
    ) -> Arc<Self> {
        let writer = Writer::new(&description);
        let rtcp_limits = RingLimits { bytes: RTCP_RING_BYTES, ..limits };
        Arc::new(Self {
            channel: outward.channel.clone(),
            number,
            feeds: Mutex::new(description.feeds.clone()),
            description,
            rtp: Flow::new(outward, limits, coalesce, dispatch.clone()),
            rtcp: Flow::new(outward, rtcp_limits, coalesce, dispatch.clone()),
            signs: Signs::new(now),
            reports: Reports::default(),
            writer: Mutex::new(writer),
            joined: JoinedFeeds::default(),
            paused_at: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            empty: AtomicU64::new(0),
            refused: dispatch.ledger.open_refused(),
            strange: Episode::default(),
            strange_rtcp: Episode::default(),
            lost_start: Episode::default(),
            numbers: Mutex::default(),
        })
    }

    /// Takes in one RTP packet; the lanes hear of it with [`tell`](Flow::tell). `false`: it is of a payload type that the
    /// description does not offer, and nobody gets it.
    pub fn receive(&self, header: &RtpHeader, datagram: &[u8], from: SocketAddr, at: Instant) -> bool {
        if !self.offers(header.payload_type) {
            self.refused.other_type();
            self.tell_of_strangers(datagram, at);
            return false;
        }
        self.take(header, [datagram, &[]], header.payload(datagram), (from, at));
        true
    }

    /// Its channel's name.
    pub fn channel(&self) -> &str {
        &self.channel
    }

    /// Whether packets of this type are among those that the description offers.
    pub fn offers(&self, payload_type: u8) -> bool {
        self.description.payload_types.contains(&payload_type)
    }

    /// Takes in an RTP packet of a type that is offered, with another fixed header than it came with.
    pub fn receive_rewritten(
        &self,
        (header, bytes): (&RtpHeader, &[u8; FIXED_HEADER_LEN]),
        datagram: &[u8],
        from: SocketAddr,
        at: Instant,
    ) {
        let rest = datagram.get(FIXED_HEADER_LEN..).unwrap_or_default();
        self.take(header, [bytes, rest], header.payload(datagram), (from, at));
    }

    /// Takes in a datagram without RTP, and the header that makes a packet of it.
    pub fn receive_bare(
        &self,
        (header, bytes): (&RtpHeader, &[u8]),
        datagram: &[u8],
        from: SocketAddr,
        at: Instant,
    ) {
        self.take(header, [bytes, datagram], datagram, (from, at));
    }

    fn take(
        &self,
        header: &RtpHeader,
        packet: [&[u8]; 2],
        payload: &[u8],
        (from, at): (SocketAddr, Instant),
    ) {
        let arrival = self.signs.since_epoch(at);
        let RtpHeader { sequence, timestamp, .. } = *header;
        // Until the packet is in the ring: both number the track's packets in one order.
        let mut writer = self.writer();
        let news = writer.measure(header, from, arrival, at);
        let data = writer.keep(packet);
        let length = data.len();
        let has_lost_start = self.rtp.push([Packet { data, sequence, timestamp, arrived_at: at }]);
        if let Some(start) = writer.starts.take(timestamp, payload) {
            self.rtp.ring().start_before(start.back, start.prologue, start.packets);
        }
        drop(writer);
        if has_lost_start {
            self.tell_of_lost_start(at);
        }
        if let Some(news) = news {
            self.tell(news);
        }
        self.bytes.fetch_add(length as u64, Relaxed);
        if payload.is_empty() {
            self.empty.fetch_add(1, Relaxed);
        } else {
            self.signs.came(arrival);
        }
    }

    /// Its packets are numbered by this one from now on.
    pub fn numbered_by(&self, numbers: Weak<dyn Numbers>) {
        *lock(&self.numbers) = Some(numbers);
    }

    /// How its packets are numbered, where that is not its source's alone, and they come.
    pub fn signpost(&self, now: Instant) -> Option<Signpost> {
        lock(&self.numbers).as_ref()?.upgrade()?;
        Signpost::of(self.rtp.ring(), now)
    }

    /// Has its packets numbered as there, those that are there and those that come. `false`: nothing tells how, yet. Nobody has been
    /// sent one before.
    pub fn number_by(&self, signpost: &Signpost) -> bool {
        let numbers = lock(&self.numbers).as_ref().and_then(Weak::upgrade);
        let (Some(numbers), Some(by)) = (numbers, signpost.renumbering(self.rtp.ring())) else {
            return false;
        };
        if (by.sequence, by.timestamp, Some(by.ssrc)) == (0, 0, self.ssrc()) {
            return true;
        }
        numbers.renumber(&by, &|| {
            *self.writer() = Writer::new(&self.description);
            self.rtp.ring().renumber(&by);
        });
        true
    }

    /// Takes in what subscribers may see of a datagram of the source's RTCP.
    pub fn receive_rtcp(&self, reflectable: &Reflectable, at: Instant) {
        if let Some(sender) = reflectable.sender {
            self.reports.note(sender.ntp_timestamp, at);
        }
        let data = Bytes::copy_from_slice(reflectable.packet);
        self.rtcp.push([Packet { data, sequence: 0, timestamp: 0, arrived_at: at }]);
    }

    /// Counts a datagram that is not RTCP, of this track's or of those that share its port.
    pub fn refuse_rtcp(&self, reason: NotRtcp, datagram: &[u8], at: Instant) {
        self.refused.not_rtcp(reason);
        self.tell_of_no_rtcp(reason, datagram, at);
    }

    /// Counts a datagram that is not RTP.
    pub fn refuse(&self, reason: NotRtp, datagram: &[u8], at: Instant) {
        self.refused.not_rtp(reason);
        self.tell_of_strangers(datagram, at);
    }

    /// Counts a datagram that is no transport stream where one is to be.
    pub fn refuse_bare(&self, reason: NotTs, datagram: &[u8], at: Instant) {
        self.refused.not_ts(reason);
        self.tell_of_strangers(datagram, at);
    }

    #[cold]
    fn tell(&self, news: News) {
        let (channel, track, group) = (&*self.channel, self.number, self.group());
        match news {
            News::Warning(text) => tracing::warn!(channel, track, group, "{text}"),
            News::Notice(text) => tracing::info!(channel, track, group, "{text}"),
        }
    }

    /// One line an episode: what comes there comes at the rate of a stream.
    #[cold]
    fn tell_of_strangers(&self, datagram: &[u8], at: Instant) {
        if self.strange.begins(at) {
            let (channel, track, group) = (&*self.channel, self.number, self.group());
            let what = match self.description.framing {
                Framing::Bare => strangers::instead_of_ts(datagram),
                Framing::Rtp | Framing::Either => strangers::instead_of_rtp(datagram),
            };
            tracing::warn!(channel, track, group, "not taken: {what}");
        }
    }

    /// One line an episode: it goes on until the bytes are more.
    #[cold]
    fn tell_of_lost_start(&self, at: Instant) {
        if self.lost_start.begins(at) {
            let (channel, track) = (&*self.channel, self.number);
            tracing::warn!(
                channel,
                track,
                "ring.max_bytes has no room from one place that decoders can start at to the next: who comes, or has fallen \
                 behind, sees nothing before that one; write more"
            );
        }
    }

    /// When the source's sender report came that receivers call by this name (LSR), if it is known.
    pub fn report_came_at(&self, name: u32) -> Option<Instant> {
        self.reports.came_at(name)
    }

    #[cold]
    fn tell_of_no_rtcp(&self, reason: NotRtcp, datagram: &[u8], at: Instant) {
        if !self.strange_rtcp.begins(at) {
            return;
        }
        let (channel, track) = (&*self.channel, self.number);
        let port = lock(&self.feeds).first().and_then(|feed| feed.rtcp_port);
        let what = match rtp::check(datagram) {
            Ok(_) if !rtp::is_rtcp_beside(datagram, &[]) => {
                "RTP, of a stream that no channel has, on the port of this one's RTCP".to_owned()
            }
            _ => format!("no RTCP to pass on: {reason}"),
        };
        tracing::warn!(channel, track, port, "not taken: {what}");
    }

    /// Where a subscriber of now starts. `None`: the source is silent, and the next packet is the first.
    pub fn start(&self, now: Instant) -> Option<RingStart> {
        let newest = self.rtp.ring().newest(now, START_MAX_AGE);
        newest.filter(|newest| self.has_since_pause(newest.number))
    }

    /// Whether one who comes now may begin with what is past: the source has not been silent for long.
    pub(super) fn goes_on(&self, now: Instant) -> bool {
        let newest = self.rtp.ring().newest(now, ENTRY_MAX_AGE);
        newest.is_some_and(|newest| self.has_since_pause(newest.number))
    }

    /// Whether a packet came since it was joined last.
    pub(super) fn has_since_pause(&self, number: u64) -> bool {
        number >= self.paused_at.load(Relaxed)
    }

    /// Whether its pictures say where the channel is entered.
    pub(super) fn is_video(&self) -> bool {
        self.description.media == "video"
    }

    /// It is sent elsewhere from now on.
    pub fn comes_from(&self, feeds: &[Feed]) {
        *lock(&self.feeds) = feeds.to_vec();
    }

    /// Where it is sent, for the log.
    fn group(&self) -> Option<String> {
        let groups: Vec<_> = lock(&self.feeds).iter().map(|feed| feed.group.to_string()).collect();
        (!groups.is_empty()).then(|| groups.join(", "))
    }

    /// Told by the receiver when the groups of a feed are joined or left.
    pub fn set_joined(&self, feed: usize, joined: bool) {
        self.joined.set(feed, joined);
    }

    /// Whether the groups of a feed are joined.
    pub fn is_feed_joined(&self, feed: usize) -> bool {
        self.joined.has(feed)
    }

    /// Its groups are left for as long as nobody wants it: what it misses meanwhile is no loss.
    pub fn pause(&self) {
        self.writer().reception.pause();
        self.paused_at.store(self.rtp.ring().head(), Relaxed);
    }

    /// Whether its groups are joined, of several feeds those of one at least: then media flows.
    pub fn is_joined(&self) -> bool {
        self.joined.has_any()
    }

    /// Whether no media came for as long as the channel allows; so it is before the first packet.
    pub fn is_silent(&self) -> bool {
        self.signs.are_missing()
    }

    /// Whether anything was ever sent to its group and port, whatever it was.
    pub fn is_heard(&self) -> bool {
        let refused = self.refused.read();
        let refused_rtcp = refused.not_rtcp().any(|(_, count)| count > 0);
        let refused = refused.other_types > 0 || refused.not_media().any(|(_, count)| count > 0);
        let reports = || self.rtcp.ring().head() > 0 || refused_rtcp;
        let is_muxed = self.description.feeds.iter().any(Feed::is_muxed);
        refused || self.writer().reception.packets() > 0 || is_muxed && reports()
    }

    /// Datagrams to its group that have come and were no media.
    pub fn others(&self) -> u64 {
        let refused = self.refused.read();
        let refused: u64 = refused.not_media().chain(refused.not_rtcp()).map(|(_, count)| count).sum::<u64>()
            + refused.other_types;
        refused + self.empty.load(Relaxed) + self.rtcp.ring().head()
    }

    /// The SSRC that the track carries now.
    pub fn ssrc(&self) -> Option<u32> {
        self.writer().reception.ssrc().or_else(|| self.rtp.ring().newest_ssrc())
    }

    /// The track's figures as of `now`.
    pub fn stats(&self, now: Instant) -> TrackStats {
        let reception = self.writer().reception.clone();
        let (starts, started_at, ring_bytes) = self.rtp.ring().figures();
        TrackStats {
            ring_bytes,
            starts,
            start_age: started_at.map(|at| now.saturating_duration_since(at)),
            senders: reception.senders(self.signs.since_epoch(now)),
            reception,
            bytes: self.bytes.load(Relaxed),
            empty: self.empty.load(Relaxed),
            last_packet_age: self.signs.last().map(|at| now.saturating_duration_since(at)),
            silent: self.is_silent(),
            joined: self.is_joined(),
            refused: self.refused.read(),
        }
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        lock(&self.writer)
    }
}

#[cfg(all(test, not(model)))]
mod tests {
    use super::*;
    use crate::event::clock;
    use crate::relay::rig::{ROOMY, by_hand, outward};
    use crate::wire::{rtp, sdp};
    use std::net::Ipv4Addr;

    const SENDER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 4000);

    /// A packet of a picture that a decoder can start with.
    fn start(sequence: u8) -> Vec<u8> {
        let mut packet = vec![0x80, 33, 0, sequence, 0, 0, 0, 0, 0, 0, 0, 7];
        packet.extend([0x47, 0x41, 0, 0x30, 7, 0x50, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xe0]);
        packet.resize(12 + 188, 0xff);
        packet
    }

    fn track(now: Instant) -> Arc<Track> {
        let group = Ipv4Addr::new(239, 77, 60, 2).into();
        let description = sdp::mpegts("news", group, 5004, None).tracks.remove(0);
        Track::new(&outward("news"), 1, description, ROOMY, Coalesce::Auto, &by_hand(), now)
    }

    #[test]
    fn a_transport_stream_whose_timestamp_stands_still_keeps_its_starts() {
        let now = clock::now();
        let track = track(now);
        let mut between = start(3);
        between[17] = 0x10;
        for packet in [start(1), start(2), between] {
            track.receive(&rtp::check(&packet).expect("RTP"), &packet, SENDER, now);
        }
        assert_eq!(track.rtp.ring().newest_start().map(|start| start.number), Some(1), "the second packet");
    }

    #[test]
    fn other_payload_types_reach_nobody_and_leave_the_statistics_alone() {
        let now = clock::now();
        let track = track(now);
        let mut repair = start(9);
        (repair[1], repair[11]) = (96, 0);
        for packet in [start(1), repair, start(2)] {
            track.receive(&rtp::check(&packet).expect("RTP"), &packet, SENDER, now);
        }
        let stats = track.stats(now);
        assert_eq!((track.rtp.ring().head(), stats.refused.other_types), (2, 1));
        assert_eq!(
            (stats.reception.packets(), stats.reception.ssrc_changes(), stats.reception.missing()),
            (2, 0, 0)
        );
    }
}
