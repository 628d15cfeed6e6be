//! Announced sessions in the line-up: which settings their channels have, and which can be none.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use crate::event::{Poller, lock};
use crate::ingest::announce::{self, Besides, Hearing, Places};
use crate::wire::sdp::{Feed, Presentation};

use super::config::{ChannelConfig, ChannelSettings, Config, SapConfig};
use super::line_up::LineUp;

/// Makes channels of what is announced.
struct Announced {
    line_up: Arc<LineUp>,
    settings: ChannelSettings,
    /// Where our own channels are sent.
    out_groups: HashSet<IpAddr>,
    /// Ports of which a channel takes whatever is sent to this machine: of several sockets the kernel would choose one.
    taken_ports: HashSet<(u16, bool)>,
    /// The names of those that were made.
    channels: Mutex<HashSet<String>>,
}

/// Who hears what is announced, where the config has it heard.
pub(super) fn hearing(config: &Config, line_up: &Arc<LineUp>, poller: &Arc<Poller>) -> Option<Arc<Hearing>> {
    let SapConfig { rules, groups, interface, on_demand } = config.sap.clone()?;
    let outs = config.channels.iter().filter_map(|channel| channel.multicast_out.as_ref());
    let places = Places { groups, interface: interface.as_ref().map(ToString::to_string) };
    let settings = ChannelSettings { interface, on_demand, ..ChannelSettings::default() };
    let announced = Announced {
        line_up: line_up.clone(),
        settings,
        out_groups: outs.map(|out| out.group.ip()).collect(),
        taken_ports: taken_ports(config),
        channels: Mutex::default(),
    };
    Some(Hearing::new(rules, places, Arc::new(announced), poller.clone()))
}

fn taken_ports(config: &Config) -> HashSet<(u16, bool)> {
    let tracks = config.channels.iter().flat_map(|channel| &channel.presentation.tracks);
    let feeds = tracks.flat_map(|track| &track.feeds).filter(|feed| feed.group.is_unspecified());
    feeds.flat_map(ports_of).collect()
}

/// By family.
fn ports_of(feed: &Feed) -> impl Iterator<Item = (u16, bool)> {
    let family = feed.group.is_ipv4();
    [Some(feed.port), feed.rtcp_port].into_iter().flatten().map(move |port| (port, family))
}

impl Besides for Announced {
    fn is_taken(&self, name: &str) -> bool {
        self.line_up.has(name)
    }

    fn is_barred(&self, presentation: &Presentation) -> bool {
        let mut feeds = presentation.tracks.iter().flat_map(|track| &track.feeds);
        feeds.any(|feed| {
            self.out_groups.contains(&feed.group)
                || ports_of(feed).any(|port| self.taken_ports.contains(&port))
        })
    }
}

impl announce::LineUp for Announced {
    fn put(&self, name: &str, presentation: &Presentation) {
        let config = ChannelConfig {
            name: name.to_owned(),
            input: "an announcement".to_owned(),
            presentation: presentation.clone(),
            pull: None,
            settings: self.settings.clone(),
            multicast_out: None,
        };
        let mut channels = lock(&self.channels);
        let opened = match channels.take(name) {
            Some(_) => self.line_up.change(&config),
            None => self.line_up.add(&config),
        };
        match opened {
            Ok(()) => drop(channels.insert(config.name)),
            Err(error) => tracing::warn!("what is announced is not served: {error}"),
        }
    }

    fn take(&self, name: &str) {
        if lock(&self.channels).remove(name) {
            self.line_up.close(name);
        }
    }
}
