//! A storm's course: some play, calm is measured, the storm comes, all settle, calm is measured again.
//!
//! One thread looks at the sockets by time and never by packets, as viewers elsewhere cost the relay no
//! wake-ups either.

use std::io::{Error, Result};
use std::net::SocketAddrV4;
use std::path::PathBuf;

use crate::dialogue::Transport;
use crate::sys;
use crate::udp_sockets::UdpSockets;

use super::clients::{Clients, Leave, Plan, State};
use super::crowds::Crowds;
use super::findings::{Onset, Sample, Sampler, Times};
use super::kind::Kind;
use super::noise::{Noise, Target};
use super::reports::Reporters;
use super::slices::SLICE_NS;

const LOOK_NS: u64 = 500_000;
const SECOND_NS: u64 = 1_000_000_000;
/// Patience for all to be done, and for the last packets.
const LONGEST_STORM_NS: u64 = 60 * SECOND_NS;
const LONGEST_TAIL_NS: u64 = 4 * SECOND_NS;
const NOISE_NS: u64 = 10 * SECOND_NS;
const LONG_NOISE_NS: u64 = 60 * SECOND_NS;

/// What to do, and to whom.
#[derive(clap::Args)]
pub struct Options {
    #[arg(long, value_enum)]
    pub kind: Kind,
    #[arg(long, value_enum)]
    pub transport: Transport,
    #[arg(long)]
    rtsp: SocketAddrV4,
    /// Where RTSP is served through TLS, if it is.
    #[arg(long)]
    rtsps: Option<SocketAddrV4>,
    /// Where the metrics are served.
    #[arg(long)]
    admin: SocketAddrV4,
    /// Viewers of the storm.
    #[arg(long)]
    pub viewers: usize,
    /// Viewers of another channel, who play all the time.
    #[arg(long)]
    pub others: usize,
    /// How many channels they change between.
    #[arg(long)]
    zap: Option<usize>,
    /// Handshakes under way at a time.
    #[arg(long, default_value_t = 256)]
    concurrent: usize,
    /// Seconds within which the viewers of the storm begin to join, or to change, one after the other.
    #[arg(long, default_value_t = 0.0)]
    within: f64,
    /// Seconds of each calm that is measured.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Seconds that all have to settle.
    #[arg(long, default_value_t = 10.0)]
    settle: f64,
    /// A file with the relay's process id: it is another one after a restart.
    #[arg(long)]
    pub relay_pid: PathBuf,
    /// The cores that the relay may run on.
    #[arg(long, value_delimiter = ',', required = true)]
    pub relay_core: Vec<usize>,
    #[arg(long)]
    pub source_pid: u32,
    #[arg(long)]
    pub core: usize,
    /// The relay's name in the report.
    #[arg(long)]
    pub relay: String,
    /// The hold's name in the report.
    #[arg(long)]
    pub hold: String,
}

impl Options {
    /// What happens, in words.
    pub fn storm(&self) -> String {
        let within = if self.within > 0.0 { format!(" within {} s", self.within) } else { String::new() };
        let channels = self.zap.map_or(String::new(), |channels| format!(" between {channels} channels"));
        format!("{}{channels}{within}", self.kind.name())
    }
}

/// Runs the storm, and prints its report.
pub fn run(options: &Options) -> Result<()> {
    sys::stop_on_terminate();
    sys::raise_descriptor_limit((options.viewers + options.others) as u64 + 256)?;
    sys::pin_to_core(options.core)?;
    let mut stage = Stage::new(options)?;
    stage.prepare()?;
    let times = stage.play()?;
    let report = times.report(options, &stage.clients, &stage.crowds);
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

/// Everything that is looked at.
struct Stage<'a> {
    options: &'a Options,
    sockets: UdpSockets,
    clients: Clients,
    crowds: Crowds,
    sampler: Sampler,
}

impl<'a> Stage<'a> {
    fn new(options: &'a Options) -> Result<Self> {
        let &Options { rtsp: server, transport, others, viewers, zap: channels, concurrent, .. } = options;
        Ok(Self {
            options,
            sockets: UdpSockets::open(false)?,
            clients: Clients::new(Plan { server, transport, others, viewers, channels, concurrent })?,
            crowds: Crowds::new(others, viewers),
            sampler: Sampler::new(options),
        })
    }

    /// Who plays before the storm begins to, and settles.
    fn prepare(&mut self) -> Result<()> {
        let &Options { others, viewers, kind, settle, .. } = self.options;
        let players = if kind.has_viewers_before() { others + viewers } else { others };
        let now_ns = sys::monotonic_ns();
        self.clients.join(0..players, now_ns, 0);
        self.pass(now_ns + LONGEST_STORM_NS, |stage| stage.clients.count(State::Playing) == players)?;
        if self.clients.count(State::Playing) < players {
            let refusal = self.clients.refusal.as_deref().unwrap_or("no answer");
            return Err(Error::other(format!("storm: not all could join beforehand: {refusal}")));
        }
        let settle_ns = if kind.has_viewers_before() { seconds_ns(settle) } else { 2 * SECOND_NS };
        self.pass_time(settle_ns)
    }

    /// The calm, the storm, and the calm after it. Both calms are whole slices.
    fn play(&mut self) -> Result<Times> {
        let origin_ns = sys::monotonic_ns();
        let slice_ns = |slice: usize| origin_ns + slice as u64 * SLICE_NS;
        let storm_slice = (seconds_ns(self.options.seconds) / SLICE_NS) as usize;
        self.crowds.begin_slices(origin_ns);
        self.pass(slice_ns(storm_slice), |_| false)?;
        let storm = self.sample();
        let onset = self.storm(storm.at_ns)?;
        // Processor time is told in hundredths of a second.
        self.pass(slice_ns(storm_slice + 1), |_| false)?;
        let done = self.sample();
        let settled_ns = onset.done_ns + seconds_ns(self.options.settle) - origin_ns;
        let calm_slice = settled_ns.div_ceil(SLICE_NS) as usize;
        self.pass(slice_ns(calm_slice), |_| false)?;
        let calm = self.sample();
        let end_slice = calm_slice + storm_slice;
        self.pass(slice_ns(end_slice), |_| false)?;
        let end = self.sample();
        let end_ns = slice_ns(end_slice);
        self.pass(end_ns + LONGEST_TAIL_NS, |stage| stage.crowds.has_all(end_ns))?;
        self.crowds.close_all(end_ns);
        Ok(Times { storm_slice, calm_slice, end_slice, storm, done, calm, end, onset })
    }

    /// Until all are done.
    fn storm(&mut self, now_ns: u64) -> Result<Onset> {
        let &Options { others, viewers, kind, within, .. } = self.options;
        let (everyone, plays) = (others + viewers, self.clients.plays);
        let mut noise = None;
        let due = match kind {
            Kind::Join => {
                self.clients.join(others..everyone, now_ns, seconds_ns(within));
                viewers
            }
            Kind::Teardown | Kind::Close => {
                let how = if kind == Kind::Close { Leave::Close } else { Leave::Teardown };
                self.clients.leave(others..everyone, how, &mut self.crowds);
                0
            }
            Kind::Zap => {
                self.clients.change(others..everyone, now_ns, seconds_ns(within));
                viewers
            }
            Kind::Restart => {
                sys::kill(self.sampler.relay_pid())?;
                everyone
            }
            Kind::Reports | Kind::Describe | Kind::Scrape | Kind::Connect | Kind::Hostile => {
                noise = Some(self.make_noise()?);
                0
            }
        };
        let mut first_ns = None;
        self.pass(now_ns + LONGEST_STORM_NS, |stage| {
            let played = stage.clients.plays - plays;
            if played > 0 && first_ns.is_none() {
                first_ns = Some(sys::monotonic_ns());
            }
            let changed = kind != Kind::Zap || stage.crowds.viewers.changes.total() >= viewers as u64;
            played >= due as u64 && stage.clients.count(State::Leaving) == 0 && changed
        })?;
        let wanted = if kind.has_viewers_after() { everyone } else { others };
        let missing = wanted.abs_diff(self.clients.count(State::Playing));
        Ok(Onset { done_ns: sys::monotonic_ns(), first_ns, missing, noise })
    }

    /// Makes noise for some time; gives how often a second, and how often it was refused.
    fn make_noise(&mut self) -> Result<(f64, u64)> {
        let &Options { rtsp: server, rtsps, admin, kind, .. } = self.options;
        let rtsps = rtsps.unwrap_or(server);
        let (sockets, viewers) = (self.sockets.rtcp()?, self.clients.reporters());
        let reporters = Reporters { server: *server.ip(), sockets, viewers };
        let began_ns = sys::monotonic_ns();
        let noise = Noise::start(kind, Target { server, rtsps, admin, reporters });
        self.pass_time(if kind == Kind::Hostile { LONG_NOISE_NS } else { NOISE_NS })?;
        let seconds = (sys::monotonic_ns() - began_ns) as f64 / 1e9;
        let (made, refused) = noise.stop()?;
        Ok((made as f64 / seconds, refused))
    }

    fn pass_time(&mut self, ns: u64) -> Result<()> {
        self.pass(sys::monotonic_ns() + ns, |_| false)
    }

    /// Looks at everything again and again, until a time or a condition.
    fn pass(&mut self, until_ns: u64, mut over: impl FnMut(&Self) -> bool) -> Result<()> {
        loop {
            let now_ns = sys::monotonic_ns();
            self.crowds.now_ns = now_ns;
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

    fn sample(&self) -> Sample {
        self.sampler.sample(&self.clients)
    }
}

fn seconds_ns(seconds: f64) -> u64 {
    (seconds * 1e9) as u64
}
