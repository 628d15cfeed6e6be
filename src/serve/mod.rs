//! How viewers are served: RTSP/1.0, over shared UDP port pairs or interleaved in the connection.
//!
//! ```text
//!  RtspListener ─▶ RtspConnection ─▶ RtspTask ─▶ requests ─▶ Session ─▶ Subscription in a track's lanes
//!                        │                                      │
//!                        └─ Output (a StreamSink): replies and  └─ PortPair: one RTP and one RTCP socket
//!                           interleaved packets, in order          for all; RtcpReceiver reads reports
//! ```

mod addresses;
mod admission;
mod bounds;
mod connection_watch;
mod inbox;
mod legible;
mod output;
mod patience;
mod port_pairs;
mod refusal_watch;
mod reporter;
mod requests;
mod restraint;
mod rtcp_receiver;
mod rtsp_connection;
mod rtsp_listener;
mod rtsp_server;
mod session;
mod session_watch;
mod sessions;
mod setup;
mod stats;
mod story;
mod teller;
mod turns;
mod writer;

pub use rtsp_listener::RtspListener;
pub use rtsp_server::{Limits, RtspServer, ServerConfig};
pub use session::Session;
pub use setup::Quality;
pub use stats::ServerStats;
