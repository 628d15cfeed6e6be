//! Stories of sources that lose, repeat, overtake and start over.

use super::*;
use proptest::prelude::*;

fn header(sequence: u16) -> RtpHeader {
    RtpHeader { sequence, timestamp: 0, ssrc: 1, payload_type: 33, marker: false, header_len: 12 }
}

/// Feeds the sequence numbers of one source and tells what each was.
fn feed(reception: &mut Reception, sequences: impl IntoIterator<Item = u16>) -> Vec<Arrival> {
    sequences.into_iter().map(|sequence| reception.receive(&header(sequence), Duration::ZERO)).collect()
}

fn counts(reception: &Reception) -> [u64; 4] {
    [reception.packets(), reception.missing(), reception.reordered(), reception.duplicates()]
}

#[test]
fn a_clean_stream_counts_packets_alone() {
    let mut reception = Reception::new(None);
    let whats = feed(&mut reception, 0..1000);
    assert_eq!(whats[0], Arrival::First);
    assert!(whats[1..].iter().all(|what| *what == Arrival::InOrder));
    assert_eq!(counts(&reception), [1000, 0, 0, 0]);
}

#[test]
fn the_wrap_is_in_order_and_counted_as_a_cycle() {
    let mut reception = Reception::new(None);
    let whats = feed(&mut reception, [65534, 65535, 0, 1]);
    assert_eq!(whats[1..], [Arrival::InOrder; 3]);
    assert_eq!(reception.extended_highest_sequence(), Some(0x1_0001));
    assert_eq!(counts(&reception), [4, 0, 0, 0]);
}

#[test]
fn a_late_packet_takes_its_loss_back_even_across_the_wrap() {
    let mut reception = Reception::new(None);
    let whats = feed(&mut reception, [65533, 1, 65535, 65534]);
    assert_eq!(whats, [Arrival::First, Arrival::Gap { missing: 3 }, Arrival::Reordered, Arrival::Reordered]);
    assert_eq!(counts(&reception), [4, 1, 2, 0]);
}

#[test]
fn a_late_packet_that_comes_twice_takes_one_loss_back() {
    let mut reception = Reception::new(None);
    let whats = feed(&mut reception, [10, 13, 11, 11, 13]);
    assert_eq!(whats[2..], [Arrival::Reordered, Arrival::Duplicate, Arrival::Duplicate]);
    assert_eq!(counts(&reception), [5, 1, 1, 2]);
}

#[test]
fn a_number_is_lost_once_a_hundred_have_followed_it_and_then_for_good() {
    let mut reception = Reception::new(None);
    feed(&mut reception, [0, 1, 3]);
    assert_eq!((reception.lost(), reception.missing()), (0, 1));
    feed(&mut reception, 4..102);
    assert_eq!((reception.lost(), reception.missing()), (0, 1));
    feed(&mut reception, [102]);
    assert_eq!((reception.lost(), reception.late(), reception.missing()), (1, 0, 1));
    assert_eq!(feed(&mut reception, [2, 2]), [Arrival::Reordered, Arrival::Duplicate]);
    assert_eq!((reception.lost(), reception.late(), reception.missing()), (1, 1, 0));
}

#[test]
fn what_is_missing_as_a_source_starts_over_is_lost() {
    let mut reception = Reception::new(None);
    feed(&mut reception, [0, 2, 4, 40_000, 40_001, 40_003]);
    assert_eq!((reception.lost(), reception.missing(), reception.restarts()), (2, 3, 1));
    reception.receive(&RtpHeader { ssrc: 2, ..header(7) }, Duration::ZERO);
    assert_eq!((reception.lost(), reception.missing()), (2, 3), "it may still come");
    reception.receive(&RtpHeader { ssrc: 2, ..header(8) }, GONE_AFTER);
    assert_eq!((reception.lost(), reception.missing()), (3, 3));
}

#[test]
fn a_gap_of_more_than_a_hundred_is_given_up_but_for_the_newest() {
    let mut reception = Reception::new(None);
    feed(&mut reception, [0, 1, 3, 1003]);
    assert_eq!((reception.lost(), reception.missing()), (1 + 900, 1 + 999));
}

#[test]
fn packets_from_before_the_first_were_never_lost() {
    let mut reception = Reception::new(None);
    feed(&mut reception, [100, 99, 103, 98]);
    assert_eq!(counts(&reception), [4, 2, 2, 0]);
}

#[test]
#[cfg_attr(miri, ignore = "200,000 packets")]
fn a_number_comes_round_again_without_being_a_duplicate() {
    let mut reception = Reception::new(None);
    let whats = feed(&mut reception, (0..200_000u32).map(|n| n as u16));
    assert!(whats[1..].iter().all(|what| *what == Arrival::InOrder));
    assert_eq!(counts(&reception), [200_000, 0, 0, 0]);
}

#[test]
fn a_long_gap_clears_the_memory_of_what_was_seen() {
    let mut reception = Reception::new(None);
    feed(&mut reception, 0..600);
    assert_eq!(feed(&mut reception, [1999])[0], Arrival::Gap { missing: 1399 });
    assert_eq!(feed(&mut reception, [1998, 1997])[..], [Arrival::Reordered; 2]);
    assert_eq!(counts(&reception), [603, 1397, 2, 0]);
}

#[test]
fn a_jump_of_the_same_source_is_a_restart_and_no_loss() {
    let mut reception = Reception::new(None);
    let whats = feed(&mut reception, [1, 2, 3, 40_000, 40_001, 40_002, 39_999]);
    assert_eq!(whats[3..], [Arrival::Stray, Arrival::Restart, Arrival::InOrder, Arrival::Reordered]);
    assert_eq!(counts(&reception), [7, 0, 1, 0]);
    assert_eq!(reception.restarts(), 1);
}

const MS: Duration = Duration::from_millis(1);
const CLOCK: u32 = 90_000;

/// Packet `number` of a stream of a thousand a second.
fn paced(number: u32) -> (RtpHeader, Duration) {
    let header = RtpHeader { timestamp: number.wrapping_mul(CLOCK / 1000), ..header(number as u16) };
    (header, number * MS)
}

/// A stream that has played for two seconds.
fn playing(clock_rate: Option<u32>) -> Reception {
    let mut reception = Reception::new(clock_rate);
    for (header, at) in (0..2000).map(paced) {
        reception.receive(&header, at);
    }
    assert_eq!(reception.lost(), 0);
    reception
}

#[test]
fn an_outage_of_seconds_is_loss_and_no_restart() {
    for clock_rate in [Some(CLOCK), None] {
        for outage in [3500, 7000, 40_000] {
            let mut reception = playing(clock_rate);
            let (header, at) = paced(2000 + outage);
            let gap = Arrival::Gap { missing: u64::from(outage) };
            assert_eq!(reception.receive(&header, at), gap, "{outage} packets, {clock_rate:?}");
            let (header, at) = paced(2001 + outage);
            assert_eq!(reception.receive(&header, at), Arrival::InOrder);
            assert_eq!((reception.missing(), reception.restarts()), (u64::from(outage), 0));
        }
    }
}

#[test]
fn an_outage_in_which_the_numbers_came_round_is_counted_with_its_wraps() {
    let mut reception = playing(Some(CLOCK));
    let outage = 65_536 * 2 + 20_000;
    let (header, at) = paced(2000 + outage);
    assert_eq!(reception.receive(&header, at), Arrival::Gap { missing: u64::from(outage) });
    assert_eq!(reception.extended_highest_sequence(), Some(2000 + outage));
}

#[test]
fn an_outage_soon_after_the_start_is_loss_too() {
    let mut reception = Reception::new(Some(CLOCK));
    for (header, at) in (0..300).map(paced) {
        reception.receive(&header, at);
    }
    let (header, at) = paced(300 + 5000);
    assert_eq!(reception.receive(&header, at), Arrival::Gap { missing: 5000 });
}

#[test]
fn a_jump_that_time_does_not_explain_is_a_restart() {
    let jump = |ahead: u16, ticks: u32, after: Duration, clock_rate| {
        let mut reception = playing(clock_rate);
        for n in 0..2 {
            let (last, at) = paced(1999 + n);
            let sequence = last.sequence.wrapping_add(ahead);
            let timestamp = last.timestamp.wrapping_add(ticks);
            reception.receive(&RtpHeader { sequence, timestamp, ..last }, at + after);
        }
        (reception.missing(), reception.restarts())
    };
    assert_eq!(jump(20_000, 90, MS, Some(CLOCK)), (0, 1), "at once");
    assert_eq!(jump(20_000, 90, MS, None), (0, 1), "at once");
    assert_eq!(jump(40_000, 5 * CLOCK, 5000 * MS, Some(CLOCK)), (0, 1), "more than could have come");
    assert_eq!(jump(40_000, 5 * CLOCK, 5000 * MS, None), (0, 1), "more than could have come");
    assert_eq!(jump(5_000, 900 * CLOCK, 5000 * MS, Some(CLOCK)), (0, 1), "at another time of the source");
    assert_eq!(jump(5_000, 5 * CLOCK, 5000 * MS, Some(CLOCK)), (4999, 0), "all fits");
}

#[test]
fn a_lone_stray_changes_nothing() {
    let mut reception = Reception::new(None);
    let whats = feed(&mut reception, [1, 2, 40_000, 3, 40_001, 4]);
    assert_eq!(whats[2], Arrival::Stray);
    assert_eq!(whats[4], Arrival::Stray, "not next to the other stray, so it confirms nothing");
    assert_eq!(whats[5], Arrival::InOrder);
    assert_eq!(reception.lost(), 0);
}

#[test]
fn a_new_ssrc_is_a_new_source_and_no_loss() {
    let mut reception = Reception::new(None);
    feed(&mut reception, [5, 6]);
    let what = reception.receive(&RtpHeader { ssrc: 2, ..header(30_000) }, Duration::ZERO);
    assert_eq!(what, Arrival::NewSource { previous_ssrc: 1 });
    assert_eq!(reception.receive(&RtpHeader { ssrc: 2, ..header(30_001) }, Duration::ZERO), Arrival::InOrder);
    assert_eq!((reception.ssrc(), reception.ssrc_changes(), reception.lost()), (Some(2), 1, 0));
}

/// Packet `sequence` of a sender, at a time.
fn hear(reception: &mut Reception, ssrc: u32, sequence: u16, at: Duration) -> Arrival {
    let timestamp = at.as_millis() as u32 * (CLOCK / 1000);
    reception.receive(&RtpHeader { ssrc, timestamp, ..header(sequence) }, at)
}

#[test]
fn of_two_senders_each_loses_against_its_own_numbers() {
    let mut reception = Reception::new(Some(CLOCK));
    let (mut turns, mut heard) = (Vec::new(), 0);
    for n in 0..3000u16 {
        let at = MS * u32::from(n);
        // The first loses every tenth, the second every twentieth.
        for (ssrc, offset, loses) in [(1, 0, 10), (2, 40_000, 20)] {
            if n % loses != 5 {
                hear(&mut reception, ssrc, n.wrapping_add(offset), at);
                turns.extend(reception.turn(at));
                heard += 1;
            }
        }
    }
    assert_eq!((reception.packets(), reception.missing()), (heard, 300 + 150));
    assert_eq!((reception.ssrc_changes(), reception.restarts()), (1, 0), "one began beside the other");
    assert!(turns.iter().all(|turn| matches!(turn, Turn::Both([1, 2] | [2, 1]))) && turns.len() > 3000);
    assert_eq!(reception.senders(MS * 3000), 2);
    assert!(reception.jitter_seconds().expect("many packets") < 1e-6, "each by its own clock");

    hear(&mut reception, 2, 43_000, MS * 4000);
    assert_eq!(reception.turn(MS * 4000), Some(Turn::Both([1, 2])));
    hear(&mut reception, 2, 43_001, MS * 5000);
    assert_eq!(reception.turn(MS * 5000), Some(Turn::Left([1, 2])));
    assert_eq!((reception.senders(MS * 5000), reception.missing()), (1, 450));
    assert!((440..450).contains(&reception.lost()), "what the first has not sent is given up");
    hear(&mut reception, 2, 43_002, MS * 5001);
    assert_eq!(reception.turn(MS * 5001), None, "told once");
}

#[test]
fn a_source_that_begins_anew_is_not_a_second_one() {
    let mut reception = playing(Some(CLOCK));
    let at = |n: u16| MS * (2000 + u32::from(n));
    let mut turns = Vec::new();
    for n in 0..3000 {
        hear(&mut reception, 2, 7000 + n, at(n));
        turns.extend(reception.turn(at(n)));
        assert_eq!(reception.senders(at(n)), 1);
    }
    assert_eq!(turns, [Turn::Replaced([1, 2])]);
    assert_eq!((reception.ssrc_changes(), reception.missing()), (1, 0));
}

#[test]
fn packets_of_a_handover_that_overtake_one_another_are_no_second_sender() {
    let mut reception = playing(Some(CLOCK));
    hear(&mut reception, 2, 7000, 2001 * MS);
    assert_eq!(hear(&mut reception, 1, 2000, 2002 * MS), Arrival::InOrder, "of the first, late");
    assert_eq!(hear(&mut reception, 2, 7001, 2003 * MS), Arrival::InOrder);
    assert_eq!((reception.turn(2003 * MS), reception.missing()), (None, 0));
}

#[test]
fn a_third_sender_is_counted_and_spoils_no_measure() {
    let mut reception = Reception::new(Some(CLOCK));
    for n in 0..2000u16 {
        for ssrc in [1, 2, 3] {
            hear(&mut reception, ssrc, n, MS * u32::from(n));
        }
    }
    assert_eq!((reception.packets(), reception.missing(), reception.ssrc_changes()), (6000, 0, 1));
    assert_eq!(reception.senders(MS * 2000), 3);
    assert_eq!(hear(&mut reception, 3, 2000, MS * 2000), Arrival::ThirdSource);
    for n in 2001..5000 {
        hear(&mut reception, 3, n, MS * u32::from(n));
    }
    assert_eq!((reception.ssrc(), reception.senders(MS * 5000)), (Some(3), 1), "it has the place to itself");
    assert_eq!(reception.missing(), 0);
}

#[test]
fn jitter_is_zero_for_a_metronome_and_follows_a_wobble() {
    let at = |n: u32, wobble_us: u64| Duration::from_micros(u64::from(n) * 10_000 + wobble_us);
    // The timestamps wrap on the way.
    let packet = |n: u32| {
        let timestamp = (u32::MAX - 4000).wrapping_add(n * 900);
        RtpHeader { timestamp, ..header(n as u16) }
    };

    let mut steady = Reception::new(Some(90_000));
    steady.receive(&packet(0), at(0, 0));
    assert_eq!(steady.jitter_seconds(), None, "one packet has no neighbour");
    for n in 1..400 {
        steady.receive(&packet(n), at(n, 0));
    }
    assert!(steady.jitter_seconds().expect("many packets") < 1e-9);

    let mut wobbling = Reception::new(Some(90_000));
    for n in 0..400 {
        wobbling.receive(&packet(n), at(n, u64::from(n % 2) * 1000));
    }
    let jitter = wobbling.jitter_seconds().expect("many packets");
    assert!((jitter - 0.001).abs() < 0.0001, "a wobble of 1 ms gives {jitter} s");
}

#[test]
fn a_restart_of_the_timestamps_is_no_jitter() {
    let mut reception = Reception::new(Some(90_000));
    for n in 0..10u16 {
        let header = RtpHeader { timestamp: u32::from(n) * 900, ..header(n) };
        reception.receive(&header, Duration::from_millis(u64::from(n) * 10));
    }
    for n in 10..20u16 {
        let header = RtpHeader { ssrc: 9, timestamp: 0x8000_0000 + u32::from(n) * 900, ..header(n) };
        reception.receive(&header, Duration::from_millis(20_000 + u64::from(n) * 10));
    }
    assert!(reception.jitter_seconds().expect("many packets") < 1e-9);
}

#[test]
fn without_a_clock_rate_there_is_no_jitter() {
    for rate in [None, Some(0)] {
        let mut reception = Reception::new(rate);
        feed(&mut reception, 0..10);
        assert_eq!(reception.jitter_seconds(), None);
    }
}

proptest! {
    /// Whatever comes, in whatever order: what was counted stays counted, and nothing is lost that came in time.
    #[test]
    fn no_count_ever_goes_down(
        packets in prop::collection::vec((prop_oneof![0..700u16, any::<u16>()], 1..5u32, 0..600u32), 1..400),
    ) {
        let mut reception = Reception::new(None);
        let (mut before, mut at) = ([0; 5], Duration::ZERO);
        for (sequence, ssrc, pause) in packets {
            at += MS * (pause / 200 * pause);
            reception.receive(&RtpHeader { ssrc, ..header(sequence) }, at);
            let [packets, _, reordered, duplicates] = counts(&reception);
            let now = [packets, reception.lost(), reception.late(), reordered, duplicates];
            prop_assert!(now.iter().zip(before).all(|(now, before)| *now >= before), "{before:?} {now:?}");
            prop_assert!(reception.late() <= reception.lost());
            before = now;
        }
    }

    /// Any order of distinct numbers within the window, after a first one, ends with nothing lost.
    #[test]
    fn shuffling_loses_nothing(start: u16, order in Just((1..200u16).collect::<Vec<_>>()).prop_shuffle()) {
        let mut reception = Reception::new(None);
        feed(&mut reception, [start]);
        feed(&mut reception, order.iter().map(|n| start.wrapping_add(*n)));
        prop_assert_eq!(reception.missing(), 0);
        prop_assert_eq!(reception.duplicates(), 0);
    }

    #[test]
    fn hostile_sequences_never_panic(
        packets in prop::collection::vec((any::<u16>(), any::<u32>(), 0..3u32, any::<u64>()), 0..300),
    ) {
        let mut reception = Reception::new(Some(u32::MAX));
        for (sequence, timestamp, ssrc, secs) in packets {
            let header = RtpHeader { timestamp, ssrc, ..header(sequence) };
            reception.receive(&header, Duration::new(secs, 999_999_999));
        }
        prop_assert!(reception.jitter_seconds().is_none_or(f64::is_finite));
    }
}
