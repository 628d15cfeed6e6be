//! A film, of whatever kind: how long it is, what it says of itself, and how it is read.

use std::sync::Arc;

use crate::relay::{Channel, Track};
use crate::wire::recording::Format;
use crate::wire::sdp::{self, Presentation, stored_mpegts};
use crate::wire::stored::Identity;

use super::super::playback::{Readers, Reads};
use super::film_reader::FilmReader;
use super::sample_reader::SampleReader;
use super::track_film::TrackFilm;
use super::ts_film::TsFilm;

/// A file that can be played.
#[derive(Clone)]
pub(in super::super) enum Film {
    Stream(Arc<TsFilm>),
    Tracks(Arc<TrackFilm>),
}

impl Film {
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

    /// Who reads each track of its channel.
    pub fn readers(&self, channel: &Channel) -> Readers {
        match self {
            Self::Stream(film) => vec![(Box::new(FilmReader::new(film.clone())), Format::TransportStream)],
            Self::Tracks(film) => {
                let reader = |(place, track): (usize, &Arc<Track>)| {
                    let tells_sets = track.description.tells_parameter_sets;
                    let reader = SampleReader::new(film.clone(), place, tells_sets);
                    (Box::new(reader) as Box<dyn Reads>, Format::RtpDump)
                };
                channel.tracks.iter().enumerate().map(reader).collect()
            }
        }
    }
}
