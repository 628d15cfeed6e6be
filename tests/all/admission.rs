//! Who is taken on and who is not: each limit with its code and its counter, and who is in has what he came for.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use mirrorball::net::lower_priority;

use crate::crowds::{allow_many_descriptors, expect_nothing_dropped};
use crate::vocabulary::{
    Connection, Crowd, Mirrorball, Over, Reply, Setup, Source, Viewer, eventually, passes,
};

const REFUSED: &str = "mirrorball_sessions_refused_total";
const TCP: (&str, &str) = ("Transport", "RTP/AVP/TCP;unicast");

#[track_caller]
fn ask(connection: &mut Connection, mirrorball: &Mirrorball, channel: &str) -> Reply {
    connection.request("SETUP", &format!("{}/trackID=1", mirrorball.url(channel)), &[TCP])
}

#[test]
fn who_is_in_loses_nothing_while_those_who_are_refused_flood() {
    const VIEWERS: usize = 300;
    allow_many_descriptors();
    let source = Source::new();
    let programme = source.programme;
    let mirrorball = Setup::new()
        .channel("news", source.group)
        .channel_line(&format!("sessions = {VIEWERS}"))
        .section("ring", "max_age = \"60s\"") // a busy machine does not make media late
        .start();
    let beam = source.beam(40);
    let own = |place: usize| Ipv4Addr::new(127, 0, 3 + (place / 200) as u8, 1 + (place % 200) as u8);
    let crowd = Crowd::of((0..VIEWERS).map(|place| {
        let over = if place.is_multiple_of(3) { Over::Tcp } else { Over::Udp };
        let connection = Connection::from(own(place), mirrorball.rtsp);
        (Viewer::playing_by(connection, &mirrorball, "news", over), programme)
    }));
    crowd.expect_all_past(programme, beam.sent() + 20);
    mirrorball.expect_metric("mirrorball_channel_sessions", &[("channel", "news")], VIEWERS as f64);
    mirrorball.expect_metric("mirrorball_channel_session_limit", &[("channel", "news")], VIEWERS as f64);

    let (stop, answered) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        for place in 0..8 {
            let (mirrorball, stop, answered) = (&mirrorball, &stop, &answered);
            scope.spawn(move || {
                lower_priority().expect("a thread may be nicer"); // who floods has a machine of its own
                while !stop.load(Relaxed) {
                    let mut newcomer = Connection::from(Ipv4Addr::new(127, 0, 2, place), mirrorball.rtsp);
                    for _ in 0..20 {
                        let refused = ask(&mut newcomer, mirrorball, "news").expect(503);
                        assert!(refused.header("Retry-After").is_some(), "{refused:?}");
                        answered.fetch_add(1, Relaxed);
                    }
                }
            });
        }
        let began = beam.sent();
        let flooded = passes(Duration::from_secs(60), || {
            answered.load(Relaxed) > 4000 && crowd.has_all_past(programme, began + 100)
        });
        stop.store(true, Relaxed);
        assert!(flooded, "{} are no flood", answered.load(Relaxed));
    });
    let refused = answered.load(Relaxed) as f64;
    mirrorball.expect_metric(REFUSED, &[("reason", "channel")], refused);
    mirrorball.expect_metric(
        "mirrorball_rtsp_requests_total",
        &[("method", "SETUP"), ("status", "503")],
        refused,
    );
    crowd.expect_all_past(programme, beam.sent() + 20);
    crowd.expect_flawless();
    expect_nothing_dropped(&mirrorball);
    beam.stop();
}

#[test]
fn what_would_be_more_than_there_is_for_all_is_refused_and_told() {
    let (fast, mut slow) = (Source::new(), Source::new());
    let mirrorball = Setup::new()
        .channel("film", fast.group)
        .channel("news", slow.group)
        .section("limits", "egress_mbit = 2\negress_mbit_per_address = 100")
        .start();
    mirrorball.expect_metric("mirrorball_egress_limit_bits_per_second", &[], 2e6);
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
    let beam = fast.beam(1000);
    let mut newcomer = Connection::open(mirrorball.rtsp);
    // It is some 10 Mbit/s, once so much has come of it that it is known.
    eventually("it is too much", || {
        let reply = ask(&mut newcomer, &mirrorball, "film");
        if reply.status == 453 {
            return Some(());
        }
        let id = reply
            .expect(200)
            .header("Session")
            .and_then(|id| id.split(';').next())
            .expect("an id")
            .to_owned();
        newcomer.request("TEARDOWN", &mirrorball.url("film"), &[("Session", &id)]).expect(200);
        None
    });
    let refused = |reason| mirrorball.metric(REFUSED, &[("reason", reason)]);
    assert_eq!((refused("egress"), refused("total egress")), (0.0, 1.0));
    assert!(mirrorball.metric("mirrorball_egress_bits_per_second", &[]) <= 2e6);
    let line = &mirrorball.expect_logged("status=453", 1)[0];
    assert!(line.contains("total egress"), "{line}");
    slow.send(3);
    viewer.expect_packets(&slow, 0..3);
    beam.stop();
}
