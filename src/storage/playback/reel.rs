//! A Reel: one track of a deck, from what is kept to the ring that it goes into.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{io, mem};

use bytes::{Bytes, BytesMut};

use crate::event::lock;
use crate::relay::{Alias, Landmark, Named, Packet, Track};
use crate::wire::random_access::Starts;
use crate::wire::recording::{Format, Record};
use crate::wire::renumbering::Renumbering;
use crate::wire::rtcp::{self, Counts, Reflectable, Renamed};
use crate::wire::rtp::{self, FIXED_HEADER_LEN, RtpHeader};
use crate::wire::still::Still;

use super::numbering::{Numbering, Sent};
use super::reads::Reads;
use super::run::{Memory, Run};

/// Packets that are read at a time.
const AT_A_TIME: usize = 64;
/// Packets of which it is known when they came: more than a viewer over a connection is behind.
const MOST_ARRIVALS: usize = 512;
/// What goes before a start is looked for so far back.
const TABLES_WITHIN_US: u64 = 2_000_000;
/// Bytes of a picture that is shown alone: what is larger is cut.
const MOST_BYTES: u64 = 4 << 20;

/// When a packet came, in microseconds since 1970, and by what it is known.
pub type Kept = (u64, Option<Named>);

/// One track.
pub(super) struct Reel {
    pub track: Arc<Track>,
    pub reader: Box<dyn Reads>,
    numbering: Numbering,
    sent: Counts,
    format: Format,
    memory: Memory,
    heard: Arc<Heard>,
    /// What it was found to begin with.
    begins: Option<Record>,
}

/// A picture that is shown alone.
pub(super) struct Picture {
    /// Its first packet, as it was kept.
    pub first: Record,
    pub bytes: u64,
    prologue: Option<Vec<u8>>,
    /// Whole packets, or where they have no header the payloads.
    packets: Vec<Bytes>,
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

    /// That is read next, as far as is known.
    pub fn is_next(&self, next: Kept) {
        lock(&self.0).next = Some(next);
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
    pub fn of(
        (reader, format): (Box<dyn Reads>, Format),
        track: &Arc<Track>,
        after: Option<Sent>,
        heard: Arc<Heard>,
    ) -> Self {
        let numbering = Numbering::new(track.clock_rate(), after);
        Self {
            track: track.clone(),
            reader,
            numbering,
            sent: Counts::default(),
            format,
            memory: Memory::default(),
            heard,
            begins: None,
        }
    }

    /// Sequence number and timestamp of what is sent first: tables, which are in the ring already, or this packet.
    pub fn first(&self, first: &Record) -> (u16, u32) {
        let header = self.numbering.header(first);
        let before = self.track.rtp.ring().head() as u16;
        (header.sequence.wrapping_sub(before), header.timestamp)
    }

    /// Goes on behind what was sent last, where something else was to be first. Nothing was sent of it yet.
    pub fn number_after(&mut self, sent: Sent, first: Option<(u16, u32)>) -> Option<(u16, u32)> {
        let next = self.numbering.go_on_after(sent);
        let first = first?;
        let (sequence, timestamp) = match &self.begins {
            Some(begins) => self.first(begins),
            None => (next.sequence, next.timestamp),
        };
        let by = Renumbering {
            ssrc: sent.ssrc,
            sequence: sequence.wrapping_sub(first.0),
            timestamp: timestamp.wrapping_sub(first.1),
        };
        self.track.renumber(&by);
        Some((sequence, timestamp))
    }

    /// Stands at a packet; what the source said before it is passed over.
    pub fn pass_reports(&mut self) -> io::Result<Option<Record>> {
        while self.reader.peek()?.is_some_and(|next| next.is_report) {
            self.reader.pass();
        }
        self.begins = self.reader.peek()?;
        Ok(self.begins)
    }

    /// Puts what is due into the ring, so much at a time. `false`: nothing was.
    pub fn go_on(&mut self, due_us: u64, now: Instant) -> io::Result<bool> {
        let Some(run) = self.reader.take(due_us, AT_A_TIME, &mut self.memory)? else { return Ok(false) };
        let next = self.reader.peek()?.as_ref().map(kept);
        let reports: Vec<_> = run.packets(true).map(|(_, report)| report.to_vec()).collect();
        self.heard.came(run.packets(false).map(|(record, _)| kept(record)), next);
        let packets = self.packets(run, now);
        reports.iter().for_each(|report| self.report(report, now));
        self.track.replay(packets, now);
        Ok(true)
    }

    /// Says what the source says, of the stream as it is numbered here.
    fn report(&self, report: &[u8], now: Instant) {
        let Some(renaming) = self.numbering.renaming() else { return };
        let Ok(Some(reflectable)) = rtcp::reflectable(report) else { return };
        let packet = rtcp::rename(reflectable.packet, &Renamed { counts: Some(self.sent), ..renaming });
        self.track.receive_rtcp(&Reflectable { packet: &packet, ..reflectable }, now);
        self.track.rtcp.tell_now(now);
    }

    fn packets(&mut self, run: Run, now: Instant) -> Vec<Packet> {
        let (numbering, sent, format) = (&mut self.numbering, &mut self.sent, self.format);
        let number = |record: &Record, media: &[u8]| {
            sent.count(payload(format, media).len());
            numbering.next(record)
        };
        let numbered = run.send(number, &mut self.memory);
        let packet = |(RtpHeader { sequence, timestamp, .. }, data)| Packet {
            data,
            sequence,
            timestamp,
            arrived_at: now,
        };
        numbered.map(packet).collect()
    }

    /// What a decoder has to be told before the first packet: it is found in what came before.
    pub fn put_tables(&mut self, first: &Record, now: Instant) -> io::Result<()> {
        let (mut starts, media) = self.starts_before(first)?;
        let found =
            starts.take(first.timestamp, payload(self.format, &media)).filter(|found| found.back == 0);
        let Some(payload) = found.and_then(|found| found.prologue) else { return Ok(()) };
        self.numbering.leave_room();
        let header = self.numbering.header(first);
        let header = RtpHeader { sequence: header.sequence.wrapping_sub(1), marker: false, ..header };
        let data = header.packet(&payload).into();
        let tables = Packet { data, sequence: header.sequence, timestamp: header.timestamp, arrived_at: now };
        self.put(vec![tables], first, now);
        Ok(())
    }

    /// What is known of where its stream can be entered, before a packet; and the media of that, if it is there.
    pub fn starts_before(&self, first: &Record) -> io::Result<(Starts, Vec<u8>)> {
        let about = &self.track.description;
        let mut starts = Starts::of(&about.media, about.encoding.as_deref(), about.tells_parameter_sets);
        let (mut before, mut memory) = (self.reader.another(), Memory::default());
        before.seek(first.arrived_us.saturating_sub(TABLES_WITHIN_US))?;
        while let Some(run) = before.take(first.arrived_us, AT_A_TIME, &mut memory)? {
            for (record, media) in run.packets(false) {
                if record == first {
                    return Ok((starts, media.to_vec()));
                }
                starts.take(record.timestamp, payload(self.format, media));
            }
        }
        Ok((starts, Vec::new()))
    }

    /// The picture that the reader stands at, if a decoder can start with it and all of it is there.
    pub fn picture(&mut self, starts: &mut Starts) -> io::Result<Option<Picture>> {
        let Some(first) = self.reader.peek()?.filter(|first| first.is_start) else { return Ok(None) };
        let (mut still, mut count) = (Still::default(), 0);
        let mut picture = Picture { first, bytes: 0, prologue: None, packets: Vec::new() };
        while let Some(run) = self.reader.take(u64::MAX, AT_A_TIME, &mut self.memory)? {
            for (record, media) in run.packets(false) {
                let is_cut = picture.bytes > MOST_BYTES;
                if self.format == Format::RtpDump && (record.timestamp != first.timestamp || is_cut) {
                    return Ok(Some(picture));
                }
                let found = starts.take(record.timestamp, payload(self.format, media));
                let found = found.filter(|found| found.back == count).and_then(|found| found.prologue);
                picture.prologue = found.or(picture.prologue);
                (picture.bytes, count) = (picture.bytes + media.len() as u64, count + 1);
                if self.format == Format::RtpDump {
                    picture.packets.push(Bytes::copy_from_slice(media));
                } else if still.take(media) || is_cut {
                    picture.packets = still.payloads().map(Bytes::copy_from_slice).collect();
                    picture.bytes = picture.packets.iter().map(|packet| packet.len() as u64).sum();
                    return Ok(Some(picture).filter(|picture| !picture.packets.is_empty()));
                }
            }
        }
        Ok(None)
    }

    /// The packets of a picture that is shown alone, so much later than what went before.
    pub fn show(&mut self, picture: &Picture, later_us: u64, now: Instant) -> Vec<Packet> {
        let Picture { first, prologue, packets, .. } = picture;
        let packet = |(header, data): (RtpHeader, Bytes)| Packet {
            data,
            sequence: header.sequence,
            timestamp: header.timestamp,
            arrived_at: now,
        };
        let mut later_us = later_us;
        let mut all = Vec::with_capacity(packets.len() + 1);
        if let Some(payload) = prologue {
            let header = RtpHeader { marker: false, ..self.numbering.show(first, mem::take(&mut later_us)) };
            all.push(packet((header, header.packet(payload).into())));
        }
        for media in packets {
            let header = self.numbering.show(first, mem::take(&mut later_us));
            let data = match self.format {
                Format::TransportStream => Some(header.packet(media).into()),
                Format::RtpDump => renumbered(&header, media),
            };
            all.extend(data.map(|data| packet((header, data))));
        }
        all
    }

    /// The packet that is newest in the ring, as it came, and by what numbers the viewer has it.
    pub fn last(&self) -> Option<(Landmark, Option<Alias>)> {
        self.numbering.last()
    }

    /// Others play, and it goes on later as if it had stood before this packet. Sequence number and timestamp of that.
    pub fn wait_before(&mut self, next: &Record) -> (u16, u32) {
        let first = self.first(next);
        self.numbering.wait_before(next);
        first
    }

    /// Another track shows what came then: whoever is paused goes on from there.
    pub fn rest_at(&self, came_us: u64) {
        self.heard.is_next((came_us, None));
    }

    /// Puts packets into the ring that stand for one that was kept.
    pub fn put(&mut self, packets: Vec<Packet>, stands_for: &Record, now: Instant) {
        self.heard.came(packets.iter().map(|_| kept(stands_for)), Some(kept(stands_for)));
        self.track.replay(packets, now);
    }

    /// What follows is so much later than what went before.
    pub fn jump(&mut self, later: Duration) {
        self.numbering.jump(later.as_micros() as u64);
    }

    /// Whether it is of pictures.
    pub fn has_pictures(&self) -> bool {
        self.track.description.media == "video"
    }
}

fn payload(format: Format, media: &[u8]) -> &[u8] {
    match format {
        Format::TransportStream => media,
        Format::RtpDump => rtp::check(media).map_or(media, |header| header.payload(media)),
    }
}

/// A packet with the numbers of a header.
fn renumbered(header: &RtpHeader, packet: &[u8]) -> Option<Bytes> {
    let mut bytes = BytesMut::from(&header.rewritten(packet)?[..]);
    bytes.extend_from_slice(&packet[FIXED_HEADER_LEN..]);
    Some(bytes.freeze())
}

fn kept(record: &Record) -> Kept {
    let Record { ssrc, sequence, timestamp, .. } = *record;
    (record.arrived_us, Some(Named { ssrc, sequence, timestamp }))
}
