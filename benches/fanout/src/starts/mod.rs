//! How soon a viewer who starts sees a picture: starts at random moments of a real stream, and a decoder as the judge.
//!
//! ```text
//!  film ──multicast──▶ relay ──▶ viewer: a start ─▶ capture, a file ─▶ judge: decoder ─▶ report ─▶ table, picture
//! ```
//! The judge comes when all starts are over, so that decoding takes no time from what is measured.

mod capture;
mod course;
mod decoder;
mod film;
mod judge;
mod picture;
mod report;
mod table;
mod transport_stream;
mod viewer;

pub use course::{Options, run};
pub use film::{Options as FilmOptions, run as film};
pub use judge::{Options as JudgeOptions, run as judge};
pub use picture::run as picture;
pub use table::{Options as TableOptions, run as table};
