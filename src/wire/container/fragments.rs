//! Samples of fragments (ISO/IEC 14496-12 section 8.8): all of them are looked for, whatever an index says of them. A file that
//! ends in the middle of one has the samples that are whole.

use mp4_atom::{Tfdt, Tfhd, Trex};

use super::boxes::{NoFilm, Place};
use super::fields::Fields;
use super::read_at::{Part, ReadAt};
use super::samples::Added;
use super::track::FilmTrack;

/// Bytes of what tells of one fragment.
const MOST_LEN: usize = 1 << 24;
/// Samples of all tracks together: 12 hours of 50 pictures a second, and of sound.
const MOST_SAMPLES: u32 = 1 << 23;

/// A sample is none that a decoder can start with.
const NEEDS_OTHERS: u32 = 0x1_0000;

/// What a `trun` has.
const DATA_OFFSET: u32 = 1;
const FIRST_FLAGS: u32 = 4;
const LASTS: u32 = 0x100;
const SIZE: u32 = 0x200;
const FLAGS: u32 = 0x400;
const DELAY: u32 = 0x800;

/// The fragments of a file, as they are read.
pub(super) struct Fragments<'f, F: ?Sized> {
    file: &'f F,
    tracks: &'f mut [FilmTrack],
    usual: Vec<Trex>,
    left: u32,
}

/// What samples of a fragment are, unless they say otherwise.
struct Usual {
    lasts: u32,
    size: u32,
    flags: u32,
}

impl<'f, F: ReadAt + ?Sized> Fragments<'f, F> {
    pub(super) fn new(file: &'f F, mvex: &Place, tracks: &'f mut [FilmTrack]) -> Result<Self, NoFilm> {
        let mut usual = Vec::new();
        for found in mvex.boxes(file) {
            let found = found?;
            if found.is(b"trex") {
                usual.push(found.decode(file)?);
            }
        }
        let mut left = MOST_SAMPLES;
        for track in tracks.iter_mut() {
            let before = track.samples.spread(left).and_then(|count| left.checked_sub(count));
            left = before.ok_or_else(|| mvex.wrong("is of tracks that have too many samples before it"))?;
        }
        Ok(Self { file, tracks, usual, left })
    }

    /// Reads all that there are in a part of the file.
    pub(super) fn read(mut self, rest: &Place) -> Result<(), NoFilm> {
        for found in rest.boxes(self.file) {
            let moof = match found {
                Ok(found) if found.is(b"moof") => found,
                Ok(_) => continue,
                // What is behind the last one is no box.
                Err(NoFilm::Wrong { .. }) => break,
                Err(error) => return Err(error),
            };
            if moof.end > self.file.size() {
                break;
            }
            self.fragment(&moof)?;
        }
        for track in self.tracks.iter_mut() {
            track.ends_at = track.samples.end();
        }
        Ok(())
    }

    fn fragment(&mut self, moof: &Place) -> Result<(), NoFilm> {
        let part = moof.part(self.file, MOST_LEN)?;
        let mut behind = moof.at;
        for found in moof.boxes(&part) {
            let found = found?;
            if found.is(b"traf") {
                behind = self.part_of_track(&part, moof, &found, behind)?;
            }
        }
        Ok(())
    }

    /// `behind`: where the media of the track before ends. Says where that of this one does.
    fn part_of_track(&mut self, part: &Part, moof: &Place, traf: &Place, behind: u64) -> Result<u64, NoFilm> {
        let tfhd: Tfhd = traf.need(part, b"tfhd")?.decode(part)?;
        let base = tfhd.base_data_offset.unwrap_or(if tfhd.default_base_is_moof { moof.at } else { behind });
        let usual = self.usual(&tfhd);
        let tfdt = traf.find(part, b"tfdt")?.map(|found| found.decode::<Tfdt>(part)).transpose()?;
        let is_played = |track: &&mut FilmTrack| track.id == tfhd.track_id && track.coding.is_played();
        let mut track = self.tracks.iter_mut().find(is_played);
        let ended = track.as_ref().map_or(0, |track| track.samples.end_tick());
        // It never goes back: who puts programmes one behind the other may begin anew.
        let time = tfdt.map_or(ended, |tfdt| tfdt.base_media_decode_time.max(ended));
        let mut cursor = Cursor { base, usual, at: base, time, is_whole: true };
        for found in traf.boxes(part) {
            let found = found?;
            if !found.is(b"trun") {
                continue;
            }
            let bytes = found.bytes(part, MOST_LEN)?;
            let run = Run::read(&bytes).ok_or_else(|| found.wrong("ends too early"))?;
            self.left =
                self.left.checked_sub(run.count).ok_or_else(|| found.wrong("has too many samples"))?;
            cursor.run(run, track.as_deref_mut(), self.file.size()).map_err(|what| found.wrong(what))?;
        }
        Ok(cursor.at)
    }

    fn usual(&self, tfhd: &Tfhd) -> Usual {
        let trex = self.usual.iter().find(|trex| trex.track_id == tfhd.track_id);
        let of_track = |field: fn(&Trex) -> u32| trex.map_or(0, field);
        Usual {
            lasts: tfhd.default_sample_duration.unwrap_or(of_track(|trex| trex.default_sample_duration)),
            size: tfhd.default_sample_size.unwrap_or(of_track(|trex| trex.default_sample_size)),
            flags: tfhd.default_sample_flags.unwrap_or(of_track(|trex| trex.default_sample_flags)),
        }
    }
}

/// One `trun`, whose rows are not read yet.
struct Run<'b> {
    has: u32,
    count: u32,
    offset: Option<i32>,
    first_flags: Option<u32>,
    rows: Fields<'b>,
}

impl<'b> Run<'b> {
    fn read(bytes: &'b [u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let (has, count) = (fields.word()?, fields.word()?);
        let offset = if has & DATA_OFFSET == 0 { None } else { Some(fields.signed()?) };
        let first_flags = if has & FIRST_FLAGS == 0 { None } else { Some(fields.word()?) };
        Some(Self { has, count, offset, first_flags, rows: fields })
    }

    /// What the next row says, or else what is usual.
    fn word(&mut self, which: u32, usual: u32) -> Option<u32> {
        if self.has & which == 0 { Some(usual) } else { self.rows.word() }
    }
}

/// Where in a fragment the next sample of a track is.
struct Cursor {
    base: u64,
    usual: Usual,
    at: u64,
    time: u64,
    /// Nothing of it was cut off so far.
    is_whole: bool,
}

impl Cursor {
    fn run(&mut self, mut run: Run, mut track: Option<&mut FilmTrack>, len: u64) -> Result<(), &'static str> {
        if let Some(offset) = run.offset {
            self.at = self.base.saturating_add_signed(offset.into());
        }
        for number in 0..run.count {
            let first_flags = run.first_flags.filter(|_| number == 0);
            let sample = self.sample(&mut run, first_flags).ok_or("ends too early")?;
            self.at = self.at.saturating_add(sample.size.into());
            self.time = self.time.saturating_add(sample.lasts.into());
            self.is_whole &= self.at <= len;
            if let Some(track) = track.as_deref_mut().filter(|_| self.is_whole) {
                track.samples.add(sample);
            }
        }
        Ok(())
    }

    fn sample(&self, run: &mut Run, first_flags: Option<u32>) -> Option<Added> {
        let lasts = run.word(LASTS, self.usual.lasts)?;
        let size = run.word(SIZE, self.usual.size)?;
        let flags = run.word(FLAGS, self.usual.flags)?;
        let delay = run.word(DELAY, 0)?.cast_signed();
        let is_sync = first_flags.unwrap_or(flags) & NEEDS_OTHERS == 0;
        Some(Added { offset: self.at, size, at: self.time, lasts, delay, is_sync })
    }
}
