//! By what a file on the disk is known to be another, or changed.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Another content has another stamp; so has another mode, by which a file that nobody may read is mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    written: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// Of the file at a path, if there is one.
    pub fn at(file: &Path) -> Option<Self> {
        fs::metadata(file).map(|about| Self::of(&about)).ok()
    }

    /// Of a file that this is known of.
    pub fn of(about: &Metadata) -> Self {
        Self {
            device: about.dev(),
            inode: about.ino(),
            bytes: about.size(),
            written: (about.mtime(), about.mtime_nsec()),
            changed: (about.ctime(), about.ctime_nsec()),
        }
    }
}
