//! How packets reach viewers: ways, and the port pairs behind those over UDP.
//!
//! ```text
//!  Way ─┬─ OverUdp, Raw ──▶ a lane ──▶ PortPair: one RTP and one RTCP socket for all; RtcpReceiver reads what comes
//!       ├─ Multicast ──▶ a lane, one for all ──▶ Seat: a track's ports at its channel's group
//!       └─ Interleaved, OverHttp ──▶ a lane ──▶ the connection's Output
//! ```

mod askers;
mod clients;
mod interleaved;
mod latches;
mod multicast;
mod over_http;
mod port_pairs;
mod raw;
mod rtcp_inbox;
mod rtcp_receiver;
mod taker;
mod udp;
mod way;

pub use interleaved::Interleaved;
pub use latches::{FIRST_CLIENT_PORT, Learning};
pub use multicast::{Multicast, OutGroup, OutGroups, StandIn};
pub use over_http::OverHttp;
pub use port_pairs::{PortPairs, Reservation};
pub use raw::Raw;
pub use taker::{Client, Learnt, Taker};
pub use udp::OverUdp;
pub use way::{Asks, Followed, Grant, Heirs, Settling, Way};
