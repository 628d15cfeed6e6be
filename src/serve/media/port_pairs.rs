//! The server's UDP port pairs: an RTP and an RTCP socket for all subscribers that came to one address.
//!
//! A viewer gets packets from the address that it connected to, which is the one that its firewall knows. Its
//! own address and port is used once per pair, so that a report tells whose it is and streams to one place can
//! be told apart; a client that collides gets the next pair of the pool.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use crate::event::{Poller, Timers, lock};
use crate::net::{ServerPair, bind_pair, forbid_fragments, with_port};
use crate::relay::ServerSocket;

use super::super::stats::{Counters, Port};
use super::askers::Askers;
use super::clients::{Clients, Search, Spot, Voice};
use super::latches::Learning;
use super::rtcp_receiver::RtcpReceiver;
use super::taker::{Client, Learnt, Taker};

/// Pairs of one address at most, where the configured range does not say less.
const MAX_PAIRS: usize = 64;
/// Up to so many of one address are looked for at a time, each at a pair of its own.
const PAIRS_TO_LEARN_AT: usize = 8;
/// Datagrams to an RTP port that are taken at one look, and before somebody plays.
const PUNCHES_AT_A_LOOK: usize = 256;
const PUNCHES_BEFORE_PLAY: usize = 32;

type Taken = (Arc<PortPair>, [Arc<Spot>; 2], Option<Arc<Search>>);

/// All the pairs of the server.
pub struct PortPairs {
    poller: Arc<Poller>,
    timers: Arc<Timers>,
    ports: Option<RangeInclusive<u16>>,
    /// Nobody cuts up what leaves.
    dont_fragment: bool,
    learning: Learning,
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
    /// Those of them who may ask for packets again.
    pub askers: Arc<Askers>,
    receiver: Arc<RtcpReceiver>,
}

/// A client's two places at a pair; free again when dropped.
pub struct Reservation {
    pub pair: Arc<PortPair>,
    /// What the client has named.
    pub announced: (SocketAddr, SocketAddr),
    spots: [Arc<Spot>; 2],
    /// It may yet turn out to be elsewhere.
    search: Option<Arc<Search>>,
}

impl PortPairs {
    /// No pair yet: the first of an address opens with its first subscriber.
    pub fn new(
        poller: Arc<Poller>,
        timers: Arc<Timers>,
        ports: Option<RangeInclusive<u16>>,
        (dont_fragment, learning): (bool, Learning),
        counters: Arc<Counters>,
    ) -> Self {
        let (pairs, watched) = (Mutex::default(), AtomicBool::new(false));
        Self { poller, timers, ports, dont_fragment, learning, counters, pairs, watched }
    }

    /// Reserves a client's ports at the first pair of the address it connected to, `local`, where both are free;
    /// opens a further pair if needed, and closes those that nobody uses.
    ///
    /// One that may be behind a NAT is looked for at its pair, as the only one of its address; where there are too many of
    /// these it is not. From this machine's own addresses nobody comes through a NAT.
    pub fn reserve(
        &self,
        local: SocketAddr,
        announced: (SocketAddr, SocketAddr),
        owner: Client,
    ) -> io::Result<Arc<Reservation>> {
        let (local, client) = (with_port(local, 0), announced.0.ip());
        let places = [announced.0, announced.1];
        let is_near = client.is_loopback() || client == local.ip();
        let mut pairs = self.pairs();
        let taken = if is_near || self.learning == Learning::Off {
            self.take_at_any(local, &mut pairs, true, |clients| {
                Some((clients.reserve(places, &owner)?, None))
            })
        } else {
            self.take_to_learn(local, places, &owner, &mut pairs)
        };
        let (pair, spots, search) = taken?;
        Ok(Arc::new(Reservation { pair, announced, spots, search }))
    }

    fn take_to_learn(
        &self,
        local: SocketAddr,
        places: [SocketAddr; 2],
        owner: &Client,
        pairs: &mut Vec<Arc<PortPair>>,
    ) -> io::Result<Taken> {
        let found = |(spots, search)| Some((spots, Some(Arc::new(search))));
        let may_open = pairs.iter().filter(|pair| pair.local == local).count() < PAIRS_TO_LEARN_AT;
        let alone = |pairs: &mut Vec<_>, may_open| {
            let take = |clients: &Arc<Clients>| clients.reserve_and_search(places, owner).and_then(found);
            let taken = self.take_at_any(local, pairs, may_open, take);
            taken.inspect(|(pair, ..)| pair.listen_for_punches())
        };
        let in_crowd = |pairs: &mut Vec<_>, may_begin| {
            let take =
                |clients: &Arc<Clients>| clients.reserve_in_crowd(places, owner, may_begin).and_then(found);
            self.take_at_any(local, pairs, false, take)
        };
        // Where its places are taken at all of them it is alone at a further one.
        alone(pairs, may_open)
            .or_else(|_| in_crowd(pairs, false))
            .or_else(|_| in_crowd(pairs, true))
            .or_else(|_| alone(pairs, true))
    }

    /// Takes what there is at the first pair of an address that has it, or at a further one.
    fn take_at_any(
        &self,
        local: SocketAddr,
        pairs: &mut Vec<Arc<PortPair>>,
        may_open: bool,
        take: impl Fn(&Arc<Clients>) -> Option<([Arc<Spot>; 2], Option<Arc<Search>>)>,
    ) -> io::Result<Taken> {
        let known = pairs.iter().filter(|pair| pair.local == local);
        let take_at =
            |pair: &Arc<PortPair>| take(&pair.clients).map(|(spots, search)| (pair.clone(), spots, search));
        if let Some(taken) = known.into_iter().find_map(take_at) {
            return Ok(taken);
        }
        if !may_open {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        // Their address may be this machine's no more.
        pairs.extract_if(.., |pair| pair.clients.is_empty()).for_each(|pair| pair.receiver.shut());
        let pair = self.open(local, pairs)?;
        pairs.push(pair.clone());
        take_at(&pair).ok_or_else(|| io::ErrorKind::AddrInUse.into())
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

    /// What has been learnt of where clients are, by what has come to the RTP ports: a short look.
    pub fn glance_for_clients(&self, now: Instant) -> Vec<Learnt> {
        let pairs = self.pairs().clone();
        pairs.iter().flat_map(|pair| pair.hear(PUNCHES_BEFORE_PLAY, &self.counters, now)).collect()
    }

    /// The same, and by the time. What comes to RTP ports at which nobody is looked for is dropped from here on.
    pub fn look_for_clients(&self, now: Instant) -> Vec<Learnt> {
        let mut learnt = Vec::new();
        for pair in &self.pairs().clone() {
            learnt.extend(pair.hear(PUNCHES_AT_A_LOOK, &self.counters, now));
            learnt.extend(pair.clients.due(now));
            pair.listen_if_needed();
        }
        learnt
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

    /// Pairs of the address that has the most, and how many an address may have.
    pub fn fill(&self) -> (usize, usize) {
        let mut of_address = HashMap::<SocketAddr, usize>::new();
        self.pairs().iter().for_each(|pair| *of_address.entry(pair.local).or_default() += 1);
        let in_range = self
            .ports
            .clone()
            .map_or(MAX_PAIRS, |range| range.filter(|port| port.is_multiple_of(2) && *port != 0).count());
        (of_address.into_values().max().unwrap_or(0), in_range.min(MAX_PAIRS))
    }

    /// Closes all pairs.
    pub fn stop(&self) {
        self.pairs().drain(..).for_each(|pair| pair.receiver.shut());
    }

    /// All that are open.
    pub fn all(&self) -> Vec<Arc<PortPair>> {
        self.pairs().clone()
    }

    /// Serves by a pair that was opened elsewhere.
    pub fn adopt(&self, local: SocketAddr, sockets: ServerPair) -> io::Result<()> {
        let pair = self.serve_by(local, sockets)?;
        self.pairs().push(pair);
        Ok(())
    }

    /// Gives a client the places at a pair that it had elsewhere. One who may be behind a NAT is looked for as it was, if it can be.
    pub fn reserve_again(
        &self,
        (local, port): (SocketAddr, u16),
        (announced, at): ((SocketAddr, SocketAddr), [SocketAddr; 2]),
        is_unsure: bool,
        owner: &Client,
    ) -> Option<Arc<Reservation>> {
        let pair = self.pairs().iter().find(|pair| (pair.local, pair.port) == (local, port)).cloned()?;
        let looked_for = if is_unsure { pair.clients.reserve_and_search(at, owner) } else { None };
        let (spots, search) = match looked_for {
            Some((spots, search)) => (spots, Some(Arc::new(search))),
            None => (pair.clients.reserve(at, owner)?, None),
        };
        if search.is_some() {
            pair.listen_for_punches();
        }
        Some(Arc::new(Reservation { pair, announced, spots, search }))
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
        let port = sockets.port;
        tracing::debug!(address = %local.ip(), rtp = port, rtcp = port + 1, "serving UDP from a new port pair");
        self.serve_by(local, sockets)
    }

    fn serve_by(&self, local: SocketAddr, sockets: ServerPair) -> io::Result<Arc<PortPair>> {
        let (rtp, rtcp) = (ServerSocket::growing(sockets.rtp)?, ServerSocket::alone(sockets.rtcp)?);
        let (clients, askers) = (Clients::new(self.learning), Arc::<Askers>::default());
        let receiver = RtcpReceiver::open(
            rtcp.current(),
            (clients.clone(), askers.clone()),
            self.counters.clone(),
            (&self.poller, &self.timers),
        )?;
        Ok(Arc::new(PortPair { rtp, rtcp, port: sockets.port, local, clients, askers, receiver }))
    }

    fn pairs(&self) -> MutexGuard<'_, Vec<Arc<PortPair>>> {
        lock(&self.pairs)
    }
}

impl PortPair {
    /// Whom its clients connected to; of no port.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Somebody is looked for by what comes to the RTP port.
    fn listen_for_punches(&self) {
        if let Err(error) = self.rtp.listen(true) {
            tracing::warn!(%error, port = self.port, "nobody is heard at a server port for RTP");
        }
    }

    fn hear(&self, most: usize, counters: &Counters, now: Instant) -> Vec<Learnt> {
        let mut learnt = Vec::new();
        if !self.rtp.listens() {
            return learnt;
        }
        for from in self.rtp.take_punches(most) {
            match self.clients.hear(Port::Rtp, from, true, now) {
                Voice::Learnt(place) => learnt.push(place),
                Voice::Stranger => counters.rtp_stranger(),
                Voice::Known(_) | Voice::Unsure => {}
            }
        }
        learnt
    }

    fn listen_if_needed(&self) {
        if self.rtp.listens() && !self.clients.want_rtp() {
            let _ = self.rtp.listen(false); // what comes is read, then, and means nothing
            // Unless one came meanwhile.
            if self.clients.want_rtp() {
                return self.listen_for_punches();
            }
            // What is left would take the room of what comes back.
            while !self.rtp.listens() && !self.rtp.take_punches(PUNCHES_AT_A_LOOK).is_empty() {}
        }
    }
}

impl Reservation {
    /// Whom the client connected to, of no port; and the port that RTP comes from.
    pub fn server(&self) -> (SocketAddr, u16) {
        (self.pair.local, self.pair.port)
    }

    /// Keeps one of the client's places from being given to others, and not the other one.
    pub fn hold(&self, port: Port) -> Arc<Spot> {
        self.spots[port as usize].clone()
    }

    pub fn rtp(&self) -> SocketAddr {
        self.spots[0].at
    }

    pub fn rtcp(&self) -> SocketAddr {
        self.spots[1].at
    }

    /// Whether the client may yet turn out to be elsewhere.
    pub fn is_searched_for(&self) -> bool {
        self.search.is_some()
    }

    /// Whether it is not looked for, as there are too many of its address.
    pub fn is_of_crowd(&self) -> bool {
        self.search.as_ref().is_some_and(|search| search.is_of_crowd)
    }

    /// Whether that is about this client.
    pub fn is_of(&self, learnt: &Learnt) -> bool {
        self.search.as_ref().is_some_and(|search| search.number == learnt.latch)
    }

    /// The same client where it has turned out to be; it may be there already. `None`: that place is somebody else's.
    pub fn follow(&self, learnt: &Learnt) -> Option<Arc<Self>> {
        let [rtp, rtcp] = &self.spots;
        let mut spots = self.spots.clone();
        if self.spots[learnt.port as usize].at != learnt.at {
            let spot = self.pair.clients.follow(learnt)?;
            if Arc::ptr_eq(rtp, rtcp) {
                spots = [spot.clone(), spot];
            } else {
                spots[learnt.port as usize] = spot;
            }
        }
        let (pair, search) = (self.pair.clone(), self.search.clone());
        Some(Arc::new(Self { pair, announced: self.announced, spots, search }))
    }
}

#[cfg(all(test, not(model)))]
#[path = "port_pairs_tests.rs"]
mod tests;
