//! Films as channels: what is in files is shown to all who watch, as if it came by a group.
//!
//! ```text
//!  FileSource ─▶ Roll: one file after the other ─▶ Loading: what is in them, as one stream ─▶ Stock: some seconds of it
//!      (tasks of storage, which may wait for a disk)                                             │
//!      tasks of media, when it is due ◀── Projector ◀────────────────────────────────────────────┘
//!                 └─▶ Line, one a track: numbers ─▶ Screen: a channel's tracks, or what stands by for one
//! ```

mod line;
mod loading;
mod parts;
mod playlist;
mod projector;
mod projectors;
mod roll;
mod screen;
mod source;
mod stock;

pub use parts::{Onto, ProjectionStats};
pub(super) use projector::LOAD;
pub use projector::SHOW;
pub use projectors::Projectors;
pub use source::FileSource;
