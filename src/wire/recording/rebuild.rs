//! An index made again out of the media, as far as that tells: of a transport stream its clock says when packets came, and they are
//! numbered from 0.

use super::super::random_access::Starts;
use super::super::rtp;
use super::super::transport_stream::{PACKET_LEN, Pcr, SYNC, packet_len_in, packets, pcr};
use super::{DUMP_HEAD_LEN, Format, PACKET_HEAD_LEN, Record, rtpdump};

/// Packets of a transport stream that go together, as most sources send them.
const TOGETHER: usize = 7;
/// Bytes that tell where the packets of the next payload are, also with their parity.
const MOST_TO_SEE: usize = 1 + TOGETHER * 204;
const PCR_WRAP: u64 = 1 << 33;
/// A clock that has gone on for longer, from one reference to the next, has been set: 10 s.
const LONGEST_STEP: u64 = 900_000;

/// The index of one track, as it is made.
#[derive(Debug)]
pub struct Rebuilt {
    format: Format,
    starts: Starts,
    /// When it began, in microseconds since 1970.
    started_us: u64,
    /// How far the media was read.
    at: u64,
    records: Vec<Record>,
    /// The clock reference that came last, and when that is.
    clock: Option<(u64, u64)>,
    /// Of a transport stream.
    packet_len: usize,
    /// What was passed over was no packet.
    has_gap: bool,
}

impl Rebuilt {
    /// Of media that began then, in microseconds since 1970. `starts` knows where decoders can start.
    #[must_use]
    pub fn new(format: Format, starts: Starts, started_us: u64) -> Self {
        let (records, clock) = (Vec::new(), None);
        Self { format, starts, started_us, at: 0, records, clock, packet_len: PACKET_LEN, has_gap: false }
    }

    /// How far the media was read.
    #[must_use]
    pub fn at(&self) -> u64 {
        self.at
    }

    /// The records of what was read.
    #[must_use]
    pub fn records(self) -> Vec<Record> {
        self.records
    }

    /// Reads on, in what the media has from [`at`](Self::at) on: all that is left where it `is_all`. `false`: nothing more can be read.
    pub fn read(&mut self, media: &[u8], is_all: bool) -> bool {
        let before = self.at;
        match self.format {
            Format::TransportStream => self.read_stream(media, is_all),
            Format::RtpDump => self.read_dump(media),
        }
        self.at > before
    }

    fn read_stream(&mut self, media: &[u8], is_all: bool) {
        let mut rest = media;
        while is_all && !rest.is_empty() || rest.len() >= MOST_TO_SEE {
            let Some(length) = packet_len_in(rest, self.packet_len) else {
                let behind = &rest[1..];
                let skip = behind.iter().position(|byte| *byte == SYNC).unwrap_or(behind.len());
                self.has_gap = true;
                self.at += skip as u64 + 1;
                rest = &behind[skip..];
                continue;
            };
            self.packet_len = length;
            let together = rest.chunks_exact(length).take(TOGETHER);
            let synced = together.take_while(|packet| packet[0] == SYNC).count();
            let (payload, behind) = rest.split_at(synced * length);
            self.take_payload(payload);
            rest = behind;
        }
    }

    fn take_payload(&mut self, payload: &[u8]) {
        let heard = packets(payload).find_map(pcr);
        let arrived_us = match heard {
            Some(pcr) => self.tick(pcr),
            None => self.clock.map_or(self.started_us, |(_, at)| at),
        };
        let (sequence, pcr) = (self.records.len() as u16, heard.map(|pcr| pcr.base));
        let timestamp = self.clock.map_or(0, |(base, _)| base as u32);
        let here = self.here(payload.len());
        self.note(Record { arrived_us, pcr, sequence, timestamp, payload_type: 33, ..here }, payload);
        self.at += payload.len() as u64;
    }

    /// When a clock reference is.
    fn tick(&mut self, Pcr { base, is_discontinuous, .. }: Pcr) -> u64 {
        let at = match self.clock {
            None => self.started_us,
            Some((before, at)) => {
                let passed = base.wrapping_sub(before) % PCR_WRAP;
                let is_step = is_discontinuous || passed > LONGEST_STEP;
                if is_step { at } else { at + passed * 100 / 9 }
            }
        };
        self.clock = Some((base, at));
        at
    }

    fn read_dump(&mut self, media: &[u8]) {
        let mut rest = media;
        if self.at == 0 {
            let (Some(started), Some(behind)) = (rtpdump::started(media), media.get(DUMP_HEAD_LEN..)) else {
                return;
            };
            (self.started_us, self.at, rest) = (started, DUMP_HEAD_LEN as u64, behind);
        }
        while let Some((packet, is_report, since_us)) = rtpdump::packet(rest) {
            self.at += PACKET_HEAD_LEN as u64;
            self.take_packet(packet, is_report, self.started_us + since_us);
            self.at += packet.len() as u64;
            rest = &rest[PACKET_HEAD_LEN + packet.len()..];
        }
    }

    fn take_packet(&mut self, packet: &[u8], is_report: bool, arrived_us: u64) {
        let here = Record { arrived_us, is_report, ..self.here(packet.len()) };
        if is_report {
            self.records.push(here);
            return;
        }
        let Ok(header) = rtp::check(packet) else {
            self.has_gap = true;
            return;
        };
        let rtp::RtpHeader { sequence, timestamp, ssrc, payload_type, marker, .. } = header;
        self.note(Record { sequence, timestamp, ssrc, payload_type, marker, ..here }, header.payload(packet));
    }

    /// Of so many bytes that are there.
    fn here(&mut self, length: usize) -> Record {
        Record {
            arrived_us: self.started_us,
            pcr: None,
            // Media has no more bytes than that, and no packet more than that.
            offset: self.at as u32,
            length: length as u16,
            sequence: 0,
            timestamp: 0,
            ssrc: 0,
            payload_type: 0,
            marker: false,
            is_start: false,
            has_gap: std::mem::take(&mut self.has_gap),
            is_report: false,
        }
    }

    fn note(&mut self, record: Record, payload: &[u8]) {
        self.records.push(record);
        if let Some(found) = self.starts.take(record.timestamp, payload) {
            let mut media = self.records.iter_mut().rev().filter(|record| !record.is_report);
            media.nth(found.back as usize).into_iter().for_each(|first| first.is_start = true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A packet with a clock reference; of those that a decoder can start with.
    fn ts(ms: u64, is_start: bool) -> Vec<u8> {
        let base = ms * 90;
        let mut packet = vec![0x47, 0x41, 0, 0x30, 7, if is_start { 0x50 } else { 0x10 }];
        packet.extend(((base >> 1) as u32).to_be_bytes());
        packet.extend([(base as u8) << 7 | 0x7e, 0, 0, 0, 1, 0xe0]);
        packet.resize(PACKET_LEN, 0xff);
        packet
    }

    fn of_stream() -> Rebuilt {
        Rebuilt::new(Format::TransportStream, Starts::of("video", Some("MP2T"), false), 1_000_000)
    }

    fn all(mut rebuilt: Rebuilt, media: &[u8]) -> Vec<Record> {
        while rebuilt.read(&media[rebuilt.at() as usize..], true) {}
        rebuilt.records()
    }

    #[test]
    fn a_stream_says_when_its_packets_came_and_where_they_are() {
        let media: Vec<u8> = (0..21).flat_map(|place| ts(place * 10, place == 7)).collect();
        let records = all(of_stream(), &media);
        let told: Vec<_> =
            records.iter().map(|r| (r.arrived_us, r.offset, r.length, r.sequence, r.is_start)).collect();
        assert_eq!(
            told,
            [
                (1_000_000, 0, 1316, 0, false),
                (1_070_000, 1316, 1316, 1, true),
                (1_140_000, 2632, 1316, 2, false)
            ]
        );
    }

    #[test]
    fn what_is_damaged_is_passed_over() {
        let mut media: Vec<u8> = (0..14).flat_map(|place| ts(place * 10, false)).collect();
        media.splice(1316 + 188 * 2..1316 + 188 * 2 + 100, []);
        let records = all(of_stream(), &media);
        let told: Vec<_> = records.iter().map(|r| (r.offset, r.length, r.has_gap)).collect();
        assert_eq!(told, [(0, 1316, false), (1316, 376, false), (1780, 4 * 188, true)]);
    }

    #[test]
    fn a_hole_is_passed_over_however_much_is_looked_at_at_a_time() {
        let packets: Vec<u8> = (0..7).flat_map(|place| ts(place * 10, false)).collect();
        let media = [&packets[..], &[0; 5000], &packets].concat();
        let mut rebuilt = of_stream();
        loop {
            let rest = &media[rebuilt.at() as usize..];
            let seen = &rest[..rest.len().min(2000)];
            if !rebuilt.read(seen, seen.len() == rest.len()) {
                break;
            }
        }
        let told: Vec<_> = rebuilt.records().iter().map(|r| (r.offset, r.length, r.has_gap)).collect();
        assert_eq!(told, [(0, 1316, false), (6316, 1316, true)]);
    }

    #[test]
    fn a_dump_says_all_there_was() {
        let packet = |sequence: u8| vec![0x80, 0x80 | 96, 0, sequence, 0, 0, 0, 9, 0, 0, 0, 7, 1, 2];
        let mut media = rtpdump::dump_head(5_000_000).to_vec();
        for (packet, is_report, since) in
            [(packet(1), false, 0), (b"SR".to_vec(), true, 20_000), (packet(2), false, 40_000)]
        {
            media.extend(rtpdump::packet_head(&packet, is_report, since).expect("short"));
            media.extend(packet);
        }
        media.extend([0, 22, 0]);
        let rebuilt = Rebuilt::new(Format::RtpDump, Starts::of("audio", Some("L16"), false), 0);
        let records = all(rebuilt, &media);
        let told: Vec<_> =
            records.iter().map(|r| (r.arrived_us, r.sequence, r.is_report, r.marker, r.is_start)).collect();
        assert_eq!(
            told,
            [
                (5_000_000, 1, false, true, true),
                (5_020_000, 0, true, false, false),
                (5_040_000, 2, false, true, true)
            ]
        );
        assert_eq!(records[2].end() as usize, media.len() - 3);
    }

    proptest! {
        #[test]
        fn in_pieces_it_is_the_same(cut in 1usize..4000, count in 1u64..40) {
            let media: Vec<u8> = (0..count).flat_map(|place| ts(place * 10, place % 7 == 0)).collect();
            let mut rebuilt = of_stream();
            let mut end = 0;
            while end < media.len() {
                end = (end + cut).min(media.len());
                while rebuilt.read(&media[rebuilt.at() as usize..end], end == media.len()) {}
            }
            prop_assert_eq!(rebuilt.records(), all(of_stream(), &media));
        }

        #[test]
        fn any_bytes_end(media in proptest::collection::vec(prop_oneof![Just(0x47u8), any::<u8>()], 0..3000), is_dump: bool) {
            let format = if is_dump { Format::RtpDump } else { Format::TransportStream };
            let mut bytes = if is_dump { rtpdump::dump_head(1).to_vec() } else { Vec::new() };
            bytes.extend(media);
            let records = all(Rebuilt::new(format, Starts::of("video", Some("MP2T"), false), 0), &bytes);
            prop_assert!(records.iter().all(|record| record.end() <= bytes.len() as u64));
        }
    }
}
