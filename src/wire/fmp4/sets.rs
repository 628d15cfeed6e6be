//! Parameter sets: the newest of each kind and number, and what a file says of pictures that are coded by them.

use std::collections::BTreeMap;

use super::super::random_access::units::{Codec, unescaped};
use super::bits::Bits;
use super::sps::Shape;

/// So many are kept, and of each no more than this: encoders use one or two of a kind.
const MOST_SETS: usize = 16;
const LONGEST_SET: usize = 1024;

/// The kinds of sets in the order of a file: of all video (H.265 alone), of a sequence, of pictures.
const VIDEO: u8 = 0;
const SEQUENCE: u8 = 1;
const PICTURES: u8 = 2;

/// The sets of one stream by kind and number.
#[derive(Debug, Clone)]
pub(super) struct Sets {
    codec: Codec,
    sets: BTreeMap<(u8, u32), Vec<u8>>,
}

/// How video is coded: what the beginning of a file says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct VideoConfig {
    pub codec: Codec,
    pub shape: Shape,
    /// Of all video, of sequences, of pictures.
    pub sets: [Vec<Vec<u8>>; 3],
}

impl Sets {
    pub fn new(codec: Codec) -> Self {
        Self { codec, sets: BTreeMap::new() }
    }

    /// Keeps a unit, if it is a set.
    pub fn keep(&mut self, unit: &[u8]) {
        let Some(key) = self.key(unit).filter(|_| unit.len() <= LONGEST_SET) else { return };
        if self.sets.len() < MOST_SETS || self.sets.contains_key(&key) {
            self.sets.insert(key, unit.to_vec());
        }
    }

    /// What they say. `None`: there is not enough of them yet.
    pub fn config(&self) -> Option<VideoConfig> {
        let of = |kind: u8| {
            let own = self.sets.iter().filter(|((own, _), _)| *own == kind);
            own.map(|(_, set)| set.clone()).collect::<Vec<_>>()
        };
        let sets = [of(VIDEO), of(SEQUENCE), of(PICTURES)];
        let is_complete = !sets[2].is_empty() && (self.codec != Codec::H265 || !sets[0].is_empty());
        let shape = Shape::read(self.codec, sets[1].first()?).filter(|_| is_complete)?;
        Some(VideoConfig { codec: self.codec, shape, sets })
    }

    fn key(&self, unit: &[u8]) -> Option<(u8, u32)> {
        let first = *unit.first()?;
        // What stands before the set's own number: the unit's header; profile and level of a sequence.
        let (kind, before) = match self.codec {
            Codec::H264 => match first & 0x1f {
                7 => (SEQUENCE, 4),
                8 => (PICTURES, 1),
                _ => return None,
            },
            Codec::H265 => match first >> 1 & 0x3f {
                32 => (VIDEO, 2),
                // Its number is behind the profiles of all layers: one sequence is known at a time.
                33 => return Some((SEQUENCE, 0)),
                34 => (PICTURES, 2),
                _ => return None,
            },
            Codec::Mpeg2 => return None,
        };
        let body: Vec<u8> = unescaped(unit).skip(before).take(8).collect();
        let mut bits = Bits::of(&body);
        let number = if kind == VIDEO { bits.number(4)? } else { bits.counted()? };
        Some((kind, number))
    }
}

impl VideoConfig {
    /// As RFC 6381 and ISO/IEC 14496-15 annex E name it.
    pub fn name(&self) -> String {
        let set = self.sets[1].first().map_or(&[][..], Vec::as_slice);
        match (self.codec, set) {
            (Codec::H265, _) => h265_name(&self.shape.profile),
            (_, [_, profile, constraints, level, ..]) => {
                format!("avc1.{profile:02x}{constraints:02x}{level:02x}")
            }
            _ => "avc1".to_owned(),
        }
    }
}

fn h265_name(profile: &[u8; 12]) -> String {
    let [first, compatibility @ .., level] = profile;
    let space = ["", "A", "B", "C"][usize::from(first >> 6)];
    let tier = if first & 0x20 == 0 { 'L' } else { 'H' };
    let [a, b, c, d, constraints @ ..] = compatibility;
    let compatible = u32::from_be_bytes([*a, *b, *c, *d]).reverse_bits();
    let end = constraints.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let constraints: String = constraints[..end].iter().map(|byte| format!(".{byte:X}")).collect();
    format!("hvc1.{space}{}.{compatible:X}.{tier}{level}{constraints}", first & 0x1f)
}

#[cfg(test)]
mod tests {
    use super::super::samples::{H264_PPS, H264_SPS, H265_PPS, H265_SPS, H265_VPS};
    use super::*;
    use proptest::prelude::*;

    fn config(codec: Codec, units: &[&[u8]]) -> Option<VideoConfig> {
        let mut sets = Sets::new(codec);
        units.iter().for_each(|unit| sets.keep(unit));
        sets.config()
    }

    #[test]
    fn sets_of_encoders_tell_name_and_size() {
        let h264 = config(Codec::H264, &[&H264_SPS, &H264_PPS]).expect("all there is");
        assert_eq!((h264.shape.width, h264.shape.height, h264.shape.reorder), (160, 120, 2));
        assert_eq!(h264.name(), "avc1.64000b");
        let h265 = config(Codec::H265, &[&H265_VPS, &H265_SPS, &H265_PPS]).expect("all there is");
        assert_eq!((h265.shape.width, h265.shape.height, h265.shape.reorder), (160, 120, 2));
        assert_eq!(h265.name(), "hvc1.1.6.L30.90");
    }

    #[test]
    fn too_few_of_them_tell_nothing() {
        assert_eq!(config(Codec::H264, &[&H264_SPS]), None);
        assert_eq!(config(Codec::H264, &[&H264_PPS]), None);
        assert_eq!(config(Codec::H265, &[&H265_SPS, &H265_PPS]), None);
        assert_eq!(config(Codec::H264, &[&H264_SPS[..6], &H264_PPS]), None, "cut short");
    }

    #[test]
    fn of_a_number_the_newest_counts_and_so_many_are_kept() {
        let mut sets = Sets::new(Codec::H264);
        for number in 0..200_u8 {
            sets.keep(&[0x68, number, 1, 2]);
            sets.keep(&[0x67; LONGEST_SET + 1]);
        }
        assert!(sets.sets.len() <= MOST_SETS);
        let mut sets = Sets::new(Codec::H264);
        [7, 8].into_iter().for_each(|last| sets.keep(&[0x68, 0xee, last]));
        assert_eq!(sets.sets.values().collect::<Vec<_>>(), [&[0x68, 0xee, 8]]);
    }

    proptest! {
        #[test]
        fn hostile_sets_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            for (codec, header) in [(Codec::H264, vec![0x67]), (Codec::H265, vec![66, 1]), (Codec::Mpeg2, vec![])] {
                let set = [header, bytes.clone()].concat();
                let _ = Shape::read(codec, &set);
                let _ = config(codec, &[&set, &H264_PPS, &H265_VPS, &H265_PPS]).map(|config| config.name());
            }
        }
    }
}
