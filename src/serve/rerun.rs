//! What channels keep, for their viewers.

use std::sync::Arc;
use std::time::Instant;

use crate::relay::Channel;
use crate::storage::{Archive, Programme};

use super::kept::{NotKept, Rerun};
use super::rtsp_server::RtspServer;

impl RtspServer {
    /// What channels keep is played from there.
    pub fn play_from(&self, archive: Arc<Archive>) {
        let _ = self.archive.set(archive); // the first is told of
    }

    /// From when on a channel is kept, in microseconds since 1970, if it is.
    pub(super) fn kept_from(&self, channel: &Channel) -> Option<u64> {
        let (_, _, span) = self.archive.get()?.shelf(&channel.name)?.figures();
        span.map(|(oldest, _)| oldest)
    }

    /// What is kept of a channel, for one viewer of it.
    pub(super) fn rerun(
        &self,
        channel: &Channel,
        programme: Programme,
        now: Instant,
    ) -> Result<Rerun, NotKept> {
        let archive = self.archive.get().ok_or(NotKept::Never)?;
        let kept = archive.shelf(&channel.name).ok_or(NotKept::Never)?.figures().2;
        let is_past = |until: u64| kept.is_some_and(|(oldest, _)| until <= oldest);
        if kept.is_none() || programme.until_us.is_some_and(is_past) {
            return Err(NotKept::NotThen);
        }
        let (deck, tracks) = archive.deck(channel, &channel.tracks, programme, now).ok_or(NotKept::Full)?;
        Ok(Rerun { deck, tracks })
    }
}
