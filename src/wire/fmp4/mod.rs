//! Media as browsers play it: H.264, H.265 and AAC out of RTP or a transport stream, put into fragmented MP4.
//!
//! ```text
//!  RTP ─▶ nal_packets ─▶ pictures ─┐                    ┌─ clock: when it is decoded, and shown
//!      ─▶ sound_packets ───────────┼─▶ Unit ─▶ Film ─▶ Reel ─▶ boxes: a beginning, and fragments
//!  TS  ─▶ programme: pes ─▶ byte_stream ─▶ pictures, adts
//! ```
//!
//! It is fed one channel's packets as they come, and reads no clock. Whatever comes, what is kept is bounded: a picture of 8 MiB,
//! and what waits to be given.

mod adts;
mod bits;
mod boxes;
mod byte_stream;
mod clock;
mod film;
mod nal_packets;
mod not_shown;
mod parameters;
mod pes;
mod pictures;
mod programme;
mod reel;
#[cfg(test)]
mod samples;
mod sets;
mod sound_config;
mod sound_packets;
mod sps;
mod tracks;
mod unit;

pub use film::Film;
#[cfg(test)]
pub(super) use nal_packets::NalPackets;
pub use not_shown::NotShown;
#[cfg(test)]
pub(super) use parameters::Parameters;
pub(super) use sound_config::SoundConfig;
#[cfg(test)]
pub(super) use sound_packets::SoundPackets;
pub(super) use sps::Shape;
pub use tracks::Source;
