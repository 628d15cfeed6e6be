//! What RTP carries of files of ffmpeg's: all that is in them, packed here or, where they are hinted, by ffmpeg, and nothing else.

use std::fs;
use std::path::Path;

use mirrorball::wire::container::{Coding, Film, hints};
use mirrorball::wire::payload::{Coded, MOST, Payload};
use mirrorball::wire::sdp::StoredMedium;
use mirrorball::wire::stored::{Wav, coded};
use tempfile::TempDir;

use crate::players::programme::ffmpeg;

const H264: [&str; 8] = ["-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-g", "25"];

fn make(arguments: &[&str], path: &Path) -> Vec<u8> {
    let mut make = ffmpeg(&["-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25"]);
    make.args([
        "-f",
        "lavfi",
        "-i",
        "sine=frequency=440:sample_rate=48000",
        "-t",
        "4",
        "-pix_fmt",
        "yuv420p",
    ]);
    assert!(make.args(arguments).arg(path).status().expect("ffmpeg runs").success());
    fs::read(path).expect("a file")
}

/// All samples of a track, one behind the other.
fn samples(film: &Film, file: &[u8], track: usize) -> Vec<u8> {
    let samples = &film.tracks[track].samples;
    let all = (0..samples.count()).map(|number| samples.sample(number).expect("a sample"));
    all.flat_map(|sample| &file[sample.offset as usize..][..sample.size as usize]).copied().collect()
}

/// What is packed of a track.
fn packed(film: &Film, file: &[u8], track: usize) -> (Coded, Vec<Vec<u8>>) {
    let coded = coded(&film.tracks[track]).expect("it can be packed");
    let (samples, mut number, mut payloads) = (&film.tracks[track].samples, 0, Vec::<Payload>::new());
    while let Some(sample) = samples.sample(number) {
        let together = if matches!(coded, Coded::Pcm(_)) { samples.alike(number) } else { 1 };
        let unit = &file[sample.offset as usize..][..(sample.size * together) as usize];
        coded.pack(unit, MOST, &mut payloads).expect("it is packed");
        number += together;
    }
    assert!(payloads.iter().all(|payload| payload.bytes.len() <= MOST));
    (coded, payloads.into_iter().map(|payload| payload.bytes).collect())
}

/// What ffmpeg has packed of a track, and how the hint track describes that.
fn hinted(film: &Film, file: &[u8], track: usize) -> (StoredMedium, Vec<Vec<u8>>) {
    let id = film.tracks[track].id;
    let is_of = |coding: &Coding| matches!(coding, Coding::Hints(hints) if hints.media == [id]);
    let place = film.tracks.iter().position(|track| is_of(&track.coding)).expect("a hint track");
    let Coding::Hints(about) = &film.tracks[place].coding else { panic!("hints") };
    let medium = StoredMedium::of_hint(about.sdp.as_deref().expect("a description")).expect("a medium");
    let (all, mut payloads) = (&film.tracks[place].samples, Vec::new());
    for sample in (0..all.count()).map(|number| all.sample(number).expect("a sample")) {
        for hint in hints(&file[sample.offset as usize..][..sample.size as usize]).expect("packets") {
            assert_eq!(hint.payload_type, medium.payload_type);
            payloads.push(film.hinted(file, place, &hint).expect("a payload"));
        }
    }
    (medium, payloads)
}

/// NAL units of H.264 out of payloads, each behind its length.
fn units(payloads: &[Vec<u8>]) -> Vec<u8> {
    let (mut all, mut begun) = (Vec::new(), Vec::new());
    let mut add = |unit: &[u8]| {
        all.extend((unit.len() as u32).to_be_bytes());
        all.extend(unit);
    };
    for payload in payloads {
        match payload[0] & 0x1f {
            24 => {
                let mut rest = &payload[1..];
                while let [high, low, following @ ..] = rest {
                    let (unit, after) = following.split_at(usize::from(u16::from_be_bytes([*high, *low])));
                    add(unit);
                    rest = after;
                }
            }
            28 => {
                if payload[1] & 0x80 != 0 {
                    begun = vec![payload[0] & 0xe0 | payload[1] & 0x1f];
                }
                begun.extend(&payload[2..]);
                if payload[1] & 0x40 != 0 {
                    add(&begun);
                }
            }
            _ => add(payload),
        }
    }
    all
}

/// Frames of AAC out of payloads that have whole ones.
fn frames(payloads: &[Vec<u8>]) -> Vec<u8> {
    let headers = |payload: &[u8]| usize::from(u16::from_be_bytes([payload[0], payload[1]])).div_ceil(8);
    payloads.iter().flat_map(|payload| payload[2 + headers(payload)..].to_vec()).collect()
}

#[test]
fn pictures_and_sound_of_files_are_carried_whole() {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("film.mp4");
    for movflags in ["faststart", "frag_keyframe+empty_moov"] {
        let file = make(&[&H264[..], &["-c:a", "aac", "-movflags", movflags]].concat(), &path);
        let film = Film::read(file.as_slice()).expect("a film");
        let ((_, pictures), (_, sound)) = (packed(&film, &file, 0), packed(&film, &file, 1));
        assert!(pictures.len() > film.tracks[0].samples.count() as usize, "some are in fragments");
        assert_eq!(units(&pictures), samples(&film, &file, 0));
        assert_eq!(frames(&sound), samples(&film, &file, 1));
    }
    let file = make(&["-c:v", "mpeg4", "-c:a", "libmp3lame"], &path);
    let film = Film::read(file.as_slice()).expect("a film");
    let ((video, pictures), (_, sound)) = (packed(&film, &file, 0), packed(&film, &file, 1));
    assert_eq!(pictures.concat(), samples(&film, &file, 0));
    assert_eq!(
        sound.iter().flat_map(|payload| &payload[4..]).copied().collect::<Vec<_>>(),
        samples(&film, &file, 1)
    );
    let said = video.described(0).parameters.expect("parameters");
    assert!(said.starts_with("profile-level-id=1;config=000001b001"), "{said}");
}

#[test]
fn hinted_files_are_carried_as_ffmpeg_has_packed_them() {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("film.mov");
    let file = make(&[&H264[..], &["-c:a", "aac", "-movflags", "rtphint"]].concat(), &path);
    let film = Film::read(file.as_slice()).expect("a film");
    let (video, pictures) = hinted(&film, &file, 0);
    assert_eq!((video.encoding.as_str(), video.clock_rate), ("H264", 90_000));
    assert_eq!(units(&pictures), samples(&film, &file, 0));
    let (audio, sound) = hinted(&film, &file, 1);
    assert_eq!((audio.encoding.as_str(), audio.clock_rate), ("MPEG4-GENERIC", 48_000));
    // The frames of the last packet it forgets.
    let (heard, whole) = (frames(&sound), samples(&film, &file, 1));
    assert!(
        whole.starts_with(&heard) && heard.len() + MOST > whole.len(),
        "{} of {}",
        heard.len(),
        whole.len()
    );
    let own = packed(&film, &file, 0).0.described(0).parameters.expect("parameters");
    let sets = |said: &str| {
        said.split(';').find_map(|one| one.trim().strip_prefix("sprop-parameter-sets=").map(str::to_owned))
    };
    assert_eq!(sets(&own), sets(video.parameters.as_deref().expect("parameters")), "and described alike");
}

#[test]
fn samples_of_sound_are_turned_as_the_network_has_them() {
    let directory = TempDir::new().expect("a directory");
    for (name, codec, raw) in [
        ("a.wav", "pcm_s16le", "s16be"),
        ("b.wav", "pcm_s24le", "s24be"),
        ("c.wav", "pcm_u8", "u8"),
        ("d.mov", "pcm_s16le", "s16be"),
    ] {
        let path = directory.path().join(name);
        let file = make(&["-vn", "-ac", "2", "-c:a", codec], &path);
        let payloads: Vec<Vec<u8>> = if name.ends_with("wav") {
            let wav = Wav::read(file.len() as u64, |at, into| {
                into.copy_from_slice(&file[at as usize..][..into.len()]);
                Ok(())
            });
            let wav = wav.expect("a file");
            assert_eq!(wav.duration_us(), 4_000_000);
            let all = wav.bytes_of(0, u64::MAX);
            let mut payloads = Vec::new();
            let unit = &file[all.start as usize..all.end as usize];
            Coded::Pcm(wav.pcm).pack(unit, MOST, &mut payloads).expect("it is packed");
            payloads.into_iter().map(|payload| payload.bytes).collect()
        } else {
            packed(&Film::read(file.as_slice()).expect("a film"), &file, 0).1
        };
        let bare = directory.path().join("bare");
        let mut turn = ffmpeg(&["-i"]);
        assert!(turn.arg(&path).args(["-f", raw]).arg(&bare).status().expect("ffmpeg runs").success());
        assert!(payloads.concat() == fs::read(&bare).expect("a file"), "{name}");
    }
}
