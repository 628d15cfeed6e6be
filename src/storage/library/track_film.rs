//! A film of tracks: an MP4, QuickTime or WAVE file, and what each track of it is packed as.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use crate::event::clock;
use crate::wire::container::{Coding, Film, FilmTrack, ReadAt, hints};
use crate::wire::payload::{Coded, MOST, Payload};
use crate::wire::rtcp::{Counts, SenderTime, ntp, sender_report};
use crate::wire::sdp::StoredMedium;
use crate::wire::stored::{Identity, Wav, coded};

use super::first::First;
use super::no_film::NoFilm;

/// Pieces of sound that has a sample for each moment, in a second.
const PIECES: u32 = 50;
/// A unit that is larger is passed over: no picture is.
const MOST_UNIT_BYTES: u64 = 32 << 20;
const US: i128 = 1_000_000;

/// A file that can be played.
#[derive(Debug)]
pub(in super::super) struct TrackFilm {
    file: StoredFile,
    pub identity: Identity,
    pub media: Vec<Medium>,
    pub duration_us: u64,
    /// When the first of all is shown, in microseconds.
    begins_us: i128,
    /// When it was opened, since 1970: its tracks have one time from there.
    opened_at: Duration,
    /// What its tables say; nothing of a WAVE file.
    film: Film,
}

/// Its bytes.
#[derive(Debug)]
struct StoredFile {
    file: File,
    bytes: u64,
}

/// One track that is played.
#[derive(Debug)]
pub(in super::super) struct Medium {
    pub described: StoredMedium,
    pub(super) first: First,
    made_of: MadeOf,
}

#[derive(Debug)]
enum MadeOf {
    /// Samples of the track at a place, which are packed here. They are shown so many ticks after they are decoded, if none comes out of turn.
    Samples(usize, Coded, i64),
    /// Hints of the track at a place, of the one at another.
    Hints(usize, usize),
    Wave(Wav, Coded),
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
            let (duration_us, coded) = (wave.duration_us(), Coded::Pcm(wave.pcm));
            let media = vec![Medium::new(coded.described(0), MadeOf::Wave(wave, coded))];
            let film = Film { tracks: Vec::new(), begins: Duration::ZERO, duration: Duration::ZERO };
            let opened_at = clock::unix_now();
            return Ok(Self { file, identity, media, duration_us, begins_us: 0, opened_at, film });
        }
        let film = Film::read(&file)?;
        let (media, left_out) = media_of(&film);
        if media.is_empty() {
            let why = left_out.first();
            let why = why.map_or_else(|| "it has none".to_owned(), |(id, why)| format!("track {id} {why}"));
            return Err(NoFilm::NoTrack(why));
        }
        for (track, why) in left_out {
            tracing::info!(file = name, track, "a track of a film is left out: it {why}");
        }
        let (begins_us, duration_us) = (film.begins.as_micros() as i128, film.duration.as_micros() as u64);
        Ok(Self { file, identity, media, duration_us, begins_us, opened_at: clock::unix_now(), film })
    }

    /// What a report says of a track at a time.
    pub fn report(&self, medium: &Medium, us: u64) -> Vec<u8> {
        let ticks = u128::from(us) * u128::from(medium.described.clock_rate) / 1_000_000;
        let time = SenderTime {
            ssrc: medium.first.ssrc,
            ntp_timestamp: ntp(self.opened_at + Duration::from_micros(us)),
            rtp_timestamp: medium.first.timestamp.wrapping_add(ticks as u32),
        };
        let name = self.media.first().map_or(0, |medium| medium.first.ssrc);
        sender_report(&format!("film-{name:08x}@mirrorball"), &time, Counts::default())
    }

    /// One of a track's units. `None`: there are no more, or it is damaged.
    pub fn unit(&self, medium: &Medium, number: u64) -> Option<Unit> {
        let clock = i128::from(medium.described.clock_rate);
        match &medium.made_of {
            MadeOf::Samples(place, coded, delay) => {
                let track = self.film.tracks.get(*place)?;
                let number = u32::try_from(number).ok()?;
                let sample = track.samples.sample(number)?;
                let is_of_moments = matches!(coded, Coded::Pcm(_));
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
                    timestamp: medium.first.timestamp.wrapping_add(ticks as u32),
                    is_sync: sample.is_sync,
                    next: u64::from(number) + u64::from(count),
                })
            }
            MadeOf::Hints(place, of) => {
                let (track, of) = (self.film.tracks.get(*place)?, self.film.tracks.get(*of)?);
                let number = u32::try_from(number).ok()?;
                let sample = track.samples.sample(number)?;
                let scale = i128::from(track.timescale.max(1));
                let sent_us = i128::from(sample.decoded_at) * US / scale - self.begins_us;
                let ticks = i128::from(sample.decoded_at) * clock / scale - self.begins_us * clock / US;
                let made_of = of.samples.decoded_by(self.tick_after(of, sent_us.max(0) as u64));
                let made_of = made_of.and_then(|number| of.samples.sample(number));
                Some(Unit {
                    offset: sample.offset,
                    bytes: sample.size.into(),
                    sent_us: sent_us.max(0) as u64,
                    timestamp: medium.first.timestamp.wrapping_add(ticks as u32),
                    is_sync: made_of.is_some_and(|sample| sample.is_sync),
                    next: u64::from(number) + 1,
                })
            }
            MadeOf::Wave(wave, _) => {
                let bytes = wave.bytes_of(number, u64::from(medium.described.clock_rate / PIECES).max(1));
                let frames = (bytes.end - bytes.start) / (wave.pcm.frame_len() as u64).max(1);
                (frames > 0).then(|| Unit {
                    offset: bytes.start,
                    bytes: bytes.end - bytes.start,
                    sent_us: wave.time_of(number),
                    timestamp: medium.first.timestamp.wrapping_add(number as u32),
                    is_sync: true,
                    next: number + frames,
                })
            }
        }
    }

    /// What RTP carries of a unit. What can not be packed is left out, as what was lost on its way.
    pub fn payloads(&self, medium: &Medium, unit: &Unit) -> io::Result<Vec<Payload>> {
        let mut payloads = Vec::new();
        if unit.bytes > MOST_UNIT_BYTES {
            return Ok(payloads);
        }
        let mut bytes = vec![0; unit.bytes as usize];
        self.file.read_at(unit.offset, &mut bytes)?;
        match &medium.made_of {
            MadeOf::Samples(_, coded, _) | MadeOf::Wave(_, coded) => {
                if coded.pack(&bytes, MOST, &mut payloads).is_err() {
                    payloads.clear();
                }
            }
            MadeOf::Hints(place, _) => {
                for hint in hints(&bytes).unwrap_or_default() {
                    let Ok(bytes) = self.film.hinted(&self.file, *place, &hint) else { continue };
                    let ticks = hint.timestamp_offset.cast_unsigned();
                    payloads.push(Payload { bytes, marker: hint.marker, ticks });
                }
            }
        }
        Ok(payloads)
    }

    /// The number of a unit that is sent no later than that, and not long before.
    pub fn unit_by(&self, medium: &Medium, us: u64) -> u64 {
        let decoded_by = |place: &usize, delay: i64| {
            let track = self.film.tracks.get(*place)?;
            track.samples.decoded_by(self.tick(track, us).saturating_sub(delay)).map(u64::from)
        };
        match &medium.made_of {
            MadeOf::Samples(place, _, delay) => decoded_by(place, *delay).unwrap_or(0),
            MadeOf::Hints(place, _) => decoded_by(place, 0).unwrap_or(0),
            MadeOf::Wave(wave, _) => wave.frame_at(us),
        }
    }

    /// The newest unit that is shown by then and that a decoder can start with.
    pub fn sync_by(&self, medium: &Medium, us: u64) -> Option<u64> {
        let sync_by = |place: &usize| {
            let track = self.film.tracks.get(*place)?;
            track.samples.sync_by(self.tick(track, us))
        };
        match &medium.made_of {
            MadeOf::Samples(place, ..) => sync_by(place).map(u64::from),
            MadeOf::Hints(place, of) => self.hint_of(*place, *of, sync_by(of)?),
            MadeOf::Wave(wave, _) => Some(wave.frame_at(us)),
        }
    }

    /// The first unit that is sent no earlier than that and that a decoder can start with.
    pub fn sync_after(&self, medium: &Medium, us: u64) -> Option<u64> {
        let before = self.sync_by(medium, us);
        if before.is_some_and(|number| self.unit(medium, number).is_some_and(|unit| unit.sent_us >= us)) {
            return before;
        }
        let next_sync = |place: &usize| {
            let track = self.film.tracks.get(*place)?;
            match track.samples.sync_by(self.tick(track, us)) {
                Some(number) => track.samples.next_sync(number),
                None => Some(0).filter(|_| track.samples.sample(0).is_some_and(|first| first.is_sync)),
            }
        };
        match &medium.made_of {
            MadeOf::Samples(place, ..) => next_sync(place).map(u64::from),
            MadeOf::Hints(place, of) => self.hint_of(*place, *of, next_sync(of)?),
            MadeOf::Wave(..) => before.and_then(|number| Some(self.unit(medium, number)?.next)),
        }
    }

    /// The hints, by the place of their track, of a sample of another one.
    fn hint_of(&self, place: usize, of: usize, sample: u32) -> Option<u64> {
        let (track, of) = (self.film.tracks.get(place)?, self.film.tracks.get(of)?);
        let us = of.time(of.samples.sample(sample)?.decoded_at).as_micros() as i128 - self.begins_us;
        track.samples.decoded_by(self.tick_after(track, us.max(0) as u64)).map(u64::from)
    }

    /// A tick that is no earlier than that, however it is rounded.
    fn tick_after(&self, track: &FilmTrack, us: u64) -> i64 {
        self.tick(track, us).saturating_add(1)
    }

    fn tick(&self, track: &FilmTrack, us: u64) -> i64 {
        let ticks = (i128::from(us) + self.begins_us) * i128::from(track.timescale) / US;
        i64::try_from(ticks).unwrap_or(i64::MAX)
    }
}

impl Medium {
    fn new(described: StoredMedium, made_of: MadeOf) -> Self {
        Self { described, first: First::at_random(), made_of }
    }

    /// What a decoder has to be told first, for those whom the description does not tell it.
    pub fn prologue(&self) -> Vec<Payload> {
        match &self.made_of {
            MadeOf::Samples(_, coded, _) | MadeOf::Wave(_, coded) => coded.prologue(MOST),
            MadeOf::Hints(..) => Vec::new(),
        }
    }
}

/// What of a film is played, each track by its hints where it has some; and why others are not.
fn media_of(film: &Film) -> (Vec<Medium>, Vec<(u32, String)>) {
    let (mut media, mut left_out) = (Vec::new(), Vec::new());
    let tracks = || film.tracks.iter().enumerate();
    let is_of_hints = |track: &FilmTrack| matches!(track.coding, Coding::Hints(_));
    for (place, track) in tracks().filter(|(_, track)| !is_of_hints(track)) {
        let hinted = tracks().find_map(|(hints, of)| Some((hints, hinted(of, track.id)?)));
        if let Some((hints, described)) = hinted {
            media.push(Medium::new(described, MadeOf::Hints(hints, place)));
        } else if let Some(coded) = coded(track).filter(|_| track.samples.count() > 0) {
            let delay = track.samples.sample(0).map_or(0, |first| first.shown_at - first.decoded_at);
            media.push(Medium::new(coded.described(place), MadeOf::Samples(place, coded, delay)));
        } else {
            left_out.push((track.id, why_not(&track.coding)));
        }
    }
    (media, left_out)
}

/// What a track says of its packets, if it has hints of that one alone.
fn hinted(track: &FilmTrack, id: u32) -> Option<StoredMedium> {
    let Coding::Hints(hints) = &track.coding else { return None };
    let is_of_it = hints.media == [id] && track.samples.count() > 0;
    StoredMedium::of_hint(hints.sdp.as_deref()?).filter(|_| is_of_it)
}

fn is_wave(head: &[u8]) -> bool {
    matches!(head.get(..4), Some(b"RIFF" | b"RF64")) && head.get(8..12) == Some(b"WAVE")
}

fn why_not(coding: &Coding) -> String {
    match coding {
        Coding::Unsupported { kind, why } => format!("is {kind}: {why}"),
        _ => "has nothing that is played".to_owned(),
    }
}
