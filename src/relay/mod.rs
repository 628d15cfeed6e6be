//! One track is a ring, a subscriber is a cursor.
//!
//! ```text
//!  Channel ─▶ Track ─▶ Flow (RTP, RTCP) ─▶ Ring: the newest packets, written by one receiver
//!                        │ tell: there is something
//!                        ▼
//!                      Lane: idle → queued → running → dirty; its run is the FanOut task
//!      Beat ── queues ──▶├─ DatagramGroup: one run of packets to many addresses, by a shared ServerSocket
//!    (says when)         └─ StreamGroup: StreamSinks, each with cursors of its own
//! ```

mod alias;
mod allowance;
mod apart;
mod batch;
mod beat;
mod books;
mod bucket;
mod burst;
mod burst_budget;
mod busy;
mod carriage;
mod catalogue;
mod chunk;
mod cursor;
mod datagram_group;
mod demand;
mod dispatch;
mod entry;
mod expected;
mod flow;
mod fullness;
mod handover;
mod joined_feeds;
mod landmark;
mod lane;
mod lateness;
mod ledger;
mod line;
mod look_up;
mod mailbox;
mod opens;
mod outward;
mod party;
mod places;
mod reach;
mod refused;
mod repair;
mod repair_counts;
mod reports;
#[cfg(any(test, fuzzing))]
#[cfg_attr(fuzzing, allow(dead_code))] // that needs but a part of it
pub(crate) mod rig;
mod ring;
mod round;
mod screen;
mod senders;
mod server_socket;
mod signpost;
mod signs;
mod standing;
mod stream_group;
mod totals;
mod track;
mod track_stats;
mod writer;

pub use alias::{Alias, Named};
pub use batch::{Batch, Framing, Image, StreamSink};
pub use beat::{Coalesce, FAN_OUT, Sleeper, Turn};
pub use books::{Account, Books, Sent};
pub use burst::{Burst, BurstPace, Pin, Spot};
pub use burst_budget::{BurstBudget, Held};
pub use busy::Busy;
pub use carriage::Carriage;
pub use catalogue::{Audience, Catalogue, Channel, Keeping, OfferRepair, Viewer};
pub use cursor::Cursor;
pub use demand::{Claim, Demand};
pub use dispatch::{Dispatch, Rhythm};
pub use entry::{Began, EnterAt, Entry};
pub use expected::{Call, Expected};
pub use flow::{Flow, Subscription};
pub use handover::{Handover, Place};
pub use landmark::{GoesOn, Landmark};
pub use lateness::{Lateness, Leg};
pub use ledger::Ledger;
pub use line::{Line, LineFull, LineLimits, Load};
pub use opens::Opens;
pub use outward::Outward;
pub use places::{RingStart, StartCounts, StartPoint};
pub use reach::Reach;
pub use refused::RefusedTotals;
pub use repair::{Repair, RepairTo};
pub use repair_counts::{RepairRefusal, RepairTotals};
pub use ring::{Packet, Ring, RingLimits};
pub use screen::{NOWHERE, Screen};
pub use server_socket::ServerSocket;
pub use signpost::{Numbers, Signpost};
pub use signs::Signs;
pub use standing::Standing;
pub use totals::SentTotals;
pub use track::Track;
pub use track_stats::TrackStats;
