//! Numbers that are to differ, and are no secret.

use std::hash::{BuildHasher, RandomState};

/// A word of 16 hexadecimal digits.
#[must_use]
pub fn token() -> String {
    format!("{:016x}", random())
}

/// Any 64 bits.
pub(super) fn random() -> u64 {
    RandomState::new().hash_one("pull")
}
