//! RTCP compound packets: what of a source's is passed on, what a subscriber's say, and what we say ourselves
//! (RFC 3550 section 6).
//!
//! It knows neither addresses nor sessions. Of what it passes on it changes nothing but its length; where viewers have a stream
//! under another name than its source's, reports are renamed.

mod compound;
mod feedback;
mod nack;
mod names;
mod reflect;
mod rename;
mod reporting;
mod write;

pub use compound::NotRtcp;
pub use feedback::{Feedback, Report, feedback, says_goodbye};
pub use nack::{Nack, is_of_nacks, nacks};
pub use names::{SourceSays, source_says};
pub use reflect::{Reflectable, SenderTime, reflectable};
pub use rename::{Counts, Renamed, counts, rename};
pub use reporting::Reporting;
pub use write::{goodbye, ntp, receiver_report, sender_report};

#[cfg(test)]
mod tests;
