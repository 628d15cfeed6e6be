//! An RTSP conversation as a player holds it, over UDP and in the connection.

use std::thread;
use std::time::Duration;

use crate::vocabulary::{Connection, Mirrorball, Over, Setup, Source, Stamp, Viewer};

const FROM_NOW: &str = "npt=now-";

#[test]
fn a_viewer_over_udp_goes_from_options_to_teardown() {
    from_options_to_teardown(Over::Udp);
}

#[test]
fn a_viewer_over_tcp_goes_from_options_to_teardown() {
    from_options_to_teardown(Over::Tcp);
}

fn from_options_to_teardown(over: Over) {
    let (mut source, mirrorball) = one_channel();
    let mut viewer = Viewer::of(&mirrorball, "news");
    let url = viewer.url.clone();

    let methods = viewer.connection.request("OPTIONS", "*", &[]).expect(200);
    for method in ["DESCRIBE", "SETUP", "PLAY", "PAUSE", "TEARDOWN", "GET_PARAMETER"] {
        assert!(methods.header("Public").is_some_and(|public| public.contains(method)), "{methods:?}");
    }

    let accept = [("Accept", "application/sdp")];
    let described = viewer.connection.request("DESCRIBE", &url, &accept).expect(200);
    assert_eq!(described.header("Content-Type"), Some("application/sdp"));
    assert_eq!(described.header("Content-Base"), Some(format!("{url}/").as_str()));
    assert!(described.body.contains("\r\nm=video 0 RTP/AVP 33\r\n"), "{}", described.body);
    assert!(described.body.contains("a=control:trackID=1\r\n"), "{}", described.body);
    expect_strict(&described.body);
    let with_slash = viewer.connection.request("DESCRIBE", &format!("{url}/"), &accept).expect(200);
    assert_eq!(with_slash.body, described.body);

    viewer.set_up(1, over);
    source.send(5);
    mirrorball.expect_metric("mirrorball_channel_packets_total", &[("channel", "news")], 5.0);
    let played = viewer.request("PLAY").expect(200);
    assert_eq!(played.header("Range"), Some(FROM_NOW));
    let first = Stamp::read(&source.packet(4)).expect("a whole packet");
    let info = format!("url={url}/trackID=1;seq={};rtptime={}", first.sequence, first.timestamp);
    assert_eq!(played.header("RTP-Info"), Some(info.as_str()));

    source.send(100);
    viewer.expect_packets(&source, 4..105);
    mirrorball.expect_metric("mirrorball_sessions", &[], 1.0);

    viewer.request("TEARDOWN").expect(200);
    mirrorball.expect_metric("mirrorball_sessions", &[], 0.0);
    source.send(5);
    viewer.expect_silence();
    viewer.request("PLAY").expect(454);
}

/// What players stumble over that read each line as the RFC has it.
fn expect_strict(description: &str) {
    assert!(description.ends_with("\r\n") && !description.replace("\r\n", "").contains(['\r', '\n']));
    for (line, shape) in description.lines().zip(["v=0", "o=", "s="]) {
        assert!(line.starts_with(shape), "{line:?} where {shape} belongs");
    }
    assert!(description.lines().all(|line| line.len() > 2), "a line without a value in {description}");
    for needed in ["\r\nt=0 0\r\n", "\r\na=rtpmap:33 MP2T/90000\r\n"] {
        assert!(description.contains(needed), "{needed:?} is not in {description}");
    }
}

#[test]
fn what_rtp_info_announces_is_the_packet_that_really_comes_first() {
    let (source, mirrorball) = one_channel();
    let beam = source.beam(2000);
    for round in 0..30 {
        let over = if round % 2 == 0 { Over::Udp } else { Over::Tcp };
        let mut viewer = Viewer::playing(&mirrorball, "news", over);
        let first = viewer.stamp();
        if let [announced] = viewer.announced[..] {
            assert_eq!((first.sequence, first.timestamp), announced, "round {round}, {over:?}");
        } else {
            // Before the very first packet there is nothing to announce.
            assert_eq!((round, first.number), (0, 0));
        }
        for number in first.number + 1..first.number + 20 {
            assert_eq!(viewer.stamp().number, number, "round {round}, {over:?}");
        }
    }
    beam.stop();
}

#[test]
fn before_the_first_packet_play_announces_none_and_the_first_comes() {
    let (mut source, mirrorball) = one_channel();
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
    assert_eq!(viewer.announced, []);
    source.send(3);
    viewer.expect_packets(&source, 0..3);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let (mut source, mirrorball) = one_channel();
    let mut viewer = Viewer::of(&mirrorball, "news");
    viewer.set_up(1, Over::Tcp);
    let (url, session) = (viewer.url.clone(), viewer.session.clone());
    let session = [("Session", session.as_str())];
    let mut text = String::new();
    for method in ["OPTIONS", "PLAY", "GET_PARAMETER", "PAUSE", "PLAY", "DESCRIBE", "TEARDOWN", "PLAY"] {
        text += &viewer.connection.compose(method, &url, &session);
    }
    viewer.connection.send(&text);
    let replies: Vec<_> = (0..8).map(|_| viewer.connection.reply()).collect();
    let statuses: Vec<_> = replies.iter().map(|reply| reply.status).collect();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 200, 200, 454]);
    let numbers: Vec<_> = replies.iter().filter_map(|reply| reply.header("CSeq")).collect();
    assert_eq!(numbers, ["2", "3", "4", "5", "6", "7", "8", "9"]);
    source.send(3);
    viewer.expect_silence();
}

#[test]
fn a_request_may_be_split_at_every_byte() {
    let (_source, mirrorball) = one_channel();
    let url = mirrorball.url("news");
    let mut connection = Connection::open(mirrorball.rtsp);
    let length = connection.compose("DESCRIBE", &url, &[("Accept", "application/sdp")]).len();
    for split in 1..length {
        let text = connection.compose("DESCRIBE", &url, &[("Accept", "application/sdp")]);
        let (first, second) = text.split_at(split);
        connection.send(first);
        // The kernel would deliver both at once; whether it has, changes nothing for the story.
        thread::sleep(Duration::from_millis(1));
        connection.send(second);
        let reply = connection.reply().expect(200);
        assert!(text.contains(&format!("CSeq: {}\r\n", reply.header("CSeq").expect("echoed"))));
    }
    for byte in connection.compose("OPTIONS", "*", &[]).as_bytes() {
        connection.send([*byte]);
    }
    connection.reply().expect(200);
}

#[test]
fn a_paused_viewer_gets_nothing_and_resumes_with_what_is_live() {
    for over in [Over::Udp, Over::Tcp] {
        let (mut source, mirrorball) = one_channel();
        let mut viewer = Viewer::playing(&mirrorball, "news", over);
        source.send(10);
        viewer.expect_packets(&source, 0..10);
        viewer.request("PAUSE").expect(200);
        mirrorball.expect_metric("mirrorball_channel_subscribers", &[("channel", "news")], 0.0);
        source.send(10);
        viewer.expect_silence();
        viewer.play();
        let resumed = Stamp::read(&source.packet(19)).expect("a whole packet");
        assert_eq!(viewer.announced, [(resumed.sequence, resumed.timestamp)]);
        source.send(10);
        viewer.expect_packets(&source, 19..30);
    }
}

#[test]
fn the_name_with_sdp_behind_it_is_the_same_channel() {
    let (mut source, mirrorball) = one_channel();
    let mut viewer = Viewer::playing(&mirrorball, "news.sdp", Over::Udp);
    source.send(1);
    viewer.expect_packets(&source, 0..1);
}

#[test]
fn two_tracks_play_in_one_session_each_on_its_own_ports_or_channels() {
    let (mut picture, mut sound) = (Source::new(), Source::new());
    let sdp = two_tracks(&picture, &sound);
    let mirrorball = Setup::new().described("film", &sdp).start();
    for over in [Over::Udp, Over::Tcp] {
        let (first_picture, first_sound) = (picture.next, sound.next);
        let mut viewer = Viewer::of(&mirrorball, "film");
        viewer.set_up(1, over);
        viewer.set_up(2, over);
        viewer.play();
        let counted = mirrorball.metric("mirrorball_channel_packets_total", &[]);
        picture.send(6);
        sound.send(4);
        mirrorball.expect_metric("mirrorball_channel_packets_total", &[], counted + 10.0);
        for (track, source, first, last) in
            [(0, &picture, first_picture, picture.next), (1, &sound, first_sound, sound.next)]
        {
            // A track with a fresh packet starts with that one.
            let start = first - viewer.announced.len().min(1) as u64;
            for number in start..last {
                let packet = viewer.packet_within(track, Duration::from_secs(20));
                let stamp = packet.as_deref().and_then(Stamp::read);
                assert_eq!(stamp, Stamp::read(&source.packet(number)), "track {track}, {over:?}");
            }
        }
        viewer.expect_silence();
        viewer.teardown();
    }
}

/// Two tracks that need nothing of their payloads.
pub fn two_tracks(first: &Source, second: &Source) -> String {
    let media = |source: &Source| {
        let (group, port) = (source.group.0.ip(), source.group.0.port());
        format!("m=video {port} RTP/AVP 33\r\nc=IN IP4 {group}/1\r\n")
    };
    format!("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=film\r\nt=0 0\r\n{}{}", media(first), media(second))
}

/// A source, and a program that has joined it as `news`.
pub fn one_channel() -> (Source, Mirrorball) {
    let source = Source::new();
    let mirrorball = Setup::new().channel("news", source.group).start();
    (source, mirrorball)
}
