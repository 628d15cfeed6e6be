//! Groups, sources and interfaces: who is heard, and where.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV6};

use crate::vocabulary::{
    Connection, Group, Needs, Over, Plug, Setup, Source, Viewer, eventually, in_a_network_of_its_own,
};

#[test]
fn channels_on_one_port_never_mix() {
    let mut first = Source::new();
    let mut second = Source::to(first.group.beside());
    let mut unasked = Source::to(first.group.beside());
    let mirrorball = Setup::new().channel("first", first.group).channel("second", second.group).start();
    let mut viewers = ["first", "second"].map(|name| Viewer::playing(&mirrorball, name, Over::Udp));
    for _ in 0..20 {
        first.send(1);
        unasked.send(1);
        second.send(2);
    }
    viewers[0].expect_packets(&first, 0..20);
    viewers[1].expect_packets(&second, 0..40);
    viewers.iter_mut().for_each(Viewer::expect_silence);
    mirrorball.expect_metric("mirrorball_channel_packets_total", &[], 60.0);
}

#[test]
fn a_source_specific_channel_hears_its_source_alone() {
    let group = Group::source_specific();
    let mut source = Source::from(Ipv4Addr::new(127, 0, 0, 7), group);
    let mut other = Source::from(Ipv4Addr::new(127, 0, 0, 8), group);
    let url = format!("rtp://127.0.0.7@{group}");
    let mirrorball = Setup::new().channel_from("news", &url).start();
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
    other.send(5);
    source.send(5);
    other.send(5);
    viewer.expect_packets(&source, 0..5);
    viewer.expect_silence();
    mirrorball.expect_metric("mirrorball_channel_packets_total", &[("channel", "news")], 5.0);
}

#[test]
fn of_several_sources_each_is_heard_and_no_other() {
    let group = Group::source_specific();
    let [mut first, mut second, mut other] = from_hosts([7, 8, 9], group);
    let url = format!("rtp://127.0.0.8,127.0.0.7@{group}");
    let mirrorball = Setup::new().channel_from("news", &url).start();
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
    for source in [&mut first, &mut second] {
        other.send(5);
        source.send(5);
        viewer.expect_packets(source, 0..5);
    }
    viewer.expect_silence();
    mirrorball.expect_metric("mirrorball_channel_packets_total", &[("channel", "news")], 10.0);
    for host in [7, 8] {
        let is_asked = || (asked_for(group, host) == Some((2, 0))).then_some(());
        eventually("it is asked for, by a socket for media and one for reports", is_asked);
    }
}

#[test]
fn who_is_excluded_is_heard_no_more_than_by_a_channel_that_takes_all() {
    let group = Group::fresh();
    let [mut source, mut other] = from_hosts([7, 9], group);
    let sdp = format!(
        "v=0\r\ns=news\r\nt=0 0\r\nc=IN IP4 {}/8\r\nm=video {} RTP/AVP 33\r\n\
         a=source-filter: excl IN IP4 * 127.0.0.9\r\n",
        group.0.ip(),
        group.0.port()
    );
    let mirrorball = Setup::new().described("news", &sdp).channel("all", group).start();
    let [mut news, mut all] = ["news", "all"].map(|name| Viewer::playing(&mirrorball, name, Over::Udp));
    other.send(5);
    all.expect_packets(&other, 0..5);
    source.send(5);
    all.expect_packets(&source, 0..5);
    news.expect_packets(&source, 0..5);
    news.expect_silence();
    let is_excluded = || (asked_for(group, 9) == Some((0, 2))).then_some(());
    eventually("it is excluded by two sockets, and not by the other channel's", is_excluded);
}

fn from_hosts<const N: usize>(last: [u8; N], group: Group) -> [Source; N] {
    last.map(|last| Source::from(Ipv4Addr::new(127, 0, 0, last), group))
}

/// How many sockets of this machine have this host as a source of a group, and how many exclude it (`/proc/net/mcfilter`).
fn asked_for(group: Group, host: u8) -> Option<(u32, u32)> {
    let hex = |address: Ipv4Addr| format!("0x{:08x}", u32::from(address));
    let addresses = [hex(*group.0.ip()), hex(Ipv4Addr::new(127, 0, 0, host))];
    let filters = fs::read_to_string("/proc/thread-self/net/mcfilter").expect("Linux tells");
    let counts = filters.lines().filter_map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        let [_, _, group, source, included, excluded] = words[..] else { return None };
        let is_it = addresses == [group, source];
        is_it.then(|| (included.parse().expect("a count"), excluded.parse().expect("a count")))
    });
    counts.max()
}

#[test]
fn ten_sources_of_one_group_and_port_are_ten_channels_on_one_socket() {
    let group = Group::source_specific();
    let hosts = [11, 12, 13, 14, 15, 16, 17, 18, 19, 20];
    let mut sources = from_hosts(hosts, group);
    let of = |setup: Setup, host: &u8| {
        setup.channel_from(&format!("host-{host}"), &format!("rtp://127.0.0.{host}@{group}"))
    };
    let mirrorball = hosts.iter().fold(Setup::new(), of).start();
    for host in hosts {
        let is_asked = || (asked_for(group, host) == Some((2, 0))).then_some(());
        eventually("it is asked for, by a socket for media and one for reports", is_asked);
    }
    assert_eq!(mirrorball.udp_sockets(), 2);
    let mut viewers = hosts.map(|host| Viewer::playing(&mirrorball, &format!("host-{host}"), Over::Udp));
    sources.iter_mut().for_each(|source| source.send(5));
    for (viewer, source) in viewers.iter_mut().zip(&sources) {
        viewer.expect_packets(source, 0..5);
        viewer.expect_silence();
    }
}

#[test]
fn three_hundred_channels_are_joined_once_each_on_few_sockets_and_no_more_threads() {
    const CHANNELS: usize = 300;
    let first = Group::fresh();
    let all = |setup: Setup, number: usize| setup.channel(&format!("channel-{number}"), first.beside());
    let one = Setup::new().channel("news", first).start();
    let mirrorball = (0..CHANNELS).fold(Setup::new(), all).start();
    let limit = fs::read_to_string("/proc/sys/net/ipv4/igmp_max_memberships").expect("Linux tells");
    let of_a_socket = limit.trim().parse::<usize>().expect("a number").min(64);
    assert_eq!(one.udp_sockets(), 2, "of media and of reports");
    assert_eq!(mirrorball.udp_sockets(), 2 * CHANNELS.div_ceil(of_a_socket));
    let are_alike = || (mirrorball.threads("") == one.threads("")).then_some(());
    eventually("it has the threads of one with a channel", are_alike);
    mirrorball.expect_metric("mirrorball_group_joins_total", &[], 2.0 * CHANNELS as f64);
    let viewers = [0, 1, 2].map(|_| Viewer::playing(&mirrorball, "channel-7", Over::Tcp));
    mirrorball.expect_metric("mirrorball_group_joins_total", &[], 2.0 * CHANNELS as f64);
    viewers.into_iter().for_each(Viewer::teardown);
}

#[test]
fn who_takes_a_group_from_anybody_is_not_deaf_beside_who_takes_it_from_one() {
    for from_anybody_first in [true, false] {
        let group = Group::fresh();
        let [mut seven, mut eight] = from_hosts([7, 8], group);
        let channels = [("all", format!("rtp://{group}")), ("seven", format!("rtp://127.0.0.7@{group}"))];
        let [first, second] = if from_anybody_first { [0, 1] } else { [1, 0] }.map(|place| &channels[place]);
        let setup = Setup::new().channel_from(first.0, &first.1).channel_from(second.0, &second.1);
        let mirrorball = setup.start();
        let [mut all, mut one] = ["all", "seven"].map(|name| Viewer::playing(&mirrorball, name, Over::Udp));
        eight.send(5);
        all.expect_packets(&eight, 0..5);
        seven.send(5);
        all.expect_packets(&seven, 0..5);
        one.expect_packets(&seven, 0..5);
        one.expect_silence();
    }
}

#[test]
fn more_groups_than_a_socket_takes_are_all_heard() {
    let first = Source::new();
    let groups: Vec<_> = (0..40).map(|_| first.group.beside()).collect();
    let mut sources: Vec<_> = groups.into_iter().map(Source::to).collect();
    let setup = sources.iter().enumerate().fold(Setup::new(), |setup, (number, source)| {
        setup.channel(&format!("channel-{number}"), source.group)
    });
    let mirrorball = setup.start();
    let mut viewers: Vec<_> =
        (0..40).map(|number| Viewer::playing(&mirrorball, &format!("channel-{number}"), Over::Udp)).collect();
    sources.iter_mut().for_each(|source| source.send(3));
    for (viewer, source) in viewers.iter_mut().zip(&sources) {
        viewer.expect_packets(source, 0..3);
    }
    mirrorball.expect_metric("mirrorball_channel_packets_total", &[], 120.0);
}

#[test]
fn a_group_is_joined_on_lo_where_there_is_no_route_at_all() {
    let needs = Needs { programs: &["ip"], route: false, ipv6: false };
    in_a_network_of_its_own("a group on lo without a route", &needs, || {
        let mut source = Source::new();
        let mirrorball = Setup::new().channel("news", source.group).start();
        for over in [Over::Udp, Over::Tcp] {
            let first = source.next;
            let mut viewer = Viewer::playing(&mirrorball, "news", over);
            source.send(5);
            viewer.expect_packets(&source, first.saturating_sub(1)..first + 5);
        }
    });
}

#[test]
fn an_interface_that_goes_and_comes_back_is_joined_again() {
    let needs = Needs { programs: &["ip"], route: false, ipv6: false };
    in_a_network_of_its_own("an interface that goes and comes back", &needs, || {
        let plug = Plug { name: "studio", address: Ipv4Addr::new(10, 77, 0, 1) };
        plug.plug_in();
        let mut source = Source::on(plug.address, plug.address, Group::fresh());
        let mirrorball = Setup::new()
            .channel_on(plug.name, "news", &format!("rtp://{}", source.group))
            .channel_line("silent_after = \"300ms\"")
            .start();
        let mut viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
        source.send(5);
        viewer.expect_packets(&source, 0..5);
        let joined =
            |value| mirrorball.expect_metric("mirrorball_channel_joined", &[("channel", "news")], value);
        joined(1.0);
        plug.unplug();
        joined(0.0);
        eventually("the log tells, whoever has found it", || {
            mirrorball.has_logged("groups are joined no longer").then_some(())
        });
        plug.plug_in();
        joined(1.0);
        let mut returned = Source::on(plug.address, plug.address, source.group);
        returned.send(5);
        viewer.expect_packets(&returned, 0..5);
    });
}

#[test]
fn a_group_of_ipv6_on_two_interfaces_is_two_channels() {
    let needs = Needs { programs: &["ip"], route: false, ipv6: true };
    in_a_network_of_its_own("a group of IPv6 on two interfaces", &needs, || {
        let [studio, stage] = [("studio", 77), ("stage", 78)]
            .map(|(name, net)| Plug { name, address: Ipv4Addr::new(10, net, 0, 1) });
        let group = SocketAddrV6::new("ff15::99".parse().expect("an address"), 5004, 0, 0);
        let mut setup = Setup::new();
        for plug in [&studio, &stage] {
            plug.plug_in();
            plug.add_ipv6(plug.address.to_ipv6_compatible());
            setup = setup.channel_on(plug.name, plug.name, &format!("rtp://{group}"));
        }
        let mirrorball = setup.start();
        let mut viewers = ["studio", "stage"].map(|name| Viewer::playing(&mirrorball, name, Over::Udp));
        let source = Source::new();
        (0..5).for_each(|number| studio.send_over_ipv6(&source.packet(number), group));
        viewers[0].expect_packets(&source, 0..5);
        viewers[1].expect_silence();
    });
}

#[test]
fn packets_come_from_the_address_that_the_viewer_connected_to() {
    let mut source = Source::new();
    let mirrorball = Setup::new().listening_on("0.0.0.0:0").channel("news", source.group).start();
    let mut viewers = [5, 6].map(|last| {
        let address = SocketAddr::from(([127, 0, 0, last], mirrorball.rtsp.port()));
        Viewer::playing_by(Connection::open(address), &mirrorball, "news", Over::Udp)
    });
    source.send(5);
    viewers.iter_mut().for_each(|viewer| viewer.expect_packets(&source, 0..5));
}

#[test]
fn viewers_who_vanish_hold_up_nobody() {
    let needs = Needs { programs: &["ip"], route: true, ipv6: false };
    in_a_network_of_its_own("viewers who vanish", &needs, || {
        let lan = Plug { name: "lan", address: Ipv4Addr::new(10, 77, 0, 1) };
        let hosts: Vec<_> = (0..20).map(|host| Ipv4Addr::new(10, 77, 0, 100 + host)).collect();
        lan.plug_in();
        lan.impersonate(&hosts);
        let mut source = Source::new();
        let mirrorball = Setup::new().listening_on("10.77.0.1:0").channel("news", source.group).start();
        let watch_from = |host| {
            Viewer::playing_by(Connection::from(host, mirrorball.rtsp), &mirrorball, "news", Over::Udp)
        };
        let mut stays = watch_from(lan.address);
        let gone: Vec<_> = hosts.iter().copied().map(watch_from).collect();
        lan.lose(&hosts, 8 << 20);
        // The kernel holds more for them than a socket may send; then come the last packets, and nothing after them.
        source.send(800);
        let waits = || mirrorball.metric("mirrorball_send_waits_total", &[]);
        eventually("a socket is full", || (waits() > 0.0).then_some(()));
        source.send(50);
        stays.expect_packets(&source, 0..850);
        eventually("the port has more sockets", || {
            mirrorball.has_logged("send buffers stayed full").then_some(())
        });
        assert!(mirrorball.metric("mirrorball_sockets_beside", &[]) > 0.0);
        mirrorball.expect_metric("mirrorball_sessions", &[], (gone.len() + 1) as f64);
        // All networks of a machine share one table of neighbours: what it holds for this one goes with the link.
        lan.unplug();
    });
}
