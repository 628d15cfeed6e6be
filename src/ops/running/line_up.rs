//! The line-up: channels come, change and go while others are watched. All of them do so here, whoever has named them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use crate::event::{Timers, clock, lock};
use crate::ingest::{Receivers, SilenceWatch};
use crate::relay::{
    Catalogue, Channel, Demand, Dispatch, Keeping, Line, LineFull, OfferRepair, Opens, Outward, RingLimits,
};
use crate::serve::RtspServer;
use crate::storage::{Archive, Onto, Projectors};
use crate::wire::sdp::Presentation;

use super::super::config::{ChannelConfig, ChannelSettings, MOST_CHANNELS, Origin};

/// The parts that a channel is made of, and by which it is received and served.
pub struct LineUp {
    catalogue: Arc<Catalogue>,
    receivers: Arc<Receivers>,
    server: Arc<RtspServer>,
    timers: Arc<Timers>,
    maker: Maker,
    archive: Option<Arc<Archive>>,
    projectors: Option<Arc<Projectors>>,
    /// Channels that are described by who brings them.
    described: Mutex<BTreeMap<String, ChannelConfig>>,
    /// Changes go one after the other.
    changes: Mutex<()>,
}

/// Why a channel is not added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoRoom {
    /// Another one has its name.
    #[error("the name {0} is another channel's already; write another")]
    Name(String),
    /// It would be received always, and the line carries no more.
    #[error(
        "the line carries no more channels that are joined always (limits.line_groups, line_mbit); write join = \"on-demand\""
    )]
    Line,
    /// Another one is sent to the group that it comes from.
    #[error(
        "{0} is where a channel goes by multicast_out, so that it would come back in (a loop); write another group"
    )]
    Loop(IpAddr),
    /// There are as many as there may be.
    #[error("there are {MOST_CHANNELS} channels, as many as there may be; take others out")]
    Channels,
}

/// Makes channels.
#[derive(Clone)]
pub struct Maker {
    /// What their lanes share.
    pub dispatch: Dispatch,
    /// How much they remember.
    pub limits: RingLimits,
    /// What they come by.
    pub line: Arc<Line>,
}

impl Maker {
    /// The channel of a config, which is neither found nor received yet, and has its part of the line. `demand` is of who wants it.
    /// It may be to take the place of another one.
    ///
    /// # Errors
    /// The line carries no more.
    pub fn make(
        &self,
        config: &ChannelConfig,
        demand: Arc<Demand>,
        instead_of: Option<&Channel>,
        now: Instant,
    ) -> Result<Arc<Channel>, NoRoom> {
        let outward = Outward::new(&config.name, config.settings.marks, config.settings.repair_percent);
        let ChannelSettings { silent_after, coalesce, enter_at, offer_repair, .. } = config.settings;
        let keeping = Keeping { silent_after, limits: self.limits, coalesce, enter_at, offer_repair };
        let channel =
            Channel::new(&outward, config.presentation.clone(), keeping, demand, &self.dispatch, now);
        config.settings.on_demand.into_iter().for_each(|linger| channel.demand.be_needed(linger));
        if config.origin == Origin::Groups {
            channel.come_by(&self.line, instead_of, now).map_err(|LineFull| NoRoom::Line)?;
        }
        Ok(channel)
    }
}

impl Maker {
    /// The channel of a film, to which nothing comes: its viewers have tracks of their own.
    pub fn make_film(&self, name: &str, presentation: Presentation, now: Instant) -> Arc<Channel> {
        let ChannelSettings { marks, repair_percent, silent_after, coalesce, enter_at, .. } =
            ChannelSettings::default();
        // A film ends. GStreamer, which takes the other kind, then asks for seconds for what would be next, and shows nothing meanwhile.
        let offer_repair = OfferRepair::KnownOriginals;
        let outward = Outward::new(name, marks, repair_percent);
        let keeping = Keeping { silent_after, limits: self.limits, coalesce, enter_at, offer_repair };
        Channel::new(&outward, presentation, keeping, Arc::default(), &self.dispatch, now)
    }
}

/// The interface of each leg of a channel.
fn places(config: &ChannelConfig) -> impl Fn(usize) -> Option<String> {
    |leg| config.settings.interface_of(leg).map(ToString::to_string)
}

impl LineUp {
    /// A line-up of these parts.
    pub fn new(
        catalogue: Arc<Catalogue>,
        receivers: Arc<Receivers>,
        server: Arc<RtspServer>,
        timers: Arc<Timers>,
        maker: Maker,
        archive: Option<Arc<Archive>>,
        projectors: Option<Arc<Projectors>>,
    ) -> Self {
        let (described, changes) = (Mutex::default(), Mutex::default());
        Self { catalogue, receivers, server, timers, maker, archive, projectors, described, changes }
    }

    /// The line that all channels come by.
    pub fn line(&self) -> &Line {
        &self.maker.line
    }

    /// How many bytes of packets each track's ring may keep.
    pub fn ring_bytes(&self) -> usize {
        self.maker.limits.bytes
    }

    /// Receives a channel that is in the catalogue.
    pub fn receive(&self, config: &ChannelConfig) {
        let Some(channel) = self.catalogue.find(&config.name) else { return };
        if config.origin == Origin::Groups {
            let (on, redundancy) = (places(config), config.settings.redundancy);
            self.receivers.receive_legs(&channel, on, redundancy);
            config.settings.renew.into_iter().for_each(|every| self.receivers.renew_each(&channel, every));
            self.stand_by(&channel, config);
        }
        self.record(config);
        SilenceWatch::start(&channel, &self.receivers, &self.timers);
    }

    /// Has what stands by for a channel shown, if something does.
    fn stand_by(&self, channel: &Channel, config: &ChannelConfig) {
        let Some(projectors) = &self.projectors else { return };
        match config.standby.clone() {
            Some(source) => {
                let onto = Onto::Leg(self.receivers.standby(&config.name));
                projectors.project(&config.name, source, channel.demand.clone(), onto);
            }
            None => projectors.leave(&config.name),
        }
    }

    /// Has a channel received and served from now on.
    ///
    /// # Errors
    /// Why it is not.
    pub fn add(&self, config: &ChannelConfig) -> Result<(), NoRoom> {
        let _changes = lock(&self.changes);
        if self.has(&config.name) {
            return Err(NoRoom::Name(config.name.clone()));
        }
        if self.catalogue.channels().len() >= MOST_CHANNELS {
            return Err(NoRoom::Channels);
        }
        self.open(config, Arc::default())
    }

    /// Has a channel that was added received and served as it is now, by the same settings. Who watches it goes on, if what its
    /// tracks carry is what it was, wherever it comes from; else he is told that it ends, and finds it anew.
    ///
    /// # Errors
    /// Why it is not; it goes on as it was.
    pub fn change(&self, config: &ChannelConfig) -> Result<(), NoRoom> {
        let _changes = lock(&self.changes);
        let is_alike =
            |channel: &Arc<Channel>| channel.presentation().carries_what_is_in(&config.presentation);
        match self.catalogue.find(&config.name).filter(is_alike) {
            Some(channel) => self.move_to(&channel, config),
            None => self.open(config, Arc::default()),
        }
    }

    /// Has a channel of the config received and served as another config has it.
    ///
    /// # Errors
    /// Why it is not; it goes on as it was.
    pub fn adapt(&self, before: &ChannelConfig, config: &ChannelConfig) -> Result<(), NoRoom> {
        let _changes = lock(&self.changes);
        let is_made_alike = config.settings.is_made_like(&before.settings);
        let channel = self.catalogue.find(&config.name).filter(|_| is_made_alike);
        let is_alike =
            |channel: &Arc<Channel>| channel.presentation().carries_what_is_in(&config.presentation);
        let Some(channel) = channel.filter(is_alike) else { return self.open(config, Arc::default()) };
        if config.settings.comes_like(&before.settings) {
            self.move_to(&channel, config)?;
        } else {
            self.check_loops(config)?;
            channel.describe(config.presentation.clone());
            self.receive_elsewhere(&channel, config)?;
        }
        if before.standby != config.standby {
            self.stand_by(&channel, config);
        }
        self.admit(config);
        Ok(())
    }

    /// Has who may watch a channel, how it is listed and how much of it is kept be as its config says.
    pub fn admit(&self, config: &ChannelConfig) {
        let ChannelSettings { rule, sessions, listing, .. } = config.settings.clone();
        self.server.admit(&config.name, rule, sessions, listing);
        self.record(config);
    }

    fn record(&self, config: &ChannelConfig) {
        self.archive.iter().for_each(|archive| archive.keep(&config.name, config.settings.keep));
    }

    fn move_to(&self, channel: &Arc<Channel>, config: &ChannelConfig) -> Result<(), NoRoom> {
        self.check_loops(config)?;
        let before = channel.presentation();
        channel.describe(config.presentation.clone());
        if before.tracks == config.presentation.tracks {
            return Ok(());
        }
        self.receive_elsewhere(channel, config)
            .inspect_err(|_| channel.describe(Presentation::clone(&before)))
    }

    fn receive_elsewhere(&self, channel: &Arc<Channel>, config: &ChannelConfig) -> Result<(), NoRoom> {
        channel.come_by(&self.maker.line, None, clock::now()).map_err(|LineFull| NoRoom::Line)?;
        let (on, redundancy) = (places(config), config.settings.redundancy);
        self.receivers.receive_elsewhere(channel, &config.presentation.tracks, on, redundancy);
        Ok(())
    }

    fn open(&self, config: &ChannelConfig, demand: Arc<Demand>) -> Result<(), NoRoom> {
        self.check_loops(config)?;
        let before = self.catalogue.find(&config.name);
        let channel = self.maker.make(config, demand, before.as_deref(), clock::now())?;
        // Before the channel is found: nobody is let in by another one's rule.
        self.admit(config);
        if let Some(before) = self.catalogue.put(channel) {
            self.receivers.forget(&before);
            self.server.part_from(&before);
        }
        self.receive(config);
        Ok(())
    }

    /// Whether a name is that of a channel, or of one that is to come.
    pub fn has(&self, name: &str) -> bool {
        self.catalogue.find(name).is_some() || self.catalogue.expected(name).is_some()
    }

    /// What is sent to a group would come back in.
    fn check_loops(&self, config: &ChannelConfig) -> Result<(), NoRoom> {
        let feeds = config.presentation.tracks.iter().flat_map(|track| &track.feeds);
        let mut groups = feeds.map(|feed| feed.group);
        match groups.find(|group| self.server.sends_to(*group)) {
            Some(group) => Err(NoRoom::Loop(group)),
            None => Ok(()),
        }
    }

    /// Has a channel waited for: what it is, says who brings it. Returns who wants it.
    pub fn expect(&self, config: &ChannelConfig) -> Arc<Demand> {
        let demand = Arc::<Demand>::default();
        config.settings.on_demand.into_iter().for_each(|linger| demand.be_needed(linger));
        lock(&self.described).insert(config.name.clone(), config.clone());
        self.catalogue.expect(&config.name, demand.clone());
        self.record(config);
        demand
    }

    /// Has a channel that is described by who brings it made as its config says, from the next time on that it is made.
    pub fn expect_as(&self, config: &ChannelConfig) {
        lock(&self.described).insert(config.name.clone(), config.clone());
        self.admit(config);
    }

    /// Has a channel neither received nor served any more, nor waited for.
    pub fn close(&self, name: &str) {
        let _changes = lock(&self.changes);
        lock(&self.described).remove(name);
        self.projectors.iter().for_each(|projectors| projectors.leave(name));
        self.archive.iter().for_each(|archive| archive.keep(name, None));
        if let Some(gone) = self.catalogue.take(name) {
            self.receivers.forget(&gone);
            self.server.dismiss(&gone);
        }
    }
}

impl Opens for LineUp {
    fn open(&self, name: &str, presentation: Presentation, demand: &Arc<Demand>) -> Option<Arc<Channel>> {
        let _changes = lock(&self.changes);
        let config = lock(&self.described).get(name).cloned()?;
        self.open(&ChannelConfig { presentation, ..config }, demand.clone()).ok()?;
        self.catalogue.find(name)
    }
}
