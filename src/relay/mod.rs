//! One track is a ring, a subscriber is a cursor.
//!
//! ```text
//!  Channel ─▶ Track ─▶ Flow (RTP, RTCP) ─▶ Ring: the newest packets, written by one receiver
//!                        │ publish kicks
//!                        ▼
//!                      Lane: idle → queued → running → dirty; its run is the FanOut task
//!                        ├─ DatagramGroup: one run of packets to many addresses, by a shared ServerSocket
//!                        └─ StreamGroup: StreamSinks, each with cursors of its own
//! ```

mod batch;
mod catalogue;
mod datagram_group;
mod flow;
mod fullness;
mod hold;
mod lane;
mod pass;
#[cfg(test)]
pub(crate) mod rig;
mod ring;
mod server_socket;
mod stream_group;
mod totals;
mod track;

pub use batch::{Batch, Image};
pub use catalogue::{Audience, Catalogue, Channel, Viewer};
pub use flow::{Flow, Subscription};
pub use hold::{Coalesce, Load};
pub use lane::{Dispatch, FAN_OUT};
pub use ring::{Packet, Ring, RingLimits, RingStart};
pub use server_socket::ServerSocket;
pub use stream_group::{Cursor, StreamSink};
pub use totals::SentTotals;
pub use track::{Track, TrackStats};
