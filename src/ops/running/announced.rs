//! Announced sessions in the line-up: which settings their channels have, and which can be none.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use crate::event::{Poller, lock};
use crate::ingest::announce::{self, Besides, Hearing, Places, Refusal, Refused};
use crate::wire::sdp::{Feed, Presentation};

use super::super::config::{ChannelConfig, ChannelSettings, Config, Origin, SapConfig, UdpPorts};
use super::line_up::LineUp;

/// Makes channels of what is announced.
struct Announced {
    line_up: Arc<LineUp>,
    settings: ChannelSettings,
    bars: Arc<Bars>,
    /// The names of those that were made.
    channels: Mutex<HashSet<String>>,
}

/// What no channel that others name may come from; another config has others.
pub(in crate::ops) struct Bars(Mutex<Barred>);

struct Barred {
    /// Where our own channels are sent.
    out_groups: HashSet<IpAddr>,
    /// Ports of which a channel takes whatever is sent to this machine: of several sockets the kernel would choose one.
    taken_ports: HashSet<(u16, bool)>,
    /// The ports that media leaves from, and the families that it does so by.
    udp_ports: UdpPorts,
    listen: Vec<SocketAddr>,
}

/// Who hears what is announced, where the config has it heard.
pub(super) fn hearing(
    config: &Config,
    bars: &Arc<Bars>,
    line_up: &Arc<LineUp>,
    poller: &Arc<Poller>,
) -> Option<Arc<Hearing>> {
    let SapConfig { rules, groups, interface, on_demand } = config.sap.clone()?;
    let places = Places { groups, interface: interface.as_ref().map(ToString::to_string) };
    let settings = ChannelSettings { interface, on_demand, ..ChannelSettings::default() };
    let announced =
        Announced { line_up: line_up.clone(), settings, bars: bars.clone(), channels: Mutex::default() };
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

impl Bars {
    pub(super) fn of(config: &Config) -> Self {
        Self(Mutex::new(Barred::of(config)))
    }

    /// They are those of this config from now on.
    pub(super) fn be(&self, config: &Config) {
        *lock(&self.0) = Barred::of(config);
    }

    pub(super) fn check(&self, presentation: &Presentation) -> Result<(), Refused> {
        lock(&self.0).check(presentation)
    }
}

impl Barred {
    fn of(config: &Config) -> Self {
        let outs = config.channels.iter().filter_map(|channel| channel.multicast_out.as_ref());
        Self {
            out_groups: outs.map(|out| out.group.ip()).collect(),
            taken_ports: taken_ports(config),
            udp_ports: config.rtsp.udp_ports,
            listen: config.rtsp.listen.clone(),
        }
    }

    fn check(&self, presentation: &Presentation) -> Result<(), Refused> {
        let feeds = || presentation.tracks.iter().flat_map(|track| &track.feeds);
        if feeds().any(|feed| self.out_groups.contains(&feed.group)) {
            return Err(Refusal::Barred.into());
        }
        for (port, is_ipv4) in feeds().flat_map(ports_of) {
            if self.taken_ports.contains(&(port, is_ipv4)) {
                return Err(Refusal::Barred.into());
            }
            let is_served = self.listen.iter().any(|listen| listen.is_ipv4() == is_ipv4);
            if is_served && self.udp_ports.holds(port) {
                let why =
                    format!("its UDP port {port} is one of [rtsp] udp_ports, from which viewers get media");
                return Err(Refused(Refusal::Port, Some(why)));
            }
        }
        Ok(())
    }
}

impl Besides for Announced {
    fn is_taken(&self, name: &str) -> bool {
        self.line_up.has(name)
    }

    fn may_be(&self, presentation: &Presentation) -> Result<(), Refused> {
        self.bars.check(presentation)
    }
}

impl announce::LineUp for Announced {
    fn put(&self, name: &str, presentation: &Presentation) -> Result<(), String> {
        let config = ChannelConfig {
            name: name.to_owned(),
            input: "an announcement".to_owned(),
            file: None,
            presentation: presentation.clone(),
            origin: Origin::Groups,
            standby: None,
            settings: self.settings.clone(),
            multicast_out: None,
        };
        let mut channels = lock(&self.channels);
        // It is known as ours before there is anything of it, so that all of it goes whatever happens on the way.
        let opened = match channels.insert(name.to_owned()) {
            true => self.line_up.add(&config).inspect_err(|_| {
                channels.remove(name);
            }),
            false => self.line_up.change(&config),
        };
        opened.map_err(|error| error.to_string())
    }

    fn take(&self, name: &str) -> bool {
        let was_there = lock(&self.channels).remove(name);
        if was_there {
            self.line_up.close(name);
        }
        was_there
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sdp;
    use std::path::Path;

    #[test]
    fn what_comes_to_a_port_of_the_viewers_is_no_channel() {
        let text = "[rtsp]\nlisten = [\"127.0.0.1:8554\"]\nudp_ports = \"7000-7009\"\n[[channel]]\nname = \"all\"\n\
                    source = \"udp://@:5004\"\n";
        let config = Config::parse(text, Path::new("test")).unwrap_or_else(|error| panic!("{error}"));
        let bars = Bars::of(&config);
        let refusal = |group: [u8; 4], port| {
            let session = sdp::mpegts("x", group.into(), port, None);
            bars.check(&session).map_err(|Refused(refusal, why)| (refusal, why.is_some()))
        };
        let group = [239, 1, 1, 1];
        assert_eq!([6998, 7010].map(|port| refusal(group, port)), [Ok(()), Ok(())]);
        assert_eq!([7000, 7009].map(|port| refusal(group, port)), [Err((Refusal::Port, true)); 2]);
        assert_eq!(refusal(group, 5004), Err((Refusal::Barred, false)));
        let ipv6 = sdp::mpegts("x", "ff05::1".parse().expect("right"), 7000, None);
        assert_eq!(bars.check(&ipv6), Ok(()), "nobody is served by IPv6");
    }
}
