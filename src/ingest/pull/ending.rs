//! The end of a link, and what follows: a rest before the server is asked again, or the way to where it leads.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::relay::Channel;

use super::action::End;
use super::backoff::{Backoff, LONGEST_WATCHED};
use super::dice::random;
use super::failure::Failure;
use super::figures::PullState;
use super::upstream::{Stage, State, Upstream};

impl Upstream {
    /// The link is over.
    pub(super) fn end(&self, state: &mut State, end: End, now: Instant) {
        match end {
            End::Failed(failure) => self.fail(state, &failure, now),
            End::Left => {
                part(state.channel.as_ref());
                pause(state.channel.as_ref());
                state.stage = Stage::Idle;
            }
            End::Redirected(location) => match self.follow(state, &location) {
                Ok(()) => {
                    self.figures.redirected();
                    if let Stage::Linked(link) = &mut state.stage {
                        link.shut(now);
                    }
                    part(state.channel.as_ref());
                    state.stage = Stage::Idle;
                }
                Err(failure) => self.fail(state, &failure, now),
            },
        }
    }

    fn follow(&self, state: &mut State, location: &str) -> Result<(), Failure> {
        let State { stage: Stage::Linked(link), journey, .. } = state else { return Ok(()) };
        journey.follow(location, link.server.ip())
    }

    pub(super) fn fail(&self, state: &mut State, failure: &Failure, now: Instant) {
        self.figures.failed(failure);
        self.figures.is(PullState::Waiting);
        part(state.channel.as_ref());
        state.journey.begin_again();
        state.has_changed |= *failure == Failure::Changed;
        let mut since = None;
        if let Stage::Linked(link) = &mut state.stage {
            since = link.plays_since;
            if !failure.is_of_the_connection() {
                link.shut(now); // the session ends there too
            }
        }
        let flowed = since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        let watched = self.demand.is_claimed();
        let mut wait = state.backoff.next(failure, flowed, watched, random() as u32);
        // It has been waited for all along.
        if state.patience.failed(failure) && since.is_none() && watched {
            wait = wait.saturating_sub(now.saturating_duration_since(state.tried_at));
        }
        state.telling.it_fails(&self.pull, failure, now);
        let is_firm = Backoff::is_firm(failure);
        state.not_before = is_firm.then(|| now + wait);
        let hurry_from = if is_firm { now + wait } else { now + LONGEST_WATCHED };
        state.stage = Stage::Resting(hurry_from, now + wait);
    }
}

/// Nothing of it comes.
pub(super) fn part(channel: Option<&Arc<Channel>>) {
    let tracks = channel.into_iter().flat_map(|channel| &channel.tracks);
    tracks.for_each(|track| track.set_joined(0, false));
}

/// Nobody wants it: what it misses is no loss, and nobody is told of its silence.
pub(super) fn pause(channel: Option<&Arc<Channel>>) {
    let tracks = channel.into_iter().flat_map(|channel| &channel.tracks);
    tracks.for_each(|track| track.pause());
}
