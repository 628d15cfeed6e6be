//! Whether a picture is one that a decoder can start with, told from its first units: the NAL units of H.264 and H.265, the
//! start codes of MPEG-2. Knows one picture, and not how it came.

/// How video is coded, as far as its units are read here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// MPEG-1 and MPEG-2 (ISO/IEC 13818-2).
    Mpeg2,
    /// H.264 (ISO/IEC 14496-10).
    H264,
    /// H.265 (ISO/IEC 23008-2).
    H265,
}

/// What the beginning of a picture tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// A decoder can start with it.
    Start,
    /// It needs others before it.
    Needy,
    /// More of it would tell.
    Open,
}

/// What the units of one picture have told so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Picture {
    /// Parameter sets, or a sequence header, have come with it.
    pub has_parameters: bool,
}

/// The payload type of the SEI message that says from where pictures are whole again.
const RECOVERY_POINT: usize = 6;
/// Slice types that refer to no other picture: I and SI, each alone or in all of the picture.
const INTRA_SLICES: [u32; 4] = [2, 4, 7, 9];
/// So many bytes of a slice tell its type.
const SLICE_HEAD: usize = 8;
/// So much of a unit is kept, and so much of a picture looked at: encoders write what they are, and their settings, before
/// the first slice.
const MOST_OF_UNIT: usize = 256;
const MOST_LOOKED_AT: usize = 8192;
/// So many bytes tell most of them.
const HEAD_OF_UNIT: usize = 16;

/// One unit of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit<'a> {
    /// Its first byte, which says what it is.
    pub header: u8,
    /// What follows the header.
    pub body: &'a [u8],
    /// The body goes to its end.
    pub is_whole: bool,
}

impl Codec {
    /// A unit from its first byte on. `None`: its header is not all there.
    pub fn unit(self, bytes: &[u8], is_whole: bool) -> Option<Unit<'_>> {
        let body = bytes.get(if self == Self::H265 { 2 } else { 1 }..)?;
        Some(Unit { header: bytes[0], body, is_whole })
    }

    /// Whether a unit is a parameter set.
    pub fn is_parameters(self, header: u8) -> bool {
        match self {
            Self::H264 => matches!(header & 0x1f, 7 | 8),
            Self::H265 => matches!(header >> 1 & 0x3f, 32..=34),
            Self::Mpeg2 => header == 0xb3,
        }
    }
}

impl Picture {
    /// Takes in the picture's next unit.
    pub fn take(&mut self, codec: Codec, unit: Unit<'_>) -> Verdict {
        let verdict = match codec {
            Codec::H264 => self.h264(unit),
            Codec::H265 => h265(unit),
            Codec::Mpeg2 => self.mpeg2(unit),
        };
        self.has_parameters |= codec.is_parameters(unit.header);
        verdict
    }

    fn h264(&self, Unit { header, body, is_whole }: Unit<'_>) -> Verdict {
        match header & 0x1f {
            5 => Verdict::Start,
            1 if self.has_parameters => match slice_type(body) {
                Some(kind) if INTRA_SLICES.contains(&kind) => Verdict::Start,
                None if !is_whole && body.len() < SLICE_HEAD => Verdict::Open,
                _ => Verdict::Needy,
            },
            1..=4 => Verdict::Needy,
            6 => sei(body),
            _ => Verdict::Open,
        }
    }

    fn mpeg2(&self, Unit { header, body, .. }: Unit<'_>) -> Verdict {
        match (header, body) {
            // temporal_reference, 10 bits; picture_coding_type, 3 bits.
            (0, [_, kind, ..]) if self.has_parameters && kind >> 3 & 7 == 1 => Verdict::Start,
            (0, [_, _, ..]) | (0x01..=0xaf, _) => Verdict::Needy,
            _ => Verdict::Open,
        }
    }
}

fn h265(Unit { header, body, .. }: Unit<'_>) -> Verdict {
    match header >> 1 & 0x3f {
        16..=21 => Verdict::Start,
        0..=9 => Verdict::Needy,
        39 => sei(body),
        _ => Verdict::Open,
    }
}

/// A look at the first bytes of a picture in a byte stream, where units stand behind start codes.
#[derive(Debug)]
pub struct Look {
    codec: Codec,
    picture: Picture,
    /// The first bytes of the unit that came last; `None` before the first.
    unit: Option<Vec<u8>>,
    /// Bytes of 0 that came last.
    zeros: usize,
    looked_at: usize,
}

impl Look {
    pub fn new(codec: Codec) -> Self {
        Self { codec, picture: Picture::default(), unit: None, zeros: 0, looked_at: 0 }
    }

    /// Takes in what comes next of the picture: each byte is looked at once.
    pub fn take(&mut self, bytes: &[u8]) -> Verdict {
        for byte in bytes.iter().copied() {
            if self.zeros >= 2 && byte == 1 {
                match self.judge(true) {
                    Verdict::Open => self.unit.get_or_insert_default().clear(),
                    verdict => return verdict,
                }
                self.zeros = 0;
                continue;
            }
            self.zeros = if byte == 0 { self.zeros + 1 } else { 0 };
            let Some(unit) = self.unit.as_mut().filter(|unit| unit.len() < MOST_OF_UNIT) else { continue };
            unit.push(byte);
            if unit.len() == HEAD_OF_UNIT {
                match self.judge(false) {
                    Verdict::Open => {}
                    verdict => return verdict,
                }
            }
        }
        self.looked_at += bytes.len();
        match self.judge(false) {
            Verdict::Open if self.looked_at >= MOST_LOOKED_AT => Verdict::Needy,
            verdict => verdict,
        }
    }

    fn judge(&mut self, is_whole: bool) -> Verdict {
        let unit = self.unit.as_deref().and_then(|unit| self.codec.unit(unit, is_whole));
        unit.map_or(Verdict::Open, |unit| self.picture.take(self.codec, unit))
    }
}

/// Whether one of the SEI messages is a recovery point.
fn sei(unit: &[u8]) -> Verdict {
    let mut bytes = unescaped(unit);
    while let Some(kind) = sei_number(&mut bytes)
        && let Some(length) = sei_number(&mut bytes)
    {
        if kind == RECOVERY_POINT && length > 0 {
            return Verdict::Start;
        }
        if length > 0 && bytes.nth(length - 1).is_none() {
            break;
        }
    }
    Verdict::Open
}

/// Bytes of 255 and one that is less, added up.
fn sei_number(bytes: &mut impl Iterator<Item = u8>) -> Option<usize> {
    let mut sum = 0;
    loop {
        let byte = bytes.next()?;
        sum += usize::from(byte);
        if byte != 0xff {
            return Some(sum);
        }
    }
}

/// The type of an H.264 slice, behind the number of its first macroblock.
fn slice_type(slice: &[u8]) -> Option<u32> {
    let mut bytes = unescaped(slice).take(SLICE_HEAD);
    let all = std::array::from_fn(|_| bytes.next().unwrap_or_default());
    let known = 8 * slice.len().min(SLICE_HEAD) as u32;
    let mut bits = u64::from_be_bytes(all);
    let mut read = 0;
    let mut number = || {
        let zeros = bits.leading_zeros();
        let length = 2 * zeros + 1;
        read += length;
        if zeros > 15 || read > known {
            return None;
        }
        let number = (bits >> (64 - length)) as u32 - 1;
        bits <<= length;
        Some(number)
    };
    number()?;
    number()
}

/// Without the bytes that keep a unit from looking like the start of another.
pub fn unescaped(unit: &[u8]) -> impl Iterator<Item = u8> {
    let mut zeros = 0;
    unit.iter().copied().filter(move |byte| {
        let is_kept = zeros < 2 || *byte != 3;
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
        is_kept
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stream(codec: Codec, units: &[&[u8]]) -> Verdict {
        let bytes: Vec<_> = units.iter().flat_map(|unit| [&[0, 0, 0, 1], *unit].concat()).collect();
        Look::new(codec).take(&bytes)
    }

    #[test]
    fn h264_starts_at_idr_recovery_points_and_intra_pictures_behind_parameters() {
        let (delimiter, sps, pps) = (&[9, 0xf0][..], &[0x67, 77, 0, 31][..], &[0x68, 0xee][..]);
        let slice = |first_bits: u8| [0x41, first_bits, 0, 0, 0, 0, 0, 0, 0];
        // first_mb 0 is the bit 1; slice types 7 (I) and 5 (P) are 0001000 and 00110.
        let (intra, predicted) = (slice(0b1000_1000), slice(0b1001_1000));
        let recovery = &[6, 5, 2, 1, 2, 6, 1, 0xc4, 0x80][..];
        let after_an_escape = &[6, 5, 4, 0, 0, 3, 0, 1, 6, 1, 0xc4][..];
        for (units, verdict) in [
            (vec![delimiter, sps, pps, &[0x65, 1]], Verdict::Start),
            (vec![delimiter, recovery, &predicted], Verdict::Start),
            (vec![after_an_escape, &predicted], Verdict::Start),
            (vec![delimiter, sps, pps, &intra], Verdict::Start),
            (vec![delimiter, sps, pps, &predicted], Verdict::Needy),
            (vec![delimiter, &intra], Verdict::Needy),
            (vec![delimiter, sps, pps], Verdict::Open),
            (vec![delimiter, sps, pps, &[0x41]], Verdict::Open),
            (vec![&[6, 5, 200, 1], &predicted], Verdict::Needy),
            (vec![], Verdict::Open),
        ] {
            assert_eq!(stream(Codec::H264, &units), verdict, "{units:x?}");
        }
    }

    #[test]
    fn h265_starts_at_irap_pictures_and_recovery_points() {
        let unit = |kind: u8| [kind << 1, 1, 0xaf];
        for kind in 16..=21 {
            assert_eq!(stream(Codec::H265, &[&unit(35), &unit(32), &unit(kind)]), Verdict::Start);
        }
        assert_eq!(stream(Codec::H265, &[&unit(35), &[39 << 1, 1, 6, 1, 0x80], &unit(1)]), Verdict::Start);
        assert_eq!(stream(Codec::H265, &[&unit(35), &unit(1)]), Verdict::Needy);
        assert_eq!(stream(Codec::H265, &[&unit(35), &unit(34)]), Verdict::Open);
    }

    #[test]
    fn mpeg2_starts_at_intra_pictures_behind_a_sequence_header() {
        let (header, group) = (&[0xb3, 45, 2, 64][..], &[0xb8, 0, 8, 0][..]);
        let picture = |kind: u8| [0, 0, kind << 3, 0];
        assert_eq!(stream(Codec::Mpeg2, &[header, group, &picture(1)]), Verdict::Start);
        assert_eq!(stream(Codec::Mpeg2, &[header, group, &picture(2)]), Verdict::Needy);
        assert_eq!(stream(Codec::Mpeg2, &[group, &picture(1)]), Verdict::Needy);
        assert_eq!(stream(Codec::Mpeg2, &[header, group, &[0, 0]]), Verdict::Open);
    }

    #[test]
    fn behind_long_messages_a_picture_is_found_and_not_for_ever() {
        let told = |length: usize| stream(Codec::H264, &[&[9, 0xf0], &vec![6; length], &[0x65, 1]]);
        assert_eq!(told(3000), Verdict::Start);
        let mut look = Look::new(Codec::H264);
        let verdicts: Vec<_> = (0..60).map(|_| look.take(&[7; 184])).collect();
        let end = verdicts.iter().position(|verdict| *verdict == Verdict::Needy);
        assert_eq!(end, Some(MOST_LOOKED_AT / 184));
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(bytes in prop::collection::vec(prop_oneof![Just(0_u8), Just(1), any::<u8>()], 0..600)) {
            for codec in [Codec::Mpeg2, Codec::H264, Codec::H265] {
                let _ = Look::new(codec).take(&bytes);
                let unit = codec.unit(&bytes, false);
                let _ = unit.map(|unit| Picture { has_parameters: true }.take(codec, unit));
            }
        }

        /// However it comes in parts, the verdict is the same.
        #[test]
        fn parts_tell_what_the_whole_tells(
            codec in prop::sample::select(vec![Codec::Mpeg2, Codec::H264, Codec::H265]),
            bytes in prop::collection::vec(prop_oneof![4 => Just(0_u8), 2 => Just(1), 1 => Just(0x67), 1 => Just(0x65), 1 => Just(0xb3), 1 => any::<u8>()], 0..200),
            part in 1..40_usize,
        ) {
            let whole = Look::new(codec).take(&bytes);
            let mut look = Look::new(codec);
            let parts = bytes.chunks(part).map(|part| look.take(part)).find(|verdict| *verdict != Verdict::Open);
            prop_assert_eq!(parts.unwrap_or(Verdict::Open), whole);
        }
    }
}
