//! Loading: what is in the films of a source, as one stream. It waits for disks, and is done by tasks of storage alone.

use std::path::PathBuf;
use std::{io, mem};

use bytes::Bytes;

use crate::wire::recording::{Format, Record};
use crate::wire::rtp::FIXED_HEADER_LEN;
use crate::wire::sdp::Presentation;
use crate::wire::stored::Restamping;

use super::super::library::{Film, NoFilm};
use super::super::playback::{Memory, Readers, Run};
use super::line::ticks;
use super::roll::{Fault, Next, Roll};
use super::stock::Frame;

/// Packets that are read at a time.
const AT_A_TIME: usize = 256;
/// What a film lasts at least and at most, whatever it says: one of no time would begin again and again at once.
const SHORTEST_US: u64 = 40_000;
const LONGEST_US: u64 = 366 * 24 * 3_600_000_000;

pub(super) struct Loading {
    roll: Roll,
    /// The film of now.
    scene: Option<Scene>,
    /// When the next one begins, in microseconds from the first.
    begins_us: u64,
    /// When what was read last is due.
    newest_us: u64,
    memory: Memory,
    restamping: Restamping,
    /// What all of them have to be: as the first one was, or as is wanted.
    presentation: Option<Presentation>,
    /// What is first in a round may be something else than before.
    may_change: bool,
    is_first: bool,
    /// Something of this round was shown.
    has_shown: bool,
    /// Films that were begun.
    pub films: u64,
}

struct Scene {
    file: PathBuf,
    readers: Readers,
    /// The timestamp of each track at its beginning.
    firsts: Vec<u32>,
    begins_us: u64,
    /// What follows it begins so long after it.
    lasts_us: u64,
    has_begun: bool,
}

/// What came of a turn.
pub(super) enum Loaded {
    Frames(Vec<Frame>),
    /// What it is, which has to be known before more of it is loaded.
    Described(Box<Presentation>),
    /// There is more to do.
    Nothing,
    /// All was tried, and nothing can be shown: it is looked at again later.
    NothingAtAll,
    /// It has come to its end.
    Over,
}

impl Loading {
    /// From the beginning. `presentation` is what it has to be, if that is known.
    pub fn new(roll: Roll, presentation: Option<Presentation>, may_change: bool) -> Self {
        Self {
            roll,
            scene: None,
            begins_us: 0,
            newest_us: 0,
            memory: Memory::default(),
            restamping: Restamping::default(),
            presentation,
            may_change,
            is_first: true,
            has_shown: true,
            films: 0,
        }
    }

    /// Goes on by a turn.
    pub fn turn(&mut self) -> Result<Loaded, Fault> {
        let Some(mut scene) = self.scene.take() else { return self.next() };
        match scene.read(&mut self.memory) {
            Ok(Some((track, run))) => {
                let frames = self.frames(&mut scene, track, run);
                self.has_shown = true;
                self.newest_us = frames.last().map_or(self.newest_us, |last| last.due_us);
                self.scene = Some(scene);
                Ok(Loaded::Frames(frames))
            }
            Ok(None) => {
                self.begins_us = scene.begins_us.saturating_add(scene.lasts_us);
                if scene.has_begun {
                    Ok(Loaded::Nothing)
                } else {
                    Err(scene.fault(NoFilm::NoTrack("nothing is in it".to_owned())))
                }
            }
            Err(error) => {
                self.begins_us = self.newest_us.max(self.begins_us) + 1;
                Err(scene.fault(error.into()))
            }
        }
    }

    fn next(&mut self) -> Result<Loaded, Fault> {
        match self.roll.next()? {
            Next::Film(file, film) => self.begin(file, film),
            Next::Later => Ok(Loaded::Nothing),
            Next::Round => {
                self.is_first = true;
                let has_shown = mem::take(&mut self.has_shown);
                Ok(if has_shown { Loaded::Nothing } else { Loaded::NothingAtAll })
            }
            Next::Over => Ok(Loaded::Over),
        }
    }

    fn begin(&mut self, file: PathBuf, film: Film) -> Result<Loaded, Fault> {
        let own = film.presentation("");
        let is_like = |all: &Presentation| all.carries_what_is_in(&own);
        let is_known = self.presentation.as_ref().is_some_and(is_like);
        let may_be_other = self.may_change && mem::take(&mut self.is_first);
        if !is_known && !may_be_other {
            let why = "it is not described as the first one is, or as what it stands by for".to_owned();
            return Err(Fault { file, why: NoFilm::NoTrack(why) });
        }
        let lasts_us = match &film {
            Film::Stream(stream) => {
                match stream.first_clock().and_then(|clock| Ok((clock, stream.span_us()?))) {
                    Ok((clock, span_us)) => {
                        self.restamping.begin(self.begins_us, clock);
                        span_us
                    }
                    Err(error) => return Err(Fault { file, why: error.into() }),
                }
            }
            Film::Tracks(film) => film.duration_us,
        };
        let lasts_us = lasts_us.clamp(SHORTEST_US, LONGEST_US);
        let (readers, firsts) = (film.readers(&own.tracks), film.first_timestamps());
        self.scene =
            Some(Scene { file, readers, firsts, begins_us: self.begins_us, lasts_us, has_begun: false });
        self.films += 1;
        Ok(if is_known {
            Loaded::Nothing
        } else {
            Loaded::Described(Box::new(self.presentation.insert(own).clone()))
        })
    }

    fn frames(&mut self, scene: &mut Scene, track: usize, run: Run) -> Vec<Frame> {
        let begins_us = scene.begins_us;
        let format = scene.readers.get(track).map_or(Format::RtpDump, |(_, format)| *format);
        let rate = self.presentation.as_ref().and_then(|all| all.tracks.get(track)?.clock_rate);
        let before = ticks(begins_us, rate.unwrap_or(90_000));
        let first = scene.firsts.get(track).copied().unwrap_or(0);
        let restamp = |media: &mut [u8]| {
            if format == Format::TransportStream {
                self.restamping.restamp(media);
            }
        };
        let frame = |(record, media): (Record, Bytes)| {
            let header = if format == Format::RtpDump { FIXED_HEADER_LEN } else { 0 };
            Frame {
                due_us: begins_us.saturating_add(record.arrived_us.min(scene.lasts_us)),
                track,
                marker: record.marker,
                payload_type: record.payload_type,
                ticks: before.wrapping_add(record.timestamp).wrapping_sub(first),
                payload: media.slice(header.min(media.len())..),
            }
        };
        let frames: Vec<_> = run.into_media(restamp, &mut self.memory).map(frame).collect();
        scene.has_begun |= !frames.is_empty();
        frames
    }
}

impl Scene {
    /// What comes next, of the track that comes next.
    fn read(&mut self, memory: &mut Memory) -> io::Result<Option<(usize, Run)>> {
        let mut first = None;
        let mut second_us = u64::MAX;
        for (place, (reader, _)) in self.readers.iter_mut().enumerate() {
            let Some(next) = reader.peek()?.map(|record| record.arrived_us) else { continue };
            match first {
                Some((_, us)) if us <= next => second_us = second_us.min(next),
                Some((_, us)) => (first, second_us) = (Some((place, next)), us),
                None => first = Some((place, next)),
            }
        }
        let Some((place, _)) = first else { return Ok(None) };
        let Some((reader, _)) = self.readers.get_mut(place) else { return Ok(None) };
        Ok(reader.take(second_us, AT_A_TIME, memory)?.map(|run| (place, run)))
    }

    fn fault(self, why: NoFilm) -> Fault {
        Fault { file: self.file, why }
    }
}
