//! One stream out of several copies of it, each by a way of its own (SMPTE ST 2022-7): of each packet the first copy wins,
//! and packets leave in the order of their numbers.
//!
//! ```text
//!  leg 1   1 2   4 5 6            1, 2: at once
//!  leg 2      1 2 3 4 5 6         4 waits for 3, which leg 2 brings; then both leave
//! ```
//!
//! While nothing is missing nothing waits. At a gap what follows waits, for as long as one leg may be behind another; then the
//! gap is given up, and what comes of it later is too late.
//!
//! The legs carry one stream, with one SSRC and one numbering. A source that begins anew has others: what comes of them waits
//! until the former has been unheard on every leg for a moment, and then leaves in its turn. So a leg that is behind may end its
//! copy, no packet is lost, and legs that by mistake carry two streams never take turns: the one that is heard stays.
//!
//! It reads no clock: arrivals are told, counted from wherever, the same for all.

use std::time::Duration;

use super::first_copies::{FirstCopies, REMEMBERED};
use super::in_order::InOrder;
use super::rtp::RtpHeader;
use super::skew::Skew;

/// A stream that is unheard for so long gives way to another one.
const CHANGE_AFTER: Duration = Duration::from_millis(100);
/// What repeats a number after so long is no copy, but of a new numbering; so is what comes after a pause of so long.
const COPY_WITHIN: Duration = Duration::from_secs(2);
/// A leg that has been of no use for so long is told of.
const USELESS_AFTER: Duration = Duration::from_secs(2);

/// Merges the legs of one stream. What waits is a `T`.
#[derive(Debug)]
pub struct Merge<T> {
    patience: Duration,
    stream: Option<InOrder<T>>,
    /// Another one, which may take its place.
    other: Option<InOrder<T>>,
    first_copies: FirstCopies,
    legs: Vec<Leg>,
}

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is the next one, and leaves at once.
    Next,
    /// It waits.
    Waits,
    /// Another copy of it has come.
    Duplicate,
    /// It was given up before.
    Late,
}

/// What one leg has brought.
#[derive(Debug, Clone, Default)]
struct Leg {
    heard: Option<Duration>,
    counts: LegCounts,
    skew: Skew,
    /// Since when it has brought nothing but this.
    useless: Option<(Useless, Duration)>,
}

/// What one leg has brought, packets by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LegCounts {
    /// First copies.
    pub first: u64,
    /// Copies of what had come by another leg, or by this one.
    pub duplicate: u64,
    /// Packets that had been given up.
    pub late: u64,
    /// Packets of another stream.
    pub of_another: u64,
}

/// Why a leg does not help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Useless {
    /// It carries another stream.
    OtherStream,
    /// It is further behind than is waited for.
    TooLate,
}

impl<T: AsRef<[u8]>> Merge<T> {
    /// So many legs, of which one may be so far behind another.
    #[must_use]
    pub fn new(legs: usize, patience: Duration) -> Self {
        let first_copies = FirstCopies::new();
        Self { patience, stream: None, other: None, first_copies, legs: vec![Leg::default(); legs] }
    }

    /// Takes a packet of a leg, from 0, which arrived then and is taken now: what is held up on its way here makes no leg late.
    /// One that is to wait is made by `own`. After each, what has waited long enough, or for this one, is taken by
    /// [`pop`](Self::pop).
    pub fn take(
        &mut self,
        leg: usize,
        header: &RtpHeader,
        [arrived, now]: [Duration; 2],
        own: impl FnOnce() -> T,
    ) -> Fate {
        let RtpHeader { ssrc, sequence, .. } = *header;
        let stream = self.stream.get_or_insert_with(|| InOrder::new(ssrc, sequence, now));
        let number = stream.number(sequence);
        let first = self.first_copies.find(number);
        // After a pause its numbers say nothing of those before.
        let began = first.map_or(stream.heard, |first| first.arrived);
        let is_old = now.saturating_sub(began) > COPY_WITHIN;
        if stream.ssrc != ssrc || is_old || number.abs_diff(stream.next) > REMEMBERED as u64 {
            return self.take_other(leg, header, now, own);
        }
        stream.heard = now;
        let leads = stream.first().is_none() && number >= stream.next;
        let fate = match first {
            Some(_) => Fate::Duplicate,
            None if number < stream.next => Fate::Late,
            None if number == stream.next => {
                stream.next += 1;
                Fate::Next
            }
            None => {
                stream.wait(number, leg, now, own);
                Fate::Waits
            }
        };
        if matches!(fate, Fate::Next | Fate::Waits) {
            self.first_copies.note(number, arrived, leg);
        }
        let behind = match first {
            Some(first) if first.leg != leg => Some(arrived.saturating_sub(first.arrived)),
            _ => leads.then_some(Duration::ZERO),
        };
        self.legs[leg].note(fate, behind, self.patience, now);
        fate
    }

    /// One of another stream, or of another numbering.
    #[cold]
    fn take_other(&mut self, leg: usize, header: &RtpHeader, now: Duration, own: impl FnOnce() -> T) -> Fate {
        let RtpHeader { ssrc, sequence, .. } = *header;
        self.legs[leg].is_useless(Useless::OtherStream, now);
        let is_another = |other: &InOrder<T>| {
            other.ssrc != ssrc || other.number(sequence).abs_diff(other.next) > REMEMBERED as u64
        };
        if self.other.as_ref().is_some_and(is_another) {
            self.let_go(|_| true);
        }
        let other = self.other.get_or_insert_with(|| InOrder::new(ssrc, sequence, now));
        other.heard = now;
        let number = other.number(sequence);
        let is_new = other.wait(number, leg, now, own);
        self.let_go(InOrder::is_full);
        if is_new { Fate::Waits } else { Fate::Duplicate }
    }

    /// The next packet that leaves. `now`: what has waited long enough is given up.
    pub fn pop(&mut self, now: Option<Duration>) -> Option<T> {
        let is_over = now.is_some_and(|now| self.is_over(now));
        let stream = self.stream.as_mut()?;
        if let Some((number, since)) = stream.first() {
            let has_waited = now.is_some_and(|now| now >= since + self.patience);
            let is_given_up = is_over || has_waited || stream.is_full();
            return (is_given_up || number == stream.next)
                .then(|| stream.pop())
                .flatten()
                .map(|(_, out)| out);
        }
        let other = self.other.take_if(|_| is_over)?;
        let Self { first_copies, legs, .. } = self;
        *stream = other.follow(stream, |number, leg, at| {
            first_copies.note(number, at, leg);
            legs[leg].counts.first += 1;
        });
        stream.pop().map(|(_, out)| out)
    }

    /// When something may leave, if nothing comes before.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        let stream = self.stream.as_ref()?;
        let gap = stream.first().map(|(_, since)| since + self.patience);
        let change = self.other.as_ref().map(|_| stream.heard + CHANGE_AFTER);
        gap.into_iter().chain(change).min()
    }

    /// Whether another stream takes the place of this one.
    fn is_over(&mut self, now: Duration) -> bool {
        let (Some(stream), Some(_)) = (&self.stream, &self.other) else { return false };
        if now >= stream.heard + CHANGE_AFTER {
            return true;
        }
        // Who has waited for longer than any leg is behind waits in vain.
        let longest = self.patience + CHANGE_AFTER;
        self.let_go(|other| other.first().is_some_and(|(_, since)| now > since + longest));
        false
    }

    /// Lets go of what waits of another stream, as long as it is to.
    fn let_go(&mut self, goes: impl Fn(&InOrder<T>) -> bool) {
        let Some(other) = &mut self.other else { return };
        while goes(other)
            && let Some((leg, _)) = other.pop()
        {
            self.legs[leg].counts.of_another += 1;
        }
        self.other.take_if(|other| other.first().is_none());
    }

    /// What a leg has brought.
    #[must_use]
    pub fn counts(&self, leg: usize) -> LegCounts {
        self.legs[leg].counts
    }

    /// How far a leg is behind the first copies: a mean of the newest, and the largest of half a minute or a whole one.
    #[must_use]
    pub fn skew(&self, leg: usize) -> (Duration, Duration) {
        let skew = &self.legs[leg].skew;
        (skew.mean(), skew.largest())
    }

    /// Why a leg has been of no use for a while.
    #[must_use]
    pub fn useless(&self, leg: usize, now: Duration) -> Option<Useless> {
        let (why, since) = self.legs[leg].useless?;
        (now.saturating_sub(since) >= USELESS_AFTER).then_some(why)
    }

    /// Whether none of the legs before this one has brought anything of the stream for so long: reports are taken by the first
    /// leg that does.
    #[must_use]
    pub fn is_first_heard(&self, leg: usize, within: Duration, now: Duration) -> bool {
        let is_heard = |leg: &Leg| leg.heard.is_some_and(|heard| now.saturating_sub(heard) < within);
        !self.legs[..leg].iter().any(is_heard)
    }
}

impl Leg {
    fn note(&mut self, fate: Fate, behind: Option<Duration>, patience: Duration, now: Duration) {
        self.heard = Some(now);
        if let Some(behind) = behind {
            self.skew.take(behind, now);
        }
        match fate {
            Fate::Next | Fate::Waits => self.counts.first += 1,
            Fate::Duplicate => self.counts.duplicate += 1,
            Fate::Late => self.counts.late += 1,
        }
        if fate == Fate::Late || fate == Fate::Duplicate && self.skew.mean() > patience {
            self.is_useless(Useless::TooLate, now);
        } else {
            self.useless = None;
        }
    }

    fn is_useless(&mut self, why: Useless, now: Duration) {
        if self.useless.is_none_or(|(before, _)| before != why) {
            self.useless = Some((why, now));
        }
    }
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
