//! A Film: one channel's packets in, fragmented MP4 out, for one who watches.
//!
//! Both tracks begin at 0 with the first picture that a decoder can start with. Where the stream begins anew (another SSRC, a jump of
//! its clock, other parameters) the film goes on where it was, with a new beginning.

use std::collections::VecDeque;
use std::time::Duration;

use super::super::rtcp::{self, SenderTime};
use super::boxes::{self, Sample};
use super::clock::{DecodeTimes, Line};
use super::not_shown::NotShown;
use super::pictures::Coded;
use super::reel::Reel;
use super::sets::VideoConfig;
use super::sound_config::SoundConfig;
use super::tracks::{Follows, Source, Track, choose};
use super::unit::Unit;

/// So much of the picture is held back until the sound has said how it is coded; then it goes without.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
const MOST_HELD: usize = 8 << 20;
/// So many frames of sound wait for a picture: some two seconds.
const MOST_EARLY: usize = 128;
/// A clock that goes back, or ahead, by so much has been set.
const LONGEST_BACK: Duration = Duration::from_millis(500);
const LONGEST_AHEAD: Duration = Duration::from_secs(10);
/// A picture's time, where nothing tells it.
const PICTURES_A_SECOND: i64 = 30;

/// One channel as browsers play it.
#[derive(Debug)]
pub struct Film {
    tracks: Vec<Track>,
    picture: Reel<VideoConfig>,
    sound: Reel<SoundConfig>,
    decode_times: DecodeTimes,
    /// No picture is shown before one that a decoder can start with.
    waits: bool,
    /// When the picture is shown that was started with: those before it need what never came.
    started_at: i64,
    /// Sound that came before a picture to begin with.
    early: VecDeque<(i64, Vec<u8>, SoundConfig)>,
    /// Where the film goes on, as it begins anew.
    origin: i64,
    /// What the film began with, if it did: of a picture, of sound.
    told: Option<(Option<VideoConfig>, Option<SoundConfig>)>,
    is_to_be_told: bool,
    fragments: u32,
    done: Vec<u8>,
    left_out: Option<NotShown>,
    refusal: Option<NotShown>,
}

impl Film {
    /// Of a channel's tracks.
    ///
    /// # Errors
    /// None of them is played by browsers.
    pub fn new(sources: &[Source<'_>]) -> Result<Self, NotShown> {
        let (tracks, left_out) = choose(sources)?;
        let line = |of_picture: bool| {
            let own = tracks
                .iter()
                .find(|track| track.has().is_none_or(|has| (has.0, has.1) == (of_picture, !of_picture)));
            own.map_or(Line::new(1, 32), |track| Line::new(track.rate, track.bits()))
        };
        Ok(Self {
            picture: Reel::new(line(true)),
            sound: Reel::new(line(false)),
            tracks,
            decode_times: DecodeTimes::default(),
            waits: true,
            started_at: 0,
            early: VecDeque::new(),
            origin: 0,
            told: None,
            is_to_be_told: true,
            fragments: 0,
            done: Vec::new(),
            left_out,
            refusal: None,
        })
    }

    /// Which tracks of the channel are wanted, by their places.
    pub fn wanted(&self) -> impl Iterator<Item = usize> {
        self.tracks.iter().map(|track| track.place)
    }

    /// Takes an RTP packet of a track, which came at that time by any clock.
    pub fn take(&mut self, place: usize, packet: &[u8], came: Duration) {
        let Some(number) = self.tracks.iter().position(|track| track.place == place) else { return };
        let mut units = Vec::new();
        let mut follows = self.tracks[number].take(packet, |unit| units.push(unit));
        if follows == Follows::Anew {
            self.begin_anew();
            self.tracks[number].begin_anew();
            follows = self.tracks[number].take(packet, |unit| units.push(unit));
        }
        if follows == Follows::On {
            let track = &mut self.tracks[number];
            let said = track.said.take().filter(|said| track.ssrc == Some(said.ssrc));
            let is_picture = track.has().is_some_and(|(picture, _)| picture);
            said.into_iter().for_each(|said| self.report(is_picture, said));
            let came = i64::try_from(came.as_nanos()).unwrap_or(i64::MAX);
            units.into_iter().for_each(|unit| self.place(unit, came));
            self.look(number);
        }
    }

    /// Takes RTCP of a track's source, which tells what its time stamps mean.
    pub fn hear(&mut self, place: usize, rtcp: &[u8]) {
        let said = rtcp::reflectable(rtcp).ok().flatten().and_then(|said| said.sender);
        let track = self.tracks.iter_mut().find(|track| track.place == place && track.programme().is_none());
        let Some((said, track)) = said.zip(track) else { return };
        if track.ssrc.is_none() {
            track.said = Some(said);
        } else if track.ssrc == Some(said.ssrc) {
            let is_picture = track.has().is_some_and(|(picture, _)| picture);
            self.report(is_picture, said);
        }
    }

    fn report(&mut self, is_picture: bool, said: SenderTime) {
        let line = if is_picture { &mut self.picture.line } else { &mut self.sound.line };
        let is_news = !line.is_reported();
        line.report(said.rtp_timestamp, said.ntp_timestamp);
        if is_news && self.picture.line.is_reported() && self.sound.line.is_reported() {
            self.sound.line.base = None;
        }
    }

    /// Packets of a track were passed over: the next one is known to follow none.
    pub fn lose(&mut self) {
        self.waits = true;
    }

    /// What can be played by now and was not given yet.
    pub fn give(&mut self) -> Option<Vec<u8>> {
        self.cut();
        Some(std::mem::take(&mut self.done)).filter(|bytes| !bytes.is_empty())
    }

    /// Its media type with the codecs in it (RFC 6381), once the film has begun.
    pub fn media_type(&self) -> Option<String> {
        let (picture, sound) = self.told.as_ref()?;
        let names = [picture.as_ref().map(VideoConfig::name), sound.as_ref().map(SoundConfig::name)];
        let container = if picture.is_some() { "video" } else { "audio" };
        let names: Vec<_> = names.into_iter().flatten().collect();
        Some(format!("{container}/mp4; codecs=\"{}\"", names.join(", ")))
    }

    /// What of the channel is not played.
    pub fn left_out(&self) -> Option<&NotShown> {
        self.left_out.as_ref()
    }

    /// Why nothing of it is played, or nothing further.
    pub fn refusal(&self) -> Option<&NotShown> {
        self.refusal.as_ref()
    }

    /// Looks what a transport stream says of itself by now.
    fn look(&mut self, number: usize) {
        let Some(programme) = self.tracks[number].programme() else { return };
        if self.refusal.is_none() {
            self.refusal.clone_from(&programme.refusal);
        }
        if self.told.is_none() {
            self.left_out.clone_from(&programme.left_out);
        }
    }

    /// Whether a picture, and sound, are to be expected.
    fn expects(&self) -> (bool, bool) {
        let all = self.tracks.iter().filter_map(Track::has);
        all.fold((false, false), |(picture, sound), has| (picture || has.0, sound || has.1))
    }

    /// Whether picture and sound go by one clock: that of a transport stream.
    fn is_one_clock(&self) -> bool {
        self.tracks.first().is_some_and(|track| track.programme().is_some())
    }

    fn place(&mut self, unit: Unit, came: i64) {
        if self.is_one_clock() {
            self.picture.line.clock.begin_near(&self.sound.line.clock);
            self.sound.line.clock.begin_near(&self.picture.line.clock);
        }
        match (unit, &self.told) {
            // Of what was not there in the beginning a film can not have more later.
            (Unit::Picture { .. }, Some((None, _))) | (Unit::Sound { .. }, Some((_, None))) => {}
            (Unit::Gap, _) => self.waits = true,
            (Unit::Picture { shown, decoded, coded }, _) => {
                let shown = self.picture.line.clock.take(shown);
                self.picture.line.came(shown, came);
                let decoded = decoded.map(|decoded| self.picture.line.clock.near(decoded));
                self.place_picture(shown, decoded, coded);
            }
            (Unit::Sound { heard, frame, config }, _) => {
                let heard = self.sound.line.clock.take(heard);
                self.sound.line.came(heard, came);
                self.early.push_back((heard, frame, config));
                self.place_early();
            }
        }
    }

    fn place_picture(&mut self, shown: i64, decoded: Option<i64>, Coded { data, start }: Coded) {
        let base = self.picture.line.base;
        if base.is_some_and(|base| {
            self.picture.is_jump(decoded.unwrap_or(shown) - base, LONGEST_BACK, LONGEST_AHEAD)
        }) {
            self.begin_anew();
        }
        if self.waits && start.is_none() {
            return;
        }
        let is_start = start.is_some();
        if let Some(config) = start {
            if self.waits {
                let step = i64::from(self.picture.line.rate) / PICTURES_A_SECOND;
                self.decode_times = DecodeTimes::begin(config.shape.reorder, shown, step);
                self.started_at = shown;
            }
            self.waits = false;
            self.configure_picture(config);
        }
        if shown < self.started_at {
            return; // it refers to pictures that never came
        }
        let decoded = decoded.unwrap_or_else(|| self.decode_times.take(shown));
        let line = &mut self.picture.line;
        let origin = line.ticks(self.origin);
        let base = *line.base.get_or_insert(decoded - origin);
        self.picture.place(decoded - base, shown - decoded, is_start, data);
    }

    fn configure_picture(&mut self, config: VideoConfig) {
        if self.picture.config.as_ref().is_some_and(|before| before.codec != config.codec) {
            self.refusal = Some(NotShown::Changed);
        }
        if self.picture.config.as_ref() != Some(&config) {
            self.picture.end();
            self.cut();
            self.picture.config = Some(config);
            self.is_to_be_told = true;
        }
    }

    /// Places the sound that has come, once it is known where the picture begins.
    fn place_early(&mut self) {
        if self.sound.line.base.is_none() {
            self.sound.line.base = self.sound_begins();
        }
        let Some(base) = self.sound.line.base else {
            let more = self.early.len().saturating_sub(MOST_EARLY);
            self.early.drain(..more);
            return;
        };
        for (heard, frame, config) in std::mem::take(&mut self.early) {
            if self.sound.line.base == Some(base) {
                self.place_sound(heard.saturating_sub(base), frame, config);
            }
        }
    }

    /// The stamp of the sound at the beginning. `None`: it is not known yet.
    fn sound_begins(&self) -> Option<i64> {
        let (has_picture, _) = self.expects();
        if !has_picture {
            let (first, ..) = self.early.front()?;
            return Some(first - self.sound.line.ticks(self.origin));
        }
        if self.is_one_clock() {
            self.picture.line.base
        } else {
            self.sound.line.begins_with(&self.picture.line)
        }
    }

    fn place_sound(&mut self, at: i64, frame: Vec<u8>, config: SoundConfig) {
        if self.sound.config.as_ref() != Some(&config) {
            self.sound.end();
            self.cut();
            self.sound.config = Some(config);
            self.is_to_be_told = true;
        }
        if at < self.sound.line.ticks(self.origin) {
            return;
        }
        if self.sound.is_jump(at, LONGEST_BACK, LONGEST_AHEAD) {
            return self.begin_anew();
        }
        self.sound.place(at, 0, true, frame);
    }

    /// The stream is another one from here on.
    fn begin_anew(&mut self) {
        self.picture.end();
        self.sound.end();
        self.cut();
        self.origin = self.picture.ends_at().max(self.sound.ends_at());
        self.picture.line.begin_anew();
        self.sound.line.begin_anew();
        self.early.clear();
        (self.waits, self.is_to_be_told) = (true, true);
    }

    /// Makes a fragment of what is there, once it is known how all of it is coded.
    fn cut(&mut self) {
        if self.is_to_be_told && !self.tell() {
            return;
        }
        let Some((picture, sound)) = &self.told else { return };
        let mut tracks: Vec<(u32, Vec<Sample>)> = Vec::new();
        let (pictures, frames) = (self.picture.give(), self.sound.give());
        tracks.extend(picture.as_ref().map(|_| (boxes::PICTURE, pictures)));
        tracks.extend(sound.as_ref().map(|_| (boxes::SOUND, frames)));
        if tracks.iter().all(|(_, samples)| samples.is_empty()) {
            return;
        }
        self.fragments = self.fragments.wrapping_add(1);
        let fragment = boxes::fragment(self.fragments, &tracks);
        self.done.extend(fragment.into_iter().flatten());
    }

    /// Says what the film begins with, or goes on with, once all of that is known. `false`: it is not.
    fn tell(&mut self) -> bool {
        let (has_picture, has_sound) = self.expects();
        let has_waited = self.picture.is_longer_than(LONGEST_WAIT, MOST_HELD);
        let lacks_picture = has_picture && self.picture.config.is_none();
        let lacks_sound = has_sound && self.sound.config.is_none() && !has_waited;
        let is_first = self.told.is_none();
        let is_begun = self.picture.has_any() || self.sound.has_any() && !(is_first && has_picture);
        if !is_begun || is_first && (lacks_picture || lacks_sound) {
            return false;
        }
        let had =
            self.told.as_ref().map_or((true, true), |(picture, sound)| (picture.is_some(), sound.is_some()));
        let picture = self.picture.config.clone().filter(|_| had.0);
        let sound = self.sound.config.clone().filter(|_| had.1);
        let rate = |line: &Line| line.rate;
        let beginning = boxes::beginning(
            picture.as_ref().map(|config| (config, rate(&self.picture.line))),
            sound.as_ref().map(|config| (config, rate(&self.sound.line))),
        );
        let Some(beginning) = beginning else { return false };
        self.done.extend(beginning);
        self.told = Some((picture, sound));
        self.is_to_be_told = false;
        true
    }
}

#[cfg(test)]
#[path = "film_tests.rs"]
mod tests;
