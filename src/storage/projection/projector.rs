//! A Projector: shows one source, for as long as it is wanted.
//!
//! What waits for a disk is a task of storage, what shows is a task of media; both hold no more than the stock together.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::event::{Episode, Task, Work, clock, lock};
use crate::relay::{Channel, Demand, Opens, Screen};
use crate::wire::rtcp::ntp;
use crate::wire::sdp::{Presentation, stored_mpegts};

use super::line::Line;
use super::loading::{Loaded, Loading};
use super::parts::{Onto, Parts, ProjectionStats};
use super::roll::{Fault, Roll};
use super::screen::Tracks;
use super::source::FileSource;
use super::stock::Stock;

/// The kind of task that reads.
pub(in super::super) const LOAD: &str = "Load";
/// The kind of task that shows.
pub const SHOW: &str = "Show";

/// The shortest time from one look at what is due to the next, and the longest while nothing is there or wanted.
const SOON: Duration = Duration::from_millis(4);
const LATER: Duration = Duration::from_millis(50);
/// After so long it is tried again, where nothing can be shown.
const REST: Duration = Duration::from_secs(1);
/// How often it is said what time it is (RFC 3550 section 6.2).
const REPORT_EVERY: Duration = Duration::from_secs(5);
/// Of a transport stream (RFC 2250 section 2).
const TS_CLOCK: u32 = 90_000;

pub(super) struct Projector {
    name: String,
    source: FileSource,
    demand: Arc<Demand>,
    parts: Arc<Parts>,
    opens: Option<Arc<dyn Opens>>,
    /// Held while it reads: by nobody but who may wait for a disk.
    loading: Mutex<Option<Loading>>,
    stock: Mutex<Stock>,
    /// Where it is shown, once that is there.
    stage: Mutex<Option<Arc<Stage>>>,
    /// It is shown from its beginning next.
    is_to_begin: AtomicBool,
    is_loading: AtomicBool,
    is_over: AtomicBool,
    has_stopped: AtomicBool,
    rests_until: Mutex<Option<Instant>>,
    reported_at: Mutex<Option<Instant>>,
    films: AtomicU64,
    faults: AtomicU64,
    told: Episode,
}

struct Stage {
    screen: Arc<dyn Screen>,
    lines: Vec<Arc<Line>>,
    /// The channel that is this one's alone.
    channel: Option<Arc<Channel>>,
}

impl Projector {
    pub fn new(
        name: &str,
        source: FileSource,
        demand: Arc<Demand>,
        onto: Onto,
        parts: Arc<Parts>,
    ) -> Arc<Self> {
        let (opens, stage) = match onto {
            Onto::New(opens) => (Some(opens), None),
            Onto::Leg(screen) => {
                let lines = vec![Arc::new(Line::new(TS_CLOCK))];
                (None, Some(Arc::new(Stage { screen, lines, channel: None })))
            }
        };
        Arc::new(Self {
            name: name.to_owned(),
            source,
            demand,
            parts,
            opens,
            loading: Mutex::default(),
            stock: Mutex::default(),
            stage: Mutex::new(stage),
            is_to_begin: AtomicBool::new(true),
            is_loading: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            has_stopped: AtomicBool::new(false),
            rests_until: Mutex::default(),
            reported_at: Mutex::default(),
            films: AtomicU64::new(0),
            faults: AtomicU64::new(0),
            told: Episode::default(),
        })
    }

    /// Shows it from now on, whenever it is wanted.
    pub fn begin(self: &Arc<Self>) {
        self.show_at(clock::now());
    }

    /// Shows it no more.
    pub fn stop(&self) {
        self.has_stopped.store(true, Relaxed);
    }

    pub fn stats(&self) -> ProjectionStats {
        ProjectionStats {
            channel: self.name.clone(),
            films: self.films.load(Relaxed),
            faults: self.faults.load(Relaxed),
            late: lock(&self.stock).late,
        }
    }

    fn show_at(self: &Arc<Self>, at: Instant) {
        if !self.has_stopped.load(Relaxed) {
            self.parts.timers.at(at, Task::new(SHOW, Arc::new(Show(self.clone()))));
        }
    }

    /// Has more loaded, if there is room.
    fn load(self: &Arc<Self>, now: Instant) {
        let rests = lock(&self.rests_until).is_some_and(|until| now < until);
        let has_enough = rests || self.is_over.load(Relaxed) || !lock(&self.stock).has_room();
        if !has_enough && !self.is_loading.swap(true, Relaxed) {
            self.parts.storage.push(Task::new(LOAD, Arc::new(Load(self.clone()))));
        }
    }

    /// Shows what is due; returns when there is more.
    fn show(self: &Arc<Self>, now: Instant) -> Instant {
        if !self.demand.is_there(now) {
            self.rewind();
            return now + LATER;
        }
        self.load(now);
        let Some(stage) = self.stage() else { return now + LATER };
        stage.be_joined(true);
        let (due, next, time_us) = {
            let mut stock = lock(&self.stock);
            (stock.take(now), stock.next(), stock.time_us(now))
        };
        let mut shown = Vec::new();
        for frame in &due {
            let Some(line) = stage.lines.get(frame.track) else { continue };
            line.show(frame, |header, bytes| {
                stage.screen.show(frame.track, (header, bytes), &frame.payload, now);
            });
            if !shown.contains(&frame.track) {
                shown.push(frame.track);
            }
        }
        if let Some(time_us) = time_us.filter(|_| !due.is_empty()) {
            self.report(&stage, time_us, now);
        }
        shown.iter().for_each(|track| stage.screen.pass_on(*track, now));
        next.unwrap_or(now + LATER).clamp(now + SOON, now + LATER)
    }

    fn report(&self, stage: &Stage, time_us: u64, now: Instant) {
        let mut reported_at = lock(&self.reported_at);
        if reported_at.is_some_and(|at| now < at + REPORT_EVERY) {
            return;
        }
        *reported_at = Some(now);
        let ntp = ntp(clock::unix_now());
        for (track, line) in stage.lines.iter().enumerate() {
            if let Some((time, counts)) = line.time(time_us, ntp) {
                stage.screen.report(track, &time, counts, now);
            }
        }
    }

    /// Nobody wants it: whoever comes next has it from its beginning.
    fn rewind(&self) {
        if !self.is_to_begin.swap(true, Relaxed) {
            lock(&self.stock).clear();
            self.is_over.store(false, Relaxed);
            self.stage().iter().for_each(|stage| stage.be_joined(false));
        }
    }

    /// One turn of loading. `true`: there is room for more.
    fn go_on(&self) -> bool {
        let mut loading = lock(&self.loading);
        if self.is_to_begin.swap(false, Relaxed) {
            let roll = Roll::new(self.source.clone(), self.parts.kept_in.clone());
            let described = self.stage().map(|stage| stage.presentation());
            *loading = Some(Loading::new(roll, described, self.opens.is_some()));
        }
        let Some(own) = loading.as_mut() else { return false };
        let before = own.films;
        let loaded = own.turn();
        self.films.fetch_add(own.films - before, Relaxed);
        match loaded {
            Ok(Loaded::Frames(frames)) => {
                let mut stock = lock(&self.stock);
                if !self.is_to_begin.load(Relaxed) {
                    stock.put(frames);
                }
                stock.has_room()
            }
            Ok(Loaded::Nothing) => true,
            Ok(Loaded::Described(presentation)) => self.open(*presentation),
            Ok(Loaded::NothingAtAll) => {
                self.rest();
                false
            }
            Ok(Loaded::Over) => {
                self.is_over.store(true, Relaxed);
                tracing::info!(channel = self.name, "what its files hold was shown to the end");
                false
            }
            Err(fault) => {
                self.tell(&fault);
                true
            }
        }
    }

    /// Makes the channel of it. `false`: there is none, and it is tried again from the beginning.
    fn open(&self, presentation: Presentation) -> bool {
        let Some(opens) = &self.opens else { return true };
        let Some(channel) = opens.open(&self.name, presentation, &self.demand) else {
            self.is_to_begin.store(true, Relaxed);
            self.rest();
            return false;
        };
        let line = |rate: Option<u32>| Arc::new(Line::new(rate.unwrap_or(TS_CLOCK)));
        let lines: Vec<_> = channel.tracks.iter().map(|track| line(track.description.clock_rate)).collect();
        for (track, line) in channel.tracks.iter().zip(&lines) {
            let numbers: Arc<Line> = line.clone();
            track.numbered_by(Arc::downgrade(&numbers) as _);
        }
        let screen = Arc::new(Tracks(channel.clone()));
        *lock(&self.stage) = Some(Arc::new(Stage { screen, lines, channel: Some(channel) }));
        tracing::info!(channel = self.name, source = %self.source.path.display(), "films are shown");
        true
    }

    fn stage(&self) -> Option<Arc<Stage>> {
        lock(&self.stage).clone()
    }

    fn rest(&self) {
        *lock(&self.rests_until) = Some(clock::now() + REST);
    }

    fn tell(&self, Fault { file, why }: &Fault) {
        self.faults.fetch_add(1, Relaxed);
        if self.told.begins(clock::now()) {
            tracing::warn!(channel = self.name, file = %file.display(), "a film is not shown, or not to its end: {why}");
        }
    }
}

impl Stage {
    /// What films have to be.
    fn presentation(&self) -> Presentation {
        let own = self.channel.as_ref().map(|channel| Presentation::clone(&channel.presentation()));
        own.unwrap_or_else(|| stored_mpegts(""))
    }

    fn be_joined(&self, is_joined: bool) {
        let tracks = self.channel.iter().flat_map(|channel| &channel.tracks);
        for track in tracks.filter(|track| track.is_joined() != is_joined) {
            track.set_joined(0, is_joined);
            if !is_joined {
                track.pause();
            }
        }
    }
}

struct Show(Arc<Projector>);

impl Work for Show {
    fn run(self: Arc<Self>) {
        let next = self.0.show(clock::now());
        self.0.show_at(next);
    }

    fn close(self: Arc<Self>) {
        self.0.show_at(clock::now() + LATER);
    }
}

struct Load(Arc<Projector>);

impl Work for Load {
    fn run(self: Arc<Self>) {
        let projector = &self.0;
        if projector.go_on() && !projector.has_stopped.load(Relaxed) {
            projector.parts.storage.push(Task::new(LOAD, self.clone()));
        } else {
            projector.is_loading.store(false, Relaxed);
        }
    }

    fn close(self: Arc<Self>) {
        self.0.is_loading.store(false, Relaxed);
        self.0.rest();
    }
}
