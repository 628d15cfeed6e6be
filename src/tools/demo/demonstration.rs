//! The demo as a whole: the built-in programme, and an appliance that serves it.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::event::clock;
use crate::net::address_for_others;
use crate::ops::config::{ChannelConfig, ChannelSettings, Config, ConfigError, Interface, Origin};
use crate::ops::{Appliance, StartError};
use crate::relay::Carriage;
use crate::wire::sdp::{self, InvalidSdp};

use super::{Programme, ProgrammeConfig, Snapshot, banner, status_line};

const CHANNEL: &str = "demo";
const SILENT_AFTER: Duration = Duration::from_secs(2);

/// A running demo.
pub struct Demonstration {
    appliance: Appliance,
    programme: Programme,
    previous: Reading,
}

/// Why there is no demo.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The test programme can not be sent.
    #[error(
        "the test programme can not be sent on the loopback interface: {0} (is `lo` up? `ip link set lo up`)"
    )]
    Programme(#[from] io::Error),
    /// An address is taken, or the like.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The demo's own config is wrong.
    #[error("the demo's own config is wrong, which is a bug: {0}")]
    Config(#[from] ConfigError),
    /// The programme's own description is wrong.
    #[error("the demo's own description is wrong, which is a bug: {0}")]
    Description(#[from] InvalidSdp),
}

/// What to write for an address that is listened on, so that others can open it too: of all that this machine has, one.
fn reachable(address: SocketAddr) -> SocketAddr {
    let for_others = address_for_others().filter(|_| address.ip().is_unspecified());
    for_others.map_or(address, |ip| SocketAddr::new(ip, address.port()))
}

/// Counters at one moment.
#[derive(Clone, Copy)]
struct Reading {
    at: Instant,
    packets_in: u64,
    packets_out: u64,
}

impl Demonstration {
    /// Sends the programme and serves it at `listen`.
    pub fn start(listen: SocketAddr, admin: SocketAddr) -> Result<Self, DemoError> {
        let sent_on = ProgrammeConfig::default();
        let interface = Interface::Address(sent_on.interface.into());
        let programme = Programme::start(sent_on)?;
        let text =
            format!("[rtsp]\nlisten = [\"{listen}\"]\nudp_ports = \"0\"\n[admin]\nlisten = \"{admin}\"\n");
        let mut config = Config::parse(&text, Path::new("demo"))?;
        config.channels.push(ChannelConfig {
            name: CHANNEL.to_owned(),
            input: "the built-in programme".to_owned(),
            file: None,
            presentation: sdp::parse(programme.sdp().as_bytes())?,
            origin: Origin::Groups,
            standby: None,
            settings: ChannelSettings {
                interface: Some(interface),
                silent_after: SILENT_AFTER,
                ..ChannelSettings::default()
            },
            multicast_out: None,
        });
        let appliance = Appliance::start(&config)?;
        let previous = Reading { at: clock::now(), packets_in: 0, packets_out: 0 };
        Ok(Self { appliance, programme, previous })
    }

    /// What to open.
    pub fn banner(&self) -> String {
        let rtsp = reachable(self.appliance.rtsp_addresses()[0]); // the demo listens on one address
        let admin = reachable(self.appliance.admin_address());
        banner(&format!("rtsp://{rtsp}/{CHANNEL}"), &format!("http://{admin}/metrics"))
    }

    /// The figures since the last call.
    pub fn status_line(&mut self) -> String {
        status_line(&self.snapshot(clock::now()))
    }

    /// Stops the programme and everything else.
    pub fn stop(self) {
        self.appliance.stop();
        self.programme.stop();
    }

    fn snapshot(&mut self, now: Instant) -> Snapshot {
        let engine = self.appliance.engine();
        let mut snapshot =
            Snapshot { uptime: now.saturating_duration_since(engine.started_at), ..Snapshot::default() };
        let mut reading = Reading { at: now, packets_in: 0, packets_out: 0 };
        for channel in engine.catalogue.channels() {
            for (by, _) in Carriage::ALL {
                let subscribers = channel.audience.by(by) as u64;
                match by {
                    Carriage::Raw | Carriage::Multicast | Carriage::Udp => {
                        snapshot.subscribers_udp += subscribers
                    }
                    Carriage::Tcp | Carriage::Http => snapshot.subscribers_tcp += subscribers,
                }
            }
            for track in &channel.tracks {
                let reception = track.stats(now).reception;
                reading.packets_in += reception.packets();
                snapshot.lost += reception.missing();
                for sent in Carriage::ALL.map(|(by, _)| track.rtp.sent(by)) {
                    reading.packets_out += sent.packets;
                    snapshot.lost += sent.refused.iter().sum::<u64>() + sent.overrun;
                }
            }
        }
        let seconds = now.saturating_duration_since(self.previous.at).as_secs_f64().max(0.001);
        let rate = |now: u64, before: u64| (now.saturating_sub(before) as f64 / seconds).round() as u64;
        snapshot.packets_in_per_second = rate(reading.packets_in, self.previous.packets_in);
        snapshot.packets_out_per_second = rate(reading.packets_out, self.previous.packets_out);
        self.previous = reading;
        snapshot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_addresses_are_listened_on_for_is_written_as_one_that_can_be_opened() {
        let written = reachable("0.0.0.0:8554".parse().expect("an address"));
        let has_others = address_for_others().is_some();
        assert_eq!((written.ip().is_unspecified(), written.port()), (!has_others, 8554));
        let own: SocketAddr = "127.0.0.1:8554".parse().expect("an address");
        assert_eq!(reachable(own), own);
    }
}
