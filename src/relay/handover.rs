//! A Handover: where a subscriber goes on that changes from one way of being served to another.
//!
//! Only who serves it now knows how far it has come. It tells so in the moment in which it lets the subscriber go, and who
//! serves it next waits for that: so no packet goes both ways, and none goes neither.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::event::lock;

use super::burst::Spot;

/// Where a subscriber begins.
#[derive(Clone)]
pub enum Place {
    /// There in the ring.
    At(Spot),
    /// Where it stood when it was let go.
    After(Arc<Handover>),
}

/// What one who lets a subscriber go tells the next.
pub struct Handover(Mutex<State>);

enum State {
    Unknown {
        wake: Option<Wake>,
        /// The next has let it go before it began: whom to tell in its stead.
        heir: Option<Arc<Handover>>,
    },
    Known(Spot),
}

type Wake = Box<dyn FnOnce() + Send>;

impl Handover {
    /// Nothing is told yet.
    pub fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(State::Unknown { wake: None, heir: None })))
    }

    /// Where to go on, once that is told.
    pub fn place(&self) -> Option<Spot> {
        match &*self.state() {
            State::Known(place) => Some(place.clone()),
            State::Unknown { .. } => None,
        }
    }

    /// The subscriber has had everything before this place, and nothing from there on.
    pub fn tell(&self, place: impl Into<Spot>) {
        let place = place.into();
        let before = mem::replace(&mut *self.state(), State::Known(place.clone()));
        if let State::Unknown { wake, heir } = before {
            wake.into_iter().for_each(|wake| wake());
            heir.into_iter().for_each(|heir| heir.tell(place.clone()));
        }
    }

    /// Who waited lets the subscriber go too: `heir` is told whatever this one is.
    pub(super) fn pass_on(&self, heir: &Arc<Self>) {
        let known = match &mut *self.state() {
            State::Known(place) => Some(place.clone()),
            State::Unknown { heir: slot, .. } => {
                *slot = Some(heir.clone());
                None
            }
        };
        known.into_iter().for_each(|place| heir.tell(place));
    }

    /// Calls `wake` once the place is told, at once if it is.
    pub fn when_told(&self, wake: impl FnOnce() + Send + 'static) {
        let mut state = self.state();
        if let State::Unknown { wake: slot, .. } = &mut *state {
            *slot = Some(Box::new(wake));
            return;
        }
        drop(state);
        wake();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }
}

impl From<u64> for Place {
    fn from(number: u64) -> Self {
        Self::At(number.into())
    }
}

impl From<Spot> for Place {
    fn from(spot: Spot) -> Self {
        Self::At(spot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    #[test]
    fn who_waits_is_woken_once_whichever_comes_first() {
        let woken = Arc::new(AtomicUsize::new(0));
        let wake = || {
            let woken = woken.clone();
            move || {
                woken.fetch_add(1, Relaxed);
            }
        };
        let handover = Handover::new();
        handover.when_told(wake());
        let place = || handover.place().map(|place| place.number);
        assert_eq!((place(), woken.load(Relaxed)), (None, 0));
        handover.tell(7_u64);
        assert_eq!((place(), woken.load(Relaxed)), (Some(7), 1));
        handover.when_told(wake());
        assert_eq!(woken.load(Relaxed), 2);
    }

    #[test]
    fn who_is_let_go_before_it_began_passes_its_place_on() {
        let (first, second, third) = (Handover::new(), Handover::new(), Handover::new());
        first.pass_on(&second);
        second.pass_on(&third);
        first.tell(7_u64);
        assert_eq!(third.place().map(|place| place.number), Some(7));
        let late = Handover::new();
        first.pass_on(&late);
        assert_eq!(late.place().map(|place| place.number), Some(7));
    }
}
