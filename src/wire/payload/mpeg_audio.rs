//! Frames of MPEG audio (RFC 2250 section 3.5): each behind four bytes that say where in its frame a fragment begins.

use super::unit::{Payload, Unpackable};

const HEADER_LEN: usize = 4;
/// What 16 bits can say.
const LARGEST_FRAME: usize = 0xffff;

/// A frame; the marker would begin a talk spurt, which a programme has none of.
pub(super) fn pack(frame: &[u8], most: usize, out: &mut Vec<Payload>) -> Result<(), Unpackable> {
    if frame.len() > LARGEST_FRAME {
        return Err(Unpackable::TooLarge { bytes: frame.len(), most: LARGEST_FRAME });
    }
    let room = most - HEADER_LEN;
    out.extend((0..).step_by(room).zip(frame.chunks(room)).map(|(at, part): (usize, _)| {
        let [high, low] = (at as u16).to_be_bytes();
        Payload { bytes: [&[0, 0, high, low], part].concat(), marker: false, ticks: 0 }
    }));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fragment_says_where_it_begins() {
        let mut out = Vec::new();
        pack(&[1; 300], 264, &mut out).expect("a frame");
        let begins: Vec<_> = out.iter().map(|payload| (&payload.bytes[..4], payload.bytes.len())).collect();
        assert_eq!(begins, [(&[0, 0, 0, 0][..], 264), (&[0, 0, 1, 4], 44)]);
        assert!(pack(&[0; 70_000], 1400, &mut out).is_err());
    }
}
