//! How a session goes on, for who wants to know.

use crate::event::lock;
use crate::relay::{Carriage, Sent};

use super::super::journal::SoFar;
use super::session::Session;
use super::state::State;

/// What a session has come to.
pub struct Course {
    /// What the log tells of it.
    pub told: SoFar,
    pub state: &'static str,
    pub tracks: Vec<WatchedTrack>,
}

/// A track that is set up.
#[derive(Debug, Clone)]
pub struct WatchedTrack {
    /// Its number, from 1.
    pub number: usize,
    /// By what it reaches the viewer.
    pub by: Carriage,
    /// While it plays: what the viewer was sent since it goes this way, and how many packets are there that it was not sent yet.
    pub progress: Option<(Sent, u64)>,
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
        let tracks = held.setups.iter().map(|setup| WatchedTrack {
            number: setup.track.number,
            by: setup.carriage(),
            progress: setup.progress(),
        });
        Some(Course { told: held.story.so_far(), state, tracks: tracks.collect() })
    }
}
