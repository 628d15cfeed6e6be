//! One connection as a stream of bytes: what leaves by it, whole and in order, and what may wait for that.

mod bounds;
mod output;
mod writer;

#[cfg(any(test, fuzzing))]
pub use bounds::Room;
#[cfg(test)]
pub use bounds::TRACK_BYTES;
pub use bounds::{CUT_OFF_BYTES, SETUP_BYTES, SetupBytes};
pub use output::{Output, Sink};
pub use writer::Post;
