//! Who sends to a group, and to which port: neighbours, two at once, a foreign one, nobody.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::thread;
use std::time::Duration;

use crate::conversation::one_channel;
use crate::vocabulary::{Group, Mirrorball, Over, Setup, Source, Viewer, eventually, passes, sender_report};

const NEWS: [(&str, &str); 1] = [("channel", "news")];

/// So many ports up, in the same group.
fn port_up(group: Group, ports: u16) -> Group {
    Group(SocketAddrV4::new(*group.0.ip(), group.0.port() + ports))
}

fn expect_nothing_refused(mirrorball: &Mirrorball) {
    assert_eq!(mirrorball.metric("mirrorball_drops_total", &[("leg", "in")]), 0.0);
    assert_eq!(mirrorball.metric("mirrorball_channel_refused_total", &[]), 0.0);
    assert_eq!(mirrorball.metric("mirrorball_channel_duplicates_total", &[]), 0.0);
    assert_eq!(mirrorball.lines_logged("not taken"), 0);
}

#[test]
fn where_reports_of_one_channel_come_media_of_the_next_may_too() {
    let own = Group::fresh();
    let apart = [Group::fresh(), Group::fresh(), Group::fresh()];
    let base = apart[0].0.port();
    let apart = [0, 1, 2].map(|n: u16| Group(SocketAddrV4::new(*apart[usize::from(n)].0.ip(), base + n)));
    for groups in [[own, port_up(own, 1), port_up(own, 2)], apart] {
        let mut sources = groups.map(Source::to);
        let names = ["one", "two", "three"];
        let setup =
            names.iter().zip(groups).fold(Setup::new(), |setup, (name, group)| setup.channel(name, group));
        let mirrorball = setup.start();
        let mut viewers = names.map(|name| Viewer::playing(&mirrorball, name, Over::Udp));
        for _ in 0..20 {
            sources.iter_mut().for_each(|source| source.send(2));
        }
        for (viewer, source) in viewers.iter_mut().zip(&sources) {
            viewer.expect_packets(source, 0..40);
            let report = sender_report(source.ssrc, 1000);
            source.send_rtcp(&report);
            assert_eq!(viewer.rtcp(), report);
        }
        viewers.iter_mut().for_each(Viewer::expect_silence);
        mirrorball.expect_metric("mirrorball_channel_packets_total", &[], 120.0);
        expect_nothing_refused(&mirrorball);
    }
}

#[test]
fn a_description_may_put_one_mediums_media_where_the_others_reports_come() {
    let first = Group::fresh();
    let (ip, port) = (first.0.ip(), first.0.port());
    let next = port + 1;
    let sdp = format!(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=RTP on the port after\r\nc=IN IP4 {ip}/16\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 33\r\nm=video {next} RTP/AVP 33\r\n"
    );
    let mut sources = [first, port_up(first, 1)].map(Source::to);
    let mirrorball = Setup::new().described("news", &sdp).start();
    sources.iter_mut().for_each(|source| source.send(10));
    sources.iter().for_each(|source| source.send_rtcp(&sender_report(source.ssrc, 1000)));
    for track in ["1", "2"] {
        let labels = [("channel", "news"), ("track", track)];
        mirrorball.expect_metric("mirrorball_channel_packets_total", &labels, 10.0);
    }
    expect_nothing_refused(&mirrorball);
}

#[test]
fn two_senders_of_one_group_are_told_and_each_ones_loss_is_counted() {
    let (mut first, mirrorball) = one_channel();
    let mut second = Source::from(Ipv4Addr::new(127, 0, 0, 9), first.group);
    second.begin_anew();
    let beat = Duration::from_millis(2);
    for n in 0..1000 {
        first.send(1);
        second.send(1);
        if n % 100 == 50 {
            first.next += 1; // lost on the way
        }
        thread::sleep(beat);
    }
    eventually("it is told", || mirrorball.has_logged("two senders: ").then_some(()));
    assert_eq!(mirrorball.lines_logged("two senders: "), 1);
    for (ssrc, from) in [(first.ssrc, "127.0.0.1"), (second.ssrc, "127.0.0.9")] {
        assert_eq!(mirrorball.lines_logged(&format!("SSRC {ssrc:#010x} from {from}:")), 1);
    }
    assert_eq!(mirrorball.metric("mirrorball_channel_senders", &NEWS), 2.0);
    mirrorball.expect_metric("mirrorball_channel_packets_total", &NEWS, 2000.0);
    assert!((8.0..=10.0).contains(&mirrorball.metric("mirrorball_channel_lost_total", &NEWS)));
    assert_eq!(mirrorball.metric("mirrorball_channel_ssrc_changes_total", &NEWS), 1.0);

    // One stops: so it is told, and a source that begins anew then is no second one.
    mirrorball.expect_metric("mirrorball_channel_senders", &NEWS, 1.0);
    first.send(1);
    eventually("one is left", || mirrorball.has_logged("of two senders one is left").then_some(()));
}

#[test]
fn a_source_that_begins_anew_is_told_as_that() {
    let (mut source, mirrorball) = one_channel();
    source.send(50);
    source.begin_anew();
    let began = passes(Duration::from_secs(20), || {
        source.send(1);
        mirrorball.has_logged("the source began anew: SSRC")
    });
    assert!(began, "told once the first is silent");
    assert_eq!(mirrorball.lines_logged("two senders"), 0);
    assert_eq!(mirrorball.metric("mirrorball_channel_senders", &NEWS), 1.0);
}

#[test]
fn a_channel_that_never_had_a_packet_is_told_once_and_where_it_was_listened_for() {
    let group = Group::source_specific();
    let mut foreign = Source::from(Ipv4Addr::new(127, 0, 0, 8), group);
    let quickly = "silent_after = \"300ms\"";
    let mut heard = Source::new();
    let mirrorball = Setup::new()
        .channel_from("news", &format!("rtp://127.0.0.7@{group}"))
        .channel_line(quickly)
        .channel("heard", heard.group)
        .channel_line(quickly)
        .start();
    heard.send(1);
    foreign.send(1);
    eventually("it is told", || mirrorball.has_logged("nothing has ever come").then_some(()));
    eventually("a silence is told", || mirrorball.has_logged("the source is silent").then_some(()));
    assert!(mirrorball.has_logged("the group is joined on lo"));
    assert!(mirrorball.has_logged("It is taken from source 127.0.0.7 alone"));
    let again = || mirrorball.lines_logged("nothing has ever come") > 1;
    assert!(!passes(Duration::from_secs(1), again), "once, and of the one alone");
    assert_eq!(mirrorball.lines_logged("the source is silent"), 1, "which is another line");
}
