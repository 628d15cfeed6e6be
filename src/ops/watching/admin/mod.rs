//! The operators' HTTP endpoint, on a thread and a runtime of its own.
//!
//! ```text
//! Prometheus, probes, ─▶ server (accept) ─▶ room ─▶ exchange (one request) ─▶ gate ─▶ routes ─▶ answers ─▶ AdminSource
//! browsers, programs                        who waits                          who       what      how
//! ```
//!
//! It shares nothing with the data path but the counters that its source reads, so that a scrape holds up a packet for no
//! longer than it takes to copy those of one track.

mod answers;
mod events;
mod exchange;
mod film;
mod gate;
mod room;
mod routes;
mod server;
mod source;

pub use server::{AdminConfig, AdminServer};
pub use source::AdminSource;
