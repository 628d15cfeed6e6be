//! The operator's config, in two steps: what was typed, and what is true.
//!
//! ```text
//! mirrorball.toml ─▶ section ─▶ typed ─▶ resolve ─▶ truth (Config)
//!                       │                   │
//!                       └────── report ◀────┘   every error of the file, each with its line and remedy
//! ```
//!
//! Nothing here opens a socket or looks at an interface: a config may be checked on another machine
//! than the one that serves it.

mod channel;
mod keys;
mod load;
mod report;
mod resolve;
mod scalar;
mod section;
mod truth;
mod typed;

#[cfg(test)]
mod tests;

pub use keys::{KEYS, Key, Section};
pub use report::{ConfigError, Problem};
pub use truth::{
    AdminConfig, ChannelConfig, Config, EngineConfig, Interface, LimitsConfig, LogConfig, RingConfig,
    RtspConfig, UdpPorts,
};
