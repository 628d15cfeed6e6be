//! Where a session belongs: to the connection that asked for it last, or, once its client has closed that, to none for a
//! while.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use super::super::stream::Output;

/// A connection, as its sessions know it.
#[derive(Default)]
pub struct Home {
    /// What leaves by it; absent where there is no socket.
    pub output: Option<Arc<Output>>,
    sessions: AtomicUsize,
}

/// A session's place at a connection, for as long as this lives.
pub struct Stay(Arc<Home>);

/// Where a session is.
pub enum Whereabouts {
    At(Stay),
    /// Its connection was closed then, and none has asked for it since.
    Left(Instant),
}

impl Home {
    pub fn of(output: Arc<Output>) -> Arc<Self> {
        Arc::new(Self { output: Some(output), sessions: AtomicUsize::new(0) })
    }

    /// Whether no session belongs to it.
    pub fn is_empty(&self) -> bool {
        self.sessions.load(Relaxed) == 0
    }
}

impl Whereabouts {
    pub fn at(home: &Arc<Home>) -> Self {
        home.sessions.fetch_add(1, Relaxed);
        Self::At(Stay(home.clone()))
    }

    pub fn home(&self) -> Option<&Arc<Home>> {
        match self {
            Self::At(Stay(home)) => Some(home),
            Self::Left(_) => None,
        }
    }

    pub fn is_at(&self, home: &Arc<Home>) -> bool {
        self.home().is_some_and(|own| Arc::ptr_eq(own, home))
    }

    pub fn left_at(&self) -> Option<Instant> {
        match self {
            Self::At(_) => None,
            Self::Left(at) => Some(*at),
        }
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        self.0.sessions.fetch_sub(1, Relaxed);
    }
}
