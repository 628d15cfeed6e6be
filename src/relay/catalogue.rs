//! The Catalogue: all the channels by name, and who watches each.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::event::lock;
use crate::wire::sdp::{self, Presentation};

use super::beat::Coalesce;
use super::carriage::Carriage;
use super::demand::Demand;
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
    /// Who wants it, and whether it is received for their sake alone.
    pub demand: Arc<Demand>,
    described: Mutex<Option<Described>>,
}

/// The description that was asked for last: of those who come at once, most want the same.
struct Described {
    server: IpAddr,
    group: Option<(SocketAddr, u8)>,
    text: Arc<str>,
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
        let (audience, demand, described) = (Audience::default(), Arc::default(), Mutex::default());
        Arc::new(Self { name, presentation, tracks, silent_after, audience, demand, described })
    }

    /// Its description for a viewer who reaches us at `server`; for one who takes it from a group, with that and its TTL.
    pub fn description(&self, server: IpAddr, group: Option<(SocketAddr, u8)>) -> Arc<str> {
        let mut last = lock(&self.described);
        if let Some(last) = last.as_ref().filter(|last| (last.server, last.group) == (server, group)) {
            return last.text.clone();
        }
        let text = Arc::from(match group {
            Some((group, ttl)) => sdp::multicast(&self.presentation, server, group, ttl),
            None => sdp::unicast(&self.presentation, server),
        });
        last.insert(Described { server, group, text }).text.clone()
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

#[cfg(all(test, not(model)))]
mod tests {
    use super::super::rig;
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    #[test]
    fn a_description_is_for_who_asks_whatever_was_asked_for_last() {
        let presentation = sdp::mpegts("news", Ipv4Addr::new(239, 77, 61, 1).into(), 5004, None);
        let channel = rig::channel("news", presentation.clone());
        let (one, other): (IpAddr, IpAddr) = (Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into());
        let group = ([239, 77, 61, 2], 6000).into();
        for server in [one, one, other, one] {
            assert_eq!(*channel.description(server, None), sdp::unicast(&presentation, server));
        }
        for ttl in [1, 1, 2] {
            let expected = sdp::multicast(&presentation, one, group, ttl);
            assert_eq!(*channel.description(one, Some((group, ttl))), expected);
        }
    }
}
