//! SETUP of a track that plays (RFC 2326 section 10.4): its packets go on by another way, and none is lost or comes twice.

use std::time::Duration;

use crate::conversation::{one_channel, two_tracks};
use crate::vocabulary::{
    Crowd, Over, Setup, Source, Stamp, Tally, Viewer, bye, passes, report, sender_report,
};

/// Long enough for what is under way.
const SOON: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(20);
const RATE: u64 = 1000;

/// The numbers of the packets that come by a medium: until so many have come, or none comes any more.
fn numbers(viewer: &mut Viewer, medium: usize, most: usize, patience: Duration) -> Vec<u64> {
    let packets = std::iter::from_fn(|| viewer.packet_within(medium, patience)).take(most);
    packets.map(|packet| Stamp::read(&packet).expect("a whole packet of a source").number).collect()
}

fn expect_one_after_the_other(numbers: &[u64], what: &str) {
    let broken = numbers.windows(2).find(|pair| pair[0] + 1 != pair[1]);
    assert_eq!(broken, None, "{what}");
}

#[test]
fn packets_change_over_between_udp_and_the_connection_and_none_is_lost_or_comes_twice() {
    change_over(Over::Udp, |viewer, round| viewer.set_up(1, [Over::Tcp, Over::Udp][round % 2]));
}

#[test]
fn packets_change_over_to_other_ports_and_none_is_lost_or_comes_twice() {
    change_over(Over::Udp, |viewer, _| viewer.set_up(1, Over::Udp));
}

#[test]
fn packets_change_over_to_other_channels_and_none_is_lost_or_comes_twice() {
    change_over(Over::Tcp, |viewer, round| {
        let channel = 10 + 2 * round;
        let transport = format!("RTP/AVP/TCP;unicast;interleaved={channel}-{}", channel + 1);
        viewer.set_up_interleaved(1, &transport);
    });
}

#[test]
fn packets_change_over_to_channels_that_were_its_own_and_none_is_lost_or_comes_twice() {
    change_over(Over::Tcp, |viewer, round| {
        let channels = ["1-0", "0-1", "1-2", "2-3", "3-2", "2-1"][round];
        viewer.set_up_interleaved(1, &format!("RTP/AVP/TCP;unicast;interleaved={channels}"));
    });
}

fn change_over(from: Over, change: impl Fn(&mut Viewer, usize)) {
    let (source, mirrorball) = one_channel();
    let programme = source.programme;
    let beam = source.beam(RATE);
    let mut viewer = Viewer::playing(&mirrorball, "news", from);
    // Others are served by the same lanes, and notice nothing.
    let others = [Over::Udp, Over::Tcp].map(|over| (Viewer::playing(&mirrorball, "news", over), programme));
    let others = Crowd::of(others);
    for round in 0..6 {
        let mut came = numbers(&mut viewer, 0, 40, PATIENCE);
        change(&mut viewer, round);
        let by_the_new_way = numbers(&mut viewer, 1, 200, PATIENCE);
        let missing = by_the_new_way[0].saturating_sub(came[came.len() - 1] + 1);
        came.extend(numbers(&mut viewer, 0, missing as usize, PATIENCE));
        came.extend(by_the_new_way);
        let overrun = mirrorball.metric("mirrorball_drops_total", &[("reason", "overrun")]);
        expect_one_after_the_other(&came, &format!("from {from:?}, round {round}, {overrun} overrun"));
        assert_eq!(viewer.packet_within(0, SOON).as_deref().map(Stamp::read), None, "both ways");
        viewer.media.remove(0);
    }
    others.expect_all_past(programme, beam.sent() + 20);
    let by_tcp = if from == Over::Tcp { 2.0 } else { 1.0 };
    mirrorball.expect_metric("mirrorball_channel_subscribers", &[], 3.0);
    mirrorball.expect_metric("mirrorball_channel_subscribers", &[("transport", "tcp")], by_tcp);
    let tallies: Vec<_> = others.disband().into_iter().map(|(_, _, tally)| tally).collect();
    assert!(tallies.iter().all(Tally::is_flawless), "{tallies:?}");
    let told = mirrorball.expect_logged("a session goes on in another way", 6);
    assert!(told.len() == 6 && told[0].contains("channel=\"news\""), "{told:?}");
    beam.stop();
    viewer.teardown();
}

#[test]
fn the_same_again_a_hundred_times_while_it_plays_is_no_gap() {
    for over in [Over::Udp, Over::Tcp] {
        let (source, mirrorball) = one_channel();
        let ssrc = format!(";ssrc={:08X}", source.ssrc);
        let beam = source.beam(RATE);
        let mut viewer = Viewer::playing(&mirrorball, "news", over);
        let mut came = numbers(&mut viewer, 0, 40, PATIENCE);
        let (url, session) = (format!("{}/trackID=1", viewer.url), viewer.session.clone());
        let transport = viewer.transport();
        let mut granted = Vec::new();
        for _ in 0..100 {
            let headers = [("Transport", transport.as_str()), ("Session", &session)];
            let reply = viewer.connection.request("SETUP", &url, &headers).expect(200);
            granted.push(reply.header("Transport").expect("granted").to_owned());
            viewer.request("PLAY").expect(200); // as some players say that they are alive
        }
        granted.dedup();
        assert!(granted.len() == 1 && granted[0].ends_with(&ssrc), "{granted:?}");
        came.extend(numbers(&mut viewer, 0, 400, PATIENCE));
        expect_one_after_the_other(&came, &transport);
        beam.stop();
    }
}

#[test]
fn a_track_is_added_while_another_plays_and_comes_with_the_next_play() {
    for over in [Over::Udp, Over::Tcp] {
        let (mut picture, mut sound) = (Source::new(), Source::new());
        let mirrorball = Setup::new().described("film", &two_tracks(&picture, &sound)).start();
        let mut viewer = Viewer::playing(&mirrorball, "film", over);
        picture.send(5);
        assert_eq!(numbers(&mut viewer, 0, 5, PATIENCE), [0, 1, 2, 3, 4]);
        viewer.set_up(2, over);
        sound.send(3);
        picture.send(3);
        assert_eq!(numbers(&mut viewer, 0, 3, PATIENCE), [5, 6, 7], "the picture goes on");
        assert_eq!(viewer.packet_within(1, SOON), None, "the sound waits for PLAY");
        viewer.play();
        sound.send(3);
        picture.send(3);
        assert_eq!(numbers(&mut viewer, 1, 4, PATIENCE), [2, 3, 4, 5]);
        assert_eq!(numbers(&mut viewer, 0, 3, PATIENCE), [8, 9, 10]);
    }
}

#[test]
fn reports_go_the_way_that_the_packets_go_and_a_goodbye_from_where_they_went_is_none() {
    let (mut source, mirrorball) = one_channel();
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
    source.send(3);
    assert_eq!(numbers(&mut viewer, 0, 3, PATIENCE), [0, 1, 2]);
    viewer.report_on(source.ssrc);
    mirrorball.expect_metric("mirrorball_rtcp_reports_total", &[], 1.0);
    viewer.set_up(1, Over::Tcp);
    let goodbye = [report(0x7e57, &[source.ssrc]), bye(0x7e57)].concat();
    viewer.send_rtcp(0, &goodbye);
    viewer.media.remove(0); // and its ports are closed
    // What comes in the moment after the reply may still go the way before.
    let report_comes = || {
        source.send_rtcp(&sender_report(source.ssrc, 0));
        viewer.rtcp_within(SOON).is_some()
    };
    assert!(passes(PATIENCE, report_comes), "in the connection");
    let mut numbers_of = |count| {
        source.send(count);
        numbers(&mut viewer, 0, count as usize, PATIENCE)
    };
    assert_eq!(numbers_of(3), [3, 4, 5]);
    // The look at closed ports comes four times a second.
    assert!(!passes(Duration::from_millis(900), || mirrorball.metric("mirrorball_sessions", &[]) != 1.0));
    assert_eq!(numbers_of(2), [6, 7]);
}

#[test]
fn who_paused_changes_its_transport_and_plays_by_the_new_one() {
    let (mut source, mirrorball) = one_channel();
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Tcp);
    source.send(2);
    assert_eq!(numbers(&mut viewer, 0, 2, PATIENCE), [0, 1]);
    viewer.request("PAUSE").expect(200);
    viewer.set_up(1, Over::Udp);
    source.send(2);
    viewer.expect_silence();
    viewer.play();
    source.send(2);
    assert_eq!(numbers(&mut viewer, 1, 3, PATIENCE), [3, 4, 5]);
    assert_eq!(viewer.packet_within(0, SOON), None);
}
