//! A picture at once: where viewers begin, what goes before, how they are brought level, and that nobody else notices.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use mirrorball::event::clock;
use tempfile::TempDir;

use crate::conversation::one_channel;
use crate::players::programme::ffmpeg;
use crate::slow_web::Sending;
use crate::vocabulary::{
    Mirrorball, Needs, Over, Pictures, Setup, Viewer, eventually, in_a_network_of_its_own, is_thorough,
    sender_report,
};

const MS: Duration = Duration::from_millis(1);
/// Pictures that decoders can start with are so many packets apart, far more than a round takes.
const APART: u64 = 300;
const NEWS: (&str, &str) = ("channel", "news");

/// The packets of a picture that a decoder can start with, and some behind it, have come.
fn some_way_behind_a_start(pictures: &mut Pictures, mirrorball: &Mirrorball) -> u64 {
    pictures.send(APART + 100);
    let came = [NEWS, ("track", "1")];
    mirrorball.expect_metric("mirrorball_channel_packets_total", &[NEWS], (APART + 100) as f64);
    assert_eq!(mirrorball.metric("mirrorball_track_starts_total", &came), 1.0);
    APART
}

#[test]
fn a_viewer_begins_at_the_newest_picture_behind_its_tables_and_misses_nothing_from_there() {
    for over in [Over::Udp, Over::Tcp] {
        let mut pictures = Pictures::every(APART);
        let mirrorball = Setup::new().channel("news", pictures.group()).start();
        let start = some_way_behind_a_start(&mut pictures, &mirrorball);
        let mut viewer = Viewer::playing(&mirrorball, "news", over);
        let before = pictures.tables_before(start);
        assert_eq!(viewer.announced, [(pictures.sequence(start).wrapping_sub(1), pictures.timestamp(start))]);
        assert_eq!(viewer.packet(), before, "{over:?}: what goes before it");
        pictures.send(20);
        for number in start..start + 120 {
            assert!(viewer.packet() == pictures.packet(number), "{over:?}: packet {number}");
        }
        mirrorball.expect_metric("mirrorball_viewer_starts_total", &[NEWS, ("at", "rap")], 1.0);
        assert!(mirrorball.metric("mirrorball_burst_bytes_total", &[]) > 0.0);
        // It plays again, from a newer picture.
        viewer.request("PAUSE").expect(200);
        pictures.send(APART);
        mirrorball.expect_metric("mirrorball_channel_packets_total", &[NEWS], (2 * APART + 120) as f64);
        viewer.play();
        let again = pictures.tables_before(2 * APART);
        assert!((0..40).any(|_| viewer.packet() == again), "{over:?}: it begins anew");
        assert!(viewer.packet() == pictures.packet(2 * APART));
    }
}

/// What a clock of the source's own says of the pictures it has with the first of them, and not when the source says it next.
#[test]
fn a_newcomer_has_the_newest_report_of_the_source_at_once() {
    let (mut source, mirrorball) = one_channel();
    let mut first = Viewer::playing(&mirrorball, "news", Over::Udp);
    source.send(10);
    for time in [1000, 2000] {
        let report = sender_report(source.ssrc, time);
        source.send_rtcp(&report);
        assert!(first.rtcp() == report, "as it comes");
    }
    for over in [Over::Udp, Over::Tcp] {
        let mut newcomer = Viewer::playing(&mirrorball, "news", over);
        assert!(newcomer.rtcp() == sender_report(source.ssrc, 2000), "{over:?}: the newest, and at once");
    }
}

#[test]
fn a_channel_that_is_to_be_live_begins_with_the_newest_packet() {
    let mut pictures = Pictures::every(APART);
    let setup = Setup::new().channel("news", pictures.group()).channel_line("start = \"live\"");
    let mirrorball = setup.start();
    some_way_behind_a_start(&mut pictures, &mirrorball);
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
    assert!(viewer.packet() == pictures.packet(APART + 99));
    mirrorball.expect_metric("mirrorball_viewer_starts_total", &[NEWS, ("at", "live")], 1.0);
}

/// The packets behind the start came over a second, and the source is silent from then on.
#[test]
fn who_is_behind_is_brought_level_though_nothing_comes_any_more_and_no_faster_than_it_may() {
    let mut pictures = Pictures::every(APART);
    let setup = Setup::new().channel("news", pictures.group()).channel_line("burst_percent = 200");
    let mirrorball = setup.start();
    for _ in 0..50 {
        pictures.send(6);
        thread::sleep(10 * MS);
    }
    pictures.send(1);
    mirrorball.expect_metric("mirrorball_channel_packets_total", &[NEWS], (APART + 1) as f64);
    let mut live = Viewer::playing(&mirrorball, "news", Over::Udp);
    live.packet();
    for _ in 0..50 {
        pictures.send(2);
        thread::sleep(10 * MS);
    }
    for over in [Over::Udp, Over::Tcp] {
        let mut late = Viewer::playing(&mirrorball, "news", over);
        let begun = clock::now();
        assert!(late.packet() == pictures.tables_before(APART));
        (APART..APART + 101).for_each(|number| assert!(late.packet() == pictures.packet(number), "{number}"));
        let took = begun.elapsed();
        assert!(took >= 150 * MS, "half a second of the stream at twice its rate: {took:?}");
    }
}

#[test]
fn those_who_come_at_once_take_nothing_from_who_is_there_and_bursts_wait_for_their_budget() {
    let mut pictures = Pictures::every(APART);
    let setup = Setup::new().channel("news", pictures.group()).section("limits", "burst_mbit = 1");
    let mirrorball = setup.start();
    pictures.send(APART - 1);
    let mut live = Viewer::playing(&mirrorball, "news", Over::Udp);
    live.packet();
    pictures.send(101);
    mirrorball.expect_metric("mirrorball_channel_packets_total", &[NEWS], (APART + 100) as f64);
    let overs = [Over::Udp, Over::Tcp, Over::Udp, Over::Tcp];
    let mut crowd = overs.map(|over| Viewer::playing(&mirrorball, "news", over));
    pictures.send(20);
    let whole = |viewer: &mut Viewer, from: u64| {
        (from..APART + 120)
            .for_each(|number| assert!(viewer.packet() == pictures.packet(number), "{number}"));
    };
    while live.packet() != pictures.packet(APART - 1) {}
    whole(&mut live, APART);
    for viewer in &mut crowd {
        assert!(viewer.packet() == pictures.tables_before(APART));
        whole(viewer, APART);
    }
    assert!(mirrorball.metric("mirrorball_burst_waits_total", &[("reason", "budget")]) > 0.0);
    assert_eq!(mirrorball.metric("mirrorball_drops_total", &[("leg", "out")]), 0.0);
}

#[test]
fn who_goes_another_way_while_it_is_brought_level_misses_nothing_and_gets_nothing_twice() {
    let mut pictures = Pictures::every(APART);
    let setup = Setup::new().channel("news", pictures.group()).channel_line("burst_percent = 105");
    let mirrorball = setup.start();
    pictures.send(APART);
    for _ in 0..100 {
        pictures.send(1);
        thread::sleep(15 * MS);
    }
    mirrorball.expect_metric("mirrorball_channel_packets_total", &[NEWS], (APART + 100) as f64);
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
    assert!(viewer.packet() == pictures.tables_before(APART));
    viewer.set_up(1, Over::Tcp);
    let by_udp = std::iter::from_fn(|| viewer.packet_within(0, 300 * MS));
    let mut got: Vec<_> = by_udp.collect();
    let left = 100 - got.len();
    assert!(left > 0, "it was level before it had changed over");
    got.extend((0..left).map_while(|_| viewer.packet_within(1, 3000 * MS)));
    let expected: Vec<_> = (APART..APART + 100).map(|number| pictures.packet(number)).collect();
    assert!(got == expected, "{} packets, {left} of them by TCP", got.len());
}

const NEEDS: Needs = Needs { programs: &["ip", "ffmpeg"], route: true, ipv6: false };

/// A film whose pictures that stand alone are two seconds apart.
fn film(directory: &TempDir) -> std::path::PathBuf {
    let file = directory.path().join("film.mkv");
    let mut encode = ffmpeg(&["-f", "lavfi", "-i", "testsrc2=s=320x240:r=25:d=24"]);
    encode.args([
        "-f",
        "lavfi",
        "-i",
        "sine=440:d=24",
        "-c:a",
        "aac",
        "-pix_fmt",
        "yuv420p",
        "-preset",
        "veryfast",
    ]);
    encode.args(["-c:v", "libx264", "-x264-params", "keyint=50:min-keyint=50:scenecut=0:bframes=2"]);
    assert!(encode.arg(&file).status().expect("ffmpeg runs").success());
    file
}

/// What a decoder complains of that takes some pictures of a stream.
fn complaints(url: &str, over: Over) -> String {
    let mut watch = Command::new("ffmpeg");
    let transport = if over == Over::Udp { "udp" } else { "tcp" };
    watch.args(["-nostdin", "-hide_banner", "-v", "error", "-rtsp_transport", transport, "-i", url]);
    let watch = watch.args(["-map", "0:v", "-map", "0:a", "-t", "1.5", "-f", "null", "-"]);
    String::from_utf8_lossy(&watch.output().expect("ffmpeg runs").stderr).into_owned()
}

#[test]
fn decoders_complain_of_nothing_whenever_they_come() {
    in_a_network_of_its_own("starts at any moment", &NEEDS, || {
        let directory = TempDir::new().expect("a directory");
        let film = film(&directory);
        let pictures = Pictures::every(APART);
        let group = pictures.group().0;
        let mut send = ffmpeg(&["-re", "-i"]);
        send.arg(&film).args([
            "-c",
            "copy",
            "-f",
            "rtp_mpegts",
            &format!("rtp://{group}?pkt_size=1328&ttl=1"),
        ]);
        let mirrorball = Setup::new().channel("film", pictures.group()).start();
        let _sending = Sending(send.stderr(Stdio::null()).spawn().expect("ffmpeg starts"));
        let came = [("channel", "film"), ("track", "1")];
        eventually("a picture to start with", || {
            (mirrorball.metric("mirrorball_track_starts_total", &came) > 0.0).then_some(())
        });
        for number in 0..if is_thorough() { 4 } else { 1 } {
            for over in [Over::Udp, Over::Tcp] {
                let complaints = complaints(&mirrorball.url("film"), over);
                assert!(complaints.is_empty(), "{over:?}, start {number}: {complaints}");
            }
        }
        assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 1);
    });
}
