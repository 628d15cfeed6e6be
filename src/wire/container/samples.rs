//! The samples of one track: where each is, when it is decoded and shown, and whether a decoder can start with it.
//!
//! They are kept in runs, as files have them: a picture takes 48 bytes at most, and sound that has a sample for each moment next to nothing.

use super::runs::{Run, Runs};

/// Samples of different lengths that have one place together: as many are looked through for one.
const TOGETHER: u32 = 64;

/// One sample, of a picture or of sound. Times are ticks of its track, from the film's beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Where it is in the file.
    pub offset: u64,
    /// How many bytes it has.
    pub size: u32,
    /// When it is decoded. Below 0: before the film begins.
    pub decoded_at: i64,
    /// When it is shown.
    pub shown_at: i64,
    /// From when it is decoded to when the next one is.
    pub lasts: u32,
    /// A decoder can start with it.
    pub is_sync: bool,
}

/// The samples of one track, numbered from 0 in the order in which they are decoded.
#[derive(Debug, Clone, Default)]
pub struct Samples {
    pub(super) count: u32,
    pub(super) sizes: Sizes,
    /// Where the first of a run is. Those of a run lie behind one another.
    pub(super) places: Runs<u64>,
    pub(super) times: Runs<Time>,
    /// How much later they are shown than decoded.
    pub(super) delays: Runs<i32>,
    /// Those that a decoder can start with, in their order. `None`: all.
    pub(super) syncs: Option<Vec<u32>>,
    /// From a time of the track to that of the film.
    pub(super) shift: i64,
}

/// A sample that comes behind those that there are.
pub(super) struct Added {
    pub offset: u64,
    pub size: u32,
    /// When it is decoded, by the clock of the track.
    pub at: u64,
    pub lasts: u32,
    pub delay: i32,
    pub is_sync: bool,
}

#[derive(Debug, Clone)]
pub(super) enum Sizes {
    Equal(u32),
    Each(Vec<u32>),
}

impl Default for Sizes {
    fn default() -> Self {
        Self::Each(Vec::new())
    }
}

/// When the first of a run is decoded, and how long each lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Time {
    pub at: u64,
    pub lasts: u32,
}

impl Samples {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// One of them. `None`: there are no more.
    #[must_use]
    pub fn sample(&self, number: u32) -> Option<Sample> {
        if number >= self.count {
            return None;
        }
        let (first, place) = self.places.of(number)?;
        let (time_first, Time { at, lasts }) = self.times.of(number)?;
        let at = at.saturating_add(u64::from(number - time_first) * u64::from(lasts));
        let decoded_at = i64::try_from(at).unwrap_or(i64::MAX).saturating_add(self.shift);
        let delay = self.delays.of(number).map_or(0, |(_, delay)| delay);
        Some(Sample {
            offset: place.saturating_add(self.bytes_of(first, number)),
            size: self.size(number),
            decoded_at,
            shown_at: decoded_at.saturating_add(delay.into()),
            lasts,
            is_sync: self.syncs.as_ref().is_none_or(|syncs| syncs.binary_search(&number).is_ok()),
        })
    }

    /// The last one that is decoded at a time or before. `None`: none is.
    #[must_use]
    pub fn decoded_by(&self, at: i64) -> Option<u32> {
        self.halve(self.count, |sample| sample.decoded_at <= at, |number| number).checked_sub(1)
    }

    /// The last one that a decoder can start with and that is shown at a time or before. `None`: none is.
    #[must_use]
    pub fn sync_by(&self, at: i64) -> Option<u32> {
        let Some(syncs) = &self.syncs else {
            return self.halve(self.count, |sample| sample.shown_at <= at, |number| number).checked_sub(1);
        };
        let sync = |place: u32| syncs.get(place as usize).copied().unwrap_or(u32::MAX);
        let behind = self.halve(syncs.len() as u32, |sample| sample.shown_at <= at, sync);
        behind.checked_sub(1).map(sync)
    }

    /// The first one behind another that a decoder can start with.
    #[must_use]
    pub fn next_sync(&self, behind: u32) -> Option<u32> {
        let next = behind.checked_add(1).filter(|next| *next < self.count)?;
        let Some(syncs) = &self.syncs else { return Some(next) };
        syncs.get(syncs.partition_point(|sync| *sync < next)).copied()
    }

    /// How many from one on are of the same length, last as long and lie behind one another: they may be read at once.
    #[must_use]
    pub fn alike(&self, number: u32) -> u32 {
        if number >= self.count {
            return 0;
        }
        if let Sizes::Each(_) = self.sizes {
            return 1;
        }
        let end = [self.places.end_of(number), self.times.end_of(number), self.delays.end_of(number)];
        end.into_iter().flatten().fold(self.count, u32::min) - number
    }

    /// When the last one ends.
    #[must_use]
    pub fn end(&self) -> i64 {
        let last = self.count.checked_sub(1).and_then(|last| self.sample(last));
        last.map_or(0, |last| last.decoded_at.saturating_add(last.lasts.into()))
    }

    /// How many of `count` places, of which those before another do so as well, lead to samples that are so.
    fn halve(&self, count: u32, is_so: impl Fn(&Sample) -> bool, number: impl Fn(u32) -> u32) -> u32 {
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.sample(number(middle)).as_ref().is_some_and(&is_so) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    fn size(&self, number: u32) -> u32 {
        match &self.sizes {
            Sizes::Equal(size) => *size,
            Sizes::Each(sizes) => sizes.get(number as usize).copied().unwrap_or(0),
        }
    }

    /// How many bytes some of one run have.
    fn bytes_of(&self, first: u32, end: u32) -> u64 {
        match &self.sizes {
            Sizes::Equal(size) => u64::from(end - first) * u64::from(*size),
            Sizes::Each(sizes) => {
                let sizes = sizes.get(first as usize..end as usize).unwrap_or_default();
                sizes.iter().map(|size| u64::from(*size)).sum()
            }
        }
    }

    /// That as many more are at a place behind one another, in a file that has `len` bytes. `false`: it ends there.
    pub(super) fn put(&mut self, offset: u64, most: u32, len: u64) -> bool {
        let most = most.min(u32::MAX - self.count);
        let has = match &self.sizes {
            Sizes::Equal(size) => {
                let fit = len.saturating_sub(offset) / u64::from(*size).max(1);
                let has = u32::try_from(fit).unwrap_or(u32::MAX).min(most);
                self.places.push(Run { first: self.count, what: offset });
                has
            }
            Sizes::Each(sizes) => {
                let sizes = sizes.get(self.count as usize..).unwrap_or_default();
                let (mut at, mut has) = (offset, 0);
                for size in sizes.iter().take(most as usize) {
                    let end = at.saturating_add((*size).into());
                    if end > len {
                        break;
                    }
                    if has % TOGETHER == 0 {
                        self.places.push(Run { first: self.count + has, what: at });
                    }
                    (at, has) = (end, has + 1);
                }
                has
            }
        };
        self.count += has;
        has == most
    }

    /// Tells lengths one by one from now on, unless there are more than `most`: then it says `None`, else how many there are.
    pub(super) fn spread(&mut self, most: u32) -> Option<u32> {
        if let Sizes::Equal(size) = self.sizes {
            let count = Some(self.count).filter(|count| *count <= most)?;
            self.sizes = Sizes::Each(vec![size; count as usize]);
        }
        Some(self.count)
    }

    /// When the last one ends, by the clock of the track.
    pub(super) fn end_tick(&self) -> u64 {
        let run = self.times.last().filter(|run| run.first < self.count);
        run.map_or(0, |Run { first, what: Time { at, lasts } }| {
            at.saturating_add(u64::from(self.count - first) * u64::from(lasts))
        })
    }

    /// One more, where lengths are told one by one.
    pub(super) fn add(&mut self, added: Added) {
        let Added { offset, size, at, lasts, delay, is_sync } = added;
        let first = self.count;
        let last = self.places.last().filter(|_| first > 0);
        let is_near = |run: &Run<u64>| run.what.saturating_add(self.bytes_of(run.first, first)) == offset;
        if !last.is_some_and(|run| first - run.first < TOGETHER && is_near(&run)) {
            self.places.push(Run { first, what: offset });
        }
        let is_alike = self.times.last().is_some_and(|run| run.what.lasts == lasts);
        if first == 0 || !is_alike || self.end_tick() != at {
            self.times.push(Run { first, what: Time { at, lasts } });
        }
        if self.delays.last().map_or(0, |run| run.what) != delay {
            self.delays.push(Run { first, what: delay });
        }
        match &mut self.syncs {
            Some(syncs) if is_sync => syncs.push(first),
            None if !is_sync => self.syncs = Some((0..first).collect()),
            _ => {}
        }
        if let Sizes::Each(sizes) = &mut self.sizes {
            sizes.push(size);
        }
        self.count += 1;
    }
}
