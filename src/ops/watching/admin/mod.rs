//! The operators' HTTP endpoint, on a thread and a runtime of its own.
//!
//! ```text
//! Prometheus, probes ─▶ server (accept, one request a connection) ─▶ routes ─▶ AdminSource
//! ```
//!
//! It shares nothing with the data path but the counters that its source reads, so that a scrape holds up a packet for no
//! longer than it takes to copy those of one track.

mod preview;
mod routes;
mod server;

pub use routes::AdminSource;
pub use server::AdminServer;
