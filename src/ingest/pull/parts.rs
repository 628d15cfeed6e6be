//! What is to be pulled, and what all streams share that are.

use std::sync::Arc;

use crate::event::{Poller, TaskQueue, Timers};
use crate::relay::{Busy, Opens};
use crate::wire::rtsp::{Login, Url};

use super::journey::port;
use super::link::Transport;
use super::names::Names;
use super::trust::Trust;

/// One stream that is to be pulled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pull {
    /// The channel that it becomes.
    pub name: String,
    /// Where it is, without user and password.
    pub url: Url,
    /// Who asks for it.
    pub login: Option<Login>,
    /// How it comes.
    pub transport: Transport,
    /// Whom is trusted, through TLS.
    pub trust: Option<Trust>,
}

impl Pull {
    /// Its server's host and port, which is what may be told of the URL.
    #[must_use]
    pub fn server(&self) -> String {
        format!("{}:{}", self.url.host_str().unwrap_or_default(), port(&self.url))
    }
}

/// What all streams share.
pub(super) struct Parts {
    pub poller: Arc<Poller>,
    pub timers: Arc<Timers>,
    pub media: Arc<TaskQueue>,
    pub control: Arc<TaskQueue>,
    pub busy: Arc<Busy>,
    pub names: Names,
    /// What this program is called among those that pull.
    pub instance: String,
    pub opens: Arc<dyn Opens>,
}
