//! What is in a file: its tracks by `moov`, and their samples by that or by fragments behind it.

use std::time::Duration;

use mp4_atom::{Elst, Mdhd, Mvhd, Tkhd};

use super::boxes::{NoFilm, Place};
use super::coding::{Coding, Entry, entry};
use super::fragments::Fragments;
use super::hints::HintTrack;
use super::read_at::ReadAt;
use super::samples::Samples;
use super::tables;
use super::track::FilmTrack;

const MOST_TRACKS: usize = 64;
/// Bytes that a hint track may describe itself with.
const MOST_SDP_LEN: usize = 1 << 14;
/// Bytes of tables: twelve hours of pictures and sound, whose times are all told one by one, have less.
const MOST_TABLE_BYTES: usize = 128 << 20;

/// One file.
#[derive(Debug, Clone)]
pub struct Film {
    /// In the order of the file. Those that are not played have no samples.
    pub tracks: Vec<FilmTrack>,
    /// When its first sample is shown. What was cut out of a longer programme may begin late.
    pub begins: Duration,
    /// From then on.
    pub duration: Duration,
}

impl Film {
    /// What a file holds. Its media is not read.
    ///
    /// # Errors
    /// It can not be read, is no MP4 or QuickTime file, or is wrong.
    pub fn read<F: ReadAt + ?Sized>(file: &F) -> Result<Self, NoFilm> {
        let whole = Place::whole(file);
        let moov = whole.need(file, b"moov")?;
        if moov.end > file.size() {
            return Err(moov.wrong("is cut off"));
        }
        let mvhd: Mvhd = moov.need(file, b"mvhd")?.decode(file)?;
        let mut left = MOST_TABLE_BYTES;
        let mut tracks = Vec::new();
        for found in moov.boxes(file) {
            let found = found?;
            if found.is(b"trak") {
                tracks.push(Trak { file, trak: found }.read(mvhd.timescale, &mut left)?);
            }
            if tracks.len() > MOST_TRACKS {
                return Err(moov.wrong("has too many tracks"));
            }
        }
        if tracks.is_empty() {
            return Err(NoFilm::Empty);
        }
        if let Some(mvex) = moov.find(file, b"mvex")? {
            Fragments::new(file, &mvex, &mut tracks)?.read(&whole.behind(moov.end))?;
        }
        Ok(Self::of(tracks))
    }

    fn of(tracks: Vec<FilmTrack>) -> Self {
        let played = || tracks.iter().filter(|track| track.samples.count() > 0);
        let begins = played().filter_map(|track| Some(track.time(track.samples.sample(0)?.shown_at)));
        let begins = begins.min().unwrap_or_default();
        let ends = played().map(|track| track.time(track.ends_at)).max().unwrap_or_default();
        Self { tracks, begins, duration: ends.saturating_sub(begins) }
    }
}

/// A track, as `moov` tells of it.
struct Trak<'f, F: ?Sized> {
    file: &'f F,
    trak: Place,
}

impl<F: ReadAt + ?Sized> Trak<'_, F> {
    fn read(&self, film_rate: u32, left: &mut usize) -> Result<FilmTrack, NoFilm> {
        let Self { file, trak } = *self;
        let Tkhd { track_id: id, .. } = trak.need(file, b"tkhd")?.decode(file)?;
        let mdia = trak.need(file, b"mdia")?;
        let Mdhd { timescale, .. } = mdia.need(file, b"mdhd")?.decode(file)?;
        let minf = mdia.need(file, b"minf")?;
        let stbl = minf.need(file, b"stbl")?;
        let stsd = stbl.need(file, b"stsd")?;
        let Entry { kind, mut coding, sound, holder } = entry(file, &stsd)?;
        if let Some(why) = self.hindrance(&minf, timescale, holder)? {
            coding = Coding::Unsupported { kind, why };
        }
        let frame = match &mut coding {
            Coding::Unsupported { .. } => {
                let samples = Samples::default();
                return Ok(FilmTrack { id, coding, sound, timescale, samples, stsd, ends_at: 0 });
            }
            Coding::Hints(hints) => {
                self.hints(hints)?;
                None
            }
            Coding::Pcm(pcm) => sound.map(|sound| pcm.width() * u32::from(sound.channels.max(1))),
            _ => None,
        };
        let mut samples = tables::samples(file, &stbl, frame, left)?;
        let edits = self.edits(film_rate, timescale)?;
        samples.shift = edits.shift;
        let ends_at = edits.ends_at.map_or(samples.end(), |end| samples.end().min(end));
        Ok(FilmTrack { id, coding, sound, timescale, samples, stsd, ends_at })
    }

    /// What a hint track names, and how it describes itself.
    fn hints(&self, hints: &mut HintTrack) -> Result<(), NoFilm> {
        let inside = |outer: Option<Place>, kind| outer.map_or(Ok(None), |outer| outer.find(self.file, kind));
        let named = inside(self.trak.find(self.file, b"tref")?, b"hint")?;
        let said = inside(inside(self.trak.find(self.file, b"udta")?, b"hnti")?, b"sdp ")?;
        if let Some(named) = named {
            let bytes = named.bytes(self.file, 4 * MOST_TRACKS)?;
            hints.media = bytes.as_chunks().0.iter().map(|id| u32::from_be_bytes(*id)).collect();
        }
        let text = said.map(|said| said.bytes(self.file, MOST_SDP_LEN)).transpose()?;
        hints.sdp = text.map(|text| String::from_utf8_lossy(&text).into_owned());
        Ok(())
    }

    /// What is in the way of a track that could be played otherwise.
    fn hindrance(&self, minf: &Place, timescale: u32, holder: u16) -> Result<Option<&'static str>, NoFilm> {
        if timescale == 0 {
            return Ok(Some("its clock stands still"));
        }
        let Some(dinf) = minf.find(self.file, b"dinf")? else { return Ok(None) };
        let Some(dref) = dinf.find(self.file, b"dref")? else { return Ok(None) };
        let place = usize::from(holder.saturating_sub(1));
        let Some(holder) = dref.behind(8).boxes(self.file).nth(place).transpose()? else { return Ok(None) };
        let bytes = holder.bytes(self.file, 1 << 16)?;
        let is_here = bytes.get(3).is_none_or(|flags| flags & 1 == 1);
        Ok((!is_here).then_some("its media is in another file"))
    }

    /// Its edit list (ISO/IEC 14496-12 section 8.6.6): how late it begins, and what of it is shown first. What is shown behind that is
    /// not looked at.
    fn edits(&self, film_rate: u32, timescale: u32) -> Result<Edits, NoFilm> {
        let Some(edts) = self.trak.find(self.file, b"edts")? else { return Ok(Edits::default()) };
        let Some(elst) = edts.find(self.file, b"elst")? else { return Ok(Edits::default()) };
        let Ok(list) = elst.decode::<Elst>(self.file) else { return Ok(Edits::default()) };
        let ticks = |time: u64| {
            let ticks = u128::from(time) * u128::from(timescale) / u128::from(film_rate.max(1));
            i64::try_from(ticks).unwrap_or(i64::MAX)
        };
        let mut late = 0_u64;
        for edit in &list.entries {
            let lasts = edit.segment_duration;
            let Some(from) = edit.media_time else {
                late = late.saturating_add(lasts);
                continue;
            };
            let shift = ticks(late).saturating_sub(i64::try_from(from).unwrap_or(i64::MAX));
            let is_last = list.entries.last() == Some(edit);
            let ends_at = (is_last && lasts > 0).then(|| ticks(late.saturating_add(lasts)));
            return Ok(Edits { shift, ends_at });
        }
        Ok(Edits::default())
    }
}

#[derive(Default)]
struct Edits {
    /// From a time of the media to one of the film.
    shift: i64,
    ends_at: Option<i64>,
}
