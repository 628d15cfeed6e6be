//! Where recordings are, and how much they may take.

use std::path::PathBuf;

use crate::storage::ArchiveLimits;

/// `[storage]`, where something is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageConfig {
    /// Where recordings are.
    pub directory: PathBuf,
    /// How much they may take.
    pub limits: ArchiveLimits,
    /// Threads that write and read them; at least 1.
    pub workers: usize,
}
