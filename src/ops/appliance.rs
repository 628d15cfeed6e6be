//! The appliance: what serves, and what watches it; reachable once all is there, and taken apart in order.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::{io, mem};

use crossbeam_channel::Receiver;
use serde_json::Value;

use crate::event::{Follows, Standstill, clock};
use crate::relay::{Channel, Track};
use crate::serve::{Access, BadPair, Previews, UsersError};

use super::config::{Config, Role};
use super::running::doors::{Doors, NotListening};
use super::running::engine::Engine;
use super::running::reload::Reloader;
use super::running::reload_thread::ReloadThread;
use super::running::serving::access_config;
use super::running::upgrade::{Estate, Heir, NoHeir, Succession, Upgrade};
use super::watching::admin::{AdminConfig, AdminServer, AdminSource};
use super::watching::api::{Call, Operator, Problem};
use super::watching::metrics::{self, Accepts, Exposition, Visits};
use super::watching::readiness::{Stage, not_pulled};
use super::watching::vital::Vital;

/// The running program.
pub struct Appliance {
    engine: Arc<Engine>,
    doors: Arc<Doors>,
    reloading: Option<ReloadThread>,
    scrape: Arc<Scrape>,
    admin: AdminServer,
    upgrade: Arc<Upgrade>,
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
    #[error(transparent)]
    Listen(#[from] NotListening),
    /// It was to take over.
    #[error(transparent)]
    NoHeir(#[from] NoHeir),
}

impl Appliance {
    /// Starts everything. What fails leaves nothing behind.
    pub fn start(config: &Config) -> Result<Self, StartError> {
        Self::start_as(config, None)
    }

    /// The same, of a process that may be an heir: then it serves those whom its predecessor has served, once that stands still.
    pub fn start_as(config: &Config, heir: Option<Heir>) -> Result<Self, StartError> {
        let tls = config.rtsp.tls.as_ref();
        let certificates = tls.map(|tls| tls.files.load()).transpose()?;
        let guard = Access::new(access_config(config)).map_err(StartError::Users)?;
        let engine = Arc::new(Engine::start(config, guard, certificates).map_err(StartError::Core)?);
        Self::open(config, &engine, heir).inspect_err(|error| match error {
            // The viewers are the predecessor's, and so are the sockets: nothing of them is to be closed from here.
            StartError::NoHeir(_) => mem::forget(engine.clone()),
            _ => engine.stop(),
        })
    }

    fn open(config: &Config, engine: &Arc<Engine>, mut heir: Option<Heir>) -> Result<Self, StartError> {
        let kept = heir.as_mut().map(Heir::take_listeners).unwrap_or_default();
        let kept_admin = heir.as_mut().and_then(|heir| heir.take_admin(config.admin.listen));
        let doors = Arc::new(Doors::new(engine.front_door(config), kept));
        let is_heir = heir.is_some();
        let succession = heir.map(|heir| {
            engine.receive(config);
            heir.take_over(engine)
        });
        let succession = succession.transpose()?;
        let opened = doors.open(config)?;
        let reloader = Reloader::of(config, engine, &doors).map(Arc::new);
        let operator = Operator::new(engine.clone(), reloader.clone());
        let scrape =
            Scrape { engine: engine.clone(), doors: doors.clone(), operator, stage: Stage::default() };
        let scrape = Arc::new(scrape);
        let (admin, admin_socket) = serve_operators(config, kept_admin, engine, scrape.clone())?;
        if !is_heir {
            engine.receive(config);
        }
        doors.take(opened, config);
        succession.map_or(Ok(()), |succession| settle(&doors, succession))?;
        engine.announce();
        tracing::info!(address = %admin.local_addr(), "serving /metrics, /live and /ready, the status page and /api");
        let reloading = reloader.map(ReloadThread::start).transpose().map_err(StartError::Core)?;
        scrape.stage.open();
        let admin_estate = (config.admin.listen, admin_socket);
        let upgrade =
            Upgrade::of(Estate { engine: engine.clone(), doors: doors.clone(), admin: admin_estate });
        Ok(Self { engine: engine.clone(), doors, reloading, scrape, admin, upgrade })
    }

    /// What is running.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Has the config read again, if it is a file.
    pub fn reload(&self, why: &'static str) {
        self.reloading.iter().for_each(|reloading| reloading.ask(why));
    }

    /// Has another process of this program take over.
    pub fn upgrade(&self, why: &'static str) {
        self.upgrade.begin(why);
    }

    /// Receives once another process has: this one is to end at once.
    pub fn handed_over(&self) -> &Receiver<()> {
        self.upgrade.over()
    }

    /// Where RTSP is served.
    pub fn rtsp_addresses(&self) -> Vec<SocketAddr> {
        self.doors.listeners().iter().map(|listener| listener.address()).collect()
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
        self.reloading.into_iter().for_each(ReloadThread::stop);
        self.doors.close();
        self.engine.stop();
        self.admin.stop();
    }
}

/// Answers operators from now on; returns the socket, too, by which they come.
fn serve_operators(
    config: &Config,
    kept: Option<TcpListener>,
    engine: &Engine,
    source: Arc<Scrape>,
) -> Result<(AdminServer, TcpListener), StartError> {
    let address = config.admin.listen;
    let certificates = config.admin.tls.as_ref().map(|files| files.load()).transpose()?;
    certificates.iter().for_each(|certificates| certificates.look_each_second(&engine.timers));
    let admin = AdminServer::start(AdminConfig { listen: address, kept, certificates }, source);
    let admin = admin.and_then(|admin| admin.socket().map(|socket| (admin, socket)));
    Ok(admin.map_err(|error| NotListening { address, purpose: "metrics", error })?)
}

/// Serves those whom the predecessor has served, and lets it go.
fn settle(doors: &Doors, mut succession: Succession) -> Result<(), NoHeir> {
    let descriptors = mem::take(&mut succession.descriptors);
    let sessions = succession.household.sessions();
    let lost = doors.front_door().settle(&succession.household, descriptors);
    tracing::info!(sessions, lost = lost.sessions, "taken over from the process before");
    succession.taken(lost)
}

/// What the admin endpoint asks.
struct Scrape {
    engine: Arc<Engine>,
    doors: Arc<Doors>,
    operator: Operator,
    stage: Stage,
}

impl Vital for Scrape {
    fn live(&self) -> Result<(), Standstill> {
        self.engine.live()
    }

    fn give_up(&self, reason: &str) {
        self.engine.poller.vitals().give_up(reason.to_owned());
    }
}

impl AdminSource for Scrape {
    fn metrics(&self, visits: Visits, accepts: Accepts) -> Exposition {
        metrics::render(&self.engine, visits, clock::now(), accepts)
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
        if self.engine.drain.deadline().is_some() {
            return Err("draining".to_owned());
        }
        let listeners = self.doors.listeners();
        let deaf = listeners.iter().find(|listener| !listener.is_open());
        let channels = self.engine.catalogue.channels();
        let joined = channels.iter().map(|channel| (channel.name.as_str(), is_joined(channel)));
        let ready = self.stage.ready(deaf.map(|listener| listener.address()), joined)?;
        let pulls = self.engine.puller.stats();
        let in_vain = pulls.iter().filter(|pull| pull.is_in_vain()).map(|pull| pull.channel.as_str());
        Ok(ready + &not_pulled(&in_vain.collect::<Vec<_>>()))
    }

    fn call(&self, call: &Call) -> Result<Value, Problem> {
        self.operator.call(call)
    }

    fn tokens(&self) -> Arc<[(Role, String)]> {
        self.engine.operators()
    }

    fn previews(&self) -> Option<Arc<Previews>> {
        Some(self.engine.previews.clone())
    }
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
