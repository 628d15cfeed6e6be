//! Stored programmes: films in directories, which are found by name as channels are, and read for whoever watches them.

mod beneath;
mod film_reader;
mod libraries;
mod ts_film;

pub(super) use film_reader::FilmReader;
pub(super) use libraries::LOOK;
pub use libraries::{Libraries, Library, MakeChannel};
