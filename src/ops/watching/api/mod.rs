//! `/api` without HTTP: what may be called, and what comes of it, in JSON. `docs/api.md` and `openapi.json` describe it.

mod channels;
mod filter;
mod operator;
mod refusals;
mod sessions;
mod status;

pub use filter::{Filter, client_of};
pub use operator::Operator;

use std::time::Duration;

use serde_json::{Map, Value};

/// What is called for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// The program, its config, its tables and queues.
    Status,
    /// All that a page shows of it.
    Overview,
    /// All channels.
    Channels,
    /// One of them.
    Channel(String),
    /// Who watches.
    Sessions(Filter),
    /// One of them.
    Session(u64),
    /// Who was refused, by reason; and lately, of clients whose address begins so.
    Refusals(Option<String>),
    /// To add a channel of these keys, or to change one that was added so.
    PutChannel(String, Map<String, Value>),
    /// To remove one that was added so.
    RemoveChannel(String),
    /// To end a session.
    EndSession(u64),
    /// To read the config again.
    Reload,
    /// To take nobody in any more; who is there may stay so long, or as long as the config says.
    Drain(Option<Duration>),
    /// To take everybody in again.
    Undrain,
}

/// Why nothing comes of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// As a status of HTTP.
    pub status: u16,
    /// In words, for who called; several lines where there are several errors.
    pub error: String,
}

impl Call {
    /// Whether it changes something.
    #[must_use]
    pub fn changes(&self) -> bool {
        match self {
            Self::PutChannel(..)
            | Self::RemoveChannel(_)
            | Self::EndSession(_)
            | Self::Reload
            | Self::Drain(_)
            | Self::Undrain => true,
            Self::Status
            | Self::Overview
            | Self::Channels
            | Self::Channel(_)
            | Self::Sessions(_)
            | Self::Session(_)
            | Self::Refusals(_) => false,
        }
    }
}

impl Problem {
    pub(super) fn new(status: u16, error: impl Into<String>) -> Self {
        Self { status, error: error.into() }
    }
}
