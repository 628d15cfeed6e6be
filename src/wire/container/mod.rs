//! What is in an MP4, QuickTime or fragmented MP4 file: its tracks, how each is coded, and where and when each of its samples is.
//!
//! ```text
//!  ReadAt ─▶ boxes ─▶ moov ─▶ coding, tables ─▶ Samples ─▶ Film
//!                     moof ─▶ fragments ───────────┘
//!  a hint track's sample ─▶ hints ─▶ hinted: the packets that it was made for
//! ```
//!
//! Media is not read, nor is anything of a length that a file only claims. Small boxes are mp4-atom's, which this program writes
//! previews with: mp4parse knows no fragments and tells of samples in an unstable part of it, and re_mp4 wants a newer compiler than we do
//! and spreads all samples out.

mod boxes;
mod coding;
mod fields;
mod film;
mod fragments;
mod hinted;
mod hints;
mod read_at;
mod runs;
mod samples;
mod tables;
#[cfg(test)]
mod tests;
mod track;

pub use boxes::{Kind, NoFilm};
pub use coding::{Coding, Pcm, Sound};
pub use film::Film;
pub use hints::{Hint, HintTrack, NoHint, Of, Part, hints};
pub use read_at::ReadAt;
pub use samples::{Sample, Samples};
pub use track::FilmTrack;
