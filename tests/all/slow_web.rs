//! A viewer over HTTP that takes half of what comes: what it has is whole, says where something is missing, and goes on where a
//! decoder can.

use std::io::Read;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{fs, thread};

use mirrorball::event::clock;
use socket2::SockRef;
use tempfile::TempDir;

use crate::players::programme::ffmpeg;
use crate::vocabulary::{Group, Needs, Setup, Web, eventually, in_a_network_of_its_own, is_thorough};

const NEEDS: Needs = Needs { programs: &["ip", "ffmpeg"], route: true, ipv6: false };
const PACKET_LEN: usize = 188;
const VIDEO_PID: u16 = 256;
/// Bytes a second that are sent, and that the slow one takes.
const SENT: usize = 750_000;
const TAKEN: usize = SENT / 2;

/// A sender that ends with this.
pub struct Sending(pub Child);

impl Drop for Sending {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Six megabits a second, a second from one picture that stands alone to the next.
pub fn film(directory: &TempDir) -> std::path::PathBuf {
    let file = directory.path().join("film.ts");
    let noise = "testsrc2=s=640x360:r=25:d=10,noise=alls=40:allf=t";
    let mut encode = ffmpeg(&["-f", "lavfi", "-i", noise, "-pix_fmt", "yuv420p", "-preset", "veryfast"]);
    encode.args(["-c:v", "libx264", "-b:v", "5.5M", "-maxrate", "5.5M", "-bufsize", "3M"]);
    encode.args(["-x264-params", "keyint=25:min-keyint=25:scenecut=0:bframes=0", "-muxrate", "6M"]);
    assert!(encode.arg(&file).status().expect("ffmpeg runs").success());
    file
}

/// Reads so much a second.
fn slowly(stream: &mut TcpStream, seconds: usize) -> Vec<u8> {
    let (mut bytes, mut part, begun) = (Vec::new(), vec![0; TAKEN / 20], clock::now());
    for turn in 1..=seconds as u32 * 20 {
        stream.read_exact(&mut part).expect("it comes");
        bytes.extend_from_slice(&part);
        thread::sleep((begun + turn * Duration::from_millis(50)).saturating_duration_since(clock::now()));
    }
    bytes
}

fn pid(packet: &[u8]) -> u16 {
    u16::from_be_bytes([packet[1] & 0x1f, packet[2]])
}

/// Those of its adaptation field: a start is 0x40, and 0x80 says that something is missing.
fn flags(packet: &[u8]) -> u8 {
    let has_field = packet[3] & 0x20 != 0 && packet[4] > 0;
    if has_field { packet[5] } else { 0 }
}

/// Whether a packet carries some of a picture, and no clock alone.
fn is_of_picture(packet: &[u8]) -> bool {
    pid(packet) == VIDEO_PID && packet[3] & 0x10 != 0
}

/// What is behind each gap of the pictures: whether it is a start, and says that something is missing.
fn behind_gaps(stream: &[u8]) -> Vec<(bool, bool)> {
    let (mut last, mut behind) = (None::<u8>, Vec::new());
    for packet in stream.chunks_exact(PACKET_LEN) {
        assert_eq!(packet[0], 0x47, "whole packets");
        if !is_of_picture(packet) {
            continue;
        }
        let count = packet[3] & 0x0f;
        if last.is_some_and(|last| count != (last + 1) & 0x0f) {
            let flags = flags(packet);
            behind.push((packet[1] & 0x40 != 0 && flags & 0x40 != 0, flags & 0x80 != 0));
        }
        last = Some(count);
    }
    behind
}

/// What is between gaps, each behind the tables that the stream began with, and how many pictures that has. The one before a gap,
/// which is cut, is left out, and so is what came of the others meanwhile.
fn stretches(stream: &[u8]) -> Vec<(Vec<u8>, usize)> {
    let tables: Vec<u8> = stream
        .chunks_exact(PACKET_LEN)
        .take_while(|packet| pid(packet) != VIDEO_PID)
        .flatten()
        .copied()
        .collect();
    let (mut all, mut whole, mut picture, mut pictures) = (Vec::new(), tables.clone(), Vec::new(), 0);
    for packet in stream.chunks_exact(PACKET_LEN).filter(|packet| is_of_picture(packet)) {
        let begins = packet[1] & 0x40 != 0;
        // Of sixteen gaps one goes on with the number that would have come.
        if begins && flags(packet) & 0x80 != 0 {
            all.push((std::mem::replace(&mut whole, tables.clone()), std::mem::take(&mut pictures)));
            picture.clear();
        } else if begins && !picture.is_empty() {
            whole.append(&mut picture);
            pictures += 1;
        }
        picture.extend_from_slice(packet);
    }
    all.push((whole, pictures));
    all
}

/// How many pictures ffmpeg makes of a file, and what it complains of.
fn decoded(file: &Path) -> (usize, String) {
    let mut decode = Command::new("ffmpeg");
    decode.args(["-nostdin", "-hide_banner", "-v", "error", "-i"]).arg(file);
    decode.args(["-fps_mode", "passthrough", "-f", "framecrc", "-"]);
    let output = decode.output().expect("ffmpeg runs");
    let pictures =
        String::from_utf8_lossy(&output.stdout).lines().filter(|line| !line.starts_with('#')).count();
    (pictures, String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_viewer_that_is_too_slow_skips_to_pictures_that_a_decoder_can_start_with() {
    in_a_network_of_its_own("a slow viewer over HTTP", &NEEDS, || {
        let (directory, group) = (TempDir::new().expect("a directory"), Group::fresh());
        let film = film(&directory);
        let setup =
            Setup::new().section("ring", "max_age = \"1s\"").channel_from("film", &format!("udp://{group}"));
        let mirrorball = setup.over_web().start();
        let mut send = ffmpeg(&["-re", "-stream_loop", "-1", "-i"]);
        let to = format!("udp://{}?pkt_size=1316&ttl=1", group.0);
        send.arg(&film).args(["-c", "copy", "-muxrate", "6M", "-f", "mpegts", &to]);
        let _sending = Sending(send.stderr(Stdio::null()).spawn().expect("ffmpeg starts"));
        let came = [("channel", "film"), ("track", "1")];
        eventually("a picture to start with", || {
            (mirrorball.metric("mirrorball_track_starts_total", &came) > 0.0).then_some(())
        });
        let seconds = if is_thorough() { 60 } else { 25 };
        let fast = Web::get(mirrorball.web(), "/film").expect(200);
        let fast = thread::spawn(move || {
            let mut fast = fast;
            fast.take(SENT * seconds)
        });
        let connection = TcpStream::connect(mirrorball.web()).expect("somebody listens");
        SockRef::from(&connection).set_recv_buffer_size(64 << 10).expect("a buffer");
        let mut slow = connection.try_clone().expect("the same");
        let _head = Web::ask_by(connection, "GET /film HTTP/1.1\r\nHost: edge\r\n\r\n").expect(200);
        let bytes = slowly(&mut slow, seconds);
        let gaps = behind_gaps(&bytes);
        assert!(!gaps.is_empty(), "it was not too slow");
        assert!(gaps.iter().all(|gap| *gap == (true, true)), "{gaps:?}");
        assert!(mirrorball.metric("mirrorball_track_reentries_total", &came) >= gaps.len() as f64);
        assert_eq!(behind_gaps(&fast.join().expect("no panic")), [], "the other one loses nothing");
        let saved = directory.path().join("saved.ts");
        let stretches = stretches(&bytes);
        assert!(stretches.len() > gaps.len());
        let mut all = 0;
        // One that a gap has cut in its first picture has none.
        for (place, (stretch, pictures)) in
            stretches.iter().enumerate().filter(|(_, (_, pictures))| *pictures > 0)
        {
            fs::write(&saved, stretch).expect("a file");
            assert_eq!(
                decoded(&saved),
                (*pictures, String::new()),
                "stretch {place}, and what is wrong in it"
            );
            all += pictures;
        }
        assert!(all >= seconds * 25 / 3, "{all} pictures");
    });
}
