//! Every code that a request can earn, each with its CSeq echoed and the connection still of use.

use std::time::Duration;

use crate::conversation::{one_channel, two_tracks};
use crate::vocabulary::{Connection, Group, Over, Reply, Setup, Source, Viewer};

const UDP: (&str, &str) = ("Transport", "RTP/AVP;unicast;client_port=5000-5001");

/// Status, method, URI and headers.
type Case<'a> = (u16, &'a str, &'a str, &'a [(&'a str, &'a str)]);

#[test]
fn a_request_that_can_not_be_meant_is_refused_with_its_code_and_its_cseq() {
    let (_source, mirrorball) = one_channel();
    let url = mirrorball.url("news");
    let (track, absent) = (format!("{url}/trackID=1"), mirrorball.url("absent"));
    let other_track = format!("{url}/trackID=9");
    let session = ("Session", "0123456789");
    let multicast = ("Transport", "RTP/AVP;multicast");
    let record = ("Transport", "RTP/AVP;unicast;client_port=5000-5001;mode=record");
    let cases: [Case<'_>; 16] = [
        (400, "SETUP", &track, &[]),
        (400, "SETUP", &track, &[("Transport", "RTP/AVP;unicast;client_port=x")]),
        (400, "OPTIONS", "http://elsewhere/news", &[]),
        (404, "DESCRIBE", &absent, &[]),
        (404, "SETUP", &other_track, &[UDP]),
        (405, "ANNOUNCE", &url, &[]),
        (405, "RECORD", &url, &[]),
        (406, "DESCRIBE", &url, &[("Accept", "text/html")]),
        (454, "PLAY", &url, &[session]),
        (454, "PLAY", &url, &[]),
        (454, "TEARDOWN", &url, &[session]),
        (454, "OPTIONS", "*", &[session]),
        (461, "SETUP", &track, &[multicast]),
        (461, "SETUP", &track, &[record]),
        (501, "FLY", &url, &[]),
        (551, "DESCRIBE", &url, &[("Require", "teleport")]),
    ];
    let mut connection = Connection::open(mirrorball.rtsp);
    for (status, method, uri, headers) in cases {
        // `request` holds the reply against the CSeq that it sent.
        let reply = connection.request(method, uri, headers);
        assert_eq!(reply.status, status, "{method} {uri} {headers:?}: {reply:?}");
        match status {
            405 => assert!(reply.header("Allow").is_some_and(|allow| allow.contains("PLAY")), "{reply:?}"),
            551 => assert_eq!(reply.header("Unsupported"), Some("teleport")),
            _ => {}
        }
    }
    connection.request("OPTIONS", &url, &[]).expect(200);
    mirrorball.expect_metric("mirrorball_sessions", &[], 0.0);
    mirrorball.expect_metric("mirrorball_rtsp_requests_total", &[("status", "454")], 4.0);
}

#[test]
fn a_request_that_can_not_be_read_is_refused_with_its_code_and_its_cseq() {
    let (_source, mirrorball) = one_channel();
    let mut connection = Connection::open(mirrorball.rtsp);
    let mut send = |text: &str| -> Reply {
        connection.send(text);
        connection.reply()
    };
    let unread = send("DESCRIBE rtsp://edge/news RTSP/2.0\r\nCSeq: 70\r\n\r\n").expect(505);
    assert_eq!(unread.header("CSeq"), Some("70"));
    let unread = send("DESCRIBE\r\nCSeq: 71\r\n\r\n").expect(400);
    assert_eq!(unread.header("CSeq"), Some("71"));
    let unread = send("OPTIONS * RTSP/1.0\r\nCSeq: 72\r\nno colon here\r\n\r\n").expect(400);
    assert_eq!(unread.header("CSeq"), Some("72"));
    let unread = send("OPTIONS * RTSP/1.0\r\nUser-Agent: none\r\n\r\n").expect(400);
    assert_eq!(unread.header("CSeq"), None);
    send("OPTIONS * RTSP/1.0\r\nCSeq: 73\r\n\r\n").expect(200);
}

#[test]
fn a_head_or_body_without_end_is_refused_and_the_connection_closed() {
    let (_source, mirrorball) = one_channel();
    let long_header = format!("OPTIONS * RTSP/1.0\r\nCSeq: 8\r\nX: {}", "x".repeat(20_000));
    let long_line = format!("OPTIONS rtsp://edge/{}", "x".repeat(20_000));
    let long_body = "SET_PARAMETER * RTSP/1.0\r\nCSeq: 8\r\nContent-Length: 999999\r\n\r\n".to_owned();
    for (text, status) in [(long_header, 400), (long_line, 414), (long_body, 413)] {
        let mut connection = Connection::open(mirrorball.rtsp);
        connection.send(&text);
        connection.reply().expect(status);
        assert!(connection.is_closed_within(Duration::from_secs(20)), "after {status}");
    }
}

#[test]
fn who_was_hung_up_on_and_stays_is_no_one_who_did_not_finish() {
    let mirrorball = Setup::new().channel("news", Group::fresh()).rtsp("session_timeout = \"2s\"").start();
    let mut connection = Connection::open(mirrorball.rtsp);
    connection.send(format!("OPTIONS * RTSP/1.0\r\nCSeq: 8\r\nX: {}", "x".repeat(20_000)));
    connection.reply().expect(400);
    mirrorball.expect_metric("mirrorball_rtsp_connections", &[], 0.0);
    mirrorball.expect_metric("mirrorball_rtsp_connections_cut_total", &[], 0.0);
}

#[test]
fn a_request_at_the_wrong_time_is_refused() {
    let (_source, mirrorball) = one_channel();
    let mut viewer = Viewer::of(&mirrorball, "news");
    viewer.set_up(1, Over::Udp);
    let refused = viewer.request("PAUSE").expect(455);
    assert!(refused.header("Allow").is_some_and(|allowed| allowed.contains("PLAY")), "{refused:?}");
    viewer.play();
    let (url, session) = (viewer.url.clone(), viewer.session.clone());
    let unreadable = [("Session", session.as_str()), ("Range", "npt=soon-")];
    viewer.connection.request("PLAY", &url, &unreadable).expect(400);
    let other_unit = [("Session", session.as_str()), ("Range", "bytes=0-")];
    viewer.connection.request("PLAY", &url, &other_unit).expect(501);
    let with_body = "X: y\r\nContent-Length: 6\r\n";
    let text = viewer.connection.compose("GET_PARAMETER", &url, &[("Session", &session)]);
    viewer.connection.send(text.replace("\r\n\r\n", &format!("\r\n{with_body}\r\njitter")));
    viewer.connection.reply().expect(451);
    viewer.request("GET_PARAMETER").expect(200);
}

#[test]
fn what_is_of_the_whole_is_not_asked_of_a_track_and_the_other_way_round() {
    let (picture, sound) = (Source::new(), Source::new());
    let mirrorball = Setup::new().described("film", &two_tracks(&picture, &sound)).start();
    let mut viewer = Viewer::of(&mirrorball, "film");
    let url = viewer.url.clone();
    viewer.connection.request("SETUP", &url, &[UDP]).expect(459);
    viewer.set_up(1, Over::Udp);
    viewer.set_up(2, Over::Udp);
    let session = viewer.session.clone();
    let track = format!("{url}/trackID=1");
    viewer.connection.request("PLAY", &track, &[("Session", &session)]).expect(460);
    viewer.request("PLAY").expect(200);
}

#[test]
fn nobody_controls_the_session_of_another_address() {
    let (_source, mirrorball) = one_channel();
    let viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    let elsewhere = std::net::SocketAddr::from(([127, 0, 0, 2], 0));
    socket.bind(&elsewhere.into()).expect("lo has all of 127/8");
    socket.connect(&mirrorball.rtsp.into()).expect("the program accepts");
    let mut stranger = Connection::by(socket.into());
    stranger.request("TEARDOWN", &viewer.url, &[("Session", &viewer.session)]).expect(454);
    mirrorball.expect_metric("mirrorball_sessions", &[], 1.0);
}

#[test]
fn beyond_the_limit_of_sessions_a_viewer_is_refused_and_the_others_play_on() {
    let mut source = Source::new();
    let mirrorball = Setup::new().channel("news", source.group).section("limits", "sessions = 2").start();
    let mut first = Viewer::playing(&mirrorball, "news", Over::Udp);
    let second = Viewer::playing(&mirrorball, "news", Over::Tcp);
    let mut third = Viewer::of(&mirrorball, "news");
    let track = format!("{}/trackID=1", third.url);
    let reply = third.connection.request("SETUP", &track, &[UDP]);
    assert!([453, 503].contains(&reply.status), "{reply:?}");
    source.send(3);
    first.expect_packets(&source, 0..3);
    second.teardown();
    third.connection.request("SETUP", &track, &[UDP]).expect(200);
}
