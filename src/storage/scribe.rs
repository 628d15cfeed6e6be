//! A Scribe: reads one track's rings on, and says of each packet what its index is to say.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use crate::relay::{Packet, Ring, Track};
use crate::wire::random_access::Starts;
use crate::wire::recording::Format;
use crate::wire::rtp::{self, RtpHeader};

/// Packets that are read of a ring at a time: it is locked for no longer than it takes to count them up.
const MOST_AT_A_TIME: usize = 256;

/// The place in one track's rings up to which all was read.
pub(super) struct Scribe {
    track: Arc<Track>,
    pub format: Format,
    starts: Starts,
    next: Option<u64>,
    next_report: u64,
    /// SSRC and sequence number of the packet before.
    last: Option<(u32, u16)>,
    /// When the last one came.
    until: Option<Instant>,
    /// What comes next was not kept together with what came before.
    has_gap: bool,
}

/// A packet that is to be kept.
pub(super) struct Line {
    pub data: Bytes,
    pub arrived_at: Instant,
    /// Its header; `None` of RTCP.
    pub header: Option<RtpHeader>,
    pub is_start: bool,
    pub has_gap: bool,
}

/// What was read of a track at once.
#[derive(Default)]
pub(super) struct Lines {
    /// In the order in which they came.
    pub lines: Vec<Line>,
    /// Decoders can start so many packets of RTP before the first of these.
    pub starts_before: Vec<u64>,
    /// Packets that left the ring before they were read.
    pub missed: u64,
}

impl Scribe {
    /// Of a track, from the oldest packet on that is there.
    pub fn new(track: Arc<Track>) -> Self {
        let about = &track.description;
        let format = Format::of(about.encoding.as_deref());
        let starts = Starts::of(&about.media, about.encoding.as_deref(), about.tells_parameter_sets);
        Self { track, format, starts, next: None, next_report: 0, last: None, until: None, has_gap: true }
    }

    /// The clock of its timestamps.
    pub fn clock_rate(&self) -> u32 {
        self.track.clock_rate()
    }

    /// Whether its pictures say where decoders can start with all of the channel.
    pub fn leads(&self) -> bool {
        self.track.description.media == "video"
    }

    /// What was read last was not kept.
    pub fn lose(&mut self) {
        self.has_gap = true;
    }

    /// Reads all that is there.
    pub fn read(&mut self) -> Lines {
        let mut read = Lines::default();
        let (packets, missed) = read_all(self.track.rtp.ring(), &mut self.next);
        self.has_gap |= missed > 0;
        read.missed = missed;
        for packet in packets {
            self.take(packet, &mut read);
        }
        if self.format == Format::RtpDump {
            let mut next = Some(self.next_report);
            let (reports, missed) = read_all(self.track.rtcp.ring(), &mut next);
            self.next_report = next.unwrap_or_default();
            read.missed += missed;
            for Packet { data, arrived_at, .. } in reports {
                let place = read.lines.partition_point(|line| line.arrived_at <= arrived_at);
                read.lines
                    .insert(place, Line { data, arrived_at, header: None, is_start: false, has_gap: false });
            }
        }
        // Stamps of packets that came together may be in another order; an index is looked up by time.
        for line in &mut read.lines {
            let at = self.until.map_or(line.arrived_at, |until| until.max(line.arrived_at));
            (line.arrived_at, self.until) = (at, Some(at));
        }
        read
    }

    fn take(&mut self, Packet { data, arrived_at, .. }: Packet, read: &mut Lines) {
        // What is in a ring was checked before it came there.
        let Ok(header) = rtp::check(&data) else { return };
        let payload = header.payload(&data);
        let found = self.starts.take(header.timestamp, payload);
        let follows =
            |(ssrc, sequence): (u32, u16)| ssrc == header.ssrc && sequence.wrapping_add(1) == header.sequence;
        let has_gap = std::mem::take(&mut self.has_gap) || self.last.is_some_and(|last| !follows(last));
        self.last = Some((header.ssrc, header.sequence));
        read.lines.push(Line { data, arrived_at, header: Some(header), is_start: false, has_gap });
        if let Some(found) = found {
            match read.lines.len().checked_sub(found.back as usize + 1) {
                Some(place) => read.lines[place].is_start = true,
                None => read.starts_before.push(found.back + 1 - read.lines.len() as u64),
            }
        }
    }
}

/// All packets of a ring from there on, and how many had left it.
fn read_all(ring: &Ring, next: &mut Option<u64>) -> (Vec<Packet>, u64) {
    let (mut packets, mut missed) = (Vec::new(), 0);
    let end = ring.head();
    loop {
        let wanted = next.unwrap_or_default();
        let before = packets.len();
        let first = ring.packets(wanted, MOST_AT_A_TIME, &mut packets);
        let came = (packets.len() - before) as u64;
        missed += next.map_or(0, |wanted| first - wanted);
        *next = Some(first + came);
        if came == 0 || first + came >= end {
            return (packets, missed);
        }
    }
}
