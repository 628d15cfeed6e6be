//! A Deck: plays what is kept for one viewer. It reads when something is due, on the queue of storage, so that no thread of media waits
//! for a disk; and no further ahead than its viewer takes.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};

use crate::event::{Task, TaskQueue, Timers, Work, clock, lock};
use crate::relay::{Packet, Track};
use crate::wire::random_access::Starts;
use crate::wire::recording::{Format, Record};
use crate::wire::rtp::{self, FIXED_HEADER_LEN, RtpHeader};

use super::super::shelf::Shelf;
use super::numbering::Numbering;
use super::track_reader::{Take, TrackReader};

/// The kind of task that a turn is.
pub(in super::super) const PLAY: &str = "Play";

/// How often what is due is read.
const TURN: Duration = Duration::from_millis(40);
/// The same where it goes as fast as it is taken, or nothing is there yet.
const FAST_TURN: Duration = Duration::from_millis(5);
/// Packets that are read at a time.
const AT_A_TIME: usize = 64;
/// Packets that wait for a viewer over a connection, at most.
const MOST_BEHIND: u64 = 256;
/// So much is sent ahead of its time, so that the first picture is there soon.
const AHEAD_US: u64 = 200_000;
/// A time in which nothing came is left out if it is longer.
const LONGEST_PAUSE_US: u64 = 2_000_000;
/// What goes before a start is looked for so far back.
const TABLES_WITHIN_US: u64 = 2_000_000;

/// What is played, in microseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// From where on.
    pub from_us: u64,
    /// Up to there; on to what comes now where absent.
    pub until_us: Option<u64>,
}

/// How fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As it came.
    AsItCame,
    /// As fast as it is taken.
    AsItIsTaken,
}

/// Plays for one viewer, until it is dropped.
pub struct Deck {
    shelf: Arc<Shelf>,
    span: Span,
    pace: Pace,
    queue: Arc<TaskQueue>,
    timers: Weak<Timers>,
    lanes: Vec<Arc<Track>>,
    state: Mutex<State>,
    is_queued: AtomicBool,
}

struct State {
    reels: Vec<Reel>,
    /// What came then is due then.
    base: Option<(Instant, u64)>,
    /// What is done once it has been taken to its end.
    when_over: Option<Box<dyn FnOnce() + Send>>,
}

/// One track.
struct Reel {
    track: Arc<Track>,
    reader: TrackReader,
    numbering: Numbering,
    format: Format,
}

impl Deck {
    /// One for a channel's tracks, which are kept on a shelf. Nothing is read yet.
    pub fn new(
        shelf: Arc<Shelf>,
        tracks: Vec<Arc<Track>>,
        (span, pace): (Span, Pace),
        (queue, timers): (Arc<TaskQueue>, Weak<Timers>),
    ) -> Arc<Self> {
        let reels = tracks.iter().map(|track| Reel::of(&shelf, track)).collect();
        let state = State { reels, base: None, when_over: None };
        let is_queued = AtomicBool::new(false);
        Arc::new(Self {
            shelf,
            span,
            pace,
            queue,
            timers,
            lanes: tracks,
            state: Mutex::new(state),
            is_queued,
        })
    }

    /// Plays from now on, and does that once its viewer has taken the last of it.
    pub fn play(self: &Arc<Self>, when_over: impl FnOnce() + Send + 'static) {
        lock(&self.state).when_over = Some(Box::new(when_over));
        self.push();
    }

    fn push(self: &Arc<Self>) {
        if !self.is_queued.swap(true, Relaxed) {
            self.queue.push(Task::new(PLAY, self.clone()));
        }
    }

    fn push_after(self: &Arc<Self>, pause: Duration) {
        let Some(timers) = self.timers.upgrade() else { return };
        let deck = Arc::downgrade(self);
        timers.run_here_at(clock::now() + pause, move || deck.upgrade().iter().for_each(Self::push));
    }

    /// One turn. After how long the next one is; `None`: it is over.
    fn turn(&self, now: Instant) -> io::Result<Option<Duration>> {
        let mut state = lock(&self.state);
        let base = match state.base {
            Some(base) => base,
            None => {
                let Some(base) = self.begin(&mut state, now)? else { return Ok(None) };
                base
            }
        };
        if self.is_full() {
            return Ok(Some(FAST_TURN));
        }
        let base = state.pass_over_pauses(base, now)?;
        state.base = Some(base);
        let due_us = match self.pace {
            Pace::AsItCame => base.1 + now.saturating_duration_since(base.0).as_micros() as u64 + AHEAD_US,
            Pace::AsItIsTaken => u64::MAX,
        };
        let until_us = self.span.until_us.unwrap_or(u64::MAX);
        let (mut has_more, mut is_over) = (false, true);
        for reel in &mut state.reels {
            has_more |= reel.go_on(due_us.min(until_us), now)?;
            let next = reel.reader.peek()?;
            // Up to a moment that is to come, it waits for that.
            let is_past = || clock::unix_now().as_micros() as u64 > until_us.saturating_add(LONGEST_PAUSE_US);
            is_over &= next
                .map_or_else(|| self.span.until_us.is_some() && is_past(), |next| next.arrived_us > until_us);
        }
        if is_over {
            return Ok(if self.is_taken() { None } else { Some(FAST_TURN) });
        }
        Ok(Some(if has_more || self.pace == Pace::AsItIsTaken { FAST_TURN } else { TURN }))
    }

    /// All tracks begin at the picture that is looked for. `None`: there is nothing.
    fn begin(&self, state: &mut State, now: Instant) -> io::Result<Option<(Instant, u64)>> {
        let lead =
            state.reels.iter().position(|reel| reel.track.description.media == "video").unwrap_or_default();
        let Some(reel) = state.reels.get_mut(lead) else { return Ok(None) };
        if !reel.reader.seek_start(self.span.from_us)? {
            return Ok(None);
        }
        let Some(first) = reel.reader.peek()? else { return Ok(None) };
        reel.put_tables(&self.shelf, &first, now)?;
        for (place, reel) in state.reels.iter_mut().enumerate() {
            if place != lead {
                reel.reader.seek(first.arrived_us)?;
            }
        }
        Ok(Some((now, first.arrived_us)))
    }

    /// A viewer over a connection has not taken what it has.
    fn is_full(&self) -> bool {
        self.lanes.iter().any(|track| track.rtp.waiting() >= MOST_BEHIND)
    }

    fn is_taken(&self) -> bool {
        self.lanes.iter().all(|track| track.rtp.waiting() == 0)
    }

    fn over(&self) {
        let when_over = lock(&self.state).when_over.take();
        when_over.into_iter().for_each(|then| then());
    }
}

impl Work for Deck {
    fn run(self: Arc<Self>) {
        self.is_queued.store(false, Relaxed);
        match self.turn(clock::now()) {
            Ok(Some(pause)) => self.push_after(pause),
            Ok(None) => self.over(),
            Err(error) => {
                let directory = self.shelf.directory().display();
                tracing::warn!(%directory, %error, "a recording can not be played on");
                self.over();
            }
        }
    }

    fn close(self: Arc<Self>) {
        self.over();
    }
}

impl State {
    /// What came is due as long after what came before as it was, but that nobody waits through a pause of the source.
    fn pass_over_pauses(&mut self, base: (Instant, u64), now: Instant) -> io::Result<(Instant, u64)> {
        let mut next = None;
        for reel in &mut self.reels {
            let arrived = reel.reader.peek()?.map(|record| record.arrived_us);
            next = [next, arrived].into_iter().flatten().min();
        }
        let due_us = base.1 + now.saturating_duration_since(base.0).as_micros() as u64;
        let Some(next) = next else { return Ok(base) };
        let is_far = next > due_us + LONGEST_PAUSE_US || next + LONGEST_PAUSE_US < due_us;
        Ok(if is_far { (now, next) } else { base })
    }
}

impl Reel {
    fn of(shelf: &Arc<Shelf>, track: &Arc<Track>) -> Self {
        let reader = TrackReader::new(shelf.clone(), u16::try_from(track.number).unwrap_or(u16::MAX));
        let numbering = Numbering::new(track.description.clock_rate.unwrap_or(90_000));
        let format = reader.format().unwrap_or(Format::of(track.description.encoding.as_deref()));
        Self { track: track.clone(), reader, numbering, format }
    }

    /// Puts what is due into the ring. `true`: there is more of it.
    fn go_on(&mut self, due_us: u64, now: Instant) -> io::Result<bool> {
        let Some(take) = self.reader.take(due_us, AT_A_TIME)? else { return Ok(false) };
        let packets: Vec<_> = take
            .records
            .iter()
            .filter(|record| !record.is_report)
            .filter_map(|record| self.packet(record, &take, now))
            .collect();
        self.track.replay(packets, now);
        Ok(take.records.len() == AT_A_TIME)
    }

    fn packet(&mut self, record: &Record, take: &Take, now: Instant) -> Option<Packet> {
        let media = take.media_of(record);
        let header = self.numbering.next(record);
        let data = match self.format {
            Format::TransportStream => with_header(&header, &media),
            Format::RtpDump => {
                let mut packet = BytesMut::from(&header.rewritten(&media)?[..]);
                packet.extend_from_slice(&media[FIXED_HEADER_LEN..]);
                packet.freeze()
            }
        };
        Some(Packet { data, sequence: header.sequence, timestamp: header.timestamp, arrived_at: now })
    }

    /// What a decoder has to be told before the first packet: it is found in what came before.
    fn put_tables(&mut self, shelf: &Arc<Shelf>, first: &Record, now: Instant) -> io::Result<()> {
        let about = &self.track.description;
        let mut starts = Starts::of(&about.media, about.encoding.as_deref(), about.tells_parameter_sets);
        let mut before =
            TrackReader::new(shelf.clone(), u16::try_from(self.track.number).unwrap_or(u16::MAX));
        before.seek(first.arrived_us.saturating_sub(TABLES_WITHIN_US))?;
        let mut prologue = None;
        while let Some(take) = before.take(first.arrived_us, AT_A_TIME)? {
            for record in take.records.iter().filter(|record| !record.is_report) {
                let media = take.media_of(record);
                let payload = match (self.format, rtp::check(&media)) {
                    (Format::RtpDump, Ok(header)) => &media[header.payload_range(&media)],
                    _ => &media[..],
                };
                if let Some(found) = starts.take(record.timestamp, payload).filter(|found| found.back == 0) {
                    prologue = found.prologue.filter(|_| record == first).or(prologue);
                }
            }
        }
        let Some(payload) = prologue else { return Ok(()) };
        let header = Numbering::new(1).next(first);
        let header = RtpHeader { sequence: header.sequence.wrapping_sub(1), marker: false, ..header };
        let data = with_header(&header, &payload);
        let tables = Packet { data, sequence: header.sequence, timestamp: header.timestamp, arrived_at: now };
        self.track.replay(vec![tables], now);
        Ok(())
    }
}

/// A packet without extensions.
fn with_header(header: &RtpHeader, payload: &[u8]) -> Bytes {
    let mut packet = BytesMut::with_capacity(FIXED_HEADER_LEN + payload.len());
    packet.put_u8(0x80);
    packet.put_u8(header.payload_type | u8::from(header.marker) << 7);
    packet.put_u16(header.sequence);
    packet.put_u32(header.timestamp);
    packet.put_u32(header.ssrc);
    packet.extend_from_slice(payload);
    packet.freeze()
}
