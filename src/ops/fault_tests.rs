//! A fault in each part: it is counted, costs what was under way, and everything goes on; who had nothing to do with it
//! loses nothing.

use super::super::config::TlsConfig;
use super::tests::{PATIENCE, config, free_port, play, play_as_granted, play_channel, rtp, source};
use super::*;
use crate::event::Vitals;
use crate::ingest::pull::PullState;
use crate::serve::KeyFiles;
use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};

/// What a part has, to be back.
const BACK_WITHIN: Duration = Duration::from_secs(2);
const BESIDE: Ipv4Addr = Ipv4Addr::new(239, 77, 80, 2);

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
        let appliance = Appliance::start(&two_channels(port)).unwrap_or_else(|error| panic!("{error}"));
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
    fn expect_to_survive(
        &mut self,
        (at, of): (&'static str, &str),
        part: &'static str,
        trigger: impl Fn(&mut Self),
    ) {
        let before = self.faults(part);
        self.vitals().provoke(at, of);
        let deadline = clock::now() + PATIENCE;
        while self.faults(part) == before {
            assert!(clock::now() < deadline, "{at} faults");
            assert!(self.appliance.source().live().is_ok(), "a fault is no standstill");
            trigger(self);
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(!self.vitals().is_provoked());
        let faulted_at = clock::now();
        self.expect_that_packets_flow();
        assert!(clock::now() < faulted_at + BACK_WITHIN, "{at} is back");
        drop(play(self.appliance.rtsp_addresses()[0], "RTP/AVP/TCP;unicast;interleaved=0-1"));
        assert_eq!(self.vitals().check(clock::now()), Ok(()));
    }
}

/// A viewer of another channel, whose source sends all the time.
struct Bystander {
    _control: TcpStream,
    stop: Sender<()>,
    /// Sends, and then the count of what was sent.
    sending: JoinHandle<u16>,
    hearing: JoinHandle<u16>,
}

impl Bystander {
    fn play(stage: &Stage) -> Self {
        let over_udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        over_udp.set_read_timeout(Some(Duration::from_secs(1))).expect("a socket");
        let client_port = over_udp.local_addr().expect("bound").port();
        let transport = format!("RTP/AVP;unicast;client_port={client_port}-{client_port}");
        let _control = play_channel(stage.appliance.rtsp_addresses()[0], "beside", &transport).0;
        let group = (
            BESIDE,
            stage.appliance.engine().catalogue.find("beside").expect("configured").tracks[0]
                .description
                .feeds[0]
                .port,
        );
        let (stop, stopped) = bounded::<()>(0);
        let source = source();
        let sending = thread::spawn(move || {
            let mut sequence = 0;
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(Duration::from_millis(2)) {
                source.send_to(&rtp(sequence), group).expect("sent");
                sequence += 1;
            }
            sequence
        });
        let hearing = thread::spawn(move || {
            let (mut packet, mut heard) = ([0; 2048], 0);
            while over_udp.recv(&mut packet).is_ok() {
                assert_eq!(u16::from_be_bytes([packet[2], packet[3]]), heard, "each packet, in order");
                heard += 1;
            }
            heard
        });
        Self { _control, stop, sending, hearing }
    }

    fn expect_to_have_missed_nothing(self) {
        drop(self.stop);
        let sent = self.sending.join().expect("it sends");
        assert_eq!(self.hearing.join().expect("each packet"), sent);
    }
}

fn two_channels(port: u16) -> Config {
    let mut both = config(port);
    let text = format!(
        "[[channel]]\nname = \"beside\"\nsource = \"rtp://{BESIDE}:{}\"\ninterface = \"lo\"\n",
        free_port()
    );
    let beside = Config::parse(&text, Path::new("test")).unwrap_or_else(|error| panic!("{error}"));
    both.channels.extend(beside.channels);
    both
}

#[test]
fn a_fault_in_any_part_costs_what_was_under_way_and_all_goes_on() {
    let mut stage = Stage::set();
    let port = stage.group.1.to_string();
    let connect = |stage: &mut Stage| drop(TcpStream::connect(stage.appliance.rtsp_addresses()[0]));
    let report = |stage: &mut Stage| {
        let receiver_report = [0x80, 201, 0, 1, 0, 0, 0, 7];
        stage.source.send_to(&receiver_report, (Ipv4Addr::LOCALHOST, stage.rtcp_port)).expect("sent");
    };
    let bystander = Bystander::play(&stage);
    stage.expect_to_survive(("receiver", &port), "receiver", Stage::send);
    stage.expect_to_survive(("intake", ""), "receiver", Stage::send);
    stage.expect_to_survive(("lane", "news"), "lane", Stage::send);
    stage.expect_to_survive(("timers", "control"), "create_task", Stage::send);
    let (sender, fired) = bounded(1);
    let timers = &stage.appliance.engine().timers;
    timers.run_here_at(clock::now(), move || {
        let _ = sender.send(());
    });
    fired.recv_timeout(BACK_WITHIN).expect("timers fire again");
    stage.expect_to_survive(("listener", ""), "listener", connect);
    stage.expect_to_survive(("reports", ""), "reports", report);
    let strangers = |stage: &Stage| stage.appliance.engine().server.stats().rtcp_strangers;
    let (before, deadline) = (strangers(&stage), clock::now() + BACK_WITHIN);
    while strangers(&stage) == before {
        assert!(clock::now() < deadline, "reports are heard again");
        report(&mut stage);
        thread::sleep(Duration::from_millis(5));
    }
    for _ in 0..2 {
        stage.expect_to_survive(("refusals", ""), "watch", Stage::send); // the second time it has looked on
    }
    bystander.expect_to_have_missed_nothing();
    stage.appliance.stop();
}

#[test]
fn a_fault_over_an_announcement_costs_no_other_one() {
    let group = Ipv4Addr::new(239, 77, 80, 3);
    let text = format!(
        "[sap]\nlisten = true\norigins = [\"127.0.0.0/8\"]\ngroups = [\"{group}\"]\ninterface = \"lo\"\n"
    );
    let mut both = config(free_port());
    both.sap = Config::parse(&text, Path::new("test")).unwrap_or_else(|error| panic!("{error}")).sap;
    let appliance = Appliance::start(&both).unwrap_or_else(|error| panic!("{error}"));
    let engine = appliance.engine();
    let hearing = engine.hearing.as_ref().expect("it listens");
    engine.poller.vitals().provoke("announcements", "");
    let session = "v=0\r\no=- 7 7 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 239.77.80.4/1\r\nt=0 0\r\nm=audio 5004 RTP/AVP 0\r\n";
    let announcement = [&[0x20, 0, 0, 7, 127, 0, 0, 1], session.as_bytes()].concat();
    let (sender, deadline) = (source(), clock::now() + BACK_WITHIN);
    while hearing.stats().sessions() == 0 {
        assert!(clock::now() < deadline, "announcements are heard again");
        sender.send_to(&announcement, (group, crate::wire::sap::PORT)).expect("sent");
        thread::sleep(Duration::from_millis(5));
    }
    let faults = engine.poller.vitals().faults().find(|(part, _)| *part == "announcements");
    assert_eq!(faults, Some(("announcements", 1)));
    appliance.stop();
}

#[test]
fn a_fault_in_writing_costs_that_connection_alone() {
    let mut stage = Stage::set();
    stage.vitals().provoke("write", "");
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

/// One that serves through TLS as well.
fn with_tls(directory: &Path) -> Config {
    let files = KeyFiles { certificate: directory.join("cert.pem"), private_key: directory.join("key.pem") };
    let key = rcgen::KeyPair::generate().expect("a key");
    let parameters = rcgen::CertificateParams::new(vec!["edge".to_owned()]).expect("a name");
    let certificate = parameters.self_signed(&key).expect("a certificate").pem();
    fs::write(&files.certificate, certificate).expect("a file");
    fs::write(&files.private_key, key.serialize_pem()).expect("a file");
    fs::set_permissions(&files.private_key, fs::Permissions::from_mode(0o600)).expect("our own");
    let listen = vec![(Ipv4Addr::LOCALHOST, 0).into()];
    let mut config = two_channels(free_port());
    config.rtsp.tls = Some(TlsConfig { listen, files, expires: 0, clear_media: false });
    config
}

#[test]
fn a_fault_in_a_handshake_a_tunnel_or_a_request_over_http_costs_it_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let appliance = Appliance::start(&with_tls(directory.path())).unwrap_or_else(|error| panic!("{error}"));
    let (plain, tls) = (appliance.rtsp_addresses()[0], appliance.rtsp_addresses()[1]);
    let open = |address, first: &[u8]| {
        let mut stream = TcpStream::connect(address).expect("a listener");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        stream.write_all(first).expect("sent");
        stream
    };
    let is_closed = |mut stream: TcpStream| match stream.read_to_end(&mut Vec::new()) {
        Ok(_) => true,
        Err(error) => !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
    };
    let engine = appliance.engine();
    engine.poller.vitals().provoke("handshake", "");
    assert!(is_closed(open(tls, b"\x16\x03\x01")));
    assert_eq!(engine.control.stats().panics, 1);
    let failed = engine.server.stats().handshakes_failed;
    assert!(failed.contains(&("fault", 1)), "{failed:?}");

    let get = open(plain, b"GET / HTTP/1.0\r\nx-sessioncookie: a\r\n\r\n");
    engine.poller.vitals().provoke("post", "");
    let post = open(plain, b"POST / HTTP/1.0\r\nx-sessioncookie: a\r\n\r\nT1BU");
    assert!(is_closed(post) && is_closed(get), "both halves");
    assert_eq!(engine.control.stats().panics, 2);

    engine.poller.vitals().provoke("request", "");
    assert!(is_closed(open(plain, b"GET / HTTP/1.0\r\n\r\n")));
    assert_eq!(engine.control.stats().panics, 3);
    let deadline = clock::now() + PATIENCE;
    while engine.server.stats().all_connections() > 0 {
        assert!(clock::now() < deadline, "{:?}", engine.server.stats().connections);
        thread::sleep(Duration::from_millis(5));
    }
    drop(play(plain, "RTP/AVP/TCP;unicast;interleaved=0-1"));
    appliance.stop();
}

#[test]
fn a_fault_in_a_request_costs_that_connection_alone() {
    let mut stage = Stage::set();
    stage.vitals().provoke("connection", "");
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

#[test]
fn a_fault_of_a_stream_that_is_pulled_costs_its_link_which_is_made_anew() {
    let start = |config: &Config| Appliance::start(config).unwrap_or_else(|error| panic!("{error}"));
    let upstream = start(&config(free_port()));
    let text =
        format!("[[channel]]\nname = \"gate\"\nsource = \"rtsp://{}/news\"\n", upstream.rtsp_addresses()[0]);
    let mut pulling = config(free_port());
    pulling.channels =
        Config::parse(&text, Path::new("test")).unwrap_or_else(|error| panic!("{error}")).channels;
    let lower = start(&pulling);
    let expect_connects = |count: u64| {
        let deadline = clock::now() + PATIENCE;
        loop {
            let stats = lower.engine().puller.stats().remove(0);
            if (stats.connects, stats.state) == (count, PullState::Playing) {
                break;
            }
            assert!(clock::now() < deadline, "{stats:?}");
            thread::sleep(Duration::from_millis(5));
        }
    };
    expect_connects(1);
    lower.engine().poller.vitals().provoke("pull", "gate");
    expect_connects(2);
    assert!(!lower.engine().poller.vitals().is_provoked());
    assert_eq!(lower.engine().poller.vitals().check(clock::now()), Ok(()));
    lower.stop();
    upstream.stop();
}
