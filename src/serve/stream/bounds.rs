//! What one connection may have us hold for its client to read, and for what it has set up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Bytes of one read.
pub const READ_BYTES: usize = 4 << 10;

/// Replies that wait, beyond which no more is read of the client: it goes on when it has read.
pub const HELD_BACK_BYTES: usize = 4 << 10;

/// What waits in all, beyond which a post cuts the client off: others may have posted too.
pub const CUT_OFF_BYTES: usize = 8 << 10;

/// What is set up on one connection: each track with its URL.
pub const SETUP_BYTES: usize = 20 << 10;

/// What a track that is set up takes, besides its URL: its parts in session, lanes and writer.
pub const TRACK_BYTES: usize = 1 << 10;

/// Room for what a client sets up.
#[derive(Default)]
pub struct Room(Arc<AtomicUsize>);

/// What a track that is set up takes of memory; given back when this goes.
pub struct SetupBytes {
    all: Arc<AtomicUsize>,
    own: usize,
}

impl Room {
    /// Room for a track with a URL of this length. `None`: there are too many on this connection.
    pub fn for_setup(&self, url: usize) -> Option<SetupBytes> {
        self.take(url + TRACK_BYTES)
    }

    /// Room for what was set up on another connection.
    pub fn for_as_much(&self, elsewhere: &SetupBytes) -> Option<SetupBytes> {
        self.take(elsewhere.own)
    }

    fn take(&self, own: usize) -> Option<SetupBytes> {
        let more = |all| Some(all + own).filter(|all| *all <= SETUP_BYTES);
        self.0.fetch_update(Relaxed, Relaxed, more).ok()?;
        Some(SetupBytes { all: self.0.clone(), own })
    }
}

impl Drop for SetupBytes {
    fn drop(&mut self) {
        self.all.fetch_sub(self.own, Relaxed);
    }
}
