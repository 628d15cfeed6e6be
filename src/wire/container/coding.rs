//! How a track is coded, by its sample entry (ISO/IEC 14496-12 section 8.5.2, QuickTime's "Sound Sample Description").
//!
//! Entries are read here: QuickTime has three of sound, which the library knows one of. So is `esds`, whose descriptors it reads one within
//! another, as deep as they are.

use mp4_atom::{Avcc, Dops, Hvcc};

use super::boxes::{Kind, NoFilm, Place};
use super::fields::Fields;
use super::hints::HintTrack;
use super::read_at::ReadAt;

/// Bytes that an entry begins with: of all, then of pictures and of sound.
const ENTRY_LEN: u64 = 8;
const PICTURE_LEN: u64 = 70;
const SOUND_LEN: u64 = 20;
/// What QuickTime adds to sound.
const MORE_SOUND_LEN: u64 = 16;
const MOST_SOUND_LEN: u64 = 36;
/// More than any entry begins with, or says how it is coded.
const MOST_LEN: usize = 1 << 12;

/// How a track is coded, with what a decoder has to know first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Coding {
    /// H.264, each NAL unit behind its length (ISO/IEC 14496-15 section 5).
    H264 {
        /// Bytes of that length.
        length_size: u8,
        /// Parameter sets. They may be among the pictures too.
        sps: Vec<Vec<u8>>,
        /// The same, of pictures.
        pps: Vec<Vec<u8>>,
    },
    /// H.265, the same way (section 8).
    H265 {
        /// Bytes of that length.
        length_size: u8,
        /// Parameter sets. They may be among the pictures too.
        vps: Vec<Vec<u8>>,
        /// The same.
        sps: Vec<Vec<u8>>,
        /// The same.
        pps: Vec<Vec<u8>>,
    },
    /// MPEG-4 video.
    Mpeg4Video {
        /// What it begins with: headers down to that of the layer.
        config: Vec<u8>,
    },
    /// AAC.
    Aac {
        /// Its AudioSpecificConfig (ISO/IEC 14496-3 section 1.6.2).
        config: Vec<u8>,
    },
    /// MPEG audio, MP3 among it: its headers say which layer.
    MpegAudio,
    /// Opus, decoded at 48 kHz whatever its track says.
    Opus {
        /// Moments of 48 kHz at the beginning that are not heard.
        pre_skip: u16,
    },
    /// Sound as it is.
    Pcm(Pcm),
    /// Packets that were made of other tracks, as hints (ISO/IEC 14496-12 section 9.1).
    Hints(HintTrack),
    /// Something that is not played.
    Unsupported {
        /// What the file calls it.
        kind: Kind,
        /// Why it is not.
        why: &'static str,
    },
}

/// How a moment of sound is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pcm {
    /// 16 bits, the least byte first.
    Little16,
    /// 16 bits, the greatest byte first.
    Big16,
    /// G.711 µ-law.
    Ulaw,
    /// G.711 A-law.
    Alaw,
}

/// What a track of sound says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sound {
    /// Moments a second, as the file says: of some AAC only half of them. 0: it does not say.
    pub rate: u32,
    /// Loudspeakers.
    pub channels: u16,
}

impl Pcm {
    /// Bytes of a moment of one channel.
    #[must_use]
    pub fn width(self) -> u32 {
        match self {
            Self::Little16 | Self::Big16 => 2,
            Self::Ulaw | Self::Alaw => 1,
        }
    }
}

impl Coding {
    /// Whether it has samples here.
    #[must_use]
    pub fn is_played(&self) -> bool {
        !matches!(self, Self::Unsupported { .. })
    }
}

/// What a `stsd` says first.
pub(super) struct Entry {
    pub kind: Kind,
    pub coding: Coding,
    pub sound: Option<Sound>,
    /// Which of the files that are named holds it, counted from 1.
    pub holder: u16,
}

/// The first entry of a `stsd`.
pub(super) fn entry<F: ReadAt + ?Sized>(file: &F, stsd: &Place) -> Result<Entry, NoFilm> {
    let mut version = [0; 1];
    file.read_at(stsd.body, &mut version).map_err(|error| NoFilm::Unreadable { at: stsd.body, error })?;
    let entry = stsd.behind(8).boxes(file).next().ok_or_else(|| stsd.wrong("says of no coding"))??;
    let bytes = Place { end: entry.end.min(entry.body + MOST_LEN as u64), ..entry }.bytes(file, MOST_LEN)?;
    let mut fields = Fields(bytes.get(6..).unwrap_or_default());
    let holder = fields.short().ok_or_else(|| entry.wrong("ends too early"))?;
    let is_quicktime = version == [0];
    let kind = entry.kind;
    let inner = entry.behind(ENTRY_LEN + PICTURE_LEN);
    let (coding, sound) = match &kind.0 {
        b"avc1" | b"avc3" => (h264(file, &inner), None),
        b"hvc1" | b"hev1" => (h265(file, &inner), None),
        b"mp4v" => (mpeg4(file, &inner, kind), None),
        b"rtp " => {
            let track = HintTrack::read(&bytes).map(Coding::Hints);
            (track.ok_or("its packets are not described"), None)
        }
        b"encv" | b"enca" => (Err("it is encrypted"), None),
        b"mp4a" | b".mp3" | b"ms\0\x55" | b"Opus" | b"sowt" | b"twos" | b"lpcm" | b"ipcm" | b"ulaw"
        | b"alaw" | b"in24" | b"in32" | b"fl32" | b"fl64" | b"fpcm" | b"raw " | b"NONE" => {
            let said = said(&mut fields, is_quicktime).ok_or_else(|| entry.wrong("ends too early"))?;
            let inner = entry.behind(ENTRY_LEN + said.len);
            (sound_coding(file, &inner, kind, &said), Some(said.sound))
        }
        _ => (Err("nothing plays this"), None),
    };
    let coding = coding.unwrap_or_else(|why| Coding::Unsupported { kind, why });
    Ok(Entry { kind, coding, sound, holder })
}

/// What an entry of sound says.
struct Said {
    sound: Sound,
    bits: u32,
    /// Of `lpcm`.
    flags: u32,
    /// Bytes that say it.
    len: u64,
}

fn said(fields: &mut Fields, is_quicktime: bool) -> Option<Said> {
    let version = fields.short()?;
    fields.take(6)?;
    let (channels, bits) = (fields.short()?, fields.short()?);
    fields.take(4)?;
    let rate = fields.word()? >> 16;
    let bits = u32::from(bits);
    if !is_quicktime || version != 2 {
        let more = if is_quicktime && version == 1 { MORE_SOUND_LEN } else { 0 };
        let sound = Sound { rate, channels };
        return Some(Said { sound, bits, flags: 0, len: SOUND_LEN + more });
    }
    fields.take(4)?;
    let rate = f64::from_bits(fields.long()?) as u32;
    let channels = u16::try_from(fields.word()?).unwrap_or(u16::MAX);
    fields.take(4)?;
    let (bits, flags) = (fields.word()?, fields.word()?);
    Some(Said { sound: Sound { rate, channels }, bits, flags, len: SOUND_LEN + MOST_SOUND_LEN })
}

type Found = Result<Coding, &'static str>;

fn h264<F: ReadAt + ?Sized>(file: &F, inner: &Place) -> Found {
    let avcc: Avcc = config(file, inner, b"avcC")?;
    let Avcc { length_size, sequence_parameter_sets: sps, picture_parameter_sets: pps, .. } = avcc;
    Ok(Coding::H264 { length_size, sps, pps })
}

fn h265<F: ReadAt + ?Sized>(file: &F, inner: &Place) -> Found {
    let hvcc: Hvcc = config(file, inner, b"hvcC")?;
    let sets = |kind: u8| {
        let arrays = hvcc.arrays.iter().filter(move |array| array.nal_unit_type == kind);
        arrays.flat_map(|array| array.nalus.clone()).collect()
    };
    let [vps, sps, pps] = [32, 33, 34].map(sets);
    Ok(Coding::H265 { length_size: hvcc.length_size_minus_one + 1, vps, sps, pps })
}

fn config<T: mp4_atom::Atom, F: ReadAt + ?Sized>(
    file: &F,
    inner: &Place,
    kind: &[u8; 4],
) -> Result<T, &'static str> {
    let found = inner.find(file, kind).ok().flatten().ok_or("nothing tells how it is to be decoded")?;
    found.decode(file).map_err(|_| "what tells how it is to be decoded can not be read")
}

fn mpeg4<F: ReadAt + ?Sized>(file: &F, inner: &Place, kind: Kind) -> Found {
    let bytes = inner.find(file, b"esds").ok().flatten().and_then(|esds| esds.bytes(file, MOST_LEN).ok());
    let (object, config) = bytes.as_deref().and_then(described).ok_or("its descriptors can not be read")?;
    match (object, &kind.0) {
        (0x20, b"mp4v") => Ok(Coding::Mpeg4Video { config }),
        (0x40 | 0x66..=0x68, b"mp4a") if !config.is_empty() => Ok(Coding::Aac { config }),
        (0x69 | 0x6B, b"mp4a") => Ok(Coding::MpegAudio),
        _ => Err("nothing plays what its descriptors name"),
    }
}

fn sound_coding<F: ReadAt + ?Sized>(file: &F, inner: &Place, kind: Kind, said: &Said) -> Found {
    const FLOAT: u32 = 1;
    const BIG: u32 = 2;
    match &kind.0 {
        b"mp4a" => {
            // QuickTime has it in a box of its own.
            let wave = inner.find(file, b"wave").ok().flatten();
            mpeg4(file, &wave.unwrap_or(*inner), kind)
        }
        b".mp3" | b"ms\0\x55" => Ok(Coding::MpegAudio),
        b"Opus" => {
            let dops: Dops = config(file, inner, b"dOps")?;
            Ok(Coding::Opus { pre_skip: dops.pre_skip })
        }
        b"ulaw" => Ok(Coding::Pcm(Pcm::Ulaw)),
        b"alaw" => Ok(Coding::Pcm(Pcm::Alaw)),
        b"sowt" if said.bits == 16 => Ok(Coding::Pcm(Pcm::Little16)),
        b"twos" if said.bits == 16 => Ok(Coding::Pcm(Pcm::Big16)),
        b"lpcm" if said.bits == 16 && said.flags & FLOAT == 0 => {
            Ok(Coding::Pcm(if said.flags & BIG == 0 { Pcm::Little16 } else { Pcm::Big16 }))
        }
        b"ipcm" => iso_pcm(file, inner),
        _ => Err("sound of other than 16 bits is not played"),
    }
}

/// PCM of ISO/IEC 23003-5.
fn iso_pcm<F: ReadAt + ?Sized>(file: &F, inner: &Place) -> Found {
    let bytes = inner.find(file, b"pcmC").ok().flatten().and_then(|found| found.bytes(file, MOST_LEN).ok());
    match bytes.as_deref() {
        Some([_, _, _, _, flags, 16, ..]) => {
            Ok(Coding::Pcm(if flags & 1 == 1 { Pcm::Little16 } else { Pcm::Big16 }))
        }
        _ => Err("sound of other than 16 bits is not played"),
    }
}

/// What the descriptors of an `esds` name, and how it is to be decoded (ISO/IEC 14496-1 section 7.2.6).
fn described(esds: &[u8]) -> Option<(u8, Vec<u8>)> {
    let mut stream = descriptor(Fields(esds.get(4..)?), 3)?;
    let [_, _, flags] = stream.array()?;
    stream.take(if flags & 0x80 == 0 { 0 } else { 2 })?;
    let url = if flags & 0x40 == 0 { 0 } else { stream.byte()? };
    stream.take(url.into())?;
    stream.take(if flags & 0x20 == 0 { 0 } else { 2 })?;
    let mut decoder = descriptor(stream, 4)?;
    let [object, ..] = decoder.array::<13>()?;
    let config = descriptor(decoder, 5).map(|config| config.0.to_vec());
    Some((object, config.unwrap_or_default()))
}

/// What is in the first descriptor of a kind.
fn descriptor(mut fields: Fields, wanted: u8) -> Option<Fields> {
    loop {
        let kind = fields.byte()?;
        let mut len = 0;
        for _ in 0..4 {
            let byte = fields.byte()?;
            len = len << 7 | usize::from(byte & 0x7F);
            if byte & 0x80 == 0 {
                break;
            }
        }
        let inside = fields.take(len.min(fields.0.len()))?;
        if kind == wanted {
            return Some(Fields(inside));
        }
    }
}
