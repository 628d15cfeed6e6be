//! RTSP/1.0 without a socket: what a client says, what that means for its sessions, and what is to be done.
//!
//! ```text
//!  bytes, now ──▶ Conversation ──▶ requests ──▶ Action: reply, start, stop, end, hang up
//!                      │  ▲            │
//!                    Inbox └─ World ◀──┘ (channels, sessions, what is granted)
//! ```

mod admit;
mod conversation;
mod course;
#[cfg(any(all(test, not(model)), fuzzing))]
mod exercise;
#[cfg(any(all(test, not(model)), fuzzing))]
mod fake;
mod granting;
mod home;
mod inbox;
mod life;
mod live;
mod moved;
mod parcel;
mod past;
mod patience;
mod play_past;
mod reach;
mod refusal;
mod repair_offer;
mod requests;
mod rerun;
mod retransmission;
mod session;
mod sessions;
mod setup;
mod state;
mod talk;
mod tempo;
mod wait;
mod world;

pub use conversation::Conversation;
pub use course::{Course, WatchedTrack};
#[cfg(fuzzing)]
pub use exercise::exercise;
pub use home::Home;
pub use inbox::{MAX_UNREAD_BYTES, MESSAGE_TIMEOUT};
pub use parcel::{SessionParcel, TrackParcel};
pub use patience::{Patience, Verdict};
pub use refusal::retry_after_s;
pub use repair_offer::RepairAgents;
pub use session::Session;
pub use sessions::{SessionLimits, Sessions};
pub use setup::{Costs, Quality, Retransmission};
pub use talk::Action;
pub use world::{About, Wanted, World};
