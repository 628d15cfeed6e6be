//! The clients: by which words each is told to play, over which carriage, and which it does not have.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::attempt::{ASKED, Attempt, WANTED, Yields};
use super::{Carriage, Cell};
use crate::players::programme::{FRAME_BYTES, ffmpeg};
use crate::players::retina_player;
use crate::vocabulary::{Over, is_there};

/// Media enough for the pictures wanted, and for those before the first that can be decoded.
const SECONDS: f64 = 2.6;

/// A client, as the table has it.
pub struct Client {
    pub name: &'static str,
    pub is_installed: fn() -> bool,
    /// As it says it itself.
    pub version: fn() -> String,
    /// How it plays over a carriage, or why it can not.
    pub attempt: fn(&Cell<'_>) -> Result<Attempt, &'static str>,
    /// It comes to watch, not to send.
    pub plays: bool,
}

pub fn clients() -> [Client; 7] {
    let client =
        |name, is_installed, version, attempt| Client { name, is_installed, version, attempt, plays: true };
    [
        client("ffmpeg", || is_there("ffmpeg"), || version_of("ffmpeg", "-version"), by_ffmpeg),
        client("ffprobe", || is_there("ffprobe"), || version_of("ffprobe", "-version"), by_ffprobe),
        client("GStreamer", || has_element("rtspsrc"), gstreamer_version, by_gstreamer),
        client("mpv", || is_there("mpv"), || version_of("mpv", "--version"), by_mpv),
        client("VLC without live555", || is_there("cvlc"), vlc_version, by_vlc),
        client("retina", || true, retina_version, by_retina),
        Client {
            plays: false,
            ..client("GStreamer rtspclientsink", || has_element("rtspclientsink"), gstreamer_version, by_sink)
        },
    ]
}

fn by_ffmpeg(cell: &Cell<'_>) -> Result<Attempt, &'static str> {
    let (picture, (transport, url)) = (cell.file("yuv"), of_libavformat(cell));
    let mut command = ffmpeg(&["-v", "info", "-nostats"]);
    command.args(transport.iter().flat_map(|transport| ["-rtsp_transport", transport])).args(["-i", &url]);
    command.args(["-frames:v", ASKED, "-an", "-fps_mode", "passthrough", "-pix_fmt", "yuv420p"]);
    command.args(["-f", "rawvideo"]).arg(&picture);
    Ok(Attempt::by(command, cell.file("log"), Yields::Pictures(picture)))
}

fn by_ffprobe(cell: &Cell<'_>) -> Result<Attempt, &'static str> {
    let (transport, url) = of_libavformat(cell);
    let mut command = Command::new("ffprobe");
    command.args(["-v", "fatal", "-read_intervals", &format!("%+{SECONDS}")]);
    command.args(transport.iter().flat_map(|transport| ["-rtsp_transport", transport]));
    command.args(["-select_streams", "v", "-count_frames", "-show_entries", "stream=nb_read_frames"]);
    command.args(["-of", "csv=p=0", &url]);
    Ok(Attempt::by(command, cell.file("log"), Yields::Count))
}

fn by_mpv(cell: &Cell<'_>) -> Result<Attempt, &'static str> {
    let (picture, (transport, url)) = (cell.file("yuv"), of_libavformat(cell));
    let mut command = Command::new("mpv");
    command.args(["--no-config", "--no-terminal", "--no-audio", "--of=rawvideo", "--ovc=rawvideo"]);
    command.args([format!("--o={}", picture.display()), format!("--frames={ASKED}")]);
    match transport {
        Some("https") => command.args(["--rtsp-transport=lavf", "--demuxer-lavf-o=rtsp_transport=https"]),
        Some(transport) => command.arg(format!("--rtsp-transport={transport}")),
        None => &mut command,
    };
    command.arg(url);
    Ok(Attempt::by(command, cell.file("log"), Yields::Pictures(picture)))
}

/// What libavformat, which ffmpeg, ffprobe and mpv speak RTSP by, calls a carriage, and the URL with it.
fn of_libavformat(cell: &Cell<'_>) -> (Option<&'static str>, String) {
    let (transport, scheme) = match cell.carriage {
        Carriage::Udp => (Some("udp"), "rtsp"),
        Carriage::Tcp | Carriage::Login => (Some("tcp"), "rtsp"),
        Carriage::Tunnel => (Some("http"), "rtsp"),
        Carriage::Tls => (Some("tcp"), "rtsps"),
        Carriage::SecretTunnel => (Some("https"), "rtsp"),
        Carriage::Multicast => (Some("udp_multicast"), "rtsp"),
        Carriage::Http => (None, "http"),
    };
    (transport, cell.url(scheme))
}

fn by_gstreamer(cell: &Cell<'_>) -> Result<Attempt, &'static str> {
    let picture = cell.file("yuv");
    let source = match cell.carriage {
        Carriage::Http => format!("souphttpsrc location={}", cell.url("http")),
        _ => format!("rtspsrc {} ! rtpmp2tdepay", of_gstreamer(cell)),
    };
    let pipeline = format!(
        "{source} ! tsdemux ! h264parse ! avdec_h264 ! identity eos-after={ASKED} \
         ! videoconvert ! video/x-raw,format=I420 ! filesink location={}",
        picture.display()
    );
    Ok(Attempt::by(gst_launch(&pipeline), cell.file("log"), Yields::Pictures(picture)))
}

fn by_sink(cell: &Cell<'_>) -> Result<Attempt, &'static str> {
    if matches!(cell.carriage, Carriage::Multicast | Carriage::Http) {
        return Err("rtspclientsink sends by no multicast, and by RTSP alone.");
    }
    let pipeline = format!(
        "videotestsrc is-live=true ! video/x-raw,format=I420,width=160,height=120 ! jpegenc ! rtspclientsink {}",
        of_gstreamer(cell)
    );
    Ok(Attempt::by(gst_launch(&pipeline), cell.file("log"), Yields::Refusal))
}

/// GStreamer tells carriages apart by schemes.
fn of_gstreamer(cell: &Cell<'_>) -> String {
    let (scheme, protocols) = match cell.carriage {
        Carriage::Udp => ("rtsp", "udp"),
        Carriage::Tcp | Carriage::Login => ("rtsp", "tcp"),
        Carriage::Tunnel => ("rtsph", "tcp"),
        Carriage::Tls => ("rtsps", "tcp"),
        Carriage::SecretTunnel => ("rtspsh", "tcp"),
        Carriage::Multicast => ("rtsp", "udp-mcast"),
        Carriage::Http => unreachable!("that is no RTSP"),
    };
    format!("location={} protocols={protocols} tls-validation-flags=0", cell.url(scheme))
}

fn gst_launch(pipeline: &str) -> Command {
    let mut command = Command::new("gst-launch-1.0");
    command.args(["-q", "-e"]).args(pipeline.split_whitespace());
    command
}

/// Debian's and Ubuntu's, whose `rtsp://` is that of SAT>IP.
fn by_vlc(cell: &Cell<'_>) -> Result<Attempt, &'static str> {
    let (multicast, scheme) = match cell.carriage {
        Carriage::Udp => ("--no-satip-multicast", "rtsp"),
        Carriage::Multicast => ("--satip-multicast", "rtsp"),
        Carriage::Http => ("--no-satip-multicast", "http"),
        _ => {
            return Err(
                "Debian and Ubuntu build VLC without live555. Its SAT>IP client opens `rtsp://` in its \
                        place: transport streams, over UDP and by multicast alone, without a login.",
            );
        }
    };
    let (film, directory) = (cell.file("y4m"), cell.file("home"));
    let mut command = unprivileged("cvlc");
    command.env("HOME", &directory).args([
        "-I",
        "dummy",
        "--no-audio",
        "--no-video-title-show",
        "--vout=yuv",
    ]);
    command.args(["--yuv-chroma=I420", "--yuv-yuv4mpeg2", multicast, "--play-and-exit"]);
    command.arg(format!("--yuv-file={}", film.display())).arg(cell.url(scheme));
    let enough = ((WANTED + 10) * FRAME_BYTES) as u64;
    let watched = film.clone();
    let is_enough = move || fs::metadata(&watched).is_ok_and(|about| about.len() > enough);
    Ok(Attempt::until(is_enough, command, cell.file("log"), Yields::Film(film)))
}

/// VLC does not play for root.
fn unprivileged(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", program]);
    command
}

fn by_retina(cell: &Cell<'_>) -> Result<Attempt, &'static str> {
    let over = match cell.carriage {
        Carriage::Udp => Over::Udp,
        Carriage::Tcp | Carriage::Login => Over::Tcp,
        _ => return Err("retina has neither TLS nor tunnels, asks for no multicast, and is for RTSP alone."),
    };
    let (film, url) = (cell.file("ts"), cell.url("rtsp"));
    let kept = film.clone();
    Ok(Attempt::of(move || retina_player::keep_seconds(over, &url, SECONDS, &kept), Yields::Film(film)))
}

fn has_element(name: &str) -> bool {
    let mut command = Command::new("gst-inspect-1.0");
    command.args(["--exists", name]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    is_there("gst-launch-1.0") && command.status().is_ok_and(|status| status.success())
}

/// A program's version, as it says it.
fn version_of(program: &str, option: &str) -> String {
    said_by(Command::new(program).arg(option))
}

fn gstreamer_version() -> String {
    version_of("gst-launch-1.0", "--version")
}

fn vlc_version() -> String {
    said_by(unprivileged("vlc").env("HOME", "/nonexistent").arg("--version"))
}

/// The first word with a number in it: `mpv 0.35.1 Copyright`, `ffmpeg version 5.1.9-0+deb12u1`.
fn said_by(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().expect("it is installed");
    let text = String::from_utf8_lossy(&output.stdout);
    let mut words = text.split_whitespace();
    let version = words.find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    version.expect("a version").to_owned()
}

fn retina_version() -> String {
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock");
    let text = fs::read_to_string(lock).expect("a lock file");
    let entry = text.split_once("name = \"retina\"\nversion = \"").expect("a dependency of tests").1;
    entry.split('"').next().expect("a version").to_owned()
}
