//! Libraries: directories of films, which are found by name as channels are. What is in a file is looked at once somebody asks for it, on
//! the queue of storage; nobody waits for a disk but who asked.
//!
//! ```text
//!  name ─▶ Looking (an Expected) ─▶ opened beneath its directory ─▶ its index, kept or made ─▶ Found: a channel that nothing comes to
//! ```

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::event::{Task, TaskQueue, Work, clock, lock};
use crate::relay::{Channel, Expected};
use crate::wire::sdp::Presentation;

use super::beneath;
use super::film::{Film, Opening, index_of};
use super::no_film::NoFilm;
use super::ts_film::{Making, identity};

/// The kind of task that looks at a file.
pub(in super::super) const LOOK: &str = "Look";

/// Names that are known at a time, each with a file that may be open.
pub const MOST_FILMS: usize = 1024;
/// A file that was looked at is what it was for so long, and one that nobody watches is kept open.
const FRESH: Duration = Duration::from_secs(5);

/// A directory of films.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Library {
    /// What paths begin with.
    pub name: String,
    /// Where the files are.
    pub directory: PathBuf,
}

/// Makes the channel of a film.
pub type MakeChannel = Box<dyn Fn(&str, Presentation) -> Arc<Channel> + Send + Sync>;

/// All of them.
pub struct Libraries {
    all: BTreeMap<String, PathBuf>,
    /// Where indexes are kept.
    kept_in: PathBuf,
    queue: Arc<TaskQueue>,
    make: MakeChannel,
    known: Mutex<HashMap<String, Known>>,
}

/// A film that was found.
#[derive(Clone)]
pub(in super::super) struct Found {
    pub film: Film,
    pub channel: Arc<Channel>,
}

/// What is known of a name.
struct Known {
    looked_at: Instant,
    found: Option<Found>,
    /// It is looked at now, or again.
    looking: Option<Arc<Expected>>,
    /// Why there is nothing, where there is a file.
    why_not: Option<String>,
}

impl Libraries {
    /// Those of these directories. Nothing is looked at yet.
    pub fn new(all: &[Library], kept_in: PathBuf, queue: Arc<TaskQueue>, make: MakeChannel) -> Arc<Self> {
        let all = all.iter().map(|library| (library.name.clone(), library.directory.clone())).collect();
        Arc::new(Self { all, kept_in, queue, make, known: Mutex::default() })
    }

    /// The film of a name that is to be looked at first.
    pub fn expected(self: &Arc<Self>, name: &str, now: Instant) -> Option<Arc<Expected>> {
        self.place(name)?;
        let mut known = self.known();
        if let Some(one) = known.get_mut(name) {
            if one.looking.is_none() && !one.is_fresh(now) {
                one.looking = Some(self.look(name, one.found.clone()));
            }
            return one.looking.clone();
        }
        if known.len() >= MOST_FILMS {
            known.retain(|_, one| {
                one.looking.is_some() || one.is_watched() || one.is_fresh(now) && one.found.is_some()
            });
        }
        if known.len() >= MOST_FILMS {
            return None;
        }
        let looking = Some(self.look(name, None));
        known.insert(
            name.to_owned(),
            Known { looked_at: now, found: None, looking: looking.clone(), why_not: None },
        );
        looking
    }

    /// The film of a name, if it was found.
    pub fn channel(&self, name: &str) -> Option<Arc<Channel>> {
        self.known().get(name)?.found.as_ref().map(|found| found.channel.clone())
    }

    /// Whether a file of that name is there which can not be played.
    pub fn is_no_film(&self, name: &str) -> bool {
        self.known().get(name).is_some_and(|one| one.why_not.is_some())
    }

    /// How long a film takes, in microseconds, if that channel is one.
    pub fn duration_us(&self, channel: &Channel) -> Option<u64> {
        self.found(channel).map(|found| found.film.duration_us())
    }

    /// The film of a channel.
    pub(in super::super) fn found(&self, channel: &Channel) -> Option<Found> {
        let known = self.known();
        known.get(&channel.name)?.found.clone().filter(|found| std::ptr::eq(&*found.channel, channel))
    }

    /// Closes files that nobody watches any more.
    pub(in super::super) fn tidy(&self, now: Instant) {
        self.known().retain(|_, one| one.looking.is_some() || one.is_watched() || one.is_fresh(now));
    }

    fn place<'n>(&self, name: &'n str) -> Option<(&'n str, &'n str)> {
        name.split_once('/').filter(|(library, path)| self.all.contains_key(*library) && !path.is_empty())
    }

    fn look(self: &Arc<Self>, name: &str, before: Option<Found>) -> Arc<Expected> {
        let look = Look { libraries: self.clone(), name: name.to_owned(), before, making: Mutex::default() };
        self.queue.push(Task::new(LOOK, Arc::new(look)));
        Expected::new(Arc::default())
    }

    /// What came of a look.
    fn looked(&self, name: &str, looked: Result<Option<Found>, NoFilm>) {
        let mut known = self.known();
        let Some(one) = known.get_mut(name) else { return };
        one.looked_at = clock::now();
        let before = one.why_not.take();
        match looked {
            Ok(found) => one.found = found,
            Err(error) => {
                let why = error.to_string();
                if before.as_ref() != Some(&why) {
                    tracing::warn!(file = name, "a film is not played: {why}");
                }
                (one.found, one.why_not) = (None, Some(why));
            }
        }
        let over = one.looking.take();
        drop(known);
        over.iter().for_each(|over| over.be_over());
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        lock(&self.known)
    }
}

impl Known {
    fn is_fresh(&self, now: Instant) -> bool {
        now < self.looked_at + FRESH
    }

    fn is_watched(&self) -> bool {
        self.found.as_ref().is_some_and(|found| Arc::strong_count(&found.channel) > 1)
    }
}

/// A look at a file.
struct Look {
    libraries: Arc<Libraries>,
    name: String,
    /// What was found there before.
    before: Option<Found>,
    /// The index that is made, between two turns.
    making: Mutex<Option<Box<Making>>>,
}

impl Look {
    /// One turn. `None`: there is more to do.
    fn turn(&self) -> Option<Result<Option<Found>, NoFilm>> {
        let begun = lock(&self.making).take();
        let film = match begun.map_or_else(|| self.open(), |making| Ok(Opened::Now(Opening::Making(making))))
        {
            Ok(Opened::Same(found)) => return Some(Ok(Some(found))),
            Ok(Opened::Nothing) => return Some(Ok(None)),
            Ok(Opened::Now(Opening::Film(film))) => Ok(film),
            Ok(Opened::Now(Opening::Making(mut making))) => match making.go_on() {
                Ok(true) => {
                    *lock(&self.making) = Some(making);
                    return None;
                }
                Ok(false) => making.film(&self.kept_at()).map(Film::of_stream),
                Err(error) => Err(error.into()),
            },
            Err(error) => Err(error),
        };
        Some(film.map(|film| {
            let channel = (self.libraries.make)(&self.name, film.presentation(&self.name));
            // How much of it is of which track is not known.
            let rate = film.bytes_per_second().saturating_mul(8);
            channel.tracks.first().iter().for_each(|track| track.rtp.ring().expect_rate(rate));
            Some(Found { film, channel })
        }))
    }

    fn open(&self) -> Result<Opened, NoFilm> {
        let Some((library, path)) = self.libraries.place(&self.name) else { return Ok(Opened::Nothing) };
        let Some(directory) = self.libraries.all.get(library) else { return Ok(Opened::Nothing) };
        let file = match beneath::open(&File::open(directory)?, path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Opened::Nothing),
            file => file?,
        };
        let identity = identity(&file)?;
        if let Some(before) = self.before.as_ref().filter(|before| before.film.identity() == identity) {
            return Ok(Opened::Same(before.clone()));
        }
        Film::open(&self.name, file, identity, &self.kept_at()).map(Opened::Now)
    }

    fn kept_at(&self) -> PathBuf {
        index_of(&self.libraries.kept_in, &self.name)
    }
}

/// What is there.
enum Opened {
    Nothing,
    /// What was there before.
    Same(Found),
    Now(Opening),
}

impl Work for Look {
    fn run(self: Arc<Self>) {
        match self.turn() {
            Some(looked) => self.libraries.looked(&self.name, looked),
            None => self.libraries.queue.clone().push(Task::new(LOOK, self)),
        }
    }

    fn close(self: Arc<Self>) {
        self.libraries.looked(&self.name, Ok(None));
    }
}
