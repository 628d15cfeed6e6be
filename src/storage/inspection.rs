//! What is kept, for who asks beside the program that records: all of it is read and nothing is changed, until what is damaged is to be
//! made whole.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use crate::wire::recording::{Kind, SegmentFile, Stamp};

use super::files;
use super::moment::Moment;
use super::recovery::{self, Condition, How};

/// What is kept of a channel.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inspection {
    /// Segments there are.
    pub segments: usize,
    /// What all their files take.
    pub bytes: u64,
    /// The first of them.
    pub oldest: Option<Stamp>,
    /// Those of which an index is gone or wrong, anywhere in it.
    pub damaged: Vec<Stamp>,
}

/// What was made whole of a channel.
#[derive(Debug, Default)]
pub struct Mended {
    /// Segments whose indexes were made again.
    pub again: Vec<Stamp>,
    /// Segments of which nothing could be read, and which are gone.
    pub removed: Vec<Stamp>,
}

/// The channels that have a directory there.
///
/// # Errors
/// They can not be listed.
pub fn channels_in(root: &Path) -> io::Result<Vec<String>> {
    let mut channels = Vec::new();
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            channels.extend(entry.file_name().to_str().and_then(files::channel_of));
        }
    }
    channels.sort();
    Ok(channels)
}

/// Looks at each record of each index of a channel. Where another program `is_writing`, the newest segment may be half written, and is
/// not judged.
///
/// # Errors
/// Something there can not be read.
pub fn inspect(root: &Path, channel: &str, is_writing: bool) -> io::Result<Inspection> {
    let directory = files::directory_of(root, channel);
    let all = recovery::files_of(&directory)?;
    let newest = all.keys().next_back().copied().filter(|_| is_writing);
    let mut inspection = Inspection { oldest: all.keys().next().copied(), ..Inspection::default() };
    for (stamp, files) in all {
        let length =
            |file: &SegmentFile| fs::metadata(files::of(&directory, *file)).map_or(0, |about| about.len());
        inspection.bytes += files.iter().map(length).sum::<u64>();
        inspection.segments += 1;
        if Some(stamp) != newest && is_damaged(&directory, stamp, &files)? {
            inspection.damaged.push(stamp);
        }
    }
    Ok(inspection)
}

/// Makes all damaged indexes again, while nobody records there. `None`: another program does, and nothing was done.
///
/// # Errors
/// The directory can not be had. What fails of one channel is told of that.
pub fn rebuild(root: &Path) -> io::Result<Option<BTreeMap<String, io::Result<Mended>>>> {
    if !root.exists() {
        return Ok(Some(BTreeMap::new()));
    }
    let Some(_held) = files::hold(root)? else { return Ok(None) };
    let mend_all = |channel: String| {
        let mended = mend(root, &channel);
        (channel, mended)
    };
    Ok(Some(channels_in(root)?.into_iter().map(mend_all).collect()))
}

fn mend(root: &Path, channel: &str) -> io::Result<Mended> {
    let directory = files::directory_of(root, channel);
    let mut mended = Mended::default();
    for stamp in inspect(root, channel, false)?.damaged {
        match recovery::mend(&directory, stamp, Moment::now())? {
            Some(_) => mended.again.push(stamp),
            None => mended.removed.push(stamp),
        }
    }
    Ok(mended)
}

/// What has gone while it was looked at is not damaged.
fn is_damaged(directory: &Path, stamp: Stamp, all: &[SegmentFile]) -> io::Result<bool> {
    for track in recovery::media(all) {
        let condition = recovery::condition(directory, stamp, track, How::Whole);
        // Others need the memory that all indexes would fill.
        let index = SegmentFile { stamp, track: track.0, kind: Kind::Index };
        if let Ok(index) = File::open(files::of(directory, index)) {
            files::drop_behind(&index, 0, 0);
        }
        match condition {
            Ok(Condition::Damaged) => return Ok(true),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(false)
}
