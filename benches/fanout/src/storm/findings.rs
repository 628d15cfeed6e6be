//! What was found in the course of a storm, put together as its report.

use std::fs;
use std::path::PathBuf;

use crate::histogram::Histogram;
use crate::proc_files;
use crate::sys;

use super::clients::Clients;
use super::course::Options;
use super::crowds::{Crowd, Crowds};
use super::report::{Changes, CrowdReport, Report};
use super::slices::{self, SLICE_NS};

/// When the storm came, and what was used meanwhile.
pub struct Times {
    /// The calm before the storm is before this slice, the one after it from the other one on.
    pub storm_slice: usize,
    pub calm_slice: usize,
    pub end_slice: usize,
    pub storm: Sample,
    pub done: Sample,
    pub calm: Sample,
    pub end: Sample,
    pub onset: Onset,
}

/// How the storm itself went.
pub struct Onset {
    pub done_ns: u64,
    pub first_ns: Option<u64>,
    pub missing: usize,
    /// How much noise was made a second, and how much was refused in all.
    pub noise: Option<(f64, u64)>,
}

/// What is measured as a difference between two times.
pub struct Sample {
    pub at_ns: u64,
    relay_pid: u32,
    relay_ns: u64,
    relay_bytes: u64,
    softirq_ns: u64,
    view_ns: u64,
    refused: u64,
    failed: u64,
    view_drops: u64,
}

/// Where samples come from.
pub struct Sampler {
    relay_pid: PathBuf,
    relay_softirq: Vec<u32>,
    view_softirq: Vec<u32>,
    source_pid: u32,
}

impl Sampler {
    /// A sampler of these processes and cores.
    pub fn new(options: &Options) -> Self {
        Self {
            relay_pid: options.relay_pid.clone(),
            relay_softirq: proc_files::softirq_threads(&options.relay_core),
            view_softirq: proc_files::softirq_threads(&[options.core]),
            source_pid: options.source_pid,
        }
    }

    /// The relay's process by now.
    pub fn relay_pid(&self) -> u32 {
        let text = fs::read_to_string(&self.relay_pid).unwrap_or_default();
        text.trim().parse().unwrap_or(0)
    }

    /// All values now.
    pub fn sample(&self, clients: &Clients) -> Sample {
        let softirq_ns = |pids: &[u32]| pids.iter().map(|&pid| proc_files::cpu_used_ns(pid)).sum::<u64>();
        let source_ns = proc_files::cpu_used_ns(self.source_pid);
        let relay_pid = self.relay_pid();
        Sample {
            at_ns: sys::monotonic_ns(),
            relay_pid,
            relay_ns: proc_files::cpu_used_ns(relay_pid),
            relay_bytes: proc_files::resident_bytes(relay_pid),
            softirq_ns: softirq_ns(&self.relay_softirq),
            view_ns: sys::cpu_used_ns() + source_ns + softirq_ns(&self.view_softirq),
            refused: clients.refused,
            failed: clients.failed,
            view_drops: proc_files::receive_drops(std::process::id()),
        }
    }
}

impl Sample {
    /// Cores that the relay kept busy since; one that was started meanwhile has used nothing before.
    fn relay_cores(&self, since: &Self) -> f64 {
        let before_ns = if self.relay_pid == since.relay_pid { since.relay_ns } else { 0 };
        self.cores(since, self.relay_ns.saturating_sub(before_ns) + self.softirq_ns - since.softirq_ns)
    }

    /// Cores that viewers and source kept busy since.
    fn view_cores(&self, since: &Self) -> f64 {
        self.cores(since, self.view_ns.saturating_sub(since.view_ns))
    }

    fn cores(&self, since: &Self, used_ns: u64) -> f64 {
        used_ns as f64 / (self.at_ns - since.at_ns).max(1) as f64
    }
}

impl Times {
    /// Puts the report together.
    pub fn report(&self, options: &Options, clients: &Clients, crowds: &Crowds) -> Report {
        let Self { storm, done, calm, end, onset, .. } = self;
        let since_ns = |ns: u64| (ns - storm.at_ns) as f64 / 1e9;
        Report {
            relay: options.relay.clone(),
            storm: options.storm(),
            transport: options.transport.name().into(),
            hold: options.hold.clone(),
            done_s: since_ns(onset.done_ns),
            first_s: onset.first_ns.map(since_ns),
            missing: onset.missing,
            refused: end.refused - storm.refused + onset.noise.map_or(0, |(_, refused)| refused),
            refusal: clients.refusal.clone(),
            failed: end.failed - storm.failed,
            changes: changes(&crowds.viewers.changes),
            noise_per_s: onset.noise.map(|(per_s, _)| per_s),
            relay_mib: Some([storm, done, end].map(|sample| sample.relay_bytes as f64 / f64::from(1 << 20))),
            damaged: crowds.damaged,
            view_drops: end.view_drops - storm.view_drops,
            relay_cpu: done.relay_cores(storm),
            view_cpu: done.view_cores(storm),
            relay_cpu_calm: end.relay_cores(calm),
            view_cpu_calm: end.view_cores(calm),
            viewers: self.crowd(options, &crowds.viewers, options.viewers),
            others: self.crowd(options, &crowds.others, options.others),
        }
    }

    /// The slice in which all were done.
    fn done_slice(&self) -> usize {
        self.storm_slice + ((self.onset.done_ns - self.storm.at_ns) / SLICE_NS) as usize
    }

    fn crowd(&self, options: &Options, crowd: &Crowd, size: usize) -> CrowdReport {
        let &Self { storm_slice, calm_slice, end_slice, .. } = self;
        let slices = crowd.slices.list(storm_slice, end_slice);
        let part = |from: usize, to: usize| slices.get(from..to.min(slices.len())).unwrap_or_default();
        let (before_ms, after_ms) =
            (slices::calm_ms(part(0, storm_slice)), slices::calm_ms(part(calm_slice, end_slice)));
        let during = crowd.slices.p99_and_longest_ms(storm_slice..self.done_slice());
        let until_calm = crowd.slices.p99_and_longest_ms(storm_slice..calm_slice);
        let mut report = CrowdReport {
            size,
            before_ms,
            after_ms,
            during_ms: during.map(|(p99_ms, _)| p99_ms),
            longest_ms: until_calm.map(|(_, longest_ms)| longest_ms),
            expected: crowd.expected,
            lost: crowd.lost,
            losers: crowd.losers,
            reordered: crowd.reordered,
            ..CrowdReport::default()
        };
        let storm = part(storm_slice, calm_slice);
        let (calm_ms, other_ms) =
            if options.kind.compares_before() { (before_ms, after_ms) } else { (after_ms, before_ms) };
        report.compare(storm, calm_ms, other_ms);
        report.slices = slices;
        report
    }
}

/// `None` where nobody changed.
fn changes(changes: &Histogram) -> Option<Changes> {
    (changes.total() > 0).then(|| Changes {
        viewers: changes.total(),
        p50_ms: changes.quantile_ms(0.5),
        p99_ms: changes.quantile_ms(0.99),
        max_ms: changes.largest_ms(),
    })
}
