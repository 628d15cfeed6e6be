//! Where streams can be started with: beside what ffprobe says of the same, and where viewers who fell behind go on.

use std::collections::BTreeSet;
use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{iter, thread};

use mirrorball::wire::random_access::Starts;
use mirrorball::wire::rtp;
use tempfile::TempDir;

use crate::players::programme::ffmpeg;
use crate::vocabulary::{Connection, Needs, Over, Setup, Source, Viewer, in_a_network_of_its_own};

const NEEDS: Needs = Needs { programs: &["ip", "ffmpeg", "ffprobe"], route: false, ipv6: false };

const PACKET_LEN: usize = 188;
const PACKETS: usize = 7;

const CLOSED: &[&str] = &["-c:v", "libx264", "-x264-params", "keyint=25:min-keyint=25:scenecut=0:bframes=2"];
const OPEN: &[&str] = &[
    "-c:v",
    "libx264",
    "-x264-params",
    "keyint=25:min-keyint=25:scenecut=0:open-gop=1:bframes=3:b-pyramid=normal",
];
const REFRESHED: &[&str] = &["-c:v", "libx264", "-x264-params", "keyint=25:intra-refresh=1"];
const HEVC: &[&str] =
    &["-c:v", "libx265", "-x265-params", "keyint=25:min-keyint=25:open-gop=1:log-level=none"];
const MPEG2: &[&str] = &["-c:v", "mpeg2video", "-g", "12", "-bf", "2"];

/// Encodes some seconds into a file.
fn encoded(directory: &TempDir, name: &str, encoder: &[&str], more: &[&str]) -> PathBuf {
    let file = directory.path().join(name);
    let mut encode = ffmpeg(&["-f", "lavfi", "-i", "testsrc2=s=320x240:r=25:d=6", "-pix_fmt", "yuv420p"]);
    encode.args(["-preset", "veryfast"]).args(encoder).args(more).arg(&file);
    assert!(encode.status().expect("ffmpeg runs").success(), "{name}");
    file
}

/// Where the packets of a stream are in a file that decoders may start with.
fn key_positions(file: &Path, stream: &str) -> Vec<usize> {
    let mut probe = Command::new("ffprobe");
    probe.args([
        "-v",
        "error",
        "-select_streams",
        stream,
        "-show_entries",
        "packet=pos,flags",
        "-of",
        "csv=p=0",
    ]);
    let output = probe.arg(file).output().expect("ffprobe runs");
    let text = String::from_utf8(output.stdout).expect("text");
    let key = |line: &str| line.split_once(",K").map(|(position, _)| position.parse().expect("a position"));
    text.lines().filter_map(key).collect()
}

/// The datagrams that a stream in packets of this size can be started with.
fn found(stream: &[u8], packet_len: usize) -> BTreeSet<u64> {
    let mut starts = Starts::of("video", Some("MP2T"), false);
    let datagrams = (0..).zip(stream.chunks(packet_len * PACKETS));
    datagrams.filter_map(|(number, datagram)| Some(number - starts.take(0, datagram)?.back)).collect()
}

fn datagrams_of(positions: &[usize]) -> BTreeSet<u64> {
    positions.iter().map(|position| (position / PACKET_LEN / PACKETS) as u64).collect()
}

/// The same stream, whose packets do not say where it can be started with.
fn without_indicators(stream: &[u8]) -> Vec<u8> {
    let mut stream = stream.to_vec();
    for packet in stream.chunks_exact_mut(PACKET_LEN) {
        if packet[3] & 0x20 != 0 && packet[4] > 0 {
            packet[5] &= !0x40;
        }
    }
    stream
}

/// The same stream, with parity behind each packet.
fn with_parity(stream: &[u8]) -> Vec<u8> {
    stream.chunks_exact(PACKET_LEN).flat_map(|packet| [packet, &[0xaa; 16]].concat()).collect()
}

#[test]
fn transport_streams_are_started_with_where_ffprobe_sees_key_pictures() {
    in_a_network_of_its_own("starts of transport streams", &NEEDS, || {
        let directory = TempDir::new().expect("a directory");
        for (name, encoder) in [
            ("closed.ts", CLOSED),
            ("open.ts", OPEN),
            ("refreshed.ts", REFRESHED),
            ("hevc.ts", HEVC),
            ("mpeg2.ts", MPEG2),
        ] {
            let file = encoded(&directory, name, encoder, &["-f", "mpegts"]);
            let stream = fs::read(&file).expect("a file");
            let expected = datagrams_of(&key_positions(&file, "v"));
            assert!(expected.len() > 4, "{name}: {expected:?}");
            assert_eq!(found(&stream, PACKET_LEN), expected, "{name}");
            assert_eq!(found(&without_indicators(&stream), PACKET_LEN), expected, "{name}, by its pictures");
            assert_eq!(found(&with_parity(&stream), PACKET_LEN + 16), expected, "{name}, with parity");
        }
    });
}

#[test]
fn several_programmes_are_started_with_where_each_is_whole() {
    in_a_network_of_its_own("starts of several programmes", &NEEDS, || {
        let directory = TempDir::new().expect("a directory");
        let two = encoded(&directory, "one.ts", CLOSED, &["-f", "mpegts"]);
        let file = directory.path().join("both.ts");
        let mut mux = ffmpeg(&["-i"]);
        mux.arg(&two).args(["-f", "lavfi", "-i", "testsrc2=s=160x120:r=25:d=6", "-pix_fmt", "yuv420p"]);
        mux.args(["-map", "0:v", "-map", "1:v", "-c:v:0", "copy", "-c:v:1", "libx264", "-g:v:1", "40"]);
        mux.args(["-program", "st=0", "-program", "st=1", "-f", "mpegts"]).arg(&file);
        assert!(mux.status().expect("ffmpeg runs").success());
        let keys = ["v:0", "v:1"].map(|stream| datagrams_of(&key_positions(&file, stream)));
        let newest = |at: u64| keys.each_ref().map(|keys| keys.range(..=at).next_back().copied());
        let oldest = |at: u64| newest(at).into_iter().flatten().min();
        let expected: BTreeSet<_> = keys.iter().flatten().filter_map(|at| oldest(*at)).collect();
        assert!(expected.len() > 4, "{expected:?}");
        assert_eq!(found(&fs::read(&file).expect("a file"), PACKET_LEN), expected);
    });
}

#[test]
fn a_stream_whose_tables_change_goes_on_with_those() {
    in_a_network_of_its_own("starts of a stream whose tables change", &NEEDS, || {
        let directory = TempDir::new().expect("a directory");
        let one = encoded(&directory, "one.ts", CLOSED, &["-f", "mpegts"]);
        let other = encoded(&directory, "other.ts", HEVC, &["-mpegts_start_pid", "0x300", "-f", "mpegts"]);
        let [first, second] = [&one, &other].map(|file| fs::read(file).expect("a file"));
        let both = [&first[..], &second].concat();
        let keys = key_positions(&other, "v").into_iter().map(|position| first.len() + position);
        let expected = datagrams_of(&key_positions(&one, "v").into_iter().chain(keys).collect::<Vec<_>>());
        assert_eq!(found(&both, PACKET_LEN), expected);
        assert_eq!(found(&without_indicators(&both), PACKET_LEN), expected, "by its pictures");
    });
}

/// How often what ffmpeg sends of a file in RTP can be started with.
fn starts_in_rtp(file: &Path, encoding: &str) -> usize {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.set_read_timeout(Some(Duration::from_secs(3))).expect("a timeout");
    let address = socket.local_addr().expect("bound");
    let mut send = ffmpeg(&["-re", "-i"]);
    send.arg(file).args(["-c", "copy", "-f", "rtp", &format!("rtp://{address}?pkt_size=400")]);
    let mut sending = send.spawn().expect("ffmpeg starts");
    let (mut starts, mut count, mut buffer) = (Starts::of("video", Some(encoding), true), 0, [0; 2048]);
    while let Ok(length) = socket.recv(&mut buffer) {
        if let Ok(header) = rtp::check(&buffer[..length]) {
            let found = starts.take(header.timestamp, header.payload(&buffer[..length]));
            count += usize::from(found.is_some_and(|found| found.packets.is_none()));
        }
    }
    assert!(sending.wait().expect("ffmpeg ends").success());
    count
}

#[test]
fn pictures_in_rtp_are_told_as_often_as_ffprobe_sees_key_pictures() {
    in_a_network_of_its_own("starts of pictures in RTP", &NEEDS, || {
        let directory = TempDir::new().expect("a directory");
        for (name, encoder, encoding) in [
            ("closed.mkv", CLOSED, "H264"),
            ("open.mkv", OPEN, "H264"),
            ("refreshed.mkv", REFRESHED, "H264"),
            ("hevc.mkv", HEVC, "H265"),
        ] {
            let file = encoded(&directory, name, encoder, &["-f", "matroska"]);
            let expected = key_positions(&file, "v").len();
            assert!(expected > 4, "{name}: {expected}");
            assert_eq!(starts_in_rtp(&file, encoding), expected, "{name}");
        }
    });
}

/// A packet of a transport stream in RTP; a decoder can start with one in so many.
fn packet(number: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 33];
    packet.extend(number.to_be_bytes());
    packet.extend([0, 0, 0, 0, 0, 0, 0, 7]);
    let flag = if is_start(number) { 0x40 } else { 0 };
    for _ in 0..PACKETS {
        packet.extend([0x47, 0x41, 0, 0x30, 1, flag, 0, 0, 1, 0xe0, 0, 0, 0x80, 0, 0]);
        packet.resize(packet.len() + PACKET_LEN - 15, 0xff);
    }
    packet
}

fn is_start(number: u16) -> bool {
    number.is_multiple_of(50)
}

#[test]
fn a_viewer_over_tcp_who_falls_behind_goes_on_where_a_decoder_can_start() {
    let source = Source::new();
    let setup = Setup::new().section("ring", "max_bytes = 262144").channel("news", source.group);
    let mirrorball = setup.start();
    let connection = Connection::with_little_room(mirrorball.rtsp);
    source.send_bytes(&packet(0));
    let mut viewer = Viewer::playing_by(connection, &mirrorball, "news", Over::Tcp);
    let mut got = Vec::new();
    for number in 1..4000 {
        source.send_bytes(&packet(number));
        if number % 10 == 0 {
            thread::sleep(Duration::from_millis(1));
        }
        if number % 800 == 0 {
            let came = iter::from_fn(|| viewer.packet_within(0, Duration::from_millis(50)));
            got.extend(came.map(|packet| u16::from_be_bytes([packet[2], packet[3]])));
        }
    }
    let gaps = got.windows(2).filter(|two| two[1] != two[0] + 1);
    let entered: Vec<_> = gaps.map(|two| two[1]).collect();
    assert!(!entered.is_empty() && entered.iter().all(|number| is_start(*number)), "{entered:?}");
    let news = [("channel", "news"), ("track", "1")];
    mirrorball.expect_metric("mirrorball_track_reentries_total", &news, entered.len() as f64);
    assert_eq!(mirrorball.metric("mirrorball_track_starts_lost_total", &news), 0.0);
}
