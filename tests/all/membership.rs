//! What the network is told of groups while links, addresses and interfaces come and go, and while no querier asks.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::thread;
use std::time::Duration;

use mirrorball::event::clock;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::vocabulary::{
    Crowd, Group, Needs, Network, Over, Plug, Setup, Source, Told, Viewer, Wire, binary, eventually,
    in_a_network_of_its_own, passes,
};

const NEEDS: Needs = Needs { programs: &["ip"], route: false, ipv6: false };
const SECOND: Duration = Duration::from_secs(1);
const RATE: u64 = 2000;

fn studio() -> Plug {
    Plug { name: "studio", address: Ipv4Addr::new(10, 77, 0, 1) }
}

/// The network of the sources, and the cable to it.
fn studio_of_its_own() -> Network {
    let network = Network::new();
    network.connect(("studio", "10.77.0.1/24"), ("far", "10.77.0.2/24"), 1500);
    network
}

const FAR: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);

#[test]
fn the_network_is_told_again_once_a_link_or_an_address_is_back() {
    for version in [3, 2] {
        in_a_network_of_its_own(&format!("a link that was away, over IGMPv{version}"), &NEEDS, || {
            let studio = studio();
            studio.plug_in();
            studio.speak_igmp(version);
            let wire = Wire::of(&studio);
            let group = Group::fresh();
            let _mirrorball = Setup::new()
                .channel_on("studio", "news", &format!("rtp://{group}"))
                .channel_line("silent_after = \"500ms\"")
                .start();
            let group = IpAddr::V4(*group.0.ip());
            wire.expect(group, Told::Wanted, 20 * SECOND);
            let is_back_after = |away: &dyn Fn(bool)| {
                away(false);
                wire.settle(group); // longer than the group is silent
                away(true);
                wire.expect(group, Told::Wanted, 2 * SECOND);
                if version == 3 {
                    let left = wire.all(group, SECOND / 2).contains(&Told::Left);
                    assert!(!left, "it is told, and not left");
                }
            };
            is_back_after(&|is_in| studio.connect(is_in));
            is_back_after(&|is_on| studio.switch(is_on));
            is_back_after(&|is_there| if is_there { studio.add_address() } else { studio.remove_address() });
        });
    }
}

#[test]
fn renewals_lose_nothing_and_leave_nothing() {
    in_a_network_of_its_own("renewals of what flows", &NEEDS, || {
        let network = studio_of_its_own();
        let groups = [Group::fresh(), Group::source_specific()];
        let [any, one] = groups.map(|group| network.within(|| Source::on(FAR, FAR, group)));
        let wires = groups.map(|_| network.within(|| Wire::into("far")));
        let mirrorball = Setup::new()
            .channel_on("studio", "any", &format!("rtp://{}", any.group))
            .channel_line("renew = \"500ms\"")
            .channel_on("studio", "one", &format!("rtp://{FAR}@{}", one.group))
            .channel_line("renew = \"500ms\"")
            .channel_on("studio", "named-too", &format!("rtp://{FAR}@{}", any.group))
            .start();
        let programmes = [any.programme, one.programme];
        let viewers = ["any", "one"].map(|name| Viewer::playing(&mirrorball, name, Over::Udp));
        let crowd = Crowd::of(viewers.into_iter().zip(programmes));
        let beams = [any, one].map(|source| source.beam(RATE));
        let listeners = wires
            .into_iter()
            .zip(groups)
            .map(|(wire, group)| thread::spawn(move || wire.all(IpAddr::V4(*group.0.ip()), 10 * SECOND)));
        let listeners: Vec<_> = listeners.collect();
        let retold = || mirrorball.metric("mirrorball_groups_retold_total", &[]) >= 40.0;
        assert!(passes(30 * SECOND, retold), "each is renewed twice a second");
        for listener in listeners {
            let told = listener.join().expect("it listens");
            // Each is repeated within a second, or told with the next.
            assert!(told.len() > 15, "{told:?}");
            assert!(!told.contains(&Told::Left), "{told:?}");
        }
        let sent = beams.map(|beam| beam.stop());
        // While any sender is meant the kernel may let one go between two of its instructions, on a machine that is held up there.
        const MAY_BE_LOST: f64 = 3.0;
        for (source, name) in [(0, "any"), (1, "one"), (0, "named-too")].map(|(at, name)| (&sent[at], name)) {
            crowd.expect_all_past(source.programme, source.next - 100);
            let has_come = || {
                let come = mirrorball.metric("mirrorball_channel_packets_total", &[("channel", name)]);
                come + MAY_BE_LOST >= source.next as f64
            };
            assert!(passes(10 * SECOND, has_come), "{name} has lost packets");
        }
        mirrorball.expect_metric("mirrorball_drops_total", &[("reason", "stray")], 0.0);
        mirrorball.expect_metric("mirrorball_group_renewals_total", &[], 0.0);
    });
}

#[test]
fn renewals_of_ipv6_are_told_and_leave_nothing() {
    let needs = Needs { ipv6: true, ..NEEDS };
    in_a_network_of_its_own("renewals over MLDv2", &needs, || {
        let studio = studio();
        studio.plug_in();
        studio.add_ipv6(studio.address.to_ipv6_compatible());
        let wire = Wire::of(&studio);
        let _mirrorball = Setup::new()
            .channel_on("studio", "any", "rtp://[ff15::77]:5004")
            .channel_line("renew = \"3s\"")
            .channel_line("silent_after = \"60s\"")
            .channel_on("studio", "one", "rtp://[2001:db8::7]@[ff3e::77]:5004")
            .channel_line("renew = \"3s\"")
            .channel_line("silent_after = \"60s\"")
            .start();
        for group in ["ff15::77", "ff3e::77"] {
            let group = group.parse().expect("an address");
            wire.expect(group, Told::Wanted, 20 * SECOND);
            wire.settle(group);
            let told = wire.all(group, 5 * SECOND);
            assert!(told.contains(&Told::Wanted) && !told.contains(&Told::Left), "{told:?}");
        }
    });
}

#[test]
fn what_flows_over_igmpv2_is_left_alone_and_the_log_says_that_renewing_does_nothing() {
    in_a_network_of_its_own("renewals over IGMPv2", &NEEDS, || {
        let studio = studio();
        studio.plug_in();
        studio.speak_igmp(2);
        let wire = Wire::of(&studio);
        let source = Source::on(studio.address, studio.address, Group::fresh());
        let group = IpAddr::V4(*source.group.0.ip());
        let setup = Setup::new()
            .channel_on("studio", "news", &format!("rtp://{}", source.group))
            .channel_line("renew = \"500ms\"");
        let told = "renew does nothing on studio, which speaks IGMPv2";
        let config = setup.write();
        let table = checked(&config);
        let row = row(&table, "querier", &format!("channel \"news\": {told}"));
        assert!(row.starts_with("warn "), "{table}");
        let mirrorball = setup.start();
        let beam = source.beam(50);
        wire.expect(group, Told::Wanted, 20 * SECOND);
        eventually("the log tells", || mirrorball.has_logged(told).then_some(()));
        let heard = wire.all(group, 2 * SECOND);
        assert!(!heard.contains(&Told::Left), "{heard:?}");
        assert_eq!(mirrorball.lines_logged(told), 1);
        mirrorball.expect_metric("mirrorball_groups_retold_total", &[], 0.0);
        mirrorball.expect_metric("mirrorball_channel_lost_total", &[("channel", "news")], 0.0);
        beam.stop();
    });
}

#[test]
fn twenty_flaps_leave_nothing_behind_and_cost_others_nothing() {
    in_a_network_of_its_own("twenty flaps", &NEEDS, || {
        let studio = studio();
        studio.plug_in();
        studio.take_route();
        let lo = Plug { name: "lo", address: Ipv4Addr::LOCALHOST };
        let (group, other) = (Group::fresh(), Source::new());
        let mirrorball = Setup::new()
            .channel_on("studio", "news", &format!("rtp://{group}"))
            .channel_line("silent_after = \"60s\"")
            .channel_by_route("film", &format!("rtp://{}", group.beside()))
            .channel("test-card", other.group)
            .start();
        let mut viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
        let programme = other.programme;
        let crowd = Crowd::of([(Viewer::playing(&mirrorball, "test-card", Over::Tcp), programme)]);
        let beam = other.beam(200);
        Source::on(studio.address, studio.address, group).send(1);
        viewer.packet();
        let before = (mirrorball.holdings(), memberships());
        for flap in 0..20 {
            match flap % 5 {
                0 => (studio.unplug(), studio.plug_in()).1,
                1 => (studio.switch(false), studio.switch(true)).1,
                2 => (studio.remove_address(), studio.add_address()).1,
                3 => (studio.connect(false), studio.connect(true)).1,
                _ => lo.take_route(),
            }
            studio.take_route();
            comes_back(&studio, group, &mut viewer);
        }
        let is_as_before = || memberships() == before.1;
        assert!(passes(5 * SECOND, is_as_before), "before {:?}, and still {:?}", before.1, memberships());
        mirrorball.expect_holdings(before.0);
        mirrorball.expect_metric("mirrorball_sessions", &[], 2.0);
        crowd.expect_all_past(programme, beam.sent());
        crowd.expect_flawless();
        beam.stop();
    });
}

#[test]
fn a_querier_that_knows_no_sources_is_told_of_by_log_metric_and_check() {
    in_a_network_of_its_own("a querier of IGMPv2", &NEEDS, || {
        let network = studio_of_its_own();
        let group = Group::source_specific();
        let setup = Setup::new()
            .logging("info")
            .channel_on("studio", "news", &format!("rtp://{FAR}@{group}"))
            .channel_on("studio", "film", &format!("rtp://{}", Group::fresh()));
        let config = setup.write();
        let check = || checked(&config);
        let told = "studio speaks IGMPv2, so the network is told of the group and of no source";
        let table = check();
        assert!(!table.contains(told), "{table}");
        assert!(row(&table, "querier", "not known").starts_with("note  querier     studio IGMP "), "{table}");
        let mirrorball = setup.start();
        let version = [("interface", "studio"), ("protocol", "IGMP")];
        mirrorball.expect_metric("mirrorball_group_protocol_version", &version, 3.0);
        // A general query of IGMPv2 (RFC 2236), with its checksum.
        let query = [0x11, 100, 0xee, 0x9b, 0, 0, 0, 0];
        network.within(|| raw(2).send_to(&query, &to([224, 0, 0, 1], 0)).expect("it is sent"));
        // Sooner than by itself, for the kernel tells of a change.
        studio().take_route();
        mirrorball.expect_metric("mirrorball_group_protocol_version", &version, 2.0);
        mirrorball.expect_logged(told, 1);
        let table = check();
        assert!(row(&table, "querier", &format!("channel \"news\": {told}")).starts_with("warn "), "{table}");
        assert!(row(&table, "querier", "heard, and it speaks IGMPv2").starts_with("ok "), "{table}");
        assert!(check().contains("a querier there speaks it: have it speak IGMPv3"), "{}", check());
    });
}

#[test]
fn what_the_kernel_drops_of_a_silent_channel_is_told() {
    in_a_network_of_its_own("what the kernel drops", &NEEDS, || {
        let network = studio_of_its_own();
        fs::write("/proc/sys/net/ipv4/conf/studio/rp_filter", "1").expect("a setting of this network");
        let group = Group::fresh();
        let setup = Setup::new()
            .channel_on("studio", "news", &format!("rtp://{group}"))
            .channel_line("silent_after = \"300ms\"")
            .channel_on("studio", "film", &format!("rtp://10.99.0.7@{}", Group::source_specific()))
            .channel_line("silent_after = \"300ms\"");
        let config = setup.write();
        let table = checked(&config);
        let told = "rp_filter is 1 on studio: what 10.99.0.7 sends is dropped, for no route leads to it";
        assert!(
            row(&table, "rp_filter", &format!("channel \"film\": {told}")).starts_with("fail "),
            "{table}"
        );
        let perhaps = "rp_filter is 1 on studio: senders that studio is not the way to";
        assert!(row(&table, "rp_filter", perhaps).starts_with("note "), "{table}");
        let mirrorball = setup.start();
        mirrorball.expect_logged(told, 1);
        mirrorball.expect_logged("rp_filter is 1 on studio: senders that studio is not the way to", 1);
        let dropped = |reason| mirrorball.metric("mirrorball_kernel_drops_total", &[("reason", reason)]);
        assert_eq!(dropped("udp_checksum"), 0.0);
        let [high, low] = group.0.port().to_be_bytes();
        let datagram = [high, low, high, low, 0, 12, 0xba, 0xad, 1, 2, 3, 4];
        let group = to(group.0.ip().octets(), 17);
        network.within(|| {
            for _ in 0..5 {
                raw(17).send_to(&datagram, &group).expect("it is sent");
            }
        });
        studio().take_route();
        eventually("they are counted", || (dropped("udp_checksum") == 5.0).then_some(()));
        mirrorball.expect_logged("with a wrong UDP checksum while the source is silent", 1);
    });
}

/// What `check` prints.
fn checked(config: &Path) -> String {
    let output = binary().args(["check", "--config"]).arg(config).output().expect("the program");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The row of an area that says something.
#[track_caller]
fn row<'t>(table: &'t str, area: &str, found: &str) -> &'t str {
    let row = table.lines().find(|line| line.contains(&format!(" {area} ")) && line.contains(found));
    row.unwrap_or_else(|| panic!("no row of {area} says {found:?}:\n{table}"))
}

/// A socket for datagrams of an IP protocol, on the far side.
fn raw(protocol: i32) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(protocol))).expect("root may");
    socket.set_multicast_if_v4(&FAR).expect("the cable's end");
    socket
}

fn to(host: [u8; 4], port: u16) -> SockAddr {
    SocketAddr::from((host, port)).into()
}

/// Something is sent until it reaches the viewer, which it does within two seconds of the network's return.
fn comes_back(studio: &Plug, group: Group, viewer: &mut Viewer) {
    let began = clock::now();
    let mut source = Source::on(studio.address, studio.address, group);
    loop {
        source.send(1);
        let last = source.next - 1;
        if let Some(packet) = viewer.packet_within(0, SECOND / 10)
            && packet == source.packet(last)
        {
            break;
        }
        let took = clock::now().saturating_duration_since(began);
        // Half a second for the machine, which others use too.
        assert!(took < 5 * SECOND / 2, "it is not back after {took:?}");
    }
    while viewer.packet_within(0, SECOND / 50).is_some() {}
}

/// The memberships of this network: groups and how many sockets have each.
fn memberships() -> Vec<String> {
    let groups = fs::read_to_string("/proc/thread-self/net/igmp").expect("Linux tells");
    let groups = groups.lines().filter(|line| line.starts_with('\t'));
    let mut groups: Vec<_> =
        groups.map(|line| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")).collect();
    groups.sort();
    groups
}
