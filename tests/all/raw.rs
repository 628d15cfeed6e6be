//! Transport streams without RTP, as set-top boxes and VLC ask for them.

use std::net::UdpSocket;
use std::thread;
use std::time::Duration;

use mirrorball::event::clock;

use crate::conversation::{one_channel, two_tracks};
use crate::vocabulary::{
    Connection, Mirrorball, Needs, Over, Setup, Source, Viewer, count, counted, datagram,
    in_a_network_of_its_own, parameter, raise_firewall,
};

/// What set-top boxes ask for.
const BOX: &str = "MP2T/H2221/UDP;unicast;client_port=PORT";
const VLC: &str = "RAW/RAW/UDP;unicast;client_port=PORT";
const RTP_HEADER_BYTES: usize = 12;
const PATIENCE: Duration = Duration::from_secs(20);
const SILENCE: Duration = Duration::from_millis(150);
const SUBSCRIBERS: &str = "mirrorball_channel_subscribers";
const RAW: &[(&str, &str)] = &[("transport", "raw")];

/// Plays the only track of a channel without RTP.
#[track_caller]
fn playing(mirrorball: &Mirrorball, transport: &str) -> (Viewer, UdpSocket) {
    let mut viewer = Viewer::of(mirrorball, "news");
    let (socket, _) = viewer.set_up_raw(transport);
    viewer.play();
    (viewer, socket)
}

/// The payload of one of the source's packets.
fn payload(source: &Source, number: u64) -> Vec<u8> {
    source.packet(number).split_off(RTP_HEADER_BYTES)
}

#[track_caller]
fn expect(socket: &UdpSocket, source: &Source, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let came = datagram(socket, PATIENCE).unwrap_or_else(|| panic!("payload {number} did not come"));
        assert!(came == payload(source, number), "payload {number} was changed on its way");
    }
}

/// Which packet's payload this is.
fn number_of(payload: &[u8]) -> u64 {
    u64::from_be_bytes(payload[4..12].try_into().expect("a stamp"))
}

#[test]
fn payloads_leave_bit_for_bit_beside_packets_and_all_is_told_of_them() {
    let (mut source, mirrorball) = one_channel();
    let mut with_rtp = Viewer::playing(&mirrorball, "news", Over::Udp);
    let mut viewers = [BOX, VLC].map(|transport| {
        let mut viewer = Viewer::of(&mirrorball, "news");
        let (socket, granted) = viewer.set_up_raw(transport);
        let port = socket.local_addr().expect("bound").port();
        let server = parameter(&granted, "server_port").expect("a port of the server");
        let told = transport.replace("PORT", &port.to_string());
        assert_eq!(granted, format!("{told};server_port={server}"), "one port on each side, and no SSRC");
        socket.connect(("127.0.0.1", server.parse().expect("one port"))).expect("where it comes from");
        viewer.play();
        (viewer, socket)
    });
    for count in [1, 40, 2, 13] {
        source.send(count);
        let numbers = source.next - count..source.next;
        with_rtp.expect_packets(&source, numbers.clone());
        viewers.iter().for_each(|(_, socket)| expect(socket, &source, numbers.clone()));
    }
    mirrorball.expect_metric(SUBSCRIBERS, RAW, 2.0);
    mirrorball.expect_metric(SUBSCRIBERS, &[("transport", "udp")], 1.0);
    mirrorball.expect_metric("mirrorball_forwarded_packets_total", RAW, 2.0 * 56.0);
    let bytes = 2 * 56 * payload(&source, 0).len();
    mirrorball.expect_metric("mirrorball_forwarded_bytes_total", RAW, bytes as f64);
    let port = viewers[0].1.local_addr().expect("bound").port();
    let begun = mirrorball.expect_logged("a session plays", 3);
    let told = format!("transport=\"raw\" client_ports=\"{port}\"");
    assert!(begun.iter().any(|line| line.contains(&told)), "{told}: {begun:#?}");
    viewers[0].0.request("TEARDOWN").expect(200);
    let ended = mirrorball.expect_logged("a session has ended", 1);
    assert!(ended[0].contains(&format!("packets=56 bytes={} missed=0", bytes / 2)), "{ended:?}");
    source.send(1);
    assert_eq!(datagram(&viewers[0].1, SILENCE), None, "after TEARDOWN nothing comes");
    mirrorball.expect_metric(SUBSCRIBERS, RAW, 1.0);
    expect(&viewers[1].1, &source, 56..57);
}

#[test]
fn what_stands_around_a_payload_stays_here_and_so_does_a_packet_without_one() {
    let (source, mirrorball) = one_channel();
    let (_viewer, socket) = playing(&mirrorball, BOX);
    let packet =
        |first: u8, number: u8, rest: &[u8]| [&[first, 33, 0, number, 0, 0, 0, 0, 0, 0, 0, 7], rest].concat();
    let (csrc, extension) = ([1; 4], [0xbe, 0xde, 0, 1, 9, 9, 9, 9]);
    source.send_bytes(&packet(0x81, 1, &[&csrc[..], &[0x47; 188]].concat()));
    source.send_bytes(&packet(0x90, 2, &[&extension[..], &[0x48; 188]].concat()));
    source.send_bytes(&packet(0x80, 3, b""));
    source.send_bytes(&packet(0xa0, 4, &[&[0x49; 188][..], &[0, 0, 3]].concat()));
    source.send_bytes(&packet(0xb1, 5, &[&csrc[..], &extension, &[0x50; 376], &[1]].concat()));
    for expected in [vec![0x47; 188], vec![0x48; 188], vec![0x49; 188], vec![0x50; 376]] {
        assert_eq!(datagram(&socket, PATIENCE), Some(expected));
    }
}

#[test]
fn payloads_of_one_size_leave_as_runs() {
    let needs = Needs { programs: &["ip", "nft"], route: false, ipv6: false };
    in_a_network_of_its_own("payloads as runs", &needs, || {
        let mut source = Source::new();
        let setup = Setup::new().channel("news", source.group).channel_line("coalesce = \"100ms\"");
        let mirrorball = setup.start();
        let (_viewer, socket) = playing(&mirrorball, BOX);
        raise_firewall();
        count("payloads", &format!("udp dport {}", socket.local_addr().expect("bound").port()));
        for _ in 0..4 {
            source.send(40);
            expect(&socket, &source, source.next - 40..source.next);
        }
        assert!(counted("payloads") <= 40, "runs are counted as one: {}", counted("payloads"));
    });
}

#[test]
fn the_first_transport_that_is_understood_and_fits_the_track_is_granted() {
    let (mut source, mirrorball) = one_channel();
    let mut viewer = Viewer::of(&mirrorball, "news");
    let list = format!("MP2T/RTP/TCP;unicast;interleaved=0-1,MP2T/UDP;client_port=PORT,{BOX},RTP/AVP/TCP");
    let (socket, granted) = viewer.set_up_raw(&list);
    assert!(granted.starts_with("MP2T/H2221/UDP;unicast;client_port="), "{granted}");
    viewer.play();
    source.send(1);
    expect(&socket, &source, 0..1);

    let camera = Source::new();
    let description = two_tracks(&camera, &Source::new());
    let description = description.replacen("RTP/AVP 33", "RTP/AVP 96", 1);
    let mirrorball = Setup::new().described("film", &description).start();
    let mut connection = Connection::open(mirrorball.rtsp);
    let mut ask = |track: usize, transport: &str| {
        let url = format!("{}/trackID={track}", mirrorball.url("film"));
        connection.request("SETUP", &url, &[("Transport", transport)])
    };
    for transport in [BOX, VLC].map(|transport| transport.replace("PORT", "40000")) {
        ask(1, &transport).expect(461);
        let reply = ask(1, &format!("{transport},RTP/AVP/TCP;unicast;interleaved=0-1")).expect(200);
        assert!(reply.header("Transport").is_some_and(|granted| granted.starts_with("RTP/AVP/TCP;")));
        ask(2, &transport).expect(200);
        ask(2, &transport.replace("40000", "53")).expect(461);
    }
    mirrorball.expect_metric("mirrorball_sessions_refused_total", &[("reason", "port")], 2.0);
}

#[test]
fn a_viewer_without_rtcp_lives_by_its_connection_and_dies_with_its_port() {
    let source = Source::new();
    let mirrorball = Setup::new().channel("news", source.group).rtsp("session_timeout = \"2s\"").start();
    let (_viewer, socket) = playing(&mirrorball, VLC);
    let (_leaves, closes) = playing(&mirrorball, VLC);
    let beam = source.beam(100);
    let until = clock::now() + Duration::from_millis(5000);
    while clock::now() < until {
        assert!(datagram(&socket, PATIENCE).is_some(), "nothing is said, and it plays on");
        thread::sleep(Duration::from_millis(5));
    }
    mirrorball.expect_metric("mirrorball_sessions", &[], 2.0);
    drop(closes);
    mirrorball.expect_metric("mirrorball_sessions_ended_total", &[("reason", "refused")], 1.0);
    mirrorball.expect_metric("mirrorball_sessions_ended_total", &[("reason", "timeout")], 0.0);
    assert!(datagram(&socket, PATIENCE).is_some());
    beam.stop();
}

#[test]
fn a_stream_changes_over_between_packets_and_payloads_and_nothing_is_lost_or_comes_twice() {
    let (source, mirrorball) = one_channel();
    let beam = source.beam(1000);
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
    for over in [Over::Udp, Over::Tcp] {
        let before = (0..40).map(|_| viewer.stamp().number).last().expect("packets");
        let (socket, _) = viewer.set_up_raw(BOX);
        let payloads: Vec<_> =
            (0..100).map(|_| number_of(&datagram(&socket, PATIENCE).expect("a payload"))).collect();
        let late: Vec<_> = (before + 1..payloads[0]).map(|_| viewer.stamp().number).collect();
        assert!(late.into_iter().eq(before + 1..payloads[0]));
        assert!(viewer.packet_within(0, SILENCE).is_none(), "both ways");
        viewer.media.clear();
        viewer.set_up(1, over);
        let first = viewer.stamp().number;
        let all: Vec<_> = payloads
            .into_iter()
            .chain((0..).map_while(|_| Some(number_of(&datagram(&socket, SILENCE)?))))
            .collect();
        assert!(all.iter().copied().eq(all[0]..first), "{} to {first}: {}", all[0], all.len());
    }
    beam.stop();
}
