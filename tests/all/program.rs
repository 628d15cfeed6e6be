//! The program as an operator meets it: exit codes, signals, the demo.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::process::{Output, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::conversation::one_channel;
use crate::vocabulary::{
    Connection, Mirrorball, Over, Quiet, Setup, Source, Viewer, binary, demo_by_demo, eventually,
};

#[test]
fn a_port_that_is_taken_ends_the_program_with_1_and_says_so() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound");
    let turn = demo_by_demo();
    let output = run(&["demo", "--admin", "127.0.0.1:0", "--listen", &address.to_string()]);
    drop(turn);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_says(&output, &[&address.to_string(), "RTSP", "another program has this port"]);

    let setup = Setup::new().channel_from("news", "rtp://239.77.99.1:5004");
    let config = setup.write();
    let text = fs::read_to_string(&config).expect("just written");
    fs::write(&config, text.replacen("127.0.0.1:0", &address.to_string(), 1)).expect("a file");
    let output = run(&["serve", "--log", "debug", "--config", config.to_str().expect("a plain path")]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_says(&output, &[&address.to_string(), "RTSP", "another program has this port"]);
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(!log.contains("joined") && !log.contains("not received"), "no group is tried before: {log}");
}

#[test]
fn a_wrong_config_ends_the_program_with_78_and_all_its_errors() {
    let setup = Setup::new().rtsp("lisen = 5").channel_from("news", "rtp://255.0.0.1:5004");
    let config = setup.write();
    for command in ["serve", "check"] {
        let output = run(&[command, "--config", config.to_str().expect("a plain path")]);
        assert_eq!(output.status.code(), Some(78), "{output:?}");
        assert_says(&output, &["mirrorball.toml:4:", "`lisen`", "did you mean `listen`?"]);
        assert_says(&output, &["channel \"news\"", "255.0.0.1 is not to be received"]);
    }
    let output = run(&["serve", "--config", "/nowhere/mirrorball.toml"]);
    assert_eq!(output.status.code(), Some(78), "{output:?}");
    assert_says(&output, &["/nowhere/mirrorball.toml"]);
    assert_eq!(run(&["serve"]).status.code(), Some(2));
}

#[test]
fn asked_to_stop_the_program_says_goodbye_to_every_viewer_and_ends_with_0() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let (mut source, mut mirrorball) = one_channel();
        let mut viewers = [Over::Udp, Over::Tcp].map(|over| Viewer::playing(&mirrorball, "news", over));
        let _idle = Connection::open(mirrorball.rtsp);
        source.send(3);
        viewers.iter_mut().for_each(|viewer| viewer.expect_packets(&source, 0..3));
        mirrorball.signal(signal);
        for viewer in &mut viewers {
            let goodbye = viewer.rtcp();
            let bye = &goodbye[8..];
            assert_eq!(goodbye[..4], [0x80, 201, 0, 1], "an empty receiver report first: {goodbye:?}");
            assert_eq!((bye[0] & 31, bye[1]), (1, 203), "then a BYE: {goodbye:?}");
            assert_eq!(bye[4..8], source.ssrc.to_be_bytes(), "in the source's name");
            assert!(viewer.connection.is_closed_within(Duration::from_secs(5)));
        }
        let status = mirrorball.ended().expect("within five seconds");
        assert_eq!(status.code(), Some(0));
        eventually("the log says so", || mirrorball.has_logged("stopped").then_some(()));
    }
}

#[test]
fn the_demo_plays_over_udp_and_tcp_and_ends_with_0() {
    let mut mirrorball = Mirrorball::demo();
    let mut describing = Viewer::of(&mirrorball, "demo");
    let url = describing.url.clone();
    let described = describing.connection.request("DESCRIBE", &url, &[]).expect(200);
    let tracks = described.body.matches("m=").count();
    assert!(tracks >= 2, "picture and tone: {}", described.body);
    for track in 1..=tracks {
        let arrived =
            || mirrorball.metric("mirrorball_channel_packets_total", &[("track", &track.to_string())]);
        eventually("the programme begins", || (arrived() > 0.0).then_some(()));
    }
    for over in [Over::Udp, Over::Tcp] {
        let mut viewer = Viewer::of(&mirrorball, "demo");
        (1..=tracks).for_each(|track| viewer.set_up(track, over));
        viewer.play();
        assert_eq!(viewer.announced.len(), tracks);
        for track in 0..tracks {
            let sequence = |packet: Vec<u8>| u16::from_be_bytes([packet[2], packet[3]]);
            let mut packet =
                || sequence(viewer.packet_within(track, Duration::from_secs(20)).expect("media"));
            let first = packet();
            (1..30).for_each(|n| assert_eq!(packet(), first.wrapping_add(n), "track {track}, {over:?}"));
            assert_eq!(first, viewer.announced[track].0);
        }
        viewer.teardown();
    }
    mirrorball.signal(Signal::SIGINT);
    assert_eq!(mirrorball.ended().and_then(|status| status.code()), Some(0));
}

#[test]
fn the_ports_that_media_leaves_from_are_those_of_the_config() {
    let _quiet = Quiet::beside_others();
    let (first, free) = eventually("two free pairs of ports", free_pairs);
    drop(free);
    let mut source = Source::new();
    let ports = format!("{first}-{}", first + 3);
    let mirrorball = Setup::new().channel("news", source.group).udp_ports(&ports).start();
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
    let port = viewer.server_rtp().port();
    assert!(port == first || port == first + 2, "{port} of {first} and the three behind it");
    source.send(1);
    viewer.expect_packets(&source, 0..1);
}

#[test]
fn while_others_have_all_ports_for_media_viewers_over_udp_are_refused_and_all_else_goes_on() {
    let _quiet = Quiet::beside_others();
    let (first, taken) = eventually("two pairs of ports", free_pairs);
    let mut source = Source::new();
    let ports = format!("{first}-{}", first + 3);
    let mirrorball = Setup::new().channel("news", source.group).udp_ports(&ports).start();
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Tcp);
    let (url, over) =
        (mirrorball.url("news/trackID=1"), [("Transport", "RTP/AVP;unicast;client_port=50000-50001")]);
    Connection::open(mirrorball.rtsp).request("SETUP", &url, &over).expect(503);
    mirrorball.expect_logged("no server port pair for a subscriber", 1);
    source.send(3);
    viewer.expect_packets(&source, 0..3);
    drop(taken);
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
    source.send(3);
    while viewer.stamp().number < 5 {}
}

/// Four ports in a row from an even one on, kept for as long as the sockets live.
pub fn free_pairs() -> Option<(u16, Vec<UdpSocket>)> {
    let bind = |port| UdpSocket::bind(("0.0.0.0", port)).ok();
    let first = bind(0)?.local_addr().ok()?.port() & !1;
    let sockets = (first..=first.checked_add(3)?).map(bind).collect::<Option<Vec<_>>>()?;
    Some((first, sockets))
}

fn run(arguments: &[&str]) -> Output {
    let _quiet = Quiet::beside_others();
    binary().args(arguments).stdin(Stdio::null()).env_remove("RUST_LOG").output().expect("the program runs")
}

#[track_caller]
fn assert_says(output: &Output, texts: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    for text in texts {
        assert!(said.contains(text), "{text:?} is not in:\n{said}");
    }
}
