//! All sessions by id, and how many there may be.

use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard};

use super::session::Session;
use crate::event::lock;

/// The sessions of the server.
pub(super) struct Sessions {
    max: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    by_id: HashMap<String, Arc<Session>>,
}

impl Sessions {
    pub fn new(max: usize) -> Self {
        Self { max, state: Mutex::default() }
    }

    /// Adds a session. `false`: the limit is reached.
    pub fn add(&self, session: &Arc<Session>) -> bool {
        let id = session.id.clone();
        let mut state = self.state();
        if state.by_id.len() >= self.max {
            return false;
        }
        state.by_id.insert(id, session.clone());
        session.output.sessions.fetch_add(1, Relaxed);
        true
    }

    /// Takes a session out, and has it counted before anybody sees that it is out. `false`: it was out already.
    pub fn remove(&self, session: &Session, count: impl FnOnce()) -> bool {
        let mut state = self.state();
        let removed = state.by_id.remove(&session.id);
        if removed.is_some() {
            session.output.sessions.fetch_sub(1, Relaxed);
            count();
        }
        drop(state);
        removed.is_some()
    }

    pub fn find(&self, id: &str) -> Option<Arc<Session>> {
        self.state().by_id.get(id).cloned()
    }

    pub fn all(&self) -> Vec<Arc<Session>> {
        self.state().by_id.values().cloned().collect()
    }

    pub fn len(&self) -> usize {
        self.state().by_id.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}
