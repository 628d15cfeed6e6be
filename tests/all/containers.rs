//! What is read of files of ffmpeg's, before ffprobe: every sample is where it says, as long, decoded and shown at the same time, and a
//! decoder can start with the same ones.

use std::fs;
use std::path::Path;
use std::process::Command;

use mirrorball::wire::container::{Coding, Film, FilmTrack, Pcm};
use serde_json::Value;
use tempfile::TempDir;

use crate::players::programme::ffmpeg;
use crate::vocabulary::{is_there, skip};

const SECONDS: &str = "4";

/// Whether a track is coded as it has to be.
type IsCoded = fn(&Coding) -> bool;

/// Every film is read: how it was made, and how its tracks are coded.
fn expect_as_ffprobe_says(name: &str, arguments: &[&str], codings: [IsCoded; 2]) -> Film {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join(name);
    make(arguments, &path);
    let file = fs::read(&path).expect("a file");
    let film = Film::read(file.as_slice()).expect("a film");
    assert_eq!(film.tracks.len(), 2, "{film:?}");
    for (stream, (track, is_coded)) in film.tracks.iter().zip(codings).enumerate() {
        assert!(is_coded(&track.coding), "{name}: {:?}", track.coding);
        expect_samples(name, track, &packets(&path, stream));
    }
    let duration = film.duration.as_secs_f64();
    assert!((3.9..4.2).contains(&duration), "{name}: {duration} s");
    film
}

fn make(arguments: &[&str], path: &Path) {
    let mut make = ffmpeg(&["-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25"]);
    make.args(["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-t", SECONDS]);
    make.args(["-pix_fmt", "yuv420p"]).args(arguments).arg(path);
    assert!(make.status().expect("ffmpeg runs").success());
}

/// The packets of one stream, as ffprobe sees them.
fn packets(path: &Path, stream: usize) -> Vec<Value> {
    let mut probe = Command::new("ffprobe");
    probe.args(["-v", "error", "-show_packets", "-of", "json", "-select_streams", &stream.to_string()]);
    let told = probe.arg(path).output().expect("ffprobe runs").stdout;
    let told: Value = serde_json::from_slice(&told).expect("what ffprobe says");
    told["packets"].as_array().expect("packets").clone()
}

/// ffmpeg reads many moments of bare sound at once.
fn expect_samples(name: &str, track: &FilmTrack, packets: &[Value]) {
    let mut number = 0;
    for packet in packets {
        let text = |field: &str| packet[field].as_str().expect("a text").parse::<u64>().expect("a number");
        let tick = |field: &str| packet[field].as_i64().expect("a number");
        let sample = track.samples.sample(number).expect("as many samples as packets");
        let of = format!("{name}, track {}, sample {number}: {sample:?}, {packet}", track.id);
        assert_eq!(sample.offset, text("pos"), "{of}");
        assert_eq!((sample.decoded_at, sample.shown_at), (tick("dts"), tick("pts")), "{of}");
        let is_sync = packet["flags"].as_str().is_some_and(|flags| flags.starts_with('K'));
        assert_eq!(sample.is_sync, is_sync, "{of}");
        let together = text("size") / u64::from(sample.size);
        assert_eq!(together * u64::from(sample.size), text("size"), "{of}");
        assert!(together == 1 || u64::from(track.samples.alike(number)) >= together, "{of}");
        // ffmpeg gives some that are fragments of their own the same time.
        let found = track.samples.decoded_by(sample.decoded_at).and_then(|found| track.samples.sample(found));
        assert_eq!(found.map(|found| found.decoded_at), Some(sample.decoded_at), "{of}");
        number += together as u32;
    }
    assert_eq!(number, track.samples.count(), "{name}: ffprobe has as many");
}

const H264: [&str; 8] = ["-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-g", "25"];

fn is_h264(coding: &Coding) -> bool {
    matches!(coding, Coding::H264 { length_size: 4, sps, pps } if sps.len() == 1 && pps.len() == 1)
}

fn is_aac(coding: &Coding) -> bool {
    matches!(coding, Coding::Aac { config } if config.len() >= 2)
}

/// Whether a story can be told here.
fn can_be_told(name: &str) -> bool {
    let missing = ["ffmpeg", "ffprobe"].into_iter().find(|program| !is_there(program));
    missing.inspect(|program| skip(name, &format!("{program} is not installed"))).is_none()
}

#[test]
fn h264_with_aac_is_read_as_ffprobe_reads_it() {
    if !can_be_told("h264_with_aac_is_read_as_ffprobe_reads_it") {
        return;
    }
    for movflags in [
        "0",
        "faststart",
        "frag_keyframe+empty_moov",
        "frag_keyframe+empty_moov+default_base_moof",
        "frag_every_frame+delay_moov",
        "frag_keyframe+empty_moov+omit_tfhd_offset",
    ] {
        let rest = ["-c:a", "aac", "-movflags", movflags];
        let film = expect_as_ffprobe_says("film.mp4", &[&H264[..], &rest].concat(), [is_h264, is_aac]);
        let samples = &film.tracks[0].samples;
        let second = i64::from(film.tracks[0].timescale);
        let start = samples.sync_by(second * 5 / 2).expect("a start");
        assert_eq!(start, 50, "{movflags}");
        assert_eq!(samples.next_sync(start), Some(75), "{movflags}");
        assert_eq!(samples.next_sync(75), None, "{movflags}");
    }
}

#[test]
fn other_codings_are_read_as_ffprobe_reads_them() {
    if !can_be_told("other_codings_are_read_as_ffprobe_reads_them") {
        return;
    }
    let h265 = ["-c:v", "libx265", "-x265-params", "log-level=none:keyint=25:bframes=3"];
    let is_h265 = |coding: &Coding| {
        matches!(coding, Coding::H265 { length_size: 4, vps, sps, pps }
            if [vps, sps, pps].iter().all(|sets| sets.len() == 1))
    };
    let is_opus = |coding: &Coding| matches!(coding, Coding::Opus { pre_skip: 312 });
    expect_as_ffprobe_says("film.mp4", &[&h265[..], &["-c:a", "libopus"]].concat(), [is_h265, is_opus]);
    let is_mpeg4 = |coding: &Coding| matches!(coding, Coding::Mpeg4Video { config } if !config.is_empty());
    let is_mp3 = |coding: &Coding| *coding == Coding::MpegAudio;
    let mpeg4 = ["-c:v", "mpeg4", "-c:a", "libmp3lame"];
    expect_as_ffprobe_says("film.mp4", &mpeg4, [is_mpeg4, is_mp3]);
    expect_as_ffprobe_says("film.mov", &mpeg4, [is_mpeg4, is_mp3]);
}

#[test]
fn sound_as_it_is_is_read_as_ffprobe_reads_it() {
    if !can_be_told("sound_as_it_is_is_read_as_ffprobe_reads_it") {
        return;
    }
    let codings: [(&str, &str, IsCoded); 5] = [
        ("pcm_s16le", "1", |coding| *coding == Coding::Pcm(Pcm::Little16)),
        ("pcm_s16be", "2", |coding| *coding == Coding::Pcm(Pcm::Big16)),
        ("pcm_alaw", "1", |coding| *coding == Coding::Pcm(Pcm::Alaw)),
        ("pcm_mulaw", "2", |coding| *coding == Coding::Pcm(Pcm::Ulaw)),
        ("aac", "2", is_aac),
    ];
    for (codec, channels, is_coded) in codings {
        let sound = ["-c:a", codec, "-ac", channels];
        let film = expect_as_ffprobe_says("film.mov", &[&H264[..], &sound].concat(), [is_h264, is_coded]);
        let sound = film.tracks[1].sound.expect("it is sound");
        assert_eq!((sound.rate, sound.channels.to_string().as_str()), (48_000, channels));
    }
}
