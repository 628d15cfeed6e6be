//! What a viewer has of the past: by what it watches it, and where it was paused.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::event::clock;
use crate::storage::{Deck, Kept, Sent};

use super::super::kept::Rerun;
use super::setup::Setup;

/// What a viewer of the past has, or is about to have.
#[derive(Default)]
pub struct Past {
    /// By what it watches; absent while it watches what comes now.
    pub deck: Option<Arc<Deck>>,
    /// By what it will, once it is told so.
    pub coming: Option<Rerun>,
    /// Where it was paused.
    pub places: Vec<Place>,
    /// It was played to its end.
    pub is_over: bool,
}

/// How far a track has come.
pub struct Place {
    pub track: usize,
    /// The packet that is next, as far as was known then.
    next: Kept,
    /// Its number in the ring of the channel's track, where that is what was sent.
    number: Option<u64>,
    /// The same, once it is known for sure.
    end: Arc<OnceLock<u64>>,
    /// What was sent before it, if anything was.
    sent: Option<Sent>,
    /// Its numbers are not those that packets came with.
    is_renumbered: bool,
    at: Instant,
}

impl Past {
    /// What it watches is played by that.
    pub fn of(deck: Arc<Deck>) -> Self {
        Self { deck: Some(deck), ..Self::default() }
    }
}

impl Place {
    pub fn of(setup: &Setup, deck: Option<&Arc<Deck>>, now: Instant) -> Option<Self> {
        let (track, next) = (&setup.track, setup.next()?);
        let ring = track.rtp.ring();
        let before = ring.landmark_before(next).zip(ring.numbers_of(next.wrapping_sub(1)));
        let sent = before.map(|(landmark, (sequence, timestamp))| {
            let passed = deck.and_then(|deck| {
                let [last, next] =
                    [next.wrapping_sub(1), next].map(|number| deck.packet(track.number, number));
                Some(next?.0.saturating_sub(last?.0))
            });
            let passed = Duration::from_micros(passed.unwrap_or_default());
            Sent { ssrc: landmark.ssrc, sequence, timestamp, passed }
        });
        let sent = sent.or_else(|| deck?.sent_before(track.number, now));
        let number = deck.is_none().then_some(next);
        let next = match deck {
            Some(deck) => deck.packet(track.number, next)?,
            None => live(setup, next, sent.as_ref(), now),
        };
        let (track, is_renumbered, end) =
            (track.number, deck.is_some_and(|deck| !deck.is_as_it_came()), Arc::default());
        Some(Self { track, next, number, end, sent, is_renumbered, at: now })
    }

    /// The packet that is next.
    pub fn next(&self) -> Kept {
        let further = self.number().zip(self.number).map_or(0, |(end, number)| end.wrapping_sub(number));
        let (us, packet) = self.next;
        (us, packet.map(|(ssrc, sequence)| (ssrc, sequence.wrapping_add(further as u16))))
    }

    /// What it plays is let go, there or a little further.
    pub fn let_go(&mut self, setup: &mut Setup) {
        self.end = setup.let_go();
    }

    /// The number in the ring of the channel's track of the packet that is next, where that was sent.
    pub fn number(&self) -> Option<u64> {
        self.number.map(|number| self.end.get().copied().unwrap_or(number))
    }

    /// What it was sent, where the next packet is another one.
    pub fn after_a_jump(&self, now: Instant) -> Option<Sent> {
        let passed = now.saturating_duration_since(self.at).max(Duration::from_millis(1));
        self.sent.map(|sent| Sent { passed: sent.passed + passed, ..sent })
    }

    /// What it was sent, where the next packet is the next.
    pub fn after_a_pause(&self) -> Option<Sent> {
        self.sent.filter(|_| self.is_renumbered)
    }
}

/// When a packet comes that is in a ring, or is to come, and by what it is known.
fn live(setup: &Setup, number: u64, sent: Option<&Sent>, now: Instant) -> Kept {
    let ring = setup.track.rtp.ring();
    let came_at = ring.arrival(number).unwrap_or(now);
    let at = clock::unix_now().saturating_sub(now.saturating_duration_since(came_at));
    let here = ring.landmark_before(number + 1).map(|packet| (packet.ssrc, packet.sequence));
    let following = sent.map(|sent| (sent.ssrc, sent.sequence.wrapping_add(1)));
    (at.as_micros() as u64, here.or(following))
}
