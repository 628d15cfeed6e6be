//! The Catalogue: all the channels by name, and who watches each.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::wire::sdp::Presentation;

use super::beat::Coalesce;
use super::carriage::Carriage;
use super::dispatch::Dispatch;
use super::outward::Outward;
use super::ring::RingLimits;
use super::track::Track;

/// A named program.
pub struct Channel {
    /// The name in its URL.
    pub name: String,
    /// How its source describes it.
    pub presentation: Presentation,
    /// Its RTP streams, in the presentation's order.
    pub tracks: Vec<Arc<Track>>,
    /// A source that sends nothing for this long counts as silent.
    pub silent_after: Duration,
    /// Who watches.
    pub audience: Audience,
}

/// Subscribers now, by how packets reach them.
#[derive(Debug, Default)]
pub struct Audience([AtomicUsize; Carriage::ALL.len()]);

/// One who watches; stops counting when dropped.
pub struct Viewer {
    channel: Arc<Channel>,
    by: Carriage,
}

/// All the channels.
#[derive(Default)]
pub struct Catalogue {
    channels: BTreeMap<String, Arc<Channel>>,
}

impl Channel {
    /// Builds the channel's tracks; nothing is received before the receivers join its groups.
    pub fn new(
        outward: &Arc<Outward>,
        presentation: Presentation,
        silent_after: Duration,
        limits: RingLimits,
        coalesce: Coalesce,
        dispatch: &Dispatch,
        now: Instant,
    ) -> Arc<Self> {
        let tracks = presentation.tracks.iter().enumerate();
        let tracks = tracks
            .map(|(i, track)| Track::new(outward, i + 1, track.clone(), limits, coalesce, dispatch, now))
            .collect();
        let name = outward.channel.to_string();
        Arc::new(Self { name, presentation, tracks, silent_after, audience: Audience::default() })
    }

    /// Whether all tracks are silent.
    pub fn is_silent(&self) -> bool {
        self.tracks.iter().all(|track| track.is_silent())
    }

    /// Counts one more who watches.
    pub fn watch(self: &Arc<Self>, by: Carriage) -> Viewer {
        self.audience.0[by as usize].fetch_add(1, Relaxed);
        Viewer { channel: self.clone(), by }
    }
}

impl Audience {
    /// Those whom packets reach so.
    pub fn by(&self, carriage: Carriage) -> usize {
        self.0[carriage as usize].load(Relaxed)
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.channel.audience.0[self.by as usize].fetch_sub(1, Relaxed);
    }
}

impl Catalogue {
    /// The catalogue of these channels; a later one replaces an earlier of the same name.
    pub fn new(channels: impl IntoIterator<Item = Arc<Channel>>) -> Self {
        Self { channels: channels.into_iter().map(|channel| (channel.name.clone(), channel)).collect() }
    }

    /// The channel of a name.
    pub fn find(&self, name: &str) -> Option<&Arc<Channel>> {
        self.channels.get(name)
    }

    /// All channels by name.
    pub fn channels(&self) -> impl Iterator<Item = &Arc<Channel>> {
        self.channels.values()
    }
}
