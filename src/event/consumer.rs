//! The contract between a PollTable and what stands behind a descriptor.

use std::sync::Arc;

use super::{PollKey, Task};

/// What a descriptor is ready for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Readiness {
    /// There is something to read: data, a new connection, an end of stream or an error.
    pub readable: bool,
    /// There is room to write, or the write side failed and a write will say how.
    pub writable: bool,
}

/// One event at one descriptor.
pub struct Event {
    /// The descriptor's entry. Whoever handles the event resumes it.
    pub key: PollKey,
    /// What it is ready for.
    pub readiness: Readiness,
}

/// Stands behind one or several polled descriptors: a Listener, a Connection or a Receiver.
pub trait PollEventConsumer: Send + Sync + 'static {
    /// Called on the PollTable's thread, so it must be brief and must not block.
    ///
    /// The descriptor stays suspended until the task, or the consumer, resumes `event.key`. `None`: minor work, dealt
    /// with right here.
    fn create_task(self: Arc<Self>, event: Event) -> Option<Task>;

    /// `create_task` panicked, and the descriptor is still suspended: closes what this consumer stands for and unregisters
    /// it, or has it polled again where others depend on it.
    fn close(self: Arc<Self>);
}
