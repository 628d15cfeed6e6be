//! `mirrorball probe`: a load client for any RTSP server.
//!
//! ```text
//!  scout: one DESCRIBE, so that what is wrong for all is said once
//!    │
//!    ▼                    one of these a core, and nothing between them but counters
//!  run ─▶ Worker: epoll ─▶ Subscriber ─┬─▶ Dialogue   what to ask next (pure)
//!   │         │                        └─▶ Leg: UDP sockets or channels ─▶ Track   what arrived, and the receiver
//!   │         │                                                                     reports (pure)
//!   │         └─▶ Tally ─▶ Report: the table, and JSON
//!   └─▶ Progress: a line while it runs
//! ```
//!
//! The appliance's event core hands one descriptor's events to any thread, which a server needs. A load client
//! needs the opposite: a subscriber stays on its thread, so nothing of it is locked or counted across cores,
//! and little of what is measured is the client itself. So the probe polls by itself.

mod context;
mod descriptors;
mod dialogue;
mod failure;
mod leg;
mod plan;
mod progress;
mod report;
mod run;
mod scout;
mod subscriber;
mod tally;
mod track;
mod udp_ports;
mod worker;

pub use descriptors::Shortage;
pub use failure::Failure;
pub use plan::{Course, Delivery, Plan, ProbeUrl, Tracks, range, scale, speed};
pub(in crate::tools) use progress::bits;
pub use report::Report;
pub use run::{ProbeError, run};

#[cfg(test)]
mod tests;
