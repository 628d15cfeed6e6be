//! What is made of packets of one source: when it begins, goes on and begins anew, and that nothing harms.

use mp4_atom::{Any, DecodeMaybe, Moof};
use proptest::prelude::*;

use super::super::samples::{H264_PPS, H264_SPS};
use super::*;

const MS: Duration = Duration::from_millis(1);
const PICTURE: Source<'static> = Source {
    media: "video",
    encoding: Some("H264"),
    payload_type: 96,
    clock_rate: Some(90_000),
    parameters: None,
};
const SOUND: Source<'static> = Source {
    media: "audio",
    encoding: Some("MPEG4-GENERIC"),
    payload_type: 97,
    clock_rate: Some(48_000),
    parameters: Some("sizelength=13;indexlength=3;indexdeltalength=3;config=1190"),
};

/// A source of pictures and sound in RTP.
struct Sender {
    film: Film,
    sequences: [u16; 2],
    ssrc: u32,
}

impl Sender {
    fn of(sources: &[Source<'_>]) -> Self {
        Self { film: Film::new(sources).expect("it is played"), sequences: [u16::MAX - 1; 2], ssrc: 7 }
    }

    fn send(&mut self, track: usize, timestamp: u32, payload: &[u8], at: Duration) {
        let sequence = &mut self.sequences[track];
        *sequence = sequence.wrapping_add(1);
        let mut packet = vec![0x80, 0x80 | (96 + track as u8)];
        packet.extend(sequence.to_be_bytes());
        packet.extend(timestamp.to_be_bytes());
        packet.extend(self.ssrc.to_be_bytes());
        packet.extend(payload);
        self.film.take(track, &packet, at);
    }

    /// A picture that a decoder can start with.
    fn start(&mut self, timestamp: u32, at: Duration) {
        let sizes = |unit: &[u8]| [&(unit.len() as u16).to_be_bytes(), unit].concat();
        let units = [&H264_SPS[..], &H264_PPS, &[0x65, 1]].map(sizes).concat();
        self.send(0, timestamp, &[&[24], &units[..]].concat(), at);
    }

    fn picture(&mut self, timestamp: u32, at: Duration) {
        self.send(0, timestamp, &[0x41, 0x9a, 1], at);
    }

    fn sound(&mut self, timestamp: u32, at: Duration) {
        self.send(1, timestamp, &[0, 16, 0, 1 << 3, 9], at);
    }

    /// What was made since it was asked last: beginnings by their tracks, and fragments by theirs: when each sample is decoded,
    /// and how much later it is shown.
    fn made(&mut self) -> Vec<Made> {
        let bytes = self.film.give().unwrap_or_default();
        let (mut rest, mut made) = (&bytes[..], Vec::new());
        while let Some(atom) = Any::decode_maybe(&mut rest).expect("boxes") {
            match atom {
                Any::Moov(moov) => made.push(Made::Beginning(moov.trak.len())),
                Any::Moof(moof) => made.push(Made::Fragment(times(&moof))),
                _ => {}
            }
        }
        made
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Made {
    Beginning(usize),
    Fragment(Vec<(u32, Vec<(u64, i64)>)>),
}

fn times(moof: &Moof) -> Vec<(u32, Vec<(u64, i64)>)> {
    let of_track = |traf: &mp4_atom::Traf| {
        let mut at = traf.tfdt.as_ref().expect("a time").base_media_decode_time;
        let run = traf.trun[0].samples.iter().map(|sample| {
            let begins = at;
            at += u64::from(sample.duration.expect("a duration"));
            (begins, sample.cts.unwrap_or_default())
        });
        (traf.tfhd.track_id, run.collect())
    };
    moof.traf.iter().map(of_track).collect()
}

#[test]
fn a_film_begins_with_a_picture_that_can_be_started_with_and_sound_beside_it() {
    let mut sender = Sender::of(&[PICTURE, SOUND]);
    let top = u32::MAX - 5000;
    sender.picture(top - 3600, Duration::ZERO);
    sender.sound(0, Duration::ZERO);
    sender.start(top, 40 * MS);
    assert_eq!(sender.made(), [], "how the picture goes on is to come");
    assert_eq!(sender.film.media_type(), None);
    sender.sound(1024, 21 * MS);
    sender.picture(top.wrapping_add(3600), 80 * MS);
    sender.picture(top.wrapping_add(7200), 120 * MS);
    sender.sound(2048, 43 * MS);
    // Its parameter sets have two pictures decoded before one that is shown first: it is decoded 6000 earlier than it is shown,
    // 26.7 ms before what came first.
    let pictures = (1, vec![(0, 6000), (3000, 6600)]);
    let sound = (2, vec![(1279, 0), (2303, 0)]);
    assert_eq!(sender.made(), [Made::Beginning(2), Made::Fragment(vec![pictures, sound])]);
    assert_eq!(sender.film.media_type().as_deref(), Some("video/mp4; codecs=\"avc1.64000b, mp4a.40.2\""));
}

#[test]
fn behind_a_gap_nothing_is_shown_before_the_next_start_and_times_go_on() {
    let mut sender = Sender::of(&[PICTURE]);
    sender.start(0, Duration::ZERO);
    sender.picture(3600, 40 * MS);
    assert_eq!(sender.made().len(), 2);
    sender.sequences[0] += 1;
    sender.picture(10_800, 120 * MS);
    sender.picture(14_400, 160 * MS);
    assert_eq!(sender.made(), []);
    sender.start(18_000, 200 * MS);
    sender.picture(21_600, 240 * MS);
    let made = sender.made();
    assert_eq!(made, [Made::Fragment(vec![(1, vec![(3000, 6600), (18_000, 6000)])])], "no other beginning");
}

#[test]
fn another_ssrc_goes_on_where_the_film_was_with_a_beginning_of_its_own() {
    let mut sender = Sender::of(&[PICTURE]);
    sender.start(0, Duration::ZERO);
    sender.picture(3600, 40 * MS);
    assert_eq!(sender.made().len(), 2);
    (sender.ssrc, sender.sequences[0]) = (8, 77);
    sender.picture(900_000, 80 * MS);
    sender.start(903_600, 120 * MS);
    sender.picture(907_200, 160 * MS);
    let made = sender.made();
    assert_eq!(made.len(), 3, "{made:?}");
    assert_eq!(made[1], Made::Beginning(1));
    assert_eq!(made[2], Made::Fragment(vec![(1, vec![(6000, 6000)])]));
}

#[test]
fn a_clock_that_was_set_makes_no_hole() {
    let mut sender = Sender::of(&[PICTURE]);
    sender.start(0, Duration::ZERO);
    sender.picture(3600, 40 * MS);
    sender.start(90_000_000, 80 * MS);
    sender.picture(90_003_600, 120 * MS);
    let made = sender.made();
    let last = made.last().expect("a fragment");
    assert_eq!(*last, Made::Fragment(vec![(1, vec![(6000, 6000)])]));
}

#[test]
fn sound_that_does_not_come_is_not_waited_for_for_ever() {
    let mut sender = Sender::of(&[PICTURE, SOUND]);
    sender.start(0, Duration::ZERO);
    for number in 1..25 {
        sender.picture(3600 * number, 40 * number * MS);
    }
    assert_eq!(sender.made(), []);
    for number in 25..30 {
        sender.picture(3600 * number, 40 * number * MS);
    }
    assert_eq!(sender.made()[0], Made::Beginning(1));
    sender.sound(5, 1200 * MS);
    sender.sound(1029, 1220 * MS);
    assert_eq!(sender.made(), [], "it is too late for it");
    assert_eq!(sender.film.media_type().as_deref(), Some("video/mp4; codecs=\"avc1.64000b\""));
}

#[test]
fn sound_alone_is_a_film_too() {
    let mut sender = Sender::of(&[SOUND]);
    for number in 0..3 {
        let packet = [0x80, 0xe1, 0, number, 0, 0, number * 4, 0, 0, 0, 0, 7, 0, 16, 0, 1 << 3, 9];
        sender.film.take(0, &packet, MS);
    }
    let made = sender.made();
    assert_eq!(made, [Made::Beginning(1), Made::Fragment(vec![(2, vec![(0, 0), (1024, 0)])])]);
    assert_eq!(sender.film.media_type().as_deref(), Some("audio/mp4; codecs=\"mp4a.40.2\""));
}

#[test]
fn what_browsers_do_not_play_is_said() {
    let of = |media, encoding| Source { media, encoding: Some(encoding), ..PICTURE };
    let refused = |sources: &[Source<'_>]| Film::new(sources).expect_err("it is not played").to_string();
    assert!(refused(&[of("video", "MPV"), SOUND]).starts_with("its picture is in MPEG-2 video, "));
    assert!(refused(&[of("audio", "L24")]).starts_with("its sound is in PCM, "));
    assert_eq!(refused(&[]), "it carries neither picture nor sound");
    let film = Film::new(&[PICTURE, of("audio", "AC3")]).expect("its picture is played");
    assert!(film.left_out().expect("its sound").to_string().starts_with("its sound is in AC-3, "));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn hostile_packets_never_panic(packets in prop::collection::vec((0..3_usize, any::<u32>(), any::<bool>(), prop::collection::vec(any::<u8>(), 0..40)), 0..60)) {
        let mut sender = Sender::of(&[PICTURE, SOUND]);
        for (kind, timestamp, is_lost, payload) in packets {
            match kind {
                0 => sender.start(timestamp, MS),
                track => sender.send(track - 1, timestamp, &payload, MS),
            }
            sender.sequences[0] = sender.sequences[0].wrapping_add(is_lost.into());
            sender.film.hear(0, &payload);
            let _ = sender.film.give();
        }
    }
}
