//! How a track is coded, with all that a decoder has to know beforehand.

use super::super::fmp4::SoundConfig;
use super::super::random_access::units::Codec;
use super::pcm::Pcm;
use super::unit::{LEAST, Payload, Unpackable};
use super::{mpeg_audio, mpeg4, nal, pcm};

/// The coding of a track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Coded {
    /// H.264, as RFC 6184 carries it.
    H264(Nal),
    /// H.265, as RFC 7798 carries it.
    H265(Nal),
    /// AAC in raw frames, as RFC 3640 carries it.
    Aac {
        /// The AudioSpecificConfig (ISO/IEC 14496-3 section 1.6.2.1).
        config: Vec<u8>,
        /// Samples a second, which timestamps count too.
        rate: u32,
        /// How many.
        channels: u16,
    },
    /// MPEG-4 visual (ISO/IEC 14496-2), as RFC 6416 carries it.
    Mpeg4Visual {
        /// What its stream begins with: from the sequence's header to the layer's.
        config: Vec<u8>,
    },
    /// Layers 1 to 3 of MPEG audio, MP3 among them, as RFC 2250 carries them.
    MpegAudio,
    /// Opus, as RFC 7587 carries it: of one channel or two.
    Opus {
        /// One or two.
        channels: u8,
    },
    /// Samples as they are, as RFC 3551 and RFC 3190 carry them.
    Pcm(Pcm),
}

/// NAL units, each behind its length, as ISO/IEC 14496-15 stores them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Nal {
    /// Bytes of a length: 1 to 4.
    pub length_size: u8,
    /// The parameter sets, in the order in which a decoder wants them.
    pub sets: Vec<Vec<u8>>,
}

impl Coded {
    /// AAC; `rate` and `channels` are those of whoever stores it, for a config that is not understood here.
    #[must_use]
    pub fn aac(config: &[u8], rate: u32, channels: u16) -> Self {
        let read = SoundConfig::read(config);
        let (rate, channels) = read.map_or((rate, channels), |read| (read.rate, channels_of(read.channels)));
        Self::Aac { config: config.to_vec(), rate, channels }
    }

    /// What a unit becomes, behind what is in `out`: payloads of at most `most` bytes, where that is not less than [`LEAST`].
    ///
    /// # Errors
    /// The unit can not be sent: nothing of it is.
    pub fn pack(&self, unit: &[u8], most: usize, out: &mut Vec<Payload>) -> Result<(), Unpackable> {
        let (before, most) = (out.len(), most.max(LEAST));
        if unit.is_empty() {
            return Err(Unpackable::Empty);
        }
        let packed = match self {
            Self::H264(coded) => nal::pack(Codec::H264, coded.length_size, unit, most, out),
            Self::H265(coded) => nal::pack(Codec::H265, coded.length_size, unit, most, out),
            Self::Aac { .. } => mpeg4::pack_sound(unit, most, out),
            Self::Mpeg4Visual { .. } => {
                mpeg4::pack_visual(unit, most, out);
                Ok(())
            }
            Self::MpegAudio => mpeg_audio::pack(unit, most, out),
            Self::Opus { .. } if unit.len() > most => Err(Unpackable::TooLarge { bytes: unit.len(), most }),
            Self::Opus { .. } => {
                out.push(Payload { bytes: unit.to_vec(), marker: false, ticks: 0 });
                Ok(())
            }
            Self::Pcm(samples) => pcm::pack(samples, unit, most, out),
        };
        if packed.is_err() {
            out.truncate(before);
        }
        packed
    }

    /// What a decoder that starts has to be told first, of the time of the unit behind it: the parameter sets, where there are some.
    #[must_use]
    pub fn prologue(&self, most: usize) -> Vec<Payload> {
        match self {
            Self::H264(coded) => nal::together(Codec::H264, &coded.sets, most.max(LEAST)),
            Self::H265(coded) => nal::together(Codec::H265, &coded.sets, most.max(LEAST)),
            _ => Vec::new(),
        }
    }
}

/// How many a channelConfiguration means (ISO/IEC 14496-3 table 1.19).
fn channels_of(configuration: u8) -> u16 {
    match configuration {
        7 => 8,
        other => other.into(),
    }
}
