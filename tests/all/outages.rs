//! What the network forgets, and interfaces and routes that come, go and move.

use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::thread;
use std::time::Duration;

use mirrorball::event::clock;

use crate::conversation::two_tracks;
use crate::vocabulary::{
    Group, Mirrorball, Needs, Over, Plug, Setup, Source, Told, Viewer, Wire, eventually,
    in_a_network_of_its_own, passes,
};

const NEEDS: Needs = Needs { programs: &["ip"], route: false, ipv6: false };
const SECOND: Duration = Duration::from_secs(1);

fn studio() -> Plug {
    Plug { name: "studio", address: Ipv4Addr::new(10, 77, 0, 1) }
}

fn stage() -> Plug {
    Plug { name: "stage", address: Ipv4Addr::new(10, 78, 0, 1) }
}

/// Two sources of one group, as a description with one `c=` line for both tracks has them.
fn sources_of_one_group(plug: &Plug) -> [Source; 2] {
    let group = Group::fresh();
    let second = Group(SocketAddrV4::new(*group.0.ip(), group.0.port() + 2));
    [group, second].map(|group| Source::on(plug.address, plug.address, group))
}

#[test]
fn a_silent_group_of_two_tracks_and_two_channels_is_told_to_the_network_again() {
    for version in [2, 3] {
        let name = format!("a silent group over IGMPv{version}");
        in_a_network_of_its_own(&name, &NEEDS, || {
            let studio = studio();
            studio.plug_in();
            studio.speak_igmp(version);
            let wire = Wire::of(&studio);
            let [picture, sound] = sources_of_one_group(&studio);
            let group = IpAddr::V4(*picture.group.0.ip());
            let news = Group(SocketAddrV4::new(*picture.group.0.ip(), picture.group.0.port() + 4));
            let _mirrorball = Setup::new()
                .described_on("studio", "film", &two_tracks(&picture, &sound))
                .channel_line("silent_after = \"3s\"")
                .channel_on("studio", "news", &format!("rtp://{news}"))
                .channel_line("silent_after = \"3s\"")
                .start();
            wire.expect(group, Told::Wanted, 20 * SECOND);
            if version == 2 {
                // It may be told twice within 10 s without being renewed, but is left only to be joined again.
                wire.expect(group, Told::Left, 20 * SECOND);
            } else {
                wire.settle(group);
            }
            wire.expect(group, Told::Wanted, 20 * SECOND);
        });
    }
}

#[test]
fn a_silent_group_of_ipv6_is_told_to_the_network_again() {
    let needs = Needs { ipv6: true, ..NEEDS };
    in_a_network_of_its_own("a silent group over MLDv2", &needs, || {
        let studio = studio();
        studio.plug_in();
        studio.add_ipv6(studio.address.to_ipv6_compatible());
        let wire = Wire::of(&studio);
        let _mirrorball = Setup::new()
            .channel_on("studio", "news", "rtp://[ff15::99]:5004")
            .channel_line("silent_after = \"5s\"")
            .channel_on("studio", "film", "rtp://[ff15::99]:5006")
            .channel_line("silent_after = \"5s\"")
            .start();
        let group = "ff15::99".parse().expect("an address");
        wire.expect(group, Told::Wanted, 20 * SECOND);
        wire.settle(group);
        wire.expect(group, Told::Wanted, 20 * SECOND);
    });
}

#[test]
fn two_tracks_whose_group_the_network_has_dropped_are_back_a_second_after_they_are_silent() {
    in_a_network_of_its_own("a group that the network has dropped", &NEEDS, || {
        let studio = studio();
        studio.plug_in();
        let wire = Wire::of(&studio);
        let [mut picture, mut sound] = sources_of_one_group(&studio);
        let group = IpAddr::V4(*picture.group.0.ip());
        let mirrorball = Setup::new()
            .described_on("studio", "film", &two_tracks(&picture, &sound))
            .channel_line("silent_after = \"1s\"")
            .start();
        let beams = [picture, sound].map(|source| source.beam(100));
        wire.settle(group);
        let began = clock::now();
        [picture, sound] = beams.map(|beam| beam.stop());
        // The switch passes packets again once it is told.
        wire.expect(group, Told::Wanted, 10 * SECOND);
        let took = clock::now().saturating_duration_since(began);
        assert!(took < 2 * SECOND, "it took {took:?}");
        let mut viewer = Viewer::of(&mirrorball, "film");
        viewer.set_up(1, Over::Udp);
        viewer.play();
        picture.send(1);
        sound.send(1);
        let last = picture.packet(picture.next - 1);
        eventually("the picture is back", || (viewer.packet() == last).then_some(()));
    });
}

#[test]
fn a_track_that_is_silent_beside_others_is_told_and_its_group_renewed_alone() {
    in_a_network_of_its_own("one track is silent", &NEEDS, || {
        let studio = studio();
        studio.plug_in();
        let wire = Wire::of(&studio);
        let [picture, sound] = [(); 2].map(|()| Source::on(studio.address, studio.address, Group::fresh()));
        let [flowing, silent] = [&picture, &sound].map(|source| IpAddr::V4(*source.group.0.ip()));
        let mirrorball = Setup::new()
            .described_on("studio", "film", &two_tracks(&picture, &sound))
            .channel_line("silent_after = \"3s\"")
            .start();
        let [picture, sound] = [picture, sound].map(|source| source.beam(100));
        let track = |number, value| {
            let labels = [("channel", "film"), ("track", number)];
            mirrorball.expect_metric("mirrorball_track_silent", &labels, value);
        };
        track("1", 0.0);
        track("2", 0.0);
        wire.settle(flowing);
        wire.settle(silent);
        let mut sound = sound.stop();
        wire.expect(silent, Told::Wanted, 20 * SECOND);
        track("2", 1.0);
        track("1", 0.0);
        mirrorball.expect_metric("mirrorball_channel_silent", &[("channel", "film")], 0.0);
        mirrorball.expect_metric("mirrorball_group_renewals_total", &[], 1.0);
        let told = "the track is silent while others flow";
        eventually("the log tells", || mirrorball.has_logged(told).then_some(()));
        assert_eq!(wire.next(flowing, SECOND), None, "what flows is left alone");
        sound.send(1);
        eventually("the log tells", || mirrorball.has_logged("the track sends").then_some(()));
        track("2", 0.0);
        picture.stop();
    });
}

#[test]
fn a_route_that_moves_takes_its_groups_along_and_leaves_none_behind() {
    in_a_network_of_its_own("a route that moves", &NEEDS, || {
        let (studio, stage) = (studio(), stage());
        studio.plug_in();
        stage.plug_in();
        studio.take_route();
        let group = Group::fresh();
        let mut here = Source::on(studio.address, studio.address, group);
        let mut there = Source::on(stage.address, stage.address, group);
        let mirrorball = Setup::new().channel_by_route("news", &format!("rtp://{group}")).start();
        let mut viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
        here.send(5);
        there.send(5);
        viewer.expect_packets(&here, 0..5);
        viewer.expect_silence();
        stage.take_route();
        expect_joined(&stage, group);
        assert!(!studio.has_joined(*group.0.ip()), "left where the route led before");
        here.send(5);
        there.send(5);
        viewer.expect_packets(&there, 5..10);
        viewer.expect_silence();
        assert_eq!(mirrorball.lines_logged("the route leads elsewhere"), 1);
        stage.drop_route();
        there.send(5);
        viewer.expect_packets(&there, 10..15);
        mirrorball.expect_metric("mirrorball_channel_joined", &[("channel", "news")], 1.0);
    });
}

#[test]
fn a_channel_without_a_route_or_interface_says_so_and_is_joined_when_there_is_one() {
    in_a_network_of_its_own("a channel without a route", &NEEDS, || {
        let studio = studio();
        studio.plug_in();
        let group = Group::fresh();
        let mirrorball = Setup::new()
            .channel("test-card", Group::fresh())
            .channel_by_route("news", &format!("rtp://{group}"))
            .channel_on("stage", "film", &format!("rtp://{group}"))
            .start();
        assert!(mirrorball.has_logged("add a route for multicast"));
        mirrorball.expect_metric("mirrorball_channel_joined", &[("channel", "news")], 0.0);
        studio.take_route();
        expect_joined(&studio, group);
        let mut source = Source::on(studio.address, studio.address, group);
        let mut viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
        source.send(5);
        viewer.expect_packets(&source, 0..5);
        mirrorball.expect_metric("mirrorball_channel_joined", &[("channel", "film")], 0.0);
        stage().plug_in();
        expect_joined(&stage(), group);
        mirrorball.expect_metric("mirrorball_channel_joined", &[("channel", "film")], 1.0);
    });
}

#[test]
fn an_interface_is_heard_while_it_has_no_address() {
    in_a_network_of_its_own("an interface without an address", &NEEDS, || {
        let studio = studio();
        studio.plug_in();
        let group = Group::fresh();
        let other = Ipv4Addr::new(10, 79, 0, 1);
        studio.impersonate(&[other]);
        let mut source = Source::on(other, other, group);
        let mirrorball =
            Setup::new().channel_on(&studio.address.to_string(), "news", &format!("rtp://{group}")).start();
        let mut viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
        for number in 0..15 {
            match number {
                3 => studio.remove_address(),
                10 => studio.add_address(),
                _ => {}
            }
            source.send(1);
            viewer.expect_packets(&source, number..number + 1);
            thread::sleep(SECOND / 5);
        }
        assert_eq!(mirrorball.lines_logged("joined no longer"), 0);
        mirrorball.expect_metric("mirrorball_channel_joined", &[("channel", "news")], 1.0);
    });
}

#[test]
fn an_interface_made_anew_is_joined_within_a_second_and_told_of_once() {
    in_a_network_of_its_own("an interface made anew", &NEEDS, || {
        let studio = studio();
        studio.plug_in();
        let group = Group::fresh();
        let sources = sources_of_one_group(&studio);
        let mirrorball = Setup::new()
            .channel_on("studio", "news", &format!("rtp://{group}"))
            .channel_line("silent_after = \"30s\"")
            .described_on("studio", "film", &two_tracks(&sources[0], &sources[1]))
            .channel_line("silent_after = \"30s\"")
            .start();
        let mut viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
        let before = mirrorball.holdings();
        Source::on(studio.address, studio.address, group).send(1);
        viewer.packet();
        // Away for longer than from one look to the next.
        studio.unplug();
        mirrorball.expect_metric("mirrorball_channel_joined", &[], 0.0);
        assert!(!passes(2 * SECOND, || mirrorball.lines_logged("joined no longer") > 1), "told once");
        assert_eq!(mirrorball.lines_logged("joined no longer"), 1);
        comes_back(&studio, group, &mirrorball, &mut viewer);
        // And only for a moment.
        studio.unplug();
        comes_back(&studio, group, &mirrorball, &mut viewer);
        mirrorball.expect_metric("mirrorball_channel_joined", &[], 3.0);
        mirrorball.expect_holdings(before);
    });
}

fn comes_back(plug: &Plug, group: Group, mirrorball: &Mirrorball, viewer: &mut Viewer) {
    plug.plug_in();
    // Half a second for the machine, which others use too.
    let joined = passes(3 * SECOND / 2, || plug.has_joined(*group.0.ip()));
    assert!(joined, "the group is joined within a second");
    mirrorball.expect_metric("mirrorball_channel_joined", &[("channel", "news")], 1.0);
    let mut source = Source::on(plug.address, plug.address, group);
    source.send(5);
    viewer.expect_packets(&source, 0..5);
}

#[test]
fn a_link_that_goes_down_for_a_moment_costs_what_was_sent_meanwhile_alone() {
    in_a_network_of_its_own("a link that goes down", &NEEDS, || {
        let studio = studio();
        studio.plug_in();
        studio.take_route();
        let group = Group::fresh();
        let mirrorball = Setup::new().channel_by_route("news", &format!("rtp://{group}")).start();
        let mut viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
        let mut source = Source::on(studio.address, studio.address, group);
        source.send(5);
        viewer.expect_packets(&source, 0..5);
        for is_in in [false, true] {
            studio.connect(is_in);
            // Both ends of this cable are here: what is sent on one is heard on it.
            assert!(!passes(3 * SECOND / 2, || !studio.has_joined(*group.0.ip())), "no reason to leave");
        }
        source.send(5);
        viewer.expect_packets(&source, 5..10);
        assert_eq!(mirrorball.lines_logged("joined no longer"), 0);
    });
}

#[track_caller]
fn expect_joined(plug: &Plug, group: Group) {
    eventually(&format!("{group} is joined on {}", plug.name), || {
        plug.has_joined(*group.0.ip()).then_some(())
    });
}
