//! RTSP pull: the server as a client of another server.
//!
//! ```text
//!  bytes, now ──▶ Conversation ──▶ Talk: what is asked next ──▶ Action: write, a frame, described, playing, over
//!                      │             │
//!                    Inbox         Asking (number, session, login), Signs of life
//!
//!  Journey: where it is asked for, redirects     Backoff: when again
//! ```

mod action;
mod asking;
mod backoff;
mod conversation;
#[cfg(any(all(test, not(model)), fuzzing))]
mod exercise;
mod failure;
mod inbox;
mod journey;
mod signs;
mod talk;

pub use action::{Action, End, Way};
pub use conversation::{Conversation, Strays};
#[cfg(fuzzing)]
pub use exercise::exercise;
pub use failure::Failure;
pub use journey::{Journey, port};

#[cfg(all(test, not(model)))]
mod tests;
