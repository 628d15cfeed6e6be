//! Transport streams over HTTP in clients that we did not write, and for a reader that is too slow.

use std::collections::HashMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use mirrorball::event::clock;
use mirrorball::wire::ts_packet::TsPacket;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use socket2::{Domain, Protocol, Socket, Type};
use tempfile::TempDir;

use crate::players::programme::{Programme, ffmpeg};
use crate::vocabulary::{
    Group, Mirrorball, Needs, Setup, eventually, in_a_network_of_its_own, is_there, is_thorough, passes, say,
};

const NEEDS: Needs = Needs { programs: &["ip", "ffmpeg", "ffprobe", "curl"], route: true, ipv6: false };
/// A client has so long to do what it is told.
const PATIENCE: Duration = Duration::from_secs(40);
const PACKET_LEN: usize = 188;

/// A client, as it is told to play a URL, and what it has to leave behind there.
type Client = (&'static str, &'static str, fn(&str, &Path) -> Command);

/// Each plays some two seconds.
const CLIENTS: [Client; 5] = [
    ("ffmpeg", "ffmpeg", |url, to| {
        let mut command = ffmpeg(&["-t", "2", "-i", url, "-an", "-f", "rawvideo"]);
        command.arg(to);
        command
    }),
    ("curl", "curl", |url, to| {
        let mut command = Command::new("sh");
        // Two seconds of it: curl ends with 28 then, as it is told to.
        command.args(["-c", "curl -s -m 4 -o \"$1\" \"$0\"; test $? = 28", url]).arg(to);
        command
    }),
    ("mpv", "mpv", |url, to| {
        let mut command = Command::new("mpv");
        command.args([
            "--no-config",
            "--no-terminal",
            "--no-audio",
            "--of=rawvideo",
            "--ovc=rawvideo",
            "--frames=30",
        ]);
        command.arg(format!("--o={}", to.display())).arg(url);
        command
    }),
    ("VLC", "cvlc", |url, to| {
        let mut command = Command::new("setpriv"); // it does not play for root
        command.args([
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "cvlc",
            "-I",
            "dummy",
            "--no-audio",
        ]);
        command.args([
            "--no-video-title-show",
            "--vout=yuv",
            "--yuv-chroma=I420",
            "--play-and-exit",
            "--run-time=3",
        ]);
        command.arg(format!("--yuv-file={}", to.display())).args([url, "vlc://quit"]);
        command.env("HOME", to.parent().expect("a directory"));
        command
    }),
    ("GStreamer souphttpsrc", "gst-launch-1.0", |url, to| {
        let pipeline = format!(
            "souphttpsrc location={url} is-live=true ! tsdemux ! h264parse ! avdec_h264 ! identity eos-after=30 \
             ! videoconvert ! video/x-raw,format=I420 ! filesink location={}",
            to.display()
        );
        let mut command = Command::new("gst-launch-1.0");
        command.args(["-q", "-e"]).args(pipeline.split_whitespace());
        command
    }),
];

/// Pictures that prove that a client plays.
const ENOUGH_BYTES: u64 = 20 * 160 * 120 * 3 / 2;
/// The same as it is encoded.
const ENOUGH_ENCODED: u64 = 50_000;

/// Has a client play, whatever it takes; what it left behind.
fn plays(
    mirrorball: &Mirrorball,
    (name, _, tell): &Client,
    path: &str,
    directory: &Path,
) -> Result<(), String> {
    let to = directory.join(name.replace(' ', "-")).with_extension("out");
    let _ = fs::remove_file(&to);
    let url = format!("http://{}{path}", mirrorball.web());
    let mut command = tell(&url, &to);
    let log = fs::File::create(directory.join("log")).expect("a log");
    command.stdin(Stdio::null()).stdout(log.try_clone().expect("a log")).stderr(log);
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let enough = if *name == "curl" { ENOUGH_ENCODED } else { ENOUGH_BYTES };
    let has_enough = || fs::metadata(&to).is_ok_and(|about| about.len() >= enough);
    let ended = passes(PATIENCE, || has_enough() || child.try_wait().ok().flatten().is_some());
    let _ = kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM);
    if !passes(Duration::from_secs(5), || child.try_wait().ok().flatten().is_some()) {
        let _ = child.kill();
        let _ = child.wait();
    }
    let said = fs::read_to_string(directory.join("log")).unwrap_or_default();
    if ended && has_enough() { Ok(()) } else { Err(format!("{name} {path}: {said}")) }
}

#[test]
fn clients_of_others_play_channels_and_groups_and_playlists() {
    in_a_network_of_its_own("HTTP in clients of others", &NEEDS, || {
        let (programme, group) = (Programme::of_seconds(10), Group::fresh());
        let setup = Setup::new().channel("news", group).channel_line("number = 1\ntitle = \"The News\"");
        let mirrorball = setup.over_web().start();
        let _sender = programme.repeat(&[group]);
        mirrorball.expect_metric("mirrorball_channel_silent", &[("channel", "news")], 0.0);
        let directory = TempDir::new().expect("a directory");
        open_to_all(directory.path());
        let mut failures = Vec::new();
        for client in &CLIENTS {
            if !is_there(client.1) {
                say(&format!("skipped: {} is not installed", client.0));
                continue;
            }
            let by_group = format!("/udp/{group}");
            let paths = ["/news.ts", &by_group, "/playlist.m3u"];
            let reads_lists = matches!(client.0, "mpv" | "VLC");
            for path in paths.into_iter().filter(|path| reads_lists || !path.ends_with("m3u")) {
                failures.extend(plays(&mirrorball, client, path, directory.path()).err());
            }
        }
        let probed = Command::new("ffprobe")
            .args(["-v", "error", "-show_entries", "stream=codec_name", "-of", "csv=p=0"])
            .arg(format!("http://{}/news.ts", mirrorball.web()))
            .output()
            .expect("ffprobe runs");
        let codecs = String::from_utf8_lossy(&probed.stdout);
        assert!(codecs.contains("h264") && codecs.contains("aac"), "{codecs}");
        assert!(probed.stderr.is_empty(), "{}", String::from_utf8_lossy(&probed.stderr));
        assert!(failures.is_empty(), "{failures:#?}");
        assert_eq!(mirrorball.metric("mirrorball_drops_total", &[("leg", "out")]), 0.0);
    });
}

/// Who is not root may write there.
fn open_to_all(directory: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(directory, fs::Permissions::from_mode(0o777)).expect("our own");
}

/// A stream of some megabits, with a picture to start with twice a second.
fn send_fast(directory: &Path, group: Group) -> std::process::Child {
    let file = directory.join("fast.ts");
    let mut make =
        ffmpeg(&["-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25:duration=8,noise=alls=40:allf=t"]);
    make.args(["-c:v", "libx264", "-preset", "ultrafast", "-g", "12", "-bf", "0", "-pix_fmt", "yuv420p"]);
    make.args(["-b:v", "4M", "-maxrate", "4M", "-bufsize", "1M", "-f", "mpegts"]).arg(&file);
    assert!(make.status().expect("ffmpeg runs").success());
    let mut send = ffmpeg(&["-re", "-stream_loop", "-1", "-i"]);
    send.arg(&file).args(["-c", "copy", "-f", "mpegts"]);
    send.arg(format!("udp://{group}?ttl=1&localaddr=127.0.0.1&pkt_size=1316"));
    send.spawn().expect("ffmpeg starts")
}

/// Reads for so long, at most so many bytes a second, without the head.
fn read_for(address: SocketAddr, length: Duration, bytes_per_second: usize, room: Option<usize>) -> Vec<u8> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).expect("a socket");
    room.into_iter().for_each(|room| socket.set_recv_buffer_size(room).expect("a small buffer"));
    socket.connect(&address.into()).expect("the program accepts");
    let mut stream = TcpStream::from(socket);
    stream.write_all(b"GET /news HTTP/1.1\r\n\r\n").expect("the program reads");
    let (began, mut bytes, mut part) = (clock::now(), Vec::new(), vec![0; 8 << 10]);
    while began.elapsed() < length {
        let count = stream.read(&mut part).expect("the stream goes on");
        assert!(count > 0, "the stream goes on");
        bytes.extend_from_slice(&part[..count]);
        let due = Duration::from_secs_f64(bytes.len() as f64 / bytes_per_second as f64);
        thread::sleep(due.saturating_sub(began.elapsed()));
    }
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
    bytes.split_off(head)
}

/// How often the continuity counters leap, and pictures that decoders can start with.
fn leaps(stream: &[u8]) -> usize {
    let (mut before, mut leaps) = (HashMap::new(), 0);
    for packet in stream.chunks_exact(PACKET_LEN) {
        let read = TsPacket::read(packet).expect("whole packets, one behind another");
        if read.payload.is_some() {
            let last = before.insert(read.pid, read.continuity);
            // The source begins anew with each turn of its loop.
            let goes_on = last.is_none_or(|last| read.continuity == (last + 1) % 16 || read.is_discontinuous);
            leaps += usize::from(!goes_on);
        }
    }
    leaps
}

/// Pictures that ffmpeg's decoder makes of it.
fn pictures(stream: &[u8], directory: &Path) -> usize {
    let file = directory.join("saved.ts");
    fs::write(&file, stream).expect("a file");
    let mut count = Command::new("ffprobe");
    count.args(["-v", "fatal", "-select_streams", "v", "-count_frames"]);
    count.args(["-show_entries", "stream=nb_read_frames", "-of", "csv=p=0"]).arg(&file);
    let output = count.output().expect("ffprobe runs");
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().find_map(|line| line.trim().trim_end_matches(',').parse().ok()).unwrap_or(0)
}

#[test]
fn a_reader_of_half_the_rate_has_whole_packets_and_pictures_and_others_lose_nothing() {
    in_a_network_of_its_own("a slow reader over HTTP", &NEEDS, || {
        let (directory, group) = (TempDir::new().expect("a directory"), Group::fresh());
        let length = Duration::from_secs(if is_thorough() { 60 } else { 12 });
        let setup = Setup::new().channel_from("news", &format!("udp://{group}"));
        let mirrorball = setup.section("ring", "max_bytes = 524288").over_web().start();
        let mut sender = send_fast(directory.path(), group);
        let news = [("channel", "news"), ("track", "1")];
        eventually("there is a picture to start with", || {
            (mirrorball.metric("mirrorball_track_starts_total", &news) > 2.0).then_some(())
        });
        let web = mirrorball.web();
        let (slow, fast) = thread::scope(|scope| {
            let slow = scope.spawn(|| read_for(web, length, 250_000, Some(16 << 10)));
            let fast = scope.spawn(|| read_for(web, length, usize::MAX / 2, None));
            (slow.join().expect("it reads"), fast.join().expect("it reads"))
        });
        let _ = (sender.kill(), sender.wait());
        let reentries = mirrorball.metric("mirrorball_track_reentries_total", &news);
        assert!(reentries >= 2.0, "{reentries}: it has fallen behind");
        assert!(leaps(&slow) > 0, "what it missed is told by the counters");
        assert_eq!(leaps(&fast), 0, "nobody else has missed anything");
        let seconds = length.as_secs() as usize;
        let (of_slow, of_fast) = (pictures(&slow, directory.path()), pictures(&fast, directory.path()));
        assert!(of_fast > 25 * (seconds - 2), "{of_fast} pictures in {seconds} s");
        assert!(of_slow > 25 * seconds / 4 && of_slow < of_fast, "{of_slow} pictures of {of_fast}");
    });
}
