//! A session that moves to another process: what it takes along, and how it goes on there.

use std::sync::Arc;
use std::time::Instant;

use crate::event::lock;
use crate::relay::{GoesOn, Ring, Spot};

use super::home::Home;
use super::live::{Planned, following, left};
use super::parcel::{SessionParcel, TrackParcel};
use super::session::Session;
use super::setup::Setup;
use super::state::State;

impl Session {
    /// What it takes along. `place_of` has the place of connections that move too. `None`: it has ended, or is bound to one that does
    /// not move.
    pub fn pack(
        &self,
        place_of: impl Fn(&Arc<Home>) -> Option<usize>,
        now: Instant,
    ) -> Option<SessionParcel> {
        let mut state = lock(&self.state);
        let is_paused = matches!(*state, State::Paused(_));
        let held = state.held()?;
        let connection = held.whereabouts.home().and_then(place_of);
        if connection.is_none() && held.is_bound() {
            return None;
        }
        let told = held.story.so_far();
        let is_live = held.past.deck.is_none();
        let plays_apart = !is_live || held.playing().any(|setup| setup.alias().is_some());
        let playing = if plays_apart { held.places(now) } else { Vec::new() };
        let left = left(held.past.places.iter().chain(&playing).filter(|place| place.is_apart()), now);
        let pack = |setup: &Setup| {
            let parcel = setup.pack();
            let left = left.iter().find(|(track, _)| *track == parcel.number).map(|(_, sent)| *sent);
            if is_live {
                return TrackParcel { left, ..parcel };
            }
            let own = self.channel.track(parcel.number);
            let alias = left.zip(own).and_then(|(left, own)| following(&left, own, None, now));
            TrackParcel { last: None, alias, left, ..parcel }
        };
        Some(SessionParcel {
            id: self.id.clone(),
            number: told.session,
            channel: self.channel.name.clone(),
            peer: self.peer,
            client: told.client,
            agent: told.agent,
            sent: told.sent,
            age_ms: now.saturating_duration_since(self.epoch).as_millis() as u64,
            is_paused,
            connection,
            tracks: held.setups.iter().map(pack).collect(),
        })
    }

    /// Goes on as it did where it came from: what played is sent from the packet on that follows.
    pub fn go_on(&self, parcel: &SessionParcel, now: Instant) {
        let left = parcel.tracks.iter().filter_map(|track| Some((track.number, track.left?)));
        self.with(|held| held.past.left = left.collect());
        let plan = self.plan(now);
        self.change(|held| {
            if !parcel.is_paused {
                held.past.left.clear();
            }
            let story = held.story.clone();
            for planned in plan {
                let plays = |track: &&TrackParcel| track.number == planned.track && track.plays;
                if let (Some(track), Some(setup)) =
                    (parcel.tracks.iter().find(plays), held.of_track(planned.track))
                {
                    let spot = track.spot(setup.track.rtp.ring()).unwrap_or_else(|| planned.spot(track));
                    setup.start(spot, &story, now);
                }
            }
            story.go_on_from(
                &held.setups.iter().map(Setup::told).collect::<Vec<_>>(),
                parcel.agent.clone(),
                (self.epoch, parcel.sent),
            );
        });
        if parcel.is_paused {
            lock(&self.state).rest();
        }
    }
}

impl Planned {
    /// The same, by the numbers that its viewer would have had, if nothing tells better ones.
    fn spot(self, parcel: &TrackParcel) -> Spot {
        let alias = self.entry.spot.alias.or(parcel.alias);
        self.entry.spot.under(alias)
    }
}

impl TrackParcel {
    /// Where its viewer goes on, if what it was sent is known here.
    fn spot(&self, ring: &Ring) -> Option<Spot> {
        let number = match ring.goes_on_after(self.last?) {
            GoesOn::At(number) => number,
            GoesOn::ToCome => ring.head(),
            GoesOn::Anew => return None,
        };
        Some(Spot::from(number).under(self.alias))
    }
}
