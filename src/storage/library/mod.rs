//! Stored programmes: films in directories, which are found by name as channels are, and read for whoever watches them.

mod beneath;
mod film;
mod film_reader;
mod first;
mod libraries;
mod no_film;
mod sample_reader;
mod track_film;
mod ts_film;

pub(super) use film::{Film, Opening, index_of};
pub(super) use libraries::LOOK;
pub use libraries::{Libraries, Library, MOST_FILMS, MakeChannel};
pub(super) use no_film::NoFilm;
pub(super) use ts_film::{Making, identity};
