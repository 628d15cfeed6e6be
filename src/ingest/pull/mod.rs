//! RTSP pull: the server as a client of another server.
//!
//! ```text
//!  bytes, now ──▶ Conversation ──▶ Talk: what is asked next ──▶ Action: write, a frame, described, playing, over
//!                      │             │
//!                    Inbox         Asking (number, session, login), Signs of life, Silence
//!
//!  Upstream: one stream ──▶ Link: a connection ──▶ Conversation ──▶ Feed, of each track ──▶ Track ──▶ lanes
//!     │  Journey: where it is asked for, redirects     Backoff, Patience: when again     Names, Whereabouts, Reach, Trust: whom is connected to
//!     └──▶ Opening ──▶ Opens: a channel of what was described
//! ```

mod action;
mod asking;
mod backoff;
mod conversation;
mod dice;
mod ear;
mod ending;
#[cfg(any(all(test, not(model)), fuzzing))]
mod exercise;
mod failure;
mod feed;
mod figures;
mod inbox;
mod journey;
mod link;
mod names;
mod opening;
mod parts;
mod patience;
mod puller;
mod reach;
mod reaching;
mod signs;
mod silence;
mod steps;
mod stream;
mod talk;
mod telling;
mod trust;
mod upstream;
mod whereabouts;

pub use dice::token;
#[cfg(fuzzing)]
pub use exercise::exercise;
pub use failure::Failure;
pub use figures::{PullState, PullStats};
pub use link::Transport;
pub use opening::OPEN;
pub use parts::Pull;
pub use puller::Puller;
pub use trust::Trust;
pub use upstream::PULL;

#[cfg(all(test, not(model)))]
mod tests;
