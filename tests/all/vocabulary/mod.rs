//! What the stories are told with.
//!
//! ```text
//!  Source ─▶ multicast on lo ─▶ Mirrorball (the real program) ─▶ Viewer, or a Crowd of them
//!                                     └─ /metrics ─▶ expect_metric
//! ```

mod connection;
mod crowd;
mod metrics;
mod mirrorball;
mod network;
mod patience;
mod quiet;
mod source;
mod viewer;
mod wire;

pub use connection::{Connection, Reply};
pub use crowd::{Crowd, Tally};
pub use mirrorball::{Mirrorball, Setup, binary};
pub use network::{Needs, Plug, in_a_network_of_its_own};
pub use patience::{eventually, is_thorough, passes, say};
pub use quiet::Quiet;
pub use source::{Group, Source, Stamp, bye, sender_report};
pub use viewer::{Over, Viewer, receiver_report};
pub use wire::{Told, Wire};
