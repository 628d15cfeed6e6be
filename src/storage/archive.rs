//! The Archive: all that is kept, and who keeps it. A quarter of a second is the longest that a crash of the program costs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::{Duration, Instant};

use crate::event::{Episode, Task, TaskQueue, Timers, Work, clock, lock};
use crate::relay::{Catalogue, Channel, Dispatch, RingLimits, Track};
use crate::wire::recording::Format;

use super::files::{self, Held};
use super::keep::Keep;
use super::library::{Libraries, Library, MakeChannel};
use super::moment::Moment;
use super::playback::{Deck, Programme, Readers, Reads, Seats, TrackReader};
use super::projection::Projectors;
use super::recorder::{RECORD, Recorder};
use super::retention::{ArchiveLimits, RETAIN, Retention};
use super::shelf::Shelf;
use super::stats::{ArchiveStats, RecordingStats};

/// How often what has come is written.
const TURN: Duration = Duration::from_millis(250);
/// How often it is looked at what is to go, in turns.
const RETAIN_EVERY: u64 = 4;

/// What one who watches the past has in memory of a track: a quarter of a second, within these bounds. A viewer over a connection who
/// takes it slowly is not sent more, so age is of no account.
const APART_BYTES: [usize; 2] = [512 << 10, 8 << 20];
const APART_AGE: Duration = Duration::from_secs(3600);

/// All recordings.
pub struct Archive {
    root: PathBuf,
    catalogue: Arc<Catalogue>,
    /// By what those are sent to who watch the past: on the queue that all else here is done on, so that what comes never waits for them.
    dispatch: Dispatch,
    recorders: Mutex<BTreeMap<String, Arc<Recorder>>>,
    retention: Retention,
    /// No other program writes there, while this does.
    held: Mutex<Option<Held>>,
    turns: AtomicU64,
    is_queued: AtomicBool,
    has_stopped: AtomicBool,
    elsewhere: Episode,
    timers: OnceLock<Weak<Timers>>,
    seats: Arc<Seats>,
    libraries: Arc<Libraries>,
}

impl Archive {
    /// One in a directory. Nothing is looked at there before it begins.
    pub fn new(
        root: &Path,
        limits: ArchiveLimits,
        catalogue: Arc<Catalogue>,
        dispatch: Dispatch,
        (libraries, make): (&[Library], MakeChannel),
    ) -> Arc<Self> {
        let libraries = Libraries::new(libraries, files::films_in(root), dispatch.queue.clone(), make);
        Arc::new(Self {
            root: root.to_owned(),
            catalogue,
            dispatch,
            recorders: Mutex::default(),
            retention: Retention::new(root.to_owned(), limits),
            held: Mutex::default(),
            turns: AtomicU64::new(0),
            is_queued: AtomicBool::new(false),
            has_stopped: AtomicBool::new(false),
            elsewhere: Episode::default(),
            timers: OnceLock::new(),
            seats: Seats::new(limits.viewers),
            libraries,
        })
    }

    /// Keeps so much of a channel from now on, or nothing. What was kept before stays where it is.
    pub fn keep(&self, channel: &str, keep: Option<Keep>) {
        let mut recorders = lock(&self.recorders);
        match keep {
            Some(keep) => {
                let recorder = recorders.entry(channel.to_owned()).or_insert_with(|| {
                    let shelf = Shelf::new(files::directory_of(&self.root, channel));
                    Recorder::new(channel, keep, shelf, self.catalogue.clone())
                });
                *lock(&recorder.keep) = keep;
            }
            None => {
                let gone = recorders.remove(channel);
                gone.into_iter()
                    .for_each(|gone| self.dispatch.queue.push(Task::new(RECORD, Arc::new(Ending(gone)))));
            }
        }
    }

    /// Writes from now on, again and again.
    pub fn begin(self: &Arc<Self>, timers: &Arc<Timers>) {
        self.queue_retention();
        let timers = self.timers.get_or_init(|| Arc::downgrade(timers));
        self.turn_later(timers);
    }

    /// What is kept of a channel, if it is recorded.
    pub fn shelf(&self, channel: &str) -> Option<Arc<Shelf>> {
        lock(&self.recorders).get(channel).map(|recorder| recorder.shelf.clone())
    }

    /// Films.
    pub fn libraries(&self) -> &Arc<Libraries> {
        &self.libraries
    }

    /// Who shows films as channels, by these timers of media.
    pub fn projectors(&self, timers: Arc<Timers>) -> Arc<Projectors> {
        Projectors::new(self.dispatch.queue.clone(), timers, files::films_in(&self.root))
    }

    /// For how many days a channel is kept, the last one being begun. `None`: it is not.
    pub fn days(&self, channel: &str) -> Option<u64> {
        let keep = lock(&self.recorders).get(channel).map(|recorder| *lock(&recorder.keep))?;
        Some(keep.length.as_secs().div_ceil(24 * 3600))
    }

    /// Plays what is kept of a channel for one who has these tracks; they are tracks apart, in the same order. `None`: as many watch the past as may, or nothing is kept here any more.
    pub fn deck(
        &self,
        channel: &Channel,
        tracks: &[Arc<Track>],
        programme: Programme,
        now: Instant,
    ) -> Option<(Arc<Deck>, Vec<Arc<Track>>)> {
        let shelf = self.shelf(&channel.name)?;
        let reader = |track: &Arc<Track>| {
            let reader = TrackReader::new(shelf.clone(), u16::try_from(track.number).unwrap_or(u16::MAX));
            let format = reader.format().unwrap_or(Format::of(track.description.encoding.as_deref()));
            (Box::new(reader) as Box<dyn Reads>, format)
        };
        let readers = tracks.iter().map(reader).collect();
        self.play((shelf.directory().display().to_string(), readers), tracks, programme, now)
    }

    /// Plays a film, likewise.
    pub fn film(
        &self,
        channel: &Channel,
        programme: Programme,
        now: Instant,
    ) -> Option<(Arc<Deck>, Vec<Arc<Track>>)> {
        let readers = self.libraries.found(channel)?.film.readers(&channel.presentation().tracks);
        self.play((channel.name.clone(), readers), &channel.tracks, programme, now)
    }

    fn play(
        &self,
        what: (String, Readers),
        tracks: &[Arc<Track>],
        programme: Programme,
        now: Instant,
    ) -> Option<(Arc<Deck>, Vec<Arc<Track>>)> {
        let timers = self.timers.get()?.clone();
        let seat = programme.seat.clone().or_else(|| self.seats.take().map(Arc::new))?;
        let apart = |track: &Arc<Track>| {
            let of_a_moment = track.rtp.ring().bits_per_second() as usize / 32;
            let bytes = of_a_moment.clamp(APART_BYTES[0], APART_BYTES[1]);
            track.apart(RingLimits { age: APART_AGE, bytes }, &self.dispatch, now)
        };
        let tracks: Vec<_> = tracks.iter().map(apart).collect();
        let deck = Deck::new(what, seat, tracks.clone(), programme, (self.dispatch.queue.clone(), timers));
        Some((deck, tracks))
    }

    /// Writes what there is, and nothing any more.
    pub fn stop(&self) {
        self.has_stopped.store(true, Relaxed);
        self.dispatch.queue.stop();
        self.dispatch.stop();
        if self.is_held() {
            self.recorders().iter().for_each(|recorder| recorder.end(Moment::now()));
        }
        drop(lock(&self.held).take());
    }

    /// Whether a channel is recorded.
    pub fn keeps(&self, channel: &str) -> bool {
        lock(&self.recorders).contains_key(channel)
    }

    /// What there is to count of each channel.
    pub fn recordings(&self) -> Vec<RecordingStats> {
        self.recorders().iter().map(|recorder| recorder.stats()).collect()
    }

    /// What there is to count of the disk.
    pub fn stats(&self) -> ArchiveStats {
        let kept = self.recorders().iter().map(|recorder| recorder.shelf.figures().1).sum();
        let ArchiveLimits { max_bytes, min_free, .. } = self.retention.limits;
        let (viewers, most_viewers) = self.seats.fill();
        ArchiveStats {
            kept,
            max_bytes,
            free: self.retention.free.load(Relaxed),
            min_free,
            viewers,
            most_viewers,
        }
    }

    /// The queue that it works on.
    pub fn queue(&self) -> &Arc<TaskQueue> {
        &self.dispatch.queue
    }

    fn turn_later(self: &Arc<Self>, timers: &Weak<Timers>) {
        let Some(running) = timers.upgrade() else { return };
        let (archive, timers) = (Arc::downgrade(self), timers.clone());
        running.run_here_at(clock::now() + TURN, move || {
            if let Some(archive) = archive.upgrade().filter(|archive| !archive.has_stopped.load(Relaxed)) {
                archive.turn();
                archive.turn_later(&timers);
            }
        });
    }

    fn turn(self: &Arc<Self>) {
        if self.is_held() {
            for recorder in self.recorders().into_iter().filter(|recorder| recorder.queue()) {
                self.dispatch.queue.push(Task::new(RECORD, recorder));
            }
        }
        if self.turns.fetch_add(1, Relaxed).is_multiple_of(RETAIN_EVERY) {
            self.queue_retention();
            self.libraries.tidy(clock::now());
        }
    }

    fn queue_retention(self: &Arc<Self>) {
        if !self.is_queued.swap(true, Relaxed) {
            self.dispatch.queue.push(Task::new(RETAIN, self.clone()));
        }
    }

    /// Has the directory for this program, if another one has let go of it: the one that it takes over from, or one that is meant to have
    /// another directory.
    fn hold(&self) -> bool {
        let mut held = lock(&self.held);
        if held.is_some() {
            return true;
        }
        let (directory, now) = (self.root.display(), clock::now());
        match files::hold(&self.root) {
            Ok(Some(is_ours)) => *held = Some(is_ours),
            Ok(None) if self.elsewhere.begins(now) => {
                tracing::warn!(%directory, "another program records there: nothing is recorded until it has ended");
            }
            Err(error) if self.elsewhere.begins(now) => {
                tracing::error!(%directory, %error, "nothing is recorded: the directory can not be had");
            }
            Ok(None) | Err(_) => {}
        }
        held.is_some()
    }

    fn is_held(&self) -> bool {
        lock(&self.held).is_some()
    }

    fn recorders(&self) -> Vec<Arc<Recorder>> {
        lock(&self.recorders).values().cloned().collect()
    }
}

impl Work for Archive {
    fn run(self: Arc<Self>) {
        self.is_queued.store(false, Relaxed);
        if self.hold() {
            self.retention.look(&self.recorders(), clock::now());
        }
    }

    /// The next look is another one.
    fn close(self: Arc<Self>) {}
}

/// A channel is recorded no longer.
struct Ending(Arc<Recorder>);

impl Work for Ending {
    fn run(self: Arc<Self>) {
        self.0.end(Moment::now());
    }

    fn close(self: Arc<Self>) {}
}
