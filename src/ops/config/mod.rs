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
mod channel;
mod description;
mod directory;
mod encoding;
mod groups;
mod http;
mod keys;
mod legs;
mod load;
mod out_groups;
mod pairs;
mod password;
mod pulled;
mod remedy;
mod repair;
mod report;
mod resolve;
mod sap;
mod scalar;
mod section;
mod statements;
mod syntax;
mod tls;
mod truth;
mod typed;
mod typed_http;
mod unreadable;

#[cfg(test)]
mod tests;

pub(super) use channel::MOST_CHANNELS;
pub(super) use description::{MOST_DESCRIPTIONS, described_by, descriptions_in};
pub(super) use groups::{Remark, remark};
pub use keys::{KEYS, Key, Section};
pub use report::{ConfigError, Excerpt, Problem};
pub(super) use scalar::interface;
pub use truth::{
    AccessConfig, AdminConfig, ChannelConfig, ChannelSettings, Config, DirectoryConfig, EngineConfig,
    HttpConfig, Interface, LimitsConfig, LogConfig, MulticastOut, RingConfig, RtspConfig, SapConfig,
    TlsConfig, UdpPorts,
};
pub(super) use unreadable::why_no_users;
