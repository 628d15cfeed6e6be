//! A segment as it is written: media first, then what the index says of it, so that the index never names what is not there.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::wire::recording::{
    Format, Header, Kind, RECORD_LEN, Record, SegmentFile, Stamp, dump_head, packet_head,
};
use crate::wire::rtp::RtpHeader;
use crate::wire::transport_stream;

use super::files;
use super::scribe::Line;
use super::segment::{Segment, description_file, media_file};

/// What was written so far behind is in memory no longer.
const IN_MEMORY: u64 = 4 << 20;
/// Offsets are of 32 bits; long before that a segment ends.
pub(super) const MOST_BYTES: u64 = 1 << 30;

/// The segment that a channel's packets go to.
pub(super) struct SegmentWriter {
    directory: PathBuf,
    pub stamp: Stamp,
    pub started_at: Instant,
    /// The same, in microseconds since 1970.
    started_us: u64,
    ended_at: Instant,
    tracks: Vec<TrackWriter>,
    description_bytes: u64,
    written_at: Instant,
}

struct TrackWriter {
    number: u16,
    format: Format,
    media: File,
    index: File,
    media_len: u64,
    records: u64,
    /// What was before is in memory no longer.
    dropped: u64,
    /// What is to be written.
    pending: Vec<u8>,
    pending_index: Vec<u8>,
}

impl SegmentWriter {
    /// Begins one that has these tracks, each with its clock. `started` says when its first packet came.
    pub fn create(
        directory: &Path,
        tracks: &[(Format, u32)],
        description: Option<&str>,
        (started_at, started_us): (Instant, u64),
    ) -> io::Result<Self> {
        let (stamp, first) = claim(directory, tracks, Stamp(started_us / 1000))?;
        let mut first = Some(first);
        let tracks = tracks.iter().zip(1..).map(|((format, clock_rate), number)| {
            let media = match first.take() {
                Some(file) => file,
                None => create(&files::of(directory, media_file(stamp, number, *format)))?,
            };
            TrackWriter::begin(
                directory,
                (stamp, number),
                media,
                Header { format: *format, clock_rate: *clock_rate },
            )
        });
        let tracks = tracks.collect::<io::Result<_>>()?;
        let description_bytes = description.map_or(0, |text| text.len() as u64);
        if let Some(text) = description {
            fs::write(files::of(directory, description_file(stamp)), text)?;
        }
        let directory = directory.to_owned();
        Ok(Self {
            directory,
            stamp,
            started_at,
            started_us,
            ended_at: started_at,
            tracks,
            description_bytes,
            written_at: started_at,
        })
    }

    /// Writes what came of a track; returns the bytes of media. After an error the segment has ended before it.
    pub fn write(&mut self, track: usize, lines: &[Line], now: Instant) -> io::Result<u64> {
        let (stamp, began) = (self.stamp, (self.started_at, self.started_us));
        let Some(writer) = self.tracks.get_mut(track) else { return Ok(0) };
        for line in lines {
            writer.add(line, stamp, micros_at(line.arrived_at, began));
            self.ended_at = self.ended_at.max(line.arrived_at);
        }
        self.written_at = now;
        writer.flush()
    }

    /// A decoder can start so many packets of RTP before the next one of a track.
    pub fn mark_start(&self, track: usize, back: u64) -> io::Result<()> {
        self.tracks.get(track).map_or(Ok(()), |writer| writer.mark_start(back))
    }

    /// How long it is.
    pub fn length(&self) -> Duration {
        self.ended_at - self.started_at
    }

    /// The bytes of the longest media.
    pub fn longest(&self) -> u64 {
        self.tracks.iter().map(|track| track.media_len).max().unwrap_or_default()
    }

    /// As it is now.
    pub fn segment(&self) -> Segment {
        Segment {
            stamp: self.stamp,
            ended_us: micros_at(self.ended_at, (self.started_at, self.started_us)),
            tracks: self.tracks.iter().map(|track| (track.number, track.format)).collect(),
            bytes: self.description_bytes + self.tracks.iter().map(TrackWriter::bytes).sum::<u64>(),
            aged: (Duration::ZERO, self.written_at),
        }
    }

    /// It ends. One that has nothing in it goes.
    pub fn finish(self) -> Option<Segment> {
        let segment = self.segment();
        let is_empty = self.tracks.iter().all(|track| track.records == 0);
        if is_empty {
            let _ = segment.remove(&self.directory); // else it is found at the next start
            return None;
        }
        self.tracks.iter().for_each(|track| files::drop_behind(&track.media, 0, track.media_len));
        Some(segment)
    }
}

impl TrackWriter {
    fn begin(
        directory: &Path,
        (stamp, number): (Stamp, u16),
        mut media: File,
        header: Header,
    ) -> io::Result<Self> {
        let mut index =
            create(&files::of(directory, SegmentFile { stamp, track: number, kind: Kind::Index }))?;
        index.write_all(&header.bytes())?;
        let head = match header.format {
            Format::TransportStream => Vec::new(),
            Format::RtpDump => dump_head(stamp.micros()).to_vec(),
        };
        media.write_all(&head)?;
        let (media_len, format) = (head.len() as u64, header.format);
        let (pending, pending_index) = (Vec::new(), Vec::new());
        Ok(Self { number, format, media, index, media_len, records: 0, dropped: 0, pending, pending_index })
    }

    fn bytes(&self) -> u64 {
        self.media_len + (self.records + 1) * RECORD_LEN as u64
    }

    fn add(&mut self, line: &Line, stamp: Stamp, arrived_us: u64) {
        let offset = self.media_len + self.pending.len() as u64;
        let (media, offset) = match (self.format, line.header) {
            (Format::TransportStream, Some(header)) => {
                let payload = header.payload(&line.data);
                // What is none is passed over by who plays the file, and would only be in the way.
                if transport_stream::check(payload).is_err() {
                    return;
                }
                (payload, offset)
            }
            (Format::TransportStream, None) => return,
            (Format::RtpDump, header) => {
                let since_us = arrived_us.saturating_sub(stamp.micros());
                let Some(head) = packet_head(&line.data, header.is_none(), since_us) else { return };
                self.pending.extend(head);
                (&*line.data, offset + head.len() as u64)
            }
        };
        let (Ok(offset), Ok(length)) = (u32::try_from(offset), u16::try_from(media.len())) else { return };
        let pcr = match self.format {
            Format::TransportStream => transport_stream::clock(media),
            Format::RtpDump => None,
        };
        self.pending.extend(media);
        self.pending_index.extend(record(line, arrived_us, pcr, (offset, length)).bytes());
    }

    fn flush(&mut self) -> io::Result<u64> {
        let (media, index) = (self.pending.len() as u64, self.pending_index.len() as u64);
        let written =
            self.media.write_all(&self.pending).and_then(|()| self.index.write_all(&self.pending_index));
        self.pending.clear();
        self.pending_index.clear();
        if let Err(error) = written {
            // What is there in part is of no use. If that fails too it is found at the next start.
            let _ = self.index.set_len((self.records + 1) * RECORD_LEN as u64);
            let _ = self.media.set_len(self.media_len);
            return Err(error);
        }
        self.media_len += media;
        self.records += index / RECORD_LEN as u64;
        self.drop_behind();
        Ok(media)
    }

    /// All that is new goes to the disk, and what is old out of memory.
    fn drop_behind(&mut self) {
        if self.media_len - self.dropped >= 2 * IN_MEMORY {
            files::drop_behind(&self.media, self.dropped, self.media_len);
            self.dropped = self.media_len - IN_MEMORY;
        }
    }

    fn mark_start(&self, back: u64) -> io::Result<()> {
        let (mut back, mut number) = (back, self.records);
        while number > 0 && back > 0 {
            number -= 1;
            let mut bytes = [0; RECORD_LEN];
            let at = (number + 1) * RECORD_LEN as u64;
            self.index.read_exact_at(&mut bytes, at)?;
            let Ok(record) = Record::read(&bytes) else { return Ok(()) };
            back -= u64::from(!record.is_report);
            if back == 0 {
                self.index.write_all_at(&Record { is_start: true, ..record }.bytes(), at)?;
            }
        }
        Ok(())
    }
}

fn record(line: &Line, arrived_us: u64, pcr: Option<u64>, (offset, length): (u32, u16)) -> Record {
    let none =
        RtpHeader { sequence: 0, timestamp: 0, ssrc: 0, payload_type: 0, marker: false, header_len: 0 };
    let RtpHeader { sequence, timestamp, ssrc, payload_type, marker, .. } = line.header.unwrap_or(none);
    let (is_start, has_gap, is_report) = (line.is_start, line.has_gap, line.header.is_none());
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
}

/// A moment in microseconds since 1970, where it is known of another one.
fn micros_at(at: Instant, (known_at, known_us): (Instant, u64)) -> u64 {
    let after = at.saturating_duration_since(known_at).as_micros() as u64;
    let before = known_at.saturating_duration_since(at).as_micros() as u64;
    (known_us + after).saturating_sub(before)
}

/// A name that no segment has: the time, or a little later. Where a clock was set back there may be one.
fn claim(directory: &Path, tracks: &[(Format, u32)], stamp: Stamp) -> io::Result<(Stamp, File)> {
    let format = tracks.first().map_or(Format::RtpDump, |(format, _)| *format);
    let mut taken = io::Error::from(io::ErrorKind::AlreadyExists);
    for stamp in (stamp.0..stamp.0 + 100).map(Stamp) {
        match create(&files::of(directory, media_file(stamp, 1, format))) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => taken = error,
            created => return created.map(|file| (stamp, file)),
        }
    }
    Err(taken)
}

fn create(path: &Path) -> io::Result<File> {
    File::options().read(true).write(true).create_new(true).open(path)
}
