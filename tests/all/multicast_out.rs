//! Channels that go to a group of their own, once for all who ask for it.

use std::net::{Ipv4Addr, UdpSocket};
use std::ops::Range;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::conversation::two_tracks;
use crate::vocabulary::{
    Group, Mirrorball, Needs, Over, Plug, Setup, Source, Stamp, Viewer, count, counted, datagram,
    in_a_network_of_its_own, raise_firewall, sender_report,
};

const MULTICAST: &str = "RTP/AVP;multicast";
const PATIENCE: Duration = Duration::from_secs(20);
const SILENCE: Duration = Duration::from_millis(150);
const OURS: &[(&str, &str)] = &[("transport", "multicast")];

/// A viewer for whom the first track is set up by multicast.
#[track_caller]
fn asking(mirrorball: &Mirrorball) -> (Viewer, String) {
    let mut viewer = Viewer::of(mirrorball, "news");
    let granted = viewer.ask_for(1, MULTICAST);
    (viewer, granted)
}

#[track_caller]
fn expect(ear: &UdpSocket, source: &Source, numbers: Range<u64>) {
    for number in numbers {
        let came = datagram(ear, PATIENCE).unwrap_or_else(|| panic!("packet {number} did not come"));
        assert_eq!(Stamp::read(&came), Stamp::read(&source.packet(number)), "packet {number}");
    }
}

fn number(packet: &[u8]) -> u64 {
    Stamp::read(packet).expect("a whole packet of a source").number
}

#[test]
fn a_channel_goes_to_its_group_once_for_all_and_only_while_somebody_plays_it() {
    let (mut source, group) = (Source::new(), Group::fresh());
    let mut mirrorball = Setup::new().channel("news", source.group).multicast_out(group).start();
    let (ear, reports) = (group.ear(0), group.ear(1));
    let ports = format!("{}-{}", group.0.port(), group.0.port() + 1);
    let [(mut first, granted), (mut second, _)] = [asking(&mirrorball), asking(&mirrorball)];
    let asked = format!("{MULTICAST};destination={};port={ports};ttl=1", group.0.ip());
    assert!(granted.starts_with(&asked), "{granted}");
    source.send(1);
    assert_eq!(datagram(&ear, SILENCE), None, "nobody plays");
    first.play();
    source.send(10);
    expect(&ear, &source, 0..11); // from the one that the reply announced
    mirrorball.expect_metric("mirrorball_forwarded_packets_total", OURS, 11.0);
    second.play();
    mirrorball.expect_metric("mirrorball_channel_subscribers", OURS, 2.0);
    source.send(10);
    source.send_rtcp(&sender_report(source.ssrc, 0));
    expect(&ear, &source, 11..21);
    assert_eq!(datagram(&reports, PATIENCE), Some(sender_report(source.ssrc, 0)));
    mirrorball.expect_metric("mirrorball_forwarded_packets_total", OURS, 21.0);
    let begun = mirrorball.expect_logged("a session plays", 2);
    let told = format!("transport=\"multicast\" groups=\"{}:{ports}\"", group.0.ip());
    assert!(begun.iter().all(|line| line.contains(&told)), "{told}: {begun:#?}");
    first.request("PAUSE").expect(200);
    source.send(1);
    expect(&ear, &source, 21..22);
    mirrorball.expect_metric("mirrorball_forwarded_packets_total", OURS, 22.0);
    second.request("TEARDOWN").expect(200);
    let ended = mirrorball.expect_logged("a session has ended", 1);
    let packets = ended[0].split_once("packets=").expect("told").1;
    assert!(packets.starts_with("11 "), "what was sent while it played: {ended:?}");
    source.send(3);
    assert_eq!(datagram(&ear, SILENCE), None, "nobody plays any more");
    first.play();
    source.send(1);
    expect(&ear, &source, 24..26);
    let (mut third, _) = asking(&mirrorball);
    third.play();
    mirrorball.expect_metric("mirrorball_channel_subscribers", OURS, 2.0);
    mirrorball.signal(Signal::SIGTERM);
    assert!(mirrorball.ended().is_some_and(|status| status.success()));
    let mut goodbyes = std::iter::from_fn(|| datagram(&reports, SILENCE)).filter(|report| report[9] == 203);
    assert_eq!(
        (goodbyes.next().is_some(), goodbyes.count()),
        (true, 0),
        "one goodbye to the group, though two played"
    );
}

#[test]
fn viewers_of_a_group_live_by_their_connections_and_leave_it_to_the_others() {
    let (source, group) = (Source::new(), Group::fresh());
    let setup = Setup::new().channel("news", source.group).rtsp("session_timeout = \"2s\"");
    let mirrorball = setup.multicast_out(group).start();
    let (ear, reports) = (group.ear(0), group.ear(1));
    let [(mut stays, _), (mut goes, _)] = [asking(&mirrorball), asking(&mirrorball)];
    let beam = source.beam(100);
    stays.play();
    goes.play();
    // Its connection is all that tells of it, and that lasts.
    std::thread::sleep(Duration::from_millis(4500));
    mirrorball.expect_metric("mirrorball_sessions", &[], 2.0);
    goes.vanish();
    mirrorball.expect_metric("mirrorball_sessions", &[], 1.0);
    assert_eq!(datagram(&reports, SILENCE), None);
    let last = beam.stop().next - 1;
    assert!(std::iter::from_fn(|| datagram(&ear, PATIENCE)).any(|packet| number(&packet) == last));
}

#[test]
fn packets_to_a_group_go_as_far_as_the_group_and_are_of_the_channels_class() {
    let needs = Needs { programs: &["ip", "nft"], route: true, ipv6: false };
    in_a_network_of_its_own("TTL and DSCP of an out group", &needs, || {
        let (mut source, group) = (Source::new(), Group::fresh());
        let setup = Setup::new().channel("news", source.group).channel_line("dscp = 34\nttl = 9");
        // Without an interface of its own it goes by the route.
        let out = format!("multicast_out = \"{group}\"\nmulticast_out_ttl = 5");
        let mirrorball = setup.channel_line(&out).start();
        let (ear, reports) = (group.ear(0), group.ear(1));
        let (mut viewer, granted) = asking(&mirrorball);
        assert!(granted.contains(";ttl=5"), "{granted}");
        viewer.play();
        raise_firewall();
        count("all", &format!("ip daddr {}", group.0.ip()));
        count("marked", &format!("ip daddr {} ip ttl 5 ip dscp af41", group.0.ip()));
        for _ in 0..3 {
            source.send(1);
            expect(&ear, &source, source.next - 1..source.next);
        }
        source.send_rtcp(&sender_report(source.ssrc, 0));
        assert!(datagram(&reports, PATIENCE).is_some());
        assert_eq!((counted("all"), counted("marked")), (4, 4));
    });
}

#[test]
fn a_stream_changes_over_to_the_group_and_back_and_nothing_is_lost_or_comes_twice() {
    let (source, group) = (Source::new(), Group::fresh());
    let mirrorball = Setup::new().channel("news", source.group).multicast_out(group).start();
    let ear = group.ear(0);
    let beam = source.beam(1000);
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
    for over in [Over::Udp, Over::Tcp] {
        let before = (0..40).map(|_| viewer.stamp().number).last().expect("packets");
        viewer.ask_for(1, MULTICAST);
        let by_group: Vec<_> =
            (0..100).map(|_| number(&datagram(&ear, PATIENCE).expect("a packet"))).collect();
        let late: Vec<_> = (before + 1..by_group[0]).map(|_| viewer.stamp().number).collect();
        assert!(late.into_iter().eq(before + 1..by_group[0]));
        assert!(viewer.packet_within(0, SILENCE).is_none(), "both ways");
        viewer.media.clear();
        viewer.set_up(1, over);
        let first = viewer.stamp().number;
        let rest = std::iter::from_fn(|| Some(number(&datagram(&ear, SILENCE)?)));
        let all: Vec<_> = by_group.into_iter().chain(rest).collect();
        assert!(all.iter().copied().eq(all[0]..first), "{} to {first}: {}", all[0], all.len());
    }
    beam.stop();
}

#[test]
fn a_description_names_the_group_for_those_whose_url_asks_for_it() {
    let (first, second, group) = (Source::new(), Source::new(), Group::fresh());
    let setup = Setup::new().described("film", &two_tracks(&first, &second)).multicast_out(group);
    let mirrorball = setup.channel("news", Group::fresh()).start();
    let mut viewer = Viewer::of(&mirrorball, "film");
    let mut describe = |channel: &str| viewer.connection.request("DESCRIBE", &mirrorball.url(channel), &[]);
    let (ip, port) = (group.0.ip(), group.0.port());
    for query in ["?multicast", "?vlcmulticast", "?a=b&multicast"] {
        let text = describe(&format!("film{query}")).expect(200).body;
        assert!(text.contains(&format!("c=IN IP4 {ip}/1\r\n")), "{text}");
        assert!(text.contains(&format!("m=video {port} RTP/AVP 33")), "{text}");
        assert!(text.contains(&format!("m=video {} RTP/AVP 33", port + 2)), "{text}");
    }
    for without in ["film", "film?multicasts", "news?multicast"] {
        let text = describe(without).expect(200).body;
        assert!(text.contains("c=IN IP4 0.0.0.0\r\n") && text.contains("m=video 0 "), "{text}");
    }
    let granted = viewer.ask_for(2, MULTICAST);
    assert!(granted.contains(&format!("port={}-{}", port + 2, port + 3)), "{granted}");
    let news = format!("{}/trackID=1", mirrorball.url("news"));
    viewer.connection.request("SETUP", &news, &[("Transport", MULTICAST)]).expect(461);
}

#[test]
fn an_interface_that_is_made_anew_is_gone_on_by_and_who_plays_stays() {
    let needs = Needs { programs: &["ip"], route: false, ipv6: false };
    in_a_network_of_its_own("the interface of an out group", &needs, || {
        let hall = Plug { name: "hall", address: Ipv4Addr::new(10, 78, 0, 1) };
        hall.plug_in();
        let (mut source, group) = (Source::new(), Group::fresh());
        let out = format!("multicast_out = \"{group}\"\nmulticast_out_interface = \"hall\"");
        let mirrorball = Setup::new().channel("news", source.group).channel_line(&out).start();
        let (mut viewer, _) = asking(&mirrorball);
        viewer.play();
        let ear = group.ear_on(hall.address, 0);
        source.send(3);
        expect(&ear, &source, 0..3);
        hall.unplug();
        source.send(3);
        hall.plug_in();
        let ear = group.ear_on(hall.address, 0);
        mirrorball.expect_logged("the interface of multicast_out was replaced", 1);
        source.send(3);
        expect(&ear, &source, 6..9);
        mirrorball.expect_metric("mirrorball_channel_subscribers", OURS, 1.0);
        viewer.teardown();
    });
}
