//! Scanning: a deck that plays at a scale shows one picture after the other that a decoder can start with, and nothing between them. Other
//! tracks rest meanwhile.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use crate::relay::Packet;
use crate::wire::random_access::Starts;

use super::choice::Choice;
use super::reel::{Picture, Reel};

/// Packets of a picture that go at once, and when there are more: what a receive buffer of the usual size has room for, and is let empty
/// itself.
const AT_ONCE: usize = 64;
const MORE_AFTER: Duration = Duration::from_millis(5);
/// The longest that it is not looked at.
const LONGEST_WAIT: Duration = Duration::from_millis(100);
/// Who was held up for so long goes on from there.
const HELD_UP: Duration = Duration::from_secs(2);

/// Which pictures, and how far that is.
pub(super) struct Scanning {
    choice: Choice,
    /// What the pictures may take, in per cent of what the stream does.
    percent: u32,
    /// The track that they are of.
    lead: usize,
    starts: Starts,
    /// When the first one was shown.
    began: Option<Instant>,
    next: Option<Picture>,
    /// What has still to go of the one that is shown.
    sending: VecDeque<Packet>,
    shown: Option<Picture>,
}

/// What follows a turn.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Another one.
    After(Duration),
    /// There is no more picture there.
    Over,
}

impl Scanning {
    /// Begins with the newest picture that came by then. `None`: it is not said where pictures are that can be shown alone.
    pub fn begin(reels: &mut [Reel], from_us: u64, (scale, percent): (i8, u32)) -> io::Result<Option<Self>> {
        let Some(lead) = reels.iter().position(Reel::has_pictures) else { return Ok(None) };
        let Some(reel) = reels.get_mut(lead) else { return Ok(None) };
        let mut from_us = from_us;
        // The newest of all may not have come whole.
        for _ in 0..2 {
            if !reel.reader.seek_start_before(from_us)? {
                return Ok(None);
            }
            let Some(first) = reel.reader.peek()? else { return Ok(None) };
            let (mut starts, _) = reel.starts_before(&first)?;
            if let Some(picture) = reel.picture(&mut starts)? {
                let choice = Choice::new(scale, first.arrived_us);
                let (began, next, sending, shown) = (None, Some(picture), VecDeque::new(), None);
                return Ok(Some(Self { choice, percent, lead, starts, began, next, sending, shown }));
            }
            from_us = first.arrived_us.saturating_sub(1);
        }
        Ok(None)
    }

    /// When the picture came that is shown next, or now.
    pub fn came_us(&self) -> Option<u64> {
        self.next.as_ref().or(self.shown.as_ref()).map(|picture| picture.first.arrived_us)
    }

    pub fn is_backwards(&self) -> bool {
        self.choice.is_backwards()
    }

    /// Has other tracks wait where it begins. Returns sequence number and timestamp of each track's first packet.
    pub fn firsts(&self, reels: &mut [Reel]) -> io::Result<Vec<Option<(u16, u32)>>> {
        let Some(begins) = self.next.as_ref().map(|picture| picture.first) else { return Ok(Vec::new()) };
        let first = |(place, reel): (usize, &mut Reel)| {
            if place == self.lead {
                return Ok(Some(reel.first(&begins)));
            }
            reel.reader.seek(begins.arrived_us)?;
            reel.rest_at(begins.arrived_us);
            Ok(reel.reader.peek()?.map(|first| reel.wait_before(&first)))
        };
        reels.iter_mut().enumerate().map(first).collect()
    }

    /// What is due goes into the ring; nothing of what came behind `until_us`, backwards before that.
    pub fn turn(&mut self, reels: &mut [Reel], until_us: Option<u64>, now: Instant) -> io::Result<Step> {
        let Some(reel) = reels.get_mut(self.lead) else { return Ok(Step::Over) };
        if let (Some(picture), false) = (&self.shown, self.sending.is_empty()) {
            let packets = self.sending.drain(..AT_ONCE.min(self.sending.len()));
            reel.put(packets.collect(), &picture.first, now);
            return Ok(Step::After(MORE_AFTER));
        }
        if self.next.is_none() {
            self.next = self.find(reel)?;
        }
        let goes_back = self.is_backwards();
        let is_there = |next: &mut Picture| {
            let came = next.first.arrived_us;
            until_us.is_none_or(|until| if goes_back { came >= until } else { came <= until })
        };
        let Some(picture) = self.next.take_if(is_there) else {
            return Ok(Step::Over);
        };
        let due = Duration::from_micros(self.choice.due_us(picture.first.arrived_us));
        let passed = now.saturating_duration_since(*self.began.get_or_insert(now));
        if passed < due {
            self.next = Some(picture);
            return Ok(Step::After((due - passed).min(LONGEST_WAIT)));
        }
        if passed > due + HELD_UP {
            self.began = now.checked_sub(due);
        }
        let limit = reel.reader.bytes_per_second()?.saturating_mul(self.percent.into()) / 100;
        let later_us = self.choice.show(picture.first.arrived_us, picture.bytes, limit);
        self.sending = reel.show(&picture, later_us, now).into();
        reels.iter().for_each(|reel| reel.rest_at(picture.first.arrived_us));
        self.shown = Some(picture);
        Ok(Step::After(Duration::ZERO))
    }

    /// The picture to be shown next.
    fn find(&mut self, reel: &mut Reel) -> io::Result<Option<Picture>> {
        let Some(wanted_us) = self.choice.wanted_us() else { return Ok(None) };
        let is_there = match self.is_backwards() {
            true => reel.reader.seek_start_before(wanted_us)?,
            false => reel.reader.seek_start_after(wanted_us)?,
        };
        let first = reel.reader.peek()?.filter(|first| is_there && self.choice.takes(first.arrived_us));
        if first.is_some() { reel.picture(&mut self.starts) } else { Ok(None) }
    }

    /// No more is shown: what follows is so much later than what went before, of each track.
    pub fn end(&self, reels: &mut [Reel], now: Instant) {
        let passed = self.began.map_or(Duration::ZERO, |began| now.saturating_duration_since(began));
        let shown = self.shown.as_ref().map_or(0, |picture| self.choice.due_us(picture.first.arrived_us));
        for (place, reel) in reels.iter_mut().enumerate() {
            let before = if place == self.lead { Duration::from_micros(shown) } else { Duration::ZERO };
            reel.jump(passed.saturating_sub(before));
        }
    }
}
