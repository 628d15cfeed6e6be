//! The players, each a process or a thread, and what they made of a programme.

use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::programme::{FRAME_BYTES, Form, Part, ffmpeg, picture_of, sound_of};
use super::retina_player;
use crate::vocabulary::{Over, passes};

/// A player at work.
pub struct Player {
    name: String,
    running: Running,
    yields: Yields,
    log: Option<PathBuf>,
}

enum Running {
    Process(Child),
    Thread(JoinHandle<()>),
}

/// What it leaves behind.
enum Yields {
    /// Decoded pictures, and compressed sound.
    Decoded { picture: PathBuf, sound: PathBuf },
    /// Decoded pictures, and the transport stream.
    DecodedPicture { picture: PathBuf, transport_stream: PathBuf },
    /// The transport stream.
    TransportStream(PathBuf),
    /// H.264 as a byte stream, and compressed sound.
    Compressed { picture: PathBuf, sound: PathBuf },
}

/// What a player made of a programme.
pub struct Heard {
    pub name: String,
    pub picture: Vec<u8>,
    sound: Vec<u8>,
    /// The last of what it said, and how it ended.
    log: String,
}

/// ffprobe at work.
pub struct Probe {
    over: Over,
    child: Child,
}

/// Starts ffprobe.
pub fn probe(over: Over, url: &str) -> Probe {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-rtsp_transport", transport(over)]);
    command.args(["-show_entries", "stream=codec_name,width,height", "-of", "compact", url]);
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    Probe { over, child: child.expect("ffprobe starts") }
}

impl Player {
    pub fn ffmpeg(over: Over, url: &str, directory: &Path) -> Self {
        Self::ffmpeg_by(transport(over), url, directory)
    }

    /// ffmpeg, by the transports that it tries by itself: two seconds each.
    pub fn ffmpeg_that_tries(url: &str, directory: &Path) -> Self {
        let name = "ffmpeg that tries".to_owned();
        let (picture, sound) = (file(directory, &name, "yuv"), file(directory, &name, "aac"));
        let mut command = ffmpeg(&["-v", "info", "-nostats", "-timeout", "2000000", "-i", url]);
        let yields = decode(&mut command, picture, sound);
        Self::process(name, command, yields, directory)
    }

    /// ffmpeg, by what it calls this transport.
    pub fn ffmpeg_by(transport: &str, url: &str, directory: &Path) -> Self {
        let name = format!("ffmpeg over {transport}");
        let (picture, sound) = (file(directory, &name, "yuv"), file(directory, &name, "aac"));
        let mut command = ffmpeg(&["-v", "info", "-nostats", "-rtsp_transport", transport, "-i", url]);
        let yields = decode(&mut command, picture, sound);
        Self::process(name, command, yields, directory)
    }

    /// ffmpeg at a port of this host, which is its own from here on. It ends once nothing comes any more.
    pub fn at_port(port: UdpSocket, directory: &Path) -> Self {
        let name = "ffmpeg without RTP".to_owned();
        let (picture, sound) = (file(directory, &name, "yuv"), file(directory, &name, "aac"));
        let address = port.local_addr().expect("bound");
        let url = format!("udp://{address}?localaddr={}&buffer_size=4194304&timeout=3000000", address.ip());
        let mut command = ffmpeg(&["-v", "info", "-nostats", "-i", &url]);
        let yields = decode(&mut command, picture, sound);
        drop(port);
        Self::process(name, command, yields, directory)
    }

    pub fn gstreamer(form: Form, over: Over, url: &str, directory: &Path) -> Self {
        let name = format!("GStreamer over {over:?}");
        let picture = file(directory, &name, "yuv");
        let decode = "h264parse ! avdec_h264 ! videoconvert ! video/x-raw,format=I420";
        let source = format!("rtspsrc name=source latency=500 protocols={} location={url}", transport(over));
        let (pipeline, yields) = match form {
            Form::TransportStream => {
                let stream = file(directory, &name, "ts");
                let pipeline = format!(
                    "{source} ! rtpmp2tdepay ! tee name=stream stream. ! queue ! filesink location={} \
                     stream. ! queue ! tsdemux ! {decode} ! filesink location={}",
                    stream.display(),
                    picture.display()
                );
                (pipeline, Yields::DecodedPicture { picture, transport_stream: stream })
            }
            Form::Tracks => {
                let sound = file(directory, &name, "aac");
                let pipeline = format!(
                    "{source} source. ! queue ! rtph264depay ! {decode} ! filesink location={} \
                     source. ! queue ! rtpmp4gdepay ! filesink location={}",
                    picture.display(),
                    sound.display()
                );
                (pipeline, Yields::Decoded { picture, sound })
            }
        };
        let mut command = Command::new("gst-launch-1.0");
        command.args(["-q", "-e"]).args(pipeline.split_whitespace());
        Self::process(name, command, yields, directory)
    }

    pub fn retina(form: Form, over: Over, url: &str, directory: &Path) -> Self {
        let name = format!("retina over {over:?}");
        let (thread, yields) = match form {
            Form::TransportStream => {
                let stream = file(directory, &name, "ts");
                (retina_player::keep_stream(over, url, &stream), Yields::TransportStream(stream))
            }
            Form::Tracks => {
                let (picture, sound) = (file(directory, &name, "h264"), file(directory, &name, "aac"));
                let thread = retina_player::keep_tracks(over, url, &picture, &sound);
                (thread, Yields::Compressed { picture, sound })
            }
        };
        Self { name, running: Running::Thread(thread), yields, log: None }
    }

    fn process(name: String, mut command: Command, yields: Yields, directory: &Path) -> Self {
        let log = file(directory, &name, "log");
        let stderr = fs::File::create(&log).expect("a file");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
        let child = command.spawn().unwrap_or_else(|error| panic!("{name}: {error}"));
        Self { name, running: Running::Process(child), yields, log: Some(log) }
    }

    /// Waits for its end, and looks at what it made.
    pub fn heard(self) -> Heard {
        let Self { name, running, yields, log } = self;
        let ending = match running {
            Running::Process(child) => end(child),
            Running::Thread(thread) => thread.join().map(|()| "ended").expect("retina does not panic"),
        };
        let log = log.map(|file| fs::read(file).unwrap_or_default()).unwrap_or_default();
        let log = format!("{}\n{name} {ending}", tail(&String::from_utf8_lossy(&log)));
        let read = |file: &Path| fs::read(file).unwrap_or_default();
        let (picture, sound) = match &yields {
            Yields::Decoded { picture, sound } => (read(picture), read(sound)),
            Yields::DecodedPicture { picture, transport_stream } => {
                (read(picture), sound_of(transport_stream))
            }
            Yields::TransportStream(stream) => (picture_of(stream), sound_of(stream)),
            Yields::Compressed { picture, sound } => (picture_of(picture), read(sound)),
        };
        Heard { name, picture, sound, log }
    }
}

impl Heard {
    /// Every picture and all of the sound of a part are there, in order, with nothing in between.
    #[track_caller]
    pub fn expect(&self, part: &Part) {
        self.expect_times(part, 1);
    }

    /// So often.
    #[track_caller]
    pub fn expect_times(&self, part: &Part, times: usize) {
        let Self { name, picture, sound, log } = self;
        let count = part.count_in(self);
        if count < times {
            let frames: Vec<_> = picture.chunks_exact(FRAME_BYTES).collect();
            let own = part.frames.clone().zip(part.picture.chunks_exact(FRAME_BYTES));
            let seen =
                own.map(|(number, own)| (number, frames.iter().filter(|frame| **frame == own).count()));
            let missing: Vec<_> = seen.filter(|(_, seen)| *seen < times).collect();
            let wanted = format!("frames {:?}, {times} times", part.frames);
            let of = frames.len();
            panic!(
                "{name}: {wanted}: {count} times of {of} frames; seldom or out of order: {missing:?}\n{log}"
            );
        }
        let heard = |wanted: &[u8]| {
            let is_it = |part: &&[u8]| *part == wanted;
            if wanted.is_empty() { 0 } else { sound.windows(wanted.len()).filter(is_it).count() }
        };
        assert!(
            heard(&part.sound.framed).max(heard(&part.sound.bare)) >= times,
            "{name}: {} bytes of sound lack the part's {}, {times} times\n{log}",
            sound.len(),
            part.sound.framed.len()
        );
    }
}

impl Probe {
    pub fn expect_h264_and_aac(self) {
        let output = self.child.wait_with_output().expect("ffprobe ends");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            text.contains("codec_name=h264|width=160|height=120"),
            "ffprobe over {:?}: {text}",
            self.over
        );
        assert!(text.contains("codec_name=aac"), "ffprobe over {:?}: {text}", self.over);
    }
}

/// Has ffmpeg leave behind pictures and sound.
fn decode(ffmpeg: &mut Command, picture: PathBuf, sound: PathBuf) -> Yields {
    ffmpeg.args(["-map", "0:v", "-fps_mode", "passthrough", "-pix_fmt", "yuv420p"]);
    ffmpeg.args(["-f", "rawvideo"]).arg(&picture);
    ffmpeg.args(["-map", "0:a", "-c", "copy", "-f", "data"]).arg(&sound);
    Yields::Decoded { picture, sound }
}

/// A player ends with the programme that it watched; one that does not is asked to.
fn end(mut child: Child) -> &'static str {
    let mut ended = || passes(Duration::from_secs(5), || !matches!(child.try_wait(), Ok(None)));
    if ended() {
        return "ended";
    }
    let id = i32::try_from(child.id()).expect("process ids are small");
    let _ = kill(Pid::from_raw(id), Signal::SIGINT);
    let mut ended = || passes(Duration::from_secs(5), || !matches!(child.try_wait(), Ok(None)));
    if ended() {
        return "ended when it was asked to";
    }
    let _ = child.kill();
    let _ = child.wait();
    "had to be killed"
}

fn tail(log: &str) -> String {
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

fn file(directory: &Path, name: &str, ending: &str) -> PathBuf {
    directory.join(format!("{}.{ending}", name.replace(' ', "-")))
}

fn transport(over: Over) -> &'static str {
    match over {
        Over::Udp => "udp",
        Over::Tcp => "tcp",
    }
}
