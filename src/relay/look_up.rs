//! Where a packet is among others that are numbered by RTP: a look of a few steps, for gaps and packets out of order are few.

use bytes::Bytes;

/// Sequence numbers this far back are those to come (RFC 3550 appendix A.1).
const BACKWARDS: u16 = 1 << 15;
/// So far from its place a packet may stand that came out of order.
const OUT_OF_ORDER: usize = 32;

/// What is known of a packet of some stream.
pub(super) enum Found {
    /// It is not of the stream that comes now.
    OtherStream,
    /// It is newer than all that came.
    ToCome,
    /// It never came, or has gone.
    Nowhere,
    There {
        number: u64,
        data: Bytes,
    },
}

/// The place of the packet with this sequence number among `count`, of which the last is the newest. `None`: it is not among them,
/// or they were numbered anew since.
pub(super) fn look_up(count: usize, sequence_at: impl Fn(usize) -> u16, wanted: u16) -> Option<usize> {
    let newest = sequence_at(count.checked_sub(1)?);
    let back = |sequence| newest.wrapping_sub(sequence);
    if back(wanted) >= BACKWARDS {
        return None;
    }
    let (mut low, mut high) = (count.saturating_sub(BACKWARDS.into()), count - 1);
    while low < high {
        let middle = low + (high - low) / 2;
        if back(sequence_at(middle)) > back(wanted) { low = middle + 1 } else { high = middle }
    }
    let near = low.saturating_sub(OUT_OF_ORDER)..(low + OUT_OF_ORDER).min(count);
    [low].into_iter().chain(near).find(|place| sequence_at(*place) == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn find(sequences: &[u16], wanted: u16) -> Option<usize> {
        look_up(sequences.len(), |place| sequences[place], wanted)
    }

    #[test]
    fn a_packet_is_found_over_the_wrap_past_gaps_and_out_of_order() {
        let sequences = [65_530, 65_534, 65_533, 65_535, 1, 0, 7, 7, 9];
        for (place, sequence) in [(0, 65_530), (2, 65_533), (1, 65_534), (4, 1), (5, 0), (8, 9)] {
            assert_eq!(find(&sequences, sequence), Some(place), "{sequence}");
        }
        for sequence in [65_531, 2, 8, 10, 40_000] {
            assert_eq!(find(&sequences, sequence), None, "{sequence}");
        }
        assert_eq!(find(&[], 7), None);
        let anew: Vec<u16> = (40_000..41_000).chain(5..105).collect();
        assert_eq!((find(&anew, 50), find(&anew, 4)), (Some(1045), None), "a source that began anew");
    }

    proptest! {
        #[test]
        fn all_that_is_there_is_found_and_nothing_else(
            first: u16,
            gaps in prop::collection::vec(1_u16..5, 1..3000),
            swapped in prop::collection::vec(0_usize..3000, 0..50),
        ) {
            let mut sequences: Vec<u16> = gaps.iter().scan(first, |at, gap| {
                *at = at.wrapping_add(*gap);
                Some(*at)
            }).collect();
            let newest = sequences.len() - 1;
            swapped.into_iter().filter(|place| place + 1 < newest).for_each(|place| sequences.swap(place, place + 1));
            let missing = |sequence: &u16| !sequences.contains(sequence);
            for (place, sequence) in sequences.iter().enumerate() {
                prop_assert_eq!(find(&sequences, *sequence), Some(place));
                let next = sequence.wrapping_add(1);
                prop_assert_eq!(find(&sequences, next).is_none(), missing(&next));
            }
        }
    }
}
