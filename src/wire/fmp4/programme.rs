//! Pictures and sound out of a transport stream: those of its first programme that can be shown.

use super::super::psi::{Psi, Stream};
use super::super::random_access::units::Codec;
use super::super::transport_stream::packets;
use super::super::ts_packet::TsPacket;
use super::adts::Adts;
use super::byte_stream::units;
use super::not_shown::NotShown;
use super::pes::{Begun, Pes};
use super::pictures::Pictures;
use super::unit::Unit;

/// So many packets that are encrypted, with none between them that is not, are no accident.
const ENCRYPTED: usize = 100;
/// The type of AAC in ADTS by table 2-34.
const AAC_IN_ADTS: u8 = 0x0f;

/// One transport stream.
#[derive(Debug, Default)]
pub(super) struct Programme {
    psi: Psi,
    /// The one that is shown.
    chosen: Option<Chosen>,
    encrypted: usize,
    /// What of it is not.
    pub left_out: Option<NotShown>,
    pub refusal: Option<NotShown>,
}

/// The streams of a programme that are shown.
#[derive(Debug)]
struct Chosen {
    number: u16,
    video: Option<Video>,
    sound: Option<Sound>,
}

#[derive(Debug)]
struct Video {
    pid: u16,
    pes: Pes,
    pictures: Pictures,
}

#[derive(Debug)]
struct Sound {
    pid: u16,
    pes: Pes,
    frames: Adts,
}

/// What a programme has that can be shown: a PID and how it is coded, a PID; and what it has beside them.
type Shown = (Option<(u16, Codec)>, Option<u16>, Option<NotShown>);

impl Programme {
    /// Whether pictures are to come. `None`: it is not known yet.
    pub fn has_video(&self) -> Option<bool> {
        self.chosen.as_ref().map(|chosen| chosen.video.is_some())
    }

    /// Whether sound is to come, as far as is known.
    pub fn has_sound(&self) -> bool {
        self.chosen.as_ref().is_some_and(|chosen| chosen.sound.is_some())
    }

    /// What comes next does not go on with what came.
    pub fn begin_anew(&mut self) {
        let Some(chosen) = &mut self.chosen else { return };
        chosen.video.iter_mut().for_each(|video| video.pes = Pes::default());
        chosen.sound.iter_mut().for_each(|sound| *sound = Sound::new(sound.pid));
    }

    /// Takes a payload of whole packets; gives what is whole with it to `each`.
    pub fn take(&mut self, payload: &[u8], mut each: impl FnMut(Unit)) {
        for packet in packets(payload).filter_map(TsPacket::read).filter(|packet| !packet.is_broken) {
            let is_shown = self.chosen.as_ref().is_some_and(|chosen| chosen.has(packet.pid));
            if !is_shown {
                self.psi.take(&packet);
                if packet.starts_unit {
                    self.choose(&mut each);
                }
            } else if packet.is_scrambled {
                self.encrypted += 1;
                if self.encrypted == ENCRYPTED {
                    self.refusal = Some(NotShown::Encrypted);
                }
            } else {
                self.encrypted = 0;
                self.chosen.iter_mut().for_each(|chosen| chosen.take(&packet, &mut each));
            }
        }
    }

    /// Looks which programme is shown, as the tables say now: the one that is, as long as it is there.
    fn choose(&mut self, mut each: impl FnMut(Unit)) {
        let described =
            || self.psi.programmes().filter_map(|(number, one)| Some((number, one.pmt.as_ref()?)));
        let before = self.chosen.as_ref().map(|chosen| chosen.number);
        let best =
            described().map(|(number, pmt)| (number, shown(&pmt.streams))).min_by_key(|(number, shown)| {
                let (video, sound, _) = shown;
                (video.is_none(), sound.is_none(), before != Some(*number), *number)
            });
        let Some((number, (video, sound, left_out))) = best else { return };
        if video.is_none() && (sound.is_none() || matches!(left_out, Some(NotShown::Coded(_)))) {
            // Others may be described yet.
            let is_all = self.psi.programmes().all(|(_, one)| one.pmt.is_some());
            self.refusal = Some(left_out.unwrap_or(NotShown::Nothing)).filter(|_| is_all);
            return;
        }
        let chosen = Chosen { number, video: video.map(Video::new), sound: sound.map(Sound::new) };
        (self.left_out, self.refusal) = (left_out, None);
        if self.chosen.as_ref().is_some_and(|before| before.is_like(&chosen)) {
            return;
        }
        if self.chosen.replace(chosen).is_some() {
            each(Unit::Gap);
        }
    }
}

/// What can be shown of these.
fn shown(streams: &[Stream]) -> Shown {
    let codec = |stream: &Stream| match stream.kind {
        "H.264" => Some(Codec::H264),
        "H.265" => Some(Codec::H265),
        _ => None,
    };
    let video = streams.iter().find_map(|stream| Some((stream.pid, codec(stream)?)));
    let sound = streams.iter().find(|stream| stream.stream_type == AAC_IN_ADTS).map(|stream| stream.pid);
    let named = |what: &str, is: fn(&Stream) -> bool| {
        streams.iter().find(|stream| is(stream)).map(|stream| NotShown::coded(what, stream.kind))
    };
    let picture = || named("its picture is", Stream::is_video);
    let noise = || named("its sound is", Stream::is_sound);
    let left_out = match (video, sound) {
        (Some(_), Some(_)) => None,
        (Some(_), None) => noise(),
        (None, Some(_)) => picture(),
        (None, None) => picture().or_else(noise),
    };
    (video, sound, left_out)
}

impl Chosen {
    fn has(&self, pid: u16) -> bool {
        self.video.as_ref().is_some_and(|video| video.pid == pid)
            || self.sound.as_ref().is_some_and(|sound| sound.pid == pid)
    }

    fn is_like(&self, other: &Self) -> bool {
        let video = |one: &Self| one.video.as_ref().map(|video| (video.pid, video.pictures.codec()));
        let sound = |one: &Self| one.sound.as_ref().map(|sound| sound.pid);
        (self.number, video(self), sound(self)) == (other.number, video(other), sound(other))
    }

    fn take(&mut self, packet: &TsPacket<'_>, each: impl FnMut(Unit)) {
        if let Some(video) = self.video.as_mut().filter(|video| video.pid == packet.pid) {
            video.take(packet, each);
        } else if let Some(sound) = &mut self.sound {
            sound.take(packet, each);
        }
    }
}

impl Video {
    fn new((pid, codec): (u16, Codec)) -> Self {
        Self { pid, pes: Pes::default(), pictures: Pictures::new(codec, &[]) }
    }

    fn take(&mut self, packet: &TsPacket<'_>, mut each: impl FnMut(Unit)) {
        let came = self.pes.take(packet);
        if came.is_gap {
            each(Unit::Gap);
        }
        let Some(Begun { times, payload, .. }) = came.whole else { return };
        units(&payload).for_each(|unit| self.pictures.take(unit));
        match self.pictures.end() {
            Ok(Some(coded)) => {
                each(Unit::Picture { shown: times.shown, decoded: Some(times.decoded), coded })
            }
            Ok(None) => {}
            Err(()) => each(Unit::Gap),
        }
    }
}

impl Sound {
    fn new(pid: u16) -> Self {
        Self { pid, pes: Pes::default(), frames: Adts::default() }
    }

    fn take(&mut self, packet: &TsPacket<'_>, mut each: impl FnMut(Unit)) {
        let came = self.pes.take(packet);
        if came.is_gap {
            self.frames.lose();
        }
        let Some(Begun { times, payload, .. }) = came.whole else { return };
        self.frames.tell(times.shown);
        self.frames.take(&payload, |heard, frame, config| {
            each(Unit::Sound { heard, frame: frame.to_vec(), config });
        });
    }
}
