//! What channels keep, for their viewers.

use std::sync::Arc;
use std::time::Instant;

use crate::relay::{Channel, Track};
use crate::storage::{Archive, Deck, Pace, Span};

use super::rtsp_server::RtspServer;

/// A recording that is about to be played for one viewer.
pub(super) struct Rerun {
    pub deck: Arc<Deck>,
    /// What it goes into, in the place of the channel's own tracks.
    pub tracks: Vec<Arc<Track>>,
}

/// Why nothing is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotKept {
    /// The channel is not recorded.
    Never,
    /// Of that time nothing is there.
    NotThen,
}

impl RtspServer {
    /// What channels keep is played from there.
    pub fn play_from(&self, archive: Arc<Archive>) {
        let _ = self.archive.set(archive); // the first is told of
    }

    /// What is kept of a channel, for one viewer of it.
    pub(super) fn rerun(
        &self,
        channel: &Channel,
        (span, pace): (Span, Pace),
        now: Instant,
    ) -> Result<Rerun, NotKept> {
        let archive = self.archive.get().ok_or(NotKept::Never)?;
        let kept = archive.shelf(&channel.name).ok_or(NotKept::Never)?.figures().2;
        let is_past = |until: u64| kept.is_some_and(|(oldest, _)| until <= oldest);
        if kept.is_none() || span.until_us.is_some_and(is_past) {
            return Err(NotKept::NotThen);
        }
        let (deck, tracks) =
            archive.deck(channel, &channel.tracks, (span, pace), now).ok_or(NotKept::Never)?;
        Ok(Rerun { deck, tracks })
    }
}
