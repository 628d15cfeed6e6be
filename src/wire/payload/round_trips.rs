//! That what is packed is, to whoever unpacks it, what it was.

use proptest::prelude::*;

use super::super::fmp4::{NalPackets, Parameters, SoundPackets};
use super::super::random_access::units::Codec;
use super::{Coded, LEAST, Nal, Payload, Pcm, Samples};

fn packed(coded: &Coded, unit: &[u8], most: usize) -> Vec<Payload> {
    let mut payloads = Vec::new();
    coded.pack(unit, most, &mut payloads).expect("a unit");
    assert!(payloads.iter().all(|payload| payload.bytes.len() <= most && !payload.bytes.is_empty()));
    payloads
}

fn nal(codec: Codec, nal: Nal) -> Coded {
    if codec == Codec::H265 { Coded::H265(nal) } else { Coded::H264(nal) }
}

fn unpacked(codec: Codec, payloads: &[Payload]) -> Vec<Vec<u8>> {
    let (mut packets, mut units) = (NalPackets::new(codec), Vec::new());
    assert!(payloads.iter().all(|payload| packets.take(&payload.bytes, |unit| units.push(unit.to_vec()))));
    units
}

/// A unit whose header says a type that pictures and what belongs to them have.
fn unit() -> impl Strategy<Value = Vec<u8>> {
    let body = prop::collection::vec(any::<u8>(), 1..4000);
    (1u8..24, any::<bool>(), body).prop_map(|(kind, important, mut unit)| {
        unit.splice(..0, [kind | if important { 0x40 } else { 0 }]);
        unit
    })
}

proptest! {
    #[test]
    fn pictures_come_back(units in prop::collection::vec(unit(), 1..6), most in LEAST..2000, length_size in 2u8..=4) {
        let picture: Vec<u8> = units
            .iter()
            .flat_map(|unit| [&(unit.len() as u32).to_be_bytes()[4 - usize::from(length_size)..], unit].concat())
            .collect();
        for codec in [Codec::H264, Codec::H265] {
            let payloads = packed(&nal(codec, Nal { length_size, sets: vec![] }), &picture, most);
            let (last, others) = payloads.split_last().expect("a payload");
            prop_assert!(last.marker && others.iter().all(|payload| !payload.marker));
            prop_assert_eq!(unpacked(codec, &payloads), units.clone());
        }
    }

    #[test]
    fn parameter_sets_come_back(sets in prop::collection::vec(unit(), 0..6), most in LEAST..9000) {
        for codec in [Codec::H264, Codec::H265] {
            let payloads = nal(codec, Nal { length_size: 4, sets: sets.clone() }).prologue(most);
            prop_assert!(payloads.iter().all(|payload| payload.bytes.len() <= most));
            prop_assert_eq!(unpacked(codec, &payloads), sets.clone());
        }
    }

    #[test]
    fn frames_of_sound_come_back(frame in prop::collection::vec(any::<u8>(), 1..6000), most in LEAST..2000) {
        let coded = Coded::aac(&[0x11, 0x90], 48_000, 2);
        let said = coded.described(0).parameters.expect("parameters");
        let mut packets = SoundPackets::new("mpeg4-generic", 48_000, &Parameters::read(&said)).expect("AAC");
        let mut frames = Vec::new();
        for payload in packed(&coded, &frame, most) {
            packets.take(&payload.bytes, payload.marker, |at, frame| frames.push((at, frame.to_vec())));
        }
        prop_assert_eq!(frames, [(0, frame)]);
    }

    #[test]
    fn other_sound_and_pictures_come_back(unit in prop::collection::vec(any::<u8>(), 1..6000), most in LEAST..2000) {
        let pictures = packed(&Coded::Mpeg4Visual { config: vec![] }, &unit, most);
        let (last, others) = pictures.split_last().expect("a payload");
        prop_assert!(last.marker && others.iter().all(|payload| !payload.marker));
        prop_assert_eq!(pictures.into_iter().flat_map(|payload| payload.bytes).collect::<Vec<_>>(), unit.clone());
        let mut frame = Vec::<u8>::new();
        for payload in packed(&Coded::MpegAudio, &unit, most) {
            let (header, part) = payload.bytes.split_at(4);
            prop_assert_eq!(header, (frame.len() as u32).to_be_bytes());
            frame.extend(part);
        }
        prop_assert_eq!(&frame, &unit);
        let (opus, mut payloads) = (Coded::Opus { channels: 2 }, Vec::new());
        let is_packed = opus.pack(&unit, most, &mut payloads).is_ok();
        prop_assert_eq!(is_packed, unit.len() <= most);
        let units: Vec<_> = payloads.into_iter().map(|payload| payload.bytes).collect();
        prop_assert_eq!(units, if is_packed { vec![unit] } else { vec![] });
    }

    #[test]
    fn samples_come_back(frames in 1usize..3000, most in LEAST..2000, rate in 1u32..200_000, channels in 1u16..9) {
        let pcm = Pcm { samples: Samples::Linear16 { is_little_endian: false }, rate, channels };
        let unit: Vec<u8> = (0..frames * pcm.frame_len()).map(|place| place as u8).collect();
        let payloads = packed(&Coded::Pcm(pcm), &unit, most);
        prop_assert_eq!(payloads.iter().flat_map(|payload| payload.bytes.clone()).collect::<Vec<_>>(), unit);
        let mut frames_before = 0;
        for payload in payloads {
            prop_assert_eq!(payload.ticks, frames_before);
            frames_before += (payload.bytes.len() / pcm.frame_len()) as u32;
        }
    }

    #[test]
    fn hostile_units_never_panic(unit in prop::collection::vec(any::<u8>(), 0..3000), most: usize, length_size: u8, channels: u16, rate: u32) {
        let samples = Samples::Linear24 { is_little_endian: true };
        let sets = vec![unit.clone(), vec![], vec![0x67], vec![66]];
        let all = [
            Coded::H264(Nal { length_size, sets: sets.clone() }),
            Coded::H265(Nal { length_size, sets }),
            Coded::aac(&unit, rate, channels),
            Coded::Mpeg4Visual { config: unit.clone() },
            Coded::MpegAudio,
            Coded::Opus { channels: channels as u8 },
            Coded::Pcm(Pcm { samples, rate, channels }),
        ];
        for (place, coded) in all.iter().enumerate() {
            let mut payloads = Vec::new();
            if coded.pack(&unit, most % 3000, &mut payloads).is_err() {
                prop_assert!(payloads.is_empty());
            }
            prop_assert!(payloads.iter().all(|payload| payload.bytes.len() <= (most % 3000).max(LEAST)));
            let _ = coded.prologue(most % 3000);
            let _ = coded.described(place * 1000);
        }
    }
}
