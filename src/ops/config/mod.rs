//! The operator's config, in two steps: what was typed, and what is true.
//!
//! ```text
//! mirrorball.toml ─▶ encoding ─▶ syntax ─▶ section ─▶ typed ─▶ resolve ─▶ truth (Config)
//!                       │          │          │                  │
//!                       └──────────┴─ report ◀┴──────────────────┘   every error, each with its line and remedy
//! ```
//!
//! Nothing here opens a socket or looks at an interface: a config may be checked on another machine
//! than the one that serves it.

mod access;
mod admin;
mod channel;
mod description;
mod directory;
mod encoding;
mod explain;
mod files;
mod groups;
mod http;
mod input;
mod kept;
mod keys;
mod lasting;
mod legs;
mod library;
mod load;
mod operators;
mod out_groups;
mod pairs;
mod password;
mod pulled;
mod recordings;
mod remedy;
mod repair;
mod report;
mod resolve;
mod sameness;
mod sap;
mod scalar;
mod section;
mod shown;
mod statements;
mod storage;
mod syntax;
mod tls;
mod tokens;
mod truth;
mod truth_channel;
mod typed;
mod typed_admin;
mod typed_channel;
mod typed_http;
mod typed_library;
mod typed_storage;
mod unreadable;
mod within;

#[cfg(test)]
pub(crate) mod tests;

pub(crate) use channel::MOST_CHANNELS;
pub(crate) use description::{MOST_DESCRIPTIONS, described_by, descriptions_in};
pub use explain::explain;
pub(crate) use groups::{Remark, remark};
pub use keys::{KEYS, Key, Section};
pub(crate) use lasting::waiting;
pub use operators::{AdminConfig, Role};
pub use report::{ConfigError, Excerpt, Problem};
pub(crate) use scalar::interface;
pub use storage::{LibraryConfig, StorageConfig};
pub use truth::{
    AccessConfig, Config, EngineConfig, HttpConfig, LimitsConfig, LogConfig, RingConfig, RtspConfig,
    SapConfig, TlsConfig, UdpPorts,
};
pub use truth_channel::{ChannelConfig, ChannelSettings, DirectoryConfig, Interface, MulticastOut, Origin};
pub(crate) use unreadable::{user_name, why_no_users};
