//! Strangers who mean no good: whoever else is there loses nothing, and what is held for them is bounded.
//!
//! The flood is told at full length with `CI=true`; shorter elsewhere, as it says.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use mirrorball::event::clock;
use mirrorball::net::lower_priority;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::crowds::{allow_many_descriptors, expect_nothing_dropped};
use crate::vocabulary::{
    Connection, Crowd, Mirrorball, Over, Quiet, Setup, Source, Viewer, is_thorough, passes, say,
};

/// The one who means no good.
const HOSTILE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// What docs/operations.md says that one connection can have the program hold.
const CONNECTION_BYTES: usize = 64 << 10;
const REFUSED: &str = "mirrorball_rtsp_connections_refused_total";
const CUT: &str = "mirrorball_rtsp_connections_cut_total";

#[test]
fn who_says_nothing_that_means_anything_is_closed_however_much_it_says() {
    let mirrorball = Setup::new().rtsp("session_timeout = \"2s\"").start();
    let frame = [&b"$\x09\x03\xe8"[..], &[b'x'; 1000]].concat();
    for says in [b"\r\n".repeat(1000), frame.repeat(4)] {
        let mut talks = Connection::open(mirrorball.rtsp);
        let began = clock::now();
        while talks.stream.write_all(&says).is_ok() {
            assert!(began.elapsed() < Duration::from_secs(20), "it goes on for ever");
        }
    }
    mirrorball.expect_metric("mirrorball_rtsp_connections_cut_total", &[("reason", "silent")], 2.0);
    mirrorball.expect_metric("mirrorball_rtsp_connections", &[], 0.0);
    assert!(
        mirrorball.metric("mirrorball_rtcp_strangers_total", &[]) > 0.0,
        "frames on a channel of nobody's"
    );
}

/// They come by a session that plays, whose frames are signs of life.
#[test]
fn frames_without_end_cost_nobody_a_packet_and_are_counted() {
    const FRAMES: usize = 20_000;
    let source = Source::new();
    let programme = source.programme;
    let mirrorball = Setup::new().channel("news", source.group).section("ring", "max_age = \"60s\"").start();
    let beam = source.beam(100);
    let crowd = Crowd::of((0..20).map(|place| {
        let over = if place % 2 == 0 { Over::Udp } else { Over::Tcp };
        (watch_from(Ipv4Addr::new(127, 0, 1, place + 1), &mirrorball, over), programme)
    }));
    let mut hostile = watch_from(HOSTILE, &mirrorball, Over::Tcp);
    let mut reads = hostile.connection.stream.try_clone().expect("a descriptor");
    let before = mirrorball.resident_bytes();
    let frame = |channel: u8, length: u16| {
        let [high, low] = length.to_be_bytes();
        [&[b'$', channel, high, low][..], &vec![b'x'; length.into()]].concat()
    };
    let (own, nobodys, long) = (frame(1, 1000), frame(200, 1000), frame(1, 5000));
    thread::scope(|scope| {
        let played = scope.spawn(move || io::copy(&mut reads, &mut io::sink()));
        lower_priority().expect("a thread may be nicer"); // who floods has a machine of its own
        for number in 0..FRAMES {
            hostile.connection.send([&own, &nobodys, &long][number % 3]);
        }
        let dropped =
            |reason| mirrorball.metric("mirrorball_drops_total", &[("leg", "reports"), ("reason", reason)]);
        mirrorball.expect_metric("mirrorball_rtcp_strangers_total", &[], (FRAMES / 3 + 1) as f64);
        assert_eq!(dropped("frame_too_long"), (FRAMES / 3) as f64);
        let all = mirrorball.metric("mirrorball_drops_total", &[("leg", "reports")]);
        assert_eq!(all, (FRAMES / 3 * 2 + 1) as f64, "those on its own channel are no RTCP");
        let held = mirrorball.resident_bytes().saturating_sub(before);
        assert!(held < 16 << 20, "{held} bytes are held of the 46 MB that came");
        hostile.connection.stream.shutdown(Shutdown::Write).expect("it is open");
        let _ = played.join().expect("no panic"); // with an end, or a reset
    });
    crowd.expect_all_past(programme, beam.sent() + 20);
    crowd.expect_flawless();
    expect_nothing_dropped(&mirrorball);
    beam.stop();
}

#[test]
fn a_byte_now_and_then_keeps_no_connection() {
    let mut source = Source::new();
    let mirrorball = Setup::new().channel("news", source.group).start();
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Tcp);
    let began: [&[u8]; 7] =
        [b"", b"\r\n", b"O", b"$\x00\x0f\xff", b"$\x00\xff\xff", b"\x16\x03\x01", b"GET / HTTP/1.0\r\nX: "];
    let mut strangers = began.map(|first| {
        let mut connection = Connection::open(mirrorball.rtsp);
        connection.send(first);
        connection
    });
    let asked = Connection::open(mirrorball.rtsp).request("OPTIONS", "*", &[]);
    let byte_each: [&[u8]; 7] = [b"", b"\n", b"O", b"x", b"x", b"x", b"x"];
    let mut cut = [0.0; 3];
    let all_cut = passes(Duration::from_secs(20), || {
        viewer.report();
        for (stranger, byte) in strangers.iter_mut().zip(byte_each) {
            let _ = stranger.stream.write_all(byte); // until it is cut
        }
        thread::sleep(Duration::from_millis(300));
        let reasons = ["silent", "unfinished", "tls on a plain port"];
        cut = reasons.map(|reason| mirrorball.metric(CUT, &[("reason", reason)]));
        cut == [2.0, 4.0, 1.0]
    });
    assert!(all_cut, "{cut:?} are cut");
    mirrorball.expect_metric("mirrorball_rtsp_connections", &[], 1.0);
    asked.expect(200);
    source.send(3);
    viewer.expect_packets(&source, 0..3);
}

#[test]
fn descriptors_run_out_and_who_plays_goes_on() {
    allow_many_descriptors();
    let source = Source::new();
    let programme = source.programme;
    let setup = Setup::new().channel("news", source.group);
    // However long it takes, who reads nothing meanwhile is not silent.
    let mirrorball = setup.rtsp("session_timeout = \"600s\"").start_with_descriptors(64);
    let beam = source.beam(400);
    let slow = Connection::with_little_room(mirrorball.rtsp);
    let mut slow = Viewer::playing_by(slow, &mirrorball, "news", Over::Tcp);
    let crowd =
        Crowd::of([Over::Udp, Over::Tcp].map(|over| (Viewer::playing(&mirrorball, "news", over), programme)));
    let connect = |_| hostile_stream(mirrorball.rtsp).expect("a connection");
    // Those who ask for something are let stay, and keep the descriptors that they have.
    let flood: Vec<_> = (0..250).map(connect).collect();
    flood.iter().for_each(|mut stream| drop(stream.write(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n")));
    let more: Vec<_> = (0..50).map(connect).collect();
    let refused = || mirrorball.metric(REFUSED, &[("reason", "descriptors")]);
    let taken = || mirrorball.metric("mirrorball_rtsp_connections", &[]);
    assert!(passes(Duration::from_secs(20), || refused() + taken() >= 303.0), "all are answered");
    assert!(refused() > 200.0, "{} are refused", refused());
    assert_eq!(mirrorball.metric("mirrorball_descriptor_limit", &[]), 64.0);
    let open = mirrorball.metric("mirrorball_open_descriptors", &[]);
    assert!(open < 64.0, "{open} descriptors are open: some are kept for who serves");
    expect_some_to_be_turned_away(more);

    // Now there are none at all: those that are kept, a quarter, are taken away.
    mirrorball.allow_descriptors(48);
    let late: Vec<_> = (0..20).map(connect).collect();
    let errors = || mirrorball.metric("mirrorball_accept_errors_total", &[("reason", "descriptors")]);
    assert!(passes(Duration::from_secs(20), || errors() > 0.0), "they are counted");
    expect_some_to_be_turned_away(late);

    // By now the slow one has read nothing for a while; what it missed is skipped, and it goes on.
    let at = beam.sent() + 400;
    crowd.expect_all_past(programme, at);
    while slow.stamp().number < at {}
    assert!(mirrorball.lines_logged("descriptors run out") <= 2, "the log is told once an episode");

    mirrorball.allow_descriptors(64);
    drop(flood);
    let served = passes(Duration::from_secs(20), || {
        let mut newcomer = Connection::open(mirrorball.rtsp);
        newcomer.send("OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n");
        newcomer.reply().status == 200
    });
    assert!(served, "newcomers are served as soon as there are descriptors");
    crowd.expect_flawless();
}

/// Some may be taken on meanwhile, and closed as they ask for nothing.
#[track_caller]
fn expect_some_to_be_turned_away(streams: Vec<TcpStream>) {
    let answers = streams.into_iter().map(|mut stream| {
        stream.set_nonblocking(false).expect("a flag");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map(|_| answer)
    });
    let answers: Vec<_> = answers.collect();
    let turned_away = |answer: &io::Result<String>| {
        answer.as_ref().is_ok_and(|text| text.starts_with("RTSP/1.0 503 ") && text.contains("Retry-After: "))
    };
    assert!(answers.iter().any(turned_away), "{answers:?}");
}

#[test]
fn what_hostile_connections_hold_is_within_the_sum() {
    const CONNECTIONS: usize = 150;
    allow_many_descriptors();
    let quiet = Quiet::alone();
    let source = Source::new();
    // Of an address they may hold as much as they like: what bounds each is its own.
    let limits = "unread_bytes_per_address = 1073741824\nsessions_per_address = 100000\nsessions = 100000\n\
        egress_mbit_per_address = 1000000";
    let mirrorball = Setup::new()
        .channel("news", source.group)
        .section("ring", "max_bytes = 300000")
        .section("limits", limits)
        .start_in(quiet);
    let beam = source.beam(800);
    Viewer::playing(&mirrorball, "news", Over::Tcp).teardown();
    let before = mirrorball.resident_bytes();
    let mut flood: Vec<_> = (0..CONNECTIONS).map(|_| Connection::with_little_room(mirrorball.rtsp)).collect();
    for connection in &mut flood {
        connection.stream.set_nonblocking(true).expect("a flag");
        let long = "x".repeat(900);
        let mut play = String::new();
        while let Some(id) = set_up(connection, &long) {
            play = connection.compose("PLAY", &format!("rtsp://{long}/news"), &[("Session", &id)]);
        }
        connection.stream.write_all(play.as_bytes()).expect("room for a request");
    }
    let stuffed = passes(Duration::from_secs(30), || {
        let mut took = false;
        for connection in &mut flood {
            let options = format!("OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nRequire: {}\r\n\r\n", "x".repeat(4000));
            took |= connection.stream.write(&options.repeat(4).into_bytes()).is_ok();
        }
        !took
    });
    assert!(stuffed, "they are not heard any more");
    let held = mirrorball.resident_bytes().saturating_sub(before);
    say(&format!("{CONNECTIONS} hostile connections hold {} KiB each", held / CONNECTIONS / 1024));
    assert!(held < CONNECTIONS * CONNECTION_BYTES, "{held} bytes for {CONNECTIONS} connections");
    drop(flood);
    beam.stop();
}

/// Sets up a session of its own on a connection that does not block; its id, if it was granted.
fn set_up(connection: &mut Connection, host: &str) -> Option<String> {
    let headers = [("Transport", "RTP/AVP/TCP;unicast")];
    connection.stream.set_nonblocking(false).expect("a flag");
    let reply = connection.request("SETUP", &format!("rtsp://{host}/news/trackID=1"), &headers);
    connection.stream.set_nonblocking(true).expect("a flag");
    let id = reply.header("Session")?.split(';').next()?.to_owned();
    (reply.status == 200).then_some(id)
}

#[test]
fn a_flood_from_one_address_costs_the_others_nothing() {
    let seconds = if is_thorough() { 60 } else { 6 };
    let patience = Duration::from_secs(if is_thorough() { 1 } else { 20 }); // a busy machine is no fault
    say(&format!("flood: {seconds} s, newcomers are served within {patience:?}"));
    allow_many_descriptors();
    let quiet = Quiet::alone();
    let source = Source::new();
    let programme = source.programme;
    let limits = "connections_per_address = 200\nsessions_per_address = 20";
    let mirrorball = Setup::new().channel("news", source.group).section("limits", limits).start_in(quiet);
    let beam = source.beam(100);
    let crowd = Crowd::of((0..100).map(|place| {
        let over = if place % 2 == 0 { Over::Udp } else { Over::Tcp };
        (watch_from(Ipv4Addr::new(127, 0, 1, place + 1), &mirrorball, over), programme)
    }));
    crowd.expect_all_past(programme, beam.sent() + 50);
    let before = mirrorball.resident_bytes();

    let (stop, opened) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut slowest = Duration::ZERO;
    thread::scope(|scope| {
        scope.spawn(|| flood_until(&stop, &opened, mirrorball.rtsp));
        let over_at = clock::now() + Duration::from_secs(seconds);
        for place in (1..=250).cycle().take_while(|_| clock::now() < over_at) {
            let asked_at = clock::now();
            let mut newcomer = watch_from(Ipv4Addr::new(127, 0, 2, place), &mirrorball, Over::Tcp);
            newcomer.stamp();
            slowest = slowest.max(asked_at.elapsed());
            newcomer.teardown();
            thread::sleep(Duration::from_millis(200));
        }
        stop.store(true, Relaxed);
    });
    let opened = opened.load(Relaxed);
    say(&format!("{opened} hostile connections; the slowest newcomer was served within {slowest:?}"));
    assert!(slowest < patience, "a newcomer waited for {slowest:?}");
    assert!(opened > 1000, "{opened} connections are no flood");
    assert!(mirrorball.metric(REFUSED, &[("reason", "address")]) > 0.0);
    assert_eq!(mirrorball.lines_logged("an address is refused more connections"), 1, "once an episode");
    let held = mirrorball.resident_bytes().saturating_sub(before);
    assert!(held < 200 * CONNECTION_BYTES, "{held} bytes are held");

    crowd.expect_all_past(programme, beam.sent() + 50);
    crowd.expect_flawless();
    expect_nothing_dropped(&mirrorball);
    beam.stop();
}

#[track_caller]
fn watch_from(own: Ipv4Addr, mirrorball: &Mirrorball, over: Over) -> Viewer {
    Viewer::playing_by(Connection::from(own, mirrorball.rtsp), mirrorball, "news", over)
}

/// Opens connections as fast as it can, more than it may have, and sends single bytes, requests by the dozen, and
/// garbage on them. It reads nothing. It runs at the lowest priority, as who floods has a machine of its own.
fn flood_until(stop: &AtomicBool, opened: &AtomicU64, address: SocketAddr) {
    const KEPT: usize = 400;
    let set_up =
        "SETUP rtsp://edge/news/trackID=1 RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP/TCP\r\n\r\n".repeat(40);
    let says: [&[u8]; 4] =
        [b"O", set_up.as_bytes(), b"$\x00\xff\xff and so on", b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n"];
    let mut kept = VecDeque::new();
    (0..2).for_each(|_| lower_priority().expect("a thread may be nicer"));
    while !stop.load(Relaxed) {
        if let Ok(stream) = hostile_stream(address) {
            opened.fetch_add(1, Relaxed);
            kept.push_back(stream);
        }
        if kept.len() > KEPT {
            kept.pop_front();
        }
        for (place, mut stream) in kept.iter().enumerate().rev().step_by(40) {
            let _ = stream.write(says[place % says.len()]);
        }
    }
}

/// A connection from the hostile address, which leaves without a farewell.
fn hostile_stream(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.bind(&SocketAddr::from((HOSTILE, 0)).into())?;
    socket.set_linger(Some(Duration::ZERO))?;
    socket.connect_timeout(&address.into(), Duration::from_secs(5))?;
    SockRef::from(&socket).set_nonblocking(true)?;
    Ok(socket.into())
}
