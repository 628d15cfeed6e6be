//! A probe from its beginning to its report: scout, room, workers, the time that they have.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};

use crate::event::clock;

use super::descriptors::make_room;
use super::progress::{Phase, Progress};
use super::report::{Report, Window};
use super::scout::{Found, scout};
use super::tally::Tally;
use super::udp_ports::UdpPorts;
use super::worker::{Assignment, Shared};
use super::{Failure, Plan, Shortage};

/// How often it is looked whether the probe is over.
const LOOK: Duration = Duration::from_millis(10);

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The host's name is not known.
    #[error("{url}: the host is not known: {error}")]
    Host {
        /// The stream.
        url: String,
        /// The resolver's answer.
        error: io::Error,
    },
    /// Not even one could be served.
    #[error("{url}: {failure}")]
    Scout {
        /// The stream.
        url: String,
        /// Why.
        failure: Failure,
    },
    /// So many do not fit.
    #[error(transparent)]
    Shortage(#[from] Shortage),
    /// No threads.
    #[error("the probe's threads cannot start: {0} (see the limit on threads: ulimit -u)")]
    Threads(#[source] io::Error),
}

/// Runs a probe until its time is over, all subscribers are lost, or a stop is asked for. `show` gets a line of
/// progress now and then; one that says something new in kind comes with `true`.
pub fn run(plan: Plan, stop: &Receiver<()>, mut show: impl FnMut(&str, bool)) -> Result<Report, ProbeError> {
    let addresses =
        plan.url.resolve().map_err(|error| ProbeError::Host { url: plan.url.to_string(), error })?;
    let found = scout(&plan, &addresses)
        .map_err(|failure| ProbeError::Scout { url: plan.url.to_string(), failure })?;
    make_room(&plan, found.tracks)?;
    let plan = Arc::new(plan);
    let shared = Arc::new(Shared::default());
    let began = clock::monotonic();
    let workers = start_workers(&plan, &found, &shared, began)?;
    let window = watch(&plan, &shared, stop, &mut show, began);
    shared.interrupted.store(window.interrupted, Relaxed);
    shared.ending.store(true, Relaxed);
    let mut tally = Tally::default();
    for worker in workers {
        match worker.join() {
            Ok(of_one) => tally.merge(of_one),
            Err(_) => tally.fail("a worker of the probe panicked, which is a bug".to_owned()),
        }
    }
    Ok(Report::new(&plan, &found, &window, tally))
}

fn start_workers(
    plan: &Arc<Plan>,
    found: &Found,
    shared: &Arc<Shared>,
    began: Duration,
) -> Result<Vec<thread::JoinHandle<Tally>>, ProbeError> {
    let cores = thread::available_parallelism().map_or(1, |cores| cores.get().min(64) as u32);
    let workers = cores.min(plan.subscribers);
    let ports = Arc::new(UdpPorts::new(found.server.is_ipv6()));
    let mut threads = Vec::new();
    for index in 0..workers {
        let (plan, shared, ports) = (plan.clone(), shared.clone(), ports.clone());
        let stopped = shared.clone();
        let assignment = Assignment { plan, server: found.server, ports, shared, index, workers, began };
        let thread = assignment.start().inspect_err(|_| stopped.ending.store(true, Relaxed));
        threads.push(thread.map_err(ProbeError::Threads)?);
    }
    Ok(threads)
}

/// Waits until the time is over, all are lost, or a stop is asked for.
fn watch(
    plan: &Plan,
    shared: &Shared,
    stop: &Receiver<()>,
    show: &mut impl FnMut(&str, bool),
    began: Duration,
) -> Window {
    let mut progress = Progress::new(plan, began);
    let mut since: Option<(Duration, u64, u64)> = None;
    loop {
        let interrupted = !matches!(stop.recv_timeout(LOOK), Err(RecvTimeoutError::Timeout));
        let (now, phase) = (clock::monotonic(), Phase::of(plan, shared));
        let (packets, bytes) = (shared.packets.load(Relaxed), shared.bytes.load(Relaxed));
        if phase != Phase::SettingUp && since.is_none() {
            since = Some((now, packets, bytes));
        }
        if let Some((line, is_news)) = progress.line(shared, phase, now) {
            show(&line, is_news);
        }
        let length = since.map_or(Duration::ZERO, |(at, ..)| now.saturating_sub(at));
        if interrupted || phase == Phase::AllLost || since.is_some() && length >= plan.duration {
            let (_, packets_before, bytes_before) = since.unwrap_or((now, packets, bytes));
            let (packets, bytes) = (packets - packets_before, bytes - bytes_before);
            return Window { length, packets, bytes, interrupted };
        }
    }
}
