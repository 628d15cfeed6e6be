//! A Reel: one track of a deck, from what is kept to the ring that it goes into.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Instant;
use std::{io, iter};

use bytes::{BufMut, Bytes, BytesMut};

use crate::event::lock;
use crate::relay::{Packet, Track};
use crate::wire::random_access::Starts;
use crate::wire::recording::{Format, Record};
use crate::wire::rtp::{self, FIXED_HEADER_LEN, RtpHeader};

use super::super::shelf::Shelf;
use super::numbering::{Numbering, Sent};
use super::track_reader::{Take, TrackReader};

/// Packets that are read at a time.
const AT_A_TIME: usize = 64;
/// Packets of which it is known when they came: more than a viewer over a connection is behind.
const MOST_ARRIVALS: usize = 512;
/// What goes before a start is looked for so far back.
const TABLES_WITHIN_US: u64 = 2_000_000;

/// When a packet came, in microseconds since 1970, and by what it is known: SSRC and sequence number.
pub type Kept = (u64, Option<(u32, u16)>);

/// One track.
pub(super) struct Reel {
    pub track: Arc<Track>,
    pub reader: TrackReader,
    numbering: Numbering,
    format: Format,
    heard: Arc<Heard>,
}

/// What of a track is in its ring, for those who never wait for a disk.
#[derive(Default)]
pub(super) struct Heard(Mutex<Said>);

#[derive(Default)]
struct Said {
    /// The packets of the ring, the newest last.
    arrivals: VecDeque<Kept>,
    /// The packet that is read next.
    next: Option<Kept>,
}

impl Heard {
    /// The packet of a number, where so many have been put into the ring, or the next one that will be.
    pub fn packet(&self, number: u64, head: u64) -> Option<Kept> {
        let (said, back) = (lock(&self.0), head.saturating_sub(number) as usize);
        let there = said.arrivals.len().checked_sub(back).and_then(|place| said.arrivals.get(place).copied());
        there.or(said.next).or(said.arrivals.back().copied())
    }

    fn came(&self, packets: impl Iterator<Item = Kept>, next: Option<Kept>) {
        let mut said = lock(&self.0);
        said.arrivals.extend(packets);
        let more = said.arrivals.len().saturating_sub(MOST_ARRIVALS);
        said.arrivals.drain(..more);
        said.next = next;
    }
}

impl Reel {
    pub fn of(shelf: &Arc<Shelf>, track: &Arc<Track>, after: Option<Sent>, heard: Arc<Heard>) -> Self {
        let reader = TrackReader::new(shelf.clone(), u16::try_from(track.number).unwrap_or(u16::MAX));
        let numbering = Numbering::new(track.description.clock_rate.unwrap_or(90_000), after);
        let format = reader.format().unwrap_or(Format::of(track.description.encoding.as_deref()));
        Self { track: track.clone(), reader, numbering, format, heard }
    }

    /// Sequence number and timestamp of what is sent first: tables, which are in the ring already, or this packet.
    pub fn first(&self, first: &Record) -> (u16, u32) {
        let header = self.numbering.header(first);
        let before = self.track.rtp.ring().head() as u16;
        (header.sequence.wrapping_sub(before), header.timestamp)
    }

    /// Puts what is due into the ring. `true`: there is more of it.
    pub fn go_on(&mut self, due_us: u64, now: Instant) -> io::Result<bool> {
        let Some(take) = self.reader.take(due_us, AT_A_TIME)? else { return Ok(false) };
        let packets: Vec<_> = take
            .records
            .iter()
            .filter(|record| !record.is_report)
            .filter_map(|record| self.packet(record, &take, now))
            .collect();
        let next = self.reader.peek()?.as_ref().map(kept);
        self.heard.came(take.records.iter().filter(|record| !record.is_report).map(kept), next);
        self.track.replay(packets, now);
        Ok(take.records.len() == AT_A_TIME)
    }

    fn packet(&mut self, record: &Record, take: &Take, now: Instant) -> Option<Packet> {
        let media = take.media_of(record);
        let header = self.numbering.next(record);
        let data = match self.format {
            Format::TransportStream => with_header(&header, &media),
            Format::RtpDump => {
                let mut packet = BytesMut::from(&header.rewritten(&media)?[..]);
                packet.extend_from_slice(&media[FIXED_HEADER_LEN..]);
                packet.freeze()
            }
        };
        Some(Packet { data, sequence: header.sequence, timestamp: header.timestamp, arrived_at: now })
    }

    /// What a decoder has to be told before the first packet: it is found in what came before.
    pub fn put_tables(&mut self, shelf: &Arc<Shelf>, first: &Record, now: Instant) -> io::Result<()> {
        let about = &self.track.description;
        let mut starts = Starts::of(&about.media, about.encoding.as_deref(), about.tells_parameter_sets);
        let mut before =
            TrackReader::new(shelf.clone(), u16::try_from(self.track.number).unwrap_or(u16::MAX));
        before.seek(first.arrived_us.saturating_sub(TABLES_WITHIN_US))?;
        let mut prologue = None;
        while let Some(take) = before.take(first.arrived_us, AT_A_TIME)? {
            for record in take.records.iter().filter(|record| !record.is_report) {
                let media = take.media_of(record);
                let payload = match (self.format, rtp::check(&media)) {
                    (Format::RtpDump, Ok(header)) => &media[header.payload_range(&media)],
                    _ => &media[..],
                };
                if let Some(found) = starts.take(record.timestamp, payload).filter(|found| found.back == 0) {
                    prologue = found.prologue.filter(|_| record == first).or(prologue);
                }
            }
        }
        let Some(payload) = prologue else { return Ok(()) };
        self.numbering.leave_room();
        let header = self.numbering.header(first);
        let header = RtpHeader { sequence: header.sequence.wrapping_sub(1), marker: false, ..header };
        let data = with_header(&header, &payload);
        let tables = Packet { data, sequence: header.sequence, timestamp: header.timestamp, arrived_at: now };
        self.heard.came(iter::once(kept(first)), Some(kept(first)));
        self.track.replay(vec![tables], now);
        Ok(())
    }
}

fn kept(record: &Record) -> Kept {
    (record.arrived_us, Some((record.ssrc, record.sequence)))
}

/// A packet without extensions.
fn with_header(header: &RtpHeader, payload: &[u8]) -> Bytes {
    let mut packet = BytesMut::with_capacity(FIXED_HEADER_LEN + payload.len());
    packet.put_u8(0x80);
    packet.put_u8(header.payload_type | u8::from(header.marker) << 7);
    packet.put_u16(header.sequence);
    packet.put_u32(header.timestamp);
    packet.put_u32(header.ssrc);
    packet.extend_from_slice(payload);
    packet.freeze()
}
