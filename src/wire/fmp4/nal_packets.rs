//! NAL units out of RTP: alone, aggregated and in fragments, of H.264 (RFC 6184) and H.265 (RFC 7798).

use super::super::random_access::units::Codec;

/// A unit that is larger is none.
const LARGEST_UNIT: usize = 8 << 20;

/// The units of one stream.
#[derive(Debug)]
pub(in super::super) struct NalPackets {
    codec: Codec,
    /// A unit whose last fragment has not come. Empty: there is none.
    begun: Vec<u8>,
}

/// What a packet is.
enum Packed<'a> {
    Unit(&'a [u8]),
    /// Units, each behind its length in 16 bits.
    Units(&'a [u8]),
    Fragment {
        is_first: bool,
        is_last: bool,
        header: [u8; 2],
        body: &'a [u8],
    },
    Nothing,
}

impl NalPackets {
    pub fn new(codec: Codec) -> Self {
        Self { codec, begun: Vec::new() }
    }

    /// Something is missing before the next packet.
    pub fn lose(&mut self) {
        self.begun = Vec::new();
    }

    /// Takes a payload; gives each unit that is whole with it to `each`. `false`: something is missing.
    pub fn take(&mut self, payload: &[u8], mut each: impl FnMut(&[u8])) -> bool {
        let packed = if self.codec == Codec::H265 { h265(payload) } else { h264(payload) };
        match packed {
            Packed::Unit(unit) => each(unit),
            Packed::Units(units) => return split(units, each),
            Packed::Nothing => {}
            Packed::Fragment { is_first, is_last, header, body } => {
                if is_first {
                    self.begun.clear();
                    let length = if self.codec == Codec::H265 { 2 } else { 1 };
                    self.begun.extend(&header[..length]);
                } else if self.begun.is_empty() {
                    return false;
                }
                if self.begun.len() + body.len() > LARGEST_UNIT {
                    self.lose();
                    return false;
                }
                self.begun.extend(body);
                if is_last {
                    each(&self.begun);
                    self.begun.clear();
                }
            }
        }
        true
    }
}

fn split(mut units: &[u8], mut each: impl FnMut(&[u8])) -> bool {
    while let Some((length, after)) = units.split_first_chunk() {
        let Some((unit, rest)) = after.split_at_checked(usize::from(u16::from_be_bytes(*length))) else {
            return false;
        };
        each(unit);
        units = rest;
    }
    true
}

/// Section 5.2 of RFC 6184: units of types 1 to 23, STAP-A, FU-A.
fn h264(payload: &[u8]) -> Packed<'_> {
    match *payload {
        [first, ..] if matches!(first & 0x1f, 1..=23) => Packed::Unit(payload),
        [first, ref rest @ ..] if first & 0x1f == 24 => Packed::Units(rest),
        [first, header, ref body @ ..] if first & 0x1f == 28 => Packed::Fragment {
            is_first: header & 0x80 != 0,
            is_last: header & 0x40 != 0,
            header: [first & 0xe0 | header & 0x1f, 0],
            body,
        },
        _ => Packed::Nothing,
    }
}

/// Section 4.4 of RFC 7798: units, aggregation packets and fragmentation units, without decoding order numbers.
fn h265(payload: &[u8]) -> Packed<'_> {
    match *payload {
        [first, _, ref rest @ ..] if first >> 1 & 0x3f == 48 => Packed::Units(rest),
        [first, second, header, ref body @ ..] if first >> 1 & 0x3f == 49 => Packed::Fragment {
            is_first: header & 0x80 != 0,
            is_last: header & 0x40 != 0,
            header: [first & 0x81 | header << 1 & 0x7e, second],
            body,
        },
        [first, _, ..] if first >> 1 & 0x3f < 48 => Packed::Unit(payload),
        _ => Packed::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn units(codec: Codec, payloads: &[&[u8]]) -> (Vec<Vec<u8>>, bool) {
        let (mut packets, mut found) = (NalPackets::new(codec), Vec::new());
        let whole = payloads.iter().all(|payload| packets.take(payload, |unit| found.push(unit.to_vec())));
        (found, whole)
    }

    #[test]
    fn units_of_h264_come_alone_together_and_in_fragments() {
        let (found, whole) = units(
            Codec::H264,
            &[
                &[0x41, 1],
                &[24, 0, 2, 0x67, 1, 0, 1, 0x68],
                &[0x7c, 0x85, 1],
                &[0x7c, 5, 2],
                &[0x7c, 0x45, 3],
            ],
        );
        assert!(whole);
        assert_eq!(found, [&[0x41, 1][..], &[0x67, 1], &[0x68], &[0x65, 1, 2, 3]]);
    }

    #[test]
    fn units_of_h265_come_alone_together_and_in_fragments() {
        let (found, whole) = units(
            Codec::H265,
            &[
                &[2, 1, 7],
                &[96, 1, 0, 2, 64, 1, 0, 3, 66, 1, 5],
                &[98, 1, 0x93, 1],
                &[98, 1, 0x13, 2],
                &[98, 1, 0x53, 3],
            ],
        );
        assert!(whole);
        assert_eq!(found, [&[2, 1, 7][..], &[64, 1], &[66, 1, 5], &[38, 1, 1, 2, 3]]);
    }

    #[test]
    fn what_is_not_whole_is_told() {
        assert_eq!(units(Codec::H264, &[&[0x7c, 5, 2]]), (vec![], false), "the first fragment is missing");
        assert_eq!(units(Codec::H264, &[&[24, 0, 9, 0x67]]), (vec![], false), "a length that does not fit");
        assert_eq!(units(Codec::H264, &[&[], &[31, 1], &[0]]), (vec![], true), "what is of no known kind");
    }

    proptest! {
        #[test]
        fn hostile_payloads_never_panic(payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..40)) {
            let payloads: Vec<_> = payloads.iter().map(Vec::as_slice).collect();
            for codec in [Codec::H264, Codec::H265] {
                let (found, _) = units(codec, &payloads);
                prop_assert!(found.iter().map(Vec::len).sum::<usize>() <= 40 * 42);
            }
        }
    }
}
