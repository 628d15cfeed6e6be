//! Groups on shared sockets over loopback: one socket for many, another when it is full, and trying again.

use super::super::super::merging::Sockets;
use super::super::joining::Pass;
use super::super::memberships::groups_of;
use super::super::port_counts::AllCounts;
use super::super::routes::{Kind, Owner, Route, Routes};
use super::*;
use crate::event::{Class, TaskQueue, Work, clock, lock};
use crate::net::{Group, bind_pair};
use crate::relay::rig::{self, ROOMY, by_hand, outward};
use crate::relay::{Busy, Claim, Coalesce, RefusedTotals};
use crate::wire::{rtp, sdp};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Weak;
use std::thread;

struct Rig {
    queue: Arc<TaskQueue>,
    poller: Arc<Poller>,
    timers: Arc<Timers>,
    receivers: Arc<Receivers>,
}

impl Rig {
    fn new() -> Self {
        Self::with_workers(1)
    }

    fn with_workers(workers: usize) -> Self {
        Self::with_turns(workers, LONGEST_TURN)
    }

    fn with_turns(workers: usize, longest_turn: Duration) -> Self {
        let queue = TaskQueue::start("t-ingest", 1).expect("a thread");
        let poller = Poller::new(64, workers, queue.clone(), queue.clone()).expect("a thread");
        let timers = Timers::start(&poller, Class::Control).expect("a timer");
        let busy = Busy::new(workers, 0.5, || false);
        let receivers = Receivers::with_turns(poller.clone(), timers.clone(), busy, 10, longest_turn);
        Self { queue, poller, timers, receivers }
    }

    fn stop(self) {
        self.receivers.stop();
        self.poller.stop();
        self.timers.stop();
        self.queue.stop();
    }
}

fn channel(last: u8, port: u16, source: Option<IpAddr>) -> Arc<Channel> {
    let group = IpAddr::V4(Ipv4Addr::new(239, 77, 70, last));
    let name = format!("channel-{last}");
    rig::channel(&name, sdp::mpegts(&name, group, port, source))
}

/// An even UDP port that nobody has, nor the next.
fn free_port() -> u16 {
    bind_pair(([0, 0, 0, 0], 0).into(), None, &[]).expect("a free pair").port
}

fn sockets_on(rig: &Rig, port: u16) -> usize {
    rig.receivers.sockets.state().receivers.iter().filter(|receiver| receiver.port == port).count()
}

fn interface_of(rig: &Rig, channel: &Channel) -> Option<u32> {
    let leg = rig.receivers.joinings.legs_of(&channel.tracks[0]).remove(0);
    rig.receivers.sockets.state().memberships.interfaces().get(&Arc::as_ptr(&leg).addr()).copied()
}

fn sole_leg(track: &Arc<Track>) -> Arc<Leg> {
    let none: Weak<dyn Sockets> = Weak::<SharedSockets>::new();
    Leg::all_of(track, Redundancy::default(), &none).remove(0)
}

fn leg_of(channel: &Channel) -> Arc<Leg> {
    sole_leg(&channel.tracks[0])
}

fn is_joined(channel: &Channel) -> bool {
    channel.tracks[0].stats(clock::now()).joined
}

#[test]
fn groups_of_one_port_share_a_socket_until_the_kernel_says_that_it_is_full() {
    let limit = fs::read_to_string("/proc/sys/net/ipv4/igmp_max_memberships").expect("Linux");
    let limit: u8 = limit.trim().parse().unwrap_or(20).min(100);
    let rig = Rig::new();
    let port = free_port();
    let channels: Vec<_> = (1..=limit + 5).map(|last| channel(last, port, None)).collect();
    channels.iter().for_each(|channel| rig.receivers.receive(channel, Some("lo")));
    assert!(channels.iter().all(|channel| is_joined(channel)));
    let expected = if limit < 100 { 2 } else { 1 };
    assert_eq!([sockets_on(&rig, port), sockets_on(&rig, port + 1)], [expected; 2], "RTP and RTCP");
    rig.receivers.stop();
    assert!(!channels.iter().any(|channel| is_joined(channel)), "left at the end");
    rig.stop();
}

#[test]
fn streams_are_spread_over_as_many_tables_as_there_are_workers() {
    let rig = Rig::with_workers(2);
    let channels: Vec<_> = (1..=6).map(|last| channel(last, free_port(), None)).collect();
    channels.iter().for_each(|channel| rig.receivers.receive(channel, Some("lo")));
    let state = rig.receivers.sockets.state();
    let streams = |intake: usize| -> usize {
        let own = state.receivers.iter().filter(|receiver| receiver.intake == intake);
        own.map(|receiver| receiver.streams()).sum()
    };
    assert_eq!((0..state.intakes.len()).map(streams).collect::<Vec<_>>(), [3, 3]);
    drop(state);
    rig.stop();
}

#[test]
fn two_channels_of_one_group_each_have_it() {
    let rig = Rig::new();
    let port = free_port();
    let twins = [channel(200, port, None), channel(200, port, None)];
    twins.iter().for_each(|channel| rig.receivers.receive(channel, Some("lo")));
    assert!(twins.iter().all(|channel| is_joined(channel)));
    assert_eq!(sockets_on(&rig, port), 2);
    rig.stop();
}

/// One look at where everything is to be received.
fn follow(rig: &Rig) {
    rig.receivers.looks.expect_change();
    rig.receivers.looks.clone().run();
}

/// As if what is joined were joined on an interface of before.
fn misplace(rig: &Rig, channel: &Channel) {
    let leg = rig.receivers.joinings.legs_of(&channel.tracks[0]).remove(0);
    let mut state = rig.receivers.sockets.state();
    for joined in state.memberships.take(&leg, None) {
        let group = Group { interface: joined.group.interface + 1000, ..joined.group };
        state.memberships.add(group, joined.receiver, joined.route);
    }
}

#[test]
fn what_is_missing_is_looked_for_again_and_what_is_there_is_joined_once() {
    let rig = Rig::new();
    let [missing, there] = [201, 207].map(|last| channel(last, free_port(), None));
    rig.receivers.receive(&missing, Some("nowhere7"));
    assert!(!is_joined(&missing));
    assert_eq!(rig.receivers.sockets.state().receivers.len(), 0, "no socket waits for it");
    rig.receivers.receive(&there, Some("lo"));
    assert_eq!(rig.timers.len(), 1, "one look for all");
    follow(&rig);
    follow(&rig);
    assert!(is_joined(&there) && !is_joined(&missing));
    assert_eq!(rig.receivers.sockets.state().receivers.len(), 2);
    assert_eq!(rig.timers.len(), 1, "it does not give up, and looks no more often for it");
    rig.stop();
}

#[test]
fn groups_of_an_interface_that_was_replaced_are_joined_again() {
    let rig = Rig::new();
    let port = free_port();
    let [moved, other] = [205, 206].map(|last| channel(last, port, None));
    rig.receivers.receive(&moved, Some("lo"));
    rig.receivers.receive(&other, Some("lo"));
    let lo = interface_of(&rig, &moved);
    misplace(&rig, &moved);
    assert_ne!(interface_of(&rig, &moved), lo);
    follow(&rig);
    assert!(is_joined(&moved) && is_joined(&other));
    assert_eq!([&moved, &other].map(|channel| interface_of(&rig, channel)), [lo, lo]);
    rig.stop();
}

#[test]
fn a_group_is_renewed_by_all_who_have_it_and_only_while_nothing_of_it_comes() {
    let rig = Rig::new();
    let port = free_port();
    let twins = [channel(208, port, None), channel(208, port, None)];
    twins.iter().for_each(|channel| rig.receivers.receive(channel, Some("lo")));
    let [silent, other] = twins.each_ref().map(|channel| &channel.tracks[0]);
    let now = clock::now();
    let renew = |after: u64| {
        let before = rig.receivers.renewals();
        rig.receivers.renew(silent, now + Duration::from_secs(after));
        rig.receivers.renewals() - before
    };
    other.signs.set_missing(false);
    assert_eq!(renew(0), 0, "the other one gets it");
    other.signs.set_missing(true);
    assert_eq!(renew(1), 1);
    assert_eq!(renew(5), 0, "not all the time");
    rig.receivers.renew(other, now + Duration::from_secs(9));
    assert_eq!(rig.receivers.renewals(), 1, "nor for the other one");
    assert_eq!(renew(11), 1);
    assert!(twins.iter().all(|channel| is_joined(channel)));
    misplace(&rig, &twins[0]);
    assert_eq!(renew(22), 1);
    assert!(!is_joined(&twins[0]), "its interface is none");
    let mut pass = Pass::over(rig.receivers.sockets.state().memberships.interfaces(), true);
    let joinings = rig.receivers.joinings.those(|_| true);
    joinings.iter().for_each(|joining| {
        joining.follow(&rig.receivers.sockets, &mut pass);
    });
    assert_eq!(pass.noted(), ["Mended"], "no interface was replaced");
    assert!(is_joined(&twins[0]), "so it is looked for anew");
    rig.stop();
}

#[test]
fn of_two_sources_of_a_group_one_is_renewed_alone_and_beside_any_source_none() {
    let rig = Rig::new();
    let port = free_port();
    let [seven, eight] = [7, 8].map(|last| Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last))));
    let [silent, flows, any] = [seven, eight, None].map(|source| channel(209, port, source));
    rig.receivers.receive(&silent, Some("lo"));
    rig.receivers.receive(&flows, Some("lo"));
    flows.tracks[0].signs.set_missing(false);
    let now = clock::now();
    rig.receivers.renew(&silent.tracks[0], now);
    assert_eq!(rig.receivers.renewals(), 1);
    rig.receivers.receive(&any, Some("lo"));
    rig.receivers.renew(&silent.tracks[0], now + Duration::from_secs(20));
    assert_eq!(rig.receivers.renewals(), 1, "the network is asked for all sources, and one of them sends");
    rig.stop();
}

#[test]
fn a_group_from_one_source_and_from_any_are_on_sockets_of_their_own() {
    let [any, one] = [channel(202, 5004, None), channel(203, 5004, None)]
        .map(|channel| Route { leg: leg_of(&channel), kind: Kind::Media });
    let [source, other, stranger] = [7, 8, 9].map(|last| IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)));
    let group = IpAddr::V4(Ipv4Addr::new(239, 77, 70, 204));
    let of = |address, source| Group { address, source, except: vec![], interface: 1 };
    let found = |routes: &Routes, address, from| match routes.find(address, from, &[0x80, 33]) {
        Some(Owner::Media(leg)) => Some(leg.feed.group),
        _ => None,
    };
    let [of_any, of_one] = [&any, &one].map(|route| Some(route.leg.feed.group));
    let mut routes = Routes::default();
    assert!(routes.insert(&of(group, None), &any));
    assert!(!routes.insert(&of(group, Some(source)), &one), "the kernel would take it from that one alone");
    assert!(!routes.insert(&of(group, None), &one), "the place is taken");
    assert_eq!(found(&routes, group, stranger), of_any);
    assert!(routes.remove(&of(group, None), &any), "nothing is left");
    assert!(routes.insert(&of(group, Some(source)), &one) && routes.insert(&of(group, Some(other)), &any));
    assert!(!routes.insert(&of(group, None), &any));
    assert_eq!([source, other, stranger].map(|from| found(&routes, group, from)), [of_one, of_any, None]);
    // An address of this machine has no filter in the kernel.
    let own = IpAddr::V4(Ipv4Addr::LOCALHOST);
    assert!(routes.insert(&of(own, None), &any) && routes.insert(&of(own, Some(source)), &one));
    assert_eq!([source, stranger].map(|from| found(&routes, own, from)), [of_one, of_any]);
}

#[test]
fn who_is_excluded_is_nobodys_and_others_who_exclude_another_have_a_place_elsewhere() {
    let route = Route { leg: leg_of(&channel(205, 5004, None)), kind: Kind::Rtcp };
    let address = IpAddr::V4(Ipv4Addr::new(239, 77, 70, 205));
    let [excluded, other] = [7, 8].map(|last| IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)));
    let all_but = |except| Group { address, source: None, except, interface: 1 };
    let mut routes = Routes::default();
    assert!(routes.insert(&all_but(vec![excluded]), &route));
    assert!(!routes.insert(&all_but(vec![]), &route) && !routes.has(&all_but(vec![])));
    assert!(routes.insert(&all_but(vec![excluded]), &route) && routes.has(&all_but(vec![excluded])));
    assert!(routes.find(address, excluded, &[0x80, 200]).is_none());
    assert!(routes.find(address, other, &[0x80, 200]).is_some());
}

#[test]
fn a_port_of_one_tracks_reports_and_anothers_media_tells_them_apart() {
    let [media, reports, muxed] = [202, 203, 204].map(|last| channel(last, 5004, None));
    let mut muxed = muxed.tracks[0].description.clone();
    muxed.feeds[0].rtcp_port = Some(muxed.feeds[0].port);
    let muxed = Track::new(&outward("m"), 1, muxed, ROOMY, Coalesce::Auto, &by_hand(), clock::now());
    let group = IpAddr::V4(Ipv4Addr::new(239, 77, 70, 204));
    let rtcp = Route { leg: leg_of(&reports), kind: Kind::Rtcp };
    for track in [&media.tracks[0], &muxed] {
        let rtp = Route { leg: sole_leg(track), kind: Kind::Media };
        let (of, mut routes) = (groups_of(&rtp.leg.feed, 1).remove(0), Routes::default());
        let of = Group { address: group, ..of };
        assert!(routes.insert(&of, &rtcp) && routes.insert(&of, &rtp));
        let heirs = |second: u8| match routes.find(group, Ipv4Addr::LOCALHOST.into(), &[0x80, second]) {
            Some(Owner::Media(owner)) if Arc::ptr_eq(&owner.track, track) => 0,
            Some(Owner::Rtcp(owners)) if Arc::ptr_eq(&owners[0], &rtcp.leg) => owners.len(),
            _ => panic!("it is somebody's"),
        };
        let reported_to = if rtp.leg.feed.is_muxed() { 2 } else { 1 };
        assert_eq!([33, 161, 200, 206, 223].map(heirs), [0, 0, reported_to, reported_to, reported_to]);
        assert_eq!((routes.len(), routes.streams()), (1, 1));
        assert!(!routes.remove(&of, &rtp) && routes.remove(&of, &rtcp));
    }
}

/// The first of so many UDP ports in a row that nobody has.
fn free_ports(count: u16) -> u16 {
    loop {
        let first = free_port();
        let binds = |port| std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok();
        if (first..=u16::MAX - count).contains(&first) && (first..first + count).all(binds) {
            return first;
        }
    }
}

/// Where each channel's RTCP would come, the next one's RTP does: in one group, and in a group each.
#[test]
fn channels_on_neighbouring_ports_have_a_socket_a_port_and_lose_nothing() {
    for groups in [[221, 221, 221], [221, 222, 223]] {
        let rig = Rig::new();
        let first = free_ports(4);
        let channels = [0, 1, 2].map(|n| channel(groups[n], first + n as u16, None));
        channels.iter().for_each(|channel| rig.receivers.receive(channel, Some("lo")));
        assert_eq!([0, 1, 2, 3].map(|n| sockets_on(&rig, first + n)), [1; 4]);
        let source = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        socket2::SockRef::from(&source).set_multicast_if_v4(&Ipv4Addr::LOCALHOST).expect("loopback");
        let report = [0x80, 201, 0, 1, 0, 0, 0, 7];
        for sequence in 0..20 {
            for channel in &channels {
                let track = &channel.tracks[0].description.feeds[0];
                let rtp = [0x80, 33, 0, sequence, 0, 0, 0, 0, 0, 0, 0, 7, 0x47];
                source.send_to(&rtp, (track.group, track.port)).expect("sent");
                source.send_to(&report, (track.group, track.rtcp_port.expect("RTCP"))).expect("sent");
            }
        }
        let heads = |channel: &Arc<Channel>| {
            [&channel.tracks[0].rtp, &channel.tracks[0].rtcp].map(|flow| flow.ring().head())
        };
        wait_until("all of it is there", || channels.iter().all(|channel| heads(channel) == [20, 20]));
        for channel in &channels {
            let stats = channel.tracks[0].stats(clock::now());
            assert_eq!((stats.reception.packets(), stats.refused), (20, RefusedTotals::default()));
        }
        assert!(rig.receivers.stats().iter().all(|port| port.stray == 0));
        // One goes: the others stay, and so they do over a renewal.
        rig.receivers.sockets.leave(&rig.receivers.joinings.legs_of(&channels[0].tracks[0])[0], None);
        channels.iter().for_each(|channel| channel.tracks[0].signs.set_missing(true));
        rig.receivers.renew(&channels[1].tracks[0], clock::now());
        assert_eq!(rig.receivers.renewals(), 1);
        assert_eq!(channels.each_ref().map(|channel| is_joined(channel)), [false, true, true]);
        let to = &channels[1].tracks[0].description.feeds[0];
        source.send_to(&[0x80, 33, 0, 20, 0, 0, 0, 0, 0, 0, 0, 7, 0x47], (to.group, to.port)).expect("sent");
        wait_until("it still comes", || heads(&channels[1]) == [21, 20]);
        rig.stop();
    }
}

/// It is joined again for whoever comes, but not at once: meanwhile it is known that nothing comes.
#[test]
fn who_comes_after_it_was_left_does_not_begin_with_a_packet_of_before() {
    let rig = Rig::new();
    let news = channel(231, free_port(), None);
    news.demand.be_needed(Duration::ZERO);
    let claim = Claim::on(&news.demand);
    rig.receivers.receive(&news, Some("lo"));
    follow(&rig);
    let (track, now) = (&news.tracks[0], clock::now());
    let packet = [0x80, 33, 0, 7, 0, 0, 0, 0, 0, 0, 0, 7, 0x47];
    let from = SocketAddr::from(([192, 0, 2, 1], 4000));
    assert!(track.receive(&rtp::check(&packet).expect("RTP"), &packet, from, now));
    assert!(is_joined(&news) && track.start(now).is_some());
    drop(claim);
    follow(&rig);
    assert!(!is_joined(&news) && track.start(now).is_none());
    rig.stop();
}

#[test]
fn what_a_port_has_counted_outlives_its_sockets() {
    let counts = AllCounts::default();
    let of_socket = counts.of(5004);
    of_socket.stray.fetch_add(3, Relaxed);
    drop(of_socket);
    counts.of(5004).stray.fetch_add(1, Relaxed);
    assert_eq!(counts.read(), [PortStats { port: 5004, overflow: 0, stray: 4, left: 0, errors: 0 }]);
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let until = clock::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(clock::now() < until, "in vain: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_look_that_takes_long_goes_on_in_further_tasks() {
    let rig = Rig::with_turns(1, Duration::ZERO);
    let port = free_port();
    let channels = [210, 211, 212].map(|last| channel(last, port, None));
    channels.iter().for_each(|channel| rig.receivers.receive(channel, Some("lo")));
    let lo = interface_of(&rig, &channels[0]);
    channels.iter().for_each(|channel| misplace(&rig, channel));
    follow(&rig);
    let tasks = || rig.queue.stats().tasks.get("FollowInterfaces").copied().unwrap_or_default();
    wait_until("three tasks after the first", || tasks() >= 3);
    assert!(channels.iter().all(|channel| interface_of(&rig, channel) == lo));
    rig.stop();
}

#[test]
fn a_fault_at_one_group_is_counted_and_the_look_goes_on_behind_it() {
    let rig = Rig::new();
    let port = free_port();
    let [first, second] = [213, 214].map(|last| channel(last, port, None));
    [&first, &second].into_iter().for_each(|channel| rig.receivers.receive(channel, Some("lo")));
    let lo = interface_of(&rig, &second);
    misplace(&rig, &second);
    rig.poller.vitals().provoke("follow", "");
    let faults = || rig.poller.vitals().faults().any(|counted| counted == ("watch", 1));
    wait_until("a fault", faults);
    wait_until("the second is followed", || interface_of(&rig, &second) == lo);
    rig.stop();
}

#[test]
fn a_fault_of_a_silence_watch_is_counted_and_it_watches_on() {
    let rig = Rig::new();
    let channel = channel(215, free_port(), None);
    rig.poller.vitals().provoke("silence", "");
    crate::ingest::SilenceWatch::start(&channel, &rig.receivers, &rig.timers);
    wait_until("a fault", || rig.poller.vitals().faults().any(|counted| counted == ("watch", 1)));
    wait_until("another look is due", || rig.timers.len() == 1);
    rig.stop();
}

#[test]
fn who_only_looks_does_not_wait_for_the_kernel() {
    let rig = Rig::new();
    let channel = channel(216, free_port(), None);
    rig.receivers.receive(&channel, Some("lo"));
    let leg = rig.receivers.joinings.legs_of(&channel.tracks[0]).remove(0);
    let in_the_kernel = lock(&rig.receivers.sockets.operations);
    let (receivers, track) = (rig.receivers.clone(), channel.tracks[0].clone());
    let renewal = thread::spawn(move || receivers.renew(&track, clock::now()));
    let receivers = rig.receivers.clone();
    let leaving = thread::spawn(move || receivers.sockets.leave(&leg, None));
    for _ in 0..20 {
        thread::sleep(Duration::from_millis(1));
        assert_eq!(rig.receivers.stats().len(), 2);
    }
    drop(in_the_kernel);
    [renewal, leaving].into_iter().for_each(|thread| thread.join().expect("no panic"));
    rig.stop();
}

#[test]
fn what_can_not_be_joined_starts_no_table() {
    let rig = Rig::new();
    let channel = channel(217, free_port(), None);
    let before = rig.poller.stats().len();
    assert!(rig.receivers.sockets.open(&leg_of(&channel), u32::MAX >> 1).is_err());
    assert_eq!(rig.poller.stats().len(), before);
    assert!(rig.receivers.sockets.state().intakes.is_empty());
    rig.stop();
}

#[test]
fn a_socket_that_only_fails_is_given_up_for_another_one() {
    let rig = Rig::new();
    let port = free_port();
    let channel = channel(218, port, None);
    rig.receivers.receive(&channel, Some("lo"));
    let on_port = || rig.receivers.sockets.state().receivers.iter().find(|one| one.port == port).cloned();
    let fails = on_port().expect("a socket");
    // A connected socket is told of closed ports, each time it sends to one.
    let socket = socket2::SockRef::from(&*fails.socket);
    let closed = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    socket.connect(&closed.into()).expect("no packet is sent");
    let errors =
        || rig.receivers.stats().iter().filter(|stats| stats.port == port).map(|stats| stats.errors).sum();
    wait_until("ten errors", || {
        let before: u64 = errors();
        // Where the last error was not taken in time, sending takes it in place of the receiver.
        if socket.send(b"x").is_ok() {
            let taken_by = clock::now() + Duration::from_millis(100);
            while errors() == before && clock::now() < taken_by {
                thread::sleep(Duration::from_millis(1));
            }
        }
        fails.has_failed()
    });
    assert!(errors() >= 10);
    wait_until("it is joined again", || {
        follow(&rig); // for a tenth of a second at most
        is_joined(&channel)
    });
    assert_eq!(sockets_on(&rig, port), 1);
    assert!(!Arc::ptr_eq(&fails, &on_port().expect("a socket")), "another one");
    rig.stop();
}
