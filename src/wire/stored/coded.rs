//! A track of a file, as it is packed: what `container` has read is what `payload` has to know.

use super::super::container::{Coding, FilmTrack, Pcm as Stored};
use super::super::payload::{Coded, Nal, Pcm, Samples};

/// How a track is packed. `None`: no payload format is known for it; or it is hinted, and says itself what its packets are.
#[must_use]
pub fn coded(track: &FilmTrack) -> Option<Coded> {
    let (rate, channels) = track.sound.map_or((0, 0), |sound| (sound.rate, sound.channels));
    // Of fast sound no 16 bits tell the rate, but its clock goes as fast.
    let rate = if rate == 0 { track.timescale } else { rate };
    let nal = |length_size: &u8, sets: &[&Vec<Vec<u8>>]| Nal {
        length_size: *length_size,
        sets: sets.iter().flat_map(|sets| sets.iter().cloned()).collect(),
    };
    Some(match &track.coding {
        Coding::H264 { length_size, sps, pps } => Coded::H264(nal(length_size, &[sps, pps])),
        Coding::H265 { length_size, vps, sps, pps } => Coded::H265(nal(length_size, &[vps, sps, pps])),
        Coding::Mpeg4Video { config } => Coded::Mpeg4Visual { config: config.clone() },
        Coding::Aac { config } => Coded::aac(config, rate, channels),
        Coding::MpegAudio => Coded::MpegAudio,
        Coding::Opus { .. } => Coded::Opus {
            channels: u8::try_from(channels).ok().filter(|channels| (1..=2).contains(channels))?,
        },
        Coding::Pcm(stored) => {
            let samples = match stored {
                Stored::Little16 => Samples::Linear16 { is_little_endian: true },
                Stored::Big16 => Samples::Linear16 { is_little_endian: false },
                Stored::Ulaw => Samples::MuLaw,
                Stored::Alaw => Samples::ALaw,
            };
            Coded::Pcm(Pcm { samples, rate, channels: channels.max(1) })
        }
        Coding::Hints(_) | Coding::Unsupported { .. } => return None,
    })
}
