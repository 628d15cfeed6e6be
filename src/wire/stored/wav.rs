//! Sound in a WAVE file (RIFF, and RF64 of EBU Tech 3306 where it is larger): where its samples are, and what they are.

use std::io;
use std::ops::Range;

use super::super::payload::{Pcm, Samples};

/// Chunks before the samples; more than any program writes.
const MOST_CHUNKS: usize = 1024;
/// What a `fmt ` chunk may have that is read here.
const FORMAT_LEN: usize = 40;
/// As a length: it is told elsewhere (in `ds64`), or nowhere.
const NOT_TOLD: u32 = u32::MAX;

/// How a sample is written, as `fmt ` names it.
const LINEAR: u16 = 1;
const A_LAW: u16 = 6;
const MU_LAW: u16 = 7;
const EXTENSIBLE: u16 = 0xfffe;

/// The sound of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wav {
    /// What its samples are.
    pub pcm: Pcm,
    /// Where they are: whole samples of all channels.
    data: Range<u64>,
}

/// Why a file is not played.
#[derive(Debug, thiserror::Error)]
pub enum NoWav {
    /// It begins otherwise.
    #[error("it does not begin as a WAVE file")]
    NotOne,
    /// A chunk is not there, or comes too late.
    #[error("at byte {at}: there should be a chunk \"{wanted}\"")]
    Missing {
        /// Where the file has ended, or goes on with others.
        at: u64,
        /// Its name.
        wanted: &'static str,
    },
    /// A chunk is too short, or says what can not be.
    #[error("at byte {at}: the format is none")]
    NoFormat {
        /// Where it is.
        at: u64,
    },
    /// It is coded in a way that is not played.
    #[error("at byte {at}: the format {tag:#06x} with {bits} bits a sample is not played")]
    Unsupported {
        /// Where it is said.
        at: u64,
        /// How it is coded, by its number.
        tag: u16,
        /// Bits of a sample.
        bits: u16,
    },
    /// It can not be read.
    #[error("at byte {at}: {error}")]
    Unreadable {
        /// Where.
        at: u64,
        /// Why.
        error: io::Error,
    },
}

impl Wav {
    /// Reads what a file of so many bytes says before its samples; `read_at` fills what it is given from there on.
    ///
    /// # Errors
    /// It is none, or of a kind that is not played.
    pub fn read(length: u64, read_at: impl Fn(u64, &mut [u8]) -> io::Result<()>) -> Result<Self, NoWav> {
        let read =
            |at: u64, into: &mut [u8]| read_at(at, into).map_err(|error| NoWav::Unreadable { at, error });
        let mut head = [0; 12];
        read(0, if length < 12 { &mut [] } else { &mut head })?;
        if !matches!(&head, [b'R', b'I' | b'F', b'F' | b'6', b'F' | b'4', _, _, _, _, b'W', b'A', b'V', b'E'])
        {
            return Err(NoWav::NotOne);
        }
        let (mut at, mut pcm, mut told) = (12, None, None);
        for _ in 0..MOST_CHUNKS {
            if length.saturating_sub(at) < 8 {
                break;
            }
            let mut head = [0; 8];
            read(at, &mut head)?;
            let [name @ .., a, b, c, d] = head;
            let (size, body) = (u32::from_le_bytes([a, b, c, d]), at + 8);
            match &name {
                b"ds64" => {
                    // The length of all comes first.
                    let mut lengths = [0; 16];
                    read(body, if length - body < 16 { &mut [] } else { &mut lengths })?;
                    told = lengths.last_chunk().map(|last| u64::from_le_bytes(*last));
                }
                b"fmt " => {
                    let mut format = vec![0; FORMAT_LEN.min(size as usize).min((length - body) as usize)];
                    read(body, &mut format)?;
                    pcm = Some(pcm_of(&format, at)?);
                }
                b"data" => {
                    let pcm = pcm.ok_or(NoWav::Missing { at, wanted: "fmt " })?;
                    let size = if size == NOT_TOLD { told.unwrap_or(u64::MAX) } else { size.into() };
                    // A program that was ended while it wrote has told nothing.
                    let size = if size == 0 { u64::MAX } else { size }.min(length - body);
                    return Ok(Self { pcm, data: body..body + size - size % pcm.frame_len() as u64 });
                }
                _ => {}
            }
            at = body + u64::from(size) + u64::from(size % 2);
        }
        Err(NoWav::Missing { at, wanted: if pcm.is_some() { "data" } else { "fmt " } })
    }

    /// How many samples it has of each channel.
    #[must_use]
    pub fn frames(&self) -> u64 {
        (self.data.end - self.data.start) / self.pcm.frame_len() as u64
    }

    /// How long it takes, in microseconds.
    #[must_use]
    pub fn duration_us(&self) -> u64 {
        self.time_of(self.frames())
    }

    /// When a sample is heard, in microseconds.
    #[must_use]
    pub fn time_of(&self, frame: u64) -> u64 {
        (u128::from(frame) * 1_000_000 / u128::from(self.pcm.rate)) as u64
    }

    /// The sample that is heard then: the last one, behind the end.
    #[must_use]
    pub fn frame_at(&self, us: u64) -> u64 {
        let frame = u128::from(us) * u128::from(self.pcm.rate) / 1_000_000;
        u64::try_from(frame).unwrap_or(u64::MAX).min(self.frames().saturating_sub(1))
    }

    /// Where so many samples of all channels are from one on, or as many as there are.
    #[must_use]
    pub fn bytes_of(&self, frame: u64, count: u64) -> Range<u64> {
        let frame_len = self.pcm.frame_len() as u64;
        let from = frame.min(self.frames());
        let to = from.saturating_add(count).min(self.frames());
        self.data.start + from * frame_len..self.data.start + to * frame_len
    }
}

/// What a `fmt ` chunk says.
fn pcm_of(format: &[u8], at: u64) -> Result<Pcm, NoWav> {
    let short = |place: usize| {
        let bytes = format.get(place..).and_then(|rest| rest.first_chunk());
        bytes.map(|bytes| u16::from_le_bytes(*bytes)).ok_or(NoWav::NoFormat { at })
    };
    let (tag, channels, bits) = (short(0)?, short(2)?, short(14)?);
    let rate = u32::from(short(4)?) | u32::from(short(6)?) << 16;
    // The extensible one has the number at the beginning of a GUID.
    let tag = if tag == EXTENSIBLE { short(24)? } else { tag };
    let samples = match (tag, bits) {
        (LINEAR, 8) => Samples::Linear8 { is_signed: false },
        (LINEAR, 16) => Samples::Linear16 { is_little_endian: true },
        (LINEAR, 24) => Samples::Linear24 { is_little_endian: true },
        (A_LAW, 8) => Samples::ALaw,
        (MU_LAW, 8) => Samples::MuLaw,
        _ => return Err(NoWav::Unsupported { at, tag, bits }),
    };
    let pcm = Pcm { samples, rate, channels };
    if rate == 0 || channels == 0 || usize::from(short(12)?) != pcm.frame_len() {
        return Err(NoWav::NoFormat { at });
    }
    Ok(pcm)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(file: &[u8]) -> Result<Wav, NoWav> {
        Wav::read(file.len() as u64, |at, into| {
            let from = usize::try_from(at).unwrap_or(usize::MAX);
            let there = file.get(from..).and_then(|rest| rest.get(..into.len()));
            into.copy_from_slice(there.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn chunk(name: &[u8; 4], size: u32, body: &[u8]) -> Vec<u8> {
        [name.as_slice(), &size.to_le_bytes(), body].concat()
    }

    fn format(tag: u16, channels: u16, rate: u32, bits: u16) -> Vec<u8> {
        let frame_len = channels * (bits / 8);
        let mut body = [tag.to_le_bytes(), channels.to_le_bytes()].concat();
        body.extend(rate.to_le_bytes());
        body.extend((rate * u32::from(frame_len)).to_le_bytes());
        body.extend([frame_len.to_le_bytes(), bits.to_le_bytes()].concat());
        body
    }

    fn wav(name: &[u8; 4], chunks: &[Vec<u8>]) -> Vec<u8> {
        [chunk(name, 0, b"WAVE"), chunks.concat()].concat()
    }

    #[test]
    fn samples_are_found_behind_whatever_chunks() {
        let fmt = chunk(b"fmt ", 16, &format(LINEAR, 2, 48_000, 16));
        let list = chunk(b"LIST", 3, &[1, 2, 3, 0]);
        let file = wav(b"RIFF", &[list, fmt, chunk(b"data", 9, &[7; 12])]);
        let wav = read(&file).expect("a file");
        let samples = Samples::Linear16 { is_little_endian: true };
        assert_eq!(wav.pcm, Pcm { samples, rate: 48_000, channels: 2 });
        let data = file.len() as u64 - 12;
        assert_eq!((wav.frames(), wav.bytes_of(1, 7)), (2, data + 4..data + 8));
        assert_eq!((wav.frame_at(21), wav.frame_at(99), wav.time_of(2)), (1, 1, 41));
    }

    #[test]
    fn a_length_that_is_not_told_is_that_of_the_file() {
        for (name, told, size) in
            [(b"RIFF", None, 0), (b"RIFF", None, NOT_TOLD), (b"RF64", Some(6_u64), NOT_TOLD)]
        {
            let lengths = told.map(|told| chunk(b"ds64", 16, &[[0; 8], told.to_le_bytes()].concat()));
            let fmt = chunk(b"fmt ", 16, &format(MU_LAW, 1, 8_000, 8));
            let chunks: Vec<_> = lengths.into_iter().chain([fmt, chunk(b"data", size, &[1; 10])]).collect();
            assert_eq!(read(&wav(name, &chunks)).expect("a file").frames(), told.unwrap_or(10));
        }
    }

    #[test]
    fn what_is_not_played_says_why() {
        let of = |tag, bits| wav(b"RIFF", &[chunk(b"fmt ", 16, &format(tag, 1, 8_000, bits))]);
        let said = |file: &[u8]| read(file).expect_err("not played").to_string();
        assert_eq!(said(&of(3, 32)), "at byte 12: the format 0x0003 with 32 bits a sample is not played");
        assert_eq!(said(&of(LINEAR, 16)), "at byte 36: there should be a chunk \"data\"");
        assert_eq!(said(b"RIFF"), "it does not begin as a WAVE file");
        assert_eq!(said(&wav(b"RIFF", &[chunk(b"fmt ", 2, &[1, 0])])), "at byte 12: the format is none");
        let other = chunk(b"data", 4, &[0; 4]);
        assert_eq!(said(&wav(b"RIFF", &[other])), "at byte 12: there should be a chunk \"fmt \"");
    }

    proptest! {
        #[test]
        fn hostile_files_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..100), place in 0usize..60, size: u32) {
            let fmt = chunk(b"fmt ", 16, &format(LINEAR, 2, 48_000, 24));
            let mut file = wav(b"RF64", &[chunk(b"ds64", 16, &[9; 16]), fmt, chunk(b"data", size, &bytes)]);
            for (own, other) in file.iter_mut().skip(place).zip(&bytes) {
                *own ^= other;
            }
            if let Ok(wav) = read(&file) {
                prop_assert!(wav.bytes_of(0, u64::MAX).end <= file.len() as u64);
                prop_assert!(wav.frame_at(u64::MAX) <= wav.frames());
                let _ = wav.duration_us();
            }
            let _ = read(&bytes);
        }
    }
}
