//! What is made of datagrams that come at known times.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::hearing::{Hearing, Verdict};
use super::plan::{ListenSource, Plan};
use super::survey::Survey;

const FROM: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)), 4000);

fn hearing(source: &str) -> Hearing {
    let source: ListenSource = source.parse().expect("a source");
    let plan = Plan::new(source, None, Duration::from_secs(1)).expect("a plan");
    let description = plan.tracks().expect("tracks").remove(0);
    let feed = description.feeds[0].clone();
    Hearing::of(description, feed)
}

/// A packet of a PID with a payload that counts so.
fn packet(pid: u16, count: u8) -> Vec<u8> {
    let [high, low] = pid.to_be_bytes();
    let mut packet = vec![0x47, high, low, 0x10 | count & 0xf];
    packet.resize(188, 0);
    packet
}

fn rtp(payload_type: u8, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let [high, low] = sequence.to_be_bytes();
    [&[0x80, payload_type, high, low, 0, 0, 0, 1, 0, 0, 0, 9][..], payload].concat()
}

fn errors(counts: &[u8]) -> u64 {
    let mut survey = Survey::default();
    counts.iter().for_each(|count| survey.take(&packet(256, *count)));
    survey.sum(|pid| pid.continuity_errors)
}

#[test]
fn a_count_that_does_not_go_on_is_an_error_and_one_repeat_is_none() {
    assert_eq!(errors(&[14, 15, 0, 1]), 0);
    assert_eq!(errors(&[1, 2, 2, 3]), 0, "once more");
    assert_eq!(errors(&[1, 2, 2, 2, 3]), 1, "and once too often");
    assert_eq!(errors(&[1, 2, 4, 5, 9]), 2);
}

#[test]
fn a_source_is_what_it_says_or_something_else() {
    let ts = packet(256, 0).repeat(7);
    for (source, datagram, verdict, looks) in [
        ("rtp://239.9.9.1:5004", rtp(33, 1, &ts), Verdict::AsSaid, ""),
        ("udp://239.9.9.1:5004", ts.clone(), Verdict::AsSaid, ""),
        ("auto://239.9.9.1:5004", ts.clone(), Verdict::AsSaid, ""),
        ("auto://239.9.9.1:5004", rtp(33, 1, &ts), Verdict::AsSaid, ""),
        ("rtp://239.9.9.1:5004", ts.clone(), Verdict::SomethingElse, "write udp:// in place of rtp://"),
        ("udp://239.9.9.1:5004", rtp(33, 1, &ts), Verdict::SomethingElse, "write rtp:// in place of udp://"),
        ("rtp://239.9.9.1:5004", rtp(96, 1, &ts), Verdict::SomethingElse, "RTP of payload type 96"),
        ("rtp://239.9.9.1:5004", rtp(33, 1, b"sound"), Verdict::SomethingElse, "no transport stream in it"),
        ("auto://239.9.9.1:5004", b"GET /".to_vec(), Verdict::SomethingElse, "no RTP: "),
    ] {
        let mut hearing = hearing(source);
        assert_eq!(hearing.verdict(), Verdict::Nothing);
        hearing.take(&datagram, FROM, Duration::ZERO);
        assert_eq!(hearing.verdict(), verdict, "{source} {looks}");
        let told: Vec<_> = hearing.senders[0].1.not_taken.keys().cloned().collect();
        assert!(told.is_empty() == looks.is_empty() && told.concat().contains(looks), "{told:?}");
    }
}

#[test]
fn each_second_has_its_rate() {
    let mut hearing = hearing("udp://239.9.9.1:5004");
    for (ms, packets) in [(0, 1), (500, 1), (1000, 4), (2500, 2)] {
        hearing.take(&packet(256, 0).repeat(packets), FROM, Duration::from_millis(ms));
    }
    let rate = hearing.senders[0].1.bit_rate(Duration::from_millis(2600));
    let bits = 188.0 * 8.0;
    assert_eq!(rate.extremes, Some((2.0 * bits, 4.0 * bits)), "the last second is no whole one");
    assert!((rate.mean - 8.0 * bits / 2.6).abs() < 1.0, "{rate:?}");
    assert_eq!(hearing.senders[0].1.bit_rate(Duration::from_millis(900)).extremes, None);
}

#[test]
fn whoever_sends_what_is_kept_is_bounded() {
    let mut hearing = hearing("rtp://239.9.9.1:5004");
    for number in 0..2000_u16 {
        let from = SocketAddr::new(FROM.ip(), 1000 + number % 100);
        let mut datagram = rtp(33, number, &packet(number, 0));
        datagram[8..10].copy_from_slice(&number.to_be_bytes());
        hearing.take(&datagram, from, Duration::ZERO);
        hearing.take(&packet(number, 0), FROM, Duration::ZERO);
        let [high, low] = number.to_be_bytes();
        hearing.control.take(&[0x81, 202, 0, 3, high, low, 0, 9, 1, 3, b'c', 0x1b, b'm', 0, 0, 0]);
    }
    assert_eq!(hearing.senders.len(), 16);
    assert!(hearing.of_more_senders > 0);
    let first = &hearing.senders[0].1;
    assert!(hearing.senders.iter().all(|(_, sender)| sender.streams.len() <= 8));
    assert!(first.of_more_ssrcs > 0);
    let bare = &hearing.senders[1].1;
    assert!(bare.survey.pids.len() <= 512 && bare.survey.of_more_pids > 0, "{}", bare.survey.pids.len());
    assert_eq!(hearing.control.names.len(), 16);
    assert!(hearing.control.names.values().all(|name| name == "c?m"), "it is legible");
}
