//! Sources that report, stop, and return as another.

use std::thread;
use std::time::Duration;

use crate::conversation::one_channel;
use crate::vocabulary::{Over, Setup, Source, Viewer, bye, sender_report};

#[test]
fn a_sources_reports_reach_the_viewers_and_its_goodbye_does_not() {
    for over in [Over::Udp, Over::Tcp] {
        let (mut source, mirrorball) = one_channel();
        let mut viewer = Viewer::playing(&mirrorball, "news", over);
        source.send(2);
        viewer.expect_packets(&source, 0..2);
        let report = sender_report(source.ssrc, 1000);
        source.send_rtcp(&report);
        assert_eq!(viewer.rtcp(), report);
        // A goodbye behind a report is cut off; one alone is kept back, and the viewer stays.
        let second = sender_report(source.ssrc, 2000);
        source.send_rtcp(&[second.clone(), bye(source.ssrc)].concat());
        assert_eq!(viewer.rtcp(), second);
        source.send_rtcp(&bye(source.ssrc));
        let third = sender_report(source.ssrc, 3000);
        source.send_rtcp(&third);
        assert_eq!(viewer.rtcp(), third);
        source.send(2);
        viewer.expect_packets(&source, 2..4);
    }
}

#[test]
fn a_newcomer_gets_the_newest_report_at_once() {
    for over in [Over::Udp, Over::Tcp] {
        let (mut source, mirrorball) = one_channel();
        let mut first = Viewer::playing(&mirrorball, "news", over);
        source.send(1);
        let report = sender_report(source.ssrc, 1000);
        source.send_rtcp(&report);
        assert_eq!(first.rtcp(), report);
        let mut newcomer = Viewer::playing(&mirrorball, "news", over);
        assert_eq!(newcomer.rtcp(), report, "{over:?}");
    }
}

#[test]
fn an_old_report_keeps_no_newcomer_out() {
    let (mut source, mirrorball) = one_channel();
    let report = sender_report(source.ssrc, 1000);
    let mut first = Viewer::playing(&mirrorball, "news", Over::Udp);
    source.send(1);
    source.send_rtcp(&report);
    assert_eq!(first.rtcp(), report);
    drop(first);
    thread::sleep(Duration::from_millis(400));
    for _ in 0..5 {
        let mut newcomer = Viewer::playing(&mirrorball, "news", Over::Udp);
        assert_eq!(newcomer.rtcp(), report);
        drop(newcomer); // so that the next one is alone again
        thread::sleep(Duration::from_millis(150));
    }
}

#[test]
fn a_source_that_stops_and_returns_as_another_finds_its_viewers_there() {
    let mut source = Source::new();
    let quickly = "silent_after = \"300ms\"";
    let mirrorball = Setup::new().channel("news", source.group).channel_line(quickly).start();
    let mut viewers = [Over::Udp, Over::Tcp].map(|over| Viewer::playing(&mirrorball, "news", over));
    source.send(50);
    viewers.iter_mut().for_each(|viewer| viewer.expect_packets(&source, 0..50));
    mirrorball.expect_metric("mirrorball_channel_silent", &[("channel", "news")], 1.0);
    mirrorball.expect_metric("mirrorball_sessions", &[], 2.0);

    source.begin_anew();
    source.send(50);
    viewers.iter_mut().for_each(|viewer| viewer.expect_packets(&source, 50..100));
    mirrorball.expect_metric("mirrorball_channel_silent", &[("channel", "news")], 0.0);
    mirrorball.expect_metric("mirrorball_channel_ssrc_changes_total", &[("channel", "news")], 1.0);
    mirrorball.expect_metric("mirrorball_channel_lost_total", &[("channel", "news")], 0.0);
    mirrorball.expect_metric("mirrorball_channel_packets_total", &[("channel", "news")], 100.0);
}

#[test]
fn what_a_source_loses_is_counted_and_what_it_sends_is_passed_on() {
    let (mut source, mirrorball) = one_channel();
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
    source.send(10);
    source.next += 3; // lost on the way
    source.send(10);
    source.send_bytes(&source.packet(22)); // and one that comes twice
    viewer.expect_packets(&source, 0..10);
    viewer.expect_packets(&source, 13..23);
    viewer.expect_packets(&source, 22..23);
    source.send(100); // a number is given up once a hundred have followed it
    mirrorball.expect_metric("mirrorball_channel_lost_total", &[("channel", "news")], 3.0);
    mirrorball.expect_metric("mirrorball_channel_duplicates_total", &[("channel", "news")], 1.0);
}

#[test]
fn payload_extensions_and_padding_pass_untouched_and_what_is_no_rtp_does_not_pass() {
    let (source, mirrorball) = one_channel();
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
    let mut extended = vec![0x92, 0x80 | 33, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5];
    extended.extend([0xbe, 0xde, 0, 1, 0x10, 0xff, 0, 0]);
    extended.extend(b"payload of any length");
    let mut padded = vec![0xa0, 33, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3];
    padded.extend([1, 2, 3, 4, 0, 0, 0, 4]);
    source.send_bytes(b"no RTP");
    source.send_bytes(&extended);
    source.send_bytes(&[0x40; 100]);
    let mut repair = extended.clone();
    (repair[1], repair[11]) = (127, 9); // a type that the channel does not have, of another sender
    source.send_bytes(&repair);
    source.send_bytes(&padded);
    assert_eq!(viewer.packet(), extended);
    assert_eq!(viewer.packet(), padded);
    assert_eq!(viewer.packet_within(0, Duration::from_millis(100)), None);
    mirrorball.expect_metric("mirrorball_drops_total", &[("leg", "in")], 3.0);
    let refused = |reason| [("channel", "news"), ("reason", reason)];
    mirrorball.expect_metric("mirrorball_channel_refused_total", &refused("payload_type"), 1.0);
    mirrorball.expect_metric("mirrorball_channel_ssrc_changes_total", &[("channel", "news")], 0.0);
}
