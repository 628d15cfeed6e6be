//! Pictures, put together from their NAL units: each unit behind its length, as files have them, and without what the beginning of a
//! file says already.

use super::super::random_access::units::{Codec, Picture, Verdict};
use super::sets::{Sets, VideoConfig};

/// A picture that is larger is none: 100 Mbit/s in one of 25 a second are half a megabyte.
const LARGEST_PICTURE: usize = 8 << 20;

/// The pictures of one stream.
#[derive(Debug)]
pub(super) struct Pictures {
    codec: Codec,
    sets: Sets,
    open: Open,
    /// Something of the picture is missing.
    is_damaged: bool,
}

#[derive(Debug, Default)]
struct Open {
    data: Vec<u8>,
    picture: Picture,
    is_start: bool,
    is_told: bool,
}

/// One picture as it is coded.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Coded {
    pub data: Vec<u8>,
    /// A decoder can start with it, and how it is coded is this.
    pub start: Option<VideoConfig>,
}

impl Pictures {
    /// `sets`: units that are known from elsewhere.
    pub fn new(codec: Codec, sets: &[Vec<u8>]) -> Self {
        let mut known = Sets::new(codec);
        sets.iter().for_each(|set| known.keep(set));
        Self { codec, sets: known, open: Open::default(), is_damaged: false }
    }

    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// The next unit of the picture.
    pub fn take(&mut self, unit: &[u8]) {
        let Some(read) = self.codec.unit(unit, true) else { return };
        if !self.open.is_told {
            let verdict = self.open.picture.take(self.codec, read);
            self.open.is_told = verdict != Verdict::Open;
            self.open.is_start = verdict == Verdict::Start;
        }
        self.sets.keep(unit);
        if !self.is_kept(unit[0]) {
            return;
        }
        if self.open.data.len() + 4 + unit.len() > LARGEST_PICTURE {
            return self.damage();
        }
        self.open.data.extend((unit.len() as u32).to_be_bytes());
        self.open.data.extend(unit);
    }

    /// Something of the picture, or of one before it, is missing.
    pub fn damage(&mut self) {
        self.is_damaged = true;
        self.open.data = Vec::new();
    }

    /// The picture is whole. `Err`: it is not; nothing that follows can be shown before one that a decoder can start with.
    pub fn end(&mut self) -> Result<Option<Coded>, ()> {
        let Open { data, is_start, .. } = std::mem::take(&mut self.open);
        if std::mem::take(&mut self.is_damaged) {
            return Err(());
        }
        let start = if is_start { self.sets.config() } else { None };
        Ok(Some(Coded { data, start }).filter(|coded| !coded.data.is_empty()))
    }

    /// Whether it stays in the picture: no parameters, and nothing that only marks or fills.
    fn is_kept(&self, header: u8) -> bool {
        match self.codec {
            Codec::H265 => !matches!(header >> 1 & 0x3f, 32..=38),
            _ => !matches!(header & 0x1f, 0 | 7..),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{H264_PPS, H264_SPS};
    use super::*;

    #[test]
    fn a_picture_is_its_units_behind_their_lengths() {
        let mut pictures = Pictures::new(Codec::H264, &[]);
        for unit in [&[9, 0xf0][..], &H264_SPS, &H264_PPS, &[6, 1, 1, 0], &[0x65, 1], &[0x65, 2, 3], &[12, 9]]
        {
            pictures.take(unit);
        }
        let coded = pictures.end().expect("whole").expect("a picture");
        assert_eq!(coded.data, [0, 0, 0, 4, 6, 1, 1, 0, 0, 0, 0, 2, 0x65, 1, 0, 0, 0, 3, 0x65, 2, 3]);
        assert_eq!(coded.start.map(|config| config.shape.width), Some(160));
        pictures.take(&[0x41, 0x9a]);
        let next = pictures.end().expect("whole").expect("a picture");
        assert_eq!((next.data.len(), next.start), (6, None));
        assert_eq!(pictures.end(), Ok(None));
    }

    #[test]
    fn without_parameter_sets_nothing_starts_unless_they_are_known() {
        for (sets, starts) in [(vec![], false), (vec![H264_SPS.to_vec(), H264_PPS.to_vec()], true)] {
            let mut pictures = Pictures::new(Codec::H264, &sets);
            pictures.take(&[0x65, 1]);
            assert_eq!(pictures.end().expect("whole").expect("a picture").start.is_some(), starts);
        }
    }

    #[test]
    fn what_is_damaged_or_has_no_end_is_no_picture() {
        let mut pictures = Pictures::new(Codec::H264, &[]);
        pictures.take(&[0x65, 1]);
        pictures.damage();
        assert_eq!(pictures.end(), Err(()));
        for _ in 0..10 {
            pictures.take(&vec![0x65; 1 << 20]);
            assert!(pictures.open.data.len() <= LARGEST_PICTURE);
        }
        assert_eq!(pictures.end(), Err(()));
        assert_eq!(pictures.end(), Ok(None), "the next one is another");
    }
}
