//! What a description says of a coding: its name, its clock and what a decoder has to know beforehand.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::super::fmp4::Shape;
use super::super::random_access::units::Codec;
use super::super::sdp::StoredMedium;
use super::coded::{Coded, Nal};
use super::pcm::{Pcm, Samples};

/// Of pictures, whatever they are coded by.
const PICTURE_CLOCK: u32 = 90_000;
/// Of Opus, whatever its rate was (RFC 7587 section 4.1).
const OPUS_CLOCK: u32 = 48_000;
/// The first payload type that means what its description says.
const DYNAMIC: u8 = 96;
/// How many of them there are.
const DYNAMIC_TYPES: usize = 32;
/// Simple profile, level 1: what a description that says nothing means (RFC 6416 section 7.1).
const SIMPLE_VISUAL: u8 = 1;
/// Of what a decoder has to know beforehand no longer text is told: descriptions go whole into a reply.
const LONGEST: usize = 8 << 10;

impl Coded {
    /// Of the track at `place` of its programme, counted from 0: its payload type is a static one where there is one, or one of its own.
    #[must_use]
    pub fn described(&self, place: usize) -> StoredMedium {
        let dynamic = DYNAMIC + (place % DYNAMIC_TYPES) as u8;
        let medium = |media, encoding: &str, clock_rate| StoredMedium {
            media,
            payload_type: dynamic,
            encoding: encoding.to_owned(),
            clock_rate,
            channels: None,
            parameters: None,
        };
        let video = |encoding, parameters| StoredMedium {
            parameters: Some(parameters),
            ..medium("video", encoding, PICTURE_CLOCK)
        };
        match self {
            Self::H264(coded) => video("H264", h264(coded)),
            Self::H265(coded) => {
                StoredMedium { parameters: h265(coded), ..medium("video", "H265", PICTURE_CLOCK) }
            }
            Self::Mpeg4Visual { config } => video("MP4V-ES", visual(config)),
            Self::Aac { config, rate, channels } => StoredMedium {
                channels: Some((*channels).max(1)),
                parameters: Some(aac(config)),
                ..medium("audio", "mpeg4-generic", (*rate).max(1))
            },
            Self::MpegAudio => StoredMedium { payload_type: 14, ..medium("audio", "MPA", PICTURE_CLOCK) },
            Self::Opus { channels } => StoredMedium {
                channels: Some(2),
                parameters: (*channels == 2).then(|| "sprop-stereo=1".to_owned()),
                ..medium("audio", "opus", OPUS_CLOCK)
            },
            Self::Pcm(pcm) => StoredMedium {
                payload_type: static_type(pcm).unwrap_or(dynamic),
                channels: Some(pcm.channels.max(1)),
                ..medium("audio", encoding(pcm.samples), pcm.rate.max(1))
            },
        }
    }
}

/// RFC 6184 section 8.1: profile and level are the second to fourth byte of the first sequence parameter set.
fn h264(coded: &Nal) -> String {
    let level = coded.sets.iter().find(|set| set.first().is_some_and(|first| first & 0x1f == 7));
    let level = level.and_then(|set| set.get(1..4)).map(|level| format!(";profile-level-id={}", hex(level)));
    let sets = match sets(&coded.sets, |_| true) {
        None => String::new(),
        Some(sets) => format!(";sprop-parameter-sets={sets}"),
    };
    format!("packetization-mode=1{}{sets}", level.unwrap_or_default())
}

/// RFC 7798 section 7.1.
fn h265(coded: &Nal) -> Option<String> {
    let kind = |set: &[u8]| set.first().map(|first| first >> 1 & 0x3f);
    let of = |wanted: u8| sets(&coded.sets, |set| kind(set) == Some(wanted));
    let names = [("sprop-vps", 32), ("sprop-sps", 33), ("sprop-pps", 34)];
    let told = names.into_iter().filter_map(|(name, wanted)| Some(format!("{name}={}", of(wanted)?)));
    let sequence = coded.sets.iter().find(|set| kind(set) == Some(33));
    let profile = sequence.and_then(|set| Shape::read(Codec::H265, set)).map(|shape| {
        let [first, .., level] = shape.profile;
        format!("profile-id={};tier-flag={};level-id={level}", first & 0x1f, first >> 5 & 1)
    });
    Some(profile.into_iter().chain(told).collect::<Vec<_>>().join(";")).filter(|said| !said.is_empty())
}

/// RFC 6416 section 7.1: the profile is what a sequence's header begins with.
fn visual(config: &[u8]) -> String {
    let level = match config {
        [0, 0, 1, 0xb0, level, ..] => *level,
        _ => SIMPLE_VISUAL,
    };
    format!("profile-level-id={level}{}", told(config))
}

/// RFC 3640 section 4.1: AAC-hbr; of the profile nobody asks more than that it is a number.
fn aac(config: &[u8]) -> String {
    let lengths = "sizelength=13;indexlength=3;indexdeltalength=3";
    format!("streamtype=5;profile-level-id=1;mode=AAC-hbr;{lengths}{}", told(config))
}

fn encoding(samples: Samples) -> &'static str {
    match samples {
        Samples::Linear8 { .. } => "L8",
        Samples::Linear16 { .. } => "L16",
        Samples::Linear24 { .. } => "L24",
        Samples::MuLaw => "PCMU",
        Samples::ALaw => "PCMA",
    }
}

/// RFC 3551 section 6.
fn static_type(pcm: &Pcm) -> Option<u8> {
    match (pcm.samples, pcm.rate, pcm.channels) {
        (Samples::MuLaw, 8_000, 1) => Some(0),
        (Samples::ALaw, 8_000, 1) => Some(8),
        (Samples::Linear16 { .. }, 44_100, 2) => Some(10),
        (Samples::Linear16 { .. }, 44_100, 1) => Some(11),
        _ => None,
    }
}

fn sets(sets: &[Vec<u8>], wanted: impl Fn(&[u8]) -> bool) -> Option<String> {
    let all = sets.iter().filter(|set| wanted(set)).map(|set| STANDARD.encode(set));
    Some(all.collect::<Vec<_>>().join(",")).filter(|all| (1..LONGEST).contains(&all.len()))
}

fn told(config: &[u8]) -> String {
    Some(hex(config)).filter(|all| all.len() < LONGEST).map_or(String::new(), |all| format!(";config={all}"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::super::super::sdp::{offered, stored, unicast};
    use super::*;

    fn said(coded: &Coded) -> String {
        let StoredMedium { media, payload_type, encoding, clock_rate, channels, parameters } =
            coded.described(1);
        let channels = channels.map_or(String::new(), |channels| format!("/{channels}"));
        format!("{media} {payload_type} {encoding}/{clock_rate}{channels} {}", parameters.unwrap_or_default())
    }

    #[test]
    fn pictures_tell_their_parameter_sets() {
        let h264 = Nal { length_size: 4, sets: vec![vec![0x67, 0x42, 0xc0, 0x0b], vec![0x68, 1]] };
        let expected = "video 97 H264/90000 packetization-mode=1;profile-level-id=42c00b;sprop-parameter-sets=Z0LACw==,aAE=";
        assert_eq!(said(&Coded::H264(h264)), expected);
        let h265 = Nal { length_size: 4, sets: vec![vec![64, 1], vec![66, 1], vec![68, 1]] };
        assert_eq!(
            said(&Coded::H265(h265)),
            "video 97 H265/90000 sprop-vps=QAE=;sprop-sps=QgE=;sprop-pps=RAE="
        );
        assert_eq!(said(&Coded::H264(Nal::default())), "video 97 H264/90000 packetization-mode=1");
        let visual = Coded::Mpeg4Visual { config: vec![0, 0, 1, 0xb0, 3] };
        assert_eq!(said(&visual), "video 97 MP4V-ES/90000 profile-level-id=3;config=000001b003");
    }

    #[test]
    fn sound_tells_its_clock_and_channels() {
        let aac = "audio 97 mpeg4-generic/48000/2 streamtype=5;profile-level-id=1;mode=AAC-hbr;\
            sizelength=13;indexlength=3;indexdeltalength=3;config=1190";
        assert_eq!(said(&Coded::aac(&[0x11, 0x90], 1, 1)), aac);
        assert_eq!(said(&Coded::MpegAudio), "audio 14 MPA/90000 ");
        assert_eq!(said(&Coded::Opus { channels: 2 }), "audio 97 opus/48000/2 sprop-stereo=1");
        let pcm = |samples, rate, channels| said(&Coded::Pcm(Pcm { samples, rate, channels }));
        assert_eq!(pcm(Samples::MuLaw, 8_000, 1), "audio 0 PCMU/8000/1 ");
        let l16 = Samples::Linear16 { is_little_endian: true };
        assert_eq!(
            [pcm(l16, 44_100, 2), pcm(l16, 48_000, 2)],
            ["audio 10 L16/44100/2 ", "audio 97 L16/48000/2 "]
        );
    }

    #[test]
    fn what_is_told_of_every_coding_is_read_again() {
        let sets =
            || vec![vec![0x67, 0x42, 0xc0, 0x0b], vec![0x68, 1], vec![64, 1], vec![66, 1], vec![68, 1]];
        let pcm = |samples, rate, channels| Coded::Pcm(Pcm { samples, rate, channels });
        let all = [
            Coded::H264(Nal { length_size: 4, sets: sets() }),
            Coded::H265(Nal { length_size: 4, sets: sets() }),
            Coded::Mpeg4Visual { config: vec![0, 0, 1, 0xb0, 3] },
            Coded::aac(&[0x11, 0x90], 48_000, 2),
            Coded::MpegAudio,
            Coded::Opus { channels: 1 },
            pcm(Samples::MuLaw, 8_000, 1),
            pcm(Samples::ALaw, 8_000, 1),
            pcm(Samples::Linear16 { is_little_endian: true }, 44_100, 2),
            pcm(Samples::Linear16 { is_little_endian: true }, 44_100, 1),
            pcm(Samples::Linear8 { is_signed: false }, 22_050, 1),
            pcm(Samples::Linear24 { is_little_endian: false }, 96_000, 0),
        ];
        let media: Vec<_> = (0..).zip(&all).map(|(place, coded)| coded.described(place)).collect();
        let presentation = stored("film", &media);
        let text = unicast(&presentation, Ipv4Addr::LOCALHOST.into());
        let read = offered(text.as_bytes()).expect("a description").presentation;
        assert_eq!(read.tracks, presentation.tracks, "{text}");
        assert!((0..all.len()).all(|track| read.parameters(track) == presentation.parameters(track)));
        let types: Vec<_> = media.iter().map(|medium| medium.payload_type).collect();
        assert_eq!(types, [96, 97, 98, 99, 14, 101, 0, 8, 10, 11, 106, 107]);
    }

    #[test]
    fn eight_channels_have_the_number_seven() {
        assert!(said(&Coded::aac(&[0x11, 0xb8], 1, 1)).starts_with("audio 97 mpeg4-generic/48000/8 "));
        assert!(said(&Coded::aac(&[0xf8, 0xe6], 44_100, 0)).starts_with("audio 97 mpeg4-generic/44100/1 "));
    }

    #[test]
    fn what_is_too_long_for_a_description_is_left_to_the_stream() {
        let sets = vec![vec![0x67; LONGEST], vec![0x68, 1]];
        let h264 = Coded::H264(Nal { length_size: 4, sets });
        assert_eq!(said(&h264), "video 97 H264/90000 packetization-mode=1;profile-level-id=676767");
        assert!(!stored("film", &[h264.described(0)]).tracks[0].tells_parameter_sets);
        let visual = Coded::Mpeg4Visual { config: vec![0; LONGEST] };
        assert_eq!(said(&visual), "video 97 MP4V-ES/90000 profile-level-id=1");
    }
}
