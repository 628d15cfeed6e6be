//! The shape of a report: one JSON object a line.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What one run showed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// Which relay: `bare`, `mirrorball`.
    pub relay: String,
    /// `udp` or `tcp`.
    pub transport: String,
    /// Subscribers of all channels together.
    pub subscribers: usize,
    /// Channels.
    pub channels: usize,
    /// Ports that the channels' groups are spread over.
    #[serde(default = "one")]
    pub ports: usize,
    /// Cores that the relay may run on; the second one is that of source and receivers.
    #[serde(default = "one")]
    pub cores: usize,
    /// Packets a second of each channel.
    #[serde(default = "usual_rate")]
    pub rate: u64,
    /// The hold as it was asked for: `0ms`, `auto`.
    pub hold: String,
    /// Packets in a hundred that subscribers lose on purpose, and ask for again.
    #[serde(default)]
    pub lose_percent: f64,
    /// How many they asked for, each time.
    #[serde(default)]
    pub asked: u64,
    /// How many they got so.
    #[serde(default)]
    pub repaired: u64,
    /// From asking to getting.
    #[serde(default)]
    pub repair_p50_ms: f64,
    /// The same.
    #[serde(default)]
    pub repair_p99_ms: f64,
    /// Length of the window.
    pub seconds: f64,
    /// Packets that subscribers had to get in the window.
    pub expected: u64,
    /// Those that they did not get.
    pub lost: u64,
    /// Packets that came behind a later one, or twice.
    pub reordered: u64,
    /// Packets, or frames, that are not as the source sent them.
    pub damaged: u64,
    /// The relay's CPU time per packet that arrived, its cores' softirq threads included.
    pub cpu_us_per_packet: f64,
    /// Cores that the relay kept busy.
    pub relay_cpu: f64,
    /// Cores that the softirq threads of the relay's cores kept busy.
    pub softirq_cpu: f64,
    /// Cores that the receiving program kept busy: at 1 it is the bottleneck.
    pub view_cpu: f64,
    /// From the source's sending to the subscriber.
    pub p50_ms: f64,
    /// The same.
    pub p99_ms: f64,
    /// The same.
    pub max_ms: f64,
    /// Subscribers who watch what comes beside others who watch the past: the delays above are of those alone.
    #[serde(default)]
    pub beside: usize,
    /// From the source's sending to them.
    #[serde(default)]
    pub beside_p99_ms: f64,
    /// How many packets the delays are of.
    pub delays_of: u64,
    /// Datagrams that the relay read.
    #[serde(default)]
    pub received: u64,
    /// Cores that the relay's threads kept busy, by their names without numbers.
    #[serde(default)]
    pub threads: BTreeMap<String, f64>,
    /// Datagrams dropped at the relay's receive buffers.
    pub relay_drops: u64,
    /// Datagrams dropped at the subscribers' receive buffers: the receiving program was too slow.
    pub view_drops: u64,
    /// The relay's resident memory at the end.
    pub resident_bytes: u64,
    /// Subscribers that stopped reading for a while; their packets are not among those expected.
    pub stalled: usize,
    /// What they lost of what was sent to them.
    pub stalled_lost: u64,
}

impl Report {
    /// What makes two reports those of the same experiment with the same relay.
    pub fn same_run(&self, other: &Self) -> bool {
        self.same_but_for_loss(other) && self.lose_percent == other.lose_percent
    }

    /// What makes two reports those of the same experiment but for what is lost on purpose.
    pub fn same_but_for_loss(&self, other: &Self) -> bool {
        self.relay == other.relay && self.same_load(other) && self.hold == other.hold
    }

    /// What makes two reports comparable but for relay and hold.
    pub fn same_load(&self, other: &Self) -> bool {
        (&self.transport, self.subscribers, self.channels, self.ports, self.rate, self.cores)
            == (&other.transport, other.subscribers, other.channels, other.ports, other.rate, other.cores)
            && self.beside == other.beside
    }

    /// The load in words.
    pub fn load(&self) -> String {
        let mut text = format!("{} {}", self.subscribers, self.transport);
        if self.channels > 1 {
            text += &format!(" in {} channels", self.channels);
        }
        if self.ports > 1 {
            text += &format!(" on {} ports", self.ports);
        }
        if self.cores > 1 {
            text += &format!(", {} cores", self.cores);
        }
        if self.beside > 0 {
            text += &format!(", {} of them live", self.beside);
        }
        if self.lose_percent > 0.0 {
            text += &format!(", {} % lost", self.lose_percent);
        }
        text
    }

    /// Lost packets of those expected.
    pub fn loss(&self) -> f64 {
        self.lost as f64 / self.expected.max(1) as f64
    }
}

/// What earlier reports do not say.
fn one() -> usize {
    1
}

fn usual_rate() -> u64 {
    800
}
