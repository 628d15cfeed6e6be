//! A session that watches what comes: where it begins, that it does, and how it gets there from the past.

use std::mem;
use std::sync::Arc;
use std::time::Instant;

use crate::event::clock;
use crate::relay::{Alias, Began, Carriage, EnterAt, Entry, GoesOn, Named, RingStart, Spot, Track};
use crate::storage::{Deck, Newest, Sent};
use crate::wire::rtsp::range;

use super::past::Place;
use super::session::Session;
use super::setup::Setup;
use super::state::Held;
use super::tempo::Tempo;

/// What the first packet will be of a track that is to start.
pub struct Planned {
    pub(super) track: usize,
    pub url: String,
    /// Where it is in the ring; what arrives once the PLAY is answered is never before it.
    pub entry: Entry,
}

impl Session {
    /// The packets that a PLAY of now starts with: those of tracks that do not play. A group is entered where it is, and so is
    /// what joins others that play. Who comes from the past has them by the numbers that follow what it was sent.
    pub fn plan(&self, now: Instant) -> Vec<Planned> {
        self.with(|held| {
            let is_live = |setup: &Setup| setup.plays() || setup.grant().carriage() == Carriage::Multicast;
            let is_live = held.setups.iter().any(is_live);
            let enter_at = if is_live { EnterAt::Live } else { self.channel.enter_at };
            let setups: Vec<_> = held.setups.iter().filter(|setup| !setup.plays()).collect();
            let tracks: Vec<_> = setups.iter().map(|setup| &*setup.track).collect();
            let plan = |(setup, entry): (&&Setup, Entry)| {
                let left = held.past.left.iter().find(|(track, _)| *track == setup.track.number);
                let left = left.filter(|_| setup.carriage().may_have_alias());
                let alias = left.and_then(|(_, sent)| following(sent, &setup.track, entry.start, now));
                let (track, url) = (setup.track.number, setup.url.clone());
                Planned { track, url, entry: entry.under(alias, &setup.track) }
            };
            setups.iter().zip(enter_at.entries(&tracks, now)).map(plan).collect()
        })
    }

    /// Starts what was planned, as far as it is still set up. `agent` is what the viewer says that it is.
    pub fn play(&self, plan: &[Planned], agent: Option<&str>, now: Instant) {
        let told = self.change(|held| {
            let (story, mut began) = (held.story.clone(), Began::Live);
            for planned in plan {
                if let Some(setup) = held.of_track(planned.track) {
                    began = began.max(planned.entry.by);
                    setup.start(planned.entry.spot.clone(), &story, now);
                }
            }
            held.past.left.clear();
            self.channel.audience.begin(began);
            (story, held.setups.iter().map(Setup::told).collect())
        });
        if let Some((story, ways)) = told {
            story.play(ways, agent, now);
        }
    }

    /// With what it goes on from where it was paused, if all of that is still in the rings of the channel's own tracks.
    pub fn resumed(&self, now: Instant) -> Option<Vec<Planned>> {
        self.with(|held| {
            let Held { setups, past, .. } = held;
            if past.deck.is_some() || setups.is_empty() || setups.iter().any(Setup::goes_to_group) {
                return None;
            }
            let plan = |setup: &Setup| {
                let place = past.places.iter().find(|place| place.track == setup.track.number)?;
                let entry = self.channel.enter_at.again(&setup.track, place.number()?, now)?;
                let entry = entry.under(setup.alias(), &setup.track);
                Some(Planned { track: place.track, url: setup.url.clone(), entry })
            };
            setups.iter().map(plan).collect()
        })
    }

    /// When the first packet of a plan came, in microseconds since 1970.
    pub fn begins(&self, plan: &[Planned], now: Instant) -> u64 {
        let came = |planned: &Planned| {
            let track = self.channel.track(planned.track)?;
            track.rtp.ring().arrival(planned.entry.spot.number)
        };
        let first = plan.iter().filter_map(came).min().unwrap_or(now);
        clock::unix_now().saturating_sub(now.saturating_duration_since(first)).as_micros() as u64
    }

    /// Has it watch what comes now, wherever it was; of a channel that is kept that is one stream with what it was sent. `false`: it watches
    /// the past, and goes on with that.
    pub fn goes_live(&self, asked: range::Asked, is_kept: bool, now: Instant) -> bool {
        if asked == range::Asked::Anything && self.is_playing() && self.with(|held| held.past.deck.is_some())
        {
            return false;
        }
        self.change(|held| {
            if !held.past.places.is_empty() {
                let places = mem::take(&mut held.past.places);
                held.past.left = left(places.iter().filter(|place| is_kept || place.is_apart()), now);
            }
            held.past.coming = None;
            if held.past.deck.take().is_some() {
                for setup in &mut held.setups {
                    setup.stop();
                    let own = self.channel.track(setup.track.number);
                    setup.watch(own);
                }
            }
        });
        true
    }

    /// Has it go over to what comes as soon as what it watches has come so near that the one follows the other.
    pub fn joins_from(self: &Arc<Self>, deck: &Arc<Deck>) {
        let (session, own) = (Arc::downgrade(self), Arc::downgrade(deck));
        deck.join_by(move |newest| {
            let joined = session.upgrade().zip(own.upgrade());
            joined.is_some_and(|(session, own)| session.join(&own, newest, clock::now()))
        });
    }

    /// Whether it has what comes by numbers of its own.
    pub fn has_alias(&self) -> bool {
        self.with(|held| held.setups.iter().any(|setup| setup.alias().is_some()))
    }

    /// The SSRC by which its viewer has a track.
    pub fn ssrc(&self, track: &Track) -> Option<u32> {
        let own = self.with(|held| held.of_track(track.number).and_then(|setup| setup.ssrc()));
        own.or_else(|| track.ssrc())
    }

    /// Goes on with the channel's own tracks behind these packets, which were the last of what it watches, if that is in their rings.
    fn join(&self, deck: &Arc<Deck>, newest: &[Newest], now: Instant) -> bool {
        let joined = self.change(|held| {
            let is_it = held.past.deck.as_ref().is_some_and(|own| Arc::ptr_eq(own, deck));
            if !is_it || held.past.coming.is_some() {
                return false;
            }
            let follows = |setup: &Setup| {
                let spot = self.behind(newest, setup.track.number, now)?;
                setup.has_all().then_some(spot)
            };
            let Some(following) = held.setups.iter().map(follows).collect::<Option<Vec<_>>>() else {
                return false;
            };
            let story = held.story.clone();
            for (setup, (track, spot)) in held.setups.iter_mut().zip(following) {
                setup.cross(&track, spot, &story, now);
            }
            self.pace(&mut held.setups, Tempo::default());
            held.past.deck = None;
            true
        });
        joined == Some(true)
    }

    /// The channel's own track of a number, and where in it those go on who were sent that.
    fn behind(&self, newest: &[Newest], number: usize, now: Instant) -> Option<(Arc<Track>, Spot)> {
        let Newest { landmark, alias, .. } = newest.iter().find(|newest| newest.track == number)?;
        let own = self.channel.track(number)?;
        let GoesOn::At(next) = own.rtp.ring().goes_on_after(*landmark) else { return None };
        let entry = self.channel.enter_at.again(own, next, now)?;
        Some((own.clone(), entry.spot.under(*alias)))
    }
}

/// What was sent of each track, by its number, where it goes on elsewhere.
pub fn left<'p>(places: impl Iterator<Item = &'p Place>, now: Instant) -> Vec<(usize, Sent)> {
    places.filter_map(|place| Some((place.track, place.after_a_jump(now)?))).collect()
}

/// By what numbers one has what begins there, or else what is to come, who was sent that before. `None`: by its own, or nothing has come
/// whose these would be.
pub fn following(sent: &Sent, track: &Track, start: Option<RingStart>, now: Instant) -> Option<Alias> {
    let (ring, rate) = (track.rtp.ring(), track.clock_rate());
    let first = match start {
        Some(start) => ring.named(start)?,
        None => {
            let last = ring.head().checked_sub(1)?;
            let Named { ssrc, sequence, timestamp } = ring.packet(last)?;
            let passed = now.saturating_duration_since(ring.arrival(last)?);
            Sent { ssrc, sequence, timestamp, passed, came: None }.next(rate)
        }
    };
    Alias::from_to(first, sent.next(rate))
}
