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

use super::super::stats::{Counters, Port};
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
        let is_near = client.is_loopback() || client == local.ip();
        let mut pairs = self.pairs();
        let taken = match self.learning {
            Learning::Off => self.take_free(local, announced, &owner, &mut pairs),
            _ if is_near => self.take_free(local, announced, &owner, &mut pairs),
            _ => self.take_to_learn(local, announced, &owner, &mut pairs),
        };
        let (pair, spots, search) = taken?;
        Ok(Arc::new(Reservation { pair, announced, spots, search }))
    }

    fn take_free(
        &self,
        local: SocketAddr,
        (rtp, rtcp): (SocketAddr, SocketAddr),
        owner: &Client,
        pairs: &mut Vec<Arc<PortPair>>,
    ) -> io::Result<Taken> {
        self.take_at_any(local, pairs, true, |clients| Some((clients.reserve([rtp, rtcp], owner)?, None)))
    }

    fn take_to_learn(
        &self,
        local: SocketAddr,
        (rtp, rtcp): (SocketAddr, SocketAddr),
        owner: &Client,
        pairs: &mut Vec<Arc<PortPair>>,
    ) -> io::Result<Taken> {
        let places = [rtp, rtcp];
        let found = |(spots, search)| Some((spots, Some(Arc::new(search))));
        let may_open = pairs.iter().filter(|pair| pair.local == local).count() < PAIRS_TO_LEARN_AT;
        let alone = |clients: &Arc<Clients>| clients.reserve_and_search(places, owner).and_then(found);
        if let Ok(taken) = self.take_at_any(local, pairs, may_open, alone) {
            taken.0.listen_for_punches();
            return Ok(taken);
        }
        let in_crowd =
            |clients: &Arc<Clients>| clients.reserve_in_crowd(places, owner, false).and_then(found);
        self.take_at_any(local, pairs, false, in_crowd).or_else(|_| {
            let begin_crowd =
                |clients: &Arc<Clients>| clients.reserve_in_crowd(places, owner, true).and_then(found);
            self.take_at_any(local, pairs, true, begin_crowd)
        })
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
        let clients = Clients::new(self.learning);
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

impl PortPair {
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
        let mut spots = self.spots.clone();
        let own = &mut spots[learnt.port as usize];
        if own.at != learnt.at {
            *own = self.pair.clients.follow(learnt)?;
        }
        let (pair, search) = (self.pair.clone(), self.search.clone());
        Some(Arc::new(Self { pair, announced: self.announced, spots, search }))
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
        fn learn(&self, _: &Learnt, _: Instant) {}
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
            Self::learning(Learning::Immediate)
        }

        fn learning(learning: Learning) -> Self {
            let queue = TaskQueue::start("t-pairs", 1).expect("a thread");
            let poller = Poller::new(8, 1, queue.clone(), queue.clone()).expect("a thread");
            let timers = Timers::start(&poller, Class::Control).expect("a timer");
            let pairs =
                PortPairs::new(poller.clone(), timers.clone(), None, (false, learning), Arc::default());
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
        let taken = clients.table();
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

    /// Where a client behind a NAT is said to be.
    fn places(port: u16) -> (SocketAddr, SocketAddr) {
        let host = [192, 0, 2, 9];
        ((host, port).into(), (host, port + 1).into())
    }

    #[test]
    fn tracks_of_one_address_that_are_looked_for_share_no_pair_and_those_that_were_found_do() {
        let rig = Rig::new();
        let reserve =
            |port| rig.pairs.reserve(([127, 0, 0, 1], 8554).into(), places(port), client()).expect("a pair");
        let [first, second] = [5000, 5002].map(reserve);
        assert!(!Arc::ptr_eq(&first.pair, &second.pair));
        let now = clock::now();
        let clients = first.pair.clients.clone();
        let heard = |port, from: SocketAddr| match clients.hear(port, from, true, now) {
            Voice::Learnt(learnt) => learnt,
            _ => panic!("nobody is looked for"),
        };
        let moved = heard(Port::Rtp, places(40_000).0);
        assert!(first.is_of(&moved) && !second.is_of(&moved));
        let at = first.follow(&moved).expect("its place is free");
        assert_eq!((at.rtp(), at.rtcp(), at.announced), (places(40_000).0, places(5000).1, places(5000)));
        heard(Port::Rtcp, places(5000).1);
        drop(first);
        assert!(clients.find(places(5000).0).is_none(), "nothing goes there any more");
        assert!(clients.find(places(5000).1).is_some() && clients.find(places(40_000).0).is_some());
        let third = reserve(5000);
        assert!(!Arc::ptr_eq(&at.pair, &third.pair), "one of its places is in use");
        let fourth = reserve(6000);
        assert!(Arc::ptr_eq(&at.pair, &fourth.pair), "the first is looked for no more");
        drop((second, third, fourth, at));
        assert!(clients.is_empty());
        rig.stop();
    }

    #[test]
    fn beyond_some_pairs_an_address_shares_one_and_is_not_looked_for() {
        let rig = Rig::new();
        let reserve =
            |port| rig.pairs.reserve(([127, 0, 0, 1], 8554).into(), places(port), client()).expect("a pair");
        let mut all: Vec<_> = (0..12).map(|n| reserve(5000 + 2 * n)).collect();
        assert_eq!(rig.pairs.pairs().len(), PAIRS_TO_LEARN_AT);
        assert_eq!(
            all.iter().map(|one| one.is_of_crowd()).collect::<Vec<_>>(),
            [[false; 8].as_slice(), &[true; 4]].concat()
        );
        let heard = |reservation: &Arc<Reservation>| {
            let from = places(40_000).0;
            matches!(reservation.pair.clients.hear(Port::Rtp, from, true, clock::now()), Voice::Learnt(_))
        };
        let crowd = all[8].pair.clone();
        assert!(
            all[9..].iter().all(|other| Arc::ptr_eq(&other.pair, &crowd)),
            "it is one pair that is shared"
        );
        assert!(!heard(&all[8]), "and nobody is taken for another one there");
        assert_eq!(all.iter().take(8).filter(|one| heard(one)).count(), 7);
        all.retain(|one| !Arc::ptr_eq(&one.pair, &crowd));
        let next = reserve(6000);
        assert!(Arc::ptr_eq(&next.pair, &crowd) && heard(&next), "once the crowd has gone");
        drop((all, next));
        rig.stop();
    }

    #[test]
    fn who_can_not_be_behind_a_nat_and_who_is_not_to_be_learnt_shares_a_pair_at_once() {
        for (learning, local, client_of) in [
            (Learning::Immediate, [127, 0, 0, 1], [127, 0, 0, 2]),
            (Learning::Delayed, [127, 0, 0, 1], [127, 0, 0, 1]),
            (Learning::Off, [127, 0, 0, 1], [192, 0, 2, 9]),
        ] {
            let rig = Rig::learning(learning);
            let all: Vec<_> = (0..3u16)
                .map(|n| {
                    let places = [5000, 5001].map(|port| SocketAddr::from((client_of, port + 2 * n)));
                    rig.pairs.reserve((local, 8554).into(), places.into(), client()).expect("a pair")
                })
                .collect();
            assert_eq!(rig.pairs.pairs().len(), 1);
            assert!(all.iter().all(|one| !one.is_searched_for() && !one.pair.rtp.listens()));
            let from = SocketAddr::from((client_of, 40_000));
            let voice = all[0].pair.clients.hear(Port::Rtp, from, true, clock::now());
            assert!(matches!(voice, Voice::Stranger));
            drop(all);
            rig.stop();
        }
    }

    #[test]
    fn a_range_of_one_pair_serves_all_and_learns_of_nobody_who_shares_it() {
        let rig = Rig::new();
        let only = rig.pairs.reserve(([127, 0, 0, 1], 8554).into(), places(5000), client()).expect("a pair");
        let range = Some(only.pair.port..=only.pair.port + 1);
        let pairs = PortPairs { ports: range, ..rig.pairs };
        let second = pairs.reserve(([127, 0, 0, 1], 8554).into(), places(5002), client()).expect("the same");
        assert!(Arc::ptr_eq(&only.pair, &second.pair));
        let voice = only.pair.clients.hear(Port::Rtp, places(40_000).0, true, clock::now());
        assert!(matches!(voice, Voice::Stranger));
        drop((only, second));
        Rig { pairs, ..rig }.stop();
    }

    #[test]
    fn what_comes_to_a_port_for_rtp_is_looked_at_while_somebody_is_looked_for() {
        let rig = Rig::new();
        let here = SocketAddr::from(([127, 0, 0, 1], 8554));
        // Behind this host, as far as its server knows: nobody comes from there by UDP.
        let far = rig.pairs.reserve(here, places(5000), client()).expect("a pair");
        let server = SocketAddr::from(([127, 0, 0, 1], far.pair.port));
        let stranger = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
        let punch = || assert_eq!(stranger.send_to(&[], server).expect("lo takes packets"), 0);
        let strangers = || rig.pairs.counters.read(0).rtp_strangers;
        punch();
        assert!(rig.pairs.glance_for_clients(clock::now()).is_empty());
        assert_eq!(strangers(), 1);
        drop(far);
        assert!(rig.pairs.look_for_clients(clock::now()).is_empty());
        punch();
        assert!(rig.pairs.look_for_clients(clock::now()).is_empty());
        assert_eq!(strangers(), 1, "the kernel drops it");
        rig.stop();
    }
}
