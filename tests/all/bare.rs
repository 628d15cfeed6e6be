//! Transport streams that come without RTP: viewers get them in RTP, and not a byte of the stream is another one.

use std::net::UdpSocket;
use std::time::Duration;

use crate::vocabulary::{
    Bare, Group, Mirrorball, Over, Setup, Source, Viewer, datagram, eventually, ts_packets,
};

const PATIENCE: Duration = Duration::from_secs(20);
const NOT_TAKEN: &str = "mirrorball_channel_refused_total";

/// A program whose only channel comes from a group by a scheme.
fn channel_by(scheme: &str) -> (Bare, Mirrorball) {
    let sender = Bare::to(Group::fresh());
    let mirrorball = Setup::new().channel_from("news", &format!("{scheme}://{}", sender.group)).start();
    (sender, mirrorball)
}

fn sequence(packet: &[u8]) -> u16 {
    u16::from_be_bytes([packet[2], packet[3]])
}

#[test]
fn datagrams_of_any_size_come_in_rtp_and_are_what_they_were() {
    let (sender, mirrorball) = channel_by("udp");
    let mut viewers = [Over::Udp, Over::Tcp].map(|over| Viewer::playing(&mirrorball, "news", over));
    let mut with_box = Viewer::of(&mirrorball, "news");
    let (raw, _) = with_box.set_up_raw("MP2T/H2221/UDP;unicast;client_port=PORT");
    with_box.play();
    let sizes = [(1, 188), (7, 188), (3, 188), (7, 188), (6, 204), (1, 204), (47, 188)];
    let datagrams: Vec<_> =
        sizes.into_iter().zip(1..).map(|((count, size), number)| ts_packets(count, size, number)).collect();
    let mut first = None;
    for sent in &datagrams {
        sender.send(sent);
        for viewer in &mut viewers {
            let packet = viewer.packet();
            let ssrc = first.get_or_insert_with(|| packet[8..12].to_vec());
            assert_eq!((packet[0], packet[1], &packet[8..12]), (0x80, 33, &ssrc[..]));
            assert!(packet[12..] == **sent, "{} bytes", sent.len());
        }
        assert!(datagram(&raw, PATIENCE).as_ref() == Some(sent));
    }
    mirrorball.expect_metric("mirrorball_channel_lost_total", &[], 0.0);
}

#[test]
fn sequence_numbers_go_on_and_timestamps_never_go_back() {
    let (sender, mirrorball) = channel_by("udp");
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
    let mut before: Option<(u16, u32)> = None;
    for number in 0..100 {
        sender.send(&ts_packets(7, 188, number));
        let packet = viewer.packet();
        let timestamp = u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]);
        if let Some((sequence_before, timestamp_before)) = before {
            assert_eq!(sequence(&packet), sequence_before.wrapping_add(1));
            assert!(timestamp.wrapping_sub(timestamp_before) < 90_000 * 20);
        }
        before = Some((sequence(&packet), timestamp));
    }
}

#[test]
fn a_source_that_may_be_either_is_taken_as_it_comes() {
    let group = Group::fresh();
    let mirrorball = Setup::new().channel_from("news", &format!("auto://{group}")).start();
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Tcp);
    let mut with_rtp = Source::to(group);
    with_rtp.send(5);
    viewer.expect_packets(&with_rtp, 0..5);
    let sent = ts_packets(7, 188, 1);
    Bare::to(group).send(&sent);
    assert!(viewer.packet()[12..] == sent);
}

#[test]
fn what_is_something_else_than_the_source_says_is_told_once_and_counted() {
    let (bare, mirrorball) = channel_by("rtp");
    let with_rtp = Source::to(Group::fresh());
    let other = Setup::new().channel_from("news", &format!("udp://{}", with_rtp.group)).start();
    for number in 0..20 {
        bare.send(&ts_packets(7, 188, number));
        with_rtp.send_bytes(&with_rtp.packet(number.into()));
    }
    bare.send(&ts_packets(7, 188, 0)[1..]);
    for (program, remedy, reason) in [
        (&mirrorball, "write udp:// in place of rtp://", "version"),
        (&other, "write rtp:// in place of udp://", "ts_length"),
    ] {
        eventually("all is counted", || {
            (program.metric(NOT_TAKEN, &[("reason", reason)]) >= 20.0).then_some(())
        });
        assert_eq!(program.expect_logged("not taken", 1).len(), program.lines_logged(remedy));
    }
}

#[test]
fn what_is_sent_to_an_address_of_this_machine_needs_no_group() {
    let [named, any] = [Group::fresh(), Group::fresh()].map(|group| group.0.port());
    let mirrorball = Setup::new()
        .channel_by_route("named", &format!("udp://127.0.0.1:{named}"))
        .channel_by_route("any", &format!("udp://@:{any}"))
        .channel_by_route("absent", "udp://192.0.2.77:5004")
        .start();
    let mut viewers = ["named", "any"].map(|channel| Viewer::playing(&mirrorball, channel, Over::Udp));
    let sender = UdpSocket::bind("127.0.0.1:0").expect("a port");
    for (number, (address, port)) in [("127.0.0.1", named), ("127.0.0.6", any)].into_iter().enumerate() {
        let sent = ts_packets(7, 188, number as u8);
        sender.send_to(&sent, (address, port)).expect("sent");
        assert!(viewers[number].packet()[12..] == sent);
    }
    mirrorball.expect_logged("no interface is named or addressed \"192.0.2.77\"", 1);
}
