//! A task: a name and something to run once. Knows neither queues nor descriptors.

use std::sync::Arc;

/// What a task runs.
pub trait Work: Send + Sync + 'static {
    /// Runs on a worker of the queue, once for each time the task was pushed.
    fn run(self: Arc<Self>);

    /// `run` panicked: closes what this work belongs to, and only that; or goes on with it where others depend on it.
    fn close(self: Arc<Self>);
}

/// One unit of work for a [`TaskQueue`](super::TaskQueue).
#[derive(Clone)]
pub struct Task {
    pub(super) kind: &'static str,
    pub(super) work: Arc<dyn Work>,
}

impl Task {
    /// `kind` is the name that metrics count it under, from a small fixed set.
    pub fn new(kind: &'static str, work: Arc<dyn Work>) -> Self {
        Self { kind, work }
    }
}
