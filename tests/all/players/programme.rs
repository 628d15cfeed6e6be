//! A programme with a running clock and a tone, made once, then sent in real time as it is.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::player::Heard;
use crate::vocabulary::{Group, passes};

pub const WIDTH: usize = 160;
pub const HEIGHT: usize = 120;
/// A picture as it is compared: I420.
pub const FRAME_BYTES: usize = WIDTH * HEIGHT * 3 / 2;
const FRAMES_PER_SECOND: u32 = 25;

/// How a programme is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// H.264 and AAC in MPEG-TS in RTP.
    TransportStream,
    /// H.264 and AAC in RTP each.
    Tracks,
}

/// H.264 and AAC in files, and what a decoder makes of them.
pub struct Programme {
    directory: TempDir,
    seconds: u32,
}

/// Part of a programme as it has to come out of a player.
pub struct Part {
    /// Pictures, by their places in the programme.
    pub frames: Range<usize>,
    pub picture: Vec<u8>,
    /// Compressed, for a decoder's sound depends on where it began.
    pub sound: Sound,
}

/// The sound's frames, back to back: with their ADTS headers in a transport stream, bare in RTP.
pub struct Sound {
    pub framed: Vec<u8>,
    pub bare: Vec<u8>,
}

/// A sender that is under way.
pub struct Sender(Child);

impl Form {
    pub fn tracks(self) -> usize {
        match self {
            Self::TransportStream => 1,
            Self::Tracks => 2,
        }
    }

    /// Where a track is sent: the second one beside the first, behind its RTCP.
    pub fn group_of(self, group: Group, track: usize) -> Group {
        let mut of_track = group;
        of_track.0.set_port(group.0.port() + 2 * track as u16);
        of_track
    }
}

impl Programme {
    pub fn of_seconds(seconds: u32) -> Self {
        Self::with_starts(seconds, FRAMES_PER_SECOND)
    }

    /// The same; a decoder can start with the first of so many pictures.
    pub fn with_starts(seconds: u32, apart: u32) -> Self {
        let directory = TempDir::new().expect("a directory for the programme");
        let programme = Self { directory, seconds };
        let picture = format!("testsrc2=size={WIDTH}x{HEIGHT}:rate={FRAMES_PER_SECOND}");
        let length = seconds.to_string();
        let mut make = ffmpeg(&["-f", "lavfi", "-i", &picture]);
        make.args(["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-t", &length]);
        make.args(["-c:v", "libx264", "-preset", "veryfast", "-g", &apart.to_string()]);
        make.args(["-bf", "0", "-pix_fmt", "yuv420p"]);
        make.args(["-c:a", "aac", "-b:a", "64k", "-f", "mpegts"]).arg(programme.transport_stream());
        succeed(make);
        let mut copy = ffmpeg(&["-i"]);
        succeed(copy_of(copy.arg(programme.transport_stream()).args(["-c", "copy"]), &programme.movie()));
        programme
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Starts to send in real time.
    pub fn send(&self, form: Form, group: Group) -> Sender {
        match form {
            Form::TransportStream => self.send_from(1, group),
            Form::Tracks => Sender::start(self.sender_of_tracks(group, &["-re"], &[])),
        }
    }

    /// Starts to send the transport stream in real time, from this sequence number on.
    pub fn send_from(&self, sequence: u16, group: Group) -> Sender {
        let mut send = ffmpeg(&["-re", "-i"]);
        send.arg(self.transport_stream()).args(["-map", "0", "-c", "copy", "-f", "rtp_mpegts"]);
        send.arg("-rtp_muxer_options").arg(format!("seq={sequence}"));
        send.arg(url(group, "&pkt_size=1328"));
        Sender::start(send)
    }

    /// Sends the transport stream to each of these groups, over and over.
    pub fn repeat(&self, groups: &[Group]) -> Sender {
        let mut send = ffmpeg(&["-re", "-stream_loop", "-1", "-i"]);
        send.arg(self.transport_stream());
        for group in groups {
            send.args(["-map", "0", "-c", "copy", "-f", "rtp_mpegts"]).arg(url(*group, "&pkt_size=1328"));
        }
        Sender::start(send)
    }

    /// The description of the tracks, which ffmpeg writes as it sends: here, next to nothing.
    pub fn describe(&self, group: Group) -> String {
        let file = self.directory().join("film.sdp");
        let mut describe = self.sender_of_tracks(group, &[], &["-t", "0.04"]);
        succeed(copy_of(describe.arg("-sdp_file"), &file));
        fs::read_to_string(file).expect("written just now")
    }

    fn sender_of_tracks(&self, group: Group, pace: &[&str], length: &[&str]) -> Command {
        let mut send = ffmpeg(pace);
        send.arg("-i").arg(self.movie());
        for (track, map) in ["0:v", "0:a"].into_iter().enumerate() {
            send.args(length).args(["-map", map, "-c", "copy", "-f", "rtp"]);
            send.arg(url(Form::Tracks.group_of(group, track), ""));
        }
        send
    }

    /// What was sent in these seconds.
    pub fn middle(&self, seconds: Range<u32>) -> Part {
        assert!(seconds.end <= self.seconds, "the programme is {} s long", self.seconds);
        let frames = (seconds.start * FRAMES_PER_SECOND) as usize..(seconds.end * FRAMES_PER_SECOND) as usize;
        let whole = picture_of(&self.transport_stream());
        let picture = whole[frames.start * FRAME_BYTES..frames.end * FRAME_BYTES].to_vec();
        let sound = |file: &Path| {
            let lengths = frame_lengths(file);
            // 1024 samples at 48 kHz.
            let place = |seconds: u32| (seconds * 48_000 / 1024) as usize;
            let bytes = |frames: usize| lengths[..frames].iter().sum::<usize>();
            sound_of(file)[bytes(place(seconds.start))..bytes(place(seconds.end))].to_vec()
        };
        let sound = Sound { framed: sound(&self.transport_stream()), bare: sound(&self.movie()) };
        Part { frames, picture, sound }
    }

    /// Its pictures, frame behind frame.
    pub fn picture(&self) -> Vec<u8> {
        picture_of(&self.transport_stream())
    }

    fn transport_stream(&self) -> PathBuf {
        self.directory().join("film.ts")
    }

    fn movie(&self) -> PathBuf {
        self.directory().join("film.mp4")
    }
}

impl Sender {
    fn start(mut command: Command) -> Self {
        Self(command.stdout(Stdio::null()).spawn().expect("ffmpeg starts"))
    }

    /// Waits until all is sent.
    pub fn ends(&mut self) {
        let mut status = None;
        passes(Duration::from_secs(90), || {
            status = self.0.try_wait().ok().flatten();
            status.is_some()
        });
        assert!(status.is_some_and(|status| status.success()), "the sender ended with {status:?}");
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Part {
    /// How often this part is in what a player made of the programme.
    pub fn count_in(&self, heard: &Heard) -> usize {
        let frames: Vec<_> = heard.picture.chunks_exact(FRAME_BYTES).collect();
        let own: Vec<_> = self.picture.chunks_exact(FRAME_BYTES).collect();
        frames.windows(own.len()).filter(|window| *window == own).count()
    }
}

/// The decoded picture of a file, frame behind frame.
pub fn picture_of(file: &Path) -> Vec<u8> {
    let mut decode = ffmpeg(&["-i"]);
    decode.arg(file).args(["-map", "0:v", "-fps_mode", "passthrough", "-pix_fmt", "yuv420p"]);
    decode.args(["-f", "rawvideo", "-"]);
    decode.output().expect("ffmpeg runs").stdout
}

/// The compressed sound of a file, frame behind frame.
pub fn sound_of(file: &Path) -> Vec<u8> {
    let mut copy = ffmpeg(&["-i"]);
    copy.arg(file).args(["-map", "0:a", "-c", "copy", "-f", "data", "-"]);
    copy.output().expect("ffmpeg runs").stdout
}

fn frame_lengths(file: &Path) -> Vec<usize> {
    let mut probe = Command::new("ffprobe");
    probe.args(["-v", "error", "-select_streams", "a", "-show_entries", "packet=size", "-of", "csv=p=0"]);
    let output = probe.arg(file).output().expect("ffprobe runs");
    let text = String::from_utf8(output.stdout).expect("numbers");
    text.lines().filter_map(|line| line.trim_end_matches(',').parse().ok()).collect()
}

fn url(group: Group, more: &str) -> String {
    format!("rtp://{group}?ttl=1&localaddr=127.0.0.1{more}")
}

/// ffmpeg, which says only what is wrong.
pub fn ffmpeg(arguments: &[&str]) -> Command {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-hide_banner", "-v", "fatal", "-y"]).args(arguments);
    command.stdin(Stdio::null());
    command
}

/// Sends a transport stream of a picture that moves and a tone to a group, 25 pictures a second, as long as that takes.
#[track_caller]
pub fn send_pictures(group: Group, seconds: u32) {
    let mut send =
        ffmpeg(&["-re", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25", "-f", "lavfi", "-i", "sine"]);
    send.args([
        "-t",
        &seconds.to_string(),
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-g",
        "25",
        "-bf",
        "0",
    ]);
    send.args(["-c:a", "aac", "-f", "rtp_mpegts", &format!("rtp://{group}?localaddr=127.0.0.1&ttl=0")]);
    assert!(send.status().expect("ffmpeg runs").success());
}

/// What streams ffprobe finds and how many frames each has, a line each; and what it complains of.
pub fn frames_of(input: &str) -> (String, String) {
    let mut probe = Command::new("ffprobe");
    probe.args(["-v", "error", "-count_frames", "-show_entries", "stream=codec_name,nb_read_frames"]);
    let probed = probe.args(["-of", "csv=p=0", input]).output().expect("ffprobe runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&probed.stdout), text(&probed.stderr))
}

fn copy_of<'c>(command: &'c mut Command, file: &Path) -> &'c mut Command {
    command.arg(file)
}

fn succeed(command: impl std::borrow::BorrowMut<Command>) {
    let mut command = command;
    let output = command.borrow_mut().output().expect("ffmpeg runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
