//! Storage: what channels keep on disk. A recorder is one more reader of the rings, which writes what it reads; it never makes media late.
//!
//! ```text
//!  rings of a channel ─▶ Scribe, one a track ─▶ Recorder ─▶ SegmentWriter ─▶ DIRECTORY/CHANNEL/20261128T073719.250Z-1.ts, .index, …
//!        (a task of the queue `storage`, each quarter of a second)   │
//!                                             Shelf: the segments ◀──┘◀── Recovery: what is there at the start
//!                                               └─▶ Retention: the oldest goes first
//! ```
//!
//! What a slow disk does not take in time has left the ring when it is asked for: a gap, counted and marked. It knows no viewer.

mod archive;
mod files;
mod index_file;
mod inspection;
mod keep;
mod library;
mod moment;
mod playback;
mod projection;
mod recorder;
mod recovery;
mod retention;
mod scribe;
mod segment;
mod segment_writer;
mod shelf;
mod stats;

use crate::relay::FAN_OUT;

pub use archive::Archive;
pub use files::{free, is_held};
pub use inspection::{Inspection, Mended, channels_in, inspect, rebuild};
pub use keep::Keep;
pub use library::{Libraries, Library, MOST_FILMS, MakeChannel};
pub use playback::{Begin, Cued, Deck, Kept, Newest, Pace, Programme, Sent};
pub use projection::{FileSource, Onto, ProjectionStats, Projectors, SHOW};
pub use retention::ArchiveLimits;
pub use segment::Segment;
pub use shelf::Shelf;
pub use stats::{ArchiveStats, RecordingStats};

/// The kinds of tasks.
pub const TASKS: [&str; 6] =
    [FAN_OUT, projection::LOAD, library::LOOK, playback::PLAY, recorder::RECORD, retention::RETAIN];
