//! A Deck: plays what is kept for one viewer. It reads when something is due, on the queue of storage, so that no thread of media waits
//! for a disk; and no further ahead than its viewer takes.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::{Duration, Instant};
use std::{io, iter};

use crate::event::{Task, TaskQueue, Timers, Work, clock, lock};
use crate::relay::{Expected, Named, Track};

use super::numbering::Sent;
use super::pace::Pace;
use super::programme::{Begin, Cued, Programme};
use super::reads::Readers;
use super::reel::{Heard, Kept, Reel};
use super::scanning::{Scanning, Step};
use super::seats::Seat;
use super::state::{LONGEST_PAUSE_US, Newest, State};
use super::turns::{FAST_TURN, Phase, TURN};

/// The kind of task that a turn is.
pub(in super::super) const PLAY: &str = "Play";

/// Packets that wait for a viewer over a connection, at most.
const MOST_BEHIND: u64 = 256;
/// No ring of what comes reaches back so far.
const NEAR_US: u64 = 60_000_000;
/// So much is sent ahead of its time, so that the first picture is there soon.
const AHEAD_US: u64 = 200_000;

/// Plays for one viewer, until it is dropped.
pub struct Deck {
    /// What is played, for the log.
    of: String,
    programme: Programme,
    queue: Arc<TaskQueue>,
    timers: Weak<Timers>,
    lanes: Vec<Arc<Track>>,
    /// Of each track, what is in its ring.
    heard: Vec<Arc<Heard>>,
    /// Held while it reads: by nobody but who may wait for a disk.
    state: Mutex<State>,
    cued: Mutex<Option<Cued>>,
    /// What the viewer was sent of each track before.
    after: Mutex<Vec<Option<Sent>>>,
    /// How fast it plays.
    pace: Mutex<Pace>,
    /// When it began to play.
    began: OnceLock<Instant>,
    is_playing: AtomicBool,
    /// What is done once it has been taken to its end.
    when_over: Mutex<Option<Box<dyn FnOnce() + Send>>>,
    /// Takes its viewer to what comes now, which goes on behind these packets, if that is there.
    join: OnceLock<Join>,
    /// What its viewer was sent last has the numbers that it came with.
    is_as_it_came: AtomicBool,
    is_queued: AtomicBool,
    /// Over once it is known where it begins, or that it does not.
    cue: Arc<Expected>,
    seat: Arc<Seat>,
    phase: Phase,
}

type Join = Box<dyn Fn(&[Newest]) -> bool + Send + Sync>;

impl Deck {
    /// One of what is read, for a track each. Nothing is yet.
    pub(in super::super) fn new(
        (of, readers): (String, Readers),
        seat: Arc<Seat>,
        tracks: Vec<Arc<Track>>,
        programme: Programme,
        (queue, timers): (Arc<TaskQueue>, Weak<Timers>),
    ) -> Arc<Self> {
        let heard: Vec<_> = tracks.iter().map(|_| Arc::<Heard>::default()).collect();
        let after = programme.after.clone();
        let each = after.iter().copied().chain(iter::repeat(None));
        let reels = tracks.iter().zip(each).zip(&heard).zip(readers);
        let reels = reels
            .map(|(((track, after), heard), reader)| Reel::of(reader, track, after, heard.clone()))
            .collect();
        let pace = Mutex::new(programme.pace);
        let state = State { reels, base: None, pace: programme.pace, scanning: None };
        Arc::new(Self {
            of,
            programme,
            queue,
            timers,
            lanes: tracks,
            heard,
            state: Mutex::new(state),
            cued: Mutex::default(),
            after: Mutex::new(after),
            pace,
            began: OnceLock::new(),
            is_playing: AtomicBool::new(false),
            when_over: Mutex::default(),
            join: OnceLock::new(),
            is_as_it_came: AtomicBool::new(false),
            is_queued: AtomicBool::new(false),
            cue: Expected::new(Arc::default()),
            seat,
            phase: Phase::next(),
        })
    }

    /// Has it find where it begins. What is returned is over once that is known.
    pub fn cue(self: &Arc<Self>) -> Arc<Expected> {
        self.push();
        self.cue.clone()
    }

    /// Where it begins. `None`: that is not known yet, or nothing is kept from there on.
    pub fn cued(&self) -> Option<Cued> {
        lock(&self.cued).clone()
    }

    /// The viewer was sent this of each track before, as is known by now; so it goes on behind that. Said before it plays.
    pub fn number_after(&self, after: Vec<Option<Sent>>) {
        if self.cued().is_none() {
            return; // it may be reading, and nobody here waits for that
        }
        let mut state = lock(&self.state);
        let mut cued = lock(&self.cued);
        let firsts = cued.iter_mut().flat_map(|cued| &mut cued.firsts);
        for ((reel, first), sent) in state.reels.iter_mut().zip(firsts).zip(&after) {
            sent.iter().for_each(|sent| *first = reel.number_after(*sent, *first));
        }
        *lock(&self.after) = after;
    }

    /// How fast it plays, or will, as far as what was asked for can be had: known once it is cued.
    pub fn pace(&self) -> Pace {
        *lock(&self.pace)
    }

    /// Plays from now on, and does that once its viewer has taken the last of it.
    pub fn play(self: &Arc<Self>, when_over: impl FnOnce() + Send + 'static) {
        *lock(&self.when_over) = Some(Box::new(when_over));
        self.began.get_or_init(clock::now);
        self.is_playing.store(true, Relaxed);
        self.push();
    }

    /// Whether it is to go on with what comes, or to the end.
    pub fn is_open(&self) -> bool {
        self.programme.until_us.is_none()
    }

    /// Tries that before each turn near to what comes, with the newest packet of each track; once it could be done, it plays no more.
    pub fn join_by(&self, join: impl Fn(&[Newest]) -> bool + Send + Sync + 'static) {
        let _ = self.join.set(Box::new(join)); // the first is told of
    }

    /// Whether what its viewer was sent last has the numbers that it came with.
    pub fn is_as_it_came(&self) -> bool {
        self.is_as_it_came.load(Relaxed)
    }

    /// Its viewer's place among those who watch the past.
    pub fn seat(&self) -> Arc<Seat> {
        self.seat.clone()
    }

    /// Plays no more.
    pub fn rest(&self) {
        self.is_playing.store(false, Relaxed);
        let when_over = lock(&self.when_over).take();
        drop(when_over); // outside the lock
    }

    /// The packet of a number that it has put into a track's ring, or the next one that it will.
    pub fn packet(&self, track: usize, number: u64) -> Option<Kept> {
        let place = self.lanes.iter().position(|lane| lane.number == track)?;
        self.heard[place].packet(number, self.lanes[place].rtp.ring().head())
    }

    /// What the viewer was sent of a track before, as of now.
    pub fn sent_before(&self, track: usize, now: Instant) -> Option<Sent> {
        let place = self.lanes.iter().position(|lane| lane.number == track)?;
        let sent = lock(&self.after).get(place).copied().flatten()?;
        let played = self.began.get().map_or(Duration::ZERO, |began| now.saturating_duration_since(*began));
        Some(Sent { passed: sent.passed + played, ..sent })
    }

    fn push(self: &Arc<Self>) {
        if !self.is_queued.swap(true, Relaxed) {
            self.queue.push(Task::new(PLAY, self.clone()));
        }
    }

    fn push_after(self: &Arc<Self>, pause: Duration) {
        let Some(timers) = self.timers.upgrade() else { return };
        let deck = Arc::downgrade(self);
        let after = self.phase.after(pause, clock::monotonic());
        timers.run_here_at(clock::now() + after, move || deck.upgrade().iter().for_each(Self::push));
    }

    /// One turn. After how long the next one is; `None`: it is over.
    fn turn(&self, state: &mut State, now: Instant) -> io::Result<Option<Duration>> {
        let Some(Cued { from_us, .. }) = self.cued() else { return Ok(None) };
        let base = *state.base.get_or_insert((now, from_us));
        if self.is_full() {
            return Ok(Some(FAST_TURN));
        }
        if let Some(next) = self.scan(state, now)? {
            return Ok(next);
        }
        let base = state.pass_over_pauses(base, now)?;
        state.base = Some(base);
        let (until_us, pace) = (self.programme.until_us, state.pace);
        let due_us = match pace {
            Pace::AsItIsTaken => u64::MAX,
            Pace::Percent(_) | Pace::Scaled(..) => state.due_us(base, now) + AHEAD_US,
        };
        let last_us = until_us.unwrap_or(u64::MAX);
        // Up to a moment that is to come, it waits for that.
        let has_passed = until_us.is_some_and(|until| unix_us() > until + LONGEST_PAUSE_US);
        let (mut has_more, mut is_over, mut has_put) = (false, true, false);
        for reel in &mut state.reels {
            has_put |= reel.go_on(due_us.min(last_us), now)?;
            let (next, has_ended) = (reel.reader.peek()?, has_passed || reel.reader.is_whole());
            has_more |= next.is_some_and(|next| next.arrived_us <= due_us.min(last_us));
            is_over &= next.map_or(has_ended, |next| next.arrived_us > last_us);
        }
        if is_over && self.is_taken() {
            // What has just been put there is on its way, over UDP too.
            return Ok(has_put.then_some(2 * TURN));
        }
        let is_fast = has_more || is_over || pace == Pace::AsItIsTaken;
        Ok(Some(if is_fast { FAST_TURN } else { TURN }))
    }

    /// The same at a scale. `None`: it is at none, or at none any more.
    fn scan(&self, state: &mut State, now: Instant) -> io::Result<Option<Option<Duration>>> {
        let goes_on = !state.is_whole();
        let State { reels, scanning, .. } = state;
        let Some(scanning) = scanning else { return Ok(None) };
        let until_us = self.programme.until_us;
        match scanning.turn(reels, until_us, now)? {
            Step::After(pause) => return Ok(Some(Some(pause))),
            Step::Over if goes_on && !scanning.is_backwards() && until_us.is_none() => {}
            Step::Over => return Ok(Some((!self.is_taken()).then_some(FAST_TURN))),
        }
        // It has come to what comes now, and goes on with that.
        scanning.end(reels, now);
        let newest_us = unix_us();
        state.scanning = None;
        self.play_as_it_came(state);
        state.begin_at_picture(newest_us, now)?;
        state.base = state.first_us()?.map(|first_us| (now, first_us)).or(state.base);
        Ok(None)
    }

    fn play_as_it_came(&self, state: &mut State) {
        state.pace = Pace::AS_IT_CAME;
        *lock(&self.pace) = state.pace;
    }

    /// Finds where it begins at a scale. `None`: it can not.
    fn begin_to_scan(&self, state: &mut State, from_us: u64) -> io::Result<Option<Cued>> {
        let Pace::Scaled(scale, percent) = state.pace else { return Ok(None) };
        state.scanning = Scanning::begin(&mut state.reels, from_us, (scale, percent))?;
        let Some(scanning) = &state.scanning else {
            self.play_as_it_came(state);
            return Ok(None);
        };
        let from_us = scanning.came_us().unwrap_or(from_us);
        let firsts = scanning.firsts(&mut state.reels)?;
        Ok(Some(Cued { from_us, firsts }))
    }

    /// Finds where all tracks begin. `None`: nothing is kept from there on.
    fn begin(&self, state: &mut State, now: Instant) -> io::Result<Option<Cued>> {
        if let Begin::Picture(from_us) = self.programme.from
            && let Some(cued) = self.begin_to_scan(state, from_us)?
        {
            return Ok(Some(cued));
        }
        match &self.programme.from {
            Begin::Picture(from_us) => state.begin_at_picture(*from_us, now)?,
            Begin::Packets(places) => {
                for (reel, (us, packet)) in state.reels.iter_mut().zip(places) {
                    match packet {
                        Some(Named { ssrc, sequence, .. }) => {
                            reel.reader.seek_packet(*us, (*ssrc, *sequence))?
                        }
                        None => reel.reader.seek(*us)?,
                    };
                }
            }
        }
        let mut firsts = Vec::new();
        for reel in &mut state.reels {
            let first = reel.pass_reports()?;
            firsts.push(first.map(|first| reel.first(&first)));
        }
        // What is not written yet is to come.
        let from_us = state.first_us()?.or_else(|| match &self.programme.from {
            Begin::Packets(places) => places.iter().map(|(us, _)| *us).min(),
            Begin::Picture(_) => None,
        });
        Ok(from_us.map(|from_us| Cued { from_us, firsts }))
    }

    /// A viewer over a connection has not taken what it has.
    fn is_full(&self) -> bool {
        self.lanes.iter().any(|track| track.rtp.waiting() >= MOST_BEHIND)
    }

    fn is_taken(&self) -> bool {
        self.lanes.iter().all(|track| track.rtp.waiting() == 0)
    }

    fn over(&self) {
        let when_over = lock(&self.when_over).take();
        when_over.into_iter().for_each(|then| then());
    }
}

impl Deck {
    /// What there is to do now. After how long there is more; `None`: nothing.
    fn go_on(&self, now: Instant) -> io::Result<Option<Duration>> {
        let mut state = lock(&self.state);
        if self.cued().is_none()
            && let Some(cued) = self.begin(&mut state, now)?
        {
            *lock(&self.cued) = Some(cued);
        }
        if !self.is_playing.load(Relaxed) {
            return Ok(None);
        }
        let newest = state.newest().filter(|_| state.scanning.is_none());
        let has_its_numbers = |newest: &Vec<Newest>| newest.iter().all(|newest| newest.alias.is_none());
        self.is_as_it_came.store(newest.as_ref().is_some_and(has_its_numbers), Relaxed);
        // Who is slow goes away from what comes.
        let is_slow = matches!(state.pace, Pace::Percent(percent) if percent < 100);
        let is_near = state.base.is_none_or(|base| state.due_us(base, now) + NEAR_US > unix_us());
        // Under the lock: nothing goes into the rings meanwhile.
        let is_level = is_near
            && !is_slow
            && newest.is_some_and(|newest| self.join.get().is_some_and(|join| join(&newest)));
        if is_level {
            self.rest();
            return Ok(None);
        }
        let next = self.turn(&mut state, now)?;
        drop(state);
        if next.is_none() {
            self.over();
        }
        Ok(next)
    }
}

fn unix_us() -> u64 {
    clock::unix_now().as_micros() as u64
}

impl Work for Deck {
    fn run(self: Arc<Self>) {
        self.is_queued.store(false, Relaxed);
        let next = self.go_on(clock::now());
        self.cue.be_over();
        match next {
            Ok(next) => next.into_iter().for_each(|pause| self.push_after(pause)),
            Err(error) => {
                tracing::warn!(of = self.of, %error, "what is kept can not be played on");
                self.over();
            }
        }
    }

    fn close(self: Arc<Self>) {
        self.cue.be_over();
        self.over();
    }
}
