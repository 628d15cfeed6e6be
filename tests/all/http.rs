//! Transport streams over HTTP, and the lists by which they are found.

use std::net::UdpSocket;
use std::time::Duration;

use socket2::SockRef;

use crate::vocabulary::{Group, Mirrorball, Over, Setup, Source, Viewer, Web, eventually};

const JOINS: &str = "mirrorball_group_joins_total";
const REFUSED: &str = "mirrorball_http_requests_total";

/// One who sends a transport stream without RTP.
struct Bare {
    group: Group,
    socket: UdpSocket,
}

impl Bare {
    fn to(group: Group) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        SockRef::from(&socket).set_multicast_if_v4(&std::net::Ipv4Addr::LOCALHOST).expect("loopback");
        Self { group, socket }
    }

    fn send(&self, datagram: &[u8]) {
        self.socket.send_to(datagram, self.group.0).expect("sent");
    }
}

/// So many packets of a transport stream, which differ from all others.
fn stream(count: usize, packet_bytes: usize, number: u8) -> Vec<u8> {
    let packet = |place: usize| {
        let mut packet = vec![number; packet_bytes];
        (packet[0], packet[1], packet[2], packet[3]) = (0x47, 0x01, place as u8, 0x10);
        packet
    };
    (0..count).flat_map(packet).collect()
}

/// The same in RTP.
fn in_rtp(payload: &[u8], number: u8) -> Vec<u8> {
    [&[0x80, 33, 0, number, 0, 0, 0, number, 0, 0, 0, 7][..], payload].concat()
}

/// What HTTP has of a stream.
fn without_parity(stream: &[u8], packet_bytes: usize) -> Vec<u8> {
    stream.chunks(packet_bytes).flat_map(|packet| packet[..188].to_vec()).collect()
}

fn watchers(mirrorball: &Mirrorball, count: f64) {
    mirrorball.expect_metric("mirrorball_channel_subscribers", &[("transport", "http")], count);
}

#[test]
fn a_stream_is_byte_for_byte_what_its_source_sends_whatever_it_comes_in() {
    let (bare, rtp) = (Bare::to(Group::fresh()), Bare::to(Group::fresh()));
    let setup = Setup::new().channel_from("bare", &format!("udp://{}", bare.group)).channel("rtp", rtp.group);
    let mirrorball = setup.over_web().start();
    let targets = [
        "/bare",
        "/bare.ts",
        "/rtp?fccip=192.0.2.1",
        &format!("/udp/{}", bare.group),
        &format!("/rtp/{}", rtp.group),
    ];
    let mut viewers = targets.map(|target| Web::get(mirrorball.web(), target).expect(200));
    for web in &viewers {
        assert_eq!(web.header("Content-Type"), Some("video/mp2t"));
        assert_eq!((web.header("Connection"), web.header("Content-Length")), (Some("close"), None));
    }
    watchers(&mirrorball, 5.0);
    let sizes = [(1, 188), (7, 188), (7, 204), (3, 188), (1, 204), (46, 204), (47, 188)];
    for ((count, size), number) in sizes.into_iter().zip(1..) {
        let sent = stream(count, size, number);
        bare.send(&sent);
        rtp.send(&in_rtp(&sent, number));
        let expected = without_parity(&sent, size);
        for web in &mut viewers {
            assert!(web.take(expected.len()) == expected, "{count} of {size}");
        }
    }
    rtp.send(&in_rtp(&stream(7, 188, 9)[1..], 8));
    rtp.send(&in_rtp(&stream(1, 188, 10), 9));
    assert!(viewers[2].take(188) == stream(1, 188, 10), "what is no transport stream is left out");
    mirrorball.expect_metric("mirrorball_drops_total", &[("reason", "no_ts")], 2.0);
    let line = mirrorball.expect_logged("a session plays", 5).remove(0);
    assert!(line.contains("transport=\"http\""), "{line}");
    drop(viewers);
    watchers(&mirrorball, 0.0);
    mirrorball.expect_metric("mirrorball_sessions_ended_total", &[("reason", "connection closed")], 5.0);
}

#[test]
fn what_is_asked_for_otherwise_is_answered_so() {
    let source = Source::new();
    let sdp = "v=0\ns=x\nc=IN IP4 239.77.8.9/8\nm=audio 5004 RTP/AVP 0\n";
    let mirrorball = Setup::new().channel("news", source.group).described("tone", sdp).over_web().start();
    let web = mirrorball.web();
    let ask = |request: &str| Web::ask(web, &format!("{request}\r\nHost: edge:8080\r\n\r\n"));
    let head = ask("HEAD /news HTTP/1.1").expect(200);
    assert_eq!(head.header("Content-Type"), Some("video/mp2t"));
    assert_eq!(head.rest(), [0; 0], "and nothing else, at once");
    for request in
        ["GET /news HTTP/1.1\r\nRange: bytes=0-", "GET /news HTTP/1.0", "GET http://edge/news HTTP/1.1"]
    {
        let mut viewer = ask(request).expect(200);
        eventually("it is served", || {
            source.send_bytes(&in_rtp(&stream(7, 188, 1), 1));
            (!viewer.within(Duration::from_millis(50)).is_empty()).then_some(())
        });
    }
    for (request, status, words) in [
        ("GET /film HTTP/1.1", 404, "/playlist.m3u"),
        ("GET / HTTP/1.1", 404, "no such channel"),
        ("GET /film.sdp HTTP/1.1", 404, "no such channel"),
        ("GET /udp/239.99.1.2:5004 HTTP/1.1", 403, "[http] open"),
        ("GET /tone.ts HTTP/1.1", 415, &format!("rtsp://edge:{}/tone", mirrorball.rtsp.port())),
        ("HEAD /film HTTP/1.1", 404, ""),
    ] {
        let answer = ask(request).expect(status);
        let text = answer.text();
        assert!(text.contains(words), "{request}: {text}");
    }
    for (request, status) in
        [("PUT /news HTTP/1.1", 405), ("GET /%zz HTTP/1.1", 400), ("POST /news HTTP/1.1", 405)]
    {
        let answer = ask(request);
        assert!(answer.head.starts_with(&format!("HTTP/1.0 {status} ")), "{request}: {}", answer.head);
    }
    mirrorball.expect_metric(REFUSED, &[("method", "GET"), ("status", "404")], 3.0);
    mirrorball.expect_metric("mirrorball_rtsp_connections", &[], 0.0);
}

#[test]
fn channels_are_joined_for_who_watches_by_http_and_no_longer() {
    let source = Source::new();
    let setup =
        Setup::new().channel("news", source.group).channel_line("join = \"on-demand\"\nlinger = \"0s\"");
    let mirrorball = setup.over_web().start();
    Web::ask(mirrorball.web(), "HEAD /news HTTP/1.1\r\n\r\n").expect(200);
    assert!(!source.group.is_joined(), "for HEAD it is not");
    for _ in 0..2 {
        let mut viewer = Web::get(mirrorball.web(), "/news").expect(200);
        eventually("it is joined", || source.group.is_joined().then_some(()));
        source.send_bytes(&in_rtp(&stream(7, 188, 3), 1));
        assert!(viewer.take(7 * 188) == stream(7, 188, 3));
        drop(viewer);
        eventually("it is left", || (!source.group.is_joined()).then_some(()));
    }
    assert!(mirrorball.metric(JOINS, &[]) >= 2.0);
}

#[test]
fn who_watches_by_http_is_within_the_same_limits() {
    let source = Source::new();
    let setup = Setup::new()
        .channel("news", source.group)
        .channel_line("sessions = 2")
        .channel("film", source.group.beside());
    let mirrorball = setup.section("limits", "sessions_per_address = 3").over_web().start();
    let first = Web::get(mirrorball.web(), "/news").expect(200);
    let _second = Viewer::playing(&mirrorball, "news", Over::Tcp);
    let full = Web::get(mirrorball.web(), "/news").expect(503);
    assert!(full.header("Retry-After").is_some() && full.text().contains("no room"));
    let _third = Web::get(mirrorball.web(), "/film").expect(200);
    let much = Web::get(mirrorball.web(), "/film").expect(503);
    assert!(much.text().contains("Your address"));
    for reason in ["channel", "address"] {
        mirrorball.expect_metric("mirrorball_sessions_refused_total", &[("reason", reason)], 1.0);
        mirrorball.expect_logged(&format!("reason=\"{reason}\""), 1);
    }
    drop(first);
    watchers(&mirrorball, 1.0);
    Web::get(mirrorball.web(), "/news").expect(200);
}
