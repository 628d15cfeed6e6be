//! How viewers are served: RTSP/1.0, plain, through TLS and by a tunnel; media over shared UDP port pairs, by multicast or
//! interleaved in the connection.
//!
//! ```text
//!  Listener ─▶ a door (tls/, http/, RtspListener)
//!                    ▼
//!              RtspConnection ─▶ RtspTask ─▶ rtsp/: a conversation, its sessions ─▶ actions
//!                    │  access/: who asks for what                                       │
//!                    │  guard/: who may watch what                                       │
//!                    │  journal/: what the log tells                                     ▼
//!                    └─ stream/: Output (a StreamSink) ◀── interleaved ──┬── media/: ways of a track
//!                                          port pairs, out-groups ◀──────┘
//!  moving/: all of that goes on in another process
//! ```

mod access;
mod actions;
mod admission;
mod announcer;
mod arrival;
mod attendance;
mod awaiting;
mod bounds;
mod certificates;
mod connection_watch;
mod downstream;
mod front_door;
mod guard;
mod http;
mod journal;
mod kept;
mod listener;
mod listing;
mod media;
mod moving;
mod preview;
mod reasons;
mod refusal_watch;
mod relocation;
mod reporter;
mod rerun;
mod rtsp;
mod rtsp_connection;
mod rtsp_listener;
mod rtsp_server;
mod saying;
mod send_on;
mod session_watch;
mod stats;
mod stream;
#[cfg(all(test, not(model)))]
mod tests;
mod tls;
mod watchers;

pub use announcer::{Announcer, AnnouncerStats};
pub use certificates::{BadPair, Certificates, KeyFiles};
pub use front_door::FrontDoor;
pub use guard::{
    Access, AccessConfig, AccessStats, Acquaintance, Asked, DoorRules, FailureLimits, Networks, OverHttp,
    Rule, Scope, User, Users, UsersError, Verdict, Who, WrongLine, check_name, read_users, write_users,
};
pub use http::{NotOpened, OpensGroups, Site, SiteConfig};
pub use journal::{SoFar, TurnedAway, legible};
pub use listener::Listener;
pub use listing::Listing;
pub use media::{Learning, OutGroup};
pub use moving::{Household, NotMoved, Removal};
pub use preview::{NoPreview, Preview, Previews};
/// What the fuzz target of that name exercises.
#[cfg(fuzzing)]
pub use rtsp::exercise as conversation;
pub use rtsp::{Quality, RepairAgents, WatchedTrack};
pub use rtsp_server::{Limits, RtspServer, ServerConfig};
pub use stats::ServerStats;
pub use watchers::Watcher;
