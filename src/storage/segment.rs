//! A segment: what was kept of a channel in one span of time.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::wire::recording::{Format, Kind, Record, SegmentFile, Stamp};

use super::files;
use super::index_file::IndexFile;

/// A segment that is whole, or is being written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// When it begins, and what its files are called.
    pub stamp: Stamp,
    /// When its last packet came, in microseconds since 1970.
    pub ended_us: u64,
    /// The numbers of its tracks, and what each is kept as.
    pub tracks: Vec<(u16, Format)>,
    /// What its files take.
    pub bytes: u64,
    /// How old it was then, by a clock that nobody sets.
    pub(super) aged: (Duration, Instant),
}

impl Segment {
    /// How long ago it ended.
    pub(super) fn age(&self, now: Instant) -> Duration {
        let (age, then) = self.aged;
        age + now.saturating_duration_since(then)
    }

    /// The file of a track's media.
    pub fn media(&self, directory: &Path, track: u16, format: Format) -> PathBuf {
        files::of(directory, media_file(self.stamp, track, format))
    }

    /// The file of a track's index.
    pub fn index(&self, directory: &Path, track: u16) -> PathBuf {
        files::of(directory, SegmentFile { stamp: self.stamp, track, kind: Kind::Index })
    }

    /// The packet of RTP of a track that came last. `None`: there is none, or it can not be read.
    pub(super) fn last(&self, directory: &Path, track: u16) -> Option<Record> {
        let index = IndexFile::open(&self.index(directory, track)).ok()?;
        let numbers = 0..index.count().ok()?;
        numbers.rev().map_while(|number| index.record(number).ok()?).find(|record| !record.is_report)
    }

    /// Its files go. An index without media is known to be of one that has gone; media without an index would be found again.
    pub(super) fn remove(&self, directory: &Path) -> io::Result<()> {
        for (track, format) in &self.tracks {
            files::remove(&self.media(directory, *track, *format))?;
        }
        for (track, _) in &self.tracks {
            files::remove(&self.index(directory, *track))?;
        }
        files::remove(&files::of(directory, description_file(self.stamp)))
    }
}

pub(super) fn media_file(stamp: Stamp, track: u16, format: Format) -> SegmentFile {
    let kind = match format {
        Format::TransportStream => Kind::TransportStream,
        Format::RtpDump => Kind::RtpDump,
    };
    SegmentFile { stamp, track, kind }
}

pub(super) fn description_file(stamp: Stamp) -> SegmentFile {
    SegmentFile { stamp, track: 0, kind: Kind::Description }
}
