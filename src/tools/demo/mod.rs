//! The built-in source of `mirrorball demo`, and what its terminal shows.
//!
//! ```text
//!  picture (ball, font on a canvas) ─▶ JPEG ─▶ jpeg_rtp ─┐
//!  tone ─▶ L16 ──────────────────────────────────────────┴▶ track ─▶ multicast on the loopback interface
//!                programme: the thread     pacer: what is due when      description: its SDP
//! ```
//!
//! Only `programme` reads a clock or touches a socket; the others get time and bytes passed in.

mod ball;
mod canvas;
mod demonstration;
mod description;
mod font;
mod groups;
mod jpeg_rtp;
mod pacer;
mod picture;
mod programme;
mod terminal;
mod tone;
mod track;

pub use demonstration::{DemoError, Demonstration};
pub use groups::ProgrammeConfig;
pub use programme::Programme;
pub(in crate::tools) use terminal::grouped;
pub use terminal::{Snapshot, banner, status_line};
