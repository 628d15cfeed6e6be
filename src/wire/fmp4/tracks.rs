//! The tracks of a channel, and which of them are shown: one picture and one sound, or a transport stream that has both.

use super::super::random_access::units::Codec;
use super::super::rtcp::SenderTime;
use super::super::rtp::{self, RtpHeader};
use super::nal_packets::NalPackets;
use super::not_shown::NotShown;
use super::parameters::Parameters;
use super::pictures::Pictures;
use super::programme::Programme;
use super::sound_packets::SoundPackets;
use super::unit::Unit;

/// Pictures in RTP tick so (RFC 6184 section 8.2.1, RFC 7798 section 7.1).
const TICKS: u32 = 90_000;

/// One track of a channel, as its description has it.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// `video`, `audio`, …
    pub media: &'a str,
    /// The name of its encoding.
    pub encoding: Option<&'a str>,
    /// The payload type of that.
    pub payload_type: u8,
    /// Ticks of its time stamps a second.
    pub clock_rate: Option<u32>,
    /// Its parameters, as `a=fmtp:` has them behind the payload type.
    pub parameters: Option<&'a str>,
}

/// One that is shown.
#[derive(Debug)]
pub(super) struct Track {
    /// Its place among those of the channel.
    pub place: usize,
    pub rate: u32,
    pub ssrc: Option<u32>,
    /// What a sender said of its clock before any packet of the track came.
    pub said: Option<SenderTime>,
    payload_type: u8,
    sequence: Option<u16>,
    content: Content,
}

#[derive(Debug)]
pub(super) enum Content {
    TransportStream(Box<Programme>),
    Pictures {
        packets: NalPackets,
        pictures: Pictures,
        /// The time of the picture that has begun.
        shown: Option<u32>,
    },
    Sound(SoundPackets),
}

/// What a packet is to a track.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Follows {
    /// None of it, or an old one.
    Not,
    /// Its next one, or one behind a gap.
    On,
    /// The first one of another stream.
    Anew,
}

/// Which tracks are shown, and what is not.
pub(super) fn choose(sources: &[Source<'_>]) -> Result<(Vec<Track>, Option<NotShown>), NotShown> {
    let made = sources.iter().enumerate().map(|(place, source)| Track::new(place, source));
    let mut found: Vec<_> = made.collect();
    let mut take = |is: fn(&Content) -> bool| {
        let is_it = |track: &&mut Option<Track>| track.as_ref().is_some_and(|track| is(&track.content));
        found.iter_mut().find(is_it).and_then(Option::take)
    };
    if let Some(stream) = take(|content| matches!(content, Content::TransportStream(_))) {
        return Ok((vec![stream], None));
    }
    let picture = take(|content| matches!(content, Content::Pictures { .. }));
    let sound = take(|content| matches!(content, Content::Sound(_)));
    let named = |media: &str, what: &str| {
        let source = sources.iter().find(|source| source.media == media)?;
        Some(NotShown::coded(what, source.encoding.unwrap_or_default()))
    };
    let no_picture = || named("video", "its picture is");
    let no_sound = || named("audio", "its sound is");
    match (picture, sound) {
        (Some(picture), Some(sound)) => Ok((vec![picture, sound], None)),
        (Some(picture), None) => Ok((vec![picture], no_sound())),
        (None, Some(sound)) => no_picture().map_or(Ok((vec![sound], None)), Err),
        (None, None) => Err(no_picture().or_else(no_sound).unwrap_or(NotShown::Nothing)),
    }
}

impl Track {
    fn new(place: usize, source: &Source<'_>) -> Option<Self> {
        let parameters = Parameters::read(source.parameters.unwrap_or_default());
        let encoding = source.encoding?;
        let pictures = |codec| Content::Pictures {
            packets: NalPackets::new(codec),
            pictures: Pictures::new(codec, &parameters.sets()),
            shown: None,
        };
        let (content, rate) = match encoding.to_ascii_uppercase().as_str() {
            "MP2T" => (Content::TransportStream(Box::default()), TICKS),
            "H264" => (pictures(Codec::H264), TICKS),
            "H265" => (pictures(Codec::H265), TICKS),
            "MPEG4-GENERIC" | "MP4A-LATM" => {
                let rate = source.clock_rate?;
                (Content::Sound(SoundPackets::new(encoding, rate, &parameters)?), rate)
            }
            _ => return None,
        };
        Some(Self {
            place,
            rate,
            ssrc: None,
            said: None,
            payload_type: source.payload_type,
            sequence: None,
            content,
        })
    }

    /// The transport stream that it is.
    pub fn programme(&self) -> Option<&Programme> {
        match &self.content {
            Content::TransportStream(programme) => Some(programme),
            Content::Pictures { .. } | Content::Sound(_) => None,
        }
    }

    /// Whether pictures, and sound, are to be expected. `None`: it is not known yet.
    pub fn has(&self) -> Option<(bool, bool)> {
        match &self.content {
            Content::TransportStream(programme) => Some((programme.has_video()?, programme.has_sound())),
            Content::Pictures { .. } => Some((true, false)),
            Content::Sound(_) => Some((false, true)),
        }
    }

    /// Whether its pictures and its sound go by one clock.
    pub fn bits(&self) -> u32 {
        if self.programme().is_some() { 33 } else { 32 }
    }

    /// Takes a packet; gives what is whole with it to `each`.
    pub fn take(&mut self, packet: &[u8], mut each: impl FnMut(Unit)) -> Follows {
        let Ok(header) = rtp::check(packet) else { return Follows::Not };
        if header.payload_type != self.payload_type {
            return Follows::Not;
        }
        let follows = self.follow(&header);
        if follows == Follows::On {
            self.content.take(&header, header.payload(packet), &mut each);
        }
        follows
    }

    /// Whether a packet is the next one; what is missing before it is known from here on.
    fn follow(&mut self, header: &RtpHeader) -> Follows {
        if self.ssrc.is_some_and(|ssrc| ssrc != header.ssrc) {
            return Follows::Anew;
        }
        self.ssrc = Some(header.ssrc);
        let ahead = self.sequence.map_or(1, |last| header.sequence.wrapping_sub(last));
        if ahead == 0 || ahead > u16::MAX / 2 {
            return Follows::Not;
        }
        self.sequence = Some(header.sequence);
        if ahead > 1 {
            self.content.lose();
        }
        Follows::On
    }

    /// Nothing is known of what came before.
    pub fn begin_anew(&mut self) {
        (self.ssrc, self.sequence) = (None, None);
        self.content.lose();
        match &mut self.content {
            Content::TransportStream(programme) => programme.begin_anew(),
            Content::Pictures { shown, .. } => *shown = None,
            Content::Sound(_) => {}
        }
    }
}

impl Content {
    /// Packets are missing. A transport stream counts for itself.
    fn lose(&mut self) {
        match self {
            Self::TransportStream(_) => {}
            Self::Pictures { packets, pictures, .. } => {
                packets.lose();
                pictures.damage();
            }
            Self::Sound(packets) => packets.lose(),
        }
    }

    fn take(&mut self, header: &RtpHeader, payload: &[u8], each: &mut impl FnMut(Unit)) {
        match self {
            Self::TransportStream(programme) => programme.take(payload, each),
            Self::Sound(packets) => {
                let config = packets.config.clone();
                let at = i64::from(header.timestamp);
                packets.take(payload, header.marker, |after, frame| {
                    let heard = u64::from((at + after) as u32);
                    each(Unit::Sound { heard, frame: frame.to_vec(), config: config.clone() });
                });
            }
            Self::Pictures { packets, pictures, shown } => {
                if let Some(before) = shown.replace(header.timestamp)
                    && before != header.timestamp
                {
                    end(pictures, before, each);
                }
                if !packets.take(payload, |unit| pictures.take(unit)) {
                    pictures.damage();
                }
                if header.marker {
                    end(pictures, header.timestamp, each);
                    *shown = None;
                }
            }
        }
    }
}

/// A picture has come as far as it will.
fn end(pictures: &mut Pictures, shown: u32, each: &mut impl FnMut(Unit)) {
    match pictures.end() {
        Ok(Some(coded)) => each(Unit::Picture { shown: shown.into(), decoded: None, coded }),
        Ok(None) => {}
        Err(()) => each(Unit::Gap),
    }
}
