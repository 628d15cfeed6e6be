//! An upgrade: another process of this program, maybe of a newer version, takes over while viewers watch.
//!
//! ```text
//!  predecessor                                     heir
//!  ───────────                                     ────
//!  starts it with one end of a Passage ──────────▶ reads its config, as at any start
//!  Hello: addresses it listens at, channels ─────▶ joins its groups; waits until what is watched flows
//!                                   ◀───────────── Ready
//!  stands still; packs all viewers ──────────────▶ settles them, listens, serves
//!                                   ◀───────────── Taken
//!  ends, and says goodbye to nobody
//! ```
//!
//! **What holds:** until it has heard `Taken` the predecessor can go on as if nothing had been, and does so when the heir
//! says no, dies, or takes too long. Nothing is sent by both.

mod awaited;
mod heir;
mod hold;
mod predecessor;
mod words;

pub use heir::{Heir, NoHeir, Succession};
pub use hold::HOLD;
pub use predecessor::{Estate, Upgrade};
