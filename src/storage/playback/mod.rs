//! What was kept, for one viewer: a deck reads it and puts it into rings of the viewer's own, from which it goes as all media does.
//!
//! ```text
//!  a recording ─▶ TrackReader ─┐
//!  a film ─▶ FilmReader ───────┴▶ Reel, one a track: Numbering ─▶ a Track apart: ring ─▶ lane ─▶ the viewer
//!                                             Deck (when? by the time it came at, or as fast as it is taken)
//! ```

mod choice;
mod deck;
mod numbering;
mod pace;
mod programme;
mod reads;
mod reel;
mod run;
mod scanning;
mod seats;
mod state;
mod track_reader;
mod turns;

pub use deck::Deck;
pub(super) use deck::PLAY;
pub use numbering::Sent;
pub use pace::Pace;
pub use programme::{Begin, Cued, Programme};
pub(super) use reads::{Readers, Reads};
pub use reel::Kept;
pub(super) use run::{Memory, Run};
pub(super) use seats::Seats;
pub use state::Newest;
pub(super) use track_reader::TrackReader;
