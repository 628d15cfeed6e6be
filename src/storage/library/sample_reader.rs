//! A SampleReader: a place in one track of a film, from which its units are read, packed and given RTP headers.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use crate::wire::payload::Payload;
use crate::wire::recording::{Format, Record};
use crate::wire::rtp::{FIXED_HEADER_LEN, RtpHeader};

use super::super::playback::{Memory, Reads, Run};
use super::track_film::{Medium, TrackFilm, Unit};

/// How often it is said what time it is (RFC 3550 section 6.2).
const REPORT_EVERY_US: u64 = 5_000_000;

pub(in super::super) struct SampleReader {
    film: Arc<TrackFilm>,
    medium: usize,
    /// The number of the unit that is read next.
    next: u64,
    sequence: u16,
    /// What was read.
    ahead: VecDeque<(Record, Vec<u8>)>,
    /// When it is said next what time it is, in microseconds.
    report_at: u64,
    /// Parameter sets go before each unit that a decoder can start with, as the description does not have them.
    tells_sets: bool,
}

impl SampleReader {
    /// At the beginning of a track.
    pub fn new(film: Arc<TrackFilm>, medium: usize, tells_sets: bool) -> Self {
        let sequence = film.media.get(medium).map_or(0, |medium| medium.first.sequence);
        Self { film, medium, next: 0, sequence, ahead: VecDeque::new(), report_at: 0, tells_sets }
    }

    fn go_to(&mut self, number: Option<u64>) -> io::Result<bool> {
        let Some(number) = number else { return Ok(false) };
        self.next = number;
        self.ahead.clear();
        self.report_at = 0;
        Ok(self.peek()?.is_some())
    }

    fn number_from(&mut self, sequence: u16) {
        self.sequence = sequence;
        for (record, packet) in self.ahead.iter_mut().filter(|(record, _)| !record.is_report) {
            record.sequence = self.sequence;
            packet.splice(2..4, self.sequence.to_be_bytes());
            self.sequence = self.sequence.wrapping_add(1);
        }
    }

    fn medium(&self) -> io::Result<&Medium> {
        self.film.media.get(self.medium).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Reads a unit more. `false`: there are none.
    fn fill(&mut self) -> io::Result<bool> {
        let medium = self.medium()?;
        let Some(unit) = self.film.unit(medium, self.next) else { return Ok(false) };
        let mut payloads = if unit.is_sync && !self.tells_sets { medium.prologue() } else { Vec::new() };
        payloads.extend(self.film.payloads(medium, &unit)?);
        let (ssrc, payload_type) = (medium.first.ssrc, medium.described.payload_type);
        self.next = unit.next;
        for (place, payload) in payloads.into_iter().enumerate() {
            let is_start = unit.is_sync && place == 0;
            self.note(&unit, payload, (ssrc, payload_type, is_start));
        }
        // Behind the unit: what it is said of has begun.
        if unit.sent_us >= self.report_at && !self.ahead.is_empty() {
            self.report(&unit)?;
        }
        Ok(true)
    }

    fn report(&mut self, unit: &Unit) -> io::Result<()> {
        self.report_at = unit.sent_us + REPORT_EVERY_US;
        let packet = self.film.report(self.medium()?, unit.sent_us);
        if let Some((of, _)) = self.ahead.back() {
            let length = packet.len() as u16; // a report and a name of so many bytes
            let record = Record { length, is_report: true, is_start: false, ..*of };
            self.ahead.push_back((record, packet));
        }
        Ok(())
    }

    fn note(&mut self, unit: &Unit, payload: Payload, (ssrc, payload_type, is_start): (u32, u8, bool)) {
        let Payload { bytes, marker, ticks } = payload;
        let timestamp = unit.timestamp.wrapping_add(ticks);
        let (sequence, header_len) = (self.sequence, FIXED_HEADER_LEN);
        let header = RtpHeader { sequence, timestamp, ssrc, payload_type, marker, header_len };
        let packet = header.packet(&bytes);
        let record = Record {
            arrived_us: unit.sent_us,
            pcr: None,
            offset: 0,
            length: u16::try_from(packet.len()).unwrap_or(u16::MAX),
            sequence: self.sequence,
            timestamp,
            ssrc,
            payload_type,
            marker,
            is_start,
            has_gap: false,
            is_report: false,
        };
        // Nothing that is packed is larger than a packet may be.
        if usize::from(record.length) == packet.len() {
            self.sequence = self.sequence.wrapping_add(1);
            self.ahead.push_back((record, packet));
        }
    }
}

impl Reads for SampleReader {
    fn seek(&mut self, to_us: u64) -> io::Result<bool> {
        let number = self.film.unit_by(self.medium()?, to_us.saturating_sub(1));
        self.go_to(Some(number))?;
        self.pass_to(to_us)
    }

    fn seek_start(&mut self, to_us: u64) -> io::Result<bool> {
        if self.seek_start_before(to_us)? || self.seek_start_after(0)? { Ok(true) } else { self.seek(to_us) }
    }

    fn seek_start_before(&mut self, to_us: u64) -> io::Result<bool> {
        let number = self.film.sync_by(self.medium()?, to_us);
        self.go_to(number)
    }

    fn seek_start_after(&mut self, from_us: u64) -> io::Result<bool> {
        let number = self.film.sync_after(self.medium()?, from_us);
        self.go_to(number)
    }

    /// What was begun of a unit comes again from its beginning, and is numbered on.
    fn seek_packet(&mut self, us: u64, (_, sequence): (u32, u16)) -> io::Result<bool> {
        let is_there = self.seek(us)?;
        self.number_from(sequence);
        Ok(is_there)
    }

    fn peek(&mut self) -> io::Result<Option<Record>> {
        while self.ahead.is_empty() && self.fill()? {}
        Ok(self.ahead.front().map(|(record, _)| *record))
    }

    fn pass(&mut self) {
        self.ahead.pop_front();
    }

    fn take(&mut self, until_us: u64, most: usize, memory: &mut Memory) -> io::Result<Option<Run>> {
        let next = || {
            let is_due = self.peek()?.is_some_and(|next| next.arrived_us <= until_us);
            Ok(if is_due { self.ahead.pop_front() } else { None })
        };
        Run::gather(next, most, Format::RtpDump, memory)
    }

    fn bytes_per_second(&self) -> io::Result<u64> {
        Ok(self.film.identity.bytes_per_second(self.film.duration_us))
    }

    fn is_whole(&self) -> bool {
        true
    }

    fn another(&self) -> Box<dyn Reads> {
        Box::new(Self::new(self.film.clone(), self.medium, self.tells_sets))
    }
}
