//! Whose the addresses are that a pair serves.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::event::lock;

/// Who is served by a pair, by either address.
///
/// Reservations end with their last packet, on a thread of media. That one must not wait for the map, which a thread
/// of control may hold while it is kept from running: it leaves word, and whoever takes the map next obeys.
pub struct Clients {
    map: Mutex<HashMap<SocketAddr, Client>>,
    ended: Sender<Places>,
    to_free: Receiver<Places>,
}

/// Where a client takes RTP and RTCP.
type Places = [SocketAddr; 2];

/// What a datagram from a subscriber's address belongs to.
#[derive(Clone)]
pub struct Client {
    pub taker: Arc<dyn Taker>,
    pub track: usize,
}

/// Who takes tracks at addresses, and is heard from there.
pub trait Taker: Send + Sync {
    /// A datagram has come to our port for reports.
    fn hear(&self, track: usize, from: SocketAddr, datagram: &[u8], now: Instant);

    /// Nobody listens there, as the host says.
    fn refuse(&self, track: usize, at: SocketAddr, now: Instant);

    /// The client wants something else to come there.
    fn give_way(&self, now: Instant);
}

impl Clients {
    pub fn is_empty(&self) -> bool {
        self.map().is_empty()
    }

    /// Whose address this is.
    pub fn find(&self, address: SocketAddr) -> Option<Client> {
        self.map().get(&address).cloned()
    }

    pub fn reserve(&self, rtp: SocketAddr, rtcp: SocketAddr, owner: &Client) -> bool {
        let mut map = self.map();
        if map.contains_key(&rtp) || map.contains_key(&rtcp) {
            return false;
        }
        map.insert(rtp, owner.clone());
        map.insert(rtcp, owner.clone());
        true
    }

    /// Places are nobody's any more; waits for nobody.
    pub fn free(&self, places: Places) {
        let _ = self.ended.send(places); // heard for as long as this lives
    }

    pub fn map(&self) -> MutexGuard<'_, HashMap<SocketAddr, Client>> {
        let mut map = lock(&self.map);
        self.to_free.try_iter().flatten().for_each(|place| drop(map.remove(&place)));
        map
    }
}

impl Default for Clients {
    fn default() -> Self {
        let (ended, to_free) = unbounded();
        Self { map: Mutex::default(), ended, to_free }
    }
}
