//! Groups on shared sockets over loopback: one socket for many, another when it is full, and trying again.

use super::*;
use crate::event::{Class, TaskQueue};
use crate::net::bind_pair;
use crate::relay::rig::{ROOMY, by_hand};
use crate::relay::{Busy, Coalesce};
use crate::wire::sdp;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};

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
        let queue = TaskQueue::start("t-ingest", 1).expect("a thread");
        let poller = Poller::new(64, workers, queue.clone(), queue.clone()).expect("a thread");
        let timers = Timers::start(&poller, Class::Control).expect("a timer");
        let receivers = Receivers::new(poller.clone(), timers.clone(), Busy::new(workers, 0.5, || false));
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
    let presentation = sdp::mpegts(&name, group, port, source);
    Channel::new(name, presentation, Duration::from_secs(2), ROOMY, Coalesce::Auto, &by_hand(), clock::now())
}

/// An even UDP port that nobody has, nor the next.
fn free_port() -> u16 {
    bind_pair(([0, 0, 0, 0], 0).into(), None, &[]).expect("a free pair").port
}

fn sockets_on(rig: &Rig, port: u16) -> usize {
    rig.receivers.stats().iter().filter(|receiver| receiver.port == port).count()
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
    let state = rig.receivers.state();
    let streams = |intake: &Arc<Intake>| -> usize {
        state
            .receivers
            .iter()
            .filter(|receiver| receiver.is_of(intake))
            .map(|receiver| receiver.streams())
            .sum()
    };
    assert_eq!(state.intakes.iter().map(streams).collect::<Vec<_>>(), [3, 3]);
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

#[test]
fn a_missing_interface_is_tried_again_later() {
    let rig = Rig::new();
    let channel = channel(201, free_port(), None);
    rig.receivers.receive(&channel, Some("nowhere7"));
    assert!(!is_joined(&channel));
    assert_eq!(rig.timers.len(), 1, "one more try is due");
    assert_eq!(rig.receivers.stats().len(), 0, "and no socket waits for it");
    let intake = |interface: &str| Joining {
        receivers: Arc::downgrade(&rig.receivers),
        channel: channel.name.clone(),
        track: channel.tracks[0].clone(),
        interface: Some(interface.to_owned()),
    };
    Arc::new(intake("nowhere7")).run();
    assert_eq!(rig.timers.len(), 2, "it does not give up");
    Arc::new(intake("lo")).run();
    assert!(is_joined(&channel));
    assert_eq!(rig.timers.len(), 2, "what has succeeded is not tried again");
    Arc::new(intake("lo")).run();
    assert_eq!(rig.receivers.stats().len(), 2, "nor is anything joined twice");
    rig.stop();
}

#[test]
fn groups_of_an_interface_that_was_replaced_are_joined_again() {
    let rig = Rig::new();
    let port = free_port();
    let [moved, other] = [205, 206].map(|last| channel(last, port, None));
    rig.receivers.receive(&moved, Some("lo"));
    rig.receivers.receive(&other, Some("lo"));
    rig.receivers.renew(&moved.name);
    assert_eq!(sockets_on(&rig, port), 1, "the interface is the one it was");
    let was = rig.receivers.state().memberships[0].0.interface;
    for (group, _, track) in &mut rig.receivers.state().memberships {
        group.interface = if Arc::ptr_eq(track, &moved.tracks[0]) { was + 1000 } else { was };
    }
    rig.receivers.renew(&moved.name);
    assert!(is_joined(&moved) && is_joined(&other));
    let memberships = rig.receivers.state().memberships.clone();
    assert_eq!(memberships.len(), 4);
    assert!(memberships.iter().all(|(group, ..)| group.interface == was));
    rig.stop();
}

#[test]
fn a_route_with_a_source_goes_before_one_for_any() {
    let (any, one) = (channel(202, 5004, None), channel(203, 5004, None));
    let route = |channel: &Arc<Channel>| Route { track: channel.tracks[0].clone(), kind: Kind::Rtp };
    let group = IpAddr::V4(Ipv4Addr::new(239, 77, 70, 204));
    let [source, stranger] = [7, 8].map(|last| IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)));
    let mut routes = super::super::routes::Routes::default();
    assert!(routes.insert(group, None, route(&any)));
    assert!(routes.insert(group, Some(source), route(&one)));
    assert!(!routes.insert(group, None, route(&one)), "the place is taken");
    let found = |from| routes.find(group, from).map(|route| route.track.description.group);
    assert_eq!(found(source), Some(one.tracks[0].description.group));
    assert_eq!(found(stranger), Some(any.tracks[0].description.group));
    routes.remove(group, None);
    assert!(routes.find(group, stranger).is_none());
}
