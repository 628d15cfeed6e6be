//! A Recorder: keeps one channel. What came since its last turn is written, and a segment ends where decoders can start.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::event::{Episode, Work, lock};
use crate::relay::{Catalogue, Channel, Claim};
use crate::wire::recording::{Format, Record, Stamp};
use crate::wire::sdp;

use super::keep::Keep;
use super::moment::Moment;
use super::recovery;
use super::scribe::{Line, Lines, Scribe};
use super::segment_writer::{MOST_BYTES, SegmentWriter};
use super::shelf::Shelf;
use super::stats::{Counts, RecordingStats};

/// The kind of task that a recorder's turn is.
pub(super) const RECORD: &str = "Record";

/// After an error, it is tried again so long after.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// A segment ends at a place where decoders can start. Where none comes, it ends when it is so many times as long as it was to be.
const AT_MOST_TIMES: u32 = 2;

/// Keeps one channel.
pub(super) struct Recorder {
    pub name: String,
    pub keep: Mutex<Keep>,
    pub shelf: Arc<Shelf>,
    pub counts: Counts,
    /// A turn of it is on the queue.
    is_queued: AtomicBool,
    /// It is the disk that is full.
    is_held: AtomicBool,
    catalogue: Arc<Catalogue>,
    state: Mutex<State>,
    slow: Episode,
    failing: Episode,
}

#[derive(Default)]
struct State {
    /// What is on the shelf since before was found.
    is_recovered: bool,
    /// Segments whose indexes are to be made again.
    damaged: Vec<Stamp>,
    reading: Option<Reading>,
    /// A server is to be asked for it, which is pulled on demand.
    expected: Option<Claim>,
    writer: Option<SegmentWriter>,
    /// Before that it is not tried again.
    not_before: Option<Instant>,
    has_ended: bool,
}

/// A channel that is read.
struct Reading {
    channel: Arc<Channel>,
    scribes: Vec<Scribe>,
    /// What was kept last of each track, maybe by the process before this one: what came until then is not kept again.
    kept: Vec<Option<Record>>,
    _claim: Option<Claim>,
}

impl Recorder {
    pub fn new(name: &str, keep: Keep, shelf: Shelf, catalogue: Arc<Catalogue>) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            keep: Mutex::new(keep),
            shelf: Arc::new(shelf),
            counts: Counts::default(),
            is_queued: AtomicBool::new(false),
            is_held: AtomicBool::new(false),
            catalogue,
            state: Mutex::default(),
            slow: Episode::default(),
            failing: Episode::default(),
        })
    }

    /// It is to have a turn. `false`: it waits for one already.
    pub fn queue(&self) -> bool {
        !self.is_queued.swap(true, Relaxed)
    }

    /// Writes nothing for as long as the disk is nearly full.
    pub fn hold(&self, is_full: bool) {
        self.is_held.store(is_full, Relaxed);
    }

    /// The segment that is being written, which may not go.
    pub fn written(&self) -> Option<Stamp> {
        self.state().writer.as_ref().map(|writer| writer.stamp)
    }

    /// Writes what there is, and no more after that.
    pub fn end(&self, now: Moment) {
        self.turn(now);
        let mut state = self.state();
        self.finish(&mut state);
        (state.reading, state.expected, state.has_ended) = (None, None, true);
    }

    pub fn stats(&self) -> RecordingStats {
        let (segments, kept, span_us) = self.shelf.figures();
        let counts = &self.counts;
        RecordingStats {
            channel: self.name.clone(),
            is_recording: counts.is_recording.load(Relaxed),
            packets: counts.packets.load(Relaxed),
            bytes: counts.bytes.load(Relaxed),
            missed: counts.missed.load(Relaxed),
            errors: counts.errors.load(Relaxed),
            removed: counts.read_removed(),
            segments,
            kept,
            span_us,
        }
    }

    pub fn turn(&self, now: Moment) {
        let mut state = self.state();
        if state.has_ended || state.not_before.is_some_and(|not_before| now.at < not_before) {
            return;
        }
        if let Err(error) = self.go_on(&mut state, now) {
            self.fail(&mut state, &error, now.at);
        }
    }

    fn go_on(&self, state: &mut State, now: Moment) -> io::Result<()> {
        if !state.is_recovered {
            let found = recovery::find(self.shelf.directory(), now)?;
            self.shelf.found(found.segments);
            (state.damaged, state.is_recovered) = (found.damaged, true);
        }
        let channel = self.catalogue.find(&self.name);
        let is_read =
            |reading: &Reading| channel.as_ref().is_some_and(|it| Arc::ptr_eq(it, &reading.channel));
        if !state.reading.as_ref().is_some_and(is_read) {
            self.finish(state);
            state.reading = channel.map(|channel| Reading::of(channel, &self.shelf, now.at));
            let expected = self.catalogue.expected(&self.name).filter(|_| state.reading.is_none());
            state.expected = expected.map(|expected| Claim::on(&expected.demand));
        }
        if self.is_held.load(Relaxed) {
            self.finish(state);
            self.counts.is_recording.store(false, Relaxed);
            state.reading.iter_mut().for_each(|reading| reading.pass_over());
            return Ok(());
        }
        self.write(state, now)?;
        if let Some(stamp) = state.damaged.pop() {
            self.mend(stamp, now)?;
        }
        Ok(())
    }

    fn write(&self, state: &mut State, now: Moment) -> io::Result<()> {
        let Some(reading) = &mut state.reading else {
            self.counts.is_recording.store(false, Relaxed);
            return Ok(());
        };
        let mut read = reading.read(now);
        let missed = read.iter().map(|lines| lines.missed).sum();
        self.miss(missed, now.at);
        if read.iter().all(|lines| lines.lines.is_empty()) {
            return Ok(());
        }
        let length = lock(&self.keep).segment();
        while let Some(cut) = state.writer.as_ref().and_then(|writer| reading.cut(&read, writer, length)) {
            let before: Vec<_> = read.iter_mut().map(|lines| lines.until(cut)).collect();
            self.append(state.writer.as_mut(), &before, now.at)?;
            self.finish_writer(&mut state.writer);
            self.begin(&mut state.writer, reading, &read, now)?;
        }
        if state.writer.is_none() {
            self.begin(&mut state.writer, reading, &read, now)?;
        }
        self.append(state.writer.as_mut(), &read, now.at)
    }

    fn begin(
        &self,
        writer: &mut Option<SegmentWriter>,
        reading: &Reading,
        read: &[Lines],
        now: Moment,
    ) -> io::Result<()> {
        let first = read.iter().filter_map(|lines| lines.lines.first()).map(|line| line.arrived_at).min();
        let started_at = first.unwrap_or(now.at);
        let ago = now.at.saturating_duration_since(started_at);
        let started_us = now.unix.saturating_sub(ago).as_micros() as u64;
        let tracks: Vec<_> =
            reading.scribes.iter().map(|scribe| (scribe.format, scribe.clock_rate())).collect();
        let description = reading.description();
        let begun = SegmentWriter::create(
            self.shelf.directory(),
            &tracks,
            description.as_deref(),
            (started_at, started_us),
        );
        *writer = Some(begun?);
        Ok(())
    }

    fn append(&self, writer: Option<&mut SegmentWriter>, read: &[Lines], now: Instant) -> io::Result<()> {
        let Some(writer) = writer else { return Ok(()) };
        for (track, lines) in read.iter().enumerate() {
            for back in &lines.starts_before {
                writer.mark_start(track, *back)?;
            }
            let bytes = writer.write(track, &lines.lines, now)?;
            self.counts.packets.fetch_add(lines.lines.len() as u64, Relaxed);
            self.counts.bytes.fetch_add(bytes, Relaxed);
        }
        self.counts.is_recording.store(true, Relaxed);
        self.shelf.put(writer.segment());
        Ok(())
    }

    fn finish(&self, state: &mut State) {
        self.finish_writer(&mut state.writer);
    }

    fn finish_writer(&self, writer: &mut Option<SegmentWriter>) {
        if let Some(segment) = writer.take().and_then(SegmentWriter::finish) {
            self.shelf.put(segment);
        }
    }

    fn mend(&self, stamp: Stamp, now: Moment) -> io::Result<()> {
        let mended = recovery::mend(self.shelf.directory(), stamp, now)?;
        let channel = &*self.name;
        match mended {
            Some(segment) => {
                tracing::info!(channel, segment = %stamp, "the index of a recording was damaged, and was made again");
                self.shelf.put_in_order(segment);
            }
            None => {
                tracing::warn!(channel, segment = %stamp, "nothing of a recording can be read any more; it was removed")
            }
        }
        Ok(())
    }

    fn miss(&self, packets: u64, now: Instant) {
        self.counts.missed.fetch_add(packets, Relaxed);
        if packets > 0 && self.slow.begins(now) {
            let channel = &*self.name;
            tracing::warn!(
                channel,
                packets,
                "not recorded: the disk does not take in what comes; viewers have lost nothing"
            );
        }
    }

    fn fail(&self, state: &mut State, error: &io::Error, now: Instant) {
        self.counts.errors.fetch_add(1, Relaxed);
        self.counts.is_recording.store(false, Relaxed);
        if self.failing.begins(now) {
            let (channel, directory) = (&*self.name, self.shelf.directory().display());
            tracing::error!(channel, %directory, %error, "not recorded, and tried again each second; viewers have lost nothing");
        }
        self.finish(state);
        state.reading.iter_mut().flat_map(|reading| &mut reading.scribes).for_each(Scribe::lose);
        state.not_before = Some(now + RETRY_AFTER);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Work for Recorder {
    fn run(self: Arc<Self>) {
        self.is_queued.store(false, Relaxed);
        self.turn(Moment::now());
    }

    /// What it was about is not sure any more: it begins anew.
    fn close(self: Arc<Self>) {
        let mut state = self.state();
        state.writer = None;
        state.reading = None;
    }
}

impl Reading {
    fn of(channel: Arc<Channel>, shelf: &Shelf, now: Instant) -> Self {
        let scribes = channel.tracks.iter().cloned().map(Scribe::new).collect();
        let kept = (1..).take(channel.tracks.len()).map(|track| shelf.last_kept(track)).collect();
        let _claim = channel.claim(now).ok();
        Self { channel, scribes, kept, _claim }
    }

    /// Reads all that came and is not kept.
    fn read(&mut self, now: Moment) -> Vec<Lines> {
        let mut read: Vec<_> = self.scribes.iter_mut().map(Scribe::read).collect();
        for (lines, last) in read.iter_mut().zip(std::mem::take(&mut self.kept)) {
            let Some(last) = last else { continue };
            let is_last = |line: &Line| {
                line.header.is_some_and(|header| (header.ssrc, header.sequence) == (last.ssrc, last.sequence))
            };
            let until = now
                .unix
                .checked_sub(Duration::from_micros(last.arrived_us))
                .and_then(|ago| now.at.checked_sub(ago));
            match (lines.lines.iter().position(is_last), until) {
                (Some(place), _) => drop(lines.lines.drain(..=place)),
                (None, Some(until)) => lines.lines.retain(|line| line.arrived_at > until),
                (None, None) => {}
            }
        }
        read
    }

    /// What the tracks are, for programs that can not see it from the media.
    fn description(&self) -> Option<String> {
        let is_dump = self.scribes.iter().any(|scribe| scribe.format == Format::RtpDump);
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        is_dump.then(|| {
            sdp::announced(&self.channel.presentation(), (1, 1), here, (SocketAddr::new(here, 5004), 1))
        })
    }

    /// What is there is not kept.
    fn pass_over(&mut self) {
        self.scribes.iter_mut().for_each(|scribe| {
            scribe.read();
            scribe.lose();
        });
    }

    /// When the packet came that the next segment begins with, if the one that is written is to end.
    fn cut(&self, read: &[Lines], writer: &SegmentWriter, length: Duration) -> Option<Instant> {
        let lead = self.scribes.iter().position(Scribe::leads).unwrap_or_default();
        let lines = &read.get(lead)?.lines;
        let due = writer.started_at + length;
        let start = lines.iter().find(|line| line.is_start && line.arrived_at >= due);
        if let Some(start) = start {
            return Some(start.arrived_at);
        }
        let is_long = writer.length() >= length * AT_MOST_TIMES || writer.longest() >= MOST_BYTES;
        let first = read.iter().filter_map(|lines| lines.lines.first()).map(|line| line.arrived_at).min();
        first.filter(|_| is_long)
    }
}

impl Lines {
    /// Takes out what came before that.
    fn until(&mut self, cut: Instant) -> Self {
        let place = self.lines.partition_point(|line| line.arrived_at < cut);
        let behind = self.lines.split_off(place);
        let lines = std::mem::replace(&mut self.lines, behind);
        Self { lines, starts_before: std::mem::take(&mut self.starts_before), missed: 0 }
    }
}

#[cfg(all(test, not(model)))]
#[path = "recorder_tests.rs"]
mod tests;
