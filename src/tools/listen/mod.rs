//! `mirrorball listen`: joins the groups of a source for some seconds, and says what comes.
//!
//! ```text
//!  Plan: a source string, or a session description ─▶ its tracks
//!    │
//!  run ─▶ Place: the interface ─▶ Ear: a socket of its own a port, joined
//!    │                             └─▶ Hearing: one track ─▶ Sender: RTP by SSRC ─▶ Survey: the transport stream
//!    └─▶ Report ─▶ text for people, json for programs
//! ```
//!
//! It shares nothing with a program that serves, and may run beside one. All but `run` and `ear` are told what
//! came and when, and open nothing.

mod ear;
mod hearing;
mod json;
mod plan;
mod report;
mod run;
mod sender;
mod survey;
mod text;

pub use plan::{ListenSource, Plan};
pub use report::Report;
pub use run::run;

#[cfg(test)]
mod tests;
