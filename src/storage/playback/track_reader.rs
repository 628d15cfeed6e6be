//! A TrackReader: a place in what is kept of one track, from which it is read on, from one segment to the next.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use crate::wire::recording::{Format, Record, Stamp, WrongRecord};

use super::super::index_file::IndexFile;
use super::super::segment::Segment;
use super::super::shelf::Shelf;
use super::reads::{Reads, Take};

/// By so much two ways to reckon when a packet came may differ.
const STAMPS_DIFFER_US: u64 = 50_000;
/// A packet is looked for so much later: more of them may have been under way than was known.
const LATER_US: u64 = 1_000_000;
/// Records that are read at a time.
const AT_A_TIME: usize = 128;
/// Segments in a row without a place to start, and packets from one place to the next, among which it is looked for.
const MOST_SEGMENTS: usize = 16;
const MOST_BETWEEN: usize = 1 << 17;

pub(in super::super) struct TrackReader {
    shelf: Arc<Shelf>,
    track: u16,
    open: Option<Open>,
}

/// The segment that is being read.
struct Open {
    stamp: Stamp,
    media: File,
    index: IndexFile,
    /// The number of the record to be read next.
    next: u64,
    records: VecDeque<Record>,
}

impl TrackReader {
    pub fn new(shelf: Arc<Shelf>, track: u16) -> Self {
        Self { shelf, track, open: None }
    }

    /// What is kept of the track, which says how it is to be read.
    pub fn format(&self) -> Option<Format> {
        let newest = self.shelf.newest()?;
        newest.tracks.iter().find(|(number, _)| *number == self.track).map(|(_, format)| *format)
    }
}

impl Reads for TrackReader {
    fn seek_start(&mut self, to_us: u64) -> io::Result<bool> {
        let Some(segment) = self.shelf.at(to_us) else { return Ok(false) };
        let mut open = Open::begin(&self.shelf, &segment, self.track)?;
        let number = open.first_after(to_us, open.index.count()?)?;
        let number = open.start_before(number)?.unwrap_or(0);
        open.next = number;
        self.open = Some(open);
        Ok(true)
    }

    fn seek_start_before(&mut self, to_us: u64) -> io::Result<bool> {
        let mut to_us = to_us;
        for _ in 0..MOST_SEGMENTS {
            let Some(segment) = self.shelf.begun_by(to_us) else { return Ok(false) };
            let mut open = Open::begin(&self.shelf, &segment, self.track)?;
            let end = open.first_after(to_us, open.index.count()?)?;
            if let Some(number) = open.start_before(end)? {
                open.next = number;
                self.open = Some(open);
                return Ok(true);
            }
            to_us = segment.stamp.micros().saturating_sub(1);
        }
        Ok(false)
    }

    fn seek_start_after(&mut self, from_us: u64) -> io::Result<bool> {
        if !self.seek(from_us)? {
            return Ok(false);
        }
        for _ in 0..MOST_BETWEEN {
            match self.peek()? {
                Some(next) if next.is_start && next.arrived_us >= from_us => return Ok(true),
                Some(_) => self.pass(),
                None => return Ok(false),
            }
        }
        Ok(false)
    }

    fn bytes_per_second(&self) -> io::Result<u64> {
        let Some(open) = &self.open else { return Ok(0) };
        let Some(last) = open.index.count()?.checked_sub(1) else { return Ok(0) };
        let (first, last) = (open.record(0)?, open.record(last)?);
        let bytes = last.end().saturating_sub(first.offset.into());
        let us = last.arrived_us.saturating_sub(first.arrived_us);
        Ok(bytes.saturating_mul(1_000_000).checked_div(us).unwrap_or(0))
    }

    fn seek_packet(&mut self, us: u64, (ssrc, sequence): (u32, u16)) -> io::Result<bool> {
        if !self.seek(us.saturating_sub(STAMPS_DIFFER_US))? {
            return Ok(false);
        }
        while let Some(next) = self.peek()?.filter(|next| next.arrived_us <= us + LATER_US) {
            if !next.is_report && (next.ssrc, next.sequence) == (ssrc, sequence) {
                return Ok(true);
            }
            self.pass();
        }
        self.seek(us)
    }

    fn seek(&mut self, to_us: u64) -> io::Result<bool> {
        let Some(segment) = self.shelf.at(to_us) else { return Ok(false) };
        let mut open = Open::begin(&self.shelf, &segment, self.track)?;
        open.next = open.first_after(to_us.saturating_sub(1), open.index.count()?)?;
        self.open = Some(open);
        Ok(true)
    }

    fn peek(&mut self) -> io::Result<Option<Record>> {
        loop {
            let Some(open) = &mut self.open else { return Ok(None) };
            // What can not be read is as good as not there: the next segment may be.
            if open.fill().unwrap_or(false) {
                return Ok(open.records.front().copied());
            }
            let Some(segment) = self.shelf.after(open.stamp) else { return Ok(None) };
            self.open = Some(Open::begin(&self.shelf, &segment, self.track)?);
        }
    }

    fn pass(&mut self) {
        self.open.iter_mut().for_each(|open| {
            open.records.pop_front();
        });
    }

    fn take(&mut self, until_us: u64, most: usize) -> io::Result<Option<Take>> {
        if self.peek()?.is_none_or(|next| next.arrived_us > until_us) {
            return Ok(None);
        }
        let Some(open) = &mut self.open else { return Ok(None) };
        let due = open.records.iter().take(most).take_while(|record| record.arrived_us <= until_us).count();
        let records: Vec<_> = open.records.drain(..due).collect();
        let (Some(first), Some(last)) = (records.first(), records.last()) else { return Ok(None) };
        let mut media = vec![0; (last.end() - u64::from(first.offset)) as usize];
        open.media.read_exact_at(&mut media, u64::from(first.offset))?;
        Ok(Some(Take { media: media.into(), records }))
    }

    fn is_whole(&self) -> bool {
        false
    }

    fn another(&self) -> Box<dyn Reads> {
        Box::new(Self::new(self.shelf.clone(), self.track))
    }
}

impl Open {
    fn begin(shelf: &Shelf, segment: &Segment, track: u16) -> io::Result<Self> {
        let format = segment.tracks.iter().find(|(number, _)| *number == track).map(|(_, format)| *format);
        let format = format.ok_or(io::ErrorKind::NotFound)?;
        let media = File::open(segment.media(shelf.directory(), track, format))?;
        let index = IndexFile::open(&segment.index(shelf.directory(), track))?;
        Ok(Self { stamp: segment.stamp, media, index, next: 0, records: VecDeque::new() })
    }

    fn record(&self, number: u64) -> io::Result<Record> {
        self.index
            .record(number)?
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, WrongRecord::Damaged))
    }

    /// The number of the first record of what came after that.
    fn first_after(&self, us: u64, count: u64) -> io::Result<u64> {
        let (mut from, mut to) = (0, count);
        while from < to {
            let middle = from + (to - from) / 2;
            if self.record(middle)?.arrived_us <= us { from = middle + 1 } else { to = middle }
        }
        Ok(from)
    }

    /// The number of the newest record before one of a number where a decoder can start.
    fn start_before(&self, number: u64) -> io::Result<Option<u64>> {
        let mut end = number;
        while end > 0 {
            let from = end.saturating_sub(AT_A_TIME as u64);
            let records = self.index.records(from, (end - from) as usize)?;
            if let Some(place) = records.iter().rposition(|record| record.is_start) {
                return Ok(Some(from + place as u64));
            }
            end = from;
        }
        Ok(None)
    }

    /// Reads on if nothing is left. `false`: there is no more.
    fn fill(&mut self) -> io::Result<bool> {
        if !self.records.is_empty() {
            return Ok(true);
        }
        let left = self.index.count()?.saturating_sub(self.next).min(AT_A_TIME as u64);
        self.records.extend(self.index.records(self.next, left as usize)?);
        self.next += self.records.len() as u64;
        Ok(!self.records.is_empty())
    }
}
