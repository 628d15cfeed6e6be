//! A FilmReader: a place in a film, from which it is read on. Its packets come when its own clock says, counted from its beginning.

use std::collections::VecDeque;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use crate::wire::recording::{Format, Record};
use crate::wire::stored::{RUN_LEN, TOGETHER, next_run};
use crate::wire::transport_stream::PACKET_LEN;

use super::super::playback::{Memory, Reads, Run};
use super::first::First;
use super::ts_film::TsFilm;

/// Bytes that are read at a time.
const AT_A_TIME: usize = 64 << 10;
/// MPEG transport streams (RFC 3551 section 6).
const MP2T: u8 = 33;

pub(in super::super) struct FilmReader {
    film: Arc<TsFilm>,
    /// Where it is read next.
    at: u64,
    packet_len: usize,
    /// What was read.
    ahead: VecDeque<(Record, Vec<u8>)>,
}

impl FilmReader {
    /// At the beginning.
    pub fn new(film: Arc<TsFilm>) -> Self {
        let packet_len = film.index.packet_len();
        Self { film, at: 0, packet_len, ahead: VecDeque::new() }
    }

    fn go_to(&mut self, offset: Option<u64>) -> io::Result<bool> {
        let Some(offset) = offset else { return Ok(false) };
        self.at = offset;
        self.ahead.clear();
        Ok(self.peek()?.is_some())
    }

    fn fill(&mut self) -> io::Result<()> {
        let left = self.film.identity.bytes.saturating_sub(self.at);
        let mut bytes = vec![0; left.min(AT_A_TIME as u64) as usize];
        self.film.file.read_exact_at(&mut bytes, self.at)?;
        let is_all = bytes.len() as u64 == left;
        let mut rest = &bytes[..];
        while is_all && !rest.is_empty() || rest.len() >= RUN_LEN {
            let run = next_run(rest, self.packet_len);
            self.packet_len = run.packet_len_after(self.packet_len);
            if run.begin < run.end {
                let payload = run.packets(rest).collect::<Vec<_>>().concat();
                let record = self.record(self.at + run.begin as u64, payload.len());
                self.ahead.push_back((record, payload));
            }
            self.at += run.end as u64;
            rest = &rest[run.end..];
        }
        Ok(())
    }

    /// Of the run at an offset: the same, from wherever it was read.
    fn record(&self, offset: u64, length: usize) -> Record {
        let at_us = self.film.index.time_of(offset);
        let place = offset / self.film.index.packet_len() as u64;
        let First { ssrc, sequence, timestamp } = self.film.first;
        Record {
            arrived_us: at_us,
            pcr: None,
            offset: (place * PACKET_LEN as u64) as u32,
            length: length as u16,
            sequence: sequence.wrapping_add((place / TOGETHER as u64) as u16),
            timestamp: timestamp.wrapping_add((at_us * 9 / 100) as u32),
            ssrc,
            payload_type: MP2T,
            marker: false,
            is_start: self.film.index.is_start(offset),
            has_gap: false,
            is_report: false,
        }
    }
}

impl Reads for FilmReader {
    fn seek(&mut self, to_us: u64) -> io::Result<bool> {
        self.go_to(Some(self.film.index.offset_at(to_us.saturating_sub(1))))?;
        self.pass_to(to_us)
    }

    fn seek_start(&mut self, to_us: u64) -> io::Result<bool> {
        match self.film.index.start_by(to_us).or(self.film.index.start_after(0)) {
            Some(offset) => self.go_to(Some(offset)),
            None => self.seek(to_us),
        }
    }

    fn seek_start_before(&mut self, to_us: u64) -> io::Result<bool> {
        self.go_to(self.film.index.start_by(to_us))
    }

    fn seek_start_after(&mut self, from_us: u64) -> io::Result<bool> {
        self.go_to(self.film.index.start_after(from_us))
    }

    fn seek_packet(&mut self, us: u64, packet: (u32, u16)) -> io::Result<bool> {
        self.seek(us)?;
        while let Some(next) = self.peek()?.filter(|next| next.arrived_us == us) {
            if (next.ssrc, next.sequence) == packet {
                return Ok(true);
            }
            self.pass();
        }
        self.seek(us)
    }

    fn peek(&mut self) -> io::Result<Option<Record>> {
        while self.ahead.is_empty() && self.at < self.film.identity.bytes {
            self.fill()?;
        }
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
        Run::gather(next, most, Format::TransportStream, memory)
    }

    fn bytes_per_second(&self) -> io::Result<u64> {
        Ok(self.film.identity.bytes_per_second(self.film.index.duration_us()))
    }

    fn is_whole(&self) -> bool {
        true
    }

    fn another(&self) -> Box<dyn Reads> {
        Box::new(Self::new(self.film.clone()))
    }
}
