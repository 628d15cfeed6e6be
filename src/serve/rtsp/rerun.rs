//! A session that watches the past: what is to be played of it, and that it is.

use std::sync::Arc;
use std::time::Instant;

use crate::event::{clock, lock};
use crate::relay::{Began, Expected};
use crate::storage::{Begin, Deck, Pace, Programme, Sent};
use crate::wire::rtsp::range;

use super::super::kept::Rerun;
use super::super::media::Settling;
use super::past::{Past, Place};
use super::session::Session;
use super::setup::Setup;
use super::state::Held;
use super::tempo::Tempo;

/// The most that goes over UDP, in per cent of how fast it came: nobody says there that it is too much.
const MOST_OVER_UDP: u32 = 200;
/// What pictures that are shown alone take at most, in per cent of what the stream does.
const OF_PICTURES: u32 = 200;

/// By what a session is about to watch the past.
pub struct Coming {
    pub deck: Arc<Deck>,
    /// Of its tracks, by their numbers.
    pub urls: Vec<(usize, String)>,
}

impl Session {
    /// What is to be played of the past. `None`: nothing; what comes now is.
    pub fn programme(&self, asked: range::Asked, tempo: Tempo, now: Instant) -> Option<Programme> {
        let count = self.channel.tracks.len();
        self.with(|held| {
            let seat = held.past.deck.as_ref().map(|deck| deck.seat());
            if held.setups.is_empty() || held.setups.iter().any(Setup::goes_to_group) {
                return None;
            }
            let is_paused = !held.past.places.is_empty();
            let playing = held.places(now);
            let places = if is_paused { &held.past.places } else { &playing };
            let of_track = |number: usize| places.iter().find(|place| place.track == number);
            let deck = held.past.deck.as_ref();
            let changes = tempo.is_asked() && (deck.is_some() || tempo.goes_back());
            let (from_us, until_us) = match asked {
                range::Asked::Past(from_us, until_us) => (Some(from_us), until_us),
                range::Asked::Anything if is_paused || changes => (None, None),
                range::Asked::Anything | range::Asked::Now => return None,
            };
            let first = places.iter().map(|place| place.next().0).min();
            let pace = self.pace(&mut held.setups, tempo);
            let was_scaled = deck.is_some_and(|deck| matches!(deck.pace(), Pace::Scaled(..)));
            let is_jump = from_us.is_some() || was_scaled || matches!(pace, Pace::Scaled(..));
            let mut after = after(places, count, is_jump, now);
            // Paused elsewhere, before it moved here.
            for (sent, number) in after.iter_mut().zip(1..).filter(|_| is_jump) {
                let left = held.past.left.iter().find(|(track, _)| *track == number);
                *sent = sent.or(left.map(|(_, sent)| *sent));
            }
            let from = match (from_us, pace) {
                (None, Pace::Percent(_)) => {
                    let first = first?;
                    let next = |number| of_track(number).map_or((first, None), |place| place.next());
                    Begin::Packets((1..=count).map(next).collect())
                }
                _ => Begin::Picture(from_us.or(first)?),
            };
            held.past.is_jump = is_jump;
            Some(Programme { from, until_us, pace, after, seat })
        })
    }

    /// How fast it is to be, within what its ways and the limits of its address take.
    pub(super) fn pace(&self, setups: &mut [Setup], tempo: Tempo) -> Pace {
        let scale = tempo.scale();
        let most = if setups.iter().any(|setup| !setup.uses_connection()) { MOST_OVER_UDP } else { u32::MAX };
        let wanted = if scale == 1 { tempo.speed_percent().min(most) } else { OF_PICTURES };
        let rate = |number: usize| {
            let track = self.channel.track(number);
            track.map_or(0, |track| track.rtp.ring().bits_per_second())
        };
        let mut weigh = |percent: u32| {
            let heavier = |setup: &mut Setup| {
                let amount = rate(setup.track.number).saturating_mul(percent.into()) / 100;
                setup.costs.egress.change(amount).is_ok()
            };
            setups.iter_mut().all(heavier)
        };
        let has = weigh(wanted);
        if !has {
            weigh(100);
        }
        let percent = if has { wanted } else { wanted.min(100) };
        if scale == 1 { Pace::Percent(percent) } else { Pace::Scaled(scale, percent) }
    }

    /// How fast it plays.
    pub fn plays_at(&self) -> Pace {
        self.with(|held| held.past.deck.as_ref().map(|deck| deck.pace())).unwrap_or(Pace::AS_IT_CAME)
    }

    /// Whether something else is about to be played, that is known by now.
    pub fn is_about_to_change(&self, asked: range::Asked) -> bool {
        lock(&self.state).is_about_to_change(asked == range::Asked::Now)
    }

    /// What plays rests as soon as it is known what follows it, which is the past or what comes: else what is sent meanwhile would have the
    /// numbers that are announced. What is returned is over once all of it has been sent. `None`: nothing is to be waited for.
    pub fn settle(&self, asked: range::Asked, now: Instant) -> Option<Arc<Expected>> {
        let expected = Expected::new(Arc::default());
        let waits = Arc::new(Settling(expected.clone()));
        let mut state = lock(&self.state);
        let changes = state.is_about_to_change(asked == range::Asked::Now);
        if changes {
            state.pause(now, &waits);
        }
        drop(state); // before what waits
        changes.then_some(expected)
    }

    /// Where it was paused, as long as that is not known for sure: what is sent yet is told soon.
    pub fn is_being_paused(&self) -> Option<Arc<Expected>> {
        self.with(|held| held.past.paused.clone().filter(|paused| !paused.is_over()))
    }

    /// What was loaded goes on behind what was sent, as is known by now.
    pub fn number_coming(&self, now: Instant) {
        let count = self.channel.tracks.len();
        self.with(|held| {
            let Past { coming, places, is_jump, .. } = &held.past;
            if let Some(coming) = coming.as_ref().filter(|_| !places.is_empty()) {
                coming.deck.number_after(after(places, count, *is_jump, now));
            }
        });
    }

    pub fn load(&self, rerun: Rerun) {
        self.with(|held| held.past.coming = Some(rerun));
    }

    pub fn unload(&self) {
        self.with(|held| held.past.coming = None);
    }

    /// What was loaded.
    pub fn coming(&self) -> Option<Coming> {
        self.with(|held| {
            let deck = held.past.coming.as_ref()?.deck.clone();
            let urls = held.setups.iter().map(|setup| (setup.track.number, setup.url.clone())).collect();
            Some(Coming { deck, urls })
        })
    }

    /// Plays what was loaded, in the place of whatever plays.
    pub fn play_past(self: &Arc<Self>, agent: Option<&str>, now: Instant) {
        let told = self.change(|held| {
            let Rerun { deck, tracks } = held.past.coming.take()?;
            held.past = Past::of(deck.clone());
            let story = held.story.clone();
            for setup in &mut held.setups {
                setup.stop();
                setup.watch(tracks.iter().find(|track| track.number == setup.track.number));
                setup.start(0.into(), &story, now);
            }
            self.channel.audience.begin(Began::Picture);
            Some((deck, story, held.setups.iter().map(Setup::told).collect()))
        });
        let Some((deck, story, ways)) = told.flatten() else { return };
        let is_open = deck.is_open();
        story.play(ways, agent, now);
        if is_open {
            self.joins_from(&deck);
        }
        let session = Arc::downgrade(self);
        deck.play(move || {
            session.upgrade().iter().for_each(|session| {
                session.say_goodbye("what was asked for has been played");
                session.pause(clock::now());
                session.change(|held| held.past.is_over = is_open);
            });
        });
    }

    /// Whether it is somewhere, from where it may go on.
    pub fn has_place(&self) -> bool {
        self.with(|held| {
            let is_there = held.past.deck.is_some() || !held.past.places.is_empty();
            is_there && !held.past.is_over
        })
    }
}

/// What was sent of each track before what is next.
fn after(places: &[Place], count: usize, is_jump: bool, now: Instant) -> Vec<Option<Sent>> {
    let sent = |number: usize| {
        let place = places.iter().find(|place| place.track == number)?;
        if is_jump { place.after_a_jump(now) } else { place.after_a_pause() }
    };
    (1..=count).map(sent).collect()
}

impl Held {
    /// How far each track that plays has come.
    pub fn places(&self, now: Instant) -> Vec<Place> {
        self.playing().filter_map(|setup| Place::of(setup, self.past.deck.as_ref(), now)).collect()
    }

    /// Stops what plays, and keeps the places.
    pub fn keep_places(&mut self, now: Instant, waits: &Arc<Settling>) {
        let mut places = self.places(now);
        for setup in self.setups.iter_mut().filter(|setup| setup.plays()) {
            match places.iter_mut().find(|place| place.track == setup.track.number) {
                Some(place) => place.let_go(setup, waits),
                None => setup.stop(),
            }
        }
        (self.past.places, self.past.paused) = (places, Some(waits.0.clone()));
        self.past.deck.iter().for_each(|deck| deck.rest());
    }
}
