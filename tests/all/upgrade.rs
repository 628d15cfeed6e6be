//! Another process of the program takes over while viewers watch.

use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use mirrorball::wire::rtp;

use crate::crowds::allow_many_descriptors;
use crate::players::programme::ffmpeg;
use crate::slow_web::Sending;
use crate::vocabulary::{
    Bare, Connection, Crowd, Group, Mirrorball, Needs, Over, Quiet, Setup, Source, Viewer, Web, binary,
    datagram, eventually, in_a_network_of_its_own, is_thorough, say, through_tls, ts_packets, tunnel,
};

const PATIENCE: Duration = Duration::from_secs(20);
const RAW: &str = "MP2T/H2221/UDP;unicast;client_port=PORT";
/// For how long 300 viewers may be sent nothing.
const NOT_LONGER: Duration = Duration::from_millis(500);
const FAILED: &str = ", and this program serves on";

fn sessions(mirrorball: &Mirrorball, count: f64) {
    mirrorball.expect_metric("mirrorball_sessions", &[], count);
}

#[test]
fn viewers_miss_nothing_and_everything_they_ask_for_afterwards_is_done() {
    let mut source = Source::new();
    let mut mirrorball = Setup::new().channel("news", source.group).start();
    let mut viewers = [Over::Udp, Over::Tcp].map(|over| Viewer::playing(&mirrorball, "news", over));
    let mut paused = Viewer::playing(&mirrorball, "news", Over::Tcp);
    let mut idle = Connection::open(mirrorball.rtsp);
    idle.request("OPTIONS", "*", &[]).expect(200);
    paused.request("PAUSE").expect(200);
    let mut sent = 0;
    let mut go_on = |viewers: &mut [Viewer]| {
        source.send(3);
        viewers.iter_mut().for_each(|viewer| viewer.expect_packets(&source, sent..sent + 3));
        sent += 3;
    };
    for _ in 0..2 {
        go_on(&mut viewers);
        mirrorball.upgrade();
        go_on(&mut viewers);
        sessions(&mirrorball, 3.0);
        let line = mirrorball.logged("taken over from the process before").pop().expect("told");
        assert!(line.contains("sessions=3 lost=0"), "{line}");
    }
    idle.request("OPTIONS", "*", &[]).expect(200);
    viewers.iter_mut().for_each(Viewer::report);
    mirrorball.expect_metric("mirrorball_rtcp_reports_total", &[], 2.0);
    viewers.iter_mut().for_each(|viewer| drop(viewer.request("GET_PARAMETER").expect(200)));
    paused.play();
    go_on(&mut viewers);
    let (_, page) = mirrorball.call(None, "GET /api/sessions");
    let told = page["sessions"].as_array().expect("a list").iter().map(|told| told["packets"].as_u64());
    let told: Vec<_> = told.map(|packets| packets.expect("a number")).collect();
    assert!(told[..2].iter().all(|told| (sent..=sent + 1).contains(told)), "by all processes: {page}");
    let [mut udp, tcp] = viewers;
    udp.set_up(1, Over::Tcp);
    source.send(2);
    for number in sent..sent + 2 {
        let by_udp = udp.packet_within(0, Duration::from_millis(100));
        let packet = by_udp.or_else(|| udp.packet_within(1, PATIENCE)); // by the way before, or the one after
        assert!(packet == Some(source.packet(number)), "{number}");
    }
    udp.teardown();
    tcp.teardown();
    sessions(&mirrorball, 1.0);
    let newcomer = Viewer::playing(&mirrorball, "news", Over::Udp);
    sessions(&mirrorball, 2.0);
    drop((newcomer, paused));
}

/// For how long nothing was sent, as the log says.
fn stood_still(line: &str) -> Duration {
    let told = line.split("stood_ms=").nth(1).and_then(|rest| rest.split_whitespace().next());
    Duration::from_millis(told.and_then(|told| told.parse().ok()).expect("a number"))
}

#[test]
fn a_crowd_loses_no_packet_while_a_new_process_takes_over() {
    allow_many_descriptors();
    let quiet = Quiet::alone();
    let (viewers, upgrades) = if is_thorough() { (300, 3) } else { (100, 2) };
    let source = Source::new();
    let (programme, group) = (source.programme, source.group);
    let mut mirrorball = Setup::new().channel("news", group).start_in(quiet);
    let beam = source.beam(200);
    let over = |place: usize| if place.is_multiple_of(2) { Over::Udp } else { Over::Tcp };
    let crowd =
        Crowd::of((0..viewers).map(|place| (Viewer::playing(&mirrorball, "news", over(place)), programme)));
    crowd.expect_all_past(programme, beam.sent() + 20);
    for _ in 0..upgrades {
        mirrorball.upgrade();
        crowd.expect_all_past(programme, beam.sent() + 20);
        let line = mirrorball.logged("handed over").pop().expect("told");
        say(&format!("upgrade: {viewers} viewers: {line}"));
        assert!(line.contains(" gone=0"), "{line}");
        assert!(!is_thorough() || stood_still(&line) <= NOT_LONGER, "{line}");
        assert!(group.is_joined());
    }
    sessions(&mirrorball, viewers as f64);
    crowd.expect_flawless();
    beam.stop();
}

/// RTP of a transport stream.
fn in_rtp(payload: &[u8], number: u8) -> Vec<u8> {
    [&[0x80, 33, 0, number, 0, 0, 0, number, 0, 0, 0, 7][..], payload].concat()
}

#[test]
fn whatever_way_a_stream_goes_it_goes_on() {
    let (source, out) = (Bare::to(Group::fresh()), Group::fresh());
    let setup = Setup::new().channel("news", source.group).multicast_out(out).over_web();
    let mut mirrorball = setup.start();
    let mut webs = ["/news", &format!("/rtp/{}", source.group)]
        .map(|target| Web::get(mirrorball.web(), target).expect(200));
    let mut raw = Viewer::of(&mirrorball, "news");
    let (own, _) = raw.set_up_raw(RAW);
    raw.play();
    let ear = out.ear(0);
    let mut listens = Viewer::of(&mirrorball, "news");
    listens.ask_for(1, "RTP/AVP;multicast");
    listens.play();
    let mut go_on = |number: u8| {
        let payload = ts_packets(7, 188, number);
        source.send(&in_rtp(&payload, number));
        webs.iter_mut().for_each(|web| assert!(web.take(payload.len()) == payload, "{number} by HTTP"));
        let came = |socket: &UdpSocket| datagram(socket, PATIENCE).expect("it comes");
        assert!(came(&own) == payload, "{number} as it is");
        assert!(came(&ear) == in_rtp(&payload, number), "{number} by multicast");
    };
    (1..4).for_each(&mut go_on);
    mirrorball.upgrade();
    (4..7).for_each(&mut go_on);
    sessions(&mirrorball, 4.0);
}

/// What numbers the packets of a stream that has no numbers of its own is the program.
#[test]
fn a_stream_that_is_numbered_here_is_numbered_on() {
    let source = Bare::to(Group::fresh());
    let mut mirrorball =
        Setup::new().channel_from("news", &format!("udp://{}", source.group)).over_web().start();
    let mut viewers = [Over::Udp, Over::Tcp].map(|over| Viewer::playing(&mirrorball, "news", over));
    let mut web = Web::get(mirrorball.web(), "/news").expect(200);
    let mut last = None;
    let mut go_on = |number: u8| {
        let payload = ts_packets(7, 188, number);
        source.send(&payload);
        let packets = viewers.each_mut().map(|viewer| viewer.packet());
        assert!(packets.iter().all(|packet| packet[12..] == payload) && packets[0] == packets[1], "{number}");
        let head = rtp::check(&packets[0]).expect("RTP");
        if let Some((ssrc, sequence)) = last.replace((head.ssrc, head.sequence)) {
            assert_eq!((head.ssrc, head.sequence), (ssrc, sequence + 1), "{number}");
        }
        assert!(web.take(payload.len()) == payload, "{number} by HTTP");
    };
    let mut number = 1;
    while !mirrorball.has_logged("handed over") {
        go_on(number);
        number += 1;
        if number == 4 {
            mirrorball.begin_upgrade();
        }
        thread::sleep(Duration::from_millis(20));
    }
    mirrorball.end_upgrade();
    (number..number + 5).for_each(&mut go_on);
}

#[test]
fn a_tunnel_leads_on_with_both_its_halves() {
    let mut source = Source::new();
    let mut mirrorball = Setup::new().channel("news", source.group).over_http().start();
    let through = |mirrorball: &Mirrorball, part| {
        let connect = || TcpStream::connect(mirrorball.http()).expect("accepted");
        Viewer::playing_by(Connection::by(tunnel(connect, part)), mirrorball, "news", Over::Tcp)
    };
    // Whose requests come in parts that are no whole groups of base64.
    let mut viewers = [7, 4096].map(|part| through(&mirrorball, part));
    source.send(2);
    viewers.iter_mut().for_each(|viewer| viewer.expect_packets(&source, 0..2));
    mirrorball.upgrade();
    source.send(2);
    for mut viewer in viewers {
        viewer.expect_packets(&source, 2..4);
        viewer.request("GET_PARAMETER").expect(200);
        viewer.teardown();
    }
    sessions(&mirrorball, 0.0);
}

#[test]
fn through_tls_viewers_come_back_by_themselves_and_others_notice_nothing() {
    let mut source = Source::new();
    let mut mirrorball = Setup::new().channel("news", source.group).through_tls().start();
    let secret = |mirrorball: &Mirrorball| {
        let stream = TcpStream::connect(mirrorball.rtsps()).expect("accepted");
        Viewer::playing_by(Connection::by(through_tls(stream).0), mirrorball, "news", Over::Tcp)
    };
    let mut gone = secret(&mirrorball);
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Tcp);
    source.send(2);
    viewer.expect_packets(&source, 0..2);
    mirrorball.upgrade();
    assert!(mirrorball.logged("handed over")[0].contains(" gone=1 "));
    assert!(eventually("its connection is closed", || gone
        .packet_within(0, Duration::from_millis(20))
        .is_none()
        .then_some(true)));
    let mut back = secret(&mirrorball);
    source.send(2);
    viewer.expect_packets(&source, 2..4);
    back.expect_packets(&source, 2..4);
    sessions(&mirrorball, 2.0);
}

#[test]
fn a_process_that_can_not_take_over_costs_nobody_a_packet() {
    let mut source = Source::new();
    let mut mirrorball = Setup::new().channel("news", source.group).start();
    let mut viewers = [Over::Udp, Over::Tcp].map(|over| Viewer::playing(&mirrorball, "news", over));
    let good = mirrorball.config();
    let mut sent = 0;
    let mut go_on = || {
        source.send(3);
        viewers.iter_mut().for_each(|viewer| viewer.expect_packets(&source, sent..sent + 3));
        sent += 3;
    };
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let of_another = format!("listen = [\"127.0.0.1:0\", \"{}\"]", taken.local_addr().expect("bound"));
    // The first is refused as the config is read, the second when everything stands still already.
    let wrong =
        [good.replace("udp_ports", "udp_prots"), good.replacen("listen = [\"127.0.0.1:0\"]", &of_another, 1)];
    for (count, wrong) in (1..).zip(wrong) {
        go_on();
        assert_ne!(wrong, good);
        std::fs::write(mirrorball.directory().join("mirrorball.toml"), wrong).expect("a file");
        mirrorball.begin_upgrade();
        let line = mirrorball.expect_logged(FAILED, count).pop().expect("told");
        assert!(line.contains("its own log says why"), "{line}");
        go_on();
    }
    drop(taken);
    mirrorball.write_config(&good);
    mirrorball.upgrade();
    go_on();
}

#[test]
fn who_is_to_take_over_from_a_process_that_dies_ends_too() {
    let mut source = Source::new();
    let mut mirrorball = Setup::new().channel("news", source.group).start();
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
    source.send(1);
    viewer.expect_packets(&source, 0..1);
    mirrorball.begin_upgrade();
    mirrorball.expect_logged("an upgrade begins", 1);
    mirrorball.kill();
    let line = mirrorball
        .expect_logged("taking over from the process that started this one has failed", 1)
        .remove(0);
    assert!(line.ends_with("it has ended"), "{line}");
    TcpListener::bind(mirrorball.rtsp).map(drop).expect("nobody serves");
}

#[test]
fn real_players_play_on_and_complain_of_nothing() {
    const NEEDS: Needs = Needs { programs: &["ip", "ffmpeg"], route: true, ipv6: false };
    in_a_network_of_its_own("an upgrade before real players", &NEEDS, || {
        let group = Group::fresh();
        let mut mirrorball = Setup::new().channel("film", group).over_web().start();
        let url = format!("rtp://{}?pkt_size=1328&ttl=1", group.0);
        let picture =
            ["-re", "-f", "lavfi", "-i", "testsrc2=s=320x240:r=25", "-g", "25", "-c:v", "mpeg2video", "-f"];
        let _sending = Sending(
            ffmpeg(&picture).args(["rtp_mpegts", &url]).stderr(Stdio::null()).spawn().expect("ffmpeg"),
        );
        let came = [("channel", "film"), ("track", "1")];
        eventually("a picture to start with", || {
            (mirrorball.metric("mirrorball_track_starts_total", &came) > 0.0).then_some(())
        });
        let (rtsp, http) = (mirrorball.url("film"), format!("http://{}/film", mirrorball.web()));
        let watch = |url: &str, transport: &[&str]| {
            let mut watch = Command::new("ffmpeg");
            watch.args(["-nostdin", "-hide_banner", "-v", "warning"]).args(transport);
            watch.args(["-i", url, "-t", "5", "-f", "null", "-"]).stderr(Stdio::piped());
            watch.spawn().expect("ffmpeg starts")
        };
        let players = [
            watch(&rtsp, &["-rtsp_transport", "udp"]),
            watch(&rtsp, &["-rtsp_transport", "tcp"]),
            watch(&http, &[]),
        ];
        sessions(&mirrorball, 3.0);
        mirrorball.upgrade();
        sessions(&mirrorball, 3.0);
        for player in players {
            let output = player.wait_with_output().expect("it ends");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success() && said.is_empty(), "{said}");
        }
    });
}

#[test]
fn who_is_told_of_nobody_takes_nothing_over() {
    let mut command = binary();
    command.args(["serve", "--config", "/nowhere.toml"]).env("MIRRORBALL_TAKES_OVER_BY", "17");
    let output = command.output().expect("it runs");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("MIRRORBALL_TAKES_OVER_BY is set, and names no socket of another one"), "{told}");
}
