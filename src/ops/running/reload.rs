//! A config that is read again: only what it changes is touched, and what is wrong with it changes nothing.
//!
//! ```text
//!  SIGHUP, a file that was written, the API ─▶ load ─▶ prepare: new addresses, users ─▶ apply ─▶ channels
//!                                               └─ wrong ─┴─▶ refused: all stays as it was
//! ```
//!
//! Channels that go make room first; then those that change, then those that come. A channel whose line in the config is as it
//! was is not looked at.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::event::{Stamp, lock};
use crate::serve::DoorRules;

use super::super::config::{ChannelConfig, Config, DirectoryConfig, Origin, waiting};
use super::super::log;
use super::doors::{Doors, Open};
use super::engine::Engine;
use super::line_up::NoRoom;
use super::serving::{access_config, server_config, site_config};

/// Reads the config again.
pub struct Reloader {
    engine: Arc<Engine>,
    doors: Arc<Doors>,
    file: PathBuf,
    /// As the program was started: what lasts is compared with this.
    started: Arc<Config>,
    state: Mutex<State>,
    /// What programs keep is changed by one after the other.
    keeping: Mutex<()>,
}

struct State {
    config: Arc<Config>,
    /// The files that it is made of, as they were when they were read.
    read: Looks,
    /// A look ago.
    last: Looks,
}

type Looks = BTreeMap<PathBuf, Option<Stamp>>;

/// What a config that was read again has changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Channels that came.
    pub added: Vec<String>,
    /// Those that went.
    pub removed: Vec<String>,
    /// Those that are otherwise.
    pub changed: Vec<String>,
    /// Those that are not as they are meant, and why.
    pub failed: Vec<String>,
    /// Keys that wait for the next start.
    pub waiting: Vec<&'static str>,
}

/// What became of a config that was read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reloaded {
    /// It comes to what the program runs by.
    Unchanged,
    /// The program runs by it now.
    Applied(Changes),
    /// It does not, and why.
    Refused(String),
}

/// What has to be had before anything is changed.
struct Prepared {
    opened: Vec<Open>,
    rules: Option<DoorRules>,
}

impl Reloader {
    /// One of a config, if that is a file.
    pub fn of(config: &Config, engine: &Arc<Engine>, doors: &Arc<Doors>) -> Option<Self> {
        let file = config.file.clone()?;
        let read = looks(config);
        let started = Arc::new(config.clone());
        let state = State { config: started.clone(), last: read.clone(), read };
        let (engine, doors) = (engine.clone(), doors.clone());
        Some(Self { engine, doors, file, started, state: Mutex::new(state), keeping: Mutex::default() })
    }

    /// Reads the config again if one of its files has been written, and is not being written any more.
    pub fn look(&self) {
        let mut state = lock(&self.state);
        let now = looks(&state.config);
        let is_settled = now == state.last;
        state.last.clone_from(&now);
        if now != state.read && is_settled {
            self.reload_from(&mut state, "it was written");
        }
    }

    /// The config that the program runs by.
    pub fn config(&self) -> Arc<Config> {
        lock(&self.state).config.clone()
    }

    /// Until this goes nobody else changes what programs keep.
    pub(super) fn keeping(&self) -> MutexGuard<'_, ()> {
        lock(&self.keeping)
    }

    /// Reads the config again.
    pub fn reload(&self, why: &str) -> Reloaded {
        self.reload_from(&mut lock(&self.state), why)
    }

    fn reload_from(&self, state: &mut State, why: &str) -> Reloaded {
        state.read = looks(&state.config);
        let file = self.file.display();
        let loaded = self.load();
        let prepared = loaded.and_then(|config| {
            if config.means_the_same(&state.config) && self.has_all(&config) {
                return Ok((config, None));
            }
            let prepared = self.prepare(&config, &state.config)?;
            Ok((config, Some(prepared)))
        });
        let reloads = &self.engine.reloads;
        let (config, prepared) = match prepared {
            Ok((config, Some(prepared))) => (config, prepared),
            Ok((config, None)) => {
                reloads.unchanged(&config.revision);
                tracing::info!(%file, "the config was read again ({why}), and changes nothing");
                return Reloaded::Unchanged;
            }
            Err(wrong) => {
                tracing::error!(%file, "the config was read again ({why}), and all stays as it was: it is refused");
                wrong.lines().for_each(|line| tracing::error!("{line}"));
                reloads.refused(wrong.clone());
                return Reloaded::Refused(wrong);
            }
        };
        let changes = self.apply(&config, prepared, &state.config);
        tell(&changes, &self.file, why);
        reloads.applied(&config.revision, changes.waiting.clone());
        state.read = looks(&config);
        state.last.clone_from(&state.read);
        state.config = Arc::new(config);
        Reloaded::Applied(changes)
    }

    /// A file with nothing in it would do to start with, but not to go on with: it is about to be written.
    fn load(&self) -> Result<Config, String> {
        let config = Config::load(&self.file).map_err(|error| error.to_string())?;
        let is_empty = fs::metadata(&self.file).is_ok_and(|about| about.len() == 0);
        if is_empty {
            Err(format!("{}: it is empty; write the config", self.file.display()))
        } else {
            Ok(config)
        }
    }

    /// What can fail, while nothing has changed yet.
    fn prepare(&self, config: &Config, before: &Config) -> Result<Prepared, String> {
        let rules =
            |config: &Config| (config.access.clone(), config.http.as_ref().map(|http| http.tokens.clone()));
        let has_changed = rules(config) != rules(before);
        let rules = has_changed.then(|| DoorRules::of(access_config(config))).transpose();
        let rules = rules.map_err(|error| format!("[access] users: {error}"))?;
        let opened = self.doors.open(config).map_err(|error| error.to_string())?;
        Ok(Prepared { opened, rules })
    }

    fn apply(&self, config: &Config, prepared: Prepared, before: &Config) -> Changes {
        let engine = &self.engine;
        engine.server.serve_by(server_config(config, engine.certificates.clone(), &engine.instance));
        prepared.rules.into_iter().for_each(|rules| engine.server.judge_by(rules));
        config.http.iter().for_each(|http| self.doors.present(site_config(http)));
        engine.bars.be(config);
        engine.answer_by(&config.admin);
        engine.drain.set_timeout(config.limits.drain_timeout);
        log::write_as(config.log.format);
        let mut changes = Changes { waiting: waiting(config, &self.started), ..Changes::default() };
        self.change_directories(&config.directories);
        self.change_channels(&config.channels, &before.channels, &mut changes);
        self.doors.take(prepared.opened, config);
        changes
    }

    fn change_directories(&self, configs: &[DirectoryConfig]) {
        let mut directories = lock(&self.engine.directories);
        let (stay, gone): (Vec<_>, Vec<_>) =
            directories.drain(..).partition(|directory| configs.contains(directory.config()));
        let is_open = |config: &DirectoryConfig| stay.iter().any(|directory| directory.config() == config);
        let new: Vec<_> = configs.iter().filter(|config| !is_open(config)).collect();
        *directories = stay;
        drop(directories);
        gone.into_iter().for_each(|directory| directory.close());
        new.into_iter().for_each(|config| self.engine.open_directory(config));
    }

    fn change_channels(&self, configs: &[ChannelConfig], before: &[ChannelConfig], changes: &mut Changes) {
        let now: HashMap<_, _> = configs.iter().map(|config| (config.name.as_str(), config)).collect();
        let then: HashMap<_, _> = before.iter().map(|config| (config.name.as_str(), config)).collect();
        for gone in before.iter().filter(|config| !now.contains_key(config.name.as_str())) {
            self.close(gone);
            changes.removed.push(gone.name.clone());
        }
        let mut new = Vec::new();
        for config in configs {
            match then.get(config.name.as_str()) {
                Some(before) if self.engine.line_up.has(&config.name) => {
                    if *before != config {
                        let changed = self.change(before, config);
                        note(changed, config, &mut changes.changed, &mut changes.failed);
                    }
                }
                _ => new.push(config),
            }
        }
        for config in new {
            note(self.open(config), config, &mut changes.added, &mut changes.failed);
        }
    }

    fn change(&self, before: &ChannelConfig, config: &ChannelConfig) -> Result<(), NoRoom> {
        let is_brought_alike =
            before.origin == config.origin && before.settings.is_made_like(&config.settings);
        match (&before.origin, &config.origin) {
            (Origin::Groups, Origin::Groups) => self.engine.line_up.adapt(before, config),
            _ if is_brought_alike => {
                self.engine.line_up.expect_as(config);
                Ok(())
            }
            _ => {
                self.close(before);
                self.open(config)
            }
        }
    }

    fn open(&self, config: &ChannelConfig) -> Result<(), NoRoom> {
        if config.origin == Origin::Groups {
            return self.engine.line_up.add(config);
        }
        self.engine.line_up.admit(config);
        self.engine.bring(config);
        Ok(())
    }

    fn close(&self, config: &ChannelConfig) {
        if matches!(config.origin, Origin::Server(_)) {
            self.engine.puller.leave(&config.name);
        }
        self.engine.line_up.close(&config.name);
    }

    /// Whether every channel is served: what there was no room for is tried again.
    fn has_all(&self, config: &Config) -> bool {
        config.channels.iter().all(|channel| self.engine.line_up.has(&channel.name))
    }
}

/// Every file of a config, as it is now.
fn looks(config: &Config) -> Looks {
    config.files().map(|file| (file.clone(), Stamp::at(file))).collect()
}

fn note(done: Result<(), NoRoom>, config: &ChannelConfig, names: &mut Vec<String>, failed: &mut Vec<String>) {
    match done {
        Ok(()) => names.push(config.name.clone()),
        Err(no_room) => failed.push(format!("channel {:?}: {no_room}", config.name)),
    }
}

fn tell(changes: &Changes, file: &Path, why: &str) {
    let Changes { added, removed, changed, failed, waiting } = changes;
    let (added, removed, changed) = (added.len(), removed.len(), changed.len());
    tracing::info!(file = %file.display(), added, removed, changed, "the config was read again ({why}), and is served");
    failed.iter().for_each(|failed| tracing::warn!("not as it is meant: {failed}"));
    if !waiting.is_empty() {
        tracing::warn!(
            "these keys are as they were until the program is started again: {}",
            waiting.join("; ")
        );
    }
}
