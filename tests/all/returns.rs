//! Clients whose connections come and go: a session over UDP stays while its viewer shows that it is there.

use std::net::{Ipv4Addr, Shutdown};
use std::time::Duration;

use mirrorball::event::clock;

use crate::crowds::{allow_many_descriptors, expect_nothing_dropped};
use crate::vocabulary::{Connection, Crowd, Mirrorball, Over, Setup, Source, Viewer, is_thorough, passes};

const ENDED: &str = "mirrorball_sessions_ended_total";

/// A viewer that opens a connection for each request, and closes it.
fn by_many_connections(mirrorball: &Mirrorball) -> Viewer {
    let mut viewer = Viewer::of(mirrorball, "news");
    viewer.set_up(1, Over::Udp);
    viewer.connection = Connection::open(mirrorball.rtsp);
    viewer.play();
    hang_up(&viewer);
    viewer
}

fn hang_up(viewer: &Viewer) {
    viewer.connection.stream.shutdown(Shutdown::Both).expect("open");
}

#[test]
fn a_client_with_a_connection_for_each_request_plays_on_and_one_that_is_gone_ends() {
    let grace = Duration::from_secs(if is_thorough() { 10 } else { 4 });
    let source = Source::new();
    let (ssrc, programme) = (source.ssrc, source.programme);
    let mirrorball = Setup::new()
        .channel("news", source.group)
        .rtsp(&format!("close_grace = \"{}s\"", grace.as_secs()))
        .start();
    let beam = source.beam(50);
    let [mut asks, mut reports, mut gone] = [(); 3].map(|()| by_many_connections(&mirrorball));
    let mut over_tcp = Viewer::playing(&mirrorball, "news", Over::Tcp);
    over_tcp.stamp();
    let closed_at = clock::now();
    over_tcp.vanish();
    mirrorball.expect_metric(ENDED, &[("reason", "connection closed")], 1.0);
    let mut due = [&mut asks, &mut reports].map(|viewer| viewer.stamp().number);
    let stranger = [("Session", gone.session.as_str())];
    let mut has_ended = None;
    while clock::now() < closed_at + 3 * grace {
        asks.connection = Connection::open(mirrorball.rtsp);
        asks.request("OPTIONS").expect(200);
        hang_up(&asks);
        reports.report_on(ssrc);
        // Whoever else knows the id keeps nothing alive with it.
        let elsewhere = Ipv4Addr::new(127, 0, 0, 2);
        Connection::from(elsewhere, mirrorball.rtsp).request("OPTIONS", "*", &stranger).expect(454);
        for (viewer, due) in [&mut asks, &mut reports].into_iter().zip(&mut due) {
            for _ in 0..10 {
                let stamp = viewer.stamp();
                *due += 1;
                assert_eq!((stamp.programme, stamp.number), (programme, *due), "it plays on");
            }
        }
        if mirrorball.metric(ENDED, &[("reason", "not back")]) == 1.0 {
            has_ended.get_or_insert(closed_at.elapsed());
        }
    }
    let lasted = has_ended.expect("who is gone is let go");
    assert!(lasted < grace + Duration::from_secs(5), "{lasted:?}");
    mirrorball.expect_metric("mirrorball_sessions", &[], 2.0);
    mirrorball.expect_logged("reason=\"not back\"", 1);
    let farewell = gone.rtcp();
    let goodbye = [&ssrc.to_be_bytes()[..], b"\x19the connection was closed"].concat();
    assert!(farewell.windows(goodbye.len()).any(|part| part == goodbye), "{farewell:?}");
    asks.connection = Connection::open(mirrorball.rtsp);
    asks.teardown();
    mirrorball.expect_metric(ENDED, &[("reason", "teardown")], 1.0);
    beam.stop(); // the one that reports is there as the program stops
}

#[test]
fn many_whose_connections_close_at_once_are_let_go_and_who_stays_loses_nothing() {
    let many = if is_thorough() { 1000 } else { 150 };
    allow_many_descriptors();
    let source = Source::new();
    let programme = source.programme;
    let mirrorball = Setup::new()
        .channel("news", source.group)
        .section("ring", "max_age = \"60s\"")
        .rtsp("close_grace = \"1s\"")
        .start();
    let stay = (0..4).map(|place| {
        let over = if place % 2 == 0 { Over::Tcp } else { Over::Udp };
        (Viewer::playing(&mirrorball, "news", over), programme)
    });
    let stay = Crowd::of(stay);
    let beam = source.beam(50);
    stay.expect_all_past(programme, 10);
    let before = mirrorball.holdings();
    let leave: Vec<_> = (0..many).map(|_| Viewer::playing(&mirrorball, "news", Over::Udp)).collect();
    mirrorball.expect_metric("mirrorball_sessions", &[], f64::from(many) + 4.0);
    leave.iter().for_each(hang_up);
    let gone = passes(Duration::from_secs(30), || mirrorball.metric("mirrorball_sessions", &[]) == 4.0);
    assert!(gone, "{} are there", mirrorball.metric("mirrorball_sessions", &[]));
    mirrorball.expect_metric(ENDED, &[("reason", "not back")], f64::from(many));
    mirrorball.expect_holdings(before);
    stay.expect_all_past(programme, beam.sent() + 50);
    stay.expect_flawless();
    expect_nothing_dropped(&mirrorball);
    drop(leave); // their ports were open all the while
    beam.stop();
}
