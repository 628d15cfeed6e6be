//! Legs that lose, lag, lead, begin anew, or carry something else; and any interleaving of two lossy copies.

use super::*;
use proptest::prelude::*;

const SKEW: Duration = Duration::from_millis(50);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A merge, and what has left it: SSRCs and sequence numbers.
struct Stage {
    merge: Merge<Vec<u8>>,
    out: Vec<(u32, u16)>,
}

impl Stage {
    fn new(legs: usize) -> Self {
        Self { merge: Merge::new(legs, SKEW), out: Vec::new() }
    }

    fn comes_of(&mut self, leg: usize, ssrc: u32, sequence: u16, at: Duration) -> Fate {
        let header =
            RtpHeader { sequence, timestamp: 0, ssrc, payload_type: 33, marker: false, header_len: 12 };
        let own = || [&ssrc.to_be_bytes()[..], &sequence.to_be_bytes()].concat();
        let fate = self.merge.take(leg, &header, [at, at], own);
        if fate == Fate::Next {
            self.out.push((ssrc, sequence));
        }
        self.look(at);
        fate
    }

    fn comes(&mut self, leg: usize, sequence: u16, at_ms: u64) -> Fate {
        self.comes_of(leg, 7, sequence, ms(at_ms))
    }

    fn look(&mut self, now: Duration) {
        while let Some(packet) = self.merge.pop(Some(now)) {
            let ssrc = u32::from_be_bytes(packet[..4].try_into().expect("four bytes"));
            self.out.push((ssrc, u16::from_be_bytes([packet[4], packet[5]])));
        }
    }

    fn sequences(&self) -> Vec<u16> {
        self.out.iter().map(|(_, sequence)| *sequence).collect()
    }
}

#[test]
fn the_first_copy_wins_and_nothing_waits_while_nothing_is_missing() {
    let mut stage = Stage::new(2);
    for sequence in [65_534, 65_535, 0, 1] {
        assert_eq!(stage.comes(0, sequence, 10), Fate::Next);
        assert_eq!(stage.comes(1, sequence, 12), Fate::Duplicate);
        assert_eq!(stage.merge.deadline(), None);
    }
    assert_eq!(stage.sequences(), [65_534, 65_535, 0, 1]);
    let counts = [0, 1].map(|leg| stage.merge.counts(leg));
    assert_eq!(counts[0], LegCounts { first: 4, ..LegCounts::default() });
    assert_eq!(counts[1], LegCounts { duplicate: 4, ..LegCounts::default() });
    assert_eq!(stage.merge.skew(1).1, ms(2));
}

#[test]
fn what_one_leg_has_lost_the_other_one_brings_and_it_leaves_in_order() {
    let mut stage = Stage::new(2);
    assert_eq!([1, 2, 4, 5].map(|sequence| stage.comes(0, sequence, 10)), {
        [Fate::Next, Fate::Next, Fate::Waits, Fate::Waits]
    });
    assert_eq!(stage.merge.deadline(), Some(ms(60)));
    assert_eq!(stage.comes(1, 2, 30), Fate::Duplicate);
    assert_eq!(stage.comes(1, 3, 31), Fate::Next);
    assert_eq!(stage.sequences(), [1, 2, 3, 4, 5]);
    assert_eq!(stage.merge.deadline(), None);
    assert_eq!(stage.comes(1, 4, 32), Fate::Duplicate);
}

#[test]
fn a_gap_is_given_up_after_the_skew_and_what_comes_later_is_too_late() {
    let mut stage = Stage::new(2);
    for (sequence, at) in [(1, 10), (3, 10), (6, 20), (4, 20)] {
        stage.comes(0, sequence, at);
    }
    stage.look(ms(59));
    assert_eq!(stage.sequences(), [1]);
    stage.look(ms(60));
    assert_eq!(stage.sequences(), [1, 3, 4], "the gap before 6 is a younger one");
    assert_eq!(stage.merge.deadline(), Some(ms(70)));
    assert_eq!(stage.comes(1, 2, 65), Fate::Late);
    assert_eq!(stage.comes(0, 7, 75), Fate::Waits, "and out at once");
    assert_eq!(stage.sequences(), [1, 3, 4, 6, 7]);
    assert_eq!(stage.merge.counts(1).late, 1);
}

#[test]
fn a_leg_that_is_ahead_at_the_beginning_waits_for_what_has_begun() {
    let mut stage = Stage::new(2);
    stage.comes(0, 10, 0);
    for sequence in 15..20 {
        assert_eq!(stage.comes(1, sequence, 1), Fate::Waits);
    }
    for sequence in 11..15 {
        stage.comes(0, sequence, 20);
    }
    assert_eq!(stage.sequences(), (10..20).collect::<Vec<_>>());
}

#[test]
fn a_source_that_begins_anew_is_followed_without_a_loss() {
    let mut stage = Stage::new(2);
    for tick in 0..400_u64 {
        // The second leg is 20 ms behind; the new stream follows the former without a pause.
        for (leg, number) in [(0, Some(tick)), (1, tick.checked_sub(20))] {
            let Some(number) = number else { continue };
            let (ssrc, first) = if number < 100 { (7, 65_500_u16) } else { (8, 300) };
            stage.comes_of(leg, ssrc, first.wrapping_add(number as u16), ms(tick));
        }
    }
    let of = |ssrc| -> Vec<u16> {
        let of = stage.out.iter().filter(|(of, _)| *of == ssrc);
        of.map(|(_, sequence)| *sequence).collect()
    };
    assert_eq!(of(7), (0..100).map(|number| 65_500_u16.wrapping_add(number)).collect::<Vec<_>>());
    assert_eq!(of(8), (400..700).collect::<Vec<_>>());
    let changes = stage.out.windows(2).filter(|pair| pair[0].0 != pair[1].0).count();
    assert_eq!(changes, 1, "once and for all");
}

#[test]
fn a_numbering_that_begins_anew_is_a_new_stream() {
    for jump in [40_000_u16, 20_000] {
        let mut stage = Stage::new(2);
        for tick in 0..400_u16 {
            let sequence = if tick < 100 { tick } else { jump.wrapping_add(tick) };
            stage.comes(0, sequence, tick.into());
            stage.comes(1, sequence, tick.into());
        }
        let expected: Vec<u16> = (0..100).chain((100..400).map(|tick| jump + tick)).collect();
        assert_eq!(stage.sequences(), expected);
    }
}

#[test]
fn a_stream_that_returns_after_a_pause_goes_on_at_once_whatever_its_numbers() {
    for sequence in [10_u16, 100, 99, 65_000, 5_000] {
        let mut stage = Stage::new(2);
        for tick in 0..100_u16 {
            stage.comes(0, tick, tick.into());
        }
        for tick in 0..100_u16 {
            stage.comes(0, sequence.wrapping_add(tick), 40_000 + u64::from(tick));
        }
        assert_eq!(stage.out.len(), 200, "{sequence}");
    }
}

#[test]
fn legs_of_two_streams_never_take_turns() {
    let mut stage = Stage::new(2);
    for tick in 0..3000_u64 {
        stage.comes_of(0, 7, tick as u16, ms(tick));
        stage.comes_of(1, 8, 5 * tick as u16, ms(tick));
    }
    assert!(stage.out.iter().all(|(ssrc, _)| *ssrc == 7));
    assert_eq!(stage.out.len(), 3000);
    assert_eq!([0, 1].map(|leg| stage.merge.useless(leg, ms(3000))), [None, Some(Useless::OtherStream)]);
    let counts = stage.merge.counts(1);
    assert!(counts.of_another > 2800 && counts.first == 0, "{counts:?}");
    // The first one is cut.
    for tick in 3000..3200_u64 {
        stage.comes_of(1, 8, 5 * tick as u16, ms(tick));
    }
    assert_eq!(stage.out.last().map(|(ssrc, _)| *ssrc), Some(8));
}

#[test]
fn a_lone_packet_of_another_stream_changes_nothing() {
    let mut stage = Stage::new(2);
    for tick in 0..500_u64 {
        stage.comes(0, tick as u16, tick);
        if tick % 100 == 50 {
            stage.comes_of(0, 99, 1, ms(tick));
        }
    }
    assert_eq!(stage.sequences(), (0..500).collect::<Vec<_>>());
}

#[test]
fn a_leg_that_is_further_behind_than_the_skew_is_told_of() {
    let mut stage = Stage::new(2);
    for tick in 0..5000_u64 {
        stage.comes(0, tick as u16, tick);
        if let Some(number) = tick.checked_sub(200) {
            stage.comes(1, number as u16, tick);
        }
    }
    assert_eq!([0, 1].map(|leg| stage.merge.useless(leg, ms(5000))), [None, Some(Useless::TooLate)]);
    assert!(stage.merge.skew(1).0.abs_diff(ms(200)) < ms(1));
    assert!(stage.merge.skew(0).0 < ms(1));
}

#[test]
fn reports_are_taken_by_the_first_leg_that_is_heard() {
    let mut stage = Stage::new(3);
    let second = Duration::from_secs(1);
    let first = |stage: &Stage, now| [0, 1, 2].map(|leg| stage.merge.is_first_heard(leg, second, ms(now)));
    stage.comes(1, 1, 0);
    assert_eq!(first(&stage, 10), [true, true, false]);
    stage.comes(0, 1, 20);
    assert_eq!(first(&stage, 30), [true, false, false]);
    assert_eq!(first(&stage, 2000), [true; 3], "nothing comes");
}

#[test]
fn what_waits_is_bounded() {
    let mut merge = Merge::<Vec<u8>>::new(1, Duration::from_secs(3600));
    let mut out = 0;
    for sequence in 0..20_000_u16 {
        let header = RtpHeader {
            sequence: sequence * 2,
            timestamp: 0,
            ssrc: 7,
            payload_type: 33,
            marker: false,
            header_len: 12,
        };
        out += usize::from(merge.take(0, &header, [ms(0); 2], || vec![0; 9000]) == Fate::Next);
        out += std::iter::from_fn(|| merge.pop(None)).count();
    }
    assert!(out >= 20_000 - (16 << 20) / 9000 - 2, "{out}");
}

/// A packet on a leg: whether it comes, and how late.
fn ways() -> impl Strategy<Value = (Option<u64>, Option<u64>)> {
    let way = || prop::option::weighted(0.8, 0..40_u64);
    (way(), way())
}

proptest! {
    /// Whatever is lost and however it is delayed, up to the skew: what came by either leg leaves once, and in order.
    #[test]
    fn each_packet_that_came_by_either_leg_leaves_once_and_in_order(
        first: u16,
        behind in 0..9_u64,
        ways in prop::collection::vec(ways(), 1..300),
    ) {
        let mut arrivals = Vec::new();
        for (number, (one, two)) in ways.iter().enumerate() {
            let sent = 3 * number as u64;
            arrivals.extend(one.map(|late| (sent + late, 0, number)));
            arrivals.extend(two.map(|late| (sent + late + behind, 1, number)));
        }
        arrivals.sort_unstable();
        let mut stage = Stage::new(2);
        for (at, leg, number) in &arrivals {
            // The timer may be late, but is not early.
            if let Some(due) = stage.merge.deadline().filter(|due| *due < ms(*at)) {
                stage.look(due);
            }
            stage.comes(*leg, first.wrapping_add(*number as u16), *at);
        }
        stage.look(ms(1_000_000));
        let begun = arrivals.first().map_or(0, |(_, _, number)| *number);
        let expected: Vec<u16> = ways
            .iter()
            .enumerate()
            .filter(|(number, (one, two))| *number >= begun && (one.is_some() || two.is_some()))
            .map(|(number, _)| first.wrapping_add(number as u16))
            .collect();
        prop_assert_eq!(stage.sequences(), expected);
    }

    /// Whatever comes, nothing leaves twice within a numbering, nothing waits for ever, and nothing panics.
    #[test]
    fn hostile_streams_are_bounded(
        packets in prop::collection::vec((0..3_usize, 0..3_u32, any::<u16>(), 0..80_u64), 0..400),
    ) {
        let (mut stage, mut now) = (Stage::new(3), 0);
        for (leg, ssrc, sequence, pause) in packets {
            now += pause;
            stage.comes_of(leg, ssrc, sequence, ms(now));
        }
        for _ in 0..10 {
            let Some(due) = stage.merge.deadline() else { break };
            stage.look(due);
        }
        prop_assert_eq!(stage.merge.deadline(), None);
    }
}
