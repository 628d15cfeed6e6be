//! What there is to count of recordings.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// Of one channel, as it goes.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub packets: AtomicU64,
    pub bytes: AtomicU64,
    pub missed: AtomicU64,
    pub errors: AtomicU64,
    pub removed: [AtomicU64; Removed::ALL.len()],
    pub is_recording: AtomicBool,
}

/// Why a segment went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Removed {
    /// It was older than the channel keeps.
    Age,
    /// The channel had more bytes than it keeps.
    Bytes,
    /// All channels had more than they may.
    Total,
    /// The disk was nearly full.
    Disk,
}

impl Removed {
    pub const ALL: [(Self, &'static str); 4] =
        [(Self::Age, "age"), (Self::Bytes, "bytes"), (Self::Total, "total"), (Self::Disk, "disk")];
}

/// Of one channel that is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordingStats {
    /// Its name.
    pub channel: String,
    /// Whether what comes is kept: the last that came was.
    pub is_recording: bool,
    /// Packets that were kept, RTCP among them.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Packets that were not kept: the disk did not take them, or not in time.
    pub missed: u64,
    /// Times that the disk refused something.
    pub errors: u64,
    /// Segments that went, by reason.
    pub removed: [(&'static str, u64); Removed::ALL.len()],
    /// Segments that are there.
    pub segments: usize,
    /// Their bytes.
    pub kept: u64,
    /// From when on, and until when, in microseconds since 1970.
    pub span_us: Option<(u64, u64)>,
}

/// Of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArchiveStats {
    /// What all recordings take.
    pub kept: u64,
    /// What they may take.
    pub max_bytes: Option<u64>,
    /// What is left of the disk, as it was looked at last.
    pub free: u64,
    /// What is to be left of it.
    pub min_free: u64,
    /// How many watch the past.
    pub viewers: usize,
    /// How many may.
    pub most_viewers: usize,
}

impl Counts {
    pub fn removed(&self, why: Removed) {
        self.removed[why as usize].fetch_add(1, Relaxed);
    }

    pub fn read_removed(&self) -> [(&'static str, u64); Removed::ALL.len()] {
        Removed::ALL.map(|(why, name)| (name, self.removed[why as usize].load(Relaxed)))
    }
}
