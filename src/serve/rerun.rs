//! What channels keep, for their viewers.

use std::sync::Arc;
use std::time::Instant;

use crate::event::clock;
use crate::relay::{Channel, Expected};
use crate::storage::{Archive, Programme};

use super::kept::{Extent, NotKept, Rerun};
use super::rtsp_server::RtspServer;

impl RtspServer {
    /// What channels keep is played from there.
    pub fn play_from(&self, archive: Arc<Archive>) {
        let _ = self.archive.set(archive); // the first is told of
    }

    /// The channel of a name, or the film.
    pub(super) fn find(&self, name: &str) -> Option<Arc<Channel>> {
        let film = || self.archive.get()?.libraries().channel(name);
        self.catalogue.find(name).or_else(film)
    }

    /// One of a name that is to come.
    pub(super) fn expected(&self, name: &str) -> Option<Arc<Expected>> {
        let film = || self.archive.get()?.libraries().expected(name, clock::now());
        self.catalogue.expected(name).or_else(film)
    }

    /// Whether it is a file that can not be played.
    pub(super) fn is_no_film(&self, name: &str) -> bool {
        self.archive.get().is_some_and(|archive| archive.libraries().is_no_film(name))
    }

    /// How far what is kept of a channel reaches, if it is, or of a film.
    pub(super) fn extent(&self, channel: &Channel) -> Option<Extent> {
        let archive = self.archive.get()?;
        if let Some(duration_us) = archive.libraries().duration_us(channel) {
            return Some(Extent::Lasts(duration_us));
        }
        let (_, _, span) = archive.shelf(&channel.name)?.figures();
        span.map(|(oldest, _)| Extent::Since(oldest))
    }

    /// What is kept of a channel, for one viewer of it.
    pub(super) fn rerun(
        &self,
        channel: &Channel,
        programme: Programme,
        now: Instant,
    ) -> Result<Rerun, NotKept> {
        let archive = self.archive.get().ok_or(NotKept::Never)?;
        if let Some(Extent::Lasts(duration_us)) = self.extent(channel) {
            let is_behind = programme.from.us().is_some_and(|from_us| from_us >= duration_us);
            let rerun = || archive.film(channel, programme, now).ok_or(NotKept::Full);
            return if is_behind {
                Err(NotKept::NotThen)
            } else {
                rerun().map(|(deck, tracks)| Rerun { deck, tracks })
            };
        }
        let kept = archive.shelf(&channel.name).ok_or(NotKept::Never)?.figures().2;
        let is_past = |until: u64| kept.is_some_and(|(oldest, _)| until <= oldest);
        if kept.is_none() || programme.until_us.is_some_and(is_past) {
            return Err(NotKept::NotThen);
        }
        let (deck, tracks) = archive.deck(channel, &channel.tracks, programme, now).ok_or(NotKept::Full)?;
        Ok(Rerun { deck, tracks })
    }
}
