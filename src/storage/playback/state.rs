//! How far a deck is: all tracks, and what of them is due.

use std::io;
use std::time::Instant;

use crate::relay::{Alias, Landmark};

use super::pace::Pace;
use super::reel::Reel;
use super::scanning::Scanning;

/// A time in which nothing came is left out if it is longer.
pub(super) const LONGEST_PAUSE_US: u64 = 2_000_000;

/// The packet of a track that a viewer was sent last.
#[derive(Debug, Clone, Copy)]
pub struct Newest {
    /// The track's number.
    pub track: usize,
    /// The packet as it came.
    pub landmark: Landmark,
    /// By what numbers the viewer has it, if not by those.
    pub alias: Option<Alias>,
}

/// Of one deck.
pub(super) struct State {
    pub reels: Vec<Reel>,
    /// What came then is due then.
    pub base: Option<(Instant, u64)>,
    pub pace: Pace,
    /// While it plays at a scale.
    pub scanning: Option<Scanning>,
}

impl State {
    /// The track with pictures begins at one, behind what a decoder has to be told, and the others at that moment.
    pub fn begin_at_picture(&mut self, from_us: u64, now: Instant) -> io::Result<()> {
        let lead = self.reels.iter().position(Reel::has_pictures).unwrap_or_default();
        let Some(reel) = self.reels.get_mut(lead) else { return Ok(()) };
        reel.reader.seek_start(from_us)?;
        let Some(first) = reel.reader.peek()? else { return Ok(()) };
        reel.put_tables(&first, now)?;
        for (place, reel) in self.reels.iter_mut().enumerate() {
            if place != lead {
                reel.reader.seek(first.arrived_us)?;
            }
        }
        Ok(())
    }

    /// What came is due as long after what came before as it was, but that nobody waits through a pause of the source.
    pub fn pass_over_pauses(&mut self, base: (Instant, u64), now: Instant) -> io::Result<(Instant, u64)> {
        let Some(next) = self.first_us()? else { return Ok(base) };
        let due_us = self.due_us(base, now);
        let is_far = next > due_us + LONGEST_PAUSE_US || next + LONGEST_PAUSE_US < due_us;
        Ok(if is_far { (now, next) } else { base })
    }

    /// The newest packet of each track. `None`: of one there is none.
    pub fn newest(&self) -> Option<Vec<Newest>> {
        let newest = |reel: &Reel| {
            let (landmark, alias) = reel.last()?;
            Some(Newest { track: reel.track.number, landmark, alias })
        };
        self.reels.iter().map(newest).collect()
    }

    /// What came by then is due now.
    pub fn due_us(&self, (at, came_us): (Instant, u64), now: Instant) -> u64 {
        let passed_us = now.saturating_duration_since(at).as_micros() as u64;
        let percent = if let Pace::Percent(percent) = self.pace { percent.into() } else { 100 };
        came_us + passed_us * percent / 100
    }

    /// Whether nothing of it is to come.
    pub fn is_whole(&self) -> bool {
        self.reels.iter().all(|reel| reel.reader.is_whole())
    }

    /// When the next packet of all came, in microseconds since 1970. `None`: it is to come.
    pub fn first_us(&mut self) -> io::Result<Option<u64>> {
        let mut first = None;
        for reel in &mut self.reels {
            let arrived = reel.reader.peek()?.map(|record| record.arrived_us);
            first = [first, arrived].into_iter().flatten().min();
        }
        Ok(first)
    }
}
