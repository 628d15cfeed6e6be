//! How AAC is coded: the AudioSpecificConfig (ISO/IEC 14496-3 section 1.6.2.1), as descriptions and the frames of ADTS tell it.

use super::bits::Bits;

/// Sampling frequencies by index.
const RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];
/// A longer one is none.
const LONGEST_CONFIG: usize = 64;

/// Kinds of AAC that browsers decode: LC, and with SBR and PS, which are told by numbers of their own.
const AAC_LC: u8 = 2;
const SBR: u8 = 5;
const PS: u8 = 29;

/// What the beginning of a file says of the sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct SoundConfig {
    /// The AudioSpecificConfig.
    pub bytes: Vec<u8>,
    /// The kind of AAC by its number.
    pub kind: u8,
    pub channels: u8,
    pub rate: u32,
}

/// What an AudioSpecificConfig begins with.
struct Head {
    kind: u8,
    rate: u32,
    channels: u8,
    bits: usize,
}

impl SoundConfig {
    /// Reads an AudioSpecificConfig. `None`: it is none, or of a kind that browsers do not decode.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let Head { kind, rate, channels, .. } = Head::read(bytes)?;
        let bytes = Some(bytes.to_vec()).filter(|bytes| bytes.len() <= LONGEST_CONFIG)?;
        Some(Self { bytes, kind, channels, rate })
    }

    /// Reads a StreamMuxConfig (section 1.7.3) of one stream with a frame each time, where the config begins with bit 15.
    pub fn of_latm(mux: &[u8]) -> Option<Self> {
        let mut bits = Bits::of(mux);
        let is_plain = !bits.flag()? && bits.flag()? && bits.number(13)? == 0;
        let shifted: Vec<u8> = mux.windows(2).skip(1).map(|pair| pair[0] << 7 | pair[1] >> 1).collect();
        let length = Head::read(&shifted).filter(|_| is_plain)?.bits.div_ceil(8);
        Self::read(shifted.get(..length)?)
    }

    /// Of a frame of ADTS, whose header is whole.
    pub fn of_adts(header: [u8; 7]) -> Option<Self> {
        let [_, _, about, more, ..] = header;
        let (kind, rate, channels) = ((about >> 6) + 1, about >> 2 & 0xf, (about & 1) << 2 | more >> 6);
        Self::read(&[kind << 3 | rate >> 1, rate << 7 | channels << 3])
    }

    /// As RFC 6381 names it.
    pub fn name(&self) -> String {
        format!("mp4a.40.{}", self.kind)
    }
}

impl Head {
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut bits = Bits::of(bytes);
        let kind = bits.number(5)? as u8;
        let mut rate = rate(&mut bits)?;
        let channels = bits.number(4)? as u8;
        if [SBR, PS].contains(&kind) {
            // What comes out is faster than what is in the frames.
            rate = self::rate(&mut bits)?;
            bits.skip(5)?;
        }
        let is_known = [AAC_LC, SBR, PS].contains(&kind) && (1..=7).contains(&channels) && rate > 0;
        // frameLengthFlag, dependsOnCoreCoder, extensionFlag
        is_known.then(|| Self { kind, rate, channels, bits: bits.read() + 3 })
    }
}

fn rate(bits: &mut Bits<'_>) -> Option<u32> {
    match bits.number(4)? {
        15 => bits.number(24),
        index => RATES.get(index as usize).copied(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_config_is_read_wherever_it_is_told() {
        let lc = SoundConfig { bytes: vec![0x11, 0x90], kind: 2, channels: 2, rate: 48_000 };
        assert_eq!(SoundConfig::read(&[0x11, 0x90]), Some(lc.clone()));
        assert_eq!(SoundConfig::of_adts([0xff, 0xf1, 0x4c, 0x80, 0, 0x1f, 0xfc]), Some(lc.clone()));
        assert_eq!(SoundConfig::of_latm(&[0x40, 0x00, 0x23, 0x20, 0x3f, 0xc0]), Some(lc.clone()));
        assert_eq!(lc.name(), "mp4a.40.2");
        let he = SoundConfig::read(&[0x2b, 0x11, 0x88, 0x00]).expect("HE-AAC");
        assert_eq!((he.kind, he.rate, he.channels), (5, 48_000, 2));
    }

    #[test]
    fn what_browsers_do_not_decode_is_none() {
        assert_eq!(SoundConfig::read(&[0xb9, 0x90]), None, "AAC-LD");
        assert_eq!(SoundConfig::read(&[0x11, 0x80]), None, "channels that are told elsewhere");
        assert_eq!(SoundConfig::read(&[0x11]), None);
        assert_eq!(SoundConfig::of_latm(&[0x80, 0, 0x23, 0x20, 0x3f]), None, "of another version");
    }

    proptest! {
        #[test]
        fn hostile_configs_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..20)) {
            let _ = SoundConfig::read(&bytes);
            let _ = SoundConfig::of_latm(&bytes);
        }
    }
}
