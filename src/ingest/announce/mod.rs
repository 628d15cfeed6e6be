//! Sessions that others announce (RFC 2974) become channels.
//!
//! ```text
//!  the customary groups ─▶ Ear: a socket of each family ─▶ Hearing: so much a turn ─▶ Table (pure) ─▶ Change ─▶ LineUp
//!      each second: joined where they are to be, and what was not heard for too long is let go ──┘
//! ```
//!
//! What a datagram says is `wire::sap`'s, what a channel is made of the line-up's.

mod allowance;
mod ear;
mod hearing;
mod herald;
mod name;
mod refusal;
mod session;
mod table;

pub use hearing::{Hearing, Kept, LineUp, Places};
pub use refusal::{AnnouncementStats, Refusal, Refused};
pub use table::{Besides, Rules};
