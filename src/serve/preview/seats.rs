//! How many previews run, and how many may.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::no_preview::NoPreview;

/// Places for those that run.
pub(super) struct Seats {
    most: AtomicUsize,
    taken: Arc<AtomicUsize>,
}

/// One of those that run, as long as it lives.
pub(super) struct Seat(Arc<AtomicUsize>);

impl Seats {
    pub fn new(most: usize) -> Self {
        Self { most: most.into(), taken: Arc::default() }
    }

    /// So many may run from now on.
    pub fn allow(&self, most: usize) {
        self.most.store(most, Relaxed);
    }

    pub fn most(&self) -> usize {
        self.most.load(Relaxed)
    }

    pub fn taken(&self) -> usize {
        self.taken.load(Relaxed)
    }

    /// A place for one more.
    pub fn take(&self) -> Result<Seat, NoPreview> {
        let most = self.most();
        let next = |taken| (taken < most).then_some(taken + 1);
        match self.taken.fetch_update(Relaxed, Relaxed, next) {
            Ok(_) => Ok(Seat(self.taken.clone())),
            Err(_) if most == 0 => Err(NoPreview::Off),
            Err(_) => Err(NoPreview::TooMany(most)),
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
