//! A film, of whatever kind: how long it is, what it says of itself, and how it is read.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::wire::fnv1a;
use crate::wire::recording::Format;
use crate::wire::sdp::{self, Presentation, TrackDescription, stored_mpegts};
use crate::wire::stored::Identity;

use super::super::playback::{Readers, Reads};
use super::film_reader::FilmReader;
use super::no_film::NoFilm;
use super::sample_reader::SampleReader;
use super::track_film::TrackFilm;
use super::ts_film::{Making, TsFilm};

/// Bytes that tell what a file is.
const HEAD_LEN: usize = 12;

/// A file that can be played.
#[derive(Clone)]
pub(in super::super) enum Film {
    Stream(Arc<TsFilm>),
    Tracks(Arc<TrackFilm>),
}

/// A file that was opened.
pub(in super::super) enum Opening {
    Film(Film),
    /// Its index is to be made.
    Making(Box<Making>),
}

/// Where the index of a film is kept: a name of one length, whatever the film is called.
pub(in super::super) fn index_of(kept_in: &Path, name: &str) -> PathBuf {
    kept_in.join(format!("{:016x}.index", fnv1a::hash(name.bytes())))
}

impl Film {
    /// What a file holds. The name is for the log, and the index is kept there if it has one.
    pub fn open(name: &str, file: File, identity: Identity, kept_at: &Path) -> Result<Opening, NoFilm> {
        let mut head = [0; HEAD_LEN];
        let is_whole = identity.bytes >= HEAD_LEN as u64;
        file.read_exact_at(if is_whole { &mut head } else { &mut [] }, 0)?;
        if TrackFilm::is_one(&head) {
            let film = TrackFilm::read(name, &head, file, identity)?;
            return Ok(Opening::Film(Self::Tracks(Arc::new(film))));
        }
        Ok(match TsFilm::kept(file, identity, kept_at) {
            Ok(film) => Opening::Film(Self::Stream(Arc::new(film))),
            Err(making) => Opening::Making(making),
        })
    }

    /// That of a transport stream whose index was made.
    pub fn of_stream(film: TsFilm) -> Self {
        Self::Stream(Arc::new(film))
    }

    pub fn identity(&self) -> Identity {
        match self {
            Self::Stream(film) => film.identity,
            Self::Tracks(film) => film.identity,
        }
    }

    /// How long it takes, in microseconds.
    pub fn duration_us(&self) -> u64 {
        match self {
            Self::Stream(film) => film.index.duration_us(),
            Self::Tracks(film) => film.duration_us,
        }
    }

    /// The timestamp of each track at its beginning.
    pub fn first_timestamps(&self) -> Vec<u32> {
        match self {
            Self::Stream(film) => vec![film.first.timestamp],
            Self::Tracks(film) => film.media.iter().map(|medium| medium.first.timestamp).collect(),
        }
    }

    /// How fast it is, over all of it.
    pub fn bytes_per_second(&self) -> u64 {
        self.identity().bytes_per_second(self.duration_us())
    }

    pub fn presentation(&self, name: &str) -> Presentation {
        match self {
            Self::Stream(_) => stored_mpegts(name),
            Self::Tracks(film) => {
                let media: Vec<_> = film.media.iter().map(|medium| medium.described.clone()).collect();
                sdp::stored(name, &media)
            }
        }
    }

    /// Who reads each of its tracks, which are described so.
    pub fn readers(&self, tracks: &[TrackDescription]) -> Readers {
        match self {
            Self::Stream(film) => vec![(Box::new(FilmReader::new(film.clone())), Format::TransportStream)],
            Self::Tracks(film) => {
                let reader = |(place, track): (usize, &TrackDescription)| {
                    let reader = SampleReader::new(film.clone(), place, track.tells_parameter_sets);
                    (Box::new(reader) as Box<dyn Reads>, Format::RtpDump)
                };
                tracks.iter().enumerate().map(reader).collect()
            }
        }
    }
}
