//! What the log tells of viewers: each session's story, and who was refused, in lines that never storm.

mod lately;
mod legible;
mod lines;
mod restraint;
mod story;
mod teller;

pub use lately::TurnedAway;
pub use legible::legible;
pub use lines::{REFUSED, Refused, Way, reason_of};
pub use restraint::Why;
pub use story::{Report, SoFar, Story};
pub use teller::Teller;
