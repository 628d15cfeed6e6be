//! Streams that follow each other, and what their reports say.

use super::*;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn packet(ssrc: u32, sequence: u16, timestamp: u32) -> RtpHeader {
    RtpHeader { sequence, timestamp, ssrc, payload_type: 33, marker: false, header_len: 12 }
}

fn sender(ssrc: u32) -> SenderTime {
    SenderTime { ssrc, ntp_timestamp: 1, rtp_timestamp: 2 }
}

#[test]
fn until_the_first_splice_all_is_left_as_it_is() {
    let mut splice = Splice::new(Some(90_000));
    for header in [packet(7, 65_535, 10), packet(7, 0, 20), packet(7, 65_000, 5), packet(8, 9, 9)] {
        assert_eq!(splice.next(&header, 100, false, ms(0)), header);
    }
    assert_eq!(splice.report(Some(sender(99)), None), ReportFate::AsItIs);
}

#[test]
fn a_stream_goes_on_where_the_one_before_ended() {
    let mut splice = Splice::new(Some(90_000));
    splice.next(&packet(7, 65_534, u32::MAX), 100, false, ms(1000));
    splice.next(&packet(7, 65_535, u32::MAX), 100, false, ms(1000));
    let first = splice.next(&packet(8, 500, 1_000_000), 100, true, ms(1120));
    assert_eq!(first, packet(7, 0, 10_799), "120 ms later");
    assert_eq!(splice.next(&packet(8, 501, 1_000_900), 100, false, ms(1130)), packet(7, 1, 11_699));
    assert_eq!(splice.next(&packet(8, 499, 999_100), 100, false, ms(1131)), packet(7, 65_535, 9899), "late");
    let back = splice.next(&packet(7, 77, 5), 100, true, ms(1130));
    assert_eq!(back, packet(7, 2, 11_700), "one tick at least");
}

#[test]
fn a_source_that_begins_anew_after_a_splice_is_spliced_too() {
    let mut splice = Splice::new(None);
    splice.next(&packet(7, 1, 0), 100, false, ms(0));
    splice.next(&packet(8, 100, 0), 100, true, ms(10));
    assert_eq!(splice.next(&packet(9, 5000, 77), 100, false, ms(20)), packet(7, 3, 1800));
    assert_eq!(splice.next(&packet(9, 5001, 78), 100, false, ms(20)), packet(7, 4, 1801));
}

#[test]
fn reports_follow() {
    let mut splice = Splice::new(Some(90_000));
    let (said, sent) = (Counts { packets: 1000, octets: 100_000 }, Counts { packets: 1002, octets: 100_200 });
    splice.next(&packet(7, 1, 0), 100, false, ms(0));
    assert_eq!(splice.report(Some(sender(7)), Some(said)), ReportFate::AsItIs);
    splice.next(&packet(7, 2, 900), 100, false, ms(10));
    splice.next(&packet(8, 70, 40_000), 100, true, ms(20));
    assert_eq!(splice.report(Some(sender(7)), Some(said)), ReportFate::OfAnother);
    let timestamp_shift = 1800_u32.wrapping_sub(40_000);
    let renamed = Renamed { from: 8, to: 7, timestamp_shift, counts: Some(sent) };
    assert_eq!(splice.report(Some(sender(8)), Some(Counts::default())), ReportFate::Renamed(renamed));
}

#[test]
fn a_stream_that_is_numbered_otherwise_goes_on_so_and_so_does_what_follows_it() {
    for is_spliced in [false, true] {
        let mut splice = Splice::new(Some(90_000));
        splice.next(&packet(6, 9, 9), 100, false, ms(990));
        let before = splice.next(&packet(7, 10, 1000), 100, is_spliced, ms(1000));
        let to = packet(5, 0, 70);
        splice.renumber(&Renumbering::from_to(&before, &to));
        assert_eq!(splice.next(&packet(7, 11, 1900), 100, false, ms(1010)), packet(5, 1, 970));
        assert_eq!(splice.next(&packet(8, 500, 4), 100, true, ms(1020)), packet(5, 2, 1870));
        let renamed = splice.report(Some(sender(8)), None);
        assert!(matches!(renamed, ReportFate::Renamed(Renamed { from: 8, to: 5, .. })), "{renamed:?}");
    }
}
