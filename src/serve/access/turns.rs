//! Turns: how much of one address's work may be with the workers at a time. The rest waits here, in order, so that
//! whoever else comes waits behind a few tasks of a flood, and not behind all of it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, Weak};

use crate::event::lock;

/// Tasks of an address that are queued or run. As many keep that many workers busy.
const TURNS: usize = 8;

/// The turns of one address.
pub struct Turns<W: ?Sized>(Mutex<State<W>>);

struct State<W: ?Sized> {
    taken: usize,
    waiting: VecDeque<Weak<W>>,
}

impl<W: ?Sized> Default for Turns<W> {
    fn default() -> Self {
        Self(Mutex::new(State { taken: 0, waiting: VecDeque::new() }))
    }
}

impl<W: ?Sized> Turns<W> {
    /// Asks for a turn. `Some`: it is given. `None`: the work waits, and is handed out when a turn is over.
    pub fn ask(&self, work: Arc<W>) -> Option<Arc<W>> {
        let mut state = lock(&self.0);
        if state.taken < TURNS {
            state.taken += 1;
            return Some(work);
        }
        state.waiting.push_back(Arc::downgrade(&work));
        None
    }

    /// Takes all turns, as a flood would.
    #[cfg(all(test, not(model)))]
    pub fn take_all(&self) {
        lock(&self.0).taken = TURNS;
    }

    /// A turn is over; returns whose is next. What has ended while it waited has none.
    pub fn over(&self) -> Option<Arc<W>> {
        let mut state = lock(&self.0);
        loop {
            let Some(next) = state.waiting.pop_front() else {
                state.taken -= 1;
                return None;
            };
            if let Some(next) = next.upgrade() {
                return Some(next);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_has_a_few_turns_and_the_rest_waits_in_order() {
        let turns = Turns::default();
        let flood: Vec<_> = (0..TURNS + 3).map(Arc::new).collect();
        let given = flood.iter().filter(|work| turns.ask(Arc::clone(work)).is_some()).count();
        assert_eq!(given, TURNS);
        assert_eq!(turns.over().as_deref(), Some(&TURNS));
        assert_eq!(turns.over().as_deref(), Some(&(TURNS + 1)));
        drop(flood);
        assert!(turns.over().is_none(), "the last has ended while it waited");
        (1..TURNS).for_each(|_| assert!(turns.over().is_none()));
        let again: Vec<_> = (0..=TURNS).map(Arc::new).collect();
        assert_eq!(again.iter().filter(|work| turns.ask(Arc::clone(work)).is_some()).count(), TURNS);
    }
}
