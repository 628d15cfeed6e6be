//! Viewers behind a NAT, which gives their ports others outside: they are found by what they send, and nobody else is.

use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::Duration;

use crate::vocabulary::{
    Connection, Group, Medium, Mirrorball, Needs, Network, Over, Setup, Source, Stamp, Town, Viewer, binary,
    datagram, eventually, in_a_network_of_its_own, parameter, passes, receiver_report, sender_report,
};

const NEEDS: Needs = Needs { programs: &["ip", "nft"], route: true, ipv6: false };
const LEARNT: &str = "mirrorball_ports_learnt_total";
const LEARNT_RTP: &[(&str, &str)] = &[("port", "rtp")];
const LEARNT_RTCP: &[(&str, &str)] = &[("port", "rtcp")];
const PATIENCE: Duration = Duration::from_secs(20);
const SILENCE: Duration = Duration::from_millis(400);
/// What players are known to send: nothing at all, live555's word, ffmpeg's report of nothing, and an empty RTP packet.
const PUNCHES: [&[u8]; 5] = [
    &[],
    &[0xce, 0xfa, 0xed, 0xfe],
    &[0x80, 201, 0, 1, 0, 0, 0, 0],
    &[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    &[0; 200],
];

fn one_channel(line: &str) -> (Source, Mirrorball) {
    let source = Source::new();
    let setup = Setup::new().listening_on(Town::EDGE).channel("news", source.group).rtsp(line);
    (source, setup.start())
}

fn set_up(mirrorball: &Mirrorball) -> Viewer {
    let mut viewer = Viewer::of(mirrorball, "news");
    viewer.set_up(1, Over::Udp);
    viewer
}

/// The ports that a line of the log tells.
fn client_ports(line: &str) -> Option<&str> {
    line.split_once("client_ports=\"")?.1.split('"').next()
}

#[test]
fn a_viewer_behind_a_nat_gets_all_from_the_first_packet_after_a_punch_of_any_kind() {
    in_a_network_of_its_own("punches through a NAT", &NEEDS, || {
        let town = Town::build();
        let (mut source, mirrorball) = one_channel("");
        for (seen, punch) in PUNCHES.iter().enumerate() {
            let mut viewer = town.homes[0].within(|| set_up(&mirrorball));
            let announced = viewer.transport();
            viewer.punch(0, punch);
            mirrorball.expect_metric(LEARNT, LEARNT_RTCP, (seen + 1) as f64);
            viewer.play();
            let first = source.next;
            source.send(20);
            // The newest packet is what a newcomer begins with.
            viewer.expect_packets(&source, first.saturating_sub(1)..first + 20);
            source.send_rtcp(&sender_report(source.ssrc, 0));
            assert_eq!(viewer.rtcp(), sender_report(source.ssrc, 0), "the source's report");
            viewer.report_on(source.ssrc);
            mirrorball.expect_metric("mirrorball_rtcp_reports_total", &[], reports_of(&PUNCHES[..=seen]));
            mirrorball.expect_metric(LEARNT, LEARNT_RTP, (seen + 1) as f64);
            viewer.teardown();
            let told = mirrorball.expect_logged("a session has ended client", seen + 1);
            let ports = client_ports(&told[seen]).expect("they are told");
            assert!(!announced.contains(ports), "{ports} are those outside: {announced}");
            assert_eq!(
                client_ports(&mirrorball.expect_logged("a session plays", seen + 1)[seen]),
                Some(ports)
            );
        }
        // The last one is longer than any that players send there.
        mirrorball.expect_metric("mirrorball_drops_total", &[("leg", "reports")], 1.0);
        mirrorball.expect_metric("mirrorball_sessions_ended_total", &[("reason", "refused")], 0.0);
    });
}

/// One of each viewer, and those that were punches.
fn reports_of(punches: &[&[u8]]) -> f64 {
    let are_reports = punches.iter().filter(|punch| punch.get(1) == Some(&201)).count();
    (punches.len() + are_reports) as f64
}

#[test]
fn packets_follow_a_viewer_who_is_found_while_it_plays_and_none_is_lost_or_comes_twice_from_there() {
    in_a_network_of_its_own("a viewer who is found late", &NEEDS, || {
        let town = Town::build();
        let (source, mirrorball) = one_channel("");
        let mut viewer = town.homes[0].within(|| Viewer::playing(&mirrorball, "news", Over::Udp));
        let beam = source.beam(1000);
        // For so long its router says that nobody listens, twice at least.
        thread::sleep(Duration::from_millis(2500));
        mirrorball.expect_metric("mirrorball_sessions", &[], 1.0);
        assert!(viewer.packet_within(0, SILENCE).is_none(), "it can not be reached");
        viewer.report();
        mirrorball.expect_metric(LEARNT, LEARNT_RTCP, 1.0);
        mirrorball.expect_metric("mirrorball_rtcp_reports_total", &[], 1.0);
        assert!(viewer.packet_within(0, SILENCE).is_none(), "one port says nothing of the other");
        viewer.punch(0, &[]);
        let first = viewer.stamp().number;
        for number in first + 1..first + 1000 {
            assert_eq!(viewer.stamp().number, number);
        }
        mirrorball.expect_metric(LEARNT, LEARNT_RTP, 1.0);
        let lines = mirrorball.expect_logged("a session goes on at ports that were learnt", 2);
        assert!(lines[1].contains("client_ports="), "{lines:?}");
        beam.stop();
    });
}

#[test]
fn what_is_sent_again_in_a_session_of_its_own_follows_a_viewer_too() {
    in_a_network_of_its_own("repair by ports of its own through a NAT", &NEEDS, || {
        let town = Town::build();
        let mut source = Source::new();
        let setup = Setup::new().listening_on(Town::EDGE).channel("news", source.group);
        let mirrorball = setup.channel_line("offer_repair = \"rtx-session\"").start();
        let mut viewer = town.homes[0].within(|| {
            let mut viewer = Viewer::of(&mirrorball, "news");
            let own = viewer.connection.stream.local_addr().expect("connected").ip();
            for control in ["trackID=1", "rtxID=1"] {
                let [rtp, rtcp] = [(); 2].map(|()| UdpSocket::bind((own, 0)).expect("a port"));
                viewer.set_up_control("RTP/AVPF", control, rtp, rtcp);
            }
            viewer
        });
        (0..2).for_each(|medium| viewer.punch(medium, PUNCHES[1]));
        mirrorball.expect_metric(LEARNT, LEARNT_RTCP, 2.0);
        viewer.play();
        mirrorball.expect_metric(LEARNT, LEARNT_RTP, 2.0);
        source.send(20);
        viewer.expect_packets(&source, 0..20);
        let wanted = source.packet(7)[2..4].to_vec();
        let nack =
            [&[0x81, 205, 0, 3, 0, 0, 0, 1][..], &source.ssrc.to_be_bytes(), &wanted, &[0, 0]].concat();
        viewer.send_rtcp(0, &nack);
        let again = viewer.packet_within(1, PATIENCE).expect("what it has lost");
        assert_eq!(again[12..14], wanted);
        viewer.teardown();
    });
}

#[test]
fn two_viewers_behind_one_nat_who_name_the_same_ports_get_their_own_channels() {
    in_a_network_of_its_own("two viewers behind one NAT", &NEEDS, || {
        let town = Town::build();
        let mut sources = [Source::new(), Source::new()];
        let mut setup = Setup::new().listening_on(Town::EDGE);
        for (name, source) in ["news", "film"].into_iter().zip(&sources) {
            setup = setup.channel(name, source.group);
        }
        let mirrorball = setup.start();
        let mut viewers = ["news", "film"].map(|name| {
            let home = &town.homes[usize::from(name == "film")];
            home.within(|| {
                let mut viewer = Viewer::of(&mirrorball, name);
                let own = viewer.connection.stream.local_addr().expect("connected").ip();
                let [rtp, rtcp] = [5000, 5001].map(|port| UdpSocket::bind((own, port)).expect("a port"));
                viewer.set_up_at(1, rtp, rtcp);
                viewer
            })
        });
        assert_ne!(viewers[0].server_rtp(), viewers[1].server_rtp(), "who is not known yet shares no pair");
        viewers.iter().rev().for_each(|viewer| viewer.punch(0, &[]));
        mirrorball.expect_metric(LEARNT, LEARNT_RTCP, 2.0);
        viewers.iter_mut().for_each(Viewer::play);
        for source in &mut sources {
            source.send(50);
        }
        for (viewer, source) in viewers.iter_mut().zip(&sources) {
            viewer.expect_packets(source, 0..50);
        }
        viewers.iter_mut().for_each(Viewer::expect_silence);
        // Both are known by now: there is room at the first pair.
        let third = town.homes[0].within(|| set_up(&mirrorball));
        assert_eq!(third.server_rtp(), viewers[0].server_rtp());
    });
}

#[test]
fn what_another_host_sends_moves_nothing_and_neither_does_a_viewer_who_is_known() {
    in_a_network_of_its_own("another host's punches", &NEEDS, || {
        let town = Town::build();
        let (mut source, mirrorball) = one_channel("");
        let mut viewer = town.outside.within(|| Viewer::playing(&mirrorball, "news", Over::Udp));
        let servers = [viewer.server_rtp(), viewer.server_rtcp()];
        let attack = |network: &Network| {
            let socket = network.within(|| UdpSocket::bind("0.0.0.0:0").expect("a port"));
            for punch in PUNCHES {
                servers.iter().for_each(|server| drop(socket.send_to(punch, server)));
            }
            socket
        };
        let attacker = attack(&town.homes[0]);
        let all = PUNCHES.len() as f64;
        mirrorball.expect_metric("mirrorball_rtcp_strangers_total", &[], all);
        mirrorball.expect_metric("mirrorball_rtp_strangers_total", &[], all);
        source.send(10);
        viewer.expect_packets(&source, 0..10);
        // From here on it is known where the viewer is: where it said.
        viewer.punch(0, &receiver_report());
        mirrorball.expect_metric("mirrorball_rtcp_reports_total", &[], 1.0);
        eventually("the RTP port has been looked at", || {
            let stray = attack(&town.outside);
            let strangers = mirrorball.metric("mirrorball_rtcp_strangers_total", &[]);
            let of_rtp = mirrorball.metric("mirrorball_rtp_strangers_total", &[]);
            drop(stray);
            (strangers > of_rtp + 2.0 * all).then_some(())
        });
        source.send(10);
        viewer.expect_packets(&source, 10..20);
        assert_eq!(datagram(&attacker, SILENCE), None);
        [LEARNT_RTP, LEARNT_RTCP].iter().for_each(|port| mirrorball.expect_metric(LEARNT, port, 0.0));
    });
}

#[test]
fn who_leaves_shows_nobody_where_to_send() {
    in_a_network_of_its_own("a goodbye through a NAT", &NEEDS, || {
        let town = Town::build();
        let (source, mirrorball) = one_channel("");
        let mut viewer = town.homes[0].within(|| set_up(&mirrorball));
        // As if of one that was there before.
        viewer.say_bye_to(source.ssrc);
        mirrorball.expect_metric("mirrorball_rtcp_strangers_total", &[], 1.0);
        viewer.report_on(source.ssrc);
        mirrorball.expect_metric(LEARNT, LEARNT_RTCP, 1.0);
        mirrorball.expect_metric("mirrorball_rtcp_strangers_total", &[], 1.0);
    });
}

#[test]
fn with_off_nothing_is_learnt_and_a_viewer_without_a_nat_is_served_as_ever() {
    in_a_network_of_its_own("ports that are not learnt", &NEEDS, || {
        let town = Town::build();
        let (mut source, mirrorball) = one_channel("learn_ports = \"off\"");
        let mut hidden = town.homes[0].within(|| set_up(&mirrorball));
        let mut plain = town.outside.within(|| set_up(&mirrorball));
        assert_eq!(hidden.server_rtp(), plain.server_rtp());
        [&hidden, &plain].iter().for_each(|viewer| viewer.punch(0, PUNCHES[2]));
        mirrorball.expect_metric("mirrorball_rtcp_strangers_total", &[], 1.0);
        [&mut hidden, &mut plain].into_iter().for_each(Viewer::play);
        source.send(10);
        plain.expect_packets(&source, 0..10);
        hidden.expect_silence();
        [LEARNT_RTP, LEARNT_RTCP].iter().for_each(|port| mirrorball.expect_metric(LEARNT, port, 0.0));
    });
}

#[test]
fn with_a_delay_packets_go_to_the_port_that_was_heard_last() {
    in_a_network_of_its_own("the newest port", &NEEDS, || {
        let town = Town::build();
        let (source, mirrorball) = one_channel("learn_ports = \"delayed\"");
        let mut viewer = town.outside.within(|| Viewer::playing(&mirrorball, "news", Over::Udp));
        let bind = || UdpSocket::bind("10.79.4.2:0").expect("a port");
        let (older, newer) = town.outside.within(|| (bind(), bind()));
        let beam = source.beam(200);
        viewer.stamp();
        for socket in [&older, &newer] {
            assert_eq!(socket.send_to(&[], viewer.server_rtp()).ok(), Some(0));
        }
        let first = Stamp::read(&datagram(&newer, PATIENCE).expect("a packet")).expect("whole").number;
        let before =
            std::iter::from_fn(|| viewer.packet_within(0, SILENCE)).last().expect("as it said first");
        assert_eq!(Stamp::read(&before).map(|last| last.number + 1), Some(first));
        assert_eq!(datagram(&older, SILENCE), None);
        mirrorball.expect_metric(LEARNT, LEARNT_RTP, 1.0);
        beam.stop();
    });
}

#[test]
fn a_set_top_box_behind_a_nat_gets_its_payloads() {
    in_a_network_of_its_own("a set-top box behind a NAT", &NEEDS, || {
        let town = Town::build();
        let (mut source, mirrorball) = one_channel("");
        let (mut viewer, socket, granted) = town.homes[0].within(|| {
            let mut viewer = Viewer::of(&mirrorball, "news");
            let (socket, granted) = viewer.set_up_raw("MP2T/H2221/UDP;unicast;client_port=PORT");
            (viewer, socket, granted)
        });
        let port = parameter(&granted, "server_port").and_then(|port| port.parse().ok()).expect("one");
        let server = SocketAddr::new(mirrorball.rtsp.ip(), port);
        assert_eq!(socket.send_to(&[], server).ok(), Some(0));
        viewer.play();
        source.send(10);
        for number in 0..10 {
            let payload = datagram(&socket, PATIENCE).expect("a payload");
            assert!(payload == source.packet(number)[12..], "payload {number}");
        }
        mirrorball.expect_metric(LEARNT, LEARNT_RTP, 1.0);
    });
}

#[test]
fn a_probe_behind_a_nat_measures_what_comes() {
    in_a_network_of_its_own("a probe behind a NAT", &NEEDS, || {
        let town = Town::build();
        let (source, mirrorball) = one_channel("");
        let beam = source.beam(100);
        let probe = town.homes[0].within(|| {
            let options = ["probe", "--json", "--duration", "1", "--subscribers", "6"];
            binary().args(options).arg(mirrorball.url("news")).output().expect("it starts")
        });
        beam.stop();
        let told = String::from_utf8_lossy(&probe.stdout).into_owned();
        assert!(probe.status.success(), "{told}");
        for part in ["\"served\":6", "\"lost\":0", "\"duplicates\":0"] {
            assert!(told.replace(": ", ":").contains(part), "{part} is not in {told}");
        }
    });
}

#[test]
fn another_setup_has_a_viewer_looked_for_anew() {
    in_a_network_of_its_own("a SETUP behind a NAT", &NEEDS, || {
        let town = Town::build();
        let (source, mirrorball) = one_channel("");
        let mut viewer = town.homes[0].within(|| set_up(&mirrorball));
        viewer.punch(0, &[]);
        viewer.play();
        let beam = source.beam(500);
        viewer.stamp();
        let again = viewer.transport();
        viewer.ask_for(1, &again);
        // By now packets go where it says that it is, which is where nobody is.
        let gone = passes(PATIENCE, || viewer.packet_within(0, SILENCE).is_none());
        assert!(gone, "it is looked for");
        town.homes[0].within(|| viewer.move_port(true));
        let Medium::Udp { rtp, server_rtp, .. } = &viewer.media[0] else { panic!("over UDP") };
        rtp.send_to(&[], server_rtp).expect("the network takes packets");
        let first = viewer.stamp().number;
        assert_eq!(viewer.stamp().number, first + 1);
        mirrorball.expect_metric(LEARNT, LEARNT_RTP, 2.0);
        beam.stop();
    });
}

#[test]
fn transports_that_are_not_served_are_refused() {
    let source = Source::new();
    let group = Group::fresh();
    let by = |list: &str| {
        let setup = Setup::new().channel("news", source.group).multicast_out(group);
        setup.rtsp(&format!("transports = {list}")).start()
    };
    let kinds = [
        ("udp", "RTP/AVP;unicast;client_port=40000-40001"),
        ("tcp", "RTP/AVP/TCP;unicast;interleaved=0-1"),
        ("multicast", "RTP/AVP;multicast"),
        ("raw", "MP2T/H2221/UDP;unicast;client_port=40000"),
    ];
    for (served, transport) in kinds {
        let mirrorball = by(&format!("[\"{served}\"]"));
        let mut connection = Connection::open(mirrorball.rtsp);
        let url = format!("{}/trackID=1", mirrorball.url("news"));
        for (kind, asked) in kinds {
            let mut set_up = |list: &str| connection.request("SETUP", &url, &[("Transport", list)]);
            if kind != served {
                set_up(asked).expect(461);
                let granted = set_up(&format!("{asked},{transport}")).expect(200);
                let granted = granted.header("Transport").expect("a transport").to_owned();
                let word = transport.split(';').next().unwrap_or_default();
                assert!(
                    granted.starts_with(word) && granted.contains("multicast") == (served == "multicast")
                );
            }
        }
    }
}

/// ffmpeg does so once nothing has come for ten seconds.
#[test]
fn who_falls_back_to_its_connection_is_not_kept_out_by_what_it_leaves_behind() {
    let (mut source, setup) = (Source::new(), Setup::new());
    let setup = setup.channel("news", source.group).section("limits", "sessions_per_address = 1");
    let mirrorball = setup.start();
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
    let another = |viewer: &mut Viewer| {
        let url = format!("{}/trackID=1", viewer.url);
        viewer.connection.request("SETUP", &url, &[("Transport", "RTP/AVP/TCP;unicast;interleaved=0-1")])
    };
    another(&mut viewer).expect(503); // what plays is not left behind
    viewer.request("PAUSE").expect(200);
    viewer.session.clear();
    viewer.media.clear();
    viewer.set_up(1, Over::Tcp);
    viewer.play();
    source.send(10);
    viewer.expect_packets(&source, 0..10);
    mirrorball.expect_metric("mirrorball_sessions", &[], 1.0);
    mirrorball.expect_metric("mirrorball_sessions_ended_total", &[("reason", "fell back")], 1.0);
    viewer.request("PAUSE").expect(200);
    another(&mut viewer).expect(503); // nor is what goes by the connection
    mirrorball.expect_metric("mirrorball_sessions_ended_total", &[("reason", "fell back")], 1.0);
}
