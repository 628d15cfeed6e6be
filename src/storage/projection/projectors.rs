//! All that is shown of files, by channel.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use crate::event::{TaskQueue, Timers, lock};
use crate::relay::Demand;

use super::parts::{Onto, Parts, ProjectionStats};
use super::projector::Projector;
use super::source::FileSource;

/// All projectors.
pub struct Projectors {
    parts: Arc<Parts>,
    all: Mutex<BTreeMap<String, Arc<Projector>>>,
}

impl Projectors {
    /// Nothing is shown yet.
    pub fn new(storage: Arc<TaskQueue>, timers: Arc<Timers>, kept_in: PathBuf) -> Arc<Self> {
        Arc::new(Self { parts: Arc::new(Parts { storage, timers, kept_in }), all: Mutex::default() })
    }

    /// Shows a source for as long as it is wanted, in the place of what is shown by this name.
    pub fn project(&self, name: &str, source: FileSource, demand: Arc<Demand>, onto: Onto) {
        let projector = Projector::new(name, source, demand, onto, self.parts.clone());
        let before = lock(&self.all).insert(name.to_owned(), projector.clone());
        before.iter().for_each(|before| before.stop());
        projector.begin();
    }

    /// Shows nothing by this name any more.
    pub fn leave(&self, name: &str) {
        let gone = lock(&self.all).remove(name);
        gone.iter().for_each(|gone| gone.stop());
    }

    /// Shows nothing any more.
    pub fn stop(&self) {
        let all = std::mem::take(&mut *lock(&self.all));
        all.values().for_each(|one| one.stop());
    }

    /// All of them in numbers.
    pub fn stats(&self) -> Vec<ProjectionStats> {
        lock(&self.all).values().map(|one| one.stats()).collect()
    }
}
