//! Stories of a whole probe: an appliance in this process, a marked source on the loopback interface, real sockets.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use rtp_rs::{RtpPacketBuilder, Seq};
use socket2::{Domain, Socket, Type};

use crate::event::clock;
use crate::ops::Appliance;
use crate::ops::config::Config;
use crate::relay::Carriage;
use crate::wire::mark::Mark;

use super::*;

/// Multicasts a marked packet a millisecond on the loopback interface.
struct Source {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
    url: String,
}

impl Source {
    fn start() -> Self {
        let port =
            UdpSocket::bind("127.0.0.1:0").and_then(|taken| taken.local_addr()).expect("a port").port() & !1;
        let group = Ipv4Addr::new(239, 255, (port >> 8) as u8, port as u8);
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).expect("a socket");
        socket.set_multicast_if_v4(&Ipv4Addr::LOCALHOST).expect("loopback");
        let (socket, stop) = (UdpSocket::from(socket), Arc::new(AtomicBool::new(false)));
        let stopped = stop.clone();
        let thread = thread::spawn(move || {
            for number in 65_000_u64.. {
                if stopped.load(Relaxed) {
                    return;
                }
                let mark = Mark { number, sent_ns: clock::monotonic().as_nanos() as u64 };
                let (sequence, payload) = (Seq::from(number as u16), mark.payload());
                let packet =
                    RtpPacketBuilder::new().payload_type(33).ssrc(7).sequence(sequence).payload(&payload);
                socket
                    .send_to(&packet.build().expect("a small packet"), (group, port))
                    .expect("loopback takes it");
                thread::sleep(Duration::from_millis(1));
            }
        });
        Self { stop, thread, url: format!("rtp://{group}:{port}") }
    }

    fn stop(self) {
        self.stop.store(true, Relaxed);
        self.thread.join().expect("the source did not panic");
    }
}

/// A source and an appliance that serves it as `/news`.
struct House {
    source: Source,
    appliance: Appliance,
}

impl House {
    fn open() -> Self {
        let source = Source::start();
        let text = format!(
            "[rtsp]\nlisten = [\"127.0.0.1:0\"]\nudp_ports = \"0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\
             [[channel]]\nname = \"news\"\nsource = \"{}\"\ninterface = \"lo\"\n\
             [[channel]]\nname = \"idle\"\nsource = \"rtp://239.255.0.1:5004\"\ninterface = \"lo\"\n",
            source.url
        );
        let config = Config::parse(&text, Path::new("test")).unwrap_or_else(|error| panic!("{error}"));
        Self { source, appliance: Appliance::start(&config).expect("an appliance") }
    }

    fn url(&self, channel: &str) -> String {
        format!("rtsp://{}/{channel}", self.appliance.rtsp_addresses()[0])
    }

    fn close(self) {
        self.appliance.stop();
        self.source.stop();
    }
}

fn plan(url: &str, delivery: Delivery) -> Plan {
    Plan {
        url: url.parse().expect("a URL"),
        subscribers: 20,
        delivery,
        tracks: Tracks::All,
        duration: Duration::from_secs(1),
        rate: None,
        setup_timeout: Duration::from_secs(10),
        course: Course::default(),
    }
}

/// Nobody asks for a stop.
fn no_stop() -> (Sender<()>, Receiver<()>) {
    bounded(1)
}

#[test]
fn every_subscriber_of_an_appliance_is_served_without_loss_over_udp_and_tcp() {
    let house = House::open();
    for delivery in [Delivery::Udp, Delivery::Tcp] {
        let (_sender, stop) = no_stop();
        let mut lines = Vec::new();
        let report = run(plan(&house.url("news"), delivery), &stop, |line, _| lines.push(line.to_owned()));
        let report = report.unwrap_or_else(|error| panic!("{error}"));
        let json = report.to_json();
        assert!(report.all_served(), "{report}");
        for zero in
            ["lost", "reordered", "duplicates", "restarts", "strays", "not_rtp", "failed", "unfinished"]
        {
            assert_eq!(json[zero], 0, "{zero} in\n{report}");
        }
        assert_eq!(json["setup"]["handshakes"], 20);
        assert_eq!(json["delay"]["packets"], json["packets"], "every packet is marked");
        assert!(json["packets"].as_u64() > Some(20), "{report}");
        assert!(lines.iter().any(|line| line.contains("20 of 20 play")), "{lines:?}");
    }
    assert_eq!(
        house.appliance.engine().catalogue.find("news").expect("ours").audience.by(Carriage::Udp),
        0,
        "all left"
    );
    house.close();
}

#[test]
fn a_silent_source_is_not_taken_for_a_firewall() {
    let house = House::open();
    for delivery in [Delivery::Udp, Delivery::Tcp] {
        let (_sender, stop) = no_stop();
        let of_one = Plan { subscribers: 1, ..plan(&house.url("idle"), delivery) };
        let report = run(of_one, &stop, |_, _| ()).unwrap_or_else(|error| panic!("{error}"));
        let failures = report.to_json()["failures"].to_string();
        assert!(
            failures.contains("the source may be silent") && !failures.contains("firewall"),
            "{failures}"
        );
    }
    house.close();
}

#[test]
fn a_stop_ends_a_probe_early_and_with_its_report() {
    let house = House::open();
    let (sender, stop) = no_stop();
    let endless = Plan {
        duration: Duration::from_secs(3_600),
        rate: Some(1_000),
        ..plan(&house.url("news"), Delivery::Tcp)
    };
    let report = run(endless, &stop, |line, _| {
        if line.contains("20 of 20 play") {
            let _ = sender.try_send(());
        }
    });
    let report = report.unwrap_or_else(|error| panic!("{error}"));
    assert!(
        report.to_json()["interrupted"] == true && report.to_string().contains("interrupted"),
        "{report}"
    );
    house.close();
}

#[test]
fn a_server_that_ends_midway_is_told_and_ends_the_probe() {
    let House { source, appliance } = House::open();
    let url = format!("rtsp://{}/news", appliance.rtsp_addresses()[0]);
    let (_sender, stop) = no_stop();
    let mut appliance = Some(appliance);
    let endless = Plan { duration: Duration::from_secs(3_600), ..plan(&url, Delivery::Udp) };
    let report = run(endless, &stop, |line, _| {
        if line.contains("20 of 20 play") {
            appliance.take().into_iter().for_each(Appliance::stop);
        }
    });
    let report = report.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        report.to_json()["failures"]["the server closed the connection while playing"],
        20,
        "{report}"
    );
    assert!(!report.all_served());
    source.stop();
}

#[test]
fn what_is_wrong_for_all_is_said_once() {
    let house = House::open();
    let (_sender, stop) = no_stop();
    let error = |url: &str| run(plan(url, Delivery::Udp), &stop, |_, _| ()).expect_err(url).to_string();
    let unknown = error(&house.url("olds"));
    assert!(
        unknown.ends_with("DESCRIBE was answered 404 Not Found: the server has no such stream"),
        "{unknown}"
    );
    house.close();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let free = listener.local_addr().expect("bound");
    drop(listener);
    let refused = error(&format!("rtsp://{free}/news"));
    assert!(refused.ends_with("connecting failed: connection refused: nobody listens there"), "{refused}");
}
