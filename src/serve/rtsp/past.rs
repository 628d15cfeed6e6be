//! What a viewer has of the past: by what it watches it, and where it was paused.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::event::clock;
use crate::relay::{Alias, Expected, Named, Track};
use crate::storage::{Deck, Kept, Sent};

use super::super::kept::Rerun;
use super::super::media::Settling;
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
    /// Over once it is known for sure where that is.
    pub paused: Option<Arc<Expected>>,
    /// What it was sent of each track, by its number, before it goes over to what comes.
    pub left: Vec<(usize, Sent)>,
    /// What is coming is not what would have been next.
    pub is_jump: bool,
    /// It was played to its end.
    pub is_over: bool,
}

/// How far a track has come.
pub struct Place {
    pub track: usize,
    of: Arc<Track>,
    /// By what it was watched, if that was the past.
    deck: Option<Arc<Deck>>,
    /// The number in the ring of the packet that is next, as far as was known then.
    number: u64,
    /// The same, once it is known for sure.
    end: Arc<OnceLock<u64>>,
    /// That packet.
    next: Kept,
    /// What was sent before it, if anything was.
    sent: Option<Sent>,
    /// By what numbers that was sent, if not by those of the ring.
    alias: Option<Alias>,
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
        let (of, number) = (&setup.track, setup.next()?);
        let alias = setup.alias();
        let sent = sent_before((of, alias), deck, number).or_else(|| deck?.sent_before(of.number, now));
        let next = match deck {
            Some(deck) => deck.packet(of.number, number)?,
            None => live(setup, number, now),
        };
        let is_renumbered = alias.is_some() || deck.is_some_and(|deck| !deck.is_as_it_came());
        let (track, of, deck, end) = (of.number, of.clone(), deck.cloned(), Arc::default());
        Some(Self { track, of, deck, number, end, next, sent, alias, is_renumbered, at: now })
    }

    /// The packet that is next.
    pub fn next(&self) -> Kept {
        let further = self.end().wrapping_sub(self.number);
        if let Some(deck) = self.deck.as_ref().filter(|_| further > 0) {
            return deck.packet(self.track, self.end()).unwrap_or(self.next);
        }
        let (us, packet) = self.next;
        let on = |packet: Named| Named { sequence: packet.sequence.wrapping_add(further as u16), ..packet };
        (us, packet.map(on))
    }

    /// What was sent before it.
    fn sent(&self) -> Option<Sent> {
        let has_gone_further = self.end() != self.number;
        let known =
            has_gone_further.then(|| sent_before((&self.of, self.alias), self.deck.as_ref(), self.end()));
        known.flatten().or(self.sent)
    }

    fn end(&self) -> u64 {
        self.end.get().copied().unwrap_or(self.number)
    }

    /// What it plays is let go, there or a little further.
    pub fn let_go(&mut self, setup: &mut Setup, waits: &Arc<Settling>) {
        self.end = setup.let_go(waits.clone());
    }

    /// Whether it is of the past, or has numbers of its own since.
    pub fn is_apart(&self) -> bool {
        self.deck.is_some() || self.alias.is_some()
    }

    /// The number in the ring of the channel's track of the packet that is next, where that was sent.
    pub fn number(&self) -> Option<u64> {
        self.deck.is_none().then(|| self.end())
    }

    /// What it was sent, where the next packet is another one.
    pub fn after_a_jump(&self, now: Instant) -> Option<Sent> {
        let passed = now.saturating_duration_since(self.at).max(Duration::from_millis(1));
        self.sent().map(|sent| Sent { passed: sent.passed + passed, came: None, ..sent })
    }

    /// What it was sent, where the next packet is the next.
    pub fn after_a_pause(&self) -> Option<Sent> {
        self.sent().filter(|_| self.is_renumbered)
    }
}

/// What a viewer was sent before the packet of a number, as far as that is in the ring.
fn sent_before(
    (track, alias): (&Track, Option<Alias>),
    deck: Option<&Arc<Deck>>,
    number: u64,
) -> Option<Sent> {
    let last = number.wrapping_sub(1);
    let sent = track.rtp.ring().packet(last)?;
    let Named { ssrc, sequence, timestamp } = alias.map_or(sent, |alias| alias.named(sent));
    let Some(deck) = deck else {
        return Some(Sent { ssrc, sequence, timestamp, passed: Duration::ZERO, came: Some(sent) });
    };
    let [last, next] = [last, number].map(|number| deck.packet(track.number, number));
    let passed_us = next.zip(last).map_or(0, |((next_us, _), (last_us, _))| next_us.saturating_sub(last_us));
    let (passed, came) = (Duration::from_micros(passed_us), last.and_then(|(_, came)| came));
    Some(Sent { ssrc, sequence, timestamp, passed, came })
}

/// When a packet comes that is in the ring of what comes, or is to come, and by what it is known.
fn live(setup: &Setup, number: u64, now: Instant) -> Kept {
    let ring = setup.track.rtp.ring();
    let came_at = ring.arrival(number).unwrap_or(now);
    let at = clock::unix_now().saturating_sub(now.saturating_duration_since(came_at));
    let following = || {
        let before = ring.packet(number.wrapping_sub(1))?;
        Some(Named { sequence: before.sequence.wrapping_add(1), ..before })
    };
    (at.as_micros() as u64, ring.packet(number).or_else(following))
}
