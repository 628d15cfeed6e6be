//! All subscribers in one program: gets them served, counts what comes, and reports.
//!
//! It wakes by time and never by packets, as subscribers elsewhere cost the relay no wake-ups either.

use std::collections::BTreeMap;
use std::io::{Error, Result, Write};
use std::net::SocketAddrV4;

use crate::dialogue::Transport;
use crate::http_view::HttpView;
use crate::ledger::{Ledger, Window};
use crate::losses::Losses;
use crate::proc_files;
use crate::report::Report;
use crate::sys;
use crate::tcp_view::TcpView;
use crate::udp_view::UdpView;

/// How long to wait for the first packet, and for the last ones behind the window's end.
const LONGEST_SILENCE_NS: u64 = 30_000_000_000;
const LONGEST_TAIL_NS: u64 = 2_000_000_000;

/// Whom to stand for, and what to measure.
#[derive(clap::Args)]
pub struct Options {
    #[arg(long)]
    pub subscribers: usize,
    #[arg(long, default_value_t = 1)]
    pub channels: usize,
    /// Ports that the channels' groups are spread over, for the report.
    #[arg(long, default_value_t = 1)]
    ports: usize,
    /// Packets a second of each channel, for the report.
    #[arg(long, default_value_t = 800)]
    rate: u64,
    #[arg(long, value_enum)]
    pub transport: Transport,
    /// Registers at this RTSP server; without it the bare loop sends unasked.
    #[arg(long)]
    pub rtsp: Option<SocketAddrV4>,
    /// Asks this HTTP server for the transport streams.
    #[arg(long)]
    pub http: Option<SocketAddrV4>,
    /// Connects to the bare loop's TCP port.
    #[arg(long)]
    pub bare_tcp: Option<SocketAddrV4>,
    /// Seconds until the relay is taken to be steady.
    #[arg(long, default_value_t = 2.0)]
    warm_up: f64,
    /// Seconds to measure.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Microseconds between two looks at the sockets.
    #[arg(long, default_value_t = 500)]
    look_us: u64,
    /// This many of the TCP subscribers stop reading for a while within the window.
    #[arg(long, default_value_t = 0)]
    pub stall: usize,
    /// For how many seconds they do.
    #[arg(long, default_value_t = 5.0)]
    pub stall_seconds: f64,
    /// This many in a hundred are lost on their way to subscribers over UDP, who ask for them again.
    #[arg(long, default_value_t = 0.0)]
    pub lose: f64,
    /// Subscribers over UDP play what was on so many seconds ago at most, each from another moment.
    #[arg(long, default_value_t = 0.0)]
    pub past: f64,
    /// Subscribers over UDP play what was on 5 s ago, and at once what comes: so they have numbers of their own.
    #[arg(long)]
    pub back: bool,
    /// So many of them, the first, play what comes.
    #[arg(long, default_value_t = 0)]
    pub beside: usize,
    #[arg(long)]
    relay_pid: u32,
    /// The cores that the relay may run on.
    #[arg(long, value_delimiter = ',', required = true)]
    relay_core: Vec<usize>,
    #[arg(long)]
    core: Option<usize>,
    /// The relay's name in the report.
    #[arg(long)]
    relay: String,
    /// The hold's name in the report.
    #[arg(long)]
    hold: String,
}

/// Sockets that are drained again and again.
pub trait View {
    /// Notes all that has come. `now_ns` is the monotonic clock's.
    fn drain(&mut self, now_ns: u64, ledger: &mut Ledger) -> Result<()>;

    /// What is lost on purpose, if anything is.
    fn losses(&self) -> Option<&Losses> {
        None
    }
}

/// Gets all subscribers served, says `ready`, and prints a report when the window is over.
pub fn run(options: &Options) -> Result<()> {
    sys::stop_on_terminate();
    sys::raise_descriptor_limit(options.subscribers as u64 + 256)?;
    if let Some(core) = options.core {
        sys::pin_to_core(core)?;
    }
    match (options.transport, options.http) {
        (Transport::Udp, _) => measure(options, &mut UdpView::open(options)?),
        (_, Some(server)) => measure(options, &mut HttpView::open(options, server)?),
        _ => measure(options, &mut TcpView::open(options)?),
    }
}

fn measure(options: &Options, view: &mut impl View) -> Result<()> {
    println!("ready");
    std::io::stdout().flush()?;
    let (warm_up_ns, length_ns) = ((options.warm_up * 1e9) as u64, (options.seconds * 1e9) as u64);
    let mut ledger = if options.past > 0.0 || options.back {
        Ledger::past(options.subscribers, options.beside, sys::monotonic_ns() + warm_up_ns, length_ns)
    } else {
        Ledger::new(options.subscribers, options.stall, warm_up_ns, length_ns)
    };
    let sampler = Sampler::new(options);
    let window = watch(options, view, &mut ledger, |_, _| false, |now_ns, window| now_ns >= window.start_ns)?;
    ledger.begin_window();
    let start = sampler.sample(&ledger);
    watch(options, view, &mut ledger, |_, _| false, |now_ns, window| now_ns >= window.end_ns)?;
    let end = sampler.sample(&ledger);
    if options.past > 0.0 && ledger.silent() > 0 {
        return Err(Error::other(format!("receive: {} viewers got nothing", ledger.silent())));
    }
    let complete = |ledger: &Ledger, _| ledger.expected_and_lost().1 == 0;
    let tail_over = |now_ns: u64, window: &Window| now_ns >= window.end_ns + LONGEST_TAIL_NS;
    watch(options, view, &mut ledger, complete, tail_over)?;
    let report = report(options, &window, (&ledger, view.losses()), &start, &end);
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

/// Drains until either condition holds: one on what came, one on the time.
fn watch(
    options: &Options,
    view: &mut impl View,
    ledger: &mut Ledger,
    complete: impl Fn(&Ledger, u64) -> bool,
    over: impl Fn(u64, &Window) -> bool,
) -> Result<Window> {
    let give_up_ns = sys::monotonic_ns() + LONGEST_SILENCE_NS;
    loop {
        let now_ns = sys::monotonic_ns();
        view.drain(now_ns, ledger)?;
        match ledger.window() {
            Some(window) if over(now_ns, &window) || complete(ledger, now_ns) => return Ok(window),
            None if now_ns > give_up_ns => return Err(Error::other("receive: not one packet came")),
            _ if sys::stop_requested() => return Err(Error::other("receive: stopped")),
            _ => sys::sleep_until_ns(now_ns + options.look_us * 1000),
        }
    }
}

/// Reads what is measured as a difference between the window's start and end.
struct Sampler {
    relay: u32,
    softirq: Vec<u32>,
}

struct Sample {
    at_ns: u64,
    relay_ns: u64,
    softirq_ns: u64,
    view_ns: u64,
    arrived: u64,
    received: u64,
    threads_ns: BTreeMap<String, u64>,
    relay_drops: u64,
    view_drops: u64,
}

impl Sampler {
    fn new(options: &Options) -> Self {
        Self { relay: options.relay_pid, softirq: proc_files::softirq_threads(&options.relay_core) }
    }

    fn sample(&self, ledger: &Ledger) -> Sample {
        Sample {
            at_ns: sys::monotonic_ns(),
            relay_ns: proc_files::cpu_used_ns(self.relay),
            softirq_ns: self.softirq.iter().map(|&pid| proc_files::cpu_used_ns(pid)).sum(),
            view_ns: sys::cpu_used_ns(),
            arrived: ledger.arrived,
            received: proc_files::received(self.relay),
            threads_ns: proc_files::threads_used_ns(self.relay),
            relay_drops: proc_files::receive_drops(self.relay),
            view_drops: proc_files::receive_drops(std::process::id()),
        }
    }
}

impl Sample {
    /// Cores that each kind of thread kept busy.
    fn threads_since(&self, start: &Self) -> BTreeMap<String, f64> {
        let elapsed_ns = (self.at_ns - start.at_ns).max(1) as f64;
        let since = |(name, &ns): (&String, &u64)| {
            let before_ns = start.threads_ns.get(name).copied().unwrap_or(0);
            (name.clone(), ns.saturating_sub(before_ns) as f64 / elapsed_ns)
        };
        self.threads_ns.iter().map(since).collect()
    }
}

fn report(
    options: &Options,
    window: &Window,
    (ledger, losses): (&Ledger, Option<&Losses>),
    start: &Sample,
    end: &Sample,
) -> Report {
    let repair_ms = |share| losses.map_or(0.0, |losses| losses.took.quantile_ms(share));
    let elapsed_ns = (end.at_ns - start.at_ns).max(1) as f64;
    let share = |of: fn(&Sample) -> u64| (of(end) - of(start)) as f64 / elapsed_ns;
    let (relay_cpu, softirq_cpu) = (share(|sample| sample.relay_ns), share(|sample| sample.softirq_ns));
    let arrived = (end.arrived - start.arrived).max(1) as f64;
    let (expected, lost) = ledger.expected_and_lost();
    Report {
        relay: options.relay.clone(),
        transport: options.transport.name().into(),
        subscribers: options.subscribers,
        channels: options.channels,
        ports: options.ports,
        cores: options.relay_core.len(),
        rate: options.rate,
        hold: options.hold.clone(),
        lose_percent: options.lose,
        asked: losses.map_or(0, |losses| losses.asked),
        repaired: losses.map_or(0, |losses| losses.repaired),
        repair_p50_ms: repair_ms(0.5),
        repair_p99_ms: repair_ms(0.99),
        seconds: (window.end_ns - window.start_ns) as f64 / 1e9,
        expected,
        lost,
        reordered: ledger.reordered,
        damaged: ledger.damaged,
        cpu_us_per_packet: (relay_cpu + softirq_cpu) * elapsed_ns / arrived / 1e3,
        relay_cpu,
        softirq_cpu,
        view_cpu: share(|sample| sample.view_ns),
        p50_ms: ledger.delays.quantile_ms(0.5),
        p99_ms: ledger.delays.quantile_ms(0.99),
        max_ms: ledger.delays.largest_ms(),
        beside: options.beside,
        beside_p99_ms: ledger.delays_beside.quantile_ms(0.99),
        delays_of: ledger.delays.total(),
        received: end.received - start.received,
        threads: end.threads_since(start),
        relay_drops: end.relay_drops - start.relay_drops,
        view_drops: end.view_drops - start.view_drops,
        resident_bytes: proc_files::resident_bytes(options.relay_pid),
        stalled: options.stall,
        stalled_lost: ledger.stalled_expected_and_lost().1,
    }
}
