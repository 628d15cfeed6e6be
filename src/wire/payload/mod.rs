//! What is stored, as RTP carries it: one coded unit (a picture, a frame of sound, some samples) becomes one payload, or several.
//!
//! ```text
//!  Coded ─▶ described ─▶ sdp::stored
//!  unit  ─▶ Coded::pack ─▶ nal (RFC 6184, 7798), mpeg4 (RFC 3640, 6416), mpeg_audio (RFC 2250), pcm (RFC 3551), or as it is (RFC 7587)
//! ```
//!
//! It knows no headers of RTP and no files. How packets of a transport stream go together is `stored`'s.

mod coded;
mod described;
mod mpeg4;
mod mpeg_audio;
mod nal;
mod pcm;
#[cfg(test)]
mod round_trips;
mod unit;

pub use coded::{Coded, Nal};
pub use pcm::{Pcm, Samples};
pub use unit::{LEAST, MOST, Payload, Unpackable};
