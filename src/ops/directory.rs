//! A directory of session descriptions: each file in it is a channel for as long as it is there.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::event::{Follows, Stamp, clock, lock};

use super::config::{DirectoryConfig, MOST_DESCRIPTIONS, descriptions_in};
use super::line_up::LineUp;

/// Descriptions are read for so long at a look; the next one goes on.
const LONGEST_TURN: Duration = Duration::from_millis(100);

/// One directory, and what has been seen of it.
pub struct Directory {
    config: DirectoryConfig,
    line_up: Arc<LineUp>,
    known: Mutex<BTreeMap<String, Known>>,
    /// It was told that it can not be read, or holds too much.
    told_unreadable: AtomicBool,
    told_full: AtomicBool,
}

/// A file.
#[derive(Default)]
struct Known {
    file: PathBuf,
    /// As it was when it was read.
    read: Option<Stamp>,
    /// A look ago; absent where it was missing.
    last: Option<Stamp>,
    /// The channel that it is.
    channel: Option<String>,
}

impl Directory {
    /// Takes in what there is.
    pub fn open(config: DirectoryConfig, line_up: Arc<LineUp>) -> Arc<Self> {
        let (told_unreadable, told_full) = (AtomicBool::new(false), AtomicBool::new(false));
        let directory = Self { config, line_up, known: Mutex::default(), told_unreadable, told_full };
        let directory = Arc::new(directory);
        directory.look_at_all(true);
        directory
    }

    fn look_at_all(&self, is_first: bool) {
        let Some(files) = self.files() else { return };
        let turn_ends = clock::now() + LONGEST_TURN;
        let mut known = lock(&self.known);
        known.retain(|stem, known| files.contains_key(stem) || self.is_kept(known));
        for (stem, file) in files {
            let now = Stamp::at(&file);
            let known = known.entry(stem.clone()).or_default();
            known.file = file;
            // Whoever writes it may not be done yet.
            let is_settled = is_first || known.last == now;
            known.last = now;
            if known.read != now && is_settled && (is_first || clock::now() < turn_ends) {
                known.read = now;
                self.read(&stem, known);
            }
        }
    }

    /// What there is. Where that can not be told all stays as it is.
    fn files(&self) -> Option<BTreeMap<String, PathBuf>> {
        let directory = self.config.path.display();
        match descriptions_in(&self.config.path) {
            Ok((files, more)) => {
                if self.told_unreadable.swap(false, Relaxed) {
                    tracing::info!(%directory, "the directory can be read again");
                }
                if more && !self.told_full.swap(more, Relaxed) {
                    tracing::warn!(%directory, "over {MOST_DESCRIPTIONS} descriptions: the rest is not served");
                }
                self.told_full.store(more, Relaxed);
                Some(files)
            }
            Err(error) => {
                if !self.told_unreadable.swap(true, Relaxed) {
                    tracing::warn!(%directory, %error, "its channels stay as they were: the directory can not be read");
                }
                None
            }
        }
    }

    /// Whether one that is missing may be about to be replaced; else its channel ends.
    fn is_kept(&self, known: &mut Known) -> bool {
        if known.last.take().is_some() {
            return true;
        }
        if let Some(channel) = known.channel.take() {
            self.line_up.close(&channel);
            tracing::info!(channel, file = %known.file.display(), "served no longer: its description is gone");
        }
        false
    }

    fn read(&self, stem: &str, known: &mut Known) {
        let file = known.file.display();
        let opened = self.config.channel(stem, &known.file).and_then(|(channel, remarks)| {
            let opened = match known.channel.take() {
                Some(_) => self.line_up.change(&channel),
                None => self.line_up.add(&channel),
            };
            opened.map_err(|wrong| format!("{file}: {wrong}"))?;
            Ok((channel.name, remarks))
        });
        match opened {
            Ok((channel, remarks)) => {
                tracing::info!(channel, %file, "served as it is described");
                remarks.iter().for_each(|remark| tracing::warn!(channel, "{remark}"));
                known.channel = Some(channel);
            }
            Err(wrong) if known.channel.is_some() => {
                tracing::warn!("the channel stays as it was: {wrong}");
            }
            Err(wrong) => tracing::warn!("not served: {wrong}"),
        }
    }
}

impl Follows for Directory {
    const TASK: &'static str = "DirectoryWatch";

    fn look(&self) {
        self.look_at_all(false);
    }
}
