//! The server's UDP port pairs: one RTP and one RTCP socket for all subscribers.
//!
//! A client's address and port is used once per pair, so that a report tells whose it is and streams to one
//! place can be told apart; a client that collides gets the next pair of the pool.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use crate::event::{Poller, lock};
use crate::net::bind_pair;
use crate::relay::ServerSocket;

use super::rtcp_receiver::RtcpReceiver;
use super::session::Session;
use super::stats::Counters;

/// Pairs of one family at most, where the configured range does not say less.
const MAX_PAIRS: usize = 64;

/// All the pairs of the server.
pub(super) struct PortPairs {
    poller: Arc<Poller>,
    ports: Option<RangeInclusive<u16>>,
    counters: Arc<Counters>,
    pairs: Mutex<Vec<Arc<PortPair>>>,
}

/// Two sockets and who is served by them.
pub(super) struct PortPair {
    pub rtp: Arc<ServerSocket>,
    pub rtcp: Arc<ServerSocket>,
    /// The RTP port; RTCP's is one more.
    pub port: u16,
    ipv6: bool,
    clients: Arc<Clients>,
    receiver: Mutex<Option<Arc<RtcpReceiver>>>,
}

/// Who is served by a pair, by either address.
#[derive(Default)]
pub(super) struct Clients(Mutex<HashMap<SocketAddr, Client>>);

/// What a datagram from a subscriber's address belongs to.
#[derive(Clone)]
pub(super) struct Client {
    pub session: Weak<Session>,
    pub track: usize,
}

/// A client's two addresses at a pair; free again when dropped.
pub(super) struct Reservation {
    pub pair: Arc<PortPair>,
    pub rtp: SocketAddr,
    pub rtcp: SocketAddr,
}

impl PortPairs {
    /// No pair yet: the first of a family opens with its first subscriber.
    pub fn new(poller: Arc<Poller>, ports: Option<RangeInclusive<u16>>, counters: Arc<Counters>) -> Self {
        Self { poller, ports, counters, pairs: Mutex::default() }
    }

    /// Reserves a client's ports at the first pair where both are free, opening a further pair if needed.
    pub fn reserve(&self, rtp: SocketAddr, rtcp: SocketAddr, owner: Client) -> io::Result<Arc<Reservation>> {
        let mut pairs = self.pairs();
        let known = pairs.iter().filter(|pair| pair.ipv6 == rtp.is_ipv6());
        let free = known.into_iter().find(|pair| pair.clients.reserve(rtp, rtcp, &owner)).cloned();
        let pair = match free {
            Some(pair) => pair,
            None => {
                let pair = self.open(rtp.is_ipv6(), &pairs)?;
                pair.clients.reserve(rtp, rtcp, &owner);
                pairs.push(pair.clone());
                pair
            }
        };
        Ok(Arc::new(Reservation { pair, rtp, rtcp }))
    }

    /// Closes all pairs.
    pub fn stop(&self) {
        for pair in self.pairs().drain(..) {
            pair.rtp.unregister();
            pair.rtcp.unregister();
            let receiver = lock(&pair.receiver).take();
            if let Some(receiver) = receiver {
                receiver.shut();
            }
        }
    }

    fn open(&self, ipv6: bool, pairs: &[Arc<PortPair>]) -> io::Result<Arc<PortPair>> {
        let taken: Vec<u16> = pairs.iter().filter(|pair| pair.ipv6 == ipv6).map(|pair| pair.port).collect();
        if taken.len() >= MAX_PAIRS {
            return Err(io::Error::other("all server port pairs are taken by this client's ports"));
        }
        let sockets = bind_pair(ipv6, self.ports.clone(), &taken)?;
        let clients = Arc::new(Clients::default());
        let reports = sockets.rtcp.try_clone()?;
        let receiver = RtcpReceiver::open(reports, clients.clone(), self.counters.clone(), &self.poller)?;
        let register = |socket| ServerSocket::register(socket, &self.poller);
        let rtp = register(sockets.rtp).inspect_err(|_| receiver.shut())?;
        let rtcp = register(sockets.rtcp).inspect_err(|_| {
            receiver.shut();
            rtp.unregister();
        })?;
        let (port, receiver) = (sockets.port, Mutex::new(Some(receiver)));
        tracing::info!(rtp = port, rtcp = port + 1, ipv6, "serving UDP from a new port pair");
        Ok(Arc::new(PortPair { rtp, rtcp, port, ipv6, clients, receiver }))
    }

    fn pairs(&self) -> MutexGuard<'_, Vec<Arc<PortPair>>> {
        lock(&self.pairs)
    }
}

impl Clients {
    /// Whose address this is.
    pub fn find(&self, address: SocketAddr) -> Option<Client> {
        self.map().get(&address).cloned()
    }

    fn reserve(&self, rtp: SocketAddr, rtcp: SocketAddr, owner: &Client) -> bool {
        let mut map = self.map();
        if map.contains_key(&rtp) || map.contains_key(&rtcp) {
            return false;
        }
        map.insert(rtp, owner.clone());
        map.insert(rtcp, owner.clone());
        true
    }

    fn map(&self) -> MutexGuard<'_, HashMap<SocketAddr, Client>> {
        lock(&self.0)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut map = self.pair.clients.map();
        map.remove(&self.rtp);
        map.remove(&self.rtcp);
    }
}
