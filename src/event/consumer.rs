//! The contract between a PollTable and what stands behind a descriptor.

use std::sync::Arc;

use super::{PollKey, Task};

/// One event at one descriptor: what was waited for is there, or it failed, which a call of it will tell.
pub struct Event {
    /// The descriptor's entry. Whoever handles the event resumes it.
    pub key: PollKey,
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
