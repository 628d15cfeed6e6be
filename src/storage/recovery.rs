//! What a directory has of a channel when the program starts: all that is whole, and what can be made whole.
//!
//! A program that was killed, or a machine that lost its power, leaves a segment whose end is torn: media without an index, an index
//! without media, half a record. What both have stays. An index that is gone or wrong is made again of the media.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::wire::random_access::Starts;
use crate::wire::recording::{
    DUMP_HEAD_LEN, Format, Header, Kind, RECORD_LEN, Rebuilt, Record, SegmentFile, Stamp,
};
use crate::wire::sdp::{self, TrackDescription};

use super::files;
use super::index_file::IndexFile;
use super::moment::Moment;
use super::segment::{Segment, description_file, media_file};

/// Bytes of media that are looked at at a time.
const WINDOW: usize = 1 << 20;

/// Records that are looked at at a time.
const RECORDS_AT_A_TIME: usize = 4096;

/// What was found.
pub(super) struct Found {
    /// What is whole, the oldest first.
    pub segments: Vec<Segment>,
    /// What has to be mended first.
    pub damaged: Vec<Stamp>,
}

/// How a segment is.
enum Look {
    Whole(Segment),
    Damaged,
    /// Nothing is in it, or an index alone.
    Nothing,
}

/// How one track of a segment is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Whole(Whole),
    /// Nothing is in it.
    Empty,
    Damaged,
}

/// A track of which what is there is right, up to there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Whole {
    /// When its last packet came, in microseconds since 1970.
    ended_us: u64,
    media_len: u64,
    index_len: u64,
}

/// How much of an index is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// Its end: nothing else is torn where a program was killed.
    AtItsEnd,
    /// All of it.
    Whole,
}

/// Looks what there is, and cuts off what is torn. A directory that is not there is made.
pub(super) fn find(directory: &Path, now: Moment) -> io::Result<Found> {
    fs::create_dir_all(directory)?;
    let mut found = Found { segments: Vec::new(), damaged: Vec::new() };
    let all = files_of(directory)?;
    let newest = all.keys().next_back().copied();
    for (stamp, files) in all {
        // Where a machine has lost its power the last one may have holes.
        let how = if Some(stamp) == newest { How::Whole } else { How::AtItsEnd };
        match look_at(directory, stamp, &files, how, now)? {
            Look::Whole(segment) => found.segments.push(segment),
            Look::Damaged => found.damaged.push(stamp),
            Look::Nothing => remove(directory, &files)?,
        }
    }
    found.damaged.reverse(); // the newest last, which is mended first
    Ok(found)
}

/// Makes a segment whole. `None`: nothing of it can be read, and it is gone.
pub(super) fn mend(directory: &Path, stamp: Stamp, now: Moment) -> io::Result<Option<Segment>> {
    let all = files_of(directory)?.remove(&stamp).unwrap_or_default();
    let tracks = described(directory, stamp);
    for (number, format) in media(&all) {
        if condition(directory, stamp, (number, format), How::Whole)? == Condition::Damaged {
            let about = usize::from(number).checked_sub(1).and_then(|place| tracks.get(place));
            rebuild(directory, stamp, (number, format), about)?;
        }
    }
    let all = files_of(directory)?.remove(&stamp).unwrap_or_default();
    if let Look::Whole(segment) = look_at(directory, stamp, &all, How::AtItsEnd, now)? {
        return Ok(Some(segment));
    }
    remove(directory, &all)?;
    Ok(None)
}

/// The files of each segment.
pub(super) fn files_of(directory: &Path) -> io::Result<BTreeMap<Stamp, Vec<SegmentFile>>> {
    let mut all = BTreeMap::<_, Vec<_>>::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        if let Some(file) = name.to_str().and_then(SegmentFile::named) {
            all.entry(file.stamp).or_default().push(file);
        }
    }
    Ok(all)
}

/// The tracks of a segment that have media.
pub(super) fn media(files: &[SegmentFile]) -> Vec<(u16, Format)> {
    let format = |file: &SegmentFile| match file.kind {
        Kind::TransportStream => Some((file.track, Format::TransportStream)),
        Kind::RtpDump => Some((file.track, Format::RtpDump)),
        Kind::Index | Kind::Description => None,
    };
    let mut media: Vec<_> = files.iter().filter_map(format).filter(|(number, _)| *number > 0).collect();
    media.sort_by_key(|(number, _)| *number);
    media
}

fn remove(directory: &Path, all: &[SegmentFile]) -> io::Result<()> {
    all.iter().try_for_each(|file| files::remove(&files::of(directory, *file)))
}

/// A segment is whole if all its tracks are whole or empty, and one is not empty. What is behind that is cut off.
fn look_at(directory: &Path, stamp: Stamp, all: &[SegmentFile], how: How, now: Moment) -> io::Result<Look> {
    let tracks = media(all);
    let mut ended_us = None;
    for track in &tracks {
        match condition(directory, stamp, *track, how)? {
            Condition::Whole(whole) => {
                cut(&media_path(directory, stamp, *track), whole.media_len)?;
                cut(&index_path(directory, stamp, track.0), whole.index_len)?;
                ended_us = ended_us.max(Some(whole.ended_us));
            }
            Condition::Empty => {}
            Condition::Damaged => return Ok(Look::Damaged),
        }
    }
    let Some(ended_us) = ended_us else { return Ok(Look::Nothing) };
    let length =
        |file: &SegmentFile| fs::metadata(files::of(directory, *file)).map_or(0, |about| about.len());
    let bytes = all.iter().map(length).sum();
    let age = now.unix.saturating_sub(Duration::from_micros(ended_us));
    Ok(Look::Whole(Segment { stamp, ended_us, tracks, bytes, aged: (age, now.at) }))
}

/// How a track is, as far as it is looked at. Nothing is changed.
pub(super) fn condition(
    directory: &Path,
    stamp: Stamp,
    (track, format): (u16, Format),
    how: How,
) -> io::Result<Condition> {
    let media_len = fs::metadata(media_path(directory, stamp, (track, format)))?.len();
    if media_len <= empty_len(format) {
        return Ok(Condition::Empty);
    }
    let index = match IndexFile::open(&index_path(directory, stamp, track)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Condition::Damaged),
        index => index?,
    };
    let mut last = None;
    for number in (0..index.count()?).rev() {
        last =
            index.record(number)?.filter(|record| record.end() <= media_len).map(|record| (number, record));
        if last.is_some() {
            break;
        }
    }
    let is_of_it = index.header().is_some_and(|header| header.format == format);
    let Some((number, last)) = last.filter(|_| is_of_it) else { return Ok(Condition::Damaged) };
    if how == How::Whole && !are_right(&index, number)? {
        return Ok(Condition::Damaged);
    }
    let index_len = (number + 2) * RECORD_LEN as u64;
    Ok(Condition::Whole(Whole { ended_us: last.arrived_us, media_len: last.end(), index_len }))
}

/// Whether the first records of an index are.
fn are_right(index: &IndexFile, count: u64) -> io::Result<bool> {
    for from in (0..count).step_by(RECORDS_AT_A_TIME) {
        let left = RECORDS_AT_A_TIME.min((count - from) as usize);
        if index.records(from, left)?.len() < left {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What media begins with before a packet is in it.
fn empty_len(format: Format) -> u64 {
    match format {
        Format::TransportStream => 0,
        Format::RtpDump => DUMP_HEAD_LEN as u64,
    }
}

fn media_path(directory: &Path, stamp: Stamp, (track, format): (u16, Format)) -> PathBuf {
    files::of(directory, media_file(stamp, track, format))
}

fn index_path(directory: &Path, stamp: Stamp, track: u16) -> PathBuf {
    files::of(directory, SegmentFile { stamp, track, kind: Kind::Index })
}

fn cut(path: &Path, length: u64) -> io::Result<()> {
    if fs::metadata(path)?.len() == length {
        return Ok(());
    }
    File::options().write(true).open(path)?.set_len(length)
}

/// What the tracks of a segment are, where it says so.
fn described(directory: &Path, stamp: Stamp) -> Vec<TrackDescription> {
    let text = fs::read(files::of(directory, description_file(stamp))).unwrap_or_default();
    sdp::parse(&text).map(|presentation| presentation.tracks).unwrap_or_default()
}

/// Makes the index of a track anew. It takes the old one's place once it is whole.
fn rebuild(
    directory: &Path,
    stamp: Stamp,
    (track, format): (u16, Format),
    about: Option<&TrackDescription>,
) -> io::Result<()> {
    let starts = match (format, about) {
        (Format::TransportStream, _) => Starts::of("video", Some("MP2T"), false),
        (_, Some(about)) => Starts::of(&about.media, about.encoding.as_deref(), about.tells_parameter_sets),
        (_, None) => Starts::of("", None, false),
    };
    let clock_rate = about.and_then(|about| about.clock_rate).unwrap_or(90_000);
    let mut media = File::open(media_path(directory, stamp, (track, format)))?;
    let mut rebuilt = Rebuilt::new(format, starts, stamp.micros());
    let mut window = Vec::new();
    loop {
        media.seek(SeekFrom::Start(rebuilt.at()))?;
        window.clear();
        (&mut media).take(WINDOW as u64).read_to_end(&mut window)?;
        let is_all = window.len() < WINDOW;
        if !rebuilt.read(&window, is_all) || is_all {
            break;
        }
    }
    let records = rebuilt.records();
    let mut bytes = Header { format, clock_rate }.bytes().to_vec();
    bytes.extend(records.iter().flat_map(Record::bytes));
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(&bytes)?;
    files::hand_over(file.as_file(), &media.metadata()?)?;
    file.persist(index_path(directory, stamp, track))?;
    Ok(())
}

#[cfg(all(test, not(model)))]
#[path = "recovery_tests.rs"]
mod tests;
