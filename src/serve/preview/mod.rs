//! Previews: a channel for one who looks at the status page, as browsers play it. Knows no HTTP.
//!
//! ```text
//!  rings ─▶ Reader, one a track ─▶ by when they came ─▶ Film (wire/fmp4) ─▶ Preview ─▶ whoever asks for the next piece
//! ```
//!
//! It runs where it is asked, by tokio's clock, and only while somebody asks: no lane, no worker and no viewer has to do with it.
//! Who does not ask in time goes on at the newest picture that a decoder can start with.

mod no_preview;
mod previews;
mod reader;
mod seats;
#[cfg(all(test, not(model)))]
mod tests;
mod viewing;

pub use no_preview::NoPreview;
pub use previews::Previews;
pub use viewing::Preview;
