//! Which feeds of a track are joined.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// A bit for each feed.
#[derive(Debug, Default)]
pub(super) struct JoinedFeeds(AtomicU32);

impl JoinedFeeds {
    /// A feed, from 0, is joined or left.
    pub fn set(&self, feed: usize, joined: bool) {
        if joined {
            self.0.fetch_or(bit(feed), Relaxed);
        } else {
            self.0.fetch_and(!bit(feed), Relaxed);
        }
    }

    pub fn has(&self, feed: usize) -> bool {
        self.0.load(Relaxed) & bit(feed) != 0
    }

    pub fn has_any(&self) -> bool {
        self.0.load(Relaxed) != 0
    }
}

/// No track has so many that one would be without.
fn bit(feed: usize) -> u32 {
    1u32.checked_shl(feed as u32).unwrap_or(0)
}
