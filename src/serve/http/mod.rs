//! Who speaks HTTP: the tunnels of RTSP that this leads to, and the [`Site`], which serves streams and lists of them.
//!
//! ```text
//!  HttpConnection ─▶ hyper ─▶ a request ─┬─▶ Tunnels ─▶ led on: RtspConnection, PostHalf
//!        ▲             ▲                   └─▶ Site ─▶ Asked ─▶ viewing: a session ─▶ led on: OverHttp ─▶ Outgoing
//!        └─ the next   └─────────────────── a reply ◀── lists, status, refusals
//! ```

mod asked;
mod entries;
mod http_connection;
mod http_listener;
mod hyper_side;
mod lists;
mod outgoing;
mod past;
mod post_half;
mod presence;
mod refusal;
mod request;
mod site;
mod status;
mod tunnels;
mod viewing;

pub use http_listener::{HttpListener, Serves};
pub use hyper_side::HEAD_BYTES;
pub use outgoing::Outgoing;
pub use presence::SiteConfig;
pub use site::{NotOpened, OpensGroups, Site};
pub use tunnels::Tunnels;
