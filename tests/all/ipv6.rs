//! IPv6, wherever IPv4 works: groups and viewers, all that carries, transport streams without RTP, groups of our own, lists of
//! networks, and where to go instead.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV6, UdpSocket};
use std::ops::Range;
use std::time::Duration;

use mirrorball::net::interface_index;

use crate::vocabulary::{
    Carrier, Connection, Mirrorball, Needs, Over, Plug, Setup, Source, Viewer, Web, datagram,
    in_a_network_of_its_own, sender_report, ts_packets,
};

const NEEDS: Needs = Needs { programs: &["ip"], route: false, ipv6: true };
const PATIENCE: Duration = Duration::from_secs(20);
const STUDIO: Plug = Plug { name: "studio", address: Ipv4Addr::new(10, 77, 0, 1) };
/// Viewers are on this machine: what leads to them is there from the start.
const HOME: Plug = Plug { name: "lo", address: Ipv4Addr::LOCALHOST };
const EDGE: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 1);
const GUEST: Ipv6Addr = Ipv6Addr::new(0xfd78, 0, 0, 0, 0, 0, 0, 1);
const RTP_HEADER_BYTES: usize = 12;

fn group(last: u16, port: u16) -> SocketAddrV6 {
    SocketAddrV6::new(Ipv6Addr::new(0xff15, 0, 0, 0, 0, 0, 0, last), port, 0, 0)
}

/// A program that nobody reaches but by IPv6, before it is started.
fn setup() -> Setup {
    STUDIO.plug_in();
    STUDIO.add_ipv6(STUDIO.address.to_ipv6_compatible());
    HOME.add_ipv6(EDGE);
    let everywhere = format!("[{EDGE}]:0");
    let setup = Setup::new().through_tls().over_http().listening_on(&everywhere);
    setup.channel_on(STUDIO.name, "news", &format!("rtp://{}", group(0x99, 5004)))
}

/// Sends the next packets of a source.
fn send(source: &mut Source, count: u64) -> Range<u64> {
    let first = source.next;
    for number in first..first + count {
        STUDIO.send_over_ipv6(&source.packet(number), group(0x99, 5004));
    }
    source.next = first + count;
    first..source.next
}

/// Somebody who hears what is sent to a group.
fn ear(group: SocketAddrV6) -> UdpSocket {
    let socket = UdpSocket::bind(group).expect("the group's port");
    let index = interface_index(STUDIO.name).expect("plugged in");
    socket.join_multicast_v6(group.ip(), index).expect("the interface takes multicast");
    socket
}

#[track_caller]
fn expect(socket: &UdpSocket, what: impl Fn(u64) -> Vec<u8>, numbers: Range<u64>) {
    for number in numbers {
        let came = datagram(socket, PATIENCE).unwrap_or_else(|| panic!("{number} did not come"));
        assert!(came == what(number), "{number} was changed on its way");
    }
}

#[test]
fn a_group_of_ipv6_reaches_viewers_of_ipv6_by_each_way_and_carrier() {
    in_a_network_of_its_own("each way over IPv6", &NEEDS, || {
        let mirrorball = setup().start();
        let mut source = Source::new();
        let viewer = |carrier: Carrier, over| {
            let connection = Connection::by(carrier.connect(&mirrorball));
            Viewer::playing_by(connection, &mirrorball, "news", over)
        };
        let tunnel = Carrier::Tunnel { part: 100 };
        let mut viewers = vec![viewer(Carrier::Plain, Over::Udp)];
        let carriers = [Carrier::Plain, Carrier::Tls, tunnel, Carrier::SecretTunnel];
        viewers.extend(carriers.map(|carrier| viewer(carrier, Over::Tcp)));
        let mut boxes = Viewer::of(&mirrorball, "news");
        let (raw, _) = boxes.set_up_raw("RAW/RAW/UDP;unicast;client_port=PORT");
        boxes.play();
        let sent = send(&mut source, 50);
        for viewer in &mut viewers {
            viewer.expect_packets(&source, sent.clone());
            viewer.report();
        }
        expect(&raw, |number| source.packet(number).split_off(RTP_HEADER_BYTES), sent);
        mirrorball.expect_metric("mirrorball_rtcp_reports_total", &[], 5.0);
        STUDIO.send_over_ipv6(&sender_report(source.ssrc, 0), group(0x99, 5005));
        assert!(viewers.iter_mut().all(|viewer| viewer.rtcp_within(PATIENCE).is_some()));
        viewers.into_iter().for_each(Viewer::teardown);
    });
}

#[test]
fn a_group_of_ipv6_goes_out_over_http_and_is_found_by_its_lists() {
    in_a_network_of_its_own("HTTP over IPv6", &NEEDS, || {
        let listen = format!("listen = [\"[{EDGE}]:0\"]");
        let mirrorball = setup().section("http", &listen).start();
        let (web, from) = (mirrorball.web(), group(0x99, 5004));
        let asking = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: {web}\r\n\r\n");
        let mut list = Web::ask(web, &asking("/playlist.m3u")).expect(200);
        let text = String::from_utf8(list.body()).expect("text");
        let url = text.lines().find_map(|line| line.strip_prefix(&format!("http://{web}"))).expect("its URL");
        let by_name = list.then(&asking(url)).expect(200);
        let by_group = Web::ask(web, &asking(&format!("/rtp/{from}"))).expect(200);
        let sent = ts_packets(7, 188, 3);
        STUDIO.send_over_ipv6(&[&[0x80, 33, 0, 1, 0, 0, 0, 1, 0, 0, 0, 7][..], &sent].concat(), from);
        for mut viewer in [by_name, by_group] {
            assert!(viewer.take(sent.len()) == sent);
        }
        mirrorball.expect_logged("a session plays", 2).iter().for_each(|line| {
            assert!(line.contains(&format!("client={EDGE}")), "{line}");
        });
        let url = format!("rtsp://[{EDGE}]:{}/news", mirrorball.rtsp.port());
        let description = Web::ask(web, &asking("/news.sdp")).expect(200).text();
        assert!(description.contains(&url), "{description}");
    });
}

#[test]
fn a_channel_goes_to_a_group_of_ipv6_for_those_who_ask() {
    in_a_network_of_its_own("a group of our own over IPv6", &NEEDS, || {
        let out = group(0x98, 6000);
        let lines = format!("multicast_out = \"{out}\"\nmulticast_out_interface = \"{}\"", STUDIO.name);
        let mirrorball = setup().channel_line(&lines).start();
        let mut source = Source::new();
        let (ear, reports) = (ear(out), ear(group(0x98, 6001)));
        let mut viewer = Viewer::of(&mirrorball, "news");
        let granted = viewer.ask_for(1, "RTP/AVP;multicast");
        assert!(granted.contains("destination=ff15::98;port=6000-6001;"), "{granted}");
        let url = format!("{}?multicast", mirrorball.url("news"));
        let described = viewer.connection.request("DESCRIBE", &url, &[]).expect(200);
        assert!(described.body.contains("c=IN IP6 ff15::98"), "{}", described.body);
        viewer.play();
        let sent = send(&mut source, 20);
        expect(&ear, |number| source.packet(number), sent);
        STUDIO.send_over_ipv6(&sender_report(source.ssrc, 0), group(0x99, 5005));
        expect(&reports, |_| sender_report(source.ssrc, 0), 0..1);
    });
}

#[test]
fn lists_of_networks_and_limits_know_ipv6() {
    in_a_network_of_its_own("who may watch over IPv6", &NEEDS, || {
        let limits = "sessions_per_address = 1";
        let lists = "deny = [\"fd78::/64\"]";
        let setup = setup().section("access", lists).section("limits", limits);
        HOME.add_ipv6(GUEST);
        let mirrorball = setup.start();
        let ask = |own| describe(&mut Connection::from(own, mirrorball.rtsp), &mirrorball);
        assert_eq!((ask(GUEST), ask(EDGE)), (403, 200));
        let _viewer = Viewer::playing(&mirrorball, "news", Over::Tcp);
        let url = format!("{}/trackID=1", mirrorball.url("news"));
        let setup = [("Transport", "RTP/AVP/TCP;unicast")];
        Connection::open(mirrorball.rtsp).request("SETUP", &url, &setup).expect(503);
        mirrorball.expect_metric("mirrorball_sessions_refused_total", &[("reason", "address")], 1.0);
    });
}

fn describe(connection: &mut Connection, mirrorball: &Mirrorball) -> u16 {
    connection.request("DESCRIBE", &mirrorball.url("news"), &[]).status
}

#[test]
fn who_finds_it_full_is_sent_to_another_edge_of_ipv6() {
    in_a_network_of_its_own("another edge of IPv6", &NEEDS, || {
        let limits = "sessions = 1\nredirect = \"rtsp://[fd77::2]:8554\"";
        let mirrorball = setup().section("limits", limits).start();
        let _viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
        let mut late = Connection::open(mirrorball.rtsp);
        let reply = late.request("DESCRIBE", &mirrorball.url("news"), &[]).expect(302);
        assert_eq!(reply.header("Location"), Some("rtsp://[fd77::2]:8554/news"));
    });
}
