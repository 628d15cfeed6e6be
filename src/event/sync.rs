//! The primitives under model checking: std's in the program, loom's in its models.

#[cfg(not(model))]
pub(super) use std::sync::{Mutex, MutexGuard, atomic::AtomicU8, atomic::Ordering};

#[cfg(model)]
pub(super) use loom::sync::{Mutex, MutexGuard, atomic::AtomicU8, atomic::Ordering};
