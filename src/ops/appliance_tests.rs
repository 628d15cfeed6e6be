//! The whole program in one process: a packet reaches a viewer, and a stop gives everything back.

use super::super::config::Config;
use super::*;
use crate::event::testing::{Holdings, in_a_process_of_its_own};
use crate::net::{bind_pair, interface_index};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpStream, UdpSocket};
use std::path::Path;
use std::time::Duration;

pub const PATIENCE: Duration = Duration::from_secs(20);

pub fn config(port: u16) -> Config {
    let text = format!(
        "[rtsp]\nlisten = [\"127.0.0.1:0\"]\nudp_ports = \"0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\
         [[channel]]\nname = \"news\"\nsource = \"rtp://239.77.80.1:{port}\"\ninterface = \"lo\"\n"
    );
    Config::parse(&text, Path::new("test")).unwrap_or_else(|error| panic!("{error}"))
}

pub fn free_port() -> u16 {
    bind_pair(([0, 0, 0, 0], 0).into(), None, &[]).expect("a free pair").port
}

pub fn rtp(sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 33, 0, 0, 0, 0, 0, 90, 1, 2, 3, 4];
    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
    packet.extend([0x47; 188]);
    packet
}

/// Sends to the group by way of loopback.
pub fn source() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    socket2::SockRef::from(&socket).set_multicast_if_v4(&Ipv4Addr::LOCALHOST).expect("loopback");
    socket
}

/// Plays over a connection; returns it, with the PLAY's reply read.
pub fn play(at: SocketAddr, transport: &str) -> TcpStream {
    play_as_granted(at, transport).0
}

/// Plays; returns what the SETUP was answered, too.
pub fn play_as_granted(at: SocketAddr, transport: &str) -> (TcpStream, String) {
    play_channel(at, "news", transport)
}

pub fn play_channel(at: SocketAddr, channel: &str, transport: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(at).expect("a listener");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let url = format!("rtsp://edge/{channel}");
    let set_up = format!("SETUP {url} RTSP/1.0\r\nCSeq: 1\r\nTransport: {transport}\r\n\r\n");
    let mut granted = ask(&mut stream, &set_up);
    while granted.starts_with("RTSP/1.0 503 ") {
        granted = ask(&mut stream, &set_up); // on a machine that is late with media
    }
    let session = granted.lines().find_map(|line| line.strip_prefix("Session: ")).expect("a session");
    let id = session.split(';').next().unwrap_or_default();
    let playing = ask(&mut stream, &format!("PLAY {url} RTSP/1.0\r\nCSeq: 2\r\nSession: {id}\r\n\r\n"));
    assert!(playing.starts_with("RTSP/1.0 200 "), "{playing}");
    (stream, granted)
}

fn ask(stream: &mut TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).expect("sent");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("a reply");
        head.push(byte[0]);
    }
    String::from_utf8(head).expect("text")
}

#[test]
fn a_stop_under_load_gives_back_every_thread_and_descriptor() {
    in_a_process_of_its_own(
        "ops::appliance::tests::a_stop_under_load_gives_back_every_thread_and_descriptor",
        || {
            interface_index("lo").expect("loopback");
            let before = Holdings::now();
            for _ in 0..3 {
                serve_two_viewers(free_port());
                before.expect_again();
            }
        },
    );
}

fn serve_two_viewers(port: u16) {
    let appliance = Appliance::start(&config(port)).unwrap_or_else(|error| panic!("{error}"));
    let at = appliance.rtsp_addresses()[0];
    let receiver = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    receiver.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let client_port = receiver.local_addr().expect("bound").port();
    let _udp = play(at, &format!("RTP/AVP;unicast;client_port={client_port}-{client_port}"));
    let mut tcp = play(at, "RTP/AVP/TCP;unicast;interleaved=0-1");
    let _idle = TcpStream::connect(at).expect("a listener");
    let _never_reads = play(at, "RTP/AVP/TCP;unicast");

    let group = (IpAddr::V4(Ipv4Addr::new(239, 77, 80, 1)), port);
    let source = source();
    let packets: Vec<_> = (65_500..=65_535).chain(0..100).map(rtp).collect();
    for packet in &packets {
        source.send_to(packet, group).expect("sent");
    }
    let mut buffer = [0; 2048];
    for packet in &packets {
        let length = receiver.recv(&mut buffer).expect("a packet");
        assert_eq!(buffer[..length], packet[..], "bit-exact over UDP");
        let mut frame = vec![0; 4 + packet.len()];
        tcp.read_exact(&mut frame).expect("a frame");
        assert_eq!((&frame[..2], &frame[4..]), (&b"$\0"[..], &packet[..]), "bit-exact over TCP");
    }
    // Media is still under way when the program stops.
    for packet in &packets {
        source.send_to(packet, group).expect("sent");
    }
    let began = clock::now();
    appliance.stop();
    assert!(began.elapsed() < Duration::from_secs(5), "a stop is done in 5 s");
}

#[test]
fn who_can_not_be_reached_is_not_ready() {
    let appliance = Appliance::start(&config(free_port())).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(appliance.source().ready().as_deref(), Ok("ready\n"));
    let listener = &appliance.doors.listeners()[0];
    listener.stop(); // as closed as one that fails
    let why = appliance.source().ready().expect_err("nobody can come");
    assert!(why.contains(&listener.address().to_string()), "{why}");
    appliance.stop();
}

#[test]
fn what_does_not_start_leaves_nothing_behind() {
    in_a_process_of_its_own("ops::appliance::tests::what_does_not_start_leaves_nothing_behind", || {
        let before = Holdings::now();
        let taken = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let mut config = config(free_port());
        config.admin.listen = taken.local_addr().expect("bound");
        let error = Appliance::start(&config).err().expect("the port is taken").to_string();
        assert!(error.contains("metrics") && error.contains("ss -lntp"), "{error}");
        drop(taken);
        before.expect_again();
    });
}
