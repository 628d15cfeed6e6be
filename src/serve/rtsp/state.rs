//! The state of a session: what was set up, and whether it plays.
//!
//! ```text
//!                PLAY              PAUSE
//!  SETUP ─▶ Ready ◀──▶ Playing ────────────▶ Paused     (RFC 2326 appendix A)
//!             │ TEARDOWN  │ ▲                  │ │
//!             │ of what   │ └────── PLAY ───────┘ │
//!             ▼ plays     ▼                      ▼
//!           Ended       Ended                  Ended
//! ```

use std::mem;
use std::sync::Arc;
use std::time::Instant;

use crate::event::Alarm;
use crate::relay::{Carriage, Channel, Claim, Viewer};

use super::super::access::Share;
use super::super::journal::Story;
use super::super::media::Settling;
use super::home::{Home, Whereabouts};
use super::past::Past;
use super::setup::Setup;

/// What another thread may change while a request is being answered.
pub enum State {
    /// Nothing plays: not yet, or what did was torn down.
    Ready(Held),
    /// A track plays.
    Playing(Held, Viewer),
    /// What played waits to be played again.
    Paused(Held),
    Ended,
}

/// What a session that has not ended holds.
pub struct Held {
    pub setups: Vec<Setup>,
    /// When it is looked for signs of life.
    pub watch: Option<Alarm>,
    /// Which connection it belongs to.
    pub whereabouts: Whereabouts,
    /// Its place among the sessions of its address.
    _place: Share,
    /// What the log tells of it once it has ended.
    pub story: Arc<Story>,
    /// Its channel is received for its sake.
    pub claim: Option<Claim>,
    /// What it watches that was kept.
    pub past: Past,
}

impl State {
    /// What it holds, if it has not ended.
    pub fn held(&mut self) -> Option<&mut Held> {
        match self {
            Self::Ready(held) | Self::Playing(held, _) | Self::Paused(held) => Some(held),
            Self::Ended => None,
        }
    }

    /// Nothing more is sent, and all is kept, the places too.
    pub fn pause(&mut self, now: Instant, waits: &Arc<Settling>) {
        *self = match mem::replace(self, Self::Ended) {
            Self::Playing(mut held, _viewer) => {
                held.keep_places(now, waits);
                Self::Paused(held)
            }
            other => other,
        };
    }

    /// Whether it plays, and is about to play something else that is known by now; so it is of what comes, if it `goes_live`.
    pub fn is_about_to_change(&self, goes_live: bool) -> bool {
        match self {
            Self::Playing(held, _) => {
                let Past { coming, deck, .. } = &held.past;
                coming.as_ref().is_some_and(|coming| coming.deck.cued().is_some())
                    || goes_live && deck.is_some()
            }
            Self::Ready(_) | Self::Paused(_) | Self::Ended => false,
        }
    }

    /// It was paused before it came here.
    pub fn rest(&mut self) {
        *self = match mem::replace(self, Self::Ended) {
            Self::Ready(held) => Self::Paused(held),
            other => other,
        };
    }

    /// Ends it; returns what it was.
    pub fn end(&mut self) -> Self {
        mem::replace(self, Self::Ended)
    }

    /// Follows what plays now, and counts its viewer by it.
    pub fn settle(&mut self, channel: &Arc<Channel>) {
        let (held, _before, was_paused) = match mem::replace(self, Self::Ended) {
            Self::Ready(held) => (held, None, false),
            Self::Playing(held, viewer) => (held, Some(viewer), false),
            Self::Paused(held) => (held, None, true),
            Self::Ended => return,
        };
        *self = if held.playing().next().is_some() {
            let by = held.carriages().max().unwrap_or(Carriage::Udp);
            Self::Playing(held, channel.watch(by))
        } else if was_paused {
            Self::Paused(held)
        } else {
            Self::Ready(held)
        };
    }
}

impl Held {
    pub fn new(home: &Arc<Home>, place: Share, story: Arc<Story>) -> Self {
        let (setups, whereabouts) = (Vec::new(), Whereabouts::at(home));
        Self { setups, watch: None, whereabouts, _place: place, story, claim: None, past: Past::default() }
    }

    /// A connection asks for it, to which it belongs from now on. `false`: it does not. What goes by the connection that it
    /// has is bound to that; and the other one may have no room for what is set up.
    pub fn move_to(&mut self, home: &Arc<Home>) -> bool {
        if self.whereabouts.is_at(home) {
            return true;
        }
        if self.is_bound() {
            return false;
        }
        if let Some(output) = &home.output {
            let held = self.setups.iter_mut().flat_map(Setup::memory);
            let room = held.map(|held| output.room.for_as_much(held));
            let Some(room) = room.collect::<Option<Vec<_>>>() else { return false };
            let held = self.setups.iter_mut().flat_map(Setup::memory);
            held.zip(room).for_each(|(held, room)| *held = room);
        }
        self.whereabouts.move_to(home);
        true
    }

    /// Its client has closed a connection. `false`: it is of that one, and bound to it.
    pub fn leave(&mut self, home: &Arc<Home>, now: Instant) -> bool {
        let is_of_another = !self.whereabouts.is_at(home);
        if is_of_another || self.is_bound() {
            return is_of_another;
        }
        self.whereabouts.leave(now);
        true
    }

    /// Whether packets go by its connection, or will.
    pub fn is_bound(&self) -> bool {
        self.setups.iter().any(Setup::uses_connection)
    }

    pub fn stop(&mut self) {
        self.setups.iter_mut().for_each(Setup::stop);
    }

    pub fn playing(&self) -> impl Iterator<Item = &Setup> {
        self.setups.iter().filter(|setup| setup.plays())
    }

    /// How what plays reaches the viewer.
    pub fn carriages(&self) -> impl Iterator<Item = Carriage> {
        self.playing().map(Setup::carriage)
    }

    pub fn of_track(&mut self, number: usize) -> Option<&mut Setup> {
        self.setups.iter_mut().find(|setup| setup.track.number == number)
    }
}
