//! What lies between the edge and its viewers: links that take less than the source sends, and what routers are told.

use std::net::Ipv4Addr;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::vocabulary::{
    Connection, Group, Mirrorball, Needs, Network, Over, Plug, Setup, Source, Viewer, count, counted,
    eventually, in_a_network_of_its_own, passes, raise_firewall, route, sender_report, set_mtu, swallow_icmp,
    unblock_all,
};

const WITH_A_FIREWALL: Needs = Needs { programs: &["ip", "nft"], route: true, ipv6: false };
const FRAGMENTED: &str = "mirrorball_fragmented_packets_total";
const DROPS: &str = "mirrorball_drops_total";
const TOO_LARGE: &[(&str, &str)] = &[("leg", "out"), ("reason", "too_large")];
/// What a line of the log says of packets that are cut up.
const IN_FRAGMENTS: &str = "leave in fragments";
/// And of those that may not be.
const DROPPED: &str = "packets are dropped that are larger";
const SILENCE: Duration = Duration::from_millis(300);

/// A viewer's home behind a router, whose line takes packets of 1400 bytes. The edge is in the story's own network.
struct Line {
    router: Network,
    home: Network,
}

impl Line {
    fn lay() -> Self {
        let (router, home) = (Network::new(), Network::new());
        router.connect(("wan", "10.79.1.1/24"), ("edge", "10.79.1.2/24"), 1500);
        router.within(|| {
            home.connect(("line", "10.79.2.1/24"), ("uplink", "10.79.2.2/24"), 1400);
            raise_firewall();
        });
        router.forward();
        route("10.79.2.0/24", "10.79.1.2");
        home.within(|| route("10.79.1.0/24", "10.79.2.1"));
        Self { router, home }
    }

    fn watch(&self, mirrorball: &Mirrorball) -> Viewer {
        self.home.within(|| Viewer::playing(mirrorball, "news", Over::Udp))
    }
}

/// A source's packet of so many bytes.
fn sized(source: &Source, number: u64, bytes: usize) -> Vec<u8> {
    let mut packet = source.packet(number);
    packet.resize(bytes, number as u8);
    packet
}

/// Sends packets of so many bytes at once, as a picture comes.
fn send(source: &Source, numbers: std::ops::Range<u64>, bytes: usize) {
    numbers.for_each(|number| source.send_bytes(&sized(source, number, bytes)));
}

#[track_caller]
fn expect(viewer: &mut Viewer, source: &Source, numbers: std::ops::Range<u64>, bytes: usize) {
    for number in numbers {
        assert!(viewer.packet() == sized(source, number, bytes), "packet {number} of {bytes} bytes");
    }
}

#[test]
fn packets_larger_than_a_line_on_the_way_are_cut_up_there_though_icmp_is_swallowed() {
    in_a_network_of_its_own("a line of a small MTU", &WITH_A_FIREWALL, || {
        let line = Line::lay();
        line.router.within(swallow_icmp);
        let source = Source::new();
        let mirrorball = Setup::new().listening_on("10.79.1.1:0").channel("news", source.group).start();
        let mut near = Viewer::playing(&mirrorball, "news", Over::Udp);
        let mut far = line.watch(&mirrorball);
        for numbers in [0..1, 1..2, 2..12, 12..22, 22..23] {
            send(&source, numbers.clone(), 1440);
            expect(&mut near, &source, numbers.clone(), 1440);
            expect(&mut far, &source, numbers, 1440);
        }
        mirrorball.expect_metric(FRAGMENTED, &[], 0.0); // it is the router that does it
        mirrorball.expect_metric(DROPS, &[("leg", "out")], 0.0);
    });
}

#[test]
fn with_df_what_is_too_large_for_a_path_is_dropped_counted_and_told_once() {
    in_a_network_of_its_own("a line of a small MTU, and DF", &WITH_A_FIREWALL, || {
        let line = Line::lay();
        line.router.within(swallow_icmp);
        let source = Source::new();
        let setup = Setup::new().listening_on("10.79.1.1:0").rtsp("dont_fragment = true");
        let mirrorball = setup.channel("news", source.group).start();
        let mut near = Viewer::playing(&mirrorball, "news", Over::Udp);
        let mut far = line.watch(&mirrorball);
        for numbers in [0..1, 1..10] {
            send(&source, numbers.clone(), 1440);
            expect(&mut near, &source, numbers, 1440);
        }
        assert!(far.packet_within(0, SILENCE).is_none(), "nobody hears that it was too large");
        mirrorball.expect_metric(DROPS, TOO_LARGE, 0.0);
        line.router.within(unblock_all);
        let mut next = 10;
        eventually("the router is heard", || {
            send(&source, next..next + 10, 1440);
            expect(&mut near, &source, next..next + 10, 1440);
            next += 10;
            (mirrorball.metric(DROPS, TOO_LARGE) >= 20.0).then_some(())
        });
        let told = mirrorball.expect_logged(DROPPED, 1);
        assert!(told[0].contains("channel=\"news\"") && told[0].contains("bytes=1440 mtu=1400"), "{told:?}");
        send(&source, next..next + 10, 1000);
        expect(&mut near, &source, next..next + 10, 1000);
        expect(&mut far, &source, next..next + 10, 1000);
        assert_eq!(mirrorball.lines_logged(DROPPED), 1, "once");
        mirrorball.expect_metric(FRAGMENTED, &[], 0.0);
    });
}

#[test]
fn jumbo_packets_leave_whole_or_in_fragments_and_are_told_of_once() {
    let needs = Needs { programs: &["ip"], route: false, ipv6: false };
    in_a_network_of_its_own("jumbo packets", &needs, || {
        let home = Network::new();
        home.connect(("wan", "10.79.1.1/24"), ("uplink", "10.79.1.2/24"), 1500);
        let studio = Plug { name: "studio", address: Ipv4Addr::new(10, 77, 0, 1) };
        studio.plug_in();
        set_mtu(studio.name, 9000);
        let source = Source::on(studio.address, studio.address, Group::fresh());
        let mirrorball = Setup::new()
            .listening_on("10.79.1.1:0")
            .channel_on(studio.name, "news", &format!("rtp://{}", source.group))
            .start();
        // On loopback there is room for them.
        let mut near = Viewer::playing(&mirrorball, "news", Over::Udp);
        let mut far = home.within(|| Viewer::playing(&mirrorball, "news", Over::Udp));
        let mut by_connection = home.within(|| Viewer::playing(&mirrorball, "news", Over::Tcp));
        for burst in 0..4 {
            let numbers = burst * 8..burst * 8 + 8;
            send(&source, numbers.clone(), 8000);
            for viewer in [&mut near, &mut far, &mut by_connection] {
                expect(viewer, &source, numbers.clone(), 8000);
            }
        }
        mirrorball.expect_metric(FRAGMENTED, &[("channel", "news")], 32.0);
        let told = mirrorball.expect_logged(IN_FRAGMENTS, 1);
        assert!(told[0].contains("channel=\"news\"") && told[0].contains("bytes=8000 mtu=1500"), "{told:?}");
        assert_eq!(mirrorball.lines_logged(IN_FRAGMENTS), 1, "once");
        send(&source, 32..40, 1000);
        [near, far].iter_mut().for_each(|viewer| expect(viewer, &source, 32..40, 1000));
        mirrorball.expect_metric(FRAGMENTED, &[], 32.0);
        mirrorball.expect_metric("mirrorball_forwarded_packets_total", &[("transport", "udp")], 80.0);
        mirrorball.expect_metric(DROPS, &[("leg", "out")], 0.0);
    });
}

#[test]
fn jumbo_packets_are_refused_with_df_and_cost_nobody_else_anything() {
    let needs = Needs { programs: &["ip"], route: true, ipv6: false };
    in_a_network_of_its_own("jumbo packets, and DF", &needs, || {
        refuse_jumbo_packets("10.79.1.1/24", "10.79.1.2/24", "10.79.1.1:0");
    });
}

#[test]
fn jumbo_packets_are_refused_over_ipv6_too() {
    let needs = Needs { programs: &["ip"], route: true, ipv6: true };
    in_a_network_of_its_own("jumbo packets over IPv6, not to be cut up", &needs, || {
        refuse_jumbo_packets("2001:db8:1::1/64", "2001:db8:1::2/64", "[2001:db8:1::1]:0");
    });
}

fn refuse_jumbo_packets(edge: &str, viewer: &str, listening_on: &str) {
    let home = Network::new();
    home.connect(("wan", edge), ("uplink", viewer), 1500);
    let source = Source::new();
    let setup = Setup::new().listening_on(listening_on).rtsp("dont_fragment = true");
    let mirrorball = setup.channel("news", source.group).start();
    let mut near = Viewer::playing(&mirrorball, "news", Over::Udp);
    let mut far = home.within(|| Viewer::playing(&mirrorball, "news", Over::Udp));
    send(&source, 0..8, 8000);
    expect(&mut near, &source, 0..8, 8000);
    mirrorball.expect_metric(DROPS, TOO_LARGE, 8.0);
    assert!(mirrorball.expect_logged(DROPPED, 1)[0].contains("bytes=8000 mtu=1500"));
    assert!(far.packet_within(0, SILENCE).is_none());
    send(&source, 8..16, 1440);
    [near, far].iter_mut().for_each(|viewer| expect(viewer, &source, 8..16, 1440));
}

/// Routers of IPv6 cut nothing up: they tell, and the sender does.
#[test]
fn over_ipv6_packets_leave_in_fragments_once_a_router_has_told_how_small() {
    let needs = Needs { programs: &["ip"], route: true, ipv6: true };
    in_a_network_of_its_own("a line of a small MTU, over IPv6", &needs, || {
        let (router, home) = (Network::new(), Network::new());
        router.connect(("wan", "2001:db8:1::1/64"), ("edge", "2001:db8:1::2/64"), 1500);
        let line = || home.connect(("line", "2001:db8:2::1/64"), ("uplink", "2001:db8:2::2/64"), 1400);
        router.within(line);
        router.forward();
        route("2001:db8:2::/64", "2001:db8:1::2");
        home.within(|| route("2001:db8:1::/64", "2001:db8:2::1"));
        let source = Source::new();
        let setup = Setup::new().listening_on("[2001:db8:1::1]:0").channel("news", source.group);
        let mirrorball = setup.channel_line("coalesce = \"20ms\"").start(); // packets go as runs
        let mut viewer = home.within(|| Viewer::playing(&mirrorball, "news", Over::Udp));
        let mut next = 0;
        eventually("the router is heard", || {
            send(&source, next..next + 10, 1440);
            next += 10;
            viewer.packet_within(0, SILENCE)
        });
        while viewer.packet_within(0, SILENCE).is_some() {}
        send(&source, next..next + 10, 1440);
        expect(&mut viewer, &source, next..next + 10, 1440);
        mirrorball.expect_metric("mirrorball_segmentation_refused_total", &[], 1.0);
        let told = mirrorball.expect_logged(IN_FRAGMENTS, 1);
        assert!(told[0].contains("bytes=1440 mtu=1400"), "{told:?}");
    });
}

/// How the packets of a viewer of a marked and of one of an unmarked channel look to nft.
struct Look<'a> {
    listening_on: &'a str,
    /// As the marked channel says, by nft's words.
    marked: &'a str,
    unmarked: &'a str,
}

impl Look<'_> {
    fn hold(&self) {
        let (mut source, mut other) = (Source::new(), Source::new());
        let setup = Setup::new().listening_on(self.listening_on).channel("news", source.group);
        let setup = setup.channel_line("dscp = 34\nttl = 9").channel("plain", other.group);
        let mut mirrorball = setup.start();
        let mut viewers = ["news", "plain"].map(|name| Viewer::playing(&mirrorball, name, Over::Udp));
        raise_firewall();
        for (viewer, name) in viewers.iter().zip(["news", "plain"]) {
            let port = viewer.rtp_port().expect("over UDP");
            count(&format!("{name} marked"), &format!("udp dport {port} {}", self.marked));
            count(&format!("{name} unmarked"), &format!("udp dport {port} {}", self.unmarked));
            count(&format!("{name} all"), &format!("udp dport {port}"));
        }
        count("reports marked", &format!("udp sport {} {}", viewers[0].server_rtcp().port(), self.marked));
        count("reports all", &format!("udp sport {}", viewers[0].server_rtcp().port()));
        for count in [1, 10, 1, 10, 1] {
            for (viewer, source) in viewers.iter_mut().zip([&mut source, &mut other]) {
                source.send(count);
                viewer.expect_packets(source, source.next - count..source.next);
            }
            source.send_rtcp(&sender_report(source.ssrc, 0));
            viewers[0].rtcp();
        }
        let seen = |name: &str| [counted(&format!("{name} marked")), counted(&format!("{name} unmarked"))];
        assert_eq!(seen("news"), [counted("news all"), 0]);
        assert_eq!(seen("plain"), [0, counted("plain all")]);
        assert!(counted("news all") >= 5, "runs are counted as one");
        assert_eq!((counted("reports marked"), counted("reports all")), (5, 5));
        mirrorball.signal(Signal::SIGTERM);
        assert!(mirrorball.ended().is_some_and(|status| status.success()));
        let goodbye = viewers[0].rtcp();
        assert_eq!((goodbye[1], goodbye[9]), (201, 203), "a BYE behind an empty report");
        assert_eq!((counted("reports marked"), counted("reports all")), (6, 7), "one to each viewer");
    }
}

#[test]
fn packets_over_udp_say_the_class_and_the_hops_of_their_channel() {
    in_a_network_of_its_own("DSCP and TTL", &WITH_A_FIREWALL, || {
        let look = Look {
            listening_on: "127.0.0.1:0",
            marked: "ip dscp af41 ip ttl 9",
            unmarked: "ip dscp cs0 ip ttl 64",
        };
        look.hold();
    });
}

#[test]
fn packets_over_ipv6_say_it_too() {
    let needs = Needs { ipv6: true, ..WITH_A_FIREWALL };
    in_a_network_of_its_own("traffic class and hop limit", &needs, || {
        let look = Look {
            listening_on: "[::1]:0",
            marked: "ip6 dscp af41 ip6 hoplimit 9",
            unmarked: "ip6 dscp cs0 ip6 hoplimit 64",
        };
        look.hold();
    });
}

#[test]
fn a_connection_is_of_the_class_of_the_first_channel_that_has_one() {
    in_a_network_of_its_own("DSCP over TCP", &WITH_A_FIREWALL, || {
        let sources = [Source::new(), Source::new(), Source::new()];
        let mut setup = Setup::new();
        for (source, (name, line)) in
            sources.iter().zip([("plain", ""), ("first", "dscp = 46"), ("second", "dscp = 8")])
        {
            setup = setup.channel(name, source.group).channel_line(line);
        }
        let mirrorball = setup.start();
        let watch = |name| Viewer::playing(&mirrorball, name, Over::Tcp);
        let port = |connection: &Connection| connection.stream.local_addr().expect("connected").port();
        raise_firewall();
        let mut viewer = watch("plain");
        for (name, dscp) in [("plain", "cs0"), ("first", "ef"), ("second", "cs1")] {
            count(name, &format!("tcp dport {} ip dscp {dscp}", port(&viewer.connection)));
        }
        let all = || ["plain", "first", "second"].map(counted);
        viewer.request("OPTIONS").expect(200);
        assert!(matches!(all(), [(1..), 0, 0]));
        // More sessions on the one connection.
        for name in ["first", "second"] {
            let connection = viewer.connection;
            viewer = Viewer::playing_by(connection, &mirrorball, name, Over::Tcp);
        }
        let first = all();
        viewer.request("OPTIONS").expect(200);
        assert!(passes(Duration::from_secs(20), || all()[1] > first[1]), "{:?}", all());
        assert!(matches!(all(), [(1..), (1..), 0]), "{:?}", all());
    });
}
