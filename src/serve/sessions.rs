//! All sessions by id, and how many an address may hold.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard};

use super::session::Session;
use crate::event::lock;

/// The sessions of the server.
pub(super) struct Sessions {
    max: usize,
    max_per_address: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    by_id: HashMap<String, Arc<Session>>,
    per_address: HashMap<IpAddr, usize>,
}

impl Sessions {
    pub fn new(max: usize, max_per_address: usize) -> Self {
        Self { max, max_per_address, state: Mutex::default() }
    }

    /// Adds a session. `false`: a limit is reached.
    pub fn add(&self, session: &Arc<Session>) -> bool {
        let id = session.id.clone();
        let mut state = self.state();
        let of_address = state.per_address.get(&session.peer).copied().unwrap_or(0);
        if state.by_id.len() >= self.max || of_address >= self.max_per_address {
            return false;
        }
        state.per_address.insert(session.peer, of_address + 1);
        state.by_id.insert(id, session.clone());
        session.output.sessions.fetch_add(1, Relaxed);
        true
    }

    /// Takes a session out. `false`: it was out already.
    pub fn remove(&self, session: &Session) -> bool {
        let mut state = self.state();
        let removed = state.by_id.remove(&session.id);
        if removed.is_some()
            && let Some(of_address) = state.per_address.get_mut(&session.peer)
        {
            *of_address -= 1;
            if *of_address == 0 {
                state.per_address.remove(&session.peer);
            }
        }
        drop(state);
        if removed.is_some() {
            session.output.sessions.fetch_sub(1, Relaxed);
        }
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
