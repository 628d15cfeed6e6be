//! A film of tracks: an MP4, QuickTime or WAVE file, and what each track of it is packed as.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::wire::container::{Coding, Film, FilmTrack, ReadAt};
use crate::wire::payload::Coded;
use crate::wire::sdp::StoredMedium;
use crate::wire::stored::{Identity, Wav, coded};

use super::no_film::NoFilm;

/// Pieces of sound that has a sample for each moment, in a second.
const PIECES: u32 = 50;
const US: i128 = 1_000_000;

/// A file that can be played.
#[derive(Debug)]
pub(in super::super) struct TrackFilm {
    pub file: StoredFile,
    pub identity: Identity,
    pub media: Vec<Medium>,
    pub duration_us: u64,
    /// When the first of all is shown, in microseconds.
    begins_us: i128,
}

/// Its bytes.
#[derive(Debug)]
pub(in super::super) struct StoredFile {
    file: File,
    bytes: u64,
}

/// One track that is played.
#[derive(Debug)]
pub(in super::super) struct Medium {
    pub coded: Coded,
    pub described: StoredMedium,
    pub ssrc: u32,
    made_of: MadeOf,
}

#[derive(Debug)]
enum MadeOf {
    /// Samples, which are shown so many ticks after they are decoded, if none comes out of turn.
    Samples(Box<FilmTrack>, i64),
    Wave(Wav),
}

/// What is packed at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Unit {
    /// Where it is in the file.
    pub offset: u64,
    pub bytes: u64,
    /// When it is sent, in microseconds since the film's beginning.
    pub sent_us: u64,
    /// Its RTP timestamp.
    pub timestamp: u32,
    /// A decoder can start with it.
    pub is_sync: bool,
    /// The number of the next one.
    pub next: u64,
}

impl ReadAt for StoredFile {
    fn size(&self) -> u64 {
        self.bytes
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(into, offset)
    }
}

impl TrackFilm {
    /// Whether a file begins as one does.
    pub fn is_one(head: &[u8]) -> bool {
        let boxes: [&[u8]; 7] = [b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"];
        head.get(4..8).is_some_and(|name| boxes.contains(&name)) || is_wave(head)
    }

    /// What a file that begins so holds. `name` is for the log.
    pub fn read(name: &str, head: &[u8], file: File, identity: Identity) -> Result<Self, NoFilm> {
        let file = StoredFile { file, bytes: identity.bytes };
        if is_wave(head) {
            let wave = Wav::read(file.size(), |offset, into| file.read_at(offset, into))?;
            let duration_us = wave.duration_us();
            let coded = Coded::Pcm(wave.pcm);
            let media = vec![Medium::new(0, coded, MadeOf::Wave(wave))];
            return Ok(Self { file, identity, media, duration_us, begins_us: 0 });
        }
        let film = Film::read(&file)?;
        let (mut media, mut left_out) = (Vec::new(), Vec::new());
        for track in film.tracks {
            match coded(&track).filter(|_| track.samples.count() > 0) {
                Some(coded) => {
                    let delay = track.samples.sample(0).map_or(0, |first| first.shown_at - first.decoded_at);
                    media.push(Medium::new(media.len(), coded, MadeOf::Samples(Box::new(track), delay)));
                }
                None => left_out.push((track.id, why_not(&track.coding))),
            }
        }
        if media.is_empty() {
            let why = left_out
                .first()
                .map_or_else(|| "it has none".to_owned(), |(id, why)| format!("track {id} {why}"));
            return Err(NoFilm::NoTrack(why));
        }
        for (track, why) in left_out {
            tracing::info!(file = name, track, "a track of a film is left out: it {why}");
        }
        let begins_us = film.begins.as_micros() as i128;
        Ok(Self { file, identity, media, duration_us: film.duration.as_micros() as u64, begins_us })
    }

    /// One of a track's units. `None`: there are no more, or it is damaged.
    pub fn unit(&self, medium: &Medium, number: u64) -> Option<Unit> {
        let clock = i128::from(medium.described.clock_rate);
        match &medium.made_of {
            MadeOf::Samples(track, delay) => {
                let number = u32::try_from(number).ok()?;
                let sample = track.samples.sample(number)?;
                let is_of_moments = matches!(medium.coded, Coded::Pcm(_));
                let piece = if is_of_moments { (medium.described.clock_rate / PIECES).max(1) } else { 1 };
                let count = track.samples.alike(number).clamp(1, piece);
                let scale = i128::from(track.timescale.max(1));
                let sent_us =
                    i128::from(sample.decoded_at.saturating_add(*delay)) * US / scale - self.begins_us;
                let ticks = i128::from(sample.shown_at) * clock / scale - self.begins_us * clock / US;
                Some(Unit {
                    offset: sample.offset,
                    bytes: u64::from(sample.size) * u64::from(count),
                    sent_us: sent_us.max(0) as u64,
                    timestamp: ticks as u32,
                    is_sync: sample.is_sync,
                    next: u64::from(number) + u64::from(count),
                })
            }
            MadeOf::Wave(wave) => {
                let bytes = wave.bytes_of(number, u64::from(medium.described.clock_rate / PIECES).max(1));
                let frames = (bytes.end - bytes.start) / (wave.pcm.frame_len() as u64).max(1);
                (frames > 0).then(|| Unit {
                    offset: bytes.start,
                    bytes: bytes.end - bytes.start,
                    sent_us: wave.time_of(number),
                    timestamp: number as u32,
                    is_sync: true,
                    next: number + frames,
                })
            }
        }
    }

    /// The number of a unit that is sent no later than that, and not long before.
    pub fn unit_by(&self, medium: &Medium, us: u64) -> u64 {
        match &medium.made_of {
            MadeOf::Samples(track, delay) => {
                let tick = self.tick(track, us).saturating_sub(*delay);
                track.samples.decoded_by(tick).unwrap_or(0).into()
            }
            MadeOf::Wave(wave) => wave.frame_at(us),
        }
    }

    /// The newest unit that is shown by then and that a decoder can start with.
    pub fn sync_by(&self, medium: &Medium, us: u64) -> Option<u64> {
        match &medium.made_of {
            MadeOf::Samples(track, _) => track.samples.sync_by(self.tick(track, us)).map(u64::from),
            MadeOf::Wave(wave) => Some(wave.frame_at(us)),
        }
    }

    /// The first unit that is sent no earlier than that and that a decoder can start with.
    pub fn sync_after(&self, medium: &Medium, us: u64) -> Option<u64> {
        let before = self.sync_by(medium, us);
        if before.is_some_and(|number| self.unit(medium, number).is_some_and(|unit| unit.sent_us >= us)) {
            return before;
        }
        match &medium.made_of {
            MadeOf::Samples(track, _) => match before {
                Some(number) => track.samples.next_sync(u32::try_from(number).ok()?).map(u64::from),
                None => Some(0).filter(|_| track.samples.sample(0).is_some_and(|first| first.is_sync)),
            },
            MadeOf::Wave(_) => before.and_then(|number| Some(self.unit(medium, number)?.next)),
        }
    }

    fn tick(&self, track: &FilmTrack, us: u64) -> i64 {
        let ticks = (i128::from(us) + self.begins_us) * i128::from(track.timescale) / US;
        i64::try_from(ticks).unwrap_or(i64::MAX)
    }
}

impl Medium {
    fn new(place: usize, coded: Coded, made_of: MadeOf) -> Self {
        let described = coded.described(place);
        Self { coded, described, ssrc: getrandom::u32().unwrap_or(1), made_of }
    }
}

fn is_wave(head: &[u8]) -> bool {
    matches!(head.get(..4), Some(b"RIFF" | b"RF64")) && head.get(8..12) == Some(b"WAVE")
}

fn why_not(coding: &Coding) -> String {
    match coding {
        Coding::Unsupported { kind, why } => format!("is {kind}: {why}"),
        Coding::Hints(_) => "is of hints, which are not needed".to_owned(),
        _ => "has nothing that is played".to_owned(),
    }
}
