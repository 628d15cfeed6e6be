//! One track of a film.

use std::time::Duration;

use super::boxes::Place;
use super::coding::{Coding, Sound};
use super::samples::Samples;

/// One track.
#[derive(Debug, Clone)]
pub struct FilmTrack {
    /// How the file numbers it.
    pub id: u32,
    /// How it is coded.
    pub coding: Coding,
    /// What is said of it where it is sound.
    pub sound: Option<Sound>,
    /// Ticks of a second.
    pub timescale: u32,
    /// What it is made of.
    pub samples: Samples,
    /// Where its sample entries are.
    pub(super) stsd: Place,
    /// When it ends, in its ticks. Samples may go on for longer than is shown of them.
    pub ends_at: i64,
}

impl FilmTrack {
    /// How long after the film's beginning a tick is. What is before is at 0.
    #[must_use]
    pub fn time(&self, tick: i64) -> Duration {
        let ns = u128::from(tick.max(0).cast_unsigned()) * 1_000_000_000 / u128::from(self.timescale.max(1));
        Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX))
    }
}
