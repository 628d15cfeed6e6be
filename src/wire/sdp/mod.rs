//! Session descriptions (RFC 8866): a source's is read to learn which groups to join, and rewritten so that an
//! RTSP client plays from us instead.
//!
//! ```text
//!  file ─▶ parse ─┐
//!                 ├─▶ Presentation ─▶ tracks: groups, ports, clock rates (for ingest)
//!  mpegts, stored ┘        └────────▶ unicast: text for DESCRIBE, and of sessions that we announce
//!
//!  a server's answer to DESCRIBE ─▶ offered: what a client can set up
//! ```

mod filter;
mod identity;
mod invalid;
mod legs;
mod lines;
mod mend;
mod offered;
mod parameters;
mod parse;
mod presentation;
mod rtx_session;
mod spread;
mod stored;
mod track;
mod unicast;

pub use identity::{SessionIdentity, identity};
pub use invalid::InvalidSdp;
pub use legs::MAX_FEEDS;
pub use offered::{Offered, offered};
pub use parse::{MAX_SDP_LEN, MAX_TRACKS, parse, parse_announced};
pub use presentation::{Feed, Framing, Presentation, TrackDescription, framed_mpegts, mpegts, stored_mpegts};
pub use stored::{StoredMedium, stored};
pub use track::is_source_specific;
pub use unicast::{Repairs, announced, multicast, ports_of, recorded, repairable, unicast};

#[cfg(test)]
mod samples;
