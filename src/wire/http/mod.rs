//! Of HTTP/1 what is said and read here by hand: what a connection speaks, what a request names, what comes up a tunnel, and how
//! replies begin that have no end. Heads are read elsewhere, by `hyper`.
//!
//! ```text
//!  first bytes ─▶ spoken ─▶ RTSP, HTTP, or TLS where none is served
//!  a target ─▶ Place::parse ─▶ a channel, a group, a list; and when
//!  body of a POST ─▶ Upstream ─▶ bytes of RTSP
//! ```
//!
//! The tunnel is Apple's, of QuickTime 4: its GET carries what the server sends, its POST what the client sends, in base64, and what
//! joins them is their `x-sessioncookie`.

mod begins;
mod host;
mod past;
mod place;
mod spoken;
mod upstream;

pub use begins::{MEDIA_HEADERS, media_begins, past_begins, tunnel_begins, turned_away};
pub use host::host_of;
pub use past::{Moment, Past, Until};
pub use place::{Place, Resource, path_of};
pub use spoken::{Spoken, spoken};
pub use upstream::{NotBase64, Upstream};
