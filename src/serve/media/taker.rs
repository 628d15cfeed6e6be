//! Who takes tracks at a pair, and what is learnt of where.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use super::super::stats::Port;

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

    /// The client is reached there.
    fn learn(&self, learnt: &Learnt, now: Instant);

    /// Nobody listens there, as the host says.
    fn refuse(&self, track: usize, at: SocketAddr, now: Instant);

    /// The client wants something else to come there.
    fn give_way(&self, now: Instant);
}

/// What was learnt.
#[derive(Clone)]
pub struct Learnt {
    pub client: Client,
    /// Of whose reservation.
    pub latch: u64,
    pub port: Port,
    /// Where the client is reached: at its own address, always.
    pub at: SocketAddr,
}

impl Learnt {
    /// Tells who takes something there.
    pub fn tell(&self, now: Instant) {
        self.client.taker.learn(self, now);
    }
}

/// A client who hears nothing.
#[cfg(all(test, not(model)))]
pub fn nobody(track: usize) -> Client {
    struct Nobody;

    impl Taker for Nobody {
        fn hear(&self, _: usize, _: SocketAddr, _: &[u8], _: Instant) {}
        fn learn(&self, _: &Learnt, _: Instant) {}
        fn refuse(&self, _: usize, _: SocketAddr, _: Instant) {}
        fn give_way(&self, _: Instant) {}
    }

    Client { taker: Arc::new(Nobody), track }
}
