//! A place in the rings of a channel's tracks, from which packets are read in the order in which they came.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::relay::{Channel, EnterAt, Packet, Track};

/// Packets that are read of a track at a time: the ring is locked for no longer than it takes to count them up.
const MOST_AT_A_TIME: usize = 256;

/// The places in the rings of the tracks that are read.
pub(super) struct Reader {
    began: Instant,
    places: Vec<Place>,
}

struct Place {
    track: Arc<Track>,
    /// Its place among the channel's tracks.
    number: usize,
    /// What goes before the first packet.
    prologue: Option<Bytes>,
    next: u64,
    /// The same of its RTCP.
    next_report: u64,
}

/// What was read of a track.
pub(super) enum Read<'p> {
    /// A packet, and when it came.
    Packet(&'p [u8], Duration),
    Report(&'p [u8]),
    /// Packets left the ring before they were read.
    Lost,
}

impl Reader {
    /// Begins where a decoder can start with the channel, with these of its tracks.
    pub fn enter(channel: &Channel, numbers: &[usize], now: Instant) -> Self {
        let tracks: Vec<_> =
            numbers.iter().filter_map(|number| Some((*number, channel.tracks.get(*number)?))).collect();
        let all: Vec<&Track> = tracks.iter().map(|(_, track)| &***track).collect();
        let entries = EnterAt::default().entries(&all, now);
        let place = |((number, track), entry): ((usize, &Arc<Track>), crate::relay::Entry)| Place {
            track: track.clone(),
            number,
            prologue: entry.spot.prologue,
            next: entry.spot.number,
            next_report: track.rtcp.ring().head().saturating_sub(1),
        };
        Self { began: now, places: tracks.into_iter().zip(entries).map(place).collect() }
    }

    /// Reads on; gives what there is to `each`, with the track's number. `true`: there is more.
    pub fn read(&mut self, mut each: impl FnMut(usize, Read<'_>)) -> bool {
        let mut reports = Vec::new();
        for place in &mut self.places {
            let first = place.track.rtcp.ring().packets(place.next_report, MOST_AT_A_TIME, &mut reports);
            place.next_report = first + reports.len() as u64;
            reports.drain(..).for_each(|report| each(place.number, Read::Report(&report.data)));
        }
        let read: Vec<Vec<Packet>> = self.places.iter_mut().map(|place| place.read(&mut each)).collect();
        // What came later than the last one of a track that has more is left for the next time.
        let are_full = read.iter().filter(|packets| packets.len() == MOST_AT_A_TIME);
        let until = are_full.filter_map(|packets| packets.last()).map(|last| last.arrived_at).min();
        let mut all = Vec::new();
        for (place, packets) in self.places.iter_mut().zip(&read) {
            let due =
                packets.iter().take_while(|packet| until.is_none_or(|until| packet.arrived_at <= until));
            let before = all.len();
            all.extend(due.map(|packet| (packet.arrived_at, place.number, packet)));
            place.next += (all.len() - before) as u64;
        }
        all.sort_by_key(|(at, _, _)| *at);
        for (at, number, packet) in all {
            // Those that had come when it began count from below it.
            let came = Duration::from_secs(3600) + at.saturating_duration_since(self.began);
            let came = came.saturating_sub(self.began.saturating_duration_since(at));
            each(number, Read::Packet(&packet.data, came));
        }
        until.is_some()
    }
}

impl Place {
    fn read(&mut self, each: &mut impl FnMut(usize, Read<'_>)) -> Vec<Packet> {
        if let Some(prologue) = self.prologue.take() {
            each(self.number, Read::Packet(&prologue, Duration::from_secs(3600)));
        }
        let mut packets = Vec::new();
        let first = self.track.rtp.ring().packets(self.next, MOST_AT_A_TIME, &mut packets);
        if first > self.next {
            each(self.number, Read::Lost);
        }
        self.next = first;
        packets
    }
}
