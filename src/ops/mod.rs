//! The program around the relay, in the order in which its rooms stand on each other.

pub mod release; // which release runs, of which revision

pub mod names; // names as they are told where there may be thousands

pub mod saying; // what is wrong, and what to do

pub mod log; // the log, and panics in it; text that leaves the program holds up nobody

pub mod config; // mirrorball.toml: what was typed, then what is true

pub mod machine; // what this machine has for a config, and what is in its way there

pub mod running; // all parts put together, and how channels come, change and go

pub mod watching; // what operators see: metrics, readiness, and whether the parts move

mod appliance; // what runs and what watches it, started, and taken apart in order

pub use appliance::{Appliance, StartError};
pub use running::upgrade::Heir;
