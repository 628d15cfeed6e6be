//! Who may ask a pair for packets again, by the address that it asks from. Threads of media look here and wait for nobody: it is
//! held for no longer than a look takes.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::event::lock;
use crate::relay::Repair;

/// That one asks is a sign of life so often.
const HEARD_EACH: Duration = Duration::from_secs(1);

/// All of a pair.
#[derive(Default)]
pub struct Askers(Mutex<HashMap<SocketAddr, Entry>>);

struct Entry {
    repair: Arc<Repair>,
    /// When it was heard of last.
    heard_at: Option<Instant>,
}

/// One that may ask, until it is dropped.
pub struct Asker {
    at: SocketAddr,
    pub repair: Arc<Repair>,
    all: Arc<Askers>,
}

impl Askers {
    /// One may ask from this address, which is nobody else's.
    pub fn admit(self: &Arc<Self>, at: SocketAddr, repair: Arc<Repair>) -> Asker {
        lock(&self.0).insert(at, Entry { repair: repair.clone(), heard_at: None });
        Asker { at, repair, all: self.clone() }
    }

    /// Who asks from there, and whether that is to be heard of as a sign of life.
    pub fn find(&self, at: SocketAddr, now: Instant) -> Option<(Arc<Repair>, bool)> {
        let mut all = lock(&self.0);
        let entry = all.get_mut(&at)?;
        let is_sign =
            entry.heard_at.is_none_or(|heard_at| now.saturating_duration_since(heard_at) >= HEARD_EACH);
        if is_sign {
            entry.heard_at = Some(now);
        }
        Some((entry.repair.clone(), is_sign))
    }
}

impl Asker {
    /// It asks from there by now.
    pub fn move_to(&mut self, at: SocketAddr) {
        let mut all = lock(&self.all.0);
        all.remove(&self.at);
        all.insert(at, Entry { repair: self.repair.clone(), heard_at: None });
        drop(all);
        self.at = at;
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        let mut all = lock(&self.all.0);
        // Another one may be there by now.
        let is_own = all.get(&self.at).is_some_and(|entry| Arc::ptr_eq(&entry.repair, &self.repair));
        let gone = is_own.then(|| all.remove(&self.at));
        drop(all);
        drop(gone); // outside the lock: it tells how much was sent
    }
}
