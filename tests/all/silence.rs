//! Streams that stop, are sparse, say nothing or start over, and how each is told.

use std::thread;
use std::time::Duration;

use crate::conversation::one_channel;
use crate::vocabulary::{Mirrorball, Over, Setup, Source, Viewer, eventually, passes};

const NEWS: [(&str, &str); 1] = [("channel", "news")];

fn watched(silent_after: &str) -> (Source, Mirrorball) {
    let source = Source::new();
    let line = format!("silent_after = \"{silent_after}\"");
    let mirrorball = Setup::new().channel("news", source.group).channel_line(&line).start();
    (source, mirrorball)
}

#[test]
fn a_return_is_noticed_by_its_packet() {
    let (mut source, mirrorball) = watched("4s");
    source.send(5);
    mirrorball.expect_metric("mirrorball_channel_silent", &NEWS, 0.0);
    mirrorball.expect_metric("mirrorball_channel_silent", &NEWS, 1.0);
    assert_eq!(mirrorball.lines_logged("the source sends"), 1);
    source.send(1);
    let noticed = || mirrorball.lines_logged("the source sends") == 2;
    assert!(passes(Duration::from_secs(2), noticed), "its packet tells, and not the next look");
    assert_eq!(mirrorball.metric("mirrorball_channel_silent", &NEWS), 0.0);
}

#[test]
fn a_sparse_stream_is_neither_silent_nor_news_between_its_packets() {
    let (mut source, mirrorball) = watched("200ms");
    let beat = Duration::from_millis(800);
    let told =
        || mirrorball.lines_logged("the source sends") + mirrorball.lines_logged("the source is silent");
    // Two of its lulls tell what it is like.
    for _ in 0..3 {
        source.send(1);
        thread::sleep(beat);
    }
    let (told_before, renewed_before) = (told(), mirrorball.metric("mirrorball_group_renewals_total", &[]));
    assert!(told_before <= 3, "one silence at the most");
    for _ in 0..4 {
        source.send(1);
        let silent = || mirrorball.metric("mirrorball_channel_silent", &NEWS) == 1.0;
        assert!(!passes(beat, silent), "it is as it always was");
    }
    assert_eq!(told(), told_before);
    assert_eq!(mirrorball.metric("mirrorball_group_renewals_total", &[]), renewed_before);
    mirrorball.expect_metric("mirrorball_channel_silent", &NEWS, 1.0);
}

#[test]
fn packets_without_payload_are_passed_on_and_are_no_sign_of_life() {
    let (mut source, mirrorball) = watched("500ms");
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
    source.send(1);
    viewer.expect_packets(&source, 0..1);
    let bare = source.packet(1)[..12].to_vec();
    let mut padded = source.packet(2)[..12].to_vec();
    padded[0] |= 0x20;
    padded.extend([0, 0, 0, 4]);
    let mut sent = 0.0;
    eventually("the channel is silent", || {
        source.send_bytes(&bare);
        source.send_bytes(&padded);
        sent += 2.0;
        assert_eq!([viewer.packet(), viewer.packet()], [bare.clone(), padded.clone()]);
        (mirrorball.metric("mirrorball_channel_silent", &NEWS) == 1.0).then_some(())
    });
    mirrorball.expect_metric("mirrorball_channel_empty_total", &NEWS, sent);
    mirrorball.expect_metric("mirrorball_channel_packets_total", &NEWS, sent + 1.0);
    mirrorball.expect_metric("mirrorball_channel_silent", &NEWS, 1.0);
    // The network delivers the group: to leave it and join it again would lose some.
    mirrorball.expect_metric("mirrorball_group_renewals_total", &[], 0.0);
}

#[test]
fn a_source_that_starts_over_under_its_ssrc_is_counted_and_loses_nothing() {
    let (mut source, mirrorball) = one_channel();
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
    source.send(10);
    source.next += 20_000;
    source.send(10);
    viewer.expect_packets(&source, 0..10);
    viewer.expect_packets(&source, 20_010..20_020);
    mirrorball.expect_metric("mirrorball_channel_restarts_total", &NEWS, 1.0);
    mirrorball.expect_metric("mirrorball_channel_lost_total", &NEWS, 0.0);
}

#[test]
fn an_outage_of_seconds_is_counted_as_loss() {
    // As fast as its timestamps say.
    let (source, mirrorball) = watched("30s");
    let beam = source.beam(800);
    let received = || mirrorball.metric("mirrorball_channel_packets_total", &NEWS);
    eventually("it plays for a while", || (received() > 1200.0).then_some(()));
    let mut source = beam.stop();
    thread::sleep(Duration::from_secs(4));
    source.next += 3200;
    source.send(110); // a number is given up once a hundred have followed it
    mirrorball.expect_metric("mirrorball_channel_lost_total", &NEWS, 3200.0);
    mirrorball.expect_metric("mirrorball_channel_restarts_total", &NEWS, 0.0);
}
