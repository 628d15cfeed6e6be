//! RTCP compound packets: what of a source's is passed on, what a subscriber's say, and what we say ourselves
//! (RFC 3550 section 6).
//!
//! It knows neither addresses nor sessions, and changes nothing of what it passes on but its length.

mod compound;
mod feedback;
mod names;
mod reflect;
mod write;

pub use compound::NotRtcp;
pub use feedback::{Feedback, Report, feedback, says_goodbye};
pub use names::{SourceSays, source_says};
pub use reflect::{Reflectable, SenderTime, reflectable};
pub use write::{goodbye, receiver_report};

#[cfg(test)]
mod tests;
