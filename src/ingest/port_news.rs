//! What the log hears of a port, and what failed there: it outlives the port's sockets, which are opened anew.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use crate::event::{Episode, lock};

/// The news of one port.
#[derive(Debug, Default)]
pub(super) struct PortNews {
    /// Its buffers are smaller than was asked for.
    pub capped: Episode,
    /// Receiving fails.
    pub failing: Episode,
    /// Times that the kernel failed to give what had arrived.
    pub errors: AtomicU64,
}

/// That of all ports that were ever received on.
#[derive(Default)]
pub(super) struct AllNews(Mutex<BTreeMap<u16, Arc<PortNews>>>);

impl AllNews {
    pub fn of(&self, port: u16) -> Arc<PortNews> {
        lock(&self.0).entry(port).or_default().clone()
    }

    /// Errors of all ports.
    pub fn errors(&self) -> u64 {
        lock(&self.0).values().map(|news| news.errors.load(Relaxed)).sum()
    }
}
