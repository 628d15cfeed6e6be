//! What the sockets of a port did not take, and what the log has heard of it, for as long as the program runs: sockets
//! come and go, and no count with them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use crate::event::{Episode, lock};

/// The counts of one port.
#[derive(Debug, Default)]
pub(super) struct PortCounts {
    /// Datagrams the kernel dropped because a socket's queue was full (SO_RXQ_OVFL).
    pub overflow: AtomicU64,
    /// Datagrams that belong to no joined group: stray unicast, or a source not asked for.
    pub stray: AtomicU64,
    /// Groups that were left.
    pub left: AtomicU64,
    /// Times that the kernel failed to give what had arrived.
    pub errors: AtomicU64,
    /// Receiving fails.
    pub failing: Episode,
}

/// Those of all ports that were ever received on.
#[derive(Default)]
pub(super) struct AllCounts(Mutex<BTreeMap<u16, Arc<PortCounts>>>);

/// A port as metrics see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortStats {
    /// The UDP port.
    pub port: u16,
    /// Datagrams the kernel dropped because a receive queue was full.
    pub overflow: u64,
    /// Datagrams that belong to no joined group.
    pub stray: u64,
    /// Groups that were left.
    pub left: u64,
    /// Times that receiving failed.
    pub errors: u64,
}

impl AllCounts {
    /// Those of a port, from its first socket on.
    pub fn of(&self, port: u16) -> Arc<PortCounts> {
        lock(&self.0).entry(port).or_default().clone()
    }

    /// All of them, by port.
    pub fn read(&self) -> Vec<PortStats> {
        let counts = lock(&self.0);
        let stats = counts.iter().map(|(port, counts)| PortStats {
            port: *port,
            overflow: counts.overflow.load(Relaxed),
            stray: counts.stray.load(Relaxed),
            left: counts.left.load(Relaxed),
            errors: counts.errors.load(Relaxed),
        });
        stats.collect()
    }
}
