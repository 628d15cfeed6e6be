//! One who sends to a group: how much, how fast, as what.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::wire::packetizer::MP2T;
use crate::wire::reception::{Arrival, Reception};
use crate::wire::rtp::{self, RtpHeader};
use crate::wire::sdp::{Framing, TrackDescription};
use crate::wire::{strangers, transport_stream};

use super::survey::Survey;

/// The most SSRCs of one sender that are told apart.
const MAX_SSRCS: usize = 8;
/// The most kinds of datagrams that are told apart that the source does not say.
const MAX_KINDS: usize = 8;
/// Over less than that, what came is no rate.
const SHORTEST_MEAN: Duration = Duration::from_millis(100);
/// What may be listened for, in seconds.
const MAX_SECONDS: u64 = 3600;

/// One address and port.
#[derive(Debug)]
pub struct Sender {
    /// Datagrams.
    pub packets: u64,
    /// Their bytes, without the headers of UDP and IP.
    pub bytes: u64,
    /// The smallest and the largest one.
    pub sizes: (usize, usize),
    /// Datagrams that are what the source says.
    pub taken: u64,
    /// The others, by what they look like.
    pub not_taken: BTreeMap<String, u64>,
    /// RTP by SSRC.
    pub streams: Vec<Stream>,
    /// RTP of further SSRCs.
    pub of_more_ssrcs: u64,
    /// The transport stream.
    pub survey: Survey,
    began: Duration,
    /// Bytes in each second from the first datagram on.
    seconds: Vec<u64>,
}

/// One SSRC.
#[derive(Debug)]
pub struct Stream {
    /// Which.
    pub ssrc: u32,
    /// Its payload types.
    pub payload_types: BTreeSet<u8>,
    /// Packets with the marker bit.
    pub marked: u64,
    /// What came and what did not.
    pub reception: Reception,
}

/// Bits a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BitRate {
    /// From the first datagram to the end.
    pub mean: f64,
    /// In the slowest and the fastest whole second, if there was one.
    pub extremes: Option<(f64, f64)>,
}

impl Sender {
    /// One who begins at this time.
    pub fn new(at: Duration) -> Self {
        Self {
            packets: 0,
            bytes: 0,
            sizes: (usize::MAX, 0),
            taken: 0,
            not_taken: BTreeMap::new(),
            streams: Vec::new(),
            of_more_ssrcs: 0,
            survey: Survey::default(),
            began: at,
            seconds: Vec::new(),
        }
    }

    /// Takes a datagram to the port of the track's media.
    pub fn take(&mut self, datagram: &[u8], at: Duration, of: &TrackDescription) {
        self.packets += 1;
        self.bytes += datagram.len() as u64;
        self.sizes = (self.sizes.0.min(datagram.len()), self.sizes.1.max(datagram.len()));
        let second = at.saturating_sub(self.began).as_secs().min(MAX_SECONDS) as usize;
        self.seconds.resize(self.seconds.len().max(second + 1), 0);
        self.seconds[second] += datagram.len() as u64;
        let is_bare = transport_stream::check(datagram).is_ok();
        let header = rtp::check(datagram).ok().filter(|_| !is_bare);
        if is_bare {
            self.survey.take(datagram);
        } else if let Some(header) = &header {
            self.take_rtp(header, datagram, at, of);
        }
        match not_taken(datagram, is_bare, header.as_ref(), of) {
            None => self.taken += 1,
            Some(kind) if self.not_taken.len() < MAX_KINDS || self.not_taken.contains_key(&kind) => {
                *self.not_taken.entry(kind).or_default() += 1;
            }
            Some(_) => *self.not_taken.entry("of more kinds".to_owned()).or_default() += 1,
        }
    }

    fn take_rtp(&mut self, header: &RtpHeader, datagram: &[u8], at: Duration, of: &TrackDescription) {
        let place = self.streams.iter().position(|stream| stream.ssrc == header.ssrc);
        let place = match place {
            Some(place) => place,
            None if self.streams.len() == MAX_SSRCS => {
                self.of_more_ssrcs += 1;
                return;
            }
            None => {
                let (type_of_ts, its_rate) = MP2T;
                let is_said = of.payload_types.contains(&header.payload_type);
                let rate = of.clock_rate.filter(|_| is_said);
                let rate = rate.or_else(|| (header.payload_type == type_of_ts).then_some(its_rate));
                let reception = Reception::new(rate);
                let (ssrc, payload_types) = (header.ssrc, BTreeSet::new());
                self.streams.push(Stream { ssrc, payload_types, marked: 0, reception });
                self.streams.len() - 1
            }
        };
        let stream = &mut self.streams[place];
        stream.payload_types.insert(header.payload_type);
        stream.marked += u64::from(header.marker);
        let arrival = stream.reception.receive(header, at);
        let payload = header.payload(datagram);
        if arrival != Arrival::Duplicate && transport_stream::check(payload).is_ok() {
            self.survey.take(payload);
        }
    }

    /// How fast it sent, up to the end.
    pub fn bit_rate(&self, end: Duration) -> BitRate {
        let passed = end.saturating_sub(self.began);
        let mean = self.bytes as f64 * 8.0 / passed.max(SHORTEST_MEAN).as_secs_f64();
        let whole = passed.as_secs().min(MAX_SECONDS) as usize;
        let in_second = |second| self.seconds.get(second).map_or(0.0, |bytes| *bytes as f64 * 8.0);
        let slowest = (0..whole).map(in_second).reduce(f64::min);
        let fastest = (0..whole).map(in_second).reduce(f64::max);
        BitRate { mean, extremes: slowest.zip(fastest) }
    }
}

/// What a datagram looks like that is not what the source says.
fn not_taken(
    datagram: &[u8],
    is_bare: bool,
    header: Option<&RtpHeader>,
    of: &TrackDescription,
) -> Option<String> {
    let as_rtp = || match header {
        Some(header) if !of.payload_types.contains(&header.payload_type) => {
            Some(strangers::instead_of_rtp(datagram))
        }
        Some(header) => {
            let payload = header.payload(datagram);
            let is_ts = !of.is_transport_stream() || transport_stream::check(payload).is_ok();
            let what = format!("RTP of payload type {}, but no transport stream in it", header.payload_type);
            (!is_ts && !payload.is_empty()).then_some(what)
        }
        None => Some(strangers::instead_of_rtp(datagram)),
    };
    match of.framing {
        Framing::Rtp => as_rtp(),
        Framing::Bare => (!is_bare).then(|| strangers::instead_of_ts(datagram)),
        Framing::Either => {
            if is_bare {
                None
            } else {
                as_rtp()
            }
        }
    }
}
