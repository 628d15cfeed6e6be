//! A Roll: the films of a source, one after the other. A list is read again at each round.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::mem;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::libc::{O_NOCTTY, O_NONBLOCK};

use super::super::library::{Film, Making, NoFilm, Opening, identity, index_of};
use super::playlist;
use super::source::FileSource;

/// Bytes of a playlist.
const MOST_LIST_BYTES: u64 = 4 << 20;

pub(super) struct Roll {
    source: FileSource,
    /// Where indexes are kept.
    kept_in: PathBuf,
    has_begun: bool,
    /// What is to come of this round.
    left: VecDeque<PathBuf>,
    /// The film of now. It is opened again only if it is another one by then.
    known: Option<(PathBuf, Film)>,
    making: Option<(PathBuf, Box<Making>)>,
}

/// What there is next.
pub(super) enum Next {
    Film(PathBuf, Film),
    /// That is known after another turn.
    Later,
    /// All begins again, or for the first time.
    Round,
    Over,
}

/// What is wrong with a file.
pub(super) struct Fault {
    pub file: PathBuf,
    pub why: NoFilm,
}

impl Roll {
    pub fn new(source: FileSource, kept_in: PathBuf) -> Self {
        Self { source, kept_in, has_begun: false, left: VecDeque::new(), known: None, making: None }
    }

    /// Goes on by a turn, which does not take long.
    pub fn next(&mut self) -> Result<Next, Fault> {
        if let Some((file, making)) = self.making.take() {
            return self.make(&file, making).map_err(|why| Fault { file, why });
        }
        if let Some(file) = self.left.pop_front() {
            return self.open(&file).map_err(|why| Fault { file, why });
        }
        if mem::replace(&mut self.has_begun, true) && !self.source.goes_round {
            return Ok(Next::Over);
        }
        let files = self.files().map_err(|error| Fault { file: self.source.path.clone(), why: error.into() });
        self.left = files?.into();
        Ok(Next::Round)
    }

    fn files(&self) -> io::Result<Vec<PathBuf>> {
        let path = &self.source.path;
        if !self.source.is_list() {
            return Ok(vec![path.clone()]);
        }
        let mut list = Vec::new();
        plain(path)?.take(MOST_LIST_BYTES).read_to_end(&mut list)?;
        let directory = path.parent().unwrap_or(Path::new("/"));
        Ok(playlist::files(&String::from_utf8_lossy(&list), directory))
    }

    fn open(&mut self, path: &Path) -> Result<Next, NoFilm> {
        let file = plain(path)?;
        let identity = identity(&file)?;
        let known = self.known.take().filter(|(own, film)| own == path && film.identity() == identity);
        if let Some((_, film)) = known {
            return Ok(self.found(path, film));
        }
        let name = path.to_string_lossy();
        match Film::open(&name, file, identity, &self.kept_at(path))? {
            Opening::Film(film) => Ok(self.found(path, film)),
            Opening::Making(making) => {
                self.making = Some((path.to_owned(), making));
                Ok(Next::Later)
            }
        }
    }

    fn make(&mut self, path: &Path, mut making: Box<Making>) -> Result<Next, NoFilm> {
        if making.go_on()? {
            self.making = Some((path.to_owned(), making));
            return Ok(Next::Later);
        }
        let film = making.film(&self.kept_at(path))?;
        Ok(self.found(path, Film::of_stream(film)))
    }

    fn found(&mut self, path: &Path, film: Film) -> Next {
        self.known = Some((path.to_owned(), film.clone()));
        Next::Film(path.to_owned(), film)
    }

    fn kept_at(&self, path: &Path) -> PathBuf {
        index_of(&self.kept_in, &path.to_string_lossy())
    }
}

/// A plain file: a named pipe would wait for a writer.
fn plain(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(O_NONBLOCK | O_NOCTTY).open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no plain file"))
    }
}
