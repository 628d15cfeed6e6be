//! One track of a film: its samples in order, each until the next one tells how long it lasts.

use std::time::Duration;

use super::boxes::Sample;
use super::clock::Line;

/// What a sample lasts that is the last one of all so far, in ticks of a second: a picture of 25.
const LIKELY: u32 = 25;

/// One track.
#[derive(Debug)]
pub(super) struct Reel<C> {
    /// How it is coded, once that is known.
    pub config: Option<C>,
    pub line: Line,
    /// The newest: it lasts until the next.
    newest: Option<Sample>,
    ready: Vec<Sample>,
    lasted: u32,
    /// Where the next one would begin.
    end: u64,
}

impl<C> Reel<C> {
    pub fn new(line: Line) -> Self {
        let lasted = line.rate / LIKELY;
        Self { config: None, line, newest: None, ready: Vec::new(), lasted, end: 0 }
    }

    /// Whether a time is so far from the one before that the clock was set.
    pub fn is_jump(&self, at: i64, back: Duration, ahead: Duration) -> bool {
        let ticks = |time: Duration| self.line.ticks(time.as_nanos() as i64);
        let Some(newest) = &self.newest else { return false };
        let step = at.saturating_sub(newest.at as i64);
        step < -ticks(back) || step > ticks(ahead)
    }

    /// Takes what comes next; no two are at the same time.
    pub fn place(&mut self, at: i64, offset: i64, is_start: bool, data: Vec<u8>) {
        let at = u64::try_from(at).unwrap_or(0).max(self.earliest());
        if let Some(mut before) = self.newest.take() {
            before.lasts = u32::try_from(at - before.at).unwrap_or(self.lasted);
            self.lasted = before.lasts;
            self.ready.push(before);
        }
        let offset = i32::try_from(offset).unwrap_or(0);
        self.newest = Some(Sample { at, lasts: 0, offset, is_start, data });
    }

    fn earliest(&self) -> u64 {
        self.newest.as_ref().map_or(self.end, |newest| newest.at + 1)
    }

    /// Nothing follows the newest.
    pub fn end(&mut self) {
        if let Some(mut last) = self.newest.take() {
            last.lasts = self.lasted.max(1);
            self.end = last.at + u64::from(last.lasts);
            self.ready.push(last);
        }
    }

    /// Where it ends, in nanoseconds.
    pub fn ends_at(&self) -> i64 {
        self.line.nanos(i64::try_from(self.end).unwrap_or(i64::MAX))
    }

    pub fn has_any(&self) -> bool {
        !self.ready.is_empty()
    }

    /// What is there and was not given yet.
    pub fn give(&mut self) -> Vec<Sample> {
        std::mem::take(&mut self.ready)
    }

    /// Whether so much waits to be given.
    pub fn is_longer_than(&self, time: Duration, bytes: usize) -> bool {
        let lasts: i64 = self.ready.iter().map(|sample| i64::from(sample.lasts)).sum();
        self.line.nanos(lasts) as u128 >= time.as_nanos()
            || self.ready.iter().map(|sample| sample.data.len()).sum::<usize>() > bytes
    }
}
