//! Pairs of ports, and who is at them.

use super::super::taker::nobody;
use super::*;
use crate::event::{Class, TaskQueue, clock};

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
        let pairs = PortPairs::new(poller.clone(), timers.clone(), None, (false, learning), Arc::default());
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
    let reserve = || pairs.reserve(([127, 0, 0, 1], 8554).into(), places.into(), nobody(1)).expect("a pair");
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
    let viewer = pairs.reserve(([127, 0, 0, 1], 8554).into(), places.into(), nobody(1)).expect("a pair");
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
        pairs.reserve(([127, 0, 0, host], 8554).into(), (viewer(port), viewer(port + 1)), nobody(1))
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
        |port| rig.pairs.reserve(([127, 0, 0, 1], 8554).into(), places(port), nobody(1)).expect("a pair");
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
fn who_was_found_elsewhere_leaves_the_place_that_it_named() {
    let rig = Rig::new();
    let reserve =
        |places| rig.pairs.reserve(([127, 0, 0, 1], 8554).into(), places, nobody(1)).expect("a pair");
    let now = clock::now();
    let found = |at: &Arc<Reservation>, port, from: SocketAddr| {
        let Voice::Learnt(learnt) = at.pair.clients.hear(port, from, true, now) else {
            panic!("not looked for")
        };
        at.follow(&learnt).expect("its place is free")
    };
    let named = places(5000);
    // What goes to RTP keeps that place alone, whatever becomes of the other one.
    let mut first = reserve(named);
    let clients = first.pair.clients.clone();
    first = found(&first, Port::Rtp, places(40_000).0);
    let held = first.hold(Port::Rtp);
    first = found(&first, Port::Rtcp, places(40_000).1);
    assert!([named.0, named.1].iter().all(|place| clients.find(*place).is_none()));
    drop(first);
    assert!(clients.find(places(40_000).0).is_some() && clients.find(places(40_000).1).is_none());
    drop(held);
    // Of a transport stream without RTP both places are one.
    let raw = found(&reserve((named.0, named.0)), Port::Rtp, places(40_000).0);
    assert!(clients.find(named.0).is_none() && clients.find(raw.rtcp()).is_some());
    drop(raw);
    rig.stop();
}

#[test]
fn beyond_some_pairs_an_address_shares_one_and_is_not_looked_for() {
    let rig = Rig::new();
    let reserve =
        |port| rig.pairs.reserve(([127, 0, 0, 1], 8554).into(), places(port), nobody(1)).expect("a pair");
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
    assert!(all[9..].iter().all(|other| Arc::ptr_eq(&other.pair, &crowd)), "it is one pair that is shared");
    assert!(!heard(&all[8]), "and nobody is taken for another one there");
    assert_eq!(all.iter().take(8).filter(|one| heard(one)).count(), 7);
    all.retain(|one| !Arc::ptr_eq(&one.pair, &crowd));
    let next = reserve(6000);
    assert!(Arc::ptr_eq(&next.pair, &crowd) && heard(&next), "once the crowd has gone");
    drop((all, next));
    rig.stop();
}

#[test]
fn whose_places_are_taken_at_all_pairs_is_looked_for_at_one_of_its_own() {
    let rig = Rig::new();
    let reserve =
        || rig.pairs.reserve(([127, 0, 0, 1], 8554).into(), places(5000), nobody(1)).expect("a pair");
    let all: Vec<_> = (0..=PAIRS_TO_LEARN_AT).map(|_| reserve()).collect();
    assert_eq!(rig.pairs.pairs().len(), PAIRS_TO_LEARN_AT + 1, "each names the same ports");
    assert!(all.iter().all(|one| one.is_searched_for() && !one.is_of_crowd() && one.pair.rtp.listens()));
    drop(all);
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
                rig.pairs.reserve((local, 8554).into(), places.into(), nobody(1)).expect("a pair")
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
    let only = rig.pairs.reserve(([127, 0, 0, 1], 8554).into(), places(5000), nobody(1)).expect("a pair");
    let range = Some(only.pair.port..=only.pair.port + 1);
    let pairs = PortPairs { ports: range, ..rig.pairs };
    let second = pairs.reserve(([127, 0, 0, 1], 8554).into(), places(5002), nobody(1)).expect("the same");
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
    let far = rig.pairs.reserve(here, places(5000), nobody(1)).expect("a pair");
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
