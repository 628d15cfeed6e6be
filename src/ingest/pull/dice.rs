//! Numbers that are to differ, and are no secret.

use std::hash::{BuildHasher, RandomState};

/// Any 64 bits.
pub(super) fn random() -> u64 {
    RandomState::new().hash_one("pull")
}
