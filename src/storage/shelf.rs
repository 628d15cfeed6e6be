//! A Shelf: the segments of one channel, the oldest first.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::event::lock;
use crate::wire::recording::{Record, Stamp};

use super::segment::Segment;

/// What is kept of a channel.
#[derive(Debug)]
pub struct Shelf {
    directory: PathBuf,
    segments: Mutex<VecDeque<Segment>>,
}

impl Shelf {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory, segments: Mutex::default() }
    }

    /// Where the files are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What was found goes before what has been written meanwhile.
    pub(super) fn found(&self, segments: Vec<Segment>) {
        let mut all = self.segments();
        let written = std::mem::take(&mut *all);
        all.extend(segments);
        all.extend(written);
    }

    /// A segment is there, or goes on.
    pub(super) fn put(&self, segment: Segment) {
        let mut segments = self.segments();
        match segments.back_mut().filter(|newest| newest.stamp == segment.stamp) {
            Some(newest) => *newest = segment,
            None => segments.push_back(segment),
        }
    }

    /// A segment is there again that was damaged.
    pub(super) fn put_in_order(&self, segment: Segment) {
        let mut segments = self.segments();
        let place = segments.partition_point(|other| other.stamp < segment.stamp);
        segments.insert(place, segment);
    }

    /// Segments there are, what they take, and from when to when they reach, in microseconds since 1970.
    pub fn figures(&self) -> (usize, u64, Option<(u64, u64)>) {
        let segments = self.segments();
        let bytes = segments.iter().map(|segment| segment.bytes).sum();
        let span = segments.front().zip(segments.back());
        let span = span.map(|(oldest, newest)| (oldest.stamp.micros(), newest.ended_us));
        (segments.len(), bytes, span)
    }

    /// The packet of a track that was kept last.
    pub(super) fn last_kept(&self, track: u16) -> Option<Record> {
        self.newest()?.last(&self.directory, track)
    }

    /// The segment that a moment is in, or that comes after it; that which ended last before where none does. `None`: nothing is kept.
    pub(super) fn at(&self, us: u64) -> Option<Segment> {
        let segments = self.segments();
        let begun = segments.iter().rposition(|segment| segment.stamp.micros() <= us);
        let (place, following) = (begun.unwrap_or(0), begun.map_or(0, |place| place + 1));
        let is_over = segments.get(place).is_some_and(|segment| segment.ended_us < us);
        let after = segments.get(following).filter(|_| is_over);
        after.or_else(|| segments.get(place)).cloned()
    }

    /// The newest segment that had begun by a moment.
    pub(super) fn begun_by(&self, us: u64) -> Option<Segment> {
        self.segments().iter().rfind(|segment| segment.stamp.micros() <= us).cloned()
    }

    /// The segment that follows one, which may have gone.
    pub(super) fn after(&self, stamp: Stamp) -> Option<Segment> {
        let segments = self.segments();
        let place = segments.iter().position(|segment| segment.stamp == stamp);
        match place {
            Some(place) => segments.get(place + 1).cloned(),
            None => segments.iter().find(|segment| segment.stamp > stamp).cloned(),
        }
    }

    /// The one that was begun last.
    pub(super) fn newest(&self) -> Option<Segment> {
        self.segments().back().cloned()
    }

    /// All segments, the oldest first.
    pub fn segments_now(&self) -> Vec<Segment> {
        self.segments().iter().cloned().collect()
    }

    /// How old the oldest one is that may go; the one that is `written` may not.
    pub(super) fn oldest_age(&self, written: Option<Stamp>, now: Instant) -> Option<Duration> {
        let segments = self.segments();
        segments.front().filter(|oldest| Some(oldest.stamp) != written).map(|oldest| oldest.age(now))
    }

    /// Takes the oldest one out, unless it is `written`.
    pub(super) fn take_oldest(&self, written: Option<Stamp>) -> Option<Segment> {
        let mut segments = self.segments();
        segments.front().filter(|oldest| Some(oldest.stamp) != written)?;
        segments.pop_front()
    }

    fn segments(&self) -> MutexGuard<'_, VecDeque<Segment>> {
        lock(&self.segments)
    }
}
