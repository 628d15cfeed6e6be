//! Locking where a panic elsewhere is no reason to fail: it was caught and counted, and its owner closed.

use std::sync::{Mutex, MutexGuard};

/// Locks `mutex`, whether or not a thread panicked while it held it.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
