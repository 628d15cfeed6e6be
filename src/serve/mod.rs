//! How viewers are served: RTSP/1.0, over shared UDP port pairs or interleaved in the connection.
//!
//! ```text
//!  RtspListener ─▶ RtspConnection ─▶ RtspTask ─▶ rtsp/: a conversation, its sessions ─▶ actions
//!                    │  access/: who asks for what                                       │
//!                    │  journal/: what the log tells                                     ▼
//!                    └─ stream/: Output (a StreamSink) ◀── interleaved ──┬── media/: ways of a track
//!                                                     port pairs ◀───────┘
//! ```

mod access;
mod admission;
mod bounds;
mod journal;
mod media;
mod refusal_watch;
mod reporter;
mod rtsp;
mod rtsp_connection;
mod rtsp_listener;
mod rtsp_server;
mod session_watch;
mod stats;
mod stream;
#[cfg(all(test, not(model)))]
mod tests;

pub use media::OutGroup;
pub use rtsp::Quality;
/// What the fuzz target of that name exercises.
#[cfg(fuzzing)]
pub use rtsp::exercise as conversation;
pub use rtsp_listener::RtspListener;
pub use rtsp_server::{Limits, RtspServer, ServerConfig};
pub use stats::ServerStats;
