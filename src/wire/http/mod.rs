//! HTTP/1 as far as a server of streams and of the RTSP tunnel needs it: what a connection speaks, the head of a request, what it
//! names, what comes up a tunnel, and replies.
//!
//! ```text
//!  first bytes ─▶ spoken ─▶ RTSP, HTTP, or TLS where none is served
//!  bytes ─▶ Head::read ─▶ method, target ─▶ Place::parse ─▶ a channel, a group, a list
//!                         └─ cookie
//!  body of a POST ─▶ Upstream ─▶ bytes of RTSP
//!  Answer, Reply ─▶ bytes
//! ```
//!
//! Heads are read by `httparse`, base64 by `base64`. The tunnel is Apple's, of QuickTime 4: its GET carries what the server
//! sends, its POST what the client sends, in base64, and what joins them is their `x-sessioncookie`.

mod answer;
mod head;
mod host;
mod place;
mod reply;
mod spoken;
mod upstream;

pub use answer::{Answer, tunnel_begins};
pub use head::{HEAD_BYTES, Head, Method, NotHttp};
pub use host::host_of;
pub use place::{Place, Resource, path_of};
pub use reply::{Reply, media_begins};
pub use spoken::{Spoken, spoken};
pub use upstream::{NotBase64, Upstream};
