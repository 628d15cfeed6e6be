//! How streams come in: by groups that are joined, or from another server.
//!
//! ```text
//!  multicast: groups on shared sockets ─▶ Leg ─▶ Track ─▶ lanes     legs of one track ─▶ Merging, or Switching ─▶ Track
//!  pull: another server's stream ─▶ Track ─▶ lanes                  announce: who sends what, as it is heard
//!  SilenceWatch: a timer per channel that tells when its tracks stop and return, and has silent groups joined again
//! ```

pub mod announce;
mod arrivals;
mod leg;
mod leg_watch;
mod merging;
mod multicast;
mod obstacles;
pub mod pull;
mod pulse;
mod redundancy;
mod said;
mod silence;
mod standby;
mod switching;
mod touched;
mod unheard;

pub use multicast::{GROUPS_PER_SOCKET, OpenError, PortStats, Receivers, RtpReceiver, groups_of};
pub use obstacles::{dropped_on_the_way, in_the_way, no_renewals, no_sources, perhaps_in_the_way};
pub use redundancy::{Brought, LegStats, Redundancy};
pub use silence::SilenceWatch;
pub use unheard::advice;
