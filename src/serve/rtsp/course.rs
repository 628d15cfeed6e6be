//! How a session goes on, for who wants to know.

use crate::event::lock;
use crate::relay::Carriage;

use super::super::journal::SoFar;
use super::session::Session;
use super::state::State;

/// What a session has come to.
pub struct Course {
    /// What the log tells of it.
    pub told: SoFar,
    pub state: &'static str,
    /// Each track that is set up: its number, by what it goes, and how far it has come.
    pub tracks: Vec<(usize, Carriage, Option<[u64; 3]>)>,
}

impl Session {
    /// What it has come to, unless it has ended.
    pub fn course(&self) -> Option<Course> {
        let state = lock(&self.state);
        let (held, state) = match &*state {
            State::Ready(held) => (held, "ready"),
            State::Playing(held, _) => (held, "playing"),
            State::Paused(held) => (held, "paused"),
            State::Ended => return None,
        };
        let tracks = held.setups.iter().map(|setup| (setup.track.number, setup.carriage(), setup.so_far()));
        Some(Course { told: held.story.so_far(), state, tracks: tracks.collect() })
    }
}
