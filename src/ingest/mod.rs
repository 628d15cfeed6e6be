//! How streams come in: groups are joined once, on shared sockets.
//!
//! ```text
//!  channel ─▶ Receivers: an RtpReceiver per port, family and interface, joined to many groups; further ones where it is full
//!      socket ─▶ Intake of its table: when? ─▶ receive_data ─▶ route by destination (and source) ─▶ Leg ─▶ Track ─▶ lanes
//!           legs of one track ─▶ Merging, or Switching ─▶ Track
//!  Joining: each track's interface, looked up as the kernel tells of changes (Looks): joined there and nowhere else
//!  SilenceWatch: a timer per channel that tells when its tracks stop and return, and has silent groups joined again
//! ```

pub mod announce;
mod arrivals;
mod change_pace;
mod elsewhere;
mod heard;
mod intake;
mod joining;
mod leg;
mod leg_watch;
mod looks;
mod memberships;
mod merging;
mod network_watch;
mod obstacles;
mod port_counts;
pub mod pull;
mod pulse;
mod queue_fill;
mod receive_data;
mod receivers;
mod redundancy;
mod renewals;
mod routes;
mod rtp_receiver;
mod silence;
mod switching;
mod touched;
mod unheard;
mod wanted;

pub use memberships::groups_of;
pub use obstacles::{dropped_on_the_way, in_the_way, no_renewals, no_sources, perhaps_in_the_way};
pub use port_counts::PortStats;
pub use receivers::{GROUPS_PER_SOCKET, Receivers};
pub use redundancy::{Brought, LegStats, Redundancy};
pub use rtp_receiver::{OpenError, RtpReceiver};
pub use silence::SilenceWatch;
pub use unheard::advice;
