//! Who may ask a pair for packets again, by the address that it asks from. Threads of media look here and wait for nobody: it is
//! held for no longer than a look takes.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use crate::event::lock;
use crate::relay::Repair;

/// All of a pair.
#[derive(Default)]
pub struct Askers(Mutex<HashMap<SocketAddr, Arc<Repair>>>);

/// One that may ask, until it is dropped.
pub struct Asker {
    at: SocketAddr,
    pub repair: Arc<Repair>,
    all: Arc<Askers>,
}

impl Askers {
    /// One may ask from this address, which is nobody else's.
    pub fn admit(self: &Arc<Self>, at: SocketAddr, repair: Arc<Repair>) -> Asker {
        lock(&self.0).insert(at, repair.clone());
        Asker { at, repair, all: self.clone() }
    }

    /// Who asks from there.
    pub fn find(&self, at: SocketAddr) -> Option<Arc<Repair>> {
        lock(&self.0).get(&at).cloned()
    }
}

impl Asker {
    /// It asks from there by now.
    pub fn move_to(&mut self, at: SocketAddr) {
        let mut all = lock(&self.all.0);
        all.remove(&self.at);
        all.insert(at, self.repair.clone());
        drop(all);
        self.at = at;
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        let mut all = lock(&self.all.0);
        // Another one may be there by now.
        let is_own = all.get(&self.at).is_some_and(|repair| Arc::ptr_eq(repair, &self.repair));
        let gone = is_own.then(|| all.remove(&self.at));
        drop(all);
        drop(gone); // outside the lock: it tells how much was sent
    }
}
