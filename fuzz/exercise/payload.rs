//! What must hold for whatever is stored and is to be carried by RTP: units of all codings, hint samples, WAVE files. `super::wire` is the crate's
//! wire floor.

use super::wire::container::hints;
use super::wire::payload::{Coded, LEAST, Nal, Pcm, Samples};
use super::wire::sdp::{StoredMedium, stored};
use super::wire::stored::Wav;

/// The first byte says what the others are, the second how large payloads may be, and how long lengths are.
pub fn exercise(bytes: &[u8]) {
    let [kind, about, rest @ ..] = bytes else { return };
    let (most, length_size) = (LEAST + usize::from(*about), about & 3);
    let nal =
        || Nal { length_size: length_size + 1, sets: rest.chunks(16).take(8).map(<[u8]>::to_vec).collect() };
    let pcm = |samples| Coded::Pcm(Pcm { samples, rate: 8_000, channels: (about % 9).into() });
    let coded = match kind % 10 {
        0 => Coded::H264(nal()),
        1 => Coded::H265(nal()),
        2 => Coded::aac(rest, 48_000, 2),
        3 => Coded::Mpeg4Visual { config: rest.to_vec() },
        4 => Coded::MpegAudio,
        5 => Coded::Opus { channels: about % 3 },
        6 => pcm(Samples::Linear24 { is_little_endian: true }),
        7 => return expect_hints(rest),
        8 => return expect_samples(rest),
        _ => return expect_description(rest),
    };
    let mut payloads = Vec::new();
    let packed = coded.pack(rest, most, &mut payloads);
    assert_eq!(packed.is_ok(), !payloads.is_empty());
    payloads.extend(coded.prologue(most));
    assert!(payloads.iter().all(|payload| (1..=most).contains(&payload.bytes.len())));
    expect_described(&coded.described(usize::from(*about)));
}

/// What is described is read again.
fn expect_described(medium: &StoredMedium) {
    let presentation = stored("film", std::slice::from_ref(medium));
    assert_eq!(presentation.tracks[0].payload_types, [medium.payload_type]);
    assert_eq!(presentation.parameters(0).map(str::to_owned), medium.parameters);
}

fn expect_hints(sample: &[u8]) {
    let found = hints(sample).unwrap_or_default();
    assert!(found.len() * 12 <= sample.len());
}

fn expect_samples(file: &[u8]) {
    let read = Wav::read(file.len() as u64, |at, into| {
        let there = file.get(at as usize..).and_then(|rest| rest.get(..into.len()));
        into.copy_from_slice(there.ok_or(std::io::ErrorKind::UnexpectedEof)?);
        Ok(())
    });
    let Ok(wav) = read else { return };
    let all = wav.bytes_of(0, u64::MAX);
    assert!(all.end <= file.len() as u64);
    assert_eq!((all.end - all.start) % wav.pcm.frame_len() as u64, 0);
    assert!(wav.frame_at(wav.duration_us()) <= wav.frames());
}

fn expect_description(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    if let Some(medium) = StoredMedium::of_hint(text) {
        assert!(medium.payload_type < 128 && medium.clock_rate > 0);
    }
}
