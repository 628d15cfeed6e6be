//! All sessions by id, and how many there may be.

use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use crate::event::lock;

use super::super::stats::Counters;
use super::session::Session;

/// The sessions of the server.
pub struct Sessions {
    max: usize,
    counters: Arc<Counters>,
    by_id: Mutex<HashMap<String, Arc<Session>>>,
}

impl Sessions {
    pub fn new(max: usize, counters: Arc<Counters>) -> Self {
        Self { max, counters, by_id: Mutex::default() }
    }

    /// Adds a session. `false`: the limit is reached.
    pub fn add(&self, session: &Arc<Session>) -> bool {
        let id = session.id.clone();
        let mut by_id = self.by_id();
        if by_id.len() >= self.max {
            return false;
        }
        by_id.insert(id, session.clone());
        if let Some(output) = &session.output {
            output.sessions.fetch_add(1, Relaxed);
        }
        true
    }

    /// Ends a session, once; `reason` is what metrics count it under. It is counted before anybody sees that it is out.
    pub fn end(&self, session: &Session, reason: &'static str, now: Instant) {
        let mut by_id = self.by_id();
        if by_id.remove(&session.id).is_none() {
            return;
        }
        if let Some(output) = &session.output {
            output.sessions.fetch_sub(1, Relaxed);
        }
        self.counters.session_ended(reason);
        drop(by_id);
        session.end(reason, now);
    }

    pub fn find(&self, id: &str) -> Option<Arc<Session>> {
        self.by_id().get(id).cloned()
    }

    pub fn all(&self) -> Vec<Arc<Session>> {
        self.by_id().values().cloned().collect()
    }

    pub fn len(&self) -> usize {
        self.by_id().len()
    }

    fn by_id(&self) -> MutexGuard<'_, HashMap<String, Arc<Session>>> {
        lock(&self.by_id)
    }
}
