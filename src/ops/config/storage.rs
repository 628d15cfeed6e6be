//! Where recordings are, how much they may take, and where films are.

use std::path::PathBuf;

use crate::serve::Rule;
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
    /// Directories of films.
    pub libraries: Vec<LibraryConfig>,
}

/// A `[[library]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LibraryConfig {
    /// What paths begin with.
    pub name: String,
    /// Where the files are.
    pub directory: PathBuf,
    /// Who may watch them.
    pub rule: Rule,
}
