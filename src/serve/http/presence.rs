//! How the site presents itself, and where else its channels are to be had.

use std::sync::{Arc, Mutex, OnceLock};

use jiff::tz::TimeZone;

use crate::event::lock;

/// How a site presents itself.
#[derive(Debug, Clone)]
pub struct SiteConfig {
    /// Where it is to be found, by scheme, host and port, in place of what clients call it.
    pub url: Option<String>,
    /// What it is called.
    pub name: String,
    /// Where players find the programme of its channels.
    pub guide: Option<String>,
    /// That of clocks on the wall, where times are written by one.
    pub time_zone: TimeZone,
}

/// Of one site.
pub(super) struct Presence {
    config: Mutex<Arc<SiteConfig>>,
    /// Where RTSP is served, in the clear and through TLS.
    ports: [OnceLock<u16>; 2],
}

impl Presence {
    pub fn new(config: SiteConfig) -> Self {
        Self { config: Mutex::new(Arc::new(config)), ports: Default::default() }
    }

    pub fn config(&self) -> Arc<SiteConfig> {
        lock(&self.config).clone()
    }

    /// It presents itself so from now on.
    pub fn be(&self, config: SiteConfig) {
        *lock(&self.config) = Arc::new(config);
    }

    /// RTSP is served at this port.
    pub fn rtsp_is_at(&self, port: u16, is_secret: bool) {
        let _ = self.ports[usize::from(is_secret)].set(port); // the first is told of
    }

    /// By which scheme and where RTSP is served to who has come so; whoever came through TLS is not led out of it.
    pub fn rtsp_port(&self, is_secret: bool) -> Option<(&'static str, u16)> {
        let port = self.ports[usize::from(is_secret)].get()?;
        Some((if is_secret { "rtsps" } else { "rtsp" }, *port))
    }
}
