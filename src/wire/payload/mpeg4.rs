//! MPEG-4: frames of AAC (RFC 3640 section 3.3.6, AAC-hbr) and pictures of its visual part (RFC 6416 section 5).

use super::unit::{Payload, Unpackable};

/// 16 bits of headers: 13 of the frame's size, and 3 of its number, which is 0 of the first one in a packet.
const HEADERS: [u8; 2] = [0, 16];
/// What 13 bits can say.
const LARGEST_FRAME: usize = (1 << 13) - 1;

/// A frame of sound, in one payload or in fragments: each says how large all of it is, and the last one has the marker.
pub(super) fn pack_sound(frame: &[u8], most: usize, out: &mut Vec<Payload>) -> Result<(), Unpackable> {
    if frame.len() > LARGEST_FRAME {
        return Err(Unpackable::TooLarge { bytes: frame.len(), most: LARGEST_FRAME });
    }
    let size = ((frame.len() as u16) << 3).to_be_bytes();
    pack_parts(&[HEADERS, size].concat(), frame, most, out);
    Ok(())
}

/// A picture, in as many payloads as it takes; the last one has the marker.
pub(super) fn pack_visual(picture: &[u8], most: usize, out: &mut Vec<Payload>) {
    pack_parts(&[], picture, most, out);
}

fn pack_parts(header: &[u8], unit: &[u8], most: usize, out: &mut Vec<Payload>) {
    let parts = unit.chunks(most - header.len());
    let last = parts.len() - 1;
    out.extend(parts.enumerate().map(|(place, part)| Payload {
        bytes: [header, part].concat(),
        marker: place == last,
        ticks: 0,
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_of_sound_says_how_large_it_is() {
        let mut out = Vec::new();
        pack_sound(&[7, 8, 9], 6, &mut out).expect("a frame");
        let parts: Vec<_> = out.into_iter().map(|payload| (payload.bytes, payload.marker)).collect();
        assert_eq!(parts, [(vec![0, 16, 0, 24, 7, 8], false), (vec![0, 16, 0, 24, 9], true)]);
        let too_large = Unpackable::TooLarge { bytes: 8192, most: 8191 };
        assert_eq!(pack_sound(&[0; 8192], 1400, &mut Vec::new()), Err(too_large));
    }

    #[test]
    fn a_picture_is_cut_and_ends_with_the_marker() {
        let mut out = Vec::new();
        pack_visual(&[0, 0, 1, 0xb6, 5], 2, &mut out);
        assert_eq!(
            out.iter().flat_map(|payload| payload.bytes.clone()).collect::<Vec<_>>(),
            [0, 0, 1, 0xb6, 5]
        );
        assert_eq!(out.iter().map(|payload| payload.marker).collect::<Vec<_>>(), [false, false, true]);
    }
}
