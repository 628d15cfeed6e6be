//! The event core: descriptors and tasks, no protocols.
//!
//! ```text
//!  descriptor ─▶ PollTable (epoll, own thread) ─▶ PollEventConsumer::create_task ─▶ TaskQueue ─▶ worker
//!      ▲              placed there by the Poller                                       ▲            │
//!      └───────────────────────────── resume ──────────────────────────────────────────┼────────────┘
//!                                                                             Timers ──┘
//! ```

mod class;
pub mod clock;
mod consumer;
mod each_second;
mod entry;
mod episode;
mod histogram;
mod lock;
mod poll_table;
mod poller;
mod run_state;
mod stamp;
mod sync;
mod task;
mod task_queue;
#[cfg(all(test, not(model)))]
pub(crate) mod testing;
mod threads;
mod timers;
mod vitals;

pub use class::Class;
pub use consumer::{Event, PollEventConsumer};
pub use each_second::Follows;
pub use entry::Interest;
pub use episode::Episode;
pub use histogram::{BOUNDS_SECONDS, Histogram};
pub use lock::lock;
pub use poll_table::Descriptor;
pub use poller::{PollKey, Poller, TableStats};
pub use run_state::RunState;
pub use stamp::Stamp;
pub use task::{Task, Work};
pub use task_queue::{GivesWay, QueueStats, TaskQueue};
pub use threads::{Priority, spawn};
pub use timers::{Alarm, TimerId, Timers};
pub use vitals::{Part, Standstill, Vitals};
