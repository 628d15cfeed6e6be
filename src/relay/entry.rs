//! Where a subscriber enters a channel: at the newest picture that a decoder can start with, and other tracks at that moment. Where
//! a stream never says where that is, at a time that is likely to have one behind it.

use std::time::{Duration, Instant};

use super::alias::{Alias, Named};
use super::burst::{Burst, BurstPace, Spot};
use super::places::{RingStart, StartPoint};
use super::track::Track;

/// A stream that went on for so long without a place to start never says where one is: no pictures are so far apart that can be helped.
const NEVER_SAYS_AFTER: Duration = Duration::from_secs(10);
/// So far back one begins then: pictures that a decoder can start with are mostly no further apart.
const TIME_BACK: Duration = Duration::from_secs(2);

/// Where those who come to a channel begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnterAt {
    /// At the newest picture that a decoder can start with, and are brought level.
    RandomAccess(BurstPace),
    /// At the newest packet.
    Live,
}

/// By what the place was chosen where one begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Began {
    /// It is the newest packet, or the next.
    Live,
    /// It is some time ago, for nothing says where a decoder can start.
    Time,
    /// A decoder can start there.
    Picture,
}

impl Began {
    /// All of them, as the metric calls them.
    pub const ALL: [(Self, &str); 3] = [(Self::Live, "live"), (Self::Time, "time"), (Self::Picture, "rap")];
}

/// Where one enters a track.
#[derive(Debug, Clone)]
pub struct Entry {
    /// By what that was chosen.
    pub by: Began,
    /// What the first packet will be. `None`: the source is silent, and the next packet is the first.
    pub start: Option<RingStart>,
    /// Where it is.
    pub spot: Spot,
}

/// A picture that a decoder can start with, in the ring of its track.
struct Lead {
    start: StartPoint,
    came_at: Instant,
    /// When its last packet came, as far as it has.
    whole_at: Instant,
}

impl Entry {
    /// The same of a track, by numbers of one's own.
    #[must_use]
    pub fn under(self, alias: Option<Alias>, track: &Track) -> Self {
        let Some(alias) = alias else { return self };
        let named = |start: RingStart| {
            let Named { sequence, timestamp, .. } = alias.named(track.rtp.ring().named(start)?);
            Some(RingStart { sequence, timestamp, ..start })
        };
        Self { start: self.start.and_then(named), spot: self.spot.under(Some(alias)), ..self }
    }
}

impl EnterAt {
    /// Where one enters these tracks of a channel now.
    pub fn entries(self, tracks: &[&Track], now: Instant) -> Vec<Entry> {
        let Self::RandomAccess(pace) = self else {
            return tracks.iter().map(|track| live(track, now)).collect();
        };
        let leads: Vec<_> = tracks.iter().map(|track| Lead::of(track, now)).collect();
        let Some(first) = leads.iter().flatten().min_by_key(|lead| lead.came_at) else {
            let then = tracks.iter().filter_map(|track| some_time_ago(track, now)).min();
            let enter = |track: &&Track| match then {
                Some(then) => beside(track, (then, then), (Began::Time, pace), now),
                None => live(track, now),
            };
            return tracks.iter().map(enter).collect();
        };
        let moments = (first.came_at, first.whole_at);
        let enter = |(track, lead): (&&Track, &Option<Lead>)| match lead {
            Some(lead) => lead.enter(track, pace, now),
            None => beside(track, moments, (Began::Picture, pace), now),
        };
        tracks.iter().zip(&leads).map(enter).collect()
    }
}

impl EnterAt {
    /// Where one goes on in a track who was sent all before a packet, and is brought level from there, also where newcomers are not.
    /// `None`: that is there no more.
    pub fn again(self, track: &Track, number: u64, now: Instant) -> Option<Entry> {
        let (pace, ring) = (self.pace(), track.rtp.ring());
        if number == ring.head() {
            return Some(Entry { by: Began::Live, start: None, spot: number.into() });
        }
        let pin = ring.pin(number); // first: then it stays
        let (start, came_at) = ring.start_at(number).zip(ring.arrival(number))?;
        let burst = Some(Burst::new(pace, number, came_at, pin, now));
        Some(Entry {
            by: Began::Live,
            start: Some(start),
            spot: Spot { number, prologue: None, burst, alias: None },
        })
    }

    fn pace(self) -> BurstPace {
        match self {
            Self::RandomAccess(pace) => pace,
            Self::Live => BurstPace::default(),
        }
    }
}

impl Default for EnterAt {
    fn default() -> Self {
        Self::RandomAccess(BurstPace::default())
    }
}

impl Lead {
    /// `None`: it is no video, or nothing of it can be started with.
    fn of(track: &Track, now: Instant) -> Option<Self> {
        let ring = track.rtp.ring();
        let start = ring.newest_start().filter(|start| track.has_since_pause(start.number))?;
        if !track.is_video() || !track.goes_on(now) {
            return None;
        }
        let came_at = ring.arrival(start.number)?;
        let whole_at = ring.arrival(start.end.map_or(u64::MAX, |end| end - 1)).unwrap_or(now);
        Some(Self { start, came_at, whole_at })
    }

    fn enter(&self, track: &Track, pace: BurstPace, now: Instant) -> Entry {
        let (ring, StartPoint { number, prologue, end }) = (track.rtp.ring(), self.start.clone());
        let Some(first) = ring.start_at(number) else { return live(track, now) };
        let sequence = first.sequence.wrapping_sub(u16::from(prologue.is_some()));
        let whole = end.unwrap_or_else(|| ring.head());
        let burst = Some(Burst::new(pace, whole, self.whole_at, ring.pin(number), now));
        let start = Some(RingStart { sequence, ..first });
        Entry { by: Began::Picture, start, spot: Spot { number, prologue, burst, alias: None } }
    }
}

/// When one begins whose pictures have come for long and never said where a decoder can start: encrypted, or of a kind not known here.
fn some_time_ago(track: &Track, now: Instant) -> Option<Instant> {
    let ring = track.rtp.ring();
    let never_says = !ring.has_starts() && track.signs.flows_since(now)? + NEVER_SAYS_AFTER <= now;
    (never_says && track.is_video() && track.goes_on(now)).then(|| now - TIME_BACK.min(ring.kept_for()))
}

/// A track that is entered when another one's picture came, and is as far as that when it is whole.
fn beside(
    track: &Track,
    (came_at, whole_at): (Instant, Instant),
    (by, pace): (Began, BurstPace),
    now: Instant,
) -> Entry {
    let ring = track.rtp.ring();
    let number = ring.first_since(came_at);
    let is_there = track.goes_on(now) && track.has_since_pause(number);
    let Some(first) = ring.start_at(number).filter(|_| is_there) else { return live(track, now) };
    let burst = Some(Burst::new(pace, ring.first_since(whole_at), whole_at, ring.pin(number), now));
    Entry { by, start: Some(first), spot: Spot { number, prologue: None, burst, alias: None } }
}

fn live(track: &Track, now: Instant) -> Entry {
    // Asked first: a packet that comes in between is then not missed.
    let head = track.rtp.ring().head();
    let start = track.start(now);
    Entry { by: Began::Live, start, spot: start.map_or(head, |start| start.number).into() }
}

#[cfg(all(test, not(model)))]
#[path = "entry_tests.rs"]
mod tests;
