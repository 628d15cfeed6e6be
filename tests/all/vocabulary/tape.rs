//! A Tape: what a channel keeps on disk, read as the files lie there.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use mirrorball::wire::recording::{Header, Kind, RECORD_LEN, Record, SegmentFile, Stamp};

/// The directory of one channel.
pub struct Tape(PathBuf);

/// A packet that was kept.
pub struct Kept {
    pub record: Record,
    pub media: Vec<u8>,
}

impl Tape {
    pub fn of(directory: &Path, channel: &str) -> Self {
        Self(directory.join(channel))
    }

    /// The files of each segment, the oldest first.
    pub fn segments(&self) -> BTreeMap<Stamp, Vec<SegmentFile>> {
        let mut segments = BTreeMap::<_, Vec<_>>::new();
        for entry in fs::read_dir(&self.0).into_iter().flatten().flatten() {
            let file = entry.file_name().to_str().and_then(SegmentFile::named);
            file.into_iter().for_each(|file| segments.entry(file.stamp).or_default().push(file));
        }
        segments
    }

    /// The files of a kind, the oldest first.
    pub fn files(&self, kind: Kind) -> Vec<PathBuf> {
        let mut files: Vec<_> =
            self.segments().into_values().flatten().filter(|file| file.kind == kind).collect();
        files.sort();
        files.iter().map(|file| self.0.join(file.to_string())).collect()
    }

    /// All that is kept of a track, as its indexes say; each record is right, and its media is there.
    pub fn track(&self, track: u16) -> Vec<Kept> {
        let of_track = |file: &&SegmentFile| file.track == track && file.kind == Kind::Index;
        let segments = self.segments();
        segments
            .values()
            .flat_map(|files| files.iter().filter(of_track))
            .flat_map(|file| self.read(*file, &segments))
            .collect()
    }

    fn read(&self, index: SegmentFile, segments: &BTreeMap<Stamp, Vec<SegmentFile>>) -> Vec<Kept> {
        let is_media = |file: &&SegmentFile| {
            file.track == index.track && matches!(file.kind, Kind::TransportStream | Kind::RtpDump)
        };
        let media = segments[&index.stamp].iter().find(is_media).expect("an index has its media");
        let media = fs::read(self.0.join(media.to_string())).expect("it is there");
        let bytes = fs::read(self.0.join(index.to_string())).expect("it is there");
        Header::read(&bytes).expect("an index");
        let whole = bytes.chunks_exact(RECORD_LEN).skip(1);
        let kept = whole.map(|bytes| {
            let record = Record::read(bytes).expect("a record");
            let media = media.get(record.offset as usize..record.end() as usize).expect("its media is there");
            Kept { record, media: media.to_vec() }
        });
        kept.collect()
    }
}
