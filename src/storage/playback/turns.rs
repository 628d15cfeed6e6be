//! When decks have their turns: what is due about the same time at once, so that a thread is woken once for all of it, and those of many decks
//! never all at once.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

/// How often what is due is read.
pub(super) const TURN: Duration = Duration::from_millis(60);
/// The same where it goes as fast as it is taken, or nothing is there yet.
pub(super) const FAST_TURN: Duration = Duration::from_millis(5);
/// What is due within that has its turn together.
const TOGETHER: Duration = Duration::from_millis(2);
/// Of a turn.
const PHASES: u32 = (TURN.as_millis() / TOGETHER.as_millis()) as u32;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// When, of each turn, it is that of one deck.
pub(super) struct Phase(u32);

impl Phase {
    /// That of one more deck.
    pub fn next() -> Self {
        Self(NEXT.fetch_add(1, Relaxed) % PHASES)
    }

    /// After how long it is its turn, where that is due after a pause.
    pub fn after(&self, pause: Duration, now: Duration) -> Duration {
        if pause < TURN {
            return pause.saturating_sub(over(now + pause, TOGETHER));
        }
        let over = over(now + pause + TURN - TOGETHER * self.0, TURN);
        if over < TURN / 2 { pause - over } else { pause + TURN - over }
    }
}

/// How long the last of equally long steps is over.
fn over(at: Duration, step: Duration) -> Duration {
    Duration::from_nanos((at.as_nanos() % step.as_nanos()) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_about_the_same_time_has_its_turn_at_once_and_each_deck_has_its_phase() {
        let us = Duration::from_micros;
        let turn_of = |phase: u32, now: Duration| now + Phase(phase).after(TURN, now);
        assert_eq!([us(120_000), us(120_900), us(140_000)].map(|now| turn_of(0, now)), [us(180_000); 3]);
        assert_eq!(turn_of(0, us(155_000)), us(240_000), "no turn is shorter than half of one");
        assert_eq!([us(124_000), us(125_500)].map(|now| turn_of(2, now)), [us(184_000); 2]);
        assert_eq!(us(121_500) + Phase(2).after(FAST_TURN, us(121_500)), us(126_000));
        assert_eq!(Phase(3).after(Duration::ZERO, us(999)), Duration::ZERO);
        assert_ne!(Phase::next().0, Phase::next().0);
    }
}
