//! What all that is shown of files shares, and what is told of each.

use std::path::PathBuf;
use std::sync::Arc;

use crate::event::{TaskQueue, Timers};
use crate::relay::{Opens, Screen};

/// What projectors share.
pub(super) struct Parts {
    /// The queue of what waits for disks.
    pub storage: Arc<TaskQueue>,
    /// Those of media.
    pub timers: Arc<Timers>,
    /// Where indexes are kept.
    pub kept_in: PathBuf,
}

/// Where a source is shown.
pub enum Onto {
    /// A channel that is made of what it is.
    New(Arc<dyn Opens>),
    /// What stands by for a channel of a transport stream.
    Leg(Arc<dyn Screen>),
}

/// A projector in numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectionStats {
    /// The channel.
    pub channel: String,
    /// Films that were begun.
    pub films: u64,
    /// Films that could not be shown, or not to their end.
    pub faults: u64,
    /// Times that what was due was not read in time.
    pub late: u64,
}
