//! Viewers whose port, host or attention is gone: what is sent to them ends, and nobody else notices.

use std::net::Ipv4Addr;
use std::thread;
use std::time::Duration;

use mirrorball::event::clock;

use crate::vocabulary::{
    Connection, Crowd, Mirrorball, Needs, Over, Plug, Setup, Source, Viewer, block_udp_port, eventually,
    in_a_network_of_its_own, is_thorough, passes, raise_firewall, sender_report, unblock_all,
};

const ENDED: &str = "mirrorball_sessions_ended_total";
const HERE: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 1);
const THERE: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 100);
const LAN: Plug = Plug { name: "lan", address: HERE };

#[test]
fn a_viewer_whose_port_is_closed_costs_little_and_nobody_else_a_packet() {
    a_closed_port_costs_little("127.0.0.1:0");
}

#[test]
fn a_closed_port_of_ipv6_costs_as_little() {
    let needs = Needs { programs: &["ip"], route: true, ipv6: true };
    in_a_network_of_its_own("a closed port of IPv6", &needs, || a_closed_port_costs_little("[::1]:0"));
}

fn a_closed_port_costs_little(listening_on: &str) {
    let source = Source::new();
    let programme = source.programme;
    let mirrorball = Setup::new().listening_on(listening_on).channel("news", source.group).start();
    let beam = source.beam(400);
    let stay = (0..8).map(|_| (Viewer::playing(&mirrorball, "news", Over::Udp), programme));
    let stay = Crowd::of(stay);
    let mut leaves = Viewer::playing(&mirrorball, "news", Over::Udp);
    leaves.stamp();
    let at = beam.sent();
    leaves.move_port(true);
    mirrorball.expect_metric(ENDED, &[("reason", "refused")], 1.0);
    let cost = beam.sent() - at;
    assert!(cost < 2 * 400, "{cost} packets went to a closed port");
    assert!(leaves.connection.is_closed_within(Duration::from_secs(5)), "it may come back by itself");
    stay.expect_all_past(programme, at + 400);
    mirrorball.expect_metric("mirrorball_sessions", &[], 8.0);
    stay.expect_flawless();
    mirrorball.expect_metric("mirrorball_segmentation_refused_total", &[], 0.0);
    for reason in ["refused", "unreachable", "forbidden", "congested"] {
        mirrorball.expect_metric("mirrorball_drops_total", &[("leg", "out"), ("reason", reason)], 0.0);
    }
    beam.stop();
}

#[test]
fn a_viewer_that_reports_or_that_takes_no_reports_is_not_refused() {
    let source = Source::new();
    let ssrc = source.ssrc;
    let mirrorball = Setup::new().channel("news", source.group).start();
    let mut without_rtcp = Viewer::playing(&mirrorball, "news", Over::Udp);
    without_rtcp.move_port(false);
    let mut moves = Viewer::playing(&mirrorball, "news", Over::Udp);
    let reports = Source::to(source.group);
    let beam = source.beam(100);
    without_rtcp.stamp();
    moves.stamp();
    moves.move_port(true);
    // Its port stays closed, and it says all the while that it is there.
    let until = clock::now() + Duration::from_secs(2);
    while clock::now() < until {
        moves.report_on(ssrc);
        reports.send_rtcp(&sender_report(ssrc, 0));
        thread::sleep(Duration::from_millis(10));
    }
    mirrorball.expect_metric("mirrorball_sessions", &[], 2.0);
    mirrorball.expect_metric(ENDED, &[("reason", "refused")], 1.0); // once it says no more
    without_rtcp.stamp();
    beam.stop();
}

#[test]
fn one_track_that_nobody_listens_to_ends_and_the_other_plays_on() {
    let (picture, sound) = (Source::new(), Source::new());
    let mirrorball =
        Setup::new().described("film", &crate::conversation::two_tracks(&picture, &sound)).start();
    let mut viewer = Viewer::of(&mirrorball, "film");
    viewer.set_up(1, Over::Udp);
    viewer.set_up(2, Over::Udp);
    viewer.play();
    let beams = [picture.beam(100), sound.beam(100)];
    viewer.stamp();
    viewer.move_port(true);
    let forwarded = || mirrorball.metric("mirrorball_forwarded_packets_total", &[]);
    let received = || mirrorball.metric("mirrorball_channel_packets_total", &[]);
    eventually("half of what comes is sent", || {
        let before = (forwarded(), received());
        thread::sleep(Duration::from_millis(300));
        let share = (forwarded() - before.0) / (received() - before.1);
        (share < 0.7).then_some(())
    });
    mirrorball.expect_metric("mirrorball_sessions", &[], 1.0);
    assert!(viewer.packet_within(1, Duration::from_secs(5)).is_some(), "the sound goes on");
    beams.into_iter().for_each(|beam| drop(beam.stop()));
}

#[test]
fn a_viewer_over_tcp_who_stops_reading_is_cut_and_one_who_says_nothing_is_not() {
    let source = Source::new();
    let programme = source.programme;
    let mirrorball = Setup::new()
        .channel("news", source.group)
        .rtsp("session_timeout = \"2s\"")
        .section("ring", "max_age = \"500ms\"")
        .start();
    let mut recorder = Viewer::playing(&mirrorball, "news", Over::Tcp);
    let deaf = Connection::with_little_room(mirrorball.rtsp);
    let mut deaf = Viewer::by(deaf, &mirrorball, "news");
    deaf.set_up(1, Over::Tcp);
    deaf.play();
    let beam = source.beam(1000);
    let until = clock::now() + Duration::from_secs(7);
    let mut due = recorder.stamp().number;
    while clock::now() < until {
        let stamp = recorder.stamp();
        assert_eq!((stamp.programme, stamp.number), (programme, due + 1));
        due = stamp.number;
    }
    mirrorball.expect_metric(ENDED, &[("reason", "timeout")], 1.0);
    mirrorball.expect_metric("mirrorball_sessions", &[], 1.0);
    mirrorball.expect_metric("mirrorball_rtsp_connections", &[], 1.0);
    beam.stop();
}

/// Viewers at another host, and one at this one, in a network of the story's own.
struct Neighbours {
    mirrorball: Mirrorball,
    ssrc: u32,
    programme: u32,
    source: Source,
    stays: Viewer,
    there: [Viewer; 2],
}

impl Neighbours {
    fn meet(session_timeout: &str) -> Self {
        LAN.plug_in();
        LAN.impersonate(&[THERE]);
        let source = Source::new();
        let mirrorball = Setup::new()
            .listening_on(&format!("{HERE}:0"))
            .channel("news", source.group)
            .rtsp(&format!("session_timeout = \"{session_timeout}\""))
            .start();
        let watch = |host, over| {
            Viewer::playing_by(Connection::from(host, mirrorball.rtsp), &mirrorball, "news", over)
        };
        let stays = watch(HERE, Over::Udp);
        let there = [Over::Udp, Over::Tcp].map(|over| watch(THERE, over));
        let (ssrc, programme) = (source.ssrc, source.programme);
        Self { mirrorball, ssrc, programme, source, stays, there }
    }
}

#[test]
fn viewers_whose_host_is_gone_are_cut_and_nobody_else_loses_a_packet() {
    let needs = Needs { programs: &["ip"], route: true, ipv6: false };
    in_a_network_of_its_own("a viewer's host that is gone", &needs, || {
        let Neighbours { mirrorball, source, mut stays, there, ssrc, programme } = Neighbours::meet("2s");
        let beam = source.beam(100);
        let first = stays.stamp().number;
        LAN.lose(&[THERE], 8 << 20);
        let mut due = first + 1;
        let gone = passes(Duration::from_secs(20), || {
            stays.report_on(ssrc);
            while due < beam.sent().saturating_sub(20) {
                let stamp = stays.stamp();
                assert_eq!((stamp.programme, stamp.number), (programme, due), "who stays loses nothing");
                due += 1;
            }
            mirrorball.metric(ENDED, &[("reason", "timeout")]) == 2.0
        });
        assert!(gone, "both are cut");
        mirrorball.expect_metric("mirrorball_sessions", &[], 1.0);
        drop(there);
        beam.stop();
        LAN.unplug();
    });
}

/// With the timeout as it is by default: the first is found by keep-alive as its connection is idle, the second by what
/// it leaves unacknowledged.
#[test]
fn a_host_that_is_gone_is_noticed_by_its_connections_long_before_the_timeout() {
    if !is_thorough() {
        return; // half a minute
    }
    let needs = Needs { programs: &["ip"], route: true, ipv6: false };
    in_a_network_of_its_own("a viewer's host that is gone", &needs, || {
        let Neighbours { mirrorball, source, mut stays, there, ssrc, .. } = Neighbours::meet("300s");
        let beam = source.beam(50);
        stays.stamp();
        LAN.lose(&[THERE], 8 << 20);
        let gone = passes(Duration::from_secs(60), || {
            stays.report_on(ssrc);
            mirrorball.metric("mirrorball_sessions", &[]) == 1.0
        });
        assert!(gone, "both are cut within a minute");
        mirrorball.expect_metric(ENDED, &[("reason", "timeout")], 1.0);
        mirrorball.expect_metric(ENDED, &[("reason", "not back")], 1.0);
        drop(there);
        beam.stop();
        LAN.unplug();
    });
}

#[test]
fn what_a_links_queue_drops_is_counted_and_viewers_elsewhere_lose_nothing() {
    let needs = Needs { programs: &["ip", "tc"], route: true, ipv6: false };
    in_a_network_of_its_own("a link whose queue is full", &needs, || {
        let Neighbours { mirrorball, source, mut stays, there, programme, .. } = Neighbours::meet("60s");
        LAN.throttle(&[THERE]);
        let beam = source.beam(100);
        let congested =
            || mirrorball.metric("mirrorball_drops_total", &[("leg", "out"), ("reason", "congested")]);
        let mut due = stays.stamp().number;
        let counted = passes(Duration::from_secs(20), || {
            for _ in 0..10 {
                let stamp = stays.stamp();
                assert_eq!((stamp.programme, stamp.number), (programme, due + 1), "who stays loses nothing");
                due += 1;
            }
            congested() > 50.0
        });
        assert!(counted, "what the queue drops is counted");
        drop(there);
        beam.stop();
        LAN.unplug();
    });
}

#[test]
fn what_a_firewall_keeps_from_one_viewer_is_counted_and_goes_on_when_it_may() {
    let needs = Needs { programs: &["ip", "nft"], route: true, ipv6: false };
    in_a_network_of_its_own("a firewall on the way out", &needs, || {
        let source = Source::new();
        let programme = source.programme;
        let mirrorball = Setup::new().channel("news", source.group).start();
        let mut kept_from = Viewer::playing(&mirrorball, "news", Over::Udp);
        let stay = Crowd::of((0..4).map(|_| (Viewer::playing(&mirrorball, "news", Over::Udp), programme)));
        let beam = source.beam(100);
        kept_from.stamp();
        let port = kept_from.rtp_port().expect("over UDP");
        raise_firewall();
        block_udp_port(port);
        let forbidden =
            || mirrorball.metric("mirrorball_drops_total", &[("leg", "out"), ("reason", "forbidden")]);
        eventually("packets are kept back", || (forbidden() > 50.0).then_some(()));
        unblock_all();
        let at = beam.sent();
        let goes_on = passes(Duration::from_secs(20), || kept_from.stamp().number >= at);
        assert!(goes_on, "packets go on");
        stay.expect_all_past(programme, at);
        stay.expect_flawless();
        beam.stop();
    });
}
