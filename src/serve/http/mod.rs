//! Who speaks HTTP: the tunnels of RTSP that this leads to, and the [`Site`], which serves streams and lists of them.
//!
//! ```text
//!  HttpConnection ─▶ a head ─┬─▶ Tunnels ─▶ RtspConnection, PostHalf
//!                            └─▶ Site ─▶ Asked ─▶ viewing: a session ─▶ OverHttp ─▶ Outgoing
//!                                             └─▶ lists, status ─▶ a reply ─▶ Outgoing
//! ```

mod asked;
mod entries;
mod http_connection;
mod http_listener;
mod lists;
mod outgoing;
mod post_half;
mod presence;
mod site;
mod status;
mod tunnels;
mod viewing;

pub use http_listener::{HttpListener, Serves};
pub use presence::SiteConfig;
pub use site::{NotOpened, OpensGroups, Site};
pub use tunnels::Tunnels;
