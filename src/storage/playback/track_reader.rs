//! A TrackReader: a place in what is kept of one track, from which it is read on, from one segment to the next.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use nix::sys::uio::preadv;

use crate::wire::recording::{Format, Record, Stamp, WrongRecord};

use super::super::index_file::IndexFile;
use super::super::segment::Segment;
use super::super::shelf::Shelf;
use super::reads::Reads;
use super::run::{Memory, Run, room};

/// By so much two ways to reckon when a packet came may differ.
const STAMPS_DIFFER_US: u64 = 50_000;
/// A packet is looked for so much later: more of them may have been under way than was known.
const LATER_US: u64 = 1_000_000;
/// Records that are read at a time.
const AT_A_TIME: usize = 128;
/// Bytes between two packets of an rtpdump that are read together: what each is kept with.
const MOST_APART: u64 = 64;
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
    format: Format,
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

    fn take(&mut self, until_us: u64, most: usize, memory: &mut Memory) -> io::Result<Option<Run>> {
        if self.peek()?.is_none_or(|next| next.arrived_us > until_us) {
            return Ok(None);
        }
        self.open.as_mut().map(|open| open.take(until_us, most, memory)).transpose()
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
        Ok(Self { stamp: segment.stamp, format, media, index, next: 0, records: VecDeque::new() })
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
        if self.records.is_empty() {
            self.read_on()?;
        }
        Ok(!self.records.is_empty())
    }

    fn read_on(&mut self) -> io::Result<()> {
        let left = self.index.count()?.saturating_sub(self.next).min(AT_A_TIME as u64);
        let records = self.index.records(self.next, left as usize)?;
        self.next += records.len() as u64;
        self.records.extend(records);
        Ok(())
    }

    /// Takes what is due of that which was read of the index, as far as it lies in one piece.
    fn take(&mut self, until_us: u64, most: usize, memory: &mut Memory) -> io::Result<Run> {
        if self.records.len() < most {
            let _ = self.read_on(); // what can not be read is told of when nothing else is left
        }
        let (packets, length) = self.piece(until_us, most);
        self.records.drain(..packets.len());
        let mut bytes = memory.take(length);
        let into = &mut bytes[..length];
        let from = packets.first().map_or(0, |(first, _)| u64::from(first.offset));
        match self.format {
            Format::TransportStream => self.read_apart(&packets, into, from)?,
            Format::RtpDump => self.media.read_exact_at(into, from)?,
        }
        Ok(Run::of(packets, bytes, self.format))
    }

    /// What is due of that and lies in one piece: each packet, and where its media is to be among so many bytes.
    fn piece(&self, until_us: u64, most: usize) -> (Vec<(Record, usize)>, usize) {
        let room = room(self.format);
        let most_apart = if self.format == Format::RtpDump { MOST_APART } else { 0 };
        let mut packets = Vec::with_capacity(most.min(self.records.len()));
        let (mut length, mut end) = (0, None);
        for record in self.records.iter().take(most).take_while(|record| record.arrived_us <= until_us) {
            let offset = u64::from(record.offset);
            let apart = offset.checked_sub(end.unwrap_or(offset)).filter(|apart| *apart <= most_apart);
            let Some(apart) = apart else { break };
            let at = length + apart as usize + room;
            (length, end) = (at + usize::from(record.length), Some(record.end()));
            packets.push((*record, at));
        }
        (packets, length)
    }

    /// Reads what lies in one piece to where each packet begins.
    fn read_apart(&self, packets: &[(Record, usize)], bytes: &mut [u8], from: u64) -> io::Result<()> {
        let mut places = Vec::with_capacity(packets.len());
        let (mut rest, mut read_to, mut wanted) = (bytes, 0, 0);
        for (record, at) in packets {
            let length = usize::from(record.length);
            let (place, behind) = rest.split_at_mut(at - read_to + length);
            places.push(IoSliceMut::new(&mut place[at - read_to..]));
            (rest, read_to, wanted) = (behind, at + length, wanted + length);
        }
        let read = preadv(&self.media, &mut places, from as i64)?;
        if read < wanted { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::recording::Header;
    use std::fs;

    /// One of a media file of 4096 bytes, each of which says where it is, and of packets of 100 bytes at these offsets.
    fn open(format: Format, offsets: &[u32]) -> Open {
        let directory = tempfile::tempdir().unwrap();
        let [media, index] = ["media", "index"].map(|name| directory.path().join(name));
        fs::write(&media, (0..4096).map(|at| (at / 100) as u8).collect::<Vec<_>>()).unwrap();
        let header = Header { format, clock_rate: 90_000 }.bytes();
        let records = offsets.iter().zip(1..).flat_map(|(offset, sequence)| {
            let (timestamp, ssrc, payload_type) = (0, 1, 33);
            let [marker, is_start, has_gap, is_report] = [false; 4];
            let (arrived_us, pcr, offset, length) = (u64::from(sequence), None, *offset, 100);
            Record {
                arrived_us,
                pcr,
                offset,
                length,
                sequence,
                timestamp,
                ssrc,
                payload_type,
                marker,
                is_start,
                has_gap,
                is_report,
            }
            .bytes()
        });
        fs::write(&index, header.into_iter().chain(records).collect::<Vec<_>>()).unwrap();
        let (media, index) = (File::open(media).unwrap(), IndexFile::open(&index).unwrap());
        let stamp = Stamp(0);
        Open { stamp, format, media, index, next: 0, records: VecDeque::new() }
    }

    /// What each packet begins with, run by run.
    fn runs(open: &mut Open, until_us: u64) -> Vec<Vec<u8>> {
        let mut memory = Memory::default();
        let mut runs = Vec::new();
        while open.fill().unwrap() && open.records[0].arrived_us <= until_us {
            let run = open.take(until_us, 3, &mut memory).unwrap();
            runs.push(
                run.packets(false)
                    .map(|(record, media)| {
                        assert_eq!(media.len(), usize::from(record.length));
                        media[0]
                    })
                    .collect(),
            );
        }
        runs
    }

    #[test]
    fn what_lies_in_one_piece_is_read_at_once_and_where_it_lies_makes_no_other_difference() {
        for format in [Format::TransportStream, Format::RtpDump] {
            let mut whole = open(format, &[0, 100, 200, 300, 400]);
            assert_eq!(runs(&mut whole, 4), [vec![0, 1, 2], vec![3]], "{format:?}");
            assert_eq!(runs(&mut whole, 9), [vec![4]], "{format:?}");
            let mut jumping = open(format, &[0, 1000, 500, 500]);
            assert_eq!(runs(&mut jumping, 9), [vec![0], vec![10], vec![5], vec![5]], "{format:?}");
        }
        assert_eq!(runs(&mut open(Format::RtpDump, &[0, 110, 220]), 9), [vec![0, 1, 2]]);
        assert_eq!(runs(&mut open(Format::TransportStream, &[0, 110, 220]), 9), [vec![0], vec![1], vec![2]]);
    }

    #[test]
    fn what_is_not_there_is_an_error() {
        for format in [Format::TransportStream, Format::RtpDump] {
            let mut cut = open(format, &[4000, 4100]);
            cut.fill().unwrap();
            let taken = cut.take(9, 3, &mut Memory::default());
            assert_eq!(
                taken.err().map(|error| error.kind()),
                Some(io::ErrorKind::UnexpectedEof),
                "{format:?}"
            );
        }
    }
}
