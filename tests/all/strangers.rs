//! Strangers who are not who they say that they are: what is sent to an address that has shown nothing of itself.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use crate::vocabulary::{
    Medium, Needs, Network, Over, Setup, Source, Viewer, count, counted, counted_bytes,
    in_a_network_of_its_own, know_neighbour, passes, raise_firewall, say,
};

const NEEDS: Needs = Needs { programs: &["ip", "nft"], route: false, ipv6: false };
const EDGE: Ipv4Addr = Ipv4Addr::new(10, 78, 1, 1);
/// It has sent nothing, whoever says so.
const VICTIM: Ipv4Addr = Ipv4Addr::new(10, 78, 1, 99);
const TCP: u8 = 6;
const UDP: u8 = 17;

/// Sends packets that say they are the victim's, and counts their bytes.
struct Forger {
    socket: Socket,
    sent: u64,
}

impl Forger {
    fn new() -> Self {
        let raw = Protocol::from(255); // with a header of our own
        Self { socket: Socket::new(Domain::IPV4, Type::RAW, Some(raw)).expect("root may forge"), sent: 0 }
    }

    fn send(&mut self, protocol: u8, payload: &[u8]) {
        // The kernel fills in length, number and sum of the IP header.
        let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0];
        packet.extend(VICTIM.octets().into_iter().chain(EDGE.octets()));
        packet.extend_from_slice(payload);
        let to = SocketAddr::from((EDGE, 0)).into();
        self.sent += self.socket.send_to(&packet, &to).expect("the link takes it") as u64;
    }

    /// A datagram to a port.
    fn datagram(&mut self, port: u16, payload: &[u8]) {
        let length = (8 + payload.len()) as u16;
        let mut datagram: Vec<u8> =
            [40_000, port, length, 0].into_iter().flat_map(u16::to_be_bytes).collect();
        datagram.extend_from_slice(payload);
        self.send(UDP, &datagram);
    }

    /// The first packet of a connection, without options: the shortest that there is.
    fn syn(&mut self, from: u16, port: u16) {
        let mut segment: Vec<u8> = [from, port].into_iter().flat_map(u16::to_be_bytes).collect();
        segment.extend([0, 0, 0, 1, 0, 0, 0, 0, 5 << 4, 0x02, 0xfa, 0xf0, 0, 0, 0, 0]);
        let pseudo =
            [&VICTIM.octets()[..], &EDGE.octets(), &[0, TCP, 0, segment.len() as u8], &segment].concat();
        let sum = pseudo.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum::<u32>();
        let sum = !(((sum & 0xffff) + (sum >> 16)) as u16);
        segment[16..18].copy_from_slice(&sum.to_be_bytes());
        self.send(TCP, &segment);
    }
}

#[test]
fn to_an_address_that_has_proved_nothing_the_program_sends_nothing() {
    // As the program has it; and as an operator may have it, who wants less.
    for (retries, answers) in [("5", 2), ("0", 1)] {
        in_a_network_of_its_own("what strangers are sent", &NEEDS, || {
            let setting = "/proc/sys/net/ipv4/tcp_synack_retries";
            fs::write(setting, retries).expect("a setting of this network");
            expect_nothing_sent(answers);
        });
    }
}

#[track_caller]
fn expect_nothing_sent(answers: u64) {
    let far = Network::new();
    far.connect(("near", "10.78.1.1/24"), ("far", "10.78.1.2/24"), 1500);
    know_neighbour(VICTIM, "near");
    raise_firewall();
    count("all", &format!("ip daddr {VICTIM}"));
    count("syn-ack", &format!("ip daddr {VICTIM} tcp flags & (syn | ack) == (syn | ack)"));
    let source = Source::new();
    let setup = Setup::new().listening_on(&format!("{EDGE}:0")).channel("news", source.group);
    let mirrorball = setup.start();
    // Somebody plays, so that all the ports are there.
    let viewer = far.within(|| Viewer::playing(&mirrorball, "news", Over::Udp));
    let Medium::Udp { server_rtp, server_rtcp, .. } = &viewer.media[0] else { panic!("over UDP") };
    let beam = source.beam(50);
    let mut forger = far.within(Forger::new);
    let strangers = || mirrorball.metric("mirrorball_rtcp_strangers_total", &[]);
    for round in 1..=10 {
        for _ in 0..20 {
            forger.datagram(server_rtp.port(), b"whatever");
            forger.datagram(server_rtcp.port(), &[0x80, 201, 0, 1, 0, 0, 0, 9]); // a report
            forger.datagram(server_rtcp.port(), &[0x81, 203, 0, 1, 0, 0, 0, 9]); // a goodbye
        }
        let heard = passes(Duration::from_secs(20), || strangers() == f64::from(40 * round));
        assert!(heard, "{} are counted", strangers());
    }
    assert_eq!(counted("all"), 0, "datagrams have no answer");
    let datagrams = forger.sent;

    let syns = 20;
    (0..syns).for_each(|number| forger.syn(40_000 + number, mirrorball.rtsp.port()));
    let sent = forger.sent - datagrams;
    assert_eq!(sent, u64::from(syns) * 40);
    // The kernel answers, and again after a second. It would a third time two seconds later.
    passes(Duration::from_millis(3600), || counted("syn-ack") > answers * u64::from(syns));
    let (packets, bytes) = (counted("syn-ack"), counted_bytes("syn-ack"));
    assert_eq!(counted_bytes("all"), bytes, "nothing but what the kernel says to open a connection");
    assert_eq!(packets, answers * u64::from(syns), "{answers} to each of {syns}");
    assert_eq!(
        mirrorball.metric("mirrorball_rtsp_connections", &[]),
        1.0,
        "of which the program has heard nothing"
    );
    say(&format!(
        "strangers: {datagrams} bytes of datagrams and {sent} of SYNs; the program sends 0, a factor of 0; the kernel \
         {bytes} bytes in {packets} SYN-ACKs, a factor of {:.1}",
        bytes as f64 / sent as f64
    ));
    drop(viewer);
    beam.stop();
}

#[test]
fn media_goes_to_who_asked_whatever_destination_is_named() {
    let mut source = Source::new();
    let mirrorball = Setup::new().channel("news", source.group).start();
    let ear = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, 7), 0)).expect("a port");
    let own = UdpSocket::bind((Ipv4Addr::LOCALHOST, ear.local_addr().expect("bound").port()))
        .expect("the same port");
    let port = own.local_addr().expect("bound").port();
    let mut viewer = Viewer::of(&mirrorball, "news");
    let asked =
        format!("RTP/AVP;unicast;destination=127.0.0.7;source=127.0.0.7;client_port={port}-{}", port + 1);
    let granted = viewer.ask_for(1, &asked);
    assert!(!granted.contains("127.0.0.7"), "{granted}");
    viewer.play();
    source.send(3);
    own.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    for _ in 0..3 {
        own.recv(&mut [0; 2048]).expect("it comes where it was asked from");
    }
    ear.set_nonblocking(true).expect("a flag");
    assert!(ear.recv(&mut [0; 2048]).is_err(), "and nowhere else");
}
