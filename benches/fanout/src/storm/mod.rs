//! Storms: viewers come, leave or lose their relay all at once, or make noise, while others play.
//!
//! ```text
//!           clients ── RTSP ──▶ relay          course: who plays, calm, the storm, settling, calm
//!              │ plays, gone                   noise, reports, hostile: what else a relay may hear
//!  udp_sockets ┴─ packets ──▶ crowds ─▶ slices ─▶ findings: report ─▶ table, picture
//! ```

mod clients;
mod course;
mod crowds;
mod findings;
mod hostile;
mod kind;
mod noise;
mod picture;
mod report;
mod reports;
mod slices;
mod table;

pub use course::{Options, run};
pub use picture::run as picture;
pub use table::{Options as TableOptions, run as table};
