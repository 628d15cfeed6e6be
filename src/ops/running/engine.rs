//! The engine: every part of the program that serves, put together from a config, and taken apart in order.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::super::config::{
    AdminConfig, ChannelConfig, Config, DirectoryConfig, LibraryConfig, Origin, Role, StorageConfig,
};
use crate::event::{Class, Follows, GivesWay, Poller, Standstill, TaskQueue, Timers, clock, lock};
use crate::ingest::Receivers;
use crate::ingest::announce::Hearing;
use crate::ingest::pull::{self, Puller};
use crate::relay::{BurstBudget, Busy, Catalogue, Dispatch, Lateness, Line, LineLimits, RingLimits};
use crate::serve::{Access, Announcer, Certificates, FrontDoor, OpensGroups, Previews, RtspServer, Site};
use crate::storage::{Archive, Library, MakeChannel, Onto, Projectors};

use super::announced::{self, Bars};
use super::directory::Directory;
use super::drain::Drain;
use super::line_up::{LineUp, Maker};
use super::open_groups::OpenGroups;
use super::reloads::Reloads;
use super::serving::{server_config, site_config};

/// All parts, of which the metrics are read too.
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
    /// What channels keep on disk, if any do.
    pub archive: Option<Arc<Archive>>,
    /// What is shown of files as channels, if anything may be.
    pub projectors: Option<Arc<Projectors>>,
    /// Channels that are shown on the status page.
    pub previews: Arc<Previews>,
    /// When it was started.
    pub started_at: Instant,
    /// Whether it takes anybody in.
    pub drain: Drain,
    /// What became of configs that were read again.
    pub reloads: Reloads,
    /// What TLS is served with, if it is.
    pub(in crate::ops) certificates: Option<Arc<Certificates>>,
    /// What this program is called among those that pull from each other.
    pub(in crate::ops) instance: String,
    pub(in crate::ops) operators: Mutex<Arc<[(Role, String)]>>,
    pub(in crate::ops) bars: Arc<Bars>,
    pub(in crate::ops) timers: Arc<Timers>,
    pub(in crate::ops) directories: Mutex<Vec<Arc<Directory>>>,
    pub(in crate::ops) open_groups: Option<Arc<OpenGroups>>,
}

impl Engine {
    pub(in crate::ops) fn start(
        config: &Config,
        guard: Access,
        certificates: Option<Arc<Certificates>>,
    ) -> io::Result<Self> {
        let media = TaskQueue::start("media", config.engine.media_workers)?;
        let lateness = Lateness::new(config.ring.max_age, clock::now());
        let gives_way = {
            let lateness = lateness.clone();
            Arc::new(move || lateness.is_late(clock::now())) as GivesWay
        };
        let control = TaskQueue::start_low("control", config.engine.control_workers, gives_way.clone())?;
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
        let known = config.channels.iter().filter(|channel| channel.origin == Origin::Groups);
        let channels = known.filter_map(|channel| {
            let made = maker.make(channel, Arc::default(), None, started_at);
            made.inspect_err(|wrong| tracing::warn!(channel = channel.name, "not served: {wrong}")).ok()
        });
        let catalogue = Arc::new(Catalogue::new(channels));
        let archive = config
            .storage
            .as_ref()
            .map(|storage| archive(storage, &catalogue, &maker, (gives_way, config)))
            .transpose()?;
        let projectors = archive.as_ref().map(|archive| archive.projectors(dispatch.timers.clone()));
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
            server_config(config, certificates.clone(), &instance),
        );
        archive.iter().for_each(|archive| server.play_from(archive.clone()));
        let line_up = LineUp::new(
            catalogue.clone(),
            receivers.clone(),
            server.clone(),
            timers.clone(),
            maker,
            archive.clone(),
            projectors.clone(),
        );
        let line_up = Arc::new(line_up);
        let bars = Arc::new(Bars::of(config));
        let hearing = announced::hearing(config, &bars, &line_up, &poller);
        let open_groups = OpenGroups::of(config, &bars, &line_up, &catalogue);
        let others = hearing.clone();
        let announcer = server
            .announcer(move || others.as_ref().map_or(0, |hearing| hearing.stats().sessions() as usize));
        let puller = Arc::new(Puller::new(
            poller.clone(),
            dispatch.timers.clone(),
            dispatch.busy.clone(),
            line_up.clone(),
            instance.clone(),
        ));
        let drain = Drain::new(server.clone(), config.limits.drain_timeout);
        let previews = Arc::new(Previews::new(catalogue.clone(), config.admin.previews));
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
            archive,
            projectors,
            previews,
            started_at,
            drain,
            reloads: Reloads::of(&config.revision),
            certificates,
            instance,
            operators: Mutex::new(config.admin.tokens.clone().into()),
            bars,
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
    pub(in crate::ops) fn front_door(&self, config: &Config) -> FrontDoor {
        let site = config.http.as_ref().map(|http| {
            let groups = self.open_groups.clone().map(|groups| groups as Arc<dyn OpensGroups>);
            Site::new(self.server.clone(), site_config(http), groups)
        });
        let shares = config.http.as_ref().is_some_and(|http| http.share_ports);
        FrontDoor::new(self.server.clone(), site, shares)
    }

    /// Joins all groups, once it is sure that somebody can be served.
    pub(in crate::ops) fn receive(&self, config: &Config) {
        for channel in &config.channels {
            match channel.origin {
                Origin::Groups => self.line_up.receive(channel),
                Origin::Server(_) | Origin::Files(_) => self.bring(channel),
            }
        }
        config.directories.iter().for_each(|directory| self.open_directory(directory));
        self.open_groups.iter().for_each(|groups| groups.look_each_second(&self.timers));
        self.hearing.iter().for_each(|hearing| hearing.begin(&self.timers));
        self.archive.iter().for_each(|archive| archive.begin(&self.timers));
    }

    /// Has a channel brought by who describes it.
    pub(super) fn bring(&self, config: &ChannelConfig) {
        match &config.origin {
            Origin::Groups => {}
            Origin::Server(pull) => self.puller.pull(pull.clone(), self.line_up.expect(config)),
            Origin::Files(source) => {
                let Some(projectors) = &self.projectors else { return };
                let onto = Onto::New(self.line_up.clone());
                projectors.project(&config.name, source.clone(), self.line_up.expect(config), onto);
            }
        }
    }

    /// Announces channels, and sends them to their groups, from now on.
    pub(in crate::ops) fn announce(&self) {
        self.announcer.begin(&self.timers);
    }

    /// Who may see, and who may change something.
    pub(in crate::ops) fn operators(&self) -> Arc<[(Role, String)]> {
        lock(&self.operators).clone()
    }

    /// Answers operators by another config from now on.
    pub(super) fn answer_by(&self, admin: &AdminConfig) {
        *lock(&self.operators) = admin.tokens.clone().into();
        self.previews.allow(admin.previews);
    }

    /// Serves what is described in a directory, for as long as it is there.
    pub(super) fn open_directory(&self, config: &DirectoryConfig) {
        let directory = Directory::open(config.clone(), self.line_up.clone());
        directory.look_each_second(&self.timers);
        lock(&self.directories).push(directory);
    }

    pub(in crate::ops) fn stop(&self) {
        self.projectors.iter().for_each(|projectors| projectors.stop());
        self.archive.iter().for_each(|archive| archive.stop());
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

/// What channels keep, on a queue of its own: no disk makes media late.
fn archive(
    storage: &StorageConfig,
    catalogue: &Arc<Catalogue>,
    maker: &Maker,
    (gives_way, config): (GivesWay, &Config),
) -> io::Result<Arc<Archive>> {
    let queue = TaskQueue::start_low("storage", storage.workers, gives_way)?;
    let busy = Busy::new(storage.workers, config.engine.busy_percent as f64 / 100.0, || false);
    let lateness = Lateness::new(config.ring.max_age, clock::now());
    let dispatch = maker.dispatch.beside(queue, busy, lateness);
    let libraries = storage.libraries.iter().map(|LibraryConfig { name, directory, .. }| Library {
        name: name.clone(),
        directory: directory.clone(),
    });
    let (libraries, maker) = (libraries.collect::<Vec<_>>(), maker.clone());
    let make: MakeChannel =
        Box::new(move |name, presentation| maker.make_film(name, presentation, clock::now()));
    Ok(Archive::new(&storage.directory, storage.limits, catalogue.clone(), dispatch, (&libraries, make)))
}
