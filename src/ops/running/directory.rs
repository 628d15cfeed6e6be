//! A directory of session descriptions: each file in it is a channel for as long as it is there.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::event::{Follows, Stamp, clock, lock};

use super::super::config::{DirectoryConfig, MOST_DESCRIPTIONS, descriptions_in};
use super::line_up::LineUp;

/// Channels are opened and closed for so long at a look; the next one goes on.
const LONGEST_TURN: Duration = Duration::from_millis(100);

/// One directory, and what has been seen of it.
pub struct Directory {
    config: DirectoryConfig,
    line_up: Arc<LineUp>,
    known: Mutex<BTreeMap<String, Known>>,
    /// It was told that it can not be read, or holds too much.
    told_unreadable: AtomicBool,
    told_full: AtomicBool,
    is_closed: AtomicBool,
}

/// A file.
#[derive(Default)]
struct Known {
    file: PathBuf,
    /// As it was when it was done with.
    read: Option<Stamp>,
    /// A look ago; absent where it was missing.
    last: Option<Stamp>,
    /// The channel that it is.
    channel: Option<String>,
    /// What is wrong, as it was told last.
    told: Option<String>,
}

impl Directory {
    /// Takes in what there is.
    pub fn open(config: DirectoryConfig, line_up: Arc<LineUp>) -> Arc<Self> {
        let (known, [told_unreadable, told_full, is_closed]) = Default::default();
        let directory = Arc::new(Self { config, line_up, known, told_unreadable, told_full, is_closed });
        directory.look_until(None);
        directory
    }

    /// What it serves.
    pub fn config(&self) -> &DirectoryConfig {
        &self.config
    }

    /// Serves nothing of it any more.
    pub fn close(&self) {
        let mut known = lock(&self.known);
        self.is_closed.store(true, Relaxed);
        for channel in std::mem::take(&mut *known).into_values().filter_map(|known| known.channel) {
            self.line_up.close(&channel);
        }
    }

    /// Looks at all that there is. Without an end it is the first look: nobody is writing it now.
    fn look_until(&self, end: Option<Instant>) {
        let mut known = lock(&self.known);
        if self.is_closed.load(Relaxed) {
            return;
        }
        let Some(files) = self.files(&known) else { return };
        let is_over = || end.is_some_and(|end| clock::now() >= end);
        known.retain(|stem, known| files.contains_key(stem) || is_over() || self.is_kept(known));
        for (stem, (file, now)) in files {
            let known = known.entry(stem.clone()).or_default();
            known.file = file;
            // Whoever writes it may not be done yet.
            let is_settled = end.is_none() || known.last == Some(now);
            known.last = Some(now);
            if known.read != Some(now) && is_settled && !is_over() {
                known.read = self.read(&stem, known).then_some(now);
            }
        }
    }

    /// What there is. Where that can not be told all stays as it is.
    fn files(&self, known: &BTreeMap<String, Known>) -> Option<BTreeMap<String, (PathBuf, Stamp)>> {
        let directory = self.config.path.display();
        match descriptions_in(&self.config.path, |stem| known.contains_key(stem)) {
            Ok((files, more)) => {
                if self.told_unreadable.swap(false, Relaxed) {
                    tracing::info!(%directory, "the directory can be read again");
                }
                if !self.told_full.swap(more, Relaxed) && more {
                    tracing::warn!(%directory, "over {MOST_DESCRIPTIONS} descriptions: the rest is not served");
                }
                let with_stamp = |(stem, file): (String, PathBuf)| {
                    let stamp = Stamp::at(&file)?;
                    Some((stem, (file, stamp)))
                };
                Some(files.into_iter().filter_map(with_stamp).collect())
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

    /// Has the channel be what the file says. `false`: what is in the way is not the file's, and may pass.
    fn read(&self, stem: &str, known: &mut Known) -> bool {
        let file = known.file.display();
        let (wrong, is_done) = match self.config.channel(stem, &known.file) {
            Err(wrong) => (wrong, true),
            Ok((channel, remarks)) => {
                let opened = match known.channel {
                    Some(_) => self.line_up.change(&channel),
                    None => self.line_up.add(&channel),
                };
                match opened {
                    Err(no_room) => (format!("{file}: {no_room}"), false),
                    Ok(()) => {
                        let channel = known.channel.insert(channel.name);
                        tracing::info!(channel, %file, "served as it is described");
                        remarks.iter().for_each(|remark| tracing::warn!(channel, "{remark}"));
                        known.told = None;
                        return true;
                    }
                }
            }
        };
        if known.told.as_ref() != Some(&wrong) {
            match known.channel {
                Some(_) => tracing::warn!("the channel stays as it was: {wrong}"),
                None => tracing::warn!("not served: {wrong}"),
            }
            known.told = Some(wrong);
        }
        is_done
    }
}

impl Follows for Directory {
    const TASK: &'static str = "DirectoryWatch";

    fn look(&self) {
        self.look_until(Some(clock::now() + LONGEST_TURN));
    }
}
