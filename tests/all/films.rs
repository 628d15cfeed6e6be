//! What is made for browsers out of packets of ffmpeg, before ffmpeg and ffprobe: every picture and every frame of sound is in it,
//! as it was, and they belong together.

use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use mirrorball::event::clock;
use mirrorball::wire::fmp4::{Film, Source};
use mirrorball::wire::sdp;
use tempfile::TempDir;

use crate::players::programme::{FRAME_BYTES, ffmpeg, picture_of, sound_of};

/// Pictures that are under way as a stream ends: decoded later than shown, or told of by the next.
const UNDER_WAY: usize = 8;
const SECONDS: usize = 4;

/// A file of H.264 or H.265 and AAC, encoded so.
fn encoded(directory: &TempDir, video: &[&str]) -> PathBuf {
    let file = directory.path().join("film.ts");
    let mut make = ffmpeg(&["-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25"]);
    make.args(["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-t", &SECONDS.to_string()]);
    make.args(["-pix_fmt", "yuv420p"]).args(video);
    make.args(["-c:a", "aac", "-b:a", "64k", "-f", "mpegts"]).arg(&file);
    assert!(make.status().expect("ffmpeg runs").success());
    file
}

const KINDS: [(&str, &[&str]); 3] = [
    ("avc1.42c00b", &["-c:v", "libx264", "-preset", "veryfast", "-profile:v", "baseline", "-g", "25"]),
    ("avc1.64000b", &["-c:v", "libx264", "-preset", "veryfast", "-g", "50", "-bf", "3"]),
    ("hvc1.1.6.L30.90", &["-c:v", "libx265", "-x265-params", "log-level=none:keyint=50:bframes=3"]),
];

/// That a film has what a file has.
fn expect_film(made: &[u8], file: &Path, directory: &TempDir) {
    let film = directory.path().join("film.mp4");
    fs::write(&film, made).expect("a file");
    let mut check = Command::new("ffmpeg");
    check.args(["-nostdin", "-hide_banner", "-v", "warning", "-i"]).arg(&film);
    let checked = check.args(["-f", "null", "-"]).stdin(Stdio::null()).output().expect("ffmpeg runs");
    assert_eq!(String::from_utf8_lossy(&checked.stderr), "", "what ffmpeg says of it");
    let (own, whole) = (picture_of(&film), picture_of(file));
    let (own, whole) = (own.chunks(FRAME_BYTES), whole.chunks(FRAME_BYTES));
    assert!(own.len() + UNDER_WAY > whole.len(), "{} pictures of {}", own.len(), whole.len());
    let same = own.len() - UNDER_WAY / 2;
    assert!(own.zip(whole).take(same).all(|(own, whole)| own == whole), "as they were");
    let mut bare = ffmpeg(&["-i"]);
    let other = directory.path().join("other.mp4");
    assert!(bare.arg(file).args(["-c", "copy"]).arg(&other).status().expect("ffmpeg runs").success());
    let (own, whole) = (sound_of(&film), sound_of(&other));
    assert!(own.len() > whole.len() / 2, "{} bytes of sound of {}", own.len(), whole.len());
    let has_own = whole.windows(own.len()).any(|part| part == own);
    assert!(has_own, "sound as it was");
    let (shown, heard) = (beginning(&film, "v"), beginning(&film, "a"));
    assert!((shown - heard).abs() < 0.2, "they begin at {shown} and {heard}");
}

/// When the first of a kind of packets is due.
fn beginning(film: &Path, kind: &str) -> f64 {
    let mut probe = Command::new("ffprobe");
    probe.args([
        "-v",
        "error",
        "-select_streams",
        kind,
        "-show_entries",
        "packet=pts_time",
        "-of",
        "csv=p=0",
    ]);
    let told = probe.arg(film).output().expect("ffprobe runs").stdout;
    let told = String::from_utf8(told).expect("numbers");
    told.lines().next().expect("a packet").trim_end_matches(',').parse().expect("a number")
}

#[test]
fn a_transport_stream_is_a_film() {
    for (name, video) in KINDS {
        let directory = TempDir::new().expect("a directory");
        let file = encoded(&directory, video);
        let source = Source {
            media: "video",
            encoding: Some("MP2T"),
            payload_type: 33,
            clock_rate: Some(90_000),
            parameters: None,
        };
        let (mut film, mut made) = (Film::new(&[source]).expect("it may be"), Vec::new());
        for (number, packets) in fs::read(&file).expect("a file").chunks(188 * 7).enumerate() {
            let mut packet = vec![0x80, 33];
            packet.extend((number as u16).to_be_bytes());
            packet.extend([0; 7]);
            packet.push(7);
            packet.extend(packets);
            film.take(0, &packet, Duration::from_millis(number as u64));
            made.extend(film.give().into_iter().flatten());
        }
        let expected = format!("video/mp4; codecs=\"{name}, mp4a.40.2\"");
        assert_eq!(film.media_type().as_deref(), Some(expected.as_str()));
        expect_film(&made, &file, &directory);
    }
}

#[test]
fn tracks_are_a_film() {
    for (name, video) in KINDS {
        let directory = TempDir::new().expect("a directory");
        let file = encoded(&directory, video);
        let (made, media_type) = from_tracks(&file, &directory);
        let expected = format!("video/mp4; codecs=\"{name}, mp4a.40.2\"");
        assert_eq!(media_type.as_deref(), Some(expected.as_str()));
        expect_film(&made, &file, &directory);
    }
}

/// What is made of a file that ffmpeg sends as tracks, in real time.
fn from_tracks(file: &Path, directory: &TempDir) -> (Vec<u8>, Option<String>) {
    let sockets: Vec<_> = (0..4).map(|_| UdpSocket::bind("127.0.0.1:0").expect("a port")).collect();
    let port = |track: usize| sockets[2 * track].local_addr().expect("bound").port();
    let reports = |track: usize| sockets[2 * track + 1].local_addr().expect("bound").port();
    let described = directory.path().join("film.sdp");
    let mut send = ffmpeg(&["-re", "-i"]);
    // In MP4 first: what is bare there is bare in RTP.
    let movie = directory.path().join("movie.mp4");
    assert!(
        ffmpeg(&["-i"]).arg(file).args(["-c", "copy"]).arg(&movie).status().expect("ffmpeg runs").success()
    );
    send.arg(&movie).arg("-sdp_file").arg(&described);
    for (track, map) in ["0:v", "0:a"].into_iter().enumerate() {
        let url = format!("rtp://127.0.0.1:{}?rtcpport={}", port(track), reports(track));
        send.args(["-map", map, "-c", "copy", "-f", "rtp"]).arg(url);
    }
    let mut sender = send.stdout(Stdio::null()).spawn().expect("ffmpeg starts");
    sockets.iter().for_each(|socket| socket.set_nonblocking(true).expect("it may"));
    let (mut packets, mut buffer, began) = (Vec::new(), vec![0; 2048], clock::now());
    loop {
        let is_over = sender.try_wait().expect("a child").is_some();
        for (number, socket) in sockets.iter().enumerate() {
            while let Ok(length) = socket.recv(&mut buffer) {
                packets.push((number, buffer[..length].to_vec(), began.elapsed()));
            }
        }
        if is_over {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let described = fs::read(described).expect("written by now");
    let presentation = sdp::parse(&described).expect("a description");
    let sources = presentation.tracks.iter().enumerate().map(|(number, track)| Source {
        media: &track.media,
        encoding: track.encoding.as_deref(),
        payload_type: track.payload_types[0],
        clock_rate: track.clock_rate,
        parameters: presentation.parameters(number),
    });
    let mut film = Film::new(&sources.collect::<Vec<_>>()).expect("it may be");
    let mut made = Vec::new();
    for (number, packet, came) in packets {
        if number % 2 == 0 {
            film.take(number / 2, &packet, came)
        } else {
            film.hear(number / 2, &packet)
        }
        made.extend(film.give().into_iter().flatten());
    }
    (made, film.media_type())
}
