//! What carries a conversation: TLS, the tunnel of two HTTP connections, and both. Each serves what a plain connection serves,
//! and what is begun and not finished costs little, and not for long.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nix::sys::signal::Signal;

use crate::vocabulary::{
    Carrier, Connection, Group, Mirrorball, Needs, Over, Setup, Source, Viewer, Web, eventually,
    fresh_cookie, in_a_network_of_its_own, join, passes, read_head, say, send_get, send_post, skip,
    through_tls, tunnel,
};

const CUT: &str = "mirrorball_rtsp_connections_cut_total";
const FAILED: &str = "mirrorball_tls_handshakes_failed_total";
const CONNECTIONS: &str = "mirrorball_rtsp_connections";

/// All that is there besides plain connections.
const CARRIERS: [Carrier; 4] =
    [Carrier::Tls, Carrier::Tunnel { part: 1 }, Carrier::Tunnel { part: 1000 }, Carrier::SecretTunnel];

#[test]
fn each_carrier_carries_each_way() {
    let mut source = Source::new();
    let mirrorball = Setup::new().channel("news", source.group).through_tls().over_http().start();
    let viewer = |carrier: Carrier, over| {
        let connection = Connection::by(carrier.connect(&mirrorball));
        Viewer::playing_by(connection, &mirrorball, "news", over)
    };
    let mut viewers: Vec<_> = CARRIERS.map(|carrier| viewer(carrier, Over::Tcp)).into();
    viewers.push(viewer(Carrier::Plain, Over::Tcp));
    viewers.push(viewer(Carrier::Plain, Over::Udp));
    viewers.push(viewer(Carrier::Tunnel { part: 7 }, Over::Udp));
    mirrorball.expect_metric(CONNECTIONS, &[("transport", "tcp")], 2.0);
    mirrorball.expect_metric(CONNECTIONS, &[("transport", "tls")], 1.0);
    mirrorball.expect_metric(CONNECTIONS, &[("transport", "http")], 6.0);
    mirrorball.expect_metric(CONNECTIONS, &[("transport", "https")], 2.0);
    mirrorball.expect_metric("mirrorball_tls_handshakes_total", &[], 3.0);
    mirrorball.expect_metric("mirrorball_http_requests_total", &[("method", "POST"), ("status", "200")], 4.0);
    source.send(200);
    for viewer in &mut viewers {
        viewer.expect_packets(&source, 0..200);
        viewer.report();
    }
    mirrorball.expect_metric("mirrorball_rtcp_reports_total", &[], 7.0);
    viewers.into_iter().for_each(Viewer::teardown);
    mirrorball.expect_metric("mirrorball_sessions_ended_total", &[("reason", "teardown")], 7.0);
    mirrorball.expect_metric(CONNECTIONS, &[], 0.0);
}

#[test]
fn the_halves_of_a_tunnel_meet_by_whichever_address_they_come() {
    let mut source = Source::new();
    let mirrorball = Setup::new().channel("news", source.group).over_http().start();
    let cookie = fresh_cookie();
    let connect = |address: SocketAddr| TcpStream::connect(address).expect("the program accepts");
    let post = send_post(connect(mirrorball.http()), &cookie, 5);
    let get = send_get(connect(mirrorball.rtsp), &cookie);
    let connection = Connection::by(join(get, post, 3));
    let mut viewer = Viewer::playing_by(connection, &mirrorball, "news", Over::Tcp);
    source.send(3);
    viewer.expect_packets(&source, 0..3);
}

/// The clients that reconnect their POST do so between requests, and a proxy may between any two bytes that it has passed on.
#[test]
fn one_post_may_follow_another() {
    let source = Source::new();
    let mirrorball = Setup::new().channel("news", source.group).start();
    let cookie = fresh_cookie();
    let connect = || TcpStream::connect(mirrorball.rtsp).expect("the program accepts");
    let get = send_get(connect(), &cookie);
    let head = read_head(&get);
    assert!(head.contains("\r\nContent-Type: application/x-rtsp-tunnelled\r\n"), "{head}");
    let mut replies = Connection::by(get);
    let (mut posts, mut count) = (Vec::new(), 0.0);
    for number in 0..5 {
        let request = replies.compose("OPTIONS", "*", &[]);
        let (first, second) = request.split_at(7 * number);
        for part in [first, second] {
            posts.push(send_post(connect(), &cookie, 1000));
            let mut post = posts.last().expect("just opened");
            post.write_all(STANDARD.encode(part).as_bytes()).expect("the program reads");
            count += 1.0;
            mirrorball.expect_metric("mirrorball_http_requests_total", &[("method", "POST")], count);
            if number % 2 == 0 {
                posts.pop(); // closed, with all that was said
            }
        }
        replies.reply().expect(200);
    }
    for post in posts.into_iter().rev().skip(1) {
        assert!(Connection::by(post).is_closed_within(Duration::from_secs(20)), "one that was followed");
    }
    mirrorball.expect_metric(CUT, &[], 0.0);
}

#[test]
fn half_of_a_tunnel_is_not_waited_for_for_long() {
    let mirrorball = Setup::new().rtsp("session_timeout = \"2s\"").over_http().start();
    let own = |address| TcpStream::connect(address).expect("the program accepts");
    let (first, second) = (fresh_cookie(), fresh_cookie());
    let get = send_get(own(mirrorball.rtsp), &first);
    let post = send_post(own(mirrorball.http()), &second, 1000);
    // A cookie that was guessed is of no use elsewhere, so these are halves as well.
    let other = Ipv4Addr::new(127, 0, 0, 3);
    let strange_post = send_post(Connection::from(other, mirrorball.rtsp).stream, &first, 1000);
    let strange_get = send_get(Connection::from(other, mirrorball.http()).stream, &second);
    mirrorball.expect_metric(CONNECTIONS, &[("transport", "http")], 4.0);
    mirrorball.expect_metric(CUT, &[("reason", "half tunnel")], 4.0);
    mirrorball.expect_metric(CONNECTIONS, &[], 0.0);
    for (half, is_get) in [(get, true), (post, false), (strange_get, true), (strange_post, false)] {
        if is_get {
            read_head(&half);
        }
        assert!(Connection::by(half).is_closed_within(Duration::from_secs(20)));
    }
    // One that has both on one connection will not come by another.
    let mut both = send_get(own(mirrorball.rtsp), &fresh_cookie());
    read_head(&both);
    both.write_all(b"POST /news HTTP/1.1\r\nx-sessioncookie: one\r\n\r\nT1BU").expect("room");
    assert!(Connection::by(both).is_closed_within(Duration::from_secs(20)));
    mirrorball.expect_metric(CUT, &[("reason", "broken tunnel")], 1.0);
    // A tunnel that was whole, and has lost its POST, is not half of one.
    let mut connection = Connection::by(tunnel(|| own(mirrorball.rtsp), 1000));
    connection.request("OPTIONS", "*", &[]).expect(200);
    drop(connection);
    mirrorball.expect_metric(CONNECTIONS, &[], 0.0);
    mirrorball.expect_metric(CUT, &[("reason", "half tunnel")], 4.0);
}

#[test]
fn halves_of_tunnels_are_bounded_like_connections() {
    let mirrorball = Setup::new().section("limits", "connections_per_address = 4").over_http().start();
    let connect = || TcpStream::connect(mirrorball.http()).expect("the program accepts");
    let halves: Vec<_> = (0..4).map(|_| send_post(connect(), &fresh_cookie(), 1000)).collect();
    mirrorball.expect_metric(CONNECTIONS, &[("transport", "http")], 4.0);
    let refused = read_head(&connect());
    assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("\r\nRetry-After: "), "{refused}");
    mirrorball.expect_metric("mirrorball_rtsp_connections_refused_total", &[("reason", "address")], 1.0);
    drop(halves);
}

#[test]
fn what_is_no_tunnel_is_refused_in_words() {
    let mirrorball = Setup::new().over_http().through_tls().start();
    let (cookie, taken) = (fresh_cookie(), fresh_cookie());
    let _other = send_get(TcpStream::connect(mirrorball.rtsp).expect("accepted"), &taken);
    mirrorball.expect_metric("mirrorball_http_requests_total", &[("method", "GET"), ("status", "200")], 1.0);
    let mut seen = 0;
    for (request, status) in [
        ("GET /favicon.ico HTTP/1.1\r\nHost: edge\r\n\r\n".to_owned(), 404),
        ("POST / HTTP/1.0\r\nContent-Length: 4\r\n\r\n".to_owned(), 404),
        (format!("POST / HTTP/1.1\r\nx-sessioncookie: {cookie}\r\nTransfer-Encoding: chunked\r\n\r\n"), 411),
        (format!("GET / HTTP/1.0\r\nx-sessioncookie: {taken}\r\n\r\n"), 409),
        (format!("GET / HTTP/1.0\r\nx: {}\r\n\r\n", "x".repeat(9000)), 431),
        ("GET nothing\r\n\r\n".to_owned(), 400),
    ] {
        let tls = || through_tls(TcpStream::connect(mirrorball.rtsps()).expect("accepted")).0;
        let plain = |address| TcpStream::connect(address).expect("accepted");
        let streams =
            [Some(plain(mirrorball.rtsp)), Some(plain(mirrorball.http())), (status != 409).then(tls)];
        for stream in streams.into_iter().flatten() {
            let answer = Web::ask_by(stream, &request);
            assert!(answer.head[8..].starts_with(&format!(" {status} ")), "{request}: {}", answer.head);
            let is_read = !matches!(status, 400 | 431);
            assert_eq!(answer.text().ends_with(".\n"), is_read, "{request}");
            seen += 1;
        }
    }
    let refused = Web::ask(mirrorball.http(), "PUT / HTTP/1.1\r\n\r\n").expect(405);
    assert_eq!(refused.header("Allow"), Some("GET, POST"));
    let all = mirrorball.metric("mirrorball_http_requests_total", &[]);
    assert_eq!(all, f64::from(seen) + 2.0);
}

#[test]
fn a_tunnel_that_carries_nonsense_is_cut() {
    let mirrorball = Setup::new().start();
    let connect = || TcpStream::connect(mirrorball.rtsp).expect("the program accepts");
    let cookie = fresh_cookie();
    let get = send_get(connect(), &cookie);
    let post = send_post(connect(), &cookie, 1000);
    read_head(&get);
    (&post).write_all(b"OPTIONS * RTSP/1.0\r\n").expect("the program reads");
    mirrorball.expect_metric(CUT, &[("reason", "broken tunnel")], 1.0);
    mirrorball.expect_metric(CONNECTIONS, &[], 0.0);
    mirrorball.expect_logged("reason=\"broken tunnel\"", 1);
}

/// Replies wait for a client that asks and does not read; what it says further waits in its own kernel.
#[test]
fn a_tunnel_is_held_back_as_a_connection_is() {
    let mirrorball = Setup::new().start();
    let cookie = fresh_cookie();
    let mut replies = Connection::with_little_room(mirrorball.rtsp);
    replies.stream = send_get(replies.stream, &cookie);
    let post = send_post(TcpStream::connect(mirrorball.rtsp).expect("accepted"), &cookie, 1000);
    post.set_nonblocking(true).expect("a flag");
    // Three hundred bytes, so that groups of four and requests end together.
    let request = format!("OPTIONS * RTSP/1.0\r\nCSeq: 7\r\nTimestamp: {}\r\n\r\n", "1".repeat(256));
    assert_eq!(request.len(), 300);
    let request = STANDARD.encode(request);
    let (mut written, mut whole) = (0, 0);
    let text = request.repeat(40_000);
    let stuck = passes(Duration::from_secs(20), || {
        let before = written;
        while let Ok(count) = (&post).write(&text.as_bytes()[written..]) {
            written += count;
        }
        written == before && written > 0
    });
    assert!(stuck && written < text.len(), "{written} of {}", text.len());
    mirrorball.expect_metric(CUT, &[], 0.0);
    read_head(&replies.stream);
    while whole < written / request.len() {
        assert_eq!(replies.reply().expect(200).header("CSeq"), Some("7"));
        whole += 1;
    }
}

#[test]
fn a_slow_reader_through_tls_gets_every_packet_whole() {
    const PACKETS: u64 = 20_000;
    let mut source = Source::new();
    let setup = Setup::new().channel("news", source.group).through_tls();
    let mirrorball = setup.section("ring", "max_age = \"60s\"\nmax_bytes = 1000000000").start();
    let far = Connection::with_little_room(mirrorball.rtsps()).stream;
    let connection = Connection::by(through_tls(far).0);
    let mut viewer = Viewer::playing_by(connection, &mirrorball, "news", Over::Tcp);
    let mut sent = 0;
    while sent < PACKETS {
        source.send(200);
        sent += 200;
        // Nothing is lost on the way in, so what is missing is missing on the way out.
        mirrorball.expect_metric("mirrorball_channel_packets_total", &[], sent as f64);
    }
    let out = mirrorball.metric("mirrorball_forwarded_packets_total", &[("transport", "tcp")]);
    assert!(out < sent as f64, "the connection is full");
    viewer.expect_packets(&source, 0..PACKETS);
    viewer.teardown();
}

#[test]
fn media_does_not_go_in_the_clear_where_its_viewer_came_through_tls() {
    let mut source = Source::new();
    let mirrorball =
        Setup::new().channel("news", source.group).multicast_out(Group::fresh()).through_tls().start();
    for carrier in [Carrier::Tls, Carrier::SecretTunnel] {
        let connection = Connection::by(carrier.connect(&mirrorball));
        let mut viewer = Viewer::by(connection, &mirrorball, "news");
        let url = format!("{}/trackID=1", viewer.url);
        for clear in [
            "RTP/AVP;unicast;client_port=40000-40001",
            "RAW/RAW/UDP;unicast;client_port=40000",
            "RTP/AVP;multicast",
        ] {
            viewer.connection.request("SETUP", &url, &[("Transport", clear)]).expect(461);
        }
        let either =
            [("Transport", "RTP/AVP;unicast;client_port=40000-40001,RTP/AVP/TCP;unicast;interleaved=4-5")];
        let granted = viewer.connection.request("SETUP", &url, &either).expect(200);
        assert!(
            granted.header("Transport").is_some_and(|granted| granted.contains("interleaved=4-5")),
            "{granted:?}"
        );
        viewer.set_up(1, Over::Tcp);
        viewer.play();
        source.send(3);
        assert!(viewer.packet_within(0, Duration::from_secs(20)).is_some());
    }
    mirrorball.expect_metric("mirrorball_sessions_refused_total", &[("reason", "clear")], 6.0);
    let mirrorball =
        Setup::new().channel("news", source.group).through_tls().rtsp("clear_media = true").start();
    let connection = Connection::by(Carrier::Tls.connect(&mirrorball));
    let mut viewer = Viewer::playing_by(connection, &mirrorball, "news", Over::Udp);
    source.send(1);
    viewer.packet();
}

#[test]
fn what_goes_in_the_clear_was_asked_for_in_the_clear() {
    let mut source = Source::new();
    let mirrorball = Setup::new().channel("news", source.group).through_tls().start();
    let through_tls = || Connection::by(Carrier::Tls.connect(&mirrorball));
    // What was set up over UDP by a plain connection goes on so, whatever connection asks for it then.
    let mut viewer = Viewer::of(&mirrorball, "news");
    viewer.set_up(1, Over::Udp);
    let plain = std::mem::replace(&mut viewer.connection, through_tls());
    viewer.play();
    source.send(1);
    viewer.packet();
    let (track, session) = (format!("{}/trackID=1", viewer.url), viewer.session.clone());
    let udp = [("Transport", "RTP/AVP;unicast;client_port=40000-40001"), ("Session", session.as_str())];
    viewer.connection.request("SETUP", &track, &udp).expect(461);
    // What was set up through TLS stays in that connection, whatever connection asks for it.
    let mut viewer = Viewer::by(through_tls(), &mirrorball, "news");
    viewer.set_up(1, Over::Tcp);
    let mut other = Connection::open(mirrorball.rtsp);
    let (url, session) = (viewer.url.clone(), viewer.session.clone());
    other.request("PLAY", &url, &[("Session", &session)]).expect(200);
    source.send(1);
    assert!(viewer.packet_within(0, Duration::from_secs(20)).is_some(), "it comes where it was set up");
    let interleaved = [("Transport", "RTP/AVP/TCP;unicast;interleaved=0-1"), ("Session", session.as_str())];
    let udp = [udp[0], ("Session", session.as_str())];
    for headers in [&interleaved, &udp] {
        other.request("SETUP", &format!("{url}/trackID=1"), headers).expect(461);
    }
    assert_eq!(other.frame(0, Duration::from_millis(150)), None);
    drop(plain);
}

#[test]
fn who_comes_through_tls_is_not_sent_out_of_it() {
    let full = |limits: &str| {
        let group = Group::fresh();
        let setup = Setup::new().channel("news", group).through_tls();
        setup
            .section("limits", &format!("sessions = 1\nredirect = \"rtsp://other.example\"\n{limits}"))
            .start()
    };
    for (limits, status, location) in [
        ("", 503, None),
        ("redirect_tls = \"rtsps://secret.example:8322\"", 302, Some("rtsps://secret.example:8322/news")),
    ] {
        let mirrorball = full(limits);
        let _viewer = Viewer::playing(&mirrorball, "news", Over::Tcp);
        let ask = |carrier: Carrier| {
            let mut newcomer = Connection::by(carrier.connect(&mirrorball));
            newcomer.request("SETUP", &mirrorball.url("news"), &[("Transport", "RTP/AVP/TCP;unicast")])
        };
        for carrier in [Carrier::Tls, Carrier::SecretTunnel] {
            let reply = ask(carrier).expect(status);
            assert_eq!(reply.header("Location"), location, "{reply:?}");
            assert_eq!(reply.header("Retry-After").is_some(), status == 503, "{reply:?}");
        }
        let reply = ask(Carrier::Plain).expect(302);
        assert_eq!(reply.header("Location"), Some("rtsp://other.example/news"));
    }
}

#[test]
fn a_new_certificate_is_served_and_who_plays_goes_on() {
    let mut source = Source::new();
    let mirrorball = Setup::new().channel("news", source.group).through_tls().start();
    let shown = || through_tls(TcpStream::connect(mirrorball.rtsps()).expect("accepted")).1;
    let expiry = || mirrorball.metric("mirrorball_certificate_expiry_seconds", &[]);
    let (first, until) = (shown(), expiry());
    let connection = Connection::by(Carrier::Tls.connect(&mirrorball));
    let mut viewer = Viewer::playing_by(connection, &mirrorball, "news", Over::Tcp);
    mirrorball.renew_certificate(2050);
    let second = eventually("another certificate is shown", || Some(shown()).filter(|shown| *shown != first));
    assert_eq!(expiry(), until + 3653.0 * 86_400.0);
    mirrorball.spoil_key();
    let told = mirrorball.expect_logged("a new certificate is not served", 1);
    assert!(told[0].contains("edge.key holds no private key"), "{told:?}");
    assert!(shown() == second);
    source.send(3);
    viewer.expect_packets(&source, 0..3);
    mirrorball.renew_certificate(2051);
    eventually("a third one is shown", || (shown() != second).then_some(()));
    assert_eq!(mirrorball.lines_logged("a new certificate is not served"), 1, "a bad pair is told once");
    viewer.teardown();
}

#[test]
fn tls_where_none_is_served_is_hung_up_on() {
    let mirrorball = Setup::new().over_http().start();
    let hello = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
    for address in [mirrorball.rtsp, mirrorball.http()] {
        let mut connection = Connection::open(address);
        connection.send(hello);
        let mut answer = Vec::new();
        let _ = connection.stream.read_to_end(&mut answer);
        assert!(answer.is_empty(), "nothing that a client of TLS could read: {answer:?}");
    }
    mirrorball.expect_metric(CUT, &[("reason", "tls on a plain port")], 2.0);
    mirrorball.expect_logged("reason=\"tls on a plain port\"", 1);
}

#[test]
fn what_comes_in_one_record_is_all_answered() {
    let mirrorball = Setup::new().channel("news", Group::fresh()).through_tls().start();
    for carrier in [Carrier::Tls, Carrier::SecretTunnel] {
        let mut connection = Connection::by(carrier.connect(&mirrorball));
        // Records of up to 16 KiB, read by 4 at a time.
        for requests in [40, 90, 180, 270, 300] {
            connection.send("OPTIONS * RTSP/1.0\r\nCSeq: 7\r\nX: of a crowd\r\n\r\n".repeat(requests));
            (0..requests).for_each(|_| drop(connection.reply().expect(200)));
        }
    }
}

#[test]
fn a_handshake_that_stops_half_way_is_not_waited_for() {
    let mut source = Source::new();
    let setup = Setup::new().channel("news", source.group).through_tls();
    let mirrorball = setup.rtsp("session_timeout = \"3s\"").start();
    let connection = Connection::by(Carrier::Tls.connect(&mirrorball));
    let mut viewer = Viewer::playing_by(connection, &mirrorball, "news", Over::Tcp);
    let open = || TcpStream::connect(mirrorball.rtsps()).expect("the program accepts");
    let begun: [&[u8]; 3] = [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"];
    let silent: Vec<_> = begun
        .iter()
        .map(|begun| {
            let mut stream = open();
            stream.write_all(begun).expect("the program reads");
            stream
        })
        .collect();
    open().write_all(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n").expect("the program reads");
    let mut endless = open();
    // A hello that has no end: messages of a handshake may have 16 MiB.
    let _ = endless.write_all(&[&b"\x16\x03\x01\x40\x00\x01\xff\xff\xff"[..], &[0; 40_000]].concat());
    drop(open());
    mirrorball.expect_metric(FAILED, &[("reason", "protocol")], 2.0);
    mirrorball.expect_metric(FAILED, &[("reason", "closed")], 1.0);
    let cut = passes(Duration::from_secs(20), || {
        viewer.report();
        mirrorball.metric(FAILED, &[("reason", "timeout")]) == 3.0
    });
    assert!(cut, "{}", mirrorball.metric(FAILED, &[("reason", "timeout")]));
    for stream in silent {
        assert!(Connection::by(stream).is_closed_within(Duration::from_secs(20)));
    }
    mirrorball.expect_metric(CONNECTIONS, &[], 1.0);
    mirrorball.expect_logged("handshake failed", 1);
    source.send(3);
    viewer.expect_packets(&source, 0..3);
}

/// Of a client that has shaken hands nothing has come yet.
#[test]
fn who_shakes_hands_and_says_nothing_is_cut_like_others() {
    let mirrorball = Setup::new().through_tls().rtsp("session_timeout = \"2s\"").start();
    let streams: Vec<_> = (0..3).map(|_| Carrier::Tls.connect(&mirrorball)).collect();
    mirrorball.expect_metric(CUT, &[("reason", "silent")], 3.0);
    mirrorball.expect_metric(CONNECTIONS, &[], 0.0);
    drop(streams);
}

#[test]
fn another_handshake_on_a_connection_ends_it() {
    let Ok(version) = Command::new("openssl").arg("version").output() else {
        return skip("renegotiation", "there is no openssl");
    };
    assert!(version.status.success());
    let mirrorball = Setup::new().through_tls().start();
    let address = mirrorball.rtsps().to_string();
    let mut client = Command::new("openssl")
        .args(["s_client", "-tls1_2", "-connect", &address])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl starts");
    mirrorball.expect_metric("mirrorball_tls_handshakes_total", &[], 1.0);
    client.stdin.as_mut().expect("a pipe").write_all(b"R\n").expect("it reads");
    mirrorball.expect_metric(CUT, &[("reason", "renegotiation")], 1.0);
    mirrorball.expect_metric(CONNECTIONS, &[], 0.0);
    let _ = client.kill();
    let _ = client.wait();
}

#[test]
fn bytes_that_are_no_record_end_a_connection_through_tls() {
    let mirrorball = Setup::new().through_tls().start();
    let far = TcpStream::connect(mirrorball.rtsps()).expect("the program accepts");
    let beside = far.try_clone().expect("a descriptor");
    let (near, _) = through_tls(far);
    let mut connection = Connection::by(near);
    connection.request("OPTIONS", "*", &[]).expect(200);
    (&beside).write_all(b"\x17\x03\x03\x00\x20 thirty-two bytes of no meaning.").expect("the program reads");
    mirrorball.expect_metric(CUT, &[("reason", "broken tls")], 1.0);
    mirrorball.expect_metric(CONNECTIONS, &[], 0.0);
    let _ = beside.shutdown(Shutdown::Both);
}

const NEEDS: Needs = Needs { programs: &["ip", "ffmpeg", "gst-launch-1.0"], route: true, ipv6: false };

/// ffmpeg and GStreamer, each by all that carries which it knows.
#[test]
fn real_players_watch_by_all_that_carries() {
    in_a_network_of_its_own("players through TLS and tunnels", &NEEDS, || {
        let group = Group::fresh();
        let mut mirrorball = Setup::new().channel("film", group).through_tls().over_http().start();
        let sender = Film::sent_to(group);
        mirrorball.expect_metric("mirrorball_channel_joined", &[], 1.0);
        let (rtsps, http) = (mirrorball.rtsps(), mirrorball.http());
        let players = [
            ffmpeg("ffmpeg through TLS", &["-rtsp_transport", "tcp"], &format!("rtsps://{rtsps}/film")),
            ffmpeg("ffmpeg by a tunnel", &["-rtsp_transport", "http"], &format!("rtsp://{http}/film")),
            ffmpeg(
                "ffmpeg by a tunnel at the port of RTSP",
                &["-rtsp_transport", "http"],
                &mirrorball.url("film"),
            ),
            ffmpeg(
                "ffmpeg by a tunnel through TLS",
                &["-rtsp_transport", "https"],
                &format!("rtsp://{rtsps}/film"),
            ),
            gstreamer("GStreamer through TLS", &format!("rtsps://{rtsps}/film")),
            gstreamer("GStreamer by a tunnel", &format!("rtsph://{http}/film")),
            gstreamer("GStreamer by a tunnel through TLS", &format!("rtspsh://{rtsps}/film")),
        ];
        for (name, mut player) in players {
            let ended = passes(Duration::from_secs(60), || !matches!(player.try_wait(), Ok(None)));
            let _ = player.kill();
            let output = player.wait_with_output().expect("it ran");
            let said = String::from_utf8_lossy(&output.stderr);
            // GStreamer may lose its own connection through TLS as it pauses at the end, whoever serves it.
            let is_known = output.stdout.len() >= TAKEN_BYTES && said.contains("(Received end-of-file)");
            assert!(ended && (output.status.success() || is_known), "{name}: {}\n{said}", output.status);
            say(&format!("{name}: watched"));
        }
        drop(sender);
        mirrorball.expect_metric(CUT, &[], 0.0);
        expect_end(&mut mirrorball);
    });
}

fn expect_end(mirrorball: &mut Mirrorball) {
    mirrorball.signal(Signal::SIGTERM);
    assert!(mirrorball.ended().is_some_and(|status| status.success()));
}

/// A picture without an end, for as long as this lives.
struct Film(Child);

impl Drop for Film {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Film {
    fn sent_to(group: Group) -> Self {
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error", "-re", "-f", "lavfi", "-i", "testsrc=size=160x120:rate=25", "-g", "5"]);
        command.args(["-c:v", "mpeg2video", "-f", "rtp_mpegts", &format!("rtp://{group}?ttl=1")]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().expect("ffmpeg starts"))
    }
}

/// Takes fifty pictures.
fn ffmpeg(name: &str, options: &[&str], url: &str) -> (String, Child) {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin"]).args(options).args(["-i", url]);
    command.args(["-frames:v", "50", "-f", "null", "-"]);
    (name.to_owned(), started(command))
}

/// What GStreamer has taken at least as it ends: packets of seven packets of a transport stream.
const TAKEN_BYTES: usize = 19 * 7 * 188;

/// Takes twenty packets, and hands them out.
fn gstreamer(name: &str, url: &str) -> (String, Child) {
    let mut command = Command::new("gst-launch-1.0");
    command.args([
        "-q",
        "rtspsrc",
        &format!("location={url}"),
        "tls-validation-flags=0",
        "protocols=tcp+http",
    ]);
    command.args(["!", "rtpmp2tdepay", "!", "identity", "eos-after=20", "!", "fdsink"]);
    (name.to_owned(), started(command))
}

fn started(mut command: Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("it starts")
}
