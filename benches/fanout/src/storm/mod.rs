//! Storms: viewers come, leave or lose their relay all at once, or make noise, while others play.
//!
//! ```text
//!           clients ── RTSP ──▶ relay          course: who plays, calm, the storm, settling, calm
//!              │ plays, gone
//!  udp_sockets ┴─ packets ──▶ crowds ─▶ slices ─▶ report ─▶ table
//! ```

mod clients;
mod course;
mod crowds;
mod kind;
mod report;
mod slices;
mod table;

pub use course::{Options, run};
pub use table::{Options as TableOptions, run as table};
