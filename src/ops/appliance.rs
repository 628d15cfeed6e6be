//! The appliance: every part of the program put together from a config, and taken apart in order.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use nix::errno::Errno;

use crate::event::{Class, Follows, Poller, Standstill, TaskQueue, Timers, clock, lock};
use crate::ingest::Receivers;
use crate::ingest::announce::Hearing;
use crate::ingest::pull::{self, Puller};
use crate::relay::{
    BurstBudget, Busy, Catalogue, Channel, Dispatch, Lateness, Line, LineLimits, RingLimits, Track,
};
use crate::serve::{
    Access, Announcer, BadPair, Certificates, FrontDoor, Listener, OpensGroups, RtspServer, Site, UsersError,
};

use super::admin::{AdminServer, AdminSource};
use super::announced;
use super::config::Config;
use super::directory::Directory;
use super::line_up::{LineUp, Maker};
use super::metrics;
use super::open_groups::OpenGroups;
use super::readiness::{Stage, not_pulled};
use super::serving::{access_config, server_config, site_config};

/// The running program.
pub struct Appliance {
    engine: Arc<Engine>,
    listeners: Vec<Arc<Listener>>,
    scrape: Arc<Scrape>,
    admin: AdminServer,
}

/// What the metrics are read from.
pub struct Engine {
    /// The queue of packets.
    pub media: Arc<TaskQueue>,
    /// The queue of everything else.
    pub control: Arc<TaskQueue>,
    /// What all lanes share.
    pub dispatch: Dispatch,
    /// All poll tables.
    pub poller: Arc<Poller>,
    /// All channels.
    pub catalogue: Arc<Catalogue>,
    /// All receive sockets.
    pub receivers: Arc<Receivers>,
    /// The RTSP server.
    pub server: Arc<RtspServer>,
    /// How channels come and go.
    pub line_up: Arc<LineUp>,
    /// Whose announcements are heard, if any are.
    pub hearing: Option<Arc<Hearing>>,
    /// Who announces ours.
    pub announcer: Arc<Announcer>,
    /// All streams that are pulled.
    pub puller: Arc<Puller>,
    /// When it was started.
    pub started_at: Instant,
    timers: Arc<Timers>,
    directories: Mutex<Vec<Arc<Directory>>>,
    open_groups: Option<Arc<OpenGroups>>,
}

/// Why the program did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No thread or descriptor for the event core.
    #[error(
        "the event core can not start: {0} (see the limits on threads and open files: ulimit -u, ulimit -n)"
    )]
    Core(#[source] io::Error),
    /// The certificate was right when the config was read.
    #[error("{0}")]
    Certificate(#[from] BadPair),
    /// The users can not be read, which could be when the config was.
    #[error("[access] users: {0}")]
    Users(#[source] UsersError),
    /// An address is not to be had.
    #[error("listening on {address} for {purpose} failed: {error} ({})", remedy(error))]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Who was to be reached there.
        purpose: &'static str,
        /// The kernel's answer.
        error: io::Error,
    },
}

impl Appliance {
    /// Starts everything. What fails leaves nothing behind.
    pub fn start(config: &Config) -> Result<Self, StartError> {
        let tls = config.rtsp.tls.as_ref();
        let certificates = tls.map(|tls| tls.files.load()).transpose()?;
        let guard = Access::new(access_config(config)).map_err(StartError::Users)?;
        let engine = Arc::new(Engine::start(config, guard, certificates).map_err(StartError::Core)?);
        Self::open(config, &engine).inspect_err(|_| engine.stop())
    }

    fn open(config: &Config, engine: &Arc<Engine>) -> Result<Self, StartError> {
        let front_door = engine.front_door(config);
        let (mut listeners, mut told) = (Vec::new(), Vec::new());
        for (address, purpose) in addresses(config) {
            let listener = match purpose {
                RTSP => front_door.listen_rtsp(address),
                RTSPS => front_door.listen_rtsps(address),
                TUNNELS => front_door.listen_tunnels(address),
                HTTP => front_door.listen_http(address),
                _ => front_door.listen_https(address),
            };
            let listener = listener.map_err(|error| StartError::Listen { address, purpose, error })?;
            told.push((listener.address(), purpose));
            listeners.push(listener);
        }
        let address = config.admin.listen;
        let scrape = Scrape { engine: engine.clone(), listeners: listeners.clone(), stage: Stage::default() };
        let scrape = Arc::new(scrape);
        let admin = AdminServer::start(address, scrape.clone()).map_err(|error| StartError::Listen {
            address,
            purpose: "metrics",
            error,
        })?;
        engine.receive(config);
        for (address, purpose) in told {
            tracing::info!(%address, channels = config.channels.len(), "serving {purpose}");
        }
        tracing::info!(address = %admin.local_addr(), "serving /metrics, /live and /ready");
        scrape.stage.open();
        Ok(Self { engine: engine.clone(), listeners, scrape, admin })
    }

    /// What is running.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Where RTSP is served.
    pub fn rtsp_addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().map(|listener| listener.address()).collect()
    }

    /// Where metrics are served.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin.local_addr()
    }

    /// What the admin endpoint asks.
    pub fn source(&self) -> Arc<dyn AdminSource> {
        self.scrape.clone()
    }

    /// Accepts no more, leaves the groups, says goodbye to the viewers, drains the queues and joins all
    /// threads.
    pub fn stop(self) {
        self.scrape.stage.stop();
        self.listeners.iter().for_each(|listener| listener.stop());
        self.engine.stop();
        self.admin.stop();
    }
}

impl Engine {
    fn start(config: &Config, guard: Access, certificates: Option<Arc<Certificates>>) -> io::Result<Self> {
        let media = TaskQueue::start("media", config.engine.media_workers)?;
        let lateness = Lateness::new(config.ring.max_age, clock::now());
        let gives_way = {
            let lateness = lateness.clone();
            Arc::new(move || lateness.is_late(clock::now()))
        };
        let control = TaskQueue::start_low("control", config.engine.control_workers, gives_way)?;
        let (entries, media_tables) = (config.engine.poll_table_entries, config.engine.media_workers);
        let poller = Poller::new(entries, media_tables, media.clone(), control.clone())?;
        let timers = Timers::start(&poller, Class::Control)?;
        let started_at = clock::now();
        let limits = RingLimits { age: config.ring.max_age, bytes: config.ring.max_bytes };
        let media_timers = Timers::start(&poller, Class::Media)?;
        let joins = control.clone();
        let target = config.engine.busy_percent as f64 / 100.0;
        let busy = Busy::new(config.engine.media_workers, target, move || joins.depth() > 0);
        let bursts = BurstBudget::new(config.limits.burst_mbit as u64, lateness.clone(), started_at);
        let repairs = BurstBudget::new(config.limits.repair_mbit as u64, lateness.clone(), started_at);
        let dispatch = Dispatch::new(media.clone(), media_timers, busy, lateness.clone(), bursts, repairs);
        let bits = config.limits.line_mbit.map(|mbit| mbit as u64 * 1_000_000);
        let line = Line::new(LineLimits { groups: config.limits.line_groups, bits });
        let maker = Maker { dispatch: dispatch.clone(), limits, line };
        let known = config.channels.iter().filter(|channel| channel.pull.is_none());
        let channels = known.filter_map(|channel| {
            let made = maker.make(channel, Arc::default(), None, started_at);
            made.inspect_err(|wrong| tracing::warn!(channel = channel.name, "not served: {wrong}")).ok()
        });
        let catalogue = Arc::new(Catalogue::new(channels));
        let receivers = Receivers::new(
            poller.clone(),
            timers.clone(),
            dispatch.busy.clone(),
            config.limits.membership_changes,
        );
        certificates.iter().for_each(|certificates| certificates.look_each_second(&timers));
        // What this program is called among those that pull from each other.
        let instance = pull::token();
        let server = RtspServer::new(
            catalogue.clone(),
            poller.clone(),
            (timers.clone(), dispatch.timers.clone()),
            lateness,
            guard,
            server_config(config, certificates, &instance),
        );
        let line_up =
            LineUp::new(catalogue.clone(), receivers.clone(), server.clone(), timers.clone(), maker);
        let line_up = Arc::new(line_up);
        let hearing = announced::hearing(config, &line_up, &poller);
        let open_groups = OpenGroups::of(config, &line_up, &catalogue);
        let others = hearing.clone();
        let announcer = server
            .announcer(move || others.as_ref().map_or(0, |hearing| hearing.stats().sessions() as usize));
        let puller = Arc::new(Puller::new(
            poller.clone(),
            dispatch.timers.clone(),
            dispatch.busy.clone(),
            line_up.clone(),
            instance,
        ));
        Ok(Self {
            media,
            control,
            dispatch,
            poller,
            catalogue,
            receivers,
            server,
            line_up,
            hearing,
            announcer,
            puller,
            started_at,
            timers,
            directories: Mutex::default(),
            open_groups,
        })
    }

    /// Whether all parts move.
    ///
    /// # Errors
    /// What does not.
    pub fn live(&self) -> Result<(), Standstill> {
        self.poller.vitals().check(clock::now())
    }

    /// By which clients come in, and what they find.
    fn front_door(&self, config: &Config) -> FrontDoor {
        let site = config.http.as_ref().map(|http| {
            let groups = self.open_groups.clone().map(|groups| groups as Arc<dyn OpensGroups>);
            Site::new(self.server.clone(), site_config(http), groups)
        });
        let shares = config.http.as_ref().is_some_and(|http| http.share_ports);
        FrontDoor::new(self.server.clone(), site, shares)
    }

    /// Joins all groups, once it is sure that somebody can be served.
    fn receive(&self, config: &Config) {
        for channel in &config.channels {
            match &channel.pull {
                Some(pull) => self.puller.pull(pull.clone(), self.line_up.expect(channel)),
                None => self.line_up.receive(channel),
            }
        }
        for directory in &config.directories {
            let directory = Directory::open(directory.clone(), self.line_up.clone());
            directory.look_each_second(&self.timers);
            lock(&self.directories).push(directory);
        }
        self.open_groups.iter().for_each(|groups| groups.look_each_second(&self.timers));
        self.hearing.iter().for_each(|hearing| hearing.begin(&self.timers));
        self.announcer.begin(&self.timers);
    }

    fn stop(&self) {
        self.puller.stop();
        self.hearing.iter().for_each(|hearing| hearing.stop());
        self.announcer.stop();
        self.receivers.stop();
        self.server.stop();
        self.poller.stop();
        self.timers.stop();
        self.dispatch.timers.stop();
        self.control.stop();
        self.media.stop();
        self.dispatch.stop();
        self.server.tell_the_rest();
    }
}

/// What is served, in the words of the log.
const RTSP: &str = "RTSP";
const RTSPS: &str = "RTSP through TLS";
const TUNNELS: &str = "RTSP over HTTP";
const HTTP: &str = "HTTP";
const HTTPS: &str = "HTTP through TLS";

/// Where what is served.
fn addresses(config: &Config) -> impl Iterator<Item = (SocketAddr, &'static str)> {
    let Config { rtsp, http, .. } = config;
    let of_rtsp = [
        (Some(&rtsp.listen), RTSP),
        (rtsp.tls.as_ref().map(|tls| &tls.listen), RTSPS),
        (Some(&rtsp.http_listen), TUNNELS),
    ];
    let of_http =
        [(http.as_ref().map(|http| &http.listen), HTTP), (http.as_ref().map(|http| &http.tls_listen), HTTPS)];
    let each = |(list, what): (Option<&'_ Vec<SocketAddr>>, _)| {
        list.cloned().unwrap_or_default().into_iter().map(move |address| (address, what))
    };
    of_rtsp.into_iter().chain(of_http).flat_map(each)
}

/// What the admin endpoint asks.
struct Scrape {
    engine: Arc<Engine>,
    listeners: Vec<Arc<Listener>>,
    stage: Stage,
}

impl AdminSource for Scrape {
    fn metrics(&self) -> Vec<u8> {
        metrics::render(&self.engine, clock::now())
    }

    fn ready(&self) -> Result<String, String> {
        let now = clock::now();
        let is_joined = |channel: &Channel| {
            let is_to_be = channel.demand.has_lasted(channel.silent_after, now);
            // What a server does not serve of a stream that is pulled is not to be had.
            let is_needed = |track: &&Arc<Track>| !track.description.feeds.is_empty();
            let has_any = channel.tracks.iter().any(|track| track.is_joined());
            !is_to_be || has_any && channel.tracks.iter().filter(is_needed).all(|track| track.is_joined())
        };
        let deaf = self.listeners.iter().find(|listener| !listener.is_open());
        let channels = self.engine.catalogue.channels();
        let joined = channels.iter().map(|channel| (channel.name.as_str(), is_joined(channel)));
        let ready = self.stage.ready(deaf.map(|listener| listener.address()), joined)?;
        let pulls = self.engine.puller.stats();
        let in_vain = pulls.iter().filter(|pull| pull.is_in_vain()).map(|pull| pull.channel.as_str());
        Ok(ready + &not_pulled(&in_vain.collect::<Vec<_>>()))
    }

    fn live(&self) -> Result<(), Standstill> {
        self.engine.live()
    }

    fn give_up(&self, reason: &str) {
        self.engine.poller.vitals().give_up(reason.to_owned());
    }
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "another program has this port; `ss -lntp` tells which",
        io::ErrorKind::AddrNotAvailable => "no interface of this machine has that address",
        io::ErrorKind::PermissionDenied => "ports below 1024 need CAP_NET_BIND_SERVICE",
        _ if is_limit(error) => "see the limits on threads and open files: ulimit -u, ulimit -n",
        _ => "see the address in the config",
    }
}

fn is_limit(error: &io::Error) -> bool {
    matches!(error.raw_os_error().map(Errno::from_raw), Some(Errno::EMFILE | Errno::ENFILE | Errno::EAGAIN))
}

#[cfg(all(test, not(model)))]
#[path = "counters_tests.rs"]
mod counters_tests;
#[cfg(all(test, not(model)))]
#[path = "fault_tests.rs"]
mod fault_tests;
#[cfg(all(test, not(model)))]
#[path = "appliance_tests.rs"]
mod tests;
