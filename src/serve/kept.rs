//! What is kept of a channel, as one viewer of it has it.

use std::sync::Arc;

use crate::relay::Track;
use crate::storage::Deck;

/// A recording that is about to be played for one viewer.
pub(super) struct Rerun {
    pub deck: Arc<Deck>,
    /// What it goes into, in the place of the channel's own tracks.
    pub tracks: Vec<Arc<Track>>,
}

/// How far it reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// From that moment on, in microseconds since 1970, to what comes now.
    Since(u64),
    /// It is a film, which takes so many microseconds.
    Lasts(u64),
}

/// Why nothing is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotKept {
    /// The channel is not recorded.
    Never,
    /// Of that time nothing is there.
    NotThen,
    /// As many watch the past as may.
    Full,
}
