//! Retention: what goes, so that the rest may stay. The oldest goes first: by its channel's bounds, by that of all, and before the disk is full.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use crate::event::{Episode, lock};

use super::files;
use super::keep::Keep;
use super::recorder::Recorder;
use super::stats::Removed;

/// The kind of task that looks after it.
pub(super) const RETAIN: &str = "Retain";

/// How much all channels may keep together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArchiveLimits {
    /// What all recordings may take; what the disk has where absent.
    pub max_bytes: Option<u64>,
    /// What is left of the disk for others.
    pub min_free: u64,
    /// How many may watch the past at a time.
    pub viewers: usize,
}

pub(super) struct Retention {
    root: PathBuf,
    pub limits: ArchiveLimits,
    /// What was left of the disk when it was looked at last.
    pub free: AtomicU64,
    is_full: AtomicBool,
    failing: Episode,
}

impl Retention {
    pub fn new(root: PathBuf, limits: ArchiveLimits) -> Self {
        Self {
            root,
            limits,
            free: AtomicU64::new(0),
            is_full: AtomicBool::new(false),
            failing: Episode::default(),
        }
    }

    /// Removes what is to go.
    pub fn look(&self, recorders: &[Arc<Recorder>], now: Instant) {
        for recorder in recorders {
            let Keep { length, bytes } = *lock(&recorder.keep);
            let written = recorder.written();
            while recorder.shelf.oldest_age(written, now).is_some_and(|age| age > length) {
                self.remove(recorder, Removed::Age, now);
            }
            while bytes.is_some_and(|bytes| recorder.shelf.figures().1 > bytes)
                && self.remove(recorder, Removed::Bytes, now)
            {}
        }
        let kept = || recorders.iter().map(|recorder| recorder.shelf.figures().1).sum::<u64>();
        while self.limits.max_bytes.is_some_and(|most| kept() > most)
            && self.remove_oldest(recorders, Removed::Total, now)
        {}
        self.look_at_disk(recorders, now);
    }

    /// What a segment takes is free once its files are gone: the disk is asked again after each.
    fn look_at_disk(&self, recorders: &[Arc<Recorder>], now: Instant) {
        loop {
            let free = match files::free(&self.root) {
                Ok(free) => free,
                Err(error) => return self.tell(&error, now),
            };
            self.free.store(free, Relaxed);
            let is_full = free < self.limits.min_free;
            if is_full && self.remove_oldest(recorders, Removed::Disk, now) {
                continue;
            }
            recorders.iter().for_each(|recorder| recorder.hold(is_full));
            let (was_full, directory) = (self.is_full.swap(is_full, Relaxed), self.root.display());
            let (min_free, count) = (self.limits.min_free, recorders.len());
            if is_full && !was_full {
                tracing::error!(
                    %directory, free, min_free,
                    "the disk is nearly full, and no recording is left that could go: {count} channels are not recorded until \
                     there is room; viewers have lost nothing"
                );
            } else if was_full && !is_full {
                tracing::info!(%directory, free, "there is room on the disk again: channels are recorded");
            }
            return;
        }
    }

    fn remove_oldest(&self, recorders: &[Arc<Recorder>], why: Removed, now: Instant) -> bool {
        let age = |recorder: &Arc<Recorder>| recorder.shelf.oldest_age(recorder.written(), now);
        let oldest = recorders
            .iter()
            .filter_map(|recorder| Some((age(recorder)?, recorder)))
            .max_by_key(|(age, _)| *age);
        oldest.is_some_and(|(_, recorder)| self.remove(recorder, why, now))
    }

    /// `false`: there is none that may go.
    fn remove(&self, recorder: &Recorder, why: Removed, now: Instant) -> bool {
        let Some(segment) = recorder.shelf.take_oldest(recorder.written()) else { return false };
        recorder.counts.removed(why);
        if let Err(error) = segment.remove(recorder.shelf.directory()) {
            self.tell(&error, now);
        }
        true
    }

    fn tell(&self, error: &std::io::Error, now: Instant) {
        if self.failing.begins(now) {
            let directory = self.root.display();
            tracing::error!(%directory, %error, "recordings that are to go can not be removed");
        }
    }
}
