//! All sessions by id, and how many there may be.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use crate::event::lock;

use super::super::stats::Counters;
use super::home::Home;
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
        true
    }

    /// Ends a session, once; `reason` is what metrics count it under. It is counted before anybody sees that it is out.
    /// Returns the connection that it belonged to.
    pub fn end(&self, session: &Session, reason: &'static str, now: Instant) -> Option<Arc<Home>> {
        let mut by_id = self.by_id();
        by_id.remove(&session.id)?;
        self.counters.session_ended(reason);
        drop(by_id);
        session.end(reason, now)
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
