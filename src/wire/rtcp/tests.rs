//! What is read of compound packets, what is passed on, and what we write is read back.

use super::*;
use crate::wire::fuzz;
use proptest::prelude::*;
use rtcp_types::prelude::*;
use rtcp_types::{App, Bye, Compound, ReceiverReport, ReportBlock, Sdes, SdesChunk, SdesItem, SenderReport};

use super::feedback::MAX_REPORTS;

const SSRC: u32 = 0xcafe_f00d;

fn write(packet: &impl RtcpPacketWriter) -> Vec<u8> {
    let mut bytes = vec![0; packet.calculate_size().expect("a valid packet")];
    packet.write_into_unchecked(&mut bytes);
    bytes
}

fn sender_report() -> Vec<u8> {
    write(&SenderReport::builder(SSRC).ntp_timestamp(0x0123_4567_89ab_cdef).rtp_timestamp(90_000))
}

fn description() -> Vec<u8> {
    let name = SdesItem::builder(SdesItem::CNAME, "source");
    write(&Sdes::builder().add_chunk(SdesChunk::builder(SSRC).add_item(name)))
}

fn bye() -> Vec<u8> {
    write(&Bye::builder().add_source(SSRC))
}

const TIME: SenderTime =
    SenderTime { ssrc: SSRC, ntp_timestamp: 0x0123_4567_89ab_cdef, rtp_timestamp: 90_000 };

#[test]
fn a_senders_report_passes_whole() {
    let datagram = [sender_report(), description()].concat();
    let passed = reflectable(&datagram).expect("valid").expect("something to pass");
    assert_eq!(passed, Reflectable { packet: &datagram, sender: Some(TIME) });
}

#[test]
fn a_bye_and_what_follows_it_stay_here() {
    let datagram = [sender_report(), description(), bye(), description()].concat();
    let passed = reflectable(&datagram).expect("valid").expect("something to pass");
    assert_eq!(passed.packet, [sender_report(), description()].concat());
    assert_eq!(passed.sender, Some(TIME));
    assert_eq!(reflectable(&bye()), Ok(None));
}

#[test]
fn reports_say_the_same_of_a_stream_under_another_name() {
    let report = SenderReport::builder(SSRC).rtp_timestamp(u32::MAX).packet_count(9).octet_count(900);
    let names = |own| {
        let other = SdesChunk::builder(77).add_item(SdesItem::builder(SdesItem::CNAME, "other"));
        let own = SdesChunk::builder(own).add_item(SdesItem::builder(SdesItem::CNAME, "sources"));
        write(&Sdes::builder().add_chunk(other).add_chunk(own))
    };
    let datagram = [write(&report), names(SSRC)].concat();
    assert_eq!(counts(&datagram), Some(Counts { packets: 9, octets: 900 }));
    let sent = Counts { packets: 5, octets: 500 };
    let renamed = Renamed { from: SSRC, to: 6, timestamp_shift: 11, counts: Some(sent) };
    let report = SenderReport::builder(6).rtp_timestamp(10).packet_count(5).octet_count(500);
    assert_eq!(rename(&datagram, &renamed), [write(&report), names(6)].concat());
    let of_another = [write(&SenderReport::builder(5).rtp_timestamp(3)), description()].concat();
    let stays = rename(&of_another, &Renamed { from: 4, ..renamed });
    assert_eq!(stays, of_another);
    assert_eq!(counts(&description()), None);
}

#[test]
fn a_receivers_report_is_read_back() {
    for cumulative_lost in [0, 7, -7, 0x7f_ffff, -0x80_0000] {
        let report = Report {
            ssrc: SSRC,
            fraction_lost: 255,
            cumulative_lost,
            extended_highest_sequence: 0x0001_ffff,
            jitter: 9,
            last_sender_report: 0x4567_89ab,
            delay_since_last_sender_report: 65_536,
        };
        let packet = receiver_report(5, "viewer@home", Some(&report));
        let expected = Feedback { sender_ssrc: Some(5), reports: vec![report], goodbyes: vec![] };
        assert_eq!(feedback(&packet), Ok(expected));
    }
    let far = Report { cumulative_lost: i32::MAX, ..Report::default() };
    let read = feedback(&receiver_report(5, &"n".repeat(300), Some(&far))).expect("well formed");
    assert_eq!(read.reports[0].cumulative_lost, 0x7f_ffff, "more than 24 bits is capped");
}

#[test]
fn a_receiver_report_may_come_first_and_gives_no_time() {
    let datagram = [write(&ReceiverReport::builder(SSRC)), description()].concat();
    let passed = reflectable(&datagram).expect("valid").expect("something to pass");
    assert_eq!(passed, Reflectable { packet: &datagram, sender: None });
}

#[test]
fn refusals_of_a_source_have_their_reasons() {
    let mut padded_first = [sender_report(), description()].concat();
    padded_first[0] |= 0x20;
    let mut truncated = sender_report();
    truncated.pop();
    let mut miscounted = sender_report();
    miscounted[0] |= 1;
    for (datagram, reason) in [
        (description(), "start"),
        (padded_first, "padding"),
        (truncated, "short"),
        (miscounted, "malformed"),
        (vec![], "short"),
        (vec![0x80, 33, 0, 0], "type"),
        (vec![0x40, 200, 0, 0], "version"),
    ] {
        assert_eq!(reflectable(&datagram).expect_err(reason).reason(), reason);
    }
}

#[test]
fn a_subscribers_report_is_read() {
    let block = ReportBlock::builder(SSRC)
        .fraction_lost(64)
        .cumulative_lost(0x00ff_fffe)
        .extended_sequence_number(0x0002_0001)
        .interarrival_jitter(123)
        .last_sender_report_timestamp(7)
        .delay_since_last_sender_report_timestamp(8);
    let datagram = write(&ReceiverReport::builder(42).add_report_block(block));
    let said = feedback(&datagram).expect("valid");
    let report = Report {
        ssrc: SSRC,
        fraction_lost: 64,
        cumulative_lost: -2,
        extended_highest_sequence: 0x0002_0001,
        jitter: 123,
        last_sender_report: 7,
        delay_since_last_sender_report: 8,
    };
    assert_eq!(said, Feedback { sender_ssrc: Some(42), reports: vec![report], goodbyes: vec![] });
}

#[test]
fn unknown_and_mangled_extras_are_passed_over() {
    let mangled_nack = [0x9f, 205, 0, 1, 1, 2, 3, 4];
    let extended_report = [0x80, 207, 0, 2, 0, 0, 0, 1, 99, 0, 0xff, 0xff];
    let datagram = [
        write(&ReceiverReport::builder(42)),
        write(&App::builder(42, "live")),
        mangled_nack.to_vec(),
        extended_report.to_vec(),
        bye(),
    ]
    .concat();
    let said = feedback(&datagram).expect("valid");
    assert_eq!(said, Feedback { sender_ssrc: Some(42), reports: vec![], goodbyes: vec![SSRC] });
}

#[test]
fn whoever_says_anything_says_who_it_is() {
    let picture_lost = [0x81, 206, 0, 2, 0, 0, 0, 9, 0xca, 0xfe, 0xf0, 0x0d];
    assert_eq!(feedback(&picture_lost).expect("valid").sender_ssrc, Some(9));
    assert_eq!(feedback(&write(&App::builder(8, "live"))).expect("valid").sender_ssrc, Some(8));
    assert_eq!(feedback(&bye()).expect("valid").sender_ssrc, None);
    assert_eq!(feedback(&[0x80, 205, 0, 0]).expect("valid").sender_ssrc, None, "too short to say so");
}

#[test]
fn reports_are_bounded() {
    let mut report = ReceiverReport::builder(42);
    for ssrc in 0..20 {
        report = report.add_report_block(ReportBlock::builder(ssrc));
    }
    assert_eq!(feedback(&write(&report).repeat(10)).expect("valid").reports.len(), MAX_REPORTS);
    let all_leave = (0..31).fold(Bye::builder(), |bye, ssrc| bye.add_source(ssrc));
    assert_eq!(feedback(&write(&all_leave).repeat(10)).expect("valid").goodbyes.len(), 31);
}

#[test]
fn our_goodbye_is_a_compound_packet_that_others_understand() {
    for reason in ["", "shutting down", &"ü".repeat(200)] {
        let packet = goodbye(SSRC, reason);
        let parts: Vec<_> = Compound::parse(&packet).expect("lengths").collect();
        assert!(matches!(&parts[0], Ok(rtcp_types::Packet::Rr(report)) if report.ssrc() == SSRC));
        let Ok(rtcp_types::Packet::Bye(bye)) = &parts[1] else { panic!("no BYE in {parts:?}") };
        assert_eq!(bye.ssrcs().collect::<Vec<_>>(), [SSRC]);
        assert_eq!(feedback(&packet).expect("valid").goodbyes, [SSRC]);
    }
}

#[test]
fn a_source_names_its_streams() {
    let datagram = [sender_report(), description()].concat();
    let names = vec![(SSRC, "source".to_owned())];
    assert_eq!(source_says(&datagram), Ok(SourceSays { sender_reports: 1, is_goodbye: false, names }));
    assert!(source_says(&[0x81, 203, 0, 1, 0, 0, 0, 9]).is_ok_and(|said| said.is_goodbye));
    assert_eq!(source_says(b"GET /"), Err(NotRtcp::Version));
    let cut = [0x81, 202, 0, 2, 0, 0, 0, 9, 1, 200, 0, 0];
    assert_eq!(source_says(&cut), Ok(SourceSays::default()), "a name that is longer than its packet");
}

proptest! {
    #[test]
    fn hostile_bytes_never_panic(datagram in prop::collection::vec(any::<u8>(), 0..200)) {
        fuzz::rtcp::exercise(&datagram);
    }

    /// Well-formed outside, anything inside.
    #[test]
    fn hostile_packets_never_panic(
        packets in prop::collection::vec((0x80..=0xbfu8, 198..=210u8, prop::collection::vec(any::<u32>(), 0..20)), 0..5),
    ) {
        let mut datagram = Vec::new();
        for (first, packet_type, words) in packets {
            datagram.extend([first, packet_type, 0, words.len() as u8]);
            datagram.extend(words.iter().flat_map(|word| word.to_be_bytes()));
        }
        fuzz::rtcp::exercise(&datagram);
    }
}
