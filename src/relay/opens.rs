//! Channels whose description is found out by whoever brings them.

use std::sync::Arc;

use crate::wire::sdp::Presentation;

use super::catalogue::Channel;
use super::demand::Demand;

/// Who makes channels of what is described.
pub trait Opens: Send + Sync + 'static {
    /// The channel of a name, from now on. None: it is to be none.
    fn open(&self, name: &str, presentation: Presentation, demand: &Arc<Demand>) -> Option<Arc<Channel>>;
}
