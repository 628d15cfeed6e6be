//! NAL units of H.264 (RFC 6184, packetization mode 1) and H.265 (RFC 7798): alone, or in fragments; parameter sets together.

use super::super::random_access::units::Codec;
use super::unit::{Payload, Unpackable};

/// The types of aggregation packets and fragmentation units (RFC 6184 section 5.2, RFC 7798 section 4.4).
const STAP_A: u8 = 24;
const FU_A: u8 = 28;
const AP: u8 = 48;
const FU: u8 = 49;

/// A picture, whose units are each behind a length of `length_size` bytes: of 1 to 4, whatever is said. The last payload has the marker.
pub(super) fn pack(
    codec: Codec,
    length_size: u8,
    picture: &[u8],
    most: usize,
    out: &mut Vec<Payload>,
) -> Result<(), Unpackable> {
    let (mut rest, before, length_size) = (picture, out.len(), length_size.clamp(1, 4));
    while !rest.is_empty() {
        let (unit, after) = split(rest, length_size.into(), picture.len() - rest.len())?;
        if can_be_sent(codec, unit) {
            pack_unit(codec, unit, most, out);
        }
        rest = after;
    }
    let sent = out.get_mut(before..).and_then(<[_]>::last_mut).ok_or(Unpackable::Empty)?;
    sent.marker = true;
    Ok(())
}

fn split(rest: &[u8], length_size: usize, at: usize) -> Result<(&[u8], &[u8]), Unpackable> {
    let cut = |length, left| Unpackable::Cut { at, length, left };
    let (length, behind) = rest.split_at_checked(length_size).ok_or(cut(length_size, rest.len()))?;
    let length = length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
    behind.split_at_checked(length).ok_or(cut(length, behind.len()))
}

/// Units of types that mean something else in RTP, which no decoder knows anyway, are left out, and empty ones.
fn can_be_sent(codec: Codec, unit: &[u8]) -> bool {
    match (codec, unit) {
        (Codec::H265, [first, _, ..]) => first >> 1 & 0x3f < AP,
        (Codec::H265, _) | (_, []) => false,
        (_, [first, ..]) => matches!(first & 0x1f, 1..STAP_A),
    }
}

fn pack_unit(codec: Codec, unit: &[u8], most: usize, out: &mut Vec<Payload>) {
    if unit.len() <= most {
        out.push(Payload { bytes: unit.to_vec(), marker: false, ticks: 0 });
        return;
    }
    let (headers, kind, body) = match (codec, unit) {
        (Codec::H265, [first, second, body @ ..]) => {
            (vec![first & 0x81 | FU << 1, *second], first >> 1 & 0x3f, body)
        }
        (_, [first, body @ ..]) => (vec![first & 0xe0 | FU_A], first & 0x1f, body),
        (_, []) => return,
    };
    let room = most - headers.len() - 1;
    let last = body.len().div_ceil(room) - 1;
    out.extend(body.chunks(room).enumerate().map(|(place, part)| {
        let (is_first, is_last) = (u8::from(place == 0) << 7, u8::from(place == last) << 6);
        let bytes = [headers.as_slice(), &[is_first | is_last | kind], part].concat();
        Payload { bytes, marker: false, ticks: 0 }
    }));
}

/// Units in one payload, where they fit (STAP-A, AP); in several otherwise.
pub(super) fn together(codec: Codec, units: &[Vec<u8>], most: usize) -> Vec<Payload> {
    let units = || units.iter().filter(|unit| can_be_sent(codec, unit));
    let bytes = 2 + units().map(|unit| 2 + unit.len()).sum::<usize>();
    let mut out = Vec::new();
    if units().count() < 2 || bytes > most {
        units().for_each(|unit| pack_unit(codec, unit, most, &mut out));
        return out;
    }
    // The highest importance of all, and the lowest layer and time.
    let importance = units().filter_map(|unit| unit.first()).map(|first| first & 0x60).max().unwrap_or(0);
    let mut bytes = if codec == Codec::H265 { vec![AP << 1, 1] } else { vec![importance | STAP_A] };
    for unit in units() {
        bytes.extend((unit.len() as u16).to_be_bytes());
        bytes.extend(unit);
    }
    vec![Payload { bytes, marker: false, ticks: 0 }]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(codec: Codec, picture: &[u8], most: usize) -> Result<Vec<(Vec<u8>, bool)>, Unpackable> {
        let mut out = Vec::new();
        pack(codec, 2, picture, most, &mut out)?;
        Ok(out.into_iter().map(|payload| (payload.bytes, payload.marker)).collect())
    }

    #[test]
    fn units_go_alone_and_the_last_one_ends_the_picture() {
        let picture = [0, 2, 0x09, 0xf0, 0, 0, 0, 3, 0x65, 1, 2, 0, 1, 0x1f];
        let expected = Ok(vec![(vec![0x09, 0xf0], false), (vec![0x65, 1, 2], true)]);
        assert_eq!(
            packed(Codec::H264, &picture, 9),
            expected,
            "what is empty or of no known type is left out"
        );
        assert_eq!(packed(Codec::H264, &[0, 0], 9), Err(Unpackable::Empty));
    }

    #[test]
    fn what_is_too_large_goes_in_fragments() {
        let h264 = packed(Codec::H264, &[0, 6, 0x65, 1, 2, 3, 4, 5], 4);
        let fragments = [[0x7c, 0x85, 1, 2].as_slice(), &[0x7c, 5, 3, 4], &[0x7c, 0x45, 5]];
        assert_eq!(h264, Ok(fragments.map(|one| (one.to_vec(), one.len() == 3)).to_vec()));
        let h265 = packed(Codec::H265, &[0, 6, 38, 1, 1, 2, 3, 4], 5);
        let fragments = [[98, 1, 0x93, 1, 2], [98, 1, 0x53, 3, 4]];
        assert_eq!(h265, Ok(fragments.map(|one| (one.to_vec(), one[2] == 0x53)).to_vec()));
    }

    #[test]
    fn lengths_of_no_bytes_are_read_as_of_one() {
        let mut out = Vec::new();
        pack(Codec::H264, 0, &[2, 0x65, 1], 99, &mut out).expect("a picture");
        assert_eq!(out.iter().map(|payload| payload.bytes.clone()).collect::<Vec<_>>(), [[0x65, 1]]);
    }

    #[test]
    fn a_length_that_leads_too_far_is_told() {
        let cut = Unpackable::Cut { at: 3, length: 9, left: 1 };
        assert_eq!(packed(Codec::H264, &[0, 1, 0x61, 0, 9, 0x61], 99), Err(cut));
        assert_eq!(packed(Codec::H264, &[0], 99), Err(Unpackable::Cut { at: 0, length: 2, left: 1 }));
    }

    #[test]
    fn parameter_sets_go_together_where_they_fit() {
        let sets = [vec![0x67, 1, 2], vec![0x28, 3]];
        let payloads = together(Codec::H264, &sets, 64);
        assert_eq!(payloads.len(), 1);
        assert_eq!(payloads[0].bytes, [0x78, 0, 3, 0x67, 1, 2, 0, 2, 0x28, 3]);
        assert_eq!(together(Codec::H264, &sets, 8).len(), 2);
        let sets = [vec![64, 1, 7], vec![66, 1, 8]];
        assert_eq!(together(Codec::H265, &sets, 64)[0].bytes, [96, 1, 0, 3, 64, 1, 7, 0, 3, 66, 1, 8]);
        assert_eq!(together(Codec::H265, &sets[..1], 64)[0].bytes, [64, 1, 7]);
    }
}
