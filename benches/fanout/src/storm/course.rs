//! A storm's course: some play, calm is measured, the storm comes, all settle, calm is measured again.
//!
//! One thread looks at the sockets by time and never by packets, as viewers elsewhere cost the relay no
//! wake-ups either.

use std::fs;
use std::io::{Error, Result};
use std::net::SocketAddrV4;
use std::path::PathBuf;

use crate::dialogue::Transport;
use crate::proc_files;
use crate::sys;
use crate::udp_sockets::UdpSockets;

use super::clients::{Clients, Leave, Plan, State};
use super::crowds::{Crowd, Crowds};
use super::kind::Kind;
use super::report::{CrowdReport, Report};
use super::slices::{self, SLICE_NS};

const LOOK_NS: u64 = 500_000;
const SECOND_NS: u64 = 1_000_000_000;
/// Patience for all to be done, and for the last packets.
const LONGEST_STORM_NS: u64 = 60 * SECOND_NS;
const LONGEST_TAIL_NS: u64 = 4 * SECOND_NS;

/// What to do, and to whom.
#[derive(clap::Args)]
pub struct Options {
    #[arg(long, value_enum)]
    kind: Kind,
    #[arg(long, value_enum)]
    transport: Transport,
    #[arg(long)]
    rtsp: SocketAddrV4,
    /// Viewers of the storm.
    #[arg(long)]
    viewers: usize,
    /// Viewers of another channel, who play all the time.
    #[arg(long)]
    others: usize,
    /// Handshakes under way at a time.
    #[arg(long, default_value_t = 256)]
    concurrent: usize,
    /// Seconds of each calm that is measured.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Seconds that all have to settle.
    #[arg(long, default_value_t = 10.0)]
    settle: f64,
    /// A file with the relay's process id: it is another one after a restart.
    #[arg(long)]
    relay_pid: PathBuf,
    #[arg(long)]
    relay_core: usize,
    #[arg(long)]
    source_pid: u32,
    #[arg(long)]
    core: usize,
    /// The relay's name in the report.
    #[arg(long)]
    relay: String,
    /// The hold's name in the report.
    #[arg(long)]
    hold: String,
}

/// Runs the storm, and prints its report.
pub fn run(options: &Options) -> Result<()> {
    sys::stop_on_terminate();
    sys::raise_descriptor_limit((options.viewers + options.others) as u64 + 256)?;
    sys::pin_to_core(options.core)?;
    let mut stage = Stage::new(options)?;
    stage.prepare()?;
    let times = stage.play()?;
    let report = stage.report(&times);
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

/// Everything that is looked at.
struct Stage<'a> {
    options: &'a Options,
    sockets: UdpSockets,
    clients: Clients,
    crowds: Crowds,
}

/// When the storm came, in slices or in time, and what was used meanwhile.
struct Times {
    /// The calm before is before this slice, the one after from the other one on.
    storm_slice: usize,
    calm_slice: usize,
    end_slice: usize,
    storm: Sample,
    done: Sample,
    calm: Sample,
    end: Sample,
    first_ns: Option<u64>,
    missing: usize,
}

/// What is measured as a difference between two times.
struct Sample {
    at_ns: u64,
    relay: (u32, u64),
    view_ns: u64,
    refused: u64,
    failed: u64,
    view_drops: u64,
}

impl<'a> Stage<'a> {
    fn new(options: &'a Options) -> Result<Self> {
        let &Options { rtsp: server, transport, others, viewers, concurrent, .. } = options;
        let clients = Clients::new(Plan { server, transport, others, viewers, concurrent })?;
        Ok(Self { options, sockets: UdpSockets::open()?, clients, crowds: Crowds::new(others, viewers) })
    }

    /// Who plays before the storm begins to, and settles.
    fn prepare(&mut self) -> Result<()> {
        let &Options { others, viewers, kind, settle, .. } = self.options;
        let players = if kind.has_viewers_before() { others + viewers } else { others };
        self.clients.join(0..players);
        self.pass(sys::monotonic_ns() + LONGEST_STORM_NS, |stage| {
            stage.clients.count(State::Playing) == players
        })?;
        if self.clients.count(State::Playing) < players {
            let refusal = self.clients.refusal.as_deref().unwrap_or("no answer");
            return Err(Error::other(format!("storm: not all could join beforehand: {refusal}")));
        }
        let settle_ns = if kind.has_viewers_before() { seconds_ns(settle) } else { 2 * SECOND_NS };
        self.pass(sys::monotonic_ns() + settle_ns, |_| false)
    }

    /// The calm, the storm, and the calm after it. Both calms are whole slices.
    fn play(&mut self) -> Result<Times> {
        let origin_ns = sys::monotonic_ns();
        let calm_slices = (seconds_ns(self.options.seconds) / SLICE_NS) as usize;
        self.crowds.begin_slices(origin_ns);
        self.pass(origin_ns + calm_slices as u64 * SLICE_NS, |_| false)?;
        let storm = self.sample();
        let (first_ns, missing) = self.storm(storm.at_ns)?;
        let done = self.sample();
        let settled_ns = done.at_ns + seconds_ns(self.options.settle) - origin_ns;
        let calm_slice = settled_ns.div_ceil(SLICE_NS) as usize;
        self.pass(origin_ns + calm_slice as u64 * SLICE_NS, |_| false)?;
        let calm = self.sample();
        let end_slice = calm_slice + calm_slices;
        let end_ns = origin_ns + end_slice as u64 * SLICE_NS;
        self.pass(end_ns, |_| false)?;
        let end = self.sample();
        self.pass(end_ns + LONGEST_TAIL_NS, |stage| stage.crowds.has_all(end_ns))?;
        self.crowds.close_all(end_ns);
        Ok(Times {
            storm_slice: calm_slices,
            calm_slice,
            end_slice,
            storm,
            done,
            calm,
            end,
            first_ns,
            missing,
        })
    }

    /// Until all are done; gives when the first one played, and how many were not done.
    fn storm(&mut self, began_ns: u64) -> Result<(Option<u64>, usize)> {
        let &Options { others, viewers, kind, .. } = self.options;
        let everyone = others + viewers;
        match kind {
            Kind::Join => self.clients.join(others..everyone),
            Kind::Teardown => self.clients.leave(others..everyone, Leave::Teardown, &mut self.crowds),
            Kind::Close => self.clients.leave(others..everyone, Leave::Close, &mut self.crowds),
            Kind::Restart => sys::kill(self.relay_pid())?,
        }
        let plays = self.clients.plays;
        let due = match kind {
            Kind::Join => viewers as u64,
            Kind::Restart => everyone as u64,
            Kind::Teardown | Kind::Close => 0,
        };
        let mut first_ns = None;
        self.pass(began_ns + LONGEST_STORM_NS, |stage| {
            let played = stage.clients.plays - plays;
            if played > 0 && first_ns.is_none() {
                first_ns = Some(sys::monotonic_ns());
            }
            played >= due && stage.clients.count(State::Leaving) == 0
        })?;
        let wanted = if kind.has_viewers_after() { everyone } else { others };
        Ok((first_ns, wanted.abs_diff(self.clients.count(State::Playing))))
    }

    /// Looks at everything again and again, until a time or a condition.
    fn pass(&mut self, until_ns: u64, mut over: impl FnMut(&Self) -> bool) -> Result<()> {
        loop {
            let now_ns = sys::monotonic_ns();
            self.sockets.drain(&mut self.crowds)?;
            self.clients.turn(now_ns, &mut self.crowds)?;
            if over(self) || now_ns >= until_ns {
                return Ok(());
            }
            if sys::stop_requested() {
                return Err(Error::other("storm: stopped"));
            }
            sys::sleep_until_ns((now_ns + LOOK_NS).min(until_ns));
        }
    }

    fn relay_pid(&self) -> u32 {
        let text = fs::read_to_string(&self.options.relay_pid).unwrap_or_default();
        text.trim().parse().unwrap_or(0)
    }

    fn sample(&self) -> Sample {
        let softirq_ns = |core| proc_files::softirq_thread(core).map_or(0, proc_files::cpu_used_ns);
        let (pid, source) = (self.relay_pid(), proc_files::cpu_used_ns(self.options.source_pid));
        Sample {
            at_ns: sys::monotonic_ns(),
            relay: (pid, proc_files::cpu_used_ns(pid) + softirq_ns(self.options.relay_core)),
            view_ns: sys::cpu_used_ns() + source + softirq_ns(self.options.core),
            refused: self.clients.refused,
            failed: self.clients.failed,
            view_drops: proc_files::receive_drops(std::process::id()),
        }
    }

    fn report(&self, times: &Times) -> Report {
        let Times { storm, done, calm, end, .. } = times;
        let options = self.options;
        let since_ns = |ns: u64| (ns - storm.at_ns) as f64 / 1e9;
        Report {
            relay: options.relay.clone(),
            storm: options.kind.name().into(),
            transport: options.transport.name().into(),
            hold: options.hold.clone(),
            done_s: since_ns(done.at_ns),
            first_s: times.first_ns.map(since_ns),
            missing: times.missing,
            refused: end.refused - storm.refused,
            refusal: self.clients.refusal.clone(),
            failed: end.failed - storm.failed,
            noise_per_s: None,
            damaged: self.crowds.damaged,
            view_drops: end.view_drops - storm.view_drops,
            relay_cpu: relay_cores(storm, done),
            view_cpu: view_cores(storm, done),
            relay_cpu_calm: relay_cores(calm, end),
            view_cpu_calm: view_cores(calm, end),
            viewers: self.crowd(&self.crowds.viewers, options.viewers, times),
            others: self.crowd(&self.crowds.others, options.others, times),
        }
    }

    fn crowd(&self, crowd: &Crowd, size: usize, times: &Times) -> CrowdReport {
        let &Times { storm_slice, calm_slice, end_slice, .. } = times;
        let slices = crowd.slices.list(storm_slice, end_slice);
        let part = |from: usize, to: usize| slices.get(from..to.min(slices.len())).unwrap_or_default();
        let mut report = CrowdReport {
            size,
            before_ms: slices::calm_ms(part(0, storm_slice)),
            after_ms: slices::calm_ms(part(calm_slice, end_slice)),
            expected: crowd.expected,
            lost: crowd.lost,
            losers: crowd.losers,
            reordered: crowd.reordered,
            ..CrowdReport::default()
        };
        let calm_ms = if self.options.kind.compares_before() { report.before_ms } else { report.after_ms };
        report.compare(part(storm_slice, calm_slice), calm_ms);
        report.slices = slices;
        report
    }
}

/// Cores that the relay kept busy; one that was started meanwhile has used nothing before.
fn relay_cores(start: &Sample, end: &Sample) -> f64 {
    let before_ns = if start.relay.0 == end.relay.0 { start.relay.1 } else { 0 };
    end.relay.1.saturating_sub(before_ns) as f64 / (end.at_ns - start.at_ns).max(1) as f64
}

/// Cores that viewers and source kept busy.
fn view_cores(start: &Sample, end: &Sample) -> f64 {
    end.view_ns.saturating_sub(start.view_ns) as f64 / (end.at_ns - start.at_ns).max(1) as f64
}

fn seconds_ns(seconds: f64) -> u64 {
    (seconds * 1e9) as u64
}
