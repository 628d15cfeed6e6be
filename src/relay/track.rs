//! A Track: one RTP stream of a channel and the RTCP beside it, from the receiver's hands to the lanes.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use crate::event::lock;
use crate::wire::random_access::PayloadFormat;
use crate::wire::reception::Reception;
use crate::wire::rtcp::{self, NotRtcp};
use crate::wire::rtp::{NotRtp, RtpHeader};
use crate::wire::sdp::TrackDescription;

use super::beat::Coalesce;
use super::dispatch::Dispatch;
use super::flow::Flow;
use super::ring::{Packet, RingLimits, RingStart};

/// Packets are copied once, into chunks of this size, so that neighbours in a stream are neighbours in
/// memory and a run of them is one slice to the kernel.
const CHUNK_BYTES: usize = 64 << 10;
/// Bytes that the ring of a track's RTCP keeps: a few hundred reports.
const RTCP_RING_BYTES: usize = 64 << 10;
/// A subscriber starts with the newest packet unless the source has been silent for this long.
const START_MAX_AGE: Duration = Duration::from_secs(1);
/// A source without a packet for so long is silent, as far as its viewers' signs of life go.
const SILENT_AFTER: Duration = Duration::from_secs(1);

/// One RTP stream of a channel.
pub struct Track {
    /// Its place in the channel, from 1: `trackID=N`.
    pub number: usize,
    /// Where it comes from and what it is.
    pub description: TrackDescription,
    /// RTP packets.
    pub rtp: Arc<Flow>,
    /// The source's RTCP packets.
    pub rtcp: Arc<Flow>,
    writer: Mutex<Writer>,
    epoch: Instant,
    /// Microseconds from `epoch`, 0 before the first packet.
    last_arrival_us: AtomicU64,
    /// Likewise, of the first packet after the latest silence.
    flows_since_us: AtomicU64,
    joined: AtomicBool,
    bytes: AtomicU64,
    not_rtp: [AtomicU64; NotRtp::ALL.len()],
    not_rtcp: [AtomicU64; NotRtcp::ALL.len()],
}

struct Writer {
    chunk: BytesMut,
    reception: Reception,
    format: PayloadFormat,
    /// The timestamp of the newest access unit that a decoder can start with.
    last_start: Option<u32>,
}

/// A track as metrics see it.
#[derive(Debug, Clone)]
pub struct TrackStats {
    /// What arrived, and what did not.
    pub reception: Reception,
    /// Bytes of RTP packets received, headers included.
    pub bytes: u64,
    /// Since the newest packet; absent before the first.
    pub last_packet_age: Option<Duration>,
    /// Whether its groups are joined.
    pub joined: bool,
    /// Datagrams to its group that were not RTP, by reason.
    pub not_rtp: [(&'static str, u64); NotRtp::ALL.len()],
    /// Datagrams to its RTCP port that were not RTCP, by reason.
    pub not_rtcp: [(&'static str, u64); NotRtcp::ALL.len()],
}

impl Track {
    /// A track of a channel. `now` is the epoch that arrival times are counted from.
    pub fn new(
        channel: &str,
        number: usize,
        description: TrackDescription,
        limits: RingLimits,
        coalesce: Coalesce,
        dispatch: &Dispatch,
        now: Instant,
    ) -> Arc<Self> {
        let writer = Writer {
            chunk: BytesMut::new(),
            reception: Reception::new(description.clock_rate),
            format: PayloadFormat::of(&description.media, description.encoding.as_deref()),
            last_start: None,
        };
        let rtcp_limits = RingLimits { bytes: RTCP_RING_BYTES, ..limits };
        Arc::new(Self {
            number,
            description,
            rtp: Flow::new(channel, limits, coalesce, dispatch.clone()),
            rtcp: Flow::new(channel, rtcp_limits, coalesce, dispatch.clone()),
            writer: Mutex::new(writer),
            epoch: now,
            last_arrival_us: AtomicU64::new(0),
            flows_since_us: AtomicU64::new(0),
            joined: AtomicBool::new(false),
            bytes: AtomicU64::new(0),
            not_rtp: Default::default(),
            not_rtcp: Default::default(),
        })
    }

    /// Takes in one RTP packet; the lanes hear of it with [`tell`](Flow::tell).
    pub fn receive(&self, header: &RtpHeader, datagram: &[u8], at: Instant) {
        let arrival = at.saturating_duration_since(self.epoch);
        let (data, random_access) = {
            let mut writer = self.writer();
            writer.reception.receive(header, arrival);
            (writer.keep(datagram), writer.is_random_access(header, datagram))
        };
        self.bytes.fetch_add(datagram.len() as u64, Relaxed);
        self.note_arrival((arrival.as_micros() as u64).max(1));
        let RtpHeader { sequence, timestamp, .. } = *header;
        self.rtp.push([Packet { data, sequence, timestamp, arrived_at: at, random_access }]);
    }

    /// Takes in one datagram of the source's RTCP and passes on what subscribers may see of it. Returns
    /// whether there was something.
    pub fn receive_rtcp(&self, datagram: &[u8], at: Instant) -> bool {
        match rtcp::reflectable(datagram) {
            Ok(Some(reflectable)) => {
                let data = Bytes::copy_from_slice(reflectable.packet);
                let packet = Packet { data, sequence: 0, timestamp: 0, arrived_at: at, random_access: true };
                self.rtcp.push([packet]);
                true
            }
            Ok(None) => false,
            Err(reason) => {
                count(&self.not_rtcp, NotRtcp::ALL.iter().position(|each| *each == reason));
                false
            }
        }
    }

    /// Counts a datagram that is not RTP.
    pub fn refuse(&self, reason: NotRtp) {
        count(&self.not_rtp, NotRtp::ALL.iter().position(|each| *each == reason));
    }

    /// Where a subscriber of now starts. `None`: the source is silent, and the next packet is the first.
    pub fn start(&self, now: Instant) -> Option<RingStart> {
        self.rtp.ring().newest(now, START_MAX_AGE)
    }

    /// Whether source and RTCP share one port (`a=rtcp-mux`, RFC 5761).
    pub fn is_muxed(&self) -> bool {
        self.description.port == self.description.rtcp_port
    }

    /// Told by the receiver when the groups are joined or left.
    pub fn set_joined(&self, joined: bool) {
        self.joined.store(joined, Relaxed);
    }

    /// Whether its groups are joined.
    pub fn is_joined(&self) -> bool {
        self.joined.load(Relaxed)
    }

    /// The SSRC that the track carries now.
    pub fn ssrc(&self) -> Option<u32> {
        self.writer().reception.ssrc()
    }

    /// When the newest packet arrived.
    pub fn last_arrival(&self) -> Option<Instant> {
        let after_us = self.last_arrival_us.load(Relaxed);
        (after_us > 0).then(|| self.epoch + Duration::from_micros(after_us))
    }

    /// Since when packets come without a silence. `None`: the source is silent.
    pub fn flows_since(&self, now: Instant) -> Option<Instant> {
        // In the reverse order of how they were written: an end of silence is never seen without its time.
        let last = self.epoch + Duration::from_micros(self.last_arrival_us.load(Acquire));
        let since = self.flows_since_us.load(Relaxed);
        let flows = since > 0 && now.saturating_duration_since(last) < SILENT_AFTER;
        flows.then(|| self.epoch + Duration::from_micros(since))
    }

    fn note_arrival(&self, us: u64) {
        let before = self.last_arrival_us.load(Relaxed);
        if before == 0 || us.saturating_sub(before) >= SILENT_AFTER.as_micros() as u64 {
            self.flows_since_us.store(us, Relaxed);
        }
        self.last_arrival_us.store(us, Release);
    }

    /// The track's figures as of `now`.
    pub fn stats(&self, now: Instant) -> TrackStats {
        TrackStats {
            reception: self.writer().reception.clone(),
            bytes: self.bytes.load(Relaxed),
            last_packet_age: self.last_arrival().map(|at| now.saturating_duration_since(at)),
            joined: self.is_joined(),
            not_rtp: std::array::from_fn(|i| (NotRtp::ALL[i].reason(), self.not_rtp[i].load(Relaxed))),
            not_rtcp: std::array::from_fn(|i| (NotRtcp::ALL[i].reason(), self.not_rtcp[i].load(Relaxed))),
        }
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        lock(&self.writer)
    }
}

impl Writer {
    /// Whether this is the first packet of an access unit that a decoder can start with.
    fn is_random_access(&mut self, header: &RtpHeader, datagram: &[u8]) -> bool {
        let payload = datagram.get(header.header_len..).unwrap_or_default();
        if self.last_start == Some(header.timestamp) || !self.format.starts_at(payload) {
            return false;
        }
        self.last_start = Some(header.timestamp);
        true
    }

    fn keep(&mut self, datagram: &[u8]) -> Bytes {
        if self.chunk.capacity() < datagram.len() {
            self.chunk = BytesMut::with_capacity(CHUNK_BYTES.max(datagram.len()));
        }
        self.chunk.extend_from_slice(datagram);
        self.chunk.split().freeze()
    }
}

fn count(counters: &[AtomicU64], place: Option<usize>) {
    if let Some(counter) = place.and_then(|place| counters.get(place)) {
        counter.fetch_add(1, Relaxed);
    }
}

#[cfg(all(test, not(model)))]
mod tests {
    use super::*;
    use crate::event::clock;
    use crate::relay::rig::{ROOMY, by_hand};
    use crate::wire::sdp;
    use std::net::Ipv4Addr;

    #[test]
    fn a_flow_begins_anew_after_a_second_of_silence() {
        let description =
            sdp::mpegts("news", Ipv4Addr::new(239, 77, 60, 2).into(), 5004, None).tracks.remove(0);
        let began = clock::now();
        let at = |ms| began + Duration::from_millis(ms);
        let track = Track::new("news", 1, description, ROOMY, Coalesce::Auto, &by_hand(), began);
        let receive = |ms| {
            let packet = [0x80, 33, 0, 1, 0, 0, 0, 1, 0, 0, 0, 7, 0x47];
            track.receive(&crate::wire::rtp::check(&packet).expect("RTP"), &packet, at(ms));
        };
        assert_eq!(track.flows_since(at(0)), None, "it has not begun");
        [500, 1400, 2300].into_iter().for_each(receive);
        assert_eq!(track.flows_since(at(3200)), Some(at(500)));
        assert_eq!(track.flows_since(at(3300)), None);
        receive(3300);
        assert_eq!(track.flows_since(at(3300)), Some(at(3300)));
    }
}
