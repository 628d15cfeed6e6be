//! The server's UDP port pairs: an RTP and an RTCP socket for all subscribers that came to one address.
//!
//! A viewer gets packets from the address that it connected to, which is the one that its firewall knows. Its
//! own address and port is used once per pair, so that a report tells whose it is and streams to one place can
//! be told apart; a client that collides gets the next pair of the pool.

use std::io;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use crate::event::{Poller, Timers, lock};
use crate::net::{bind_pair, forbid_fragments, with_port};
use crate::relay::ServerSocket;

use super::super::stats::Counters;
use super::clients::{Client, Clients, Taker};
use super::rtcp_receiver::RtcpReceiver;

/// Pairs of one address at most, where the configured range does not say less.
const MAX_PAIRS: usize = 64;

/// All the pairs of the server.
pub struct PortPairs {
    poller: Arc<Poller>,
    timers: Arc<Timers>,
    ports: Option<RangeInclusive<u16>>,
    /// Nobody cuts up what leaves.
    dont_fragment: bool,
    counters: Arc<Counters>,
    pairs: Mutex<Vec<Arc<PortPair>>>,
    /// Somebody looks for what comes back.
    watched: AtomicBool,
}

/// Two sockets and who is served by them.
pub struct PortPair {
    pub rtp: Arc<ServerSocket>,
    pub rtcp: Arc<ServerSocket>,
    /// The RTP port; RTCP's is one more.
    pub port: u16,
    /// Whom its clients connected to; of no port.
    local: SocketAddr,
    clients: Arc<Clients>,
    receiver: Arc<RtcpReceiver>,
}

/// A client's two addresses at a pair; free again when dropped.
pub struct Reservation {
    pub pair: Arc<PortPair>,
    pub rtp: SocketAddr,
    pub rtcp: SocketAddr,
}

impl PortPairs {
    /// No pair yet: the first of an address opens with its first subscriber.
    pub fn new(
        poller: Arc<Poller>,
        timers: Arc<Timers>,
        ports: Option<RangeInclusive<u16>>,
        dont_fragment: bool,
        counters: Arc<Counters>,
    ) -> Self {
        let (pairs, watched) = (Mutex::default(), AtomicBool::new(false));
        Self { poller, timers, ports, dont_fragment, counters, pairs, watched }
    }

    /// Reserves a client's ports at the first pair of the address it connected to, `local`, where both are free;
    /// opens a further pair if needed, and closes those that nobody uses.
    pub fn reserve(
        &self,
        local: SocketAddr,
        (rtp, rtcp): (SocketAddr, SocketAddr),
        owner: Client,
    ) -> io::Result<Arc<Reservation>> {
        let local = with_port(local, 0);
        let mut pairs = self.pairs();
        let known = pairs.iter().filter(|pair| pair.local == local);
        let free = known.into_iter().find(|pair| pair.clients.reserve(rtp, rtcp, &owner)).cloned();
        let pair = match free {
            Some(pair) => pair,
            None => {
                // Their address may be this machine's no more.
                pairs.extract_if(.., |pair| pair.clients.is_empty()).for_each(|pair| pair.receiver.shut());
                let pair = self.open(local, &pairs)?;
                pair.clients.reserve(rtp, rtcp, &owner);
                pairs.push(pair.clone());
                pair
            }
        };
        Ok(Arc::new(Reservation { pair, rtp, rtcp }))
    }

    /// Who takes something at a client's places, at any pair.
    pub fn takers(&self, (rtp, rtcp): (SocketAddr, SocketAddr)) -> Vec<Arc<dyn Taker>> {
        let pairs = self.pairs().clone();
        let at = |pair: &Arc<PortPair>| [rtp, rtcp].map(|place| pair.clients.find(place));
        pairs.iter().flat_map(at).flatten().map(|client| client.taker).collect()
    }

    /// Who is said not to listen any more, and where. Sockets that are not needed any more are closed on the way.
    pub fn take_refusals(&self, now: Instant) -> Vec<(SocketAddr, Client)> {
        let pairs = self.pairs().clone();
        pairs.iter().for_each(|pair| pair.rtp.close_unneeded(now));
        let refusing = |pair: &Arc<PortPair>| {
            let places = pair.rtp.take_refusals();
            places
                .into_iter()
                .filter_map(|place| Some((place, pair.clients.find(place)?)))
                .collect::<Vec<_>>()
        };
        pairs.iter().flat_map(refusing).collect()
    }

    /// `true`: nobody has begun yet to look for what comes back.
    pub fn begin_watch(&self) -> bool {
        !self.watched.swap(true, SeqCst)
    }

    pub fn end_watch(&self) {
        self.watched.store(false, SeqCst);
    }

    /// Whether there is anyone to look for, or a socket that is to be closed.
    pub fn is_in_use(&self) -> bool {
        self.pairs().iter().any(|pair| !pair.clients.is_empty() || pair.rtp.beside() > 0)
    }

    /// Sockets that were opened beside full ones.
    pub fn sockets_beside(&self) -> usize {
        self.pairs().iter().map(|pair| pair.rtp.beside()).sum()
    }

    /// Closes all pairs.
    pub fn stop(&self) {
        self.pairs().drain(..).for_each(|pair| pair.receiver.shut());
    }

    fn open(&self, local: SocketAddr, pairs: &[Arc<PortPair>]) -> io::Result<Arc<PortPair>> {
        let taken: Vec<u16> = pairs.iter().filter(|pair| pair.local == local).map(|pair| pair.port).collect();
        if taken.len() >= MAX_PAIRS {
            return Err(io::Error::other("all server port pairs are taken by this client's ports"));
        }
        let sockets = bind_pair(local, self.ports.clone(), &taken)?;
        if self.dont_fragment {
            [&sockets.rtp, &sockets.rtcp].into_iter().try_for_each(forbid_fragments)?;
        }
        let (rtp, rtcp) = (ServerSocket::growing(sockets.rtp)?, ServerSocket::alone(sockets.rtcp));
        let clients = Arc::new(Clients::default());
        let receiver = RtcpReceiver::open(
            rtcp.current(),
            clients.clone(),
            self.counters.clone(),
            (&self.poller, &self.timers),
        )?;
        let port = sockets.port;
        tracing::debug!(address = %local.ip(), rtp = port, rtcp = port + 1, "serving UDP from a new port pair");
        Ok(Arc::new(PortPair { rtp, rtcp, port, local, clients, receiver }))
    }

    fn pairs(&self) -> MutexGuard<'_, Vec<Arc<PortPair>>> {
        lock(&self.pairs)
    }
}

impl Reservation {
    /// Whom the client connected to, of no port; and the port that RTP comes from.
    pub fn server(&self) -> (SocketAddr, u16) {
        (self.pair.local, self.pair.port)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.pair.clients.free([self.rtp, self.rtcp]);
    }
}

#[cfg(all(test, not(model)))]
mod tests {
    use super::*;
    use crate::event::{Class, TaskQueue, clock};

    /// One who hears nothing.
    struct Nobody;

    impl Taker for Nobody {
        fn hear(&self, _: usize, _: SocketAddr, _: &[u8], _: Instant) {}
        fn refuse(&self, _: usize, _: SocketAddr, _: Instant) {}
        fn give_way(&self, _: Instant) {}
    }

    fn client() -> Client {
        Client { taker: Arc::new(Nobody), track: 1 }
    }

    /// Pairs of any ports, and what they stand on.
    struct Rig {
        queue: Arc<TaskQueue>,
        poller: Arc<Poller>,
        timers: Arc<Timers>,
        pairs: PortPairs,
    }

    impl Rig {
        fn new() -> Self {
            let queue = TaskQueue::start("t-pairs", 1).expect("a thread");
            let poller = Poller::new(8, 1, queue.clone(), queue.clone()).expect("a thread");
            let timers = Timers::start(&poller, Class::Control).expect("a timer");
            let pairs = PortPairs::new(poller.clone(), timers.clone(), None, false, Arc::default());
            Self { queue, poller, timers, pairs }
        }

        fn stop(self) {
            self.pairs.stop();
            self.poller.stop();
            self.timers.stop();
            self.queue.stop();
        }
    }

    #[test]
    fn a_reservation_ends_while_the_map_is_taken_and_its_place_is_free_for_the_next() {
        let rig = Rig::new();
        let pairs = &rig.pairs;
        let places = [40_000, 40_001].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let reserve =
            || pairs.reserve(([127, 0, 0, 1], 8554).into(), places.into(), client()).expect("a pair");
        let first = reserve();
        let clients = first.pair.clients.clone();
        let taken = clients.map();
        drop(first); // and waits for nobody
        drop(taken);
        assert!(places.iter().all(|place| clients.find(*place).is_none()));
        let second = reserve();
        assert!(Arc::ptr_eq(&second.pair.clients, &clients), "the same pair serves the same places again");
        assert!(places.iter().all(|place| clients.find(*place).is_some()));
        drop(second);
        rig.stop();
    }

    #[test]
    fn sockets_beside_a_full_one_go_though_all_viewers_have_left() {
        let rig = Rig::new();
        let pairs = &rig.pairs;
        let places = [40_000, 40_001].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let viewer = pairs.reserve(([127, 0, 0, 1], 8554).into(), places.into(), client()).expect("a pair");
        viewer.pair.rtp.have_one_more();
        drop(viewer);
        assert_eq!((pairs.sockets_beside(), pairs.is_in_use()), (1, true), "somebody looks after it");
        assert!(pairs.take_refusals(clock::now()).is_empty());
        assert_eq!((pairs.sockets_beside(), pairs.is_in_use()), (0, false));
        rig.stop();
    }

    #[test]
    fn a_pair_that_nobody_uses_goes_when_viewers_come_to_another_address() {
        let rig = Rig::new();
        let pairs = &rig.pairs;
        let viewer = |port| ([127, 0, 0, 1], port).into();
        let reserve = |host, port| {
            pairs.reserve(([127, 0, 0, host], 8554).into(), (viewer(port), viewer(port + 1)), client())
        };
        let first = reserve(1, 40_000).expect("a pair");
        let second = reserve(2, 40_000).expect("a pair of the other address");
        assert!(!Arc::ptr_eq(&first.pair, &second.pair), "the same place is free there");
        assert_eq!(pairs.pairs().len(), 2);
        drop(first);
        let again = reserve(2, 40_002).expect("room in the pair that is there");
        assert_eq!(pairs.pairs().len(), 2, "kept while nothing else is needed");
        let third = reserve(3, 40_000).expect("a pair of a third address");
        assert_eq!(pairs.pairs().len(), 2, "and gone when something is");
        drop((second, again, third));
        rig.stop();
    }
}
