//! Groups are joined once, on shared sockets, and what comes to them is handed to legs.
//!
//! ```text
//!  channel ─▶ Receivers ─▶ Joinings: where is each leg to be joined?
//!                 │           ▲  Looks: each second, and as the kernel tells of changes     Wanted: on demand
//!                 │           │  Renewals: of what is the network told again?
//!                 ▼           ▼
//!            SharedSockets: an RtpReceiver per port, family and interface, joined to many groups; further ones where it is full
//!      socket ─▶ Intake of its table: when? ─▶ receive_data ─▶ route by destination (and source) ─▶ Leg
//! ```

mod change_pace;
mod heard;
mod intake;
mod joining;
mod joinings;
mod looks;
mod memberships;
mod network_watch;
mod port_counts;
mod receive_data;
mod receivers;
mod renewals;
mod routes;
mod rtp_receiver;
mod shared_sockets;
mod wanted;

pub use memberships::groups_of;
pub use port_counts::PortStats;
pub use receivers::Receivers;
pub use rtp_receiver::{OpenError, RtpReceiver};
pub use shared_sockets::GROUPS_PER_SOCKET;
