//! Groups that are channels for as long as somebody asks for them over HTTP: those of `[http] open`, and no others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::event::{Follows, clock, lock};
use crate::relay::{Catalogue, Channel};
use crate::serve::{NotOpened, OpensGroups};
use crate::wire::source_url::{Scheme, SourceUrl};

use super::super::config::{ChannelConfig, ChannelSettings, Config, HttpConfig, Origin};
use super::announced::Bars;
use super::line_up::{LineUp, NoRoom};

/// Who asks for a channel has so long to begin to watch it.
const BEGINS_WITHIN: Duration = Duration::from_secs(5);

pub(in crate::ops) struct OpenGroups {
    http: HttpConfig,
    bars: Arc<Bars>,
    line_up: Arc<LineUp>,
    catalogue: Arc<Catalogue>,
    /// The channels that were made, and when.
    channels: Mutex<HashMap<String, Instant>>,
}

impl OpenGroups {
    /// Those of a config, if it opens any.
    pub fn of(
        config: &Config,
        bars: &Arc<Bars>,
        line_up: &Arc<LineUp>,
        catalogue: &Arc<Catalogue>,
    ) -> Option<Arc<Self>> {
        let http = config.http.clone().filter(|http| !http.open.is_empty())?;
        let (line_up, catalogue) = (line_up.clone(), catalogue.clone());
        Some(Arc::new(Self { http, bars: bars.clone(), line_up, catalogue, channels: Mutex::default() }))
    }

    /// How many are channels now, and how many may be.
    pub fn fill(&self) -> (usize, usize) {
        (lock(&self.channels).len(), self.http.open_channels)
    }

    /// Has a group be a channel that was one by this name in another process.
    pub fn open_again(&self, name: &str) {
        let source =
            name.split_once('/').and_then(|(folder, group)| format!("{folder}://{group}").parse().ok());
        let opened = source.map(|source: SourceUrl| self.open(&source));
        if let Some(Err(error)) = opened {
            tracing::warn!(channel = name, ?error, "a group that was watched can not be opened any more");
        }
    }

    fn is_open(&self, source: &SourceUrl) -> bool {
        let own = self.http.interface.as_ref().map(ToString::to_string);
        let is_named = source.interface.is_none() || source.interface == own;
        is_named && self.http.open.iter().any(|network| network.contains(&source.group))
    }

    fn config(&self, name: &str, source: &SourceUrl) -> ChannelConfig {
        let (interface, on_demand) = (self.http.interface.clone(), Some(self.http.linger));
        ChannelConfig {
            name: name.to_owned(),
            input: source.to_string(),
            file: None,
            presentation: source.presentation(name),
            origin: Origin::Groups,
            standby: None,
            settings: ChannelSettings { interface, on_demand, ..ChannelSettings::default() },
            multicast_out: None,
        }
    }
}

impl OpensGroups for OpenGroups {
    fn name(&self, source: &SourceUrl) -> Option<String> {
        let bare = SourceUrl { interface: None, ..source.clone() }.to_string();
        let (_, group) = bare.split_once("://")?;
        let folder = if source.scheme == Scheme::Rtp { "rtp" } else { "udp" };
        self.is_open(source).then(|| format!("{folder}/{group}"))
    }

    fn open(&self, source: &SourceUrl) -> Result<Arc<Channel>, NotOpened> {
        let name = self.name(source).ok_or(NotOpened::Barred)?;
        let config = self.config(&name, source);
        self.bars.check(&config.presentation).map_err(|_| NotOpened::Barred)?;
        let mut channels = lock(&self.channels);
        if channels.len() >= self.http.open_channels && !channels.contains_key(&name) {
            return Err(NotOpened::Full);
        }
        match self.line_up.add(&config) {
            Ok(()) => {
                tracing::info!(channel = name, "a group was asked for over HTTP, and is a channel");
                channels.insert(name.clone(), clock::now());
            }
            Err(NoRoom::Name(_)) => {}
            Err(NoRoom::Line | NoRoom::Channels) => return Err(NotOpened::Full),
            Err(NoRoom::Loop(_)) => return Err(NotOpened::Barred),
        }
        self.catalogue.find(&name).ok_or(NotOpened::Full)
    }
}

impl Follows for OpenGroups {
    const TASK: &'static str = "OpenGroups";

    /// Nobody wants some of them any more.
    fn look(&self) {
        let now = clock::now();
        let mut channels = lock(&self.channels);
        let is_over = |name: &str, since: Instant| {
            let is_wanted = self.catalogue.find(name).is_some_and(|channel| channel.demand.is_there(now));
            !is_wanted && now >= since + BEGINS_WITHIN
        };
        let over: Vec<_> = channels
            .iter()
            .filter(|(name, since)| is_over(name, **since))
            .map(|(name, _)| name.clone())
            .collect();
        for name in over {
            channels.remove(&name);
            self.line_up.close(&name);
            tracing::info!(channel = name, "served no longer: nobody asks for the group any more");
        }
    }
}
