//! Packets that a viewer over UDP has lost, and asks for again.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use mirrorball::event::clock;
use mirrorball::wire::ts_packet::TsPacket;
use tempfile::TempDir;

use crate::conversation::one_channel;
use crate::players::programme::ffmpeg;
use crate::slow_web::{Sending, film};
use crate::vocabulary::{
    Detour, Group, Mirrorball, Needs, Over, Setup, Source, Stamp, Viewer, eventually,
    in_a_network_of_its_own, is_thorough, lose, lost, report, say,
};

/// Under which viewers ask, and report.
const OWN_SSRC: u32 = 0x7e57;
/// The way there and back, as a viewer behind it has it.
const ROUND_TRIP: Duration = Duration::from_millis(20);

/// By when all but one of a hundred repairs are there, by any build on a busy machine.
const SOON: Duration = Duration::from_millis(100);

/// A NACK (RFC 4585 section 6.2.1): PIDs and BLPs.
pub fn nack(sender: u32, media: u32, words: &[(u16, u16)]) -> Vec<u8> {
    let mut nack = vec![0x81, 205, 0, 2 + words.len() as u8];
    nack.extend([sender.to_be_bytes(), media.to_be_bytes()].as_flattened());
    let words = words.iter().flat_map(|(first, others)| [first.to_be_bytes(), others.to_be_bytes()]);
    words.for_each(|half| nack.extend(half));
    nack
}

fn sequence(source: &Source, number: u64) -> u16 {
    let packet = source.packet(number);
    u16::from_be_bytes([packet[2], packet[3]])
}

fn counted(mirrorball: &Mirrorball, what: &str) -> f64 {
    mirrorball.metric(&format!("mirrorball_repair_{what}_total"), &[("channel", "news")])
}

/// What was sent is counted once the kernel has it, which may be after a viewer has.
#[track_caller]
fn expect_counted(mirrorball: &Mirrorball, what: &str, count: f64) {
    mirrorball.expect_metric(&format!("mirrorball_repair_{what}_total"), &[("channel", "news")], count);
}

fn refused(mirrorball: &Mirrorball, reason: &str) -> f64 {
    mirrorball.metric("mirrorball_repair_refused_total", &[("channel", "news"), ("reason", reason)])
}

/// A viewer that plays and has so many packets of a source.
fn viewer_with(mirrorball: &Mirrorball, source: &mut Source, packets: u64) -> Viewer {
    let mut viewer = Viewer::playing(mirrorball, "news", Over::Udp);
    source.send(packets);
    viewer.expect_packets(source, 0..packets);
    viewer
}

/// The only track comes to other ports from now on.
fn change_way(mirrorball: &Mirrorball, viewer: &mut Viewer) {
    viewer.set_up(1, Over::Udp);
    viewer.media.remove(0);
    mirrorball.expect_logged("a session goes on in another way", 1);
}

#[test]
fn what_is_asked_for_again_comes_again_as_it_was() {
    let (mut source, mirrorball) = one_channel();
    let mut viewer = viewer_with(&mirrorball, &mut source, 40);
    let ssrc = source.ssrc;
    // Alone, as set-top boxes send it.
    viewer.send_rtcp(0, &nack(OWN_SSRC, ssrc, &[(sequence(&source, 3), 0)]));
    viewer.expect_packets(&source, 3..4);
    // Behind a report: one and some of the sixteen behind it, and another one.
    let both = [
        report(OWN_SSRC, &[ssrc]),
        nack(OWN_SSRC, ssrc, &[(sequence(&source, 10), 0b111), (sequence(&source, 39), 0)]),
    ];
    viewer.send_rtcp(0, &both.concat());
    viewer.expect_packets(&source, 10..14);
    viewer.expect_packets(&source, 39..40);
    viewer.expect_silence();
    expect_counted(&mirrorball, "asked", 6.0);
    expect_counted(&mirrorball, "sent", 6.0);
    mirrorball.expect_metric("mirrorball_drops_total", &[("leg", "reports"), ("reason", "full")], 0.0);
    viewer.teardown();
}

#[test]
fn who_asks_often_is_heard_of_once_a_second() {
    let (mut source, mirrorball) = one_channel();
    let mut viewer = viewer_with(&mirrorball, &mut source, 40);
    let began = clock::now();
    let heard_before = mirrorball.metric("mirrorball_rtcp_reports_total", &[]);
    for number in 0..40 {
        viewer.send_rtcp(0, &nack(OWN_SSRC, source.ssrc, &[(sequence(&source, number), 0)]));
    }
    eventually("each is looked at", || (counted(&mirrorball, "asked") == 40.0).then_some(()));
    let heard = mirrorball.metric("mirrorball_rtcp_reports_total", &[]) - heard_before;
    assert!(heard <= 1.0 + began.elapsed().as_secs_f64(), "{heard} times");
}

#[test]
fn what_never_came_is_answered_by_nothing() {
    let (mut source, mirrorball) = one_channel();
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
    source.send(20);
    let without = source.packet(20);
    (21..40).for_each(|number| source.send_bytes(&source.packet(number)));
    viewer.expect_packets(&source, 0..20);
    viewer.expect_packets(&source, 21..40);
    let lost = u16::from_be_bytes([without[2], without[3]]);
    let to_come = sequence(&source, 90);
    let before = sequence(&source, 0).wrapping_sub(1);
    viewer.send_rtcp(0, &nack(OWN_SSRC, source.ssrc, &[(lost, 0), (to_come, 0), (before, 0)]));
    let looked_for = || (counted(&mirrorball, "not_held"), refused(&mirrorball, "early")) == (2.0, 1.0);
    eventually("all are looked for", || looked_for().then_some(()));
    viewer.expect_silence();
    assert_eq!(counted(&mirrorball, "sent"), 0.0);
}

#[test]
fn nobody_asks_for_another() {
    let (mut source, mirrorball) = one_channel();
    let mut viewer = viewer_with(&mirrorball, &mut source, 40);
    let (ssrc, wanted) = (source.ssrc, sequence(&source, 7));
    let stranger = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let asks = nack(OWN_SSRC, ssrc, &[(wanted, 0xffff)]);
    stranger.send_to(&asks, viewer.server_rtcp()).expect("lo takes packets");
    eventually("it is a stranger", || {
        (mirrorball.metric("mirrorball_rtcp_strangers_total", &[]) == 1.0).then_some(())
    });
    assert_eq!(counted(&mirrorball, "asked"), 0.0);
    // From the viewer's address, of another stream than it has; and once it is known under another name than its own.
    viewer.send_rtcp(0, &nack(OWN_SSRC, ssrc ^ 1, &[(wanted, 0)]));
    eventually("another stream", || (refused(&mirrorball, "ssrc") == 1.0).then_some(()));
    viewer.report_on(ssrc);
    eventually("it is known", || {
        (mirrorball.metric("mirrorball_rtcp_reports_total", &[]) >= 2.0).then_some(())
    });
    viewer.send_rtcp(0, &nack(OWN_SSRC + 1, ssrc, &[(wanted, 0)]));
    eventually("another viewer", || (refused(&mirrorball, "ssrc") == 2.0).then_some(()));
    viewer.expect_silence();
    // Who pauses has lost nothing.
    viewer.request("PAUSE").expect(200);
    viewer.send_rtcp(0, &nack(OWN_SSRC, ssrc, &[(wanted, 0)]));
    viewer.expect_silence();
    assert_eq!((counted(&mirrorball, "asked"), counted(&mirrorball, "sent")), (2.0, 0.0));
}

#[test]
fn a_flood_gets_its_share_and_delays_nobody() {
    let source = Source::new();
    let mirrorball = Setup::new().channel("news", source.group).start();
    let beam = source.beam(500);
    let (mut other, mut viewer) =
        (Viewer::playing(&mirrorball, "news", Over::Udp), Viewer::playing(&mirrorball, "news", Over::Udp));
    let first = viewer.stamp();
    let mut newest = first;
    let (mut again, mut sent) = (0_u32, 0_u32);
    let began = clock::now();
    while began.elapsed() < Duration::from_secs(4) {
        let stamp = viewer.stamp();
        if stamp.number <= newest.number {
            again += 1;
            continue;
        }
        newest = stamp;
        let words: Vec<_> = (1..20).map(|back| (newest.sequence.wrapping_sub(back * 17), 0xffff)).collect();
        (0..4).for_each(|_| viewer.send_rtcp(0, &nack(OWN_SSRC, newest.ssrc, &words)));
        sent += 1;
    }
    // A fifth of 500 a second, for four seconds and the one that it had saved.
    assert!((50..=600).contains(&again), "{again} of {sent} came again");
    let mut at = other.stamp().number;
    while at < newest.number {
        let next = other.stamp().number;
        assert_eq!(next, at + 1, "who asks for nothing loses nothing");
        at = next;
    }
    assert!(refused(&mirrorball, "budget") > 0.0, "beyond its share");
    drop(beam);
}

#[test]
fn where_nothing_is_repaired_nobody_is_answered() {
    let mut source = Source::new();
    let mirrorball = Setup::new().channel("news", source.group).channel_line("repair_percent = 0").start();
    let mut viewer = viewer_with(&mirrorball, &mut source, 40);
    viewer.send_rtcp(0, &nack(OWN_SSRC, source.ssrc, &[(sequence(&source, 3), 0)]));
    viewer.expect_silence();
    assert_eq!(counted(&mirrorball, "asked"), 0.0);
}

#[test]
fn who_is_known_to_take_it_is_sent_what_it_lost_as_a_stream_of_its_own() {
    let (mut source, mirrorball) = one_channel();
    let mut viewer = Viewer::of(&mirrorball, "news");
    let (url, agent) = (viewer.url.clone(), ("User-Agent", "GStreamer/1.26.0"));
    let plain = viewer.connection.request("DESCRIBE", &url, &[("User-Agent", "LibVLC/3.0.20")]).expect(200);
    let plain = plain.body;
    assert!(plain.contains("m=video 0 RTP/AVP 33\r\n") && !plain.contains("rtx"), "{plain}");
    let offer = viewer.connection.request("DESCRIBE", &url, &[agent]).expect(200);
    let offer = offer.body;
    for line in [
        "m=video 0 RTP/AVPF 33 96",
        "b=RR:240000",
        "a=rtcp-fb:33 nack",
        "a=rtcp-fb:33 trr-int 1000",
        "a=rtpmap:96 rtx/90000",
        "a=fmtp:96 apt=33;rtx-time=2000",
    ] {
        assert!(offer.contains(&format!("{line}\r\n")), "{line} in {offer}");
    }
    viewer.agent = Some(agent.1);
    let [rtp, rtcp] = [(); 2].map(|()| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port"));
    viewer.set_up_by("RTP/AVPF", 1, rtp, rtcp);
    viewer.play();
    source.send(40);
    viewer.expect_packets(&source, 0..40);
    viewer.send_rtcp(0, &nack(OWN_SSRC, source.ssrc, &[(sequence(&source, 3), 1)]));
    let again = [viewer.packet(), viewer.packet()];
    for (packet, number) in again.iter().zip(3..) {
        let original = source.packet(number);
        assert_eq!(
            (packet[1], &packet[4..8]),
            (96, &original[4..8]),
            "of its own type, and of the same time"
        );
        assert_ne!(packet[8..12], original[8..12], "of its own SSRC");
        assert_eq!(packet[12..], [&original[2..4], &original[12..]].concat(), "which it was, and what");
    }
    let number = |packet: &[u8]| u16::from_be_bytes([packet[2], packet[3]]);
    assert_eq!(number(&again[0]).wrapping_add(1), number(&again[1]));
    viewer.expect_silence();
}

/// One that is offered what it has lost in a session of its own, and plays.
fn viewer_with_rtx_session(mirrorball: &Mirrorball) -> Viewer {
    let mut viewer = Viewer::of(mirrorball, "news");
    let url = viewer.url.clone();
    let offer = viewer.connection.request("DESCRIBE", &url, &[]).expect(200).body;
    let lines = "a=group:FID 1 rtx1,m=video 0 RTP/AVPF 33,a=rtcp-fb:33 nack,a=mid:1,m=video 0 RTP/AVPF 96,\
                 a=rtpmap:96 rtx/90000,a=fmtp:96 apt=33;rtx-time=2000,a=mid:rtx1,a=control:rtxID=1";
    for line in lines.split(',') {
        assert!(offer.contains(&format!("{line}\r\n")), "{line} in {offer}");
    }
    let [rtp, rtcp] = free_ports();
    viewer.set_up_by("RTP/AVPF", 1, rtp, rtcp);
    viewer.play();
    viewer
}

fn free_ports() -> [UdpSocket; 2] {
    [(); 2].map(|()| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port"))
}

#[test]
fn what_is_lost_comes_in_a_session_of_its_own_where_that_is_set_up() {
    let mut source = Source::new();
    let offer = "offer_repair = \"rtx-session\"";
    let mirrorball = Setup::new().channel("news", source.group).channel_line(offer).start();
    let mut viewer = viewer_with_rtx_session(&mirrorball);
    source.send(40);
    viewer.expect_packets(&source, 0..40);
    viewer.send_rtcp(0, &nack(OWN_SSRC, source.ssrc, &[(sequence(&source, 3), 0)]));
    viewer.expect_packets(&source, 3..4);
    let [rtp, rtcp] = free_ports();
    viewer.set_up_control("RTP/AVPF", "rtxID=1", rtp, rtcp);
    // It is asked for where the track is reported on.
    viewer.send_rtcp(1, &nack(OWN_SSRC, source.ssrc, &[(sequence(&source, 5), 0)]));
    mirrorball.expect_metric("mirrorball_drops_total", &[("leg", "reports"), ("reason", "rtx")], 1.0);
    viewer.send_rtcp(0, &nack(OWN_SSRC, source.ssrc, &[(sequence(&source, 5), 1)]));
    let again = [(); 2].map(|()| viewer.packet_within(1, Duration::from_secs(20)).expect("what it has lost"));
    for (packet, number) in again.iter().zip(5..) {
        let original = source.packet(number);
        assert_eq!((packet[1], &packet[4..12]), (96, &original[4..12]), "by the same SSRC");
        assert_eq!(packet[12..], [&original[2..4], &original[12..]].concat(), "which it was, and what");
    }
    let number = |packet: &[u8]| u16::from_be_bytes([packet[2], packet[3]]);
    assert_eq!(number(&again[0]).wrapping_add(1), number(&again[1]));
    viewer.expect_silence();
    // The track goes on by other ports, and what is sent again of it where it went.
    let [rtp, rtcp] = free_ports();
    viewer.set_up_by("RTP/AVPF", 1, rtp, rtcp);
    mirrorball.expect_logged("a session goes on in another way", 1);
    viewer.media.swap_remove(0);
    source.send(5);
    viewer.expect_packets(&source, 40..45);
    viewer.send_rtcp(0, &nack(OWN_SSRC, source.ssrc, &[(sequence(&source, 7), 0)]));
    let again = viewer.packet_within(1, Duration::from_secs(20)).expect("what it has lost");
    assert_eq!(again[12..14], source.packet(7)[2..4]);
    assert_eq!(viewer.request("PLAY").expect(200).header("RTP-Info"), None, "it plays as it did");
    mirrorball.expect_metric("mirrorball_channel_subscribers", &[], 1.0);
    // Torn down by itself it leaves the track as it is.
    let (url, session) = (format!("{}/rtxID=1", viewer.url), viewer.session.clone());
    viewer.connection.request("TEARDOWN", &url, &[("Session", &session)]).expect(200);
    viewer.send_rtcp(0, &nack(OWN_SSRC, source.ssrc, &[(sequence(&source, 9), 0)]));
    viewer.expect_packets(&source, 9..10);
    viewer.expect_silence();
    viewer.teardown();
}

#[test]
fn a_session_of_its_own_is_over_udp_beside_its_track_and_for_whom_it_is_offered() {
    let source = Source::new();
    let offer = "offer_repair = \"rtx-session\"";
    let mirrorball = Setup::new()
        .channel("news", source.group)
        .channel_line(offer)
        .channel("other", Group::fresh())
        .start();
    let mut viewer = viewer_with_rtx_session(&mirrorball);
    let (url, session) = (viewer.url.clone(), viewer.session.clone());
    let mut ask = |method: &str, url: &str, transport: &str| {
        let headers = [("Transport", transport), ("Session", session.as_str())];
        viewer.connection.request(method, url, &headers).status
    };
    let (rtx, udp) = (format!("{url}/rtxID=1"), "RTP/AVPF;unicast;client_port=41000-41001");
    assert_eq!(ask("SETUP", &rtx, "RTP/AVP/TCP;unicast;interleaved=0-1"), 461);
    assert_eq!(ask("SETUP", &rtx, "RTP/AVP;multicast"), 461);
    assert_eq!(ask("SETUP", &format!("{url}/rtxID=2"), udp), 404);
    assert_eq!(ask("PAUSE", &rtx, udp), 460, "it goes with the whole");
    let other = mirrorball.url("other");
    assert_eq!(ask("SETUP", &format!("{other}/rtxID=1"), udp), 404, "it is not offered");
    let both = format!("{udp},RTP/AVP/TCP;unicast;interleaved=0-1");
    assert_eq!(ask("SETUP", &rtx, &both), 200, "the one that is served");
    assert_eq!(ask("TEARDOWN", &url, udp), 200);
    assert_eq!(ask("SETUP", &rtx, udp), 454, "beside nothing");
    // By the connection nothing is lost.
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Tcp);
    let session = viewer.session.clone();
    let headers = [("Transport", udp), ("Session", session.as_str())];
    viewer.connection.request("SETUP", &rtx, &headers).expect(455);
}

#[test]
fn an_edge_that_pulls_sets_up_no_session_of_its_own() {
    let mut source = Source::new();
    let offer = "offer_repair = \"rtx-session\"";
    let upper = Setup::new().channel("news", source.group).channel_line(offer).start();
    let lower = Setup::new().channel_by_route("news", &upper.url("news")).start();
    let mut viewer = Viewer::playing(&lower, "news", Over::Udp);
    source.send(20);
    viewer.expect_packets(&source, 0..20);
    let url = viewer.url.clone();
    let described = viewer.connection.request("DESCRIBE", &url, &[]).expect(200).body;
    assert!(described.matches("m=").count() == 1 && !described.contains("rtx"), "{described}");
}

#[test]
fn who_is_known_is_what_the_operator_says() {
    let source = Source::new();
    let agents = "repair_agents = [\"Set top/2 originals\", \"Set top/ rtx\"]";
    let mirrorball = Setup::new().rtsp(agents).channel("news", source.group).start();
    let mut viewer = Viewer::of(&mirrorball, "news");
    let url = viewer.url.clone();
    let mut offered = |agent| {
        let reply = viewer.connection.request("DESCRIBE", &url, &[("User-Agent", agent)]).expect(200);
        ["RTP/AVPF", " rtx/90000"].map(|word| reply.body.contains(word))
    };
    assert_eq!(offered("Set top/2.7"), [true, false]);
    assert_eq!(offered("Set top/3"), [true, true]);
    assert_eq!(
        [offered("GStreamer/1.26.0"), offered("Lavf60.1")],
        [[false; 2]; 2],
        "they are not in the list"
    );
}

#[test]
fn who_the_viewer_is_stays_known_through_a_pause_and_by_another_way() {
    let (mut source, mirrorball) = one_channel();
    let mut viewer = viewer_with(&mirrorball, &mut source, 5);
    let ssrc = source.ssrc;
    viewer.report_on(ssrc);
    mirrorball.expect_metric("mirrorball_rtcp_reports_total", &[], 1.0);
    for (is_pause, last) in [(true, 9), (false, 14)] {
        if is_pause {
            viewer.request("PAUSE").expect(200);
            viewer.play();
        } else {
            change_way(&mirrorball, &mut viewer);
        }
        source.send(5);
        while viewer.stamp().number < last {}
        let wanted = sequence(&source, last - 1);
        viewer.send_rtcp(0, &nack(OWN_SSRC + 1, ssrc, &[(wanted, 0)]));
        viewer.expect_silence();
        viewer.send_rtcp(0, &nack(OWN_SSRC, ssrc, &[(wanted, 0)]));
        viewer.expect_packets(&source, last - 1..last);
    }
    mirrorball.expect_metric(
        "mirrorball_repair_refused_total",
        &[("channel", "news"), ("reason", "ssrc")],
        2.0,
    );
    expect_counted(&mirrorball, "sent", 2.0);
}

#[test]
fn what_came_by_the_way_before_may_be_asked_for_and_what_came_before_the_viewer_may_not() {
    let (mut source, mirrorball) = one_channel();
    let mut first = viewer_with(&mirrorball, &mut source, 10);
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Tcp);
    source.send(10);
    while viewer.stamp().number < 19 {}
    change_way(&mirrorball, &mut viewer);
    source.send(5);
    viewer.expect_packets(&source, 20..25);
    viewer.send_rtcp(0, &nack(OWN_SSRC, source.ssrc, &[(sequence(&source, 7), 0)]));
    viewer.expect_silence();
    viewer.send_rtcp(0, &nack(OWN_SSRC, source.ssrc, &[(sequence(&source, 17), 0)]));
    viewer.expect_packets(&source, 17..18);
    assert_eq!(counted(&mirrorball, "not_held"), 1.0);
    expect_counted(&mirrorball, "sent", 1.0);
    first.expect_packets(&source, 10..25);
}

#[test]
fn another_setup_at_the_same_ports_changes_how_what_is_lost_comes() {
    let (mut source, mirrorball) = one_channel();
    let mut viewer = Viewer::of(&mirrorball, "news");
    viewer.agent = Some("GStreamer/1.26.0");
    let [rtp, rtcp] = [(); 2].map(|()| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port"));
    viewer.set_up_at(1, rtp, rtcp);
    viewer.play();
    source.send(10);
    viewer.expect_packets(&source, 0..10);
    let as_it_was = viewer.transport();
    for (number, (profile, payload_type)) in (3..).zip([("RTP/AVP", 33), ("RTP/AVPF", 96), ("RTP/AVP", 33)]) {
        let granted = viewer.ask_for(1, &as_it_was.replace("RTP/AVP", profile));
        let port = viewer.server_rtp().port().to_string();
        assert!(granted.contains(&port), "the same ports of ours: {granted}");
        viewer.send_rtcp(0, &nack(OWN_SSRC, source.ssrc, &[(sequence(&source, number), 0)]));
        assert_eq!(viewer.packet()[1] & 0x7f, payload_type, "{profile}");
    }
    viewer.expect_silence();
}

/// A viewer that loses some of what comes, repairs included: it asks half a round trip after it has found a gap, and again where
/// nothing came of it.
#[test]
fn over_a_lossy_way_nothing_stays_lost() {
    let seconds = if is_thorough() { 60 } else { 4 };
    for percent in [1, 5] {
        let source = Source::new();
        let mirrorball =
            Setup::new().channel("news", source.group).channel_line("coalesce = \"0ms\"").start();
        let beam = source.beam(400);
        let mut viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
        let mut dice = 0x5eed_u32;
        let mut is_lost = || {
            dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (dice >> 16) % 100 < percent
        };
        // By number: when to ask for it next.
        let mut missing = BTreeMap::<u64, Instant>::new();
        let mut asked = BTreeMap::<u64, Instant>::new();
        let (mut next, mut repaired, mut took) = (None::<Stamp>, 0, Vec::new());
        let began = clock::now();
        while began.elapsed() < Duration::from_secs(seconds) || !missing.is_empty() {
            assert!(began.elapsed() < Duration::from_secs(seconds + 5), "not repaired: {missing:?}");
            let stamp = viewer.stamp();
            let now = clock::now();
            if let Some(at) = asked.remove(&stamp.number) {
                took.push(now.saturating_duration_since(at));
            }
            let is_over = began.elapsed() >= Duration::from_secs(seconds);
            let may_be_lost = !is_over || missing.contains_key(&stamp.number);
            let lost = is_lost() && may_be_lost;
            let newest = next.map_or(stamp.number, |newest| newest.number);
            if !lost && missing.remove(&stamp.number).is_some() {
                repaired += 1;
            } else if !lost && stamp.number >= newest {
                let gap = if next.is_some() { newest + 1..stamp.number } else { 0..0 };
                missing.extend(gap.map(|number| (number, now + ROUND_TRIP / 2)));
                next = Some(stamp);
            }
            let Some(newest) = next else { continue };
            for (number, at) in missing.iter_mut().filter(|(_, at)| **at <= now) {
                let wanted = newest.sequence.wrapping_sub((newest.number - number) as u16);
                viewer.send_rtcp(0, &nack(OWN_SSRC, newest.ssrc, &[(wanted, 0)]));
                asked.insert(*number, now);
                *at = now + ROUND_TRIP * 3 / 2;
            }
        }
        assert!(repaired > 0);
        took.sort_unstable();
        let p99 = took[(took.len() - 1) * 99 / 100];
        say(&format!("{percent} % lost: {repaired} repaired, none left, p99 {p99:?} from NACK to repair"));
        assert!(p99 <= SOON, "{p99:?}");
        assert_eq!(counted(&mirrorball, "not_held"), 0.0);
        drop(beam);
    }
}

const PLAYERS: Needs =
    Needs { programs: &["ip", "nft", "ffmpeg", "gst-launch-1.0"], route: true, ipv6: false };

#[test]
fn gstreamer_has_all_that_it_lost_sent_again() {
    in_a_network_of_its_own("gstreamer_has_all_that_it_lost_sent_again", &PLAYERS, || {
        for percent in [1, 5] {
            let far = FarAway::with(percent, 60, |url, file| {
                let take = format!("rtspsrc location={url} protocols=udp latency=500 do-retransmission=true");
                let mut player = Command::new("gst-launch-1.0");
                player.arg("-q").args(take.split(' '));
                player.args(["!", "rtpmp2tdepay", "!", "filesink", &format!("location={}", file.display())]);
                player
            });
            let (packets, gaps) = packets_and_gaps(&far.written);
            far.tell("GStreamer", &format!("{packets} TS packets, {gaps} gaps"));
            assert!(packets > 1000 && far.sent > 0.0, "{packets} TS packets, {} sent again", far.sent);
            assert_eq!(gaps, 0, "it asks again for what did not come");
        }
    });
}

/// It asks each 200 ms at most, for 17 packets, and of itself waits for 100 ms alone.
#[test]
fn ffmpeg_has_some_of_what_it_lost_sent_again() {
    in_a_network_of_its_own("ffmpeg_has_some_of_what_it_lost_sent_again", &PLAYERS, || {
        for (percent, patience_us) in [(1, "100000"), (1, "500000"), (5, "500000")] {
            let far = FarAway::with(percent, 20, |url, file| {
                let mut player = Command::new("ffmpeg");
                player.args(["-nostdin", "-hide_banner", "-nostats", "-y", "-rtsp_transport", "udp"]);
                player.args(["-max_delay", patience_us, "-i", url, "-map", "0", "-c", "copy"]);
                player.args(["-f", "mpegts"]).arg(file);
                player
            });
            let missed = far.told.split("RTP: missed ").skip(1);
            let missed: f64 = missed.filter_map(|rest| rest.split(' ').next()?.parse::<f64>().ok()).sum();
            far.tell(&format!("ffmpeg that waits for {patience_us} us"), &format!("{missed} left"));
            assert!(far.sent > 0.0 && missed < far.lost, "{missed} of {} are left: {}", far.lost, far.told);
        }
    });
}

/// What a player made of a stream of 6 Mb/s that came to it over a way that loses packets, there and back in [`ROUND_TRIP`].
struct FarAway {
    percent: u32,
    /// What it has written, and what it has said.
    written: Vec<u8>,
    told: String,
    lost: f64,
    asked: f64,
    sent: f64,
}

impl FarAway {
    fn with(percent: u32, seconds: u64, player: impl FnOnce(&str, &Path) -> Command + Send) -> Self {
        let (group, directory) = (Group::fresh(), TempDir::new().expect("a directory"));
        let mirrorball = Setup::new().udp_ports("6970-6971").channel("news", group).start();
        let detour = Detour::to(&mirrorball, 6970, ROUND_TRIP / 2);
        let mut send = ffmpeg(&["-re", "-stream_loop", "-1", "-i"]);
        let to = format!("rtp://{}?pkt_size=1328&ttl=1", group.0);
        send.arg(film(&directory)).args(["-c", "copy", "-muxrate", "6M", "-f", "rtp_mpegts", &to]);
        let _sending = Sending(send.stderr(Stdio::null()).spawn().expect("ffmpeg starts"));
        mirrorball.expect_metric("mirrorball_channel_silent", &[("channel", "news")], 0.0);
        let (file, said) = (directory.path().join("written.ts"), directory.path().join("said"));
        let url = mirrorball.url("news");
        let lost = detour.far.within(|| {
            lose(6970, percent);
            let mut player = player(&url, &file);
            player.stdout(Stdio::null()).stderr(File::create(&said).expect("a file"));
            let mut player = player.spawn().expect("it runs");
            thread::sleep(Duration::from_secs(if is_thorough() { seconds } else { 8 }));
            player.kill().and_then(|()| player.wait()).expect("it ends");
            lost() as f64
        });
        let told = String::from_utf8_lossy(&fs::read(said).expect("what it has said")).into_owned();
        let (asked, sent) = (counted(&mirrorball, "asked"), counted(&mirrorball, "sent"));
        Self { percent, written: fs::read(file).expect("what it has written"), told, lost, asked, sent }
    }

    fn tell(&self, player: &str, what: &str) {
        let Self { percent, lost, asked, sent, .. } = self;
        say(&format!("{player}, {percent} %: {lost} lost, {asked} asked for, {sent} sent again, {what}"));
    }
}

/// Packets of a transport stream, and gaps in their continuity.
fn packets_and_gaps(stream: &[u8]) -> (usize, usize) {
    let (mut last, mut gaps) = (BTreeMap::new(), 0);
    let packets = stream.chunks_exact(188).filter_map(TsPacket::read);
    let packets = packets.inspect(|packet| {
        if packet.payload.is_some() {
            let before = last.insert(packet.pid, packet.continuity);
            gaps += usize::from(before.is_some_and(|before| packet.continuity != (before + 1) % 16));
        }
    });
    (packets.count(), gaps)
}
