//! What the network is told of groups while links, addresses and interfaces come and go, and while no querier asks.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::thread;
use std::time::Duration;

use mirrorball::event::clock;

use crate::vocabulary::{
    Crowd, Group, Needs, Network, Over, Plug, Setup, Source, Told, Viewer, Wire, eventually,
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
        for (source, name) in sent.iter().zip(["any", "one"]) {
            crowd.expect_all_past(source.programme, source.next - 1);
            let of = [("channel", name)];
            mirrorball.expect_metric("mirrorball_channel_packets_total", &of, source.next as f64);
            mirrorball.expect_metric("mirrorball_channel_lost_total", &of, 0.0);
        }
        crowd.expect_flawless();
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
        let mirrorball = Setup::new()
            .channel_on("studio", "news", &format!("rtp://{}", source.group))
            .channel_line("renew = \"500ms\"")
            .start();
        let beam = source.beam(50);
        wire.expect(group, Told::Wanted, 20 * SECOND);
        eventually("the log tells", || mirrorball.has_logged("renew does nothing there").then_some(()));
        let told = wire.all(group, 2 * SECOND);
        assert!(!told.contains(&Told::Left), "{told:?}");
        assert_eq!(mirrorball.lines_logged("renew does nothing there"), 1);
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
