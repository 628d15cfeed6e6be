//! What became of configs that were read again, as metrics and operators see it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::event::{clock, lock};

/// What may become of one.
pub const OUTCOMES: [&str; 3] = ["applied", "unchanged", "refused"];

/// Of the program.
#[derive(Default)]
pub struct Reloads {
    counts: [AtomicU64; OUTCOMES.len()],
    last: Mutex<Last>,
}

/// The last one.
#[derive(Debug, Clone, Default)]
pub struct Last {
    /// The text that the program runs by.
    pub revision: String,
    /// When it was read, or the config that the program was started with.
    pub at: Duration,
    /// Why the text that was read last is not run by, if it is not.
    pub refused: Option<String>,
    /// Keys that are otherwise in it, and wait for the next start.
    pub waiting: Vec<&'static str>,
}

impl Reloads {
    /// Of a program that was started by a text of this revision.
    pub fn of(revision: &str) -> Self {
        let last = Last { revision: revision.to_owned(), at: clock::unix_now(), ..Last::default() };
        Self { last: Mutex::new(last), ..Self::default() }
    }

    /// How many became what, in the order of [`OUTCOMES`].
    pub fn counts(&self) -> [u64; OUTCOMES.len()] {
        [0, 1, 2].map(|outcome| self.counts[outcome].load(Relaxed))
    }

    /// The last one.
    pub fn last(&self) -> Last {
        lock(&self.last).clone()
    }

    /// The program runs by this text from now on.
    pub(super) fn applied(&self, revision: &str, waiting: Vec<&'static str>) {
        self.counts[0].fetch_add(1, Relaxed);
        let (revision, at) = (revision.to_owned(), clock::unix_now());
        *lock(&self.last) = Last { revision, at, refused: None, waiting };
    }

    /// It comes to what the program runs by.
    pub(super) fn unchanged(&self, revision: &str) {
        self.counts[1].fetch_add(1, Relaxed);
        let mut last = lock(&self.last);
        (last.revision, last.at, last.refused) = (revision.to_owned(), clock::unix_now(), None);
    }

    /// The program goes on as it was.
    pub(super) fn refused(&self, why: String) {
        self.counts[2].fetch_add(1, Relaxed);
        let mut last = lock(&self.last);
        (last.at, last.refused) = (clock::unix_now(), Some(why));
    }
}
