//! The Catalogue: all the channels by name, and who watches each.

use std::collections::BTreeMap;
use std::iter;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::event::lock;
use crate::wire::sdp::{self, Presentation, Repairs};

use super::beat::Coalesce;
use super::carriage::Carriage;
use super::demand::{Claim, Demand};
use super::dispatch::Dispatch;
use super::entry::{Began, EnterAt};
use super::expected::Expected;
use super::line::{Line, LineFull, LineLimits, Passage};
use super::outward::Outward;
use super::ring::RingLimits;
use super::track::Track;

/// A named program.
pub struct Channel {
    /// The name in its URL.
    pub name: String,
    /// How its source describes it now.
    presentation: Mutex<Arc<Presentation>>,
    /// Its RTP streams, in the presentation's order.
    pub tracks: Vec<Arc<Track>>,
    /// A source that sends nothing for this long counts as silent.
    pub silent_after: Duration,
    /// Where those begin who come.
    pub enter_at: EnterAt,
    /// Who is offered to have again what they have lost.
    pub offer_repair: OfferRepair,
    /// Who watches.
    pub audience: Audience,
    /// Who wants it, and whether it is received for their sake alone.
    pub demand: Arc<Demand>,
    described: Mutex<Option<Described>>,
    gone: AtomicBool,
    /// By the line, if that is limited.
    passage: Mutex<Option<Arc<Passage>>>,
}

/// Who is offered, as they ask how a channel is described, to have again what they have lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OfferRepair {
    /// Those who are known to take it, as they take it.
    #[default]
    Known,
    /// Those of them who take it as it was sent before.
    KnownOriginals,
    /// Everybody.
    All(Repairs),
    /// Nobody.
    Never,
}

/// How its packets are kept and passed on.
#[derive(Debug, Clone, Copy)]
pub struct Keeping {
    /// A source that sends nothing for this long counts as silent.
    pub silent_after: Duration,
    /// How much of each track is remembered.
    pub limits: RingLimits,
    /// How long packets may wait to be sent together.
    pub coalesce: Coalesce,
    /// Where those begin who come.
    pub enter_at: EnterAt,
    /// Who is offered to have again what they have lost.
    pub offer_repair: OfferRepair,
}

/// The description that was asked for last: of those who come at once, most want the same.
struct Described {
    server: IpAddr,
    group: Option<(SocketAddr, u8)>,
    text: Arc<str>,
}

/// Subscribers now, by how packets reach them; and how those began who came.
#[derive(Debug, Default)]
pub struct Audience {
    now: [AtomicUsize; Carriage::ALL.len()],
    /// At the newest packet, and where a decoder can start.
    began: [AtomicU64; 3],
}

/// One who watches; stops counting when dropped.
pub struct Viewer {
    channel: Arc<Channel>,
    by: Carriage,
}

/// All the channels, which come and go while others are watched.
#[derive(Default)]
pub struct Catalogue {
    channels: Mutex<BTreeMap<String, Arc<Channel>>>,
    /// Those that are to come.
    expected: Mutex<BTreeMap<String, Arc<Expected>>>,
}

impl Channel {
    /// The track of a number.
    #[must_use]
    pub fn track(&self, number: usize) -> Option<&Arc<Track>> {
        self.tracks.iter().find(|track| track.number == number)
    }

    /// Builds the channel's tracks; nothing is received before the receivers join its groups.
    pub fn new(
        outward: &Arc<Outward>,
        presentation: Presentation,
        keeping: Keeping,
        demand: Arc<Demand>,
        dispatch: &Dispatch,
        now: Instant,
    ) -> Arc<Self> {
        let Keeping { silent_after, limits, coalesce, enter_at, offer_repair } = keeping;
        let tracks = presentation.tracks.iter().enumerate();
        let tracks: Vec<_> = tracks
            .map(|(i, track)| Track::new(outward, i + 1, track.clone(), limits, coalesce, dispatch, now))
            .collect();
        let (leads, others): (Vec<_>, Vec<_>) = tracks.iter().partition(|track| track.is_video());
        let leads: Vec<_> = leads.iter().map(|track| track.rtp.clone()).collect();
        others.iter().for_each(|track| track.rtp.follow(&leads));
        let name = outward.channel.to_string();
        let (audience, described, gone) = (Audience::default(), Mutex::default(), AtomicBool::new(false));
        let (presentation, passage) = (Mutex::new(Arc::new(presentation)), Mutex::default());
        Arc::new(Self {
            name,
            presentation,
            tracks,
            silent_after,
            enter_at,
            offer_repair,
            audience,
            demand,
            described,
            gone,
            passage,
        })
    }

    /// How its source describes it now.
    pub fn presentation(&self) -> Arc<Presentation> {
        lock(&self.presentation).clone()
    }

    /// Its source describes it otherwise from now on. Its tracks stay as they are.
    pub fn describe(&self, presentation: Presentation) {
        // Held all along, so that nobody keeps what it was.
        let mut last = lock(&self.described);
        *lock(&self.presentation) = Arc::new(presentation);
        *last = None;
    }

    /// Its description for a viewer who reaches us at `server`; for one who takes it from a group, with that and its TTL.
    pub fn description(&self, server: IpAddr, group: Option<(SocketAddr, u8)>) -> Arc<str> {
        let mut last = lock(&self.described);
        if let Some(last) = last.as_ref().filter(|last| (last.server, last.group) == (server, group)) {
            return last.text.clone();
        }
        let presentation = self.presentation();
        let text = Arc::from(match group {
            Some((group, ttl)) => sdp::multicast(&presentation, server, group, ttl),
            None => sdp::unicast(&presentation, server),
        });
        last.insert(Described { server, group, text }).text.clone()
    }

    /// The same for a viewer who asks for what it has lost; as it always was where nothing is sent again.
    pub fn repairable_description(&self, server: IpAddr, repairs: Repairs) -> Arc<str> {
        let first = self.tracks.first().filter(|track| track.rtp.is_repaired());
        let kept = first.map(|track| track.rtp.ring().kept_for().as_millis());
        let text = kept.map(|kept| Arc::from(sdp::repairable(&self.presentation(), server, repairs, kept)));
        text.unwrap_or_else(|| self.description(server, None))
    }

    /// It comes by a line from now on, by the groups that it is described with now; in the place of another channel if there is one.
    ///
    /// # Errors
    /// It is received always, and there is no room for it.
    pub fn come_by(&self, line: &Arc<Line>, instead_of: Option<&Self>, now: Instant) -> Result<(), LineFull> {
        if line.limits() == LineLimits::default() {
            return Ok(());
        }
        // Each leg brings all of it.
        let ways = |track: &Track| track.description.feeds.len().max(1);
        let flows = self.tracks.iter().flat_map(|track| iter::repeat_n(track.rtp.clone(), ways(track)));
        let flows = flows.collect();
        let presentation = self.presentation();
        let groups = presentation.tracks.iter().flat_map(|track| &track.feeds).map(|feed| feed.group);
        let before = lock(&instead_of.unwrap_or(self).passage).clone();
        let passage = Passage::open(line, self.demand.clone(), groups, flows, before.as_ref(), now)?;
        *lock(&self.passage) = Some(passage);
        Ok(())
    }

    /// Somebody wants it.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn claim(&self, now: Instant) -> Result<Claim, LineFull> {
        let passage = lock(&self.passage).clone();
        passage.map_or_else(|| Ok(Claim::on(&self.demand)), |passage| passage.claim(now))
    }

    /// Whether others may have to be left before it can be joined.
    pub fn needs_room(&self) -> bool {
        lock(&self.passage).is_some()
    }

    /// It is found no longer, and takes nothing of the line.
    fn be_gone(&self) {
        self.gone.store(true, Relaxed);
        lock(&self.passage).take();
    }

    /// Whether it was in the catalogue, and is not any more.
    pub fn is_gone(&self) -> bool {
        self.gone.load(Relaxed)
    }

    /// Whether all tracks are silent.
    pub fn is_silent(&self) -> bool {
        self.tracks.iter().all(|track| track.is_silent())
    }

    /// Counts one more who watches.
    pub fn watch(self: &Arc<Self>, by: Carriage) -> Viewer {
        self.audience.now[by as usize].fetch_add(1, Relaxed);
        Viewer { channel: self.clone(), by }
    }
}

impl Audience {
    /// Those whom packets reach so.
    pub fn by(&self, carriage: Carriage) -> usize {
        self.now[carriage as usize].load(Relaxed)
    }

    /// Somebody begins.
    pub fn begin(&self, by: Began) {
        self.began[by as usize].fetch_add(1, Relaxed);
    }

    /// How many began so.
    pub fn began(&self, by: Began) -> u64 {
        self.began[by as usize].load(Relaxed)
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.channel.audience.now[self.by as usize].fetch_sub(1, Relaxed);
    }
}

impl Catalogue {
    /// The catalogue of these channels; a later one replaces an earlier of the same name.
    pub fn new(channels: impl IntoIterator<Item = Arc<Channel>>) -> Self {
        let catalogue = Self::default();
        channels.into_iter().for_each(|channel| drop(catalogue.put(channel)));
        catalogue
    }

    /// The channel of a name.
    pub fn find(&self, name: &str) -> Option<Arc<Channel>> {
        lock(&self.channels).get(name).cloned()
    }

    /// The channel of a name that is to come.
    pub fn expected(&self, name: &str) -> Option<Arc<Expected>> {
        lock(&self.expected).get(name).cloned()
    }

    /// The names of those that are to come.
    pub fn expected_names(&self) -> Vec<String> {
        lock(&self.expected).keys().cloned().collect()
    }

    /// All channels by name.
    pub fn channels(&self) -> Vec<Arc<Channel>> {
        lock(&self.channels).values().cloned().collect()
    }

    /// Has a channel found by its name from now on, and who waits for it told; returns the one that was before.
    pub fn put(&self, channel: Arc<Channel>) -> Option<Arc<Channel>> {
        let name = channel.name.clone();
        let before = lock(&self.channels).insert(name.clone(), channel);
        before.iter().for_each(|before| before.be_gone());
        let expected = lock(&self.expected).remove(&name);
        expected.iter().for_each(|expected| expected.be_over());
        before
    }

    /// Has a name waited for, until a channel of that name is put or taken.
    pub fn expect(&self, name: &str, demand: Arc<Demand>) {
        let before = lock(&self.expected).insert(name.to_owned(), Expected::new(demand));
        before.iter().for_each(|before| before.be_over());
    }

    /// Has the channel of a name found no longer, nor waited for. Who watches it has it still.
    pub fn take(&self, name: &str) -> Option<Arc<Channel>> {
        let gone = lock(&self.channels).remove(name);
        gone.iter().for_each(|gone| gone.be_gone());
        let expected = lock(&self.expected).remove(name);
        expected.iter().for_each(|expected| expected.be_over());
        gone
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
        let renamed = sdp::mpegts("evening news", Ipv4Addr::new(239, 77, 61, 1).into(), 5004, None);
        channel.describe(renamed.clone());
        assert_eq!(*channel.description(one, None), sdp::unicast(&renamed, one));
    }
}
