//! The appliance: what serves, and what watches it; reachable once all is there, and taken apart in order.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use nix::errno::Errno;

use crate::event::{Standstill, clock};
use crate::relay::{Channel, Track};
use crate::serve::{Access, BadPair, Listener, UsersError};

use super::config::Config;
use super::running::engine::Engine;
use super::running::serving::access_config;
use super::watching::admin::{AdminServer, AdminSource};
use super::watching::metrics::{self, Accepts, Exposition};
use super::watching::readiness::{Stage, not_pulled};

/// The running program.
pub struct Appliance {
    engine: Arc<Engine>,
    listeners: Vec<Arc<Listener>>,
    scrape: Arc<Scrape>,
    admin: AdminServer,
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
    fn metrics(&self, accepts: Accepts) -> Exposition {
        metrics::render(&self.engine, clock::now(), accepts)
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
