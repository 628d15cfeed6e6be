//! Guesses: session ids that an address has named and that are none of its own. Whoever names very many is hung up on.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::event::lock;

/// So many are let pass in this time. Where the program was started anew, all viewers behind one address may name one or two.
const MOST: u32 = 1000;
const WITHIN: Duration = Duration::from_secs(60);

/// Those of one address.
#[derive(Default)]
pub struct Guesses(Mutex<Option<Count>>);

struct Count {
    since: Instant,
    guesses: u32,
}

impl Guesses {
    /// One more. `true`: these are too many.
    pub fn add(&self, now: Instant) -> bool {
        let mut count = lock(&self.0);
        let goes_on = |count: &Count| now.saturating_duration_since(count.since) < WITHIN;
        let before = count.take().filter(goes_on).unwrap_or(Count { since: now, guesses: 0 });
        let guesses = before.guesses.saturating_add(1);
        *count = Some(Count { guesses, ..before });
        guesses > MOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::clock;

    #[test]
    fn very_many_within_a_minute_are_too_many() {
        let (guesses, start) = (Guesses::default(), clock::now());
        assert!((0..MOST).all(|_| !guesses.add(start)));
        assert!(guesses.add(start + WITHIN - Duration::from_millis(1)));
        assert!((0..MOST).all(|_| !guesses.add(start + WITHIN)), "the next minute is another");
    }
}
