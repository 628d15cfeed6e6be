//! A fault in each part: it is counted, costs what was under way, and everything goes on.

use super::tests::{PATIENCE, config, free_port, play, play_as_granted, rtp, source};
use super::*;
use crate::event::Vitals;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpStream, UdpSocket};
use std::time::Duration;

/// A program that serves one viewer over UDP and one over TCP.
struct Stage {
    appliance: Appliance,
    source: UdpSocket,
    group: (IpAddr, u16),
    over_udp: UdpSocket,
    over_tcp: TcpStream,
    _control: TcpStream,
    rtcp_port: u16,
    sequence: u16,
}

impl Stage {
    fn set() -> Self {
        let port = free_port();
        let appliance = Appliance::start(&config(port)).unwrap_or_else(|error| panic!("{error}"));
        let at = appliance.rtsp_addresses()[0];
        let over_udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        over_udp.set_read_timeout(Some(Duration::from_millis(50))).expect("a socket");
        let client_port = over_udp.local_addr().expect("bound").port();
        let (_control, granted) =
            play_as_granted(at, &format!("RTP/AVP;unicast;client_port={client_port}-{client_port}"));
        let ports = granted.split("server_port=").nth(1).expect("a pair").split(['-', ';', '\r']);
        let rtcp_port = ports.clone().nth(1).and_then(|port| port.parse().ok()).expect("a port");
        let over_tcp = play(at, "RTP/AVP/TCP;unicast;interleaved=0-1");
        let group = (IpAddr::V4(Ipv4Addr::new(239, 77, 80, 1)), port);
        let mut stage =
            Self { appliance, source: source(), group, over_udp, over_tcp, _control, rtcp_port, sequence: 0 };
        stage.expect_that_packets_flow();
        stage
    }

    fn vitals(&self) -> &Vitals {
        self.appliance.engine().poller.vitals()
    }

    fn faults(&self, part: &str) -> u64 {
        self.vitals().faults().find(|(counted, _)| *counted == part).expect("a part that counts").1
    }

    fn send(&mut self) {
        self.source.send_to(&rtp(self.sequence), self.group).expect("sent");
        self.sequence += 1;
    }

    /// What a fault cost is over within a few packets: those that follow reach both viewers.
    fn expect_that_packets_flow(&mut self) {
        let (deadline, wanted) = (clock::now() + PATIENCE, self.sequence + 5);
        let (mut packet, mut heard) = ([0; 2048], 0);
        while heard < wanted {
            assert!(clock::now() < deadline, "packets reach the viewer over UDP");
            self.send();
            if self.over_udp.recv(&mut packet).is_ok() {
                heard = u16::from_be_bytes([packet[2], packet[3]]);
            }
        }
        self.over_tcp.set_read_timeout(Some(PATIENCE)).expect("a socket");
        let mut frame = [0; 4 + 12 + 188];
        while u16::from_be_bytes([frame[6], frame[7]]) < wanted {
            self.over_tcp.read_exact(&mut frame).expect("packets reach the viewer over TCP");
        }
    }

    /// Has it fault once, by `trigger`, and sees all go on.
    fn expect_to_survive(&mut self, at: &'static str, part: &'static str, trigger: impl Fn(&mut Self)) {
        let before = self.faults(part);
        self.vitals().provoke(at);
        let deadline = clock::now() + PATIENCE;
        while self.faults(part) == before {
            assert!(clock::now() < deadline, "{at} faults");
            trigger(self);
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(!self.vitals().is_provoked());
        self.expect_that_packets_flow();
        drop(play(self.appliance.rtsp_addresses()[0], "RTP/AVP/TCP;unicast;interleaved=0-1"));
        assert_eq!(self.vitals().check(clock::now()), Ok(()));
    }
}

#[test]
fn a_fault_in_any_part_costs_what_was_under_way_and_all_goes_on() {
    let mut stage = Stage::set();
    let connect = |stage: &mut Stage| drop(TcpStream::connect(stage.appliance.rtsp_addresses()[0]));
    let report = |stage: &mut Stage| {
        let receiver_report = [0x80, 201, 0, 1, 0, 0, 0, 7];
        stage.source.send_to(&receiver_report, (Ipv4Addr::LOCALHOST, stage.rtcp_port)).expect("sent");
    };
    stage.expect_to_survive("receiver", "receiver", Stage::send);
    stage.expect_to_survive("intake", "receiver", Stage::send);
    stage.expect_to_survive("lane", "lane", Stage::send);
    stage.expect_to_survive("timers", "create_task", Stage::send);
    stage.expect_to_survive("listener", "listener", connect);
    stage.expect_to_survive("reports", "reports", report);
    stage.appliance.stop();
}

#[test]
fn a_fault_in_writing_costs_that_connection_alone() {
    let mut stage = Stage::set();
    stage.vitals().provoke("write");
    let mut gone = false;
    while !gone {
        stage.send();
        let mut frame = [0; 4 + 12 + 188];
        gone = stage.over_tcp.read_exact(&mut frame).is_err();
    }
    assert_eq!(stage.faults("write"), 1);
    stage.over_tcp = play(stage.appliance.rtsp_addresses()[0], "RTP/AVP/TCP;unicast;interleaved=0-1");
    stage.expect_that_packets_flow();
    stage.appliance.stop();
}

#[test]
fn a_fault_in_a_request_costs_that_connection_alone() {
    let mut stage = Stage::set();
    stage.vitals().provoke("connection");
    let mut faulty = TcpStream::connect(stage.appliance.rtsp_addresses()[0]).expect("a listener");
    faulty.set_read_timeout(Some(PATIENCE)).expect("a socket");
    faulty.write_all(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n").expect("sent");
    assert!(matches!(faulty.read(&mut [0; 100]), Ok(0) | Err(_)), "it is closed, and unanswered");
    assert_eq!(stage.appliance.engine().control.stats().panics, 1);
    stage.expect_that_packets_flow();
    stage.appliance.stop();
}

#[test]
fn a_part_that_can_not_go_on_is_told() {
    let stage = Stage::set();
    stage.vitals().give_up("the lane of news".to_owned());
    assert_eq!(
        stage.appliance.engine().live(),
        Err(Standstill { what: "the lane of news".to_owned(), for_good: true })
    );
    stage.appliance.stop();
}
