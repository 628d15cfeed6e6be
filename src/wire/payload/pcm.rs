//! Samples of sound as they are: 8, 16 (RFC 3551 section 4.5) or 24 bits (RFC 3190) each, or by G.711; the most significant byte first.

use super::unit::{Payload, Unpackable};

/// Packets of so many a second, at least (RFC 3551 section 4.2: 20 ms).
const PACKETS: u32 = 50;

/// Sound that is not coded otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pcm {
    /// What a sample is.
    pub samples: Samples,
    /// Samples a second of each channel.
    pub rate: u32,
    /// How many, whose samples follow each other.
    pub channels: u16,
}

/// A sample, as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Samples {
    /// 8 bits, of which 128 is silence; or signed, of which 0 is.
    Linear8 {
        /// The latter.
        is_signed: bool,
    },
    /// 16 bits.
    Linear16 {
        /// The least significant byte is first.
        is_little_endian: bool,
    },
    /// 24 bits.
    Linear24 {
        /// The least significant byte is first.
        is_little_endian: bool,
    },
    /// G.711 by the µ-law.
    MuLaw,
    /// G.711 by the A-law.
    ALaw,
}

impl Samples {
    /// Bytes of one.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Self::Linear8 { .. } | Self::MuLaw | Self::ALaw => 1,
            Self::Linear16 { .. } => 2,
            Self::Linear24 { .. } => 3,
        }
    }

    /// As it goes over the network.
    fn turn(self, samples: &mut [u8]) {
        match self {
            Self::Linear8 { is_signed: true } => samples.iter_mut().for_each(|byte| *byte ^= 0x80),
            Self::Linear16 { is_little_endian: true } | Self::Linear24 { is_little_endian: true } => {
                samples.chunks_exact_mut(self.bytes()).for_each(<[u8]>::reverse);
            }
            _ => {}
        }
    }
}

impl Pcm {
    /// Bytes of a sample of all channels.
    #[must_use]
    pub fn frame_len(&self) -> usize {
        self.samples.bytes() * usize::from(self.channels.max(1))
    }
}

/// Samples of all channels, as many as are whole, in payloads of at most 20 ms.
pub(super) fn pack(of: &Pcm, unit: &[u8], most: usize, out: &mut Vec<Payload>) -> Result<(), Unpackable> {
    let frame_len = of.frame_len();
    if frame_len > most {
        return Err(Unpackable::TooLarge { bytes: frame_len, most });
    }
    let left = unit.len() % frame_len;
    if left > 0 {
        return Err(Unpackable::Cut { at: unit.len() - left, length: frame_len, left });
    }
    let frames = (most / frame_len).min((of.rate / PACKETS).max(1) as usize);
    let mut ticks = 0;
    for part in unit.chunks(frames * frame_len) {
        let mut bytes = part.to_vec();
        of.samples.turn(&mut bytes);
        out.push(Payload { bytes, marker: false, ticks });
        ticks = ticks.wrapping_add((part.len() / frame_len) as u32);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(samples: Samples, rate: u32, unit: &[u8]) -> Result<Vec<(u32, Vec<u8>)>, Unpackable> {
        let mut out = Vec::new();
        pack(&Pcm { samples, rate, channels: 2 }, unit, 64, &mut out)?;
        Ok(out.into_iter().map(|payload| (payload.ticks, payload.bytes)).collect())
    }

    #[test]
    fn the_most_significant_byte_is_first() {
        let little = Samples::Linear16 { is_little_endian: true };
        assert_eq!(packed(little, 48_000, &[1, 2, 3, 4]), Ok(vec![(0, vec![2, 1, 4, 3])]));
        let big = Samples::Linear16 { is_little_endian: false };
        assert_eq!(packed(big, 48_000, &[1, 2, 3, 4]), Ok(vec![(0, vec![1, 2, 3, 4])]));
        let little = Samples::Linear24 { is_little_endian: true };
        assert_eq!(packed(little, 48_000, &[1, 2, 3, 4, 5, 6]), Ok(vec![(0, vec![3, 2, 1, 6, 5, 4])]));
        let signed = Samples::Linear8 { is_signed: true };
        assert_eq!(packed(signed, 48_000, &[0, 0x80]), Ok(vec![(0, vec![0x80, 0])]));
    }

    #[test]
    fn a_payload_has_whole_samples_of_all_channels_and_at_most_20_ms() {
        let ticks = |rate, bytes| {
            let packets = packed(Samples::Linear24 { is_little_endian: false }, rate, &vec![0; bytes]);
            packets
                .map(|packets| packets.iter().map(|(ticks, bytes)| (*ticks, bytes.len())).collect::<Vec<_>>())
        };
        assert_eq!(ticks(48_000, 126), Ok(vec![(0, 60), (10, 60), (20, 6)]), "as many as fit in 64 bytes");
        assert_eq!(ticks(200, 60), Ok(vec![(0, 24), (4, 24), (8, 12)]), "20 ms");
        assert_eq!(ticks(48_000, 64), Err(Unpackable::Cut { at: 60, length: 6, left: 4 }));
    }
}
