//! The Stock: what was loaded and is not shown yet. Whoever shows it never waits for a disk.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

/// So much is loaded ahead, within these bytes.
const AHEAD_US: u64 = 2_000_000;
const MOST_BYTES: usize = 16 << 20;
/// What is later than this is not hurried after: all that follows is so much later.
const LATEST: Duration = Duration::from_millis(300);

/// One packet that is to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    /// When, in microseconds from the beginning of all.
    pub due_us: u64,
    /// Of which track, by its place from 0.
    pub track: usize,
    pub marker: bool,
    pub payload_type: u8,
    /// The same as the timestamp of its track says it, from 0.
    pub ticks: u32,
    pub payload: Bytes,
}

#[derive(Debug, Default)]
pub(super) struct Stock {
    frames: VecDeque<Frame>,
    bytes: usize,
    /// What was due then was shown then.
    base: Option<(Instant, u64)>,
    /// Times that what was due was not there.
    pub late: u64,
}

impl Stock {
    pub fn put(&mut self, frames: Vec<Frame>) {
        self.bytes += frames.iter().map(|frame| frame.payload.len()).sum::<usize>();
        self.frames.extend(frames);
    }

    /// Whether it takes more.
    pub fn has_room(&self) -> bool {
        let ahead = self.frames.front().zip(self.frames.back());
        let ahead_us = ahead.map_or(0, |(first, last)| last.due_us.saturating_sub(first.due_us));
        ahead_us < AHEAD_US && self.bytes < MOST_BYTES
    }

    /// What is due.
    pub fn take(&mut self, now: Instant) -> Vec<Frame> {
        let Some(first) = self.frames.front().map(|frame| frame.due_us) else { return Vec::new() };
        let due = self.base.map(|base| at(base, first));
        if due.is_some_and(|due| now > due + LATEST) {
            self.late += 1;
        }
        if due.is_none_or(|due| now > due + LATEST) {
            self.base = Some((now, first));
        }
        let base = self.base.unwrap_or((now, first));
        let count = self.frames.iter().take_while(|frame| at(base, frame.due_us) <= now).count();
        let taken: Vec<_> = self.frames.drain(..count).collect();
        self.bytes -= taken.iter().map(|frame| frame.payload.len()).sum::<usize>();
        taken
    }

    /// When the next is due, if one is there.
    pub fn next(&self) -> Option<Instant> {
        Some(at(self.base?, self.frames.front()?.due_us))
    }

    /// How long after the beginning it is, in microseconds.
    pub fn time_us(&self, now: Instant) -> Option<u64> {
        let (since, from_us) = self.base?;
        Some(from_us + now.saturating_duration_since(since).as_micros() as u64)
    }

    /// Nothing of it is to be shown any more.
    pub fn clear(&mut self) {
        *self = Self { late: self.late, ..Self::default() };
    }
}

fn at((since, from_us): (Instant, u64), due_us: u64) -> Instant {
    since + Duration::from_micros(due_us.saturating_sub(from_us))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::clock;

    const MS: Duration = Duration::from_millis(1);

    fn frame(due_ms: u64) -> Frame {
        let payload = vec![0; 1000].into();
        Frame { due_us: due_ms * 1000, track: 0, marker: false, payload_type: 33, ticks: 0, payload }
    }

    fn shown(stock: &mut Stock, now: Instant) -> Vec<u64> {
        stock.take(now).iter().map(|frame| frame.due_us / 1000).collect()
    }

    #[test]
    fn each_is_shown_when_it_is_due() {
        let (mut stock, now) = (Stock::default(), clock::now());
        assert_eq!(stock.next(), None);
        stock.put([500, 510, 520, 700].map(frame).into());
        assert_eq!(shown(&mut stock, now), [500]);
        assert_eq!(stock.next(), Some(now + 10 * MS));
        assert_eq!(shown(&mut stock, now + 25 * MS), [510, 520]);
        assert_eq!(stock.time_us(now + 25 * MS), Some(525_000));
        assert!(shown(&mut stock, now + 199 * MS).is_empty());
    }

    #[test]
    fn what_was_late_is_no_burst() {
        let (mut stock, now) = (Stock::default(), clock::now());
        stock.put([0].map(frame).into());
        assert_eq!(shown(&mut stock, now), [0]);
        stock.put([10, 20, 900].map(frame).into());
        assert_eq!((shown(&mut stock, now + 800 * MS), stock.late), (vec![10], 1));
        assert_eq!((shown(&mut stock, now + 810 * MS), stock.late), (vec![20], 1));
    }

    #[test]
    fn it_takes_two_seconds_and_no_more() {
        let mut stock = Stock::default();
        assert!(stock.has_room());
        stock.put([0, 1990].map(frame).into());
        assert!(stock.has_room());
        stock.put([2000].map(frame).into());
        assert!(!stock.has_room());
        stock.clear();
        stock.put((0..17_000).map(|_| frame(0)).collect());
        assert!(!stock.has_room(), "nor more bytes than it may");
    }
}
