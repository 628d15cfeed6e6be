//! NAL units out of a byte stream, where they stand behind start codes (ISO/IEC 14496-10 annex B).

/// The units, without the zeros that may follow each.
pub(super) fn units(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut next = start_code(bytes, 0);
    std::iter::from_fn(move || {
        let begin = next? + 3;
        next = start_code(bytes, begin);
        let unit = &bytes[begin..next.unwrap_or(bytes.len())];
        let end = unit.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        Some(&unit[..end])
    })
    .filter(|unit| !unit.is_empty())
}

/// Where the next start code is, from a place on. Most bytes are not even looked at: none can be in the middle of one.
fn start_code(bytes: &[u8], from: usize) -> Option<usize> {
    let mut place = from;
    loop {
        match *bytes.get(place..)? {
            [0, 0, 1, ..] => return Some(place),
            [_, _, 0, ..] => place += 1,
            [_, _, _, ..] => place += 3,
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units_are_what_is_between_start_codes() {
        let bytes = [7, 0, 0, 0, 1, 9, 0xf0, 0, 0, 1, 0x65, 0, 3, 0, 0, 0, 0, 1, 0, 0, 1, 0x41];
        assert_eq!(units(&bytes).collect::<Vec<_>>(), [&[9, 0xf0][..], &[0x65, 0, 3], &[0x41]]);
        assert_eq!(units(&[1, 2, 3]).count(), 0);
    }

    proptest! {
        #[test]
        fn what_was_put_together_is_taken_apart(parts in prop::collection::vec(prop::collection::vec(2..255_u8, 1..20), 0..20)) {
            let bytes: Vec<u8> = parts.iter().flat_map(|part| [&[0, 0, 1][..], part].concat()).collect();
            prop_assert_eq!(units(&bytes).collect::<Vec<_>>(), parts);
        }

        #[test]
        fn hostile_bytes_never_panic(bytes in prop::collection::vec(0..3_u8, 0..200)) {
            prop_assert!(units(&bytes).all(|unit| !unit.is_empty()));
        }
    }
}
