//! The shape of a storm's report: one JSON object a line.

use serde::{Deserialize, Serialize};

use super::slices::{self, Slice};

/// A slice is late if its p99 is above so many times that of calm.
pub const LATE_RATIO: f64 = 2.0;

/// What one storm showed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// The relay's name.
    pub relay: String,
    /// What happened at once.
    pub storm: String,
    /// `udp` or `tcp`.
    pub transport: String,
    /// The hold as it was asked for: `0 ms`, `auto`.
    pub hold: String,
    /// From the storm's beginning until all were done: had joined, had left, played again.
    pub done_s: f64,
    /// Until the first one played: after a restart, how long nobody was served.
    pub first_s: Option<f64>,
    /// Viewers who were not done when patience was at its end.
    pub missing: usize,
    /// Requests that the relay refused, and its last words.
    pub refused: u64,
    pub refusal: Option<String>,
    /// Connections that could not be made, or ended within their handshake.
    pub failed: u64,
    /// Who changed to another channel: from the wish until the first packet.
    #[serde(default)]
    pub changes: Option<Changes>,
    /// Noise: how often a second.
    pub noise_per_s: Option<f64>,
    /// Resident memory of the relay, in MiB: before the storm, at its end, and in the calm after it.
    #[serde(default)]
    pub relay_mib: Option<[f64; 3]>,
    /// Packets that are not as the source sent them.
    pub damaged: u64,
    /// Datagrams dropped at the viewers' receive buffers: the receiving program was too slow.
    pub view_drops: u64,
    /// Cores kept busy during the storm: by the relay, and by viewers and source. At 1 they are the bottleneck.
    pub relay_cpu: f64,
    pub view_cpu: f64,
    /// The same in the calm after the storm.
    pub relay_cpu_calm: f64,
    pub view_cpu_calm: f64,
    /// The viewers of the storm.
    pub viewers: CrowdReport,
    /// Those who play another channel.
    pub others: CrowdReport,
}

/// How soon another channel came.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Changes {
    /// Viewers to whom it came.
    pub viewers: u64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
}

/// What one crowd had of it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct CrowdReport {
    pub size: usize,
    /// p99 in the calm before the storm, and after it when all had settled.
    pub before_ms: Option<f64>,
    pub after_ms: Option<f64>,
    /// p99 of all that was sent from the storm's beginning until all were done.
    #[serde(default)]
    pub during_ms: Option<f64>,
    /// The longest delay from the storm's beginning until the calm after it.
    #[serde(default)]
    pub longest_ms: Option<f64>,
    /// The highest p99 of a slice from the storm's beginning until the calm after it.
    pub worst_ms: Option<f64>,
    /// The worst by calm: after the storm, or before it where that is the same load.
    pub ratio: Option<f64>,
    /// The worst by the other calm.
    #[serde(default)]
    pub ratio_to_other: Option<f64>,
    /// For how long p99 was above twice that.
    pub late_s: Option<f64>,
    /// Packets that they had to get from the first of each on, those they did not, and how many missed any.
    pub expected: u64,
    pub lost: u64,
    pub losers: u64,
    /// Packets that came behind a later one, or twice.
    pub reordered: u64,
    /// p99 over time.
    pub slices: Vec<Slice>,
}

impl Report {
    /// What makes two reports those of the same experiment with the same relay.
    pub fn same_run(&self, other: &Self) -> bool {
        self.relay == other.relay && self.hold == other.hold && self.same_storm(other)
    }

    /// What makes two reports comparable.
    pub fn same_storm(&self, other: &Self) -> bool {
        let what = |report: &Self| (report.viewers.size, report.others.size);
        self.storm == other.storm && self.transport == other.transport && what(self) == what(other)
    }

    /// Packets lost by all.
    pub fn lost(&self) -> u64 {
        self.viewers.lost + self.others.lost
    }

    /// The worst p99 of both crowds.
    pub fn worst_ms(&self) -> f64 {
        self.viewers.worst_ms.into_iter().chain(self.others.worst_ms).fold(0.0, f64::max)
    }
}

impl CrowdReport {
    /// Fills in what follows from the slices of the storm, compared to one of both calms and to the other.
    pub fn compare(&mut self, storm: &[Slice], calm_ms: Option<f64>, other_ms: Option<f64>) {
        let worst_ms = slices::worst_ms(storm);
        let ratio = |to_ms: Option<f64>| worst_ms.zip(to_ms).map(|(worst_ms, to_ms)| worst_ms / to_ms);
        let late_s = |calm_ms: f64| slices::late_s(storm, calm_ms * LATE_RATIO);
        self.worst_ms = worst_ms;
        self.ratio = ratio(calm_ms);
        self.ratio_to_other = ratio(other_ms);
        self.late_s = worst_ms.and(calm_ms).map(late_s);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_is_compared_to_its_calm() {
        let slices: Vec<_> = [5.0, 50.0, 11.0, 9.0]
            .iter()
            .zip(0..)
            .map(|(&p99_ms, index)| Slice { at_s: f64::from(index) / 4.0, p99_ms, packets: 1000 })
            .collect();
        let mut crowd = CrowdReport::default();
        crowd.compare(&slices, Some(5.0), Some(2.0));
        assert_eq!((crowd.worst_ms, crowd.ratio, crowd.late_s), (Some(50.0), Some(10.0), Some(0.5)));
        assert_eq!(crowd.ratio_to_other, Some(25.0));
        crowd.compare(&slices, None, None);
        assert_eq!((crowd.worst_ms, crowd.ratio, crowd.late_s), (Some(50.0), None, None));
    }
}
