//! A Tape: what a channel keeps on disk, read as the files lie there.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use mirrorball::wire::recording::{Header, Kind, RECORD_LEN, Record, SegmentFile, Stamp};

/// The directory of one channel.
pub struct Tape(PathBuf);

/// The files of each segment.
pub type Segments = BTreeMap<Stamp, Vec<SegmentFile>>;

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
    pub fn segments(&self) -> Segments {
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
        let segments = self.segments();
        indexes(&segments, track).into_iter().flat_map(|index| self.read(index, &segments)).collect()
    }

    /// All that the newest segment keeps of a track; each record is right, and its media is there.
    pub fn newest(&self, track: u16) -> Vec<Kept> {
        let segments = self.segments();
        let mut kept = indexes(&segments, track).into_iter().rev().map(|index| self.read(index, &segments));
        kept.find(|kept| !kept.is_empty()).unwrap_or_default()
    }

    /// The packet of a track that was kept last. Nothing else is read, so that it may be asked for again and again.
    pub fn last(&self, track: u16) -> Option<Kept> {
        let segments = self.segments();
        indexes(&segments, track).into_iter().rev().find_map(|index| self.read_last(index, &segments))
    }

    fn read_last(&self, index: SegmentFile, segments: &Segments) -> Option<Kept> {
        let file = File::open(self.0.join(index.to_string())).expect("it is there");
        let records = file.metadata().expect("it is there").len() / RECORD_LEN as u64;
        let mut bytes = [0; RECORD_LEN];
        let last = records.checked_sub(1).filter(|last| *last > 0)?;
        file.read_exact_at(&mut bytes, last * RECORD_LEN as u64).expect("it is there");
        let record = Record::read(&bytes).expect("a record");
        let mut media = vec![0; record.length.into()];
        let file = File::open(self.media_of(index, segments)).expect("it is there");
        file.read_exact_at(&mut media, record.offset.into()).expect("its media is there");
        Some(Kept { record, media })
    }

    fn media_of(&self, index: SegmentFile, segments: &Segments) -> PathBuf {
        let is_media = |file: &&SegmentFile| {
            file.track == index.track && matches!(file.kind, Kind::TransportStream | Kind::RtpDump)
        };
        let media = segments[&index.stamp].iter().find(is_media).expect("an index has its media");
        self.0.join(media.to_string())
    }

    fn read(&self, index: SegmentFile, segments: &Segments) -> Vec<Kept> {
        // In this order: what is written meanwhile is in the media before it is in the index.
        let bytes = fs::read(self.0.join(index.to_string())).expect("it is there");
        let media = fs::read(self.media_of(index, segments)).expect("it is there");
        if bytes.len() < RECORD_LEN {
            return Vec::new(); // it has just been made
        }
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

/// The indexes of a track, the oldest first.
fn indexes(segments: &Segments, track: u16) -> Vec<SegmentFile> {
    let all = segments.values().flatten().copied();
    all.filter(|file| file.track == track && file.kind == Kind::Index).collect()
}

/// What `[storage]` has of a place for recordings, with lines of its own.
pub fn storage_in(directory: &Path, lines: &str) -> String {
    // The disk that tests run on may be nearly full.
    let free = if lines.contains("min_free_bytes") { "" } else { "min_free_bytes = 0\n" };
    format!("directory = \"{}\"\n{free}{lines}", directory.display())
}
