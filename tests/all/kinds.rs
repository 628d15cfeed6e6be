//! Every kind of source that there is, sent by ffmpeg and seen by ffprobe.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::players::programme::ffmpeg;
use crate::vocabulary::{Group, Mirrorball, Needs, Setup, eventually, in_a_network_of_its_own};

const NEEDS: Needs = Needs { programs: &["ip", "ffmpeg", "ffprobe"], route: true, ipv6: false };

const H264: &[&str] =
    &["-c:v", "libx264", "-preset", "ultrafast", "-g", "10", "-bf", "0", "-pix_fmt", "yuv420p"];
const HEVC: &[&str] = &[
    "-c:v",
    "libx265",
    "-preset",
    "ultrafast",
    "-x265-params",
    "keyint=10:bframes=0:log-level=none",
    "-pix_fmt",
    "yuv420p",
];
const OPUS: &[&str] = &["-c:a", "libopus", "-b:a", "32k"];

/// What is sent, how, and what ffprobe calls it.
struct Kind {
    name: &'static str,
    encoder: &'static [&'static str],
    way: Way,
    codec: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// As a source URL says, and with a description of ffmpeg's.
    Stream(&'static str),
    Described,
}

const KINDS: [Kind; 13] = [
    Kind { name: "ts", encoder: H264, way: Way::Stream("rtp"), codec: "h264" },
    Kind { name: "bare", encoder: H264, way: Way::Stream("udp"), codec: "h264" },
    Kind { name: "either", encoder: HEVC, way: Way::Stream("auto"), codec: "hevc" },
    Kind { name: "h264", encoder: H264, way: Way::Described, codec: "h264" },
    Kind { name: "h265", encoder: HEVC, way: Way::Described, codec: "hevc" },
    Kind {
        name: "jpeg",
        encoder: &["-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "-huffman", "0"],
        way: Way::Described,
        codec: "mjpeg",
    },
    Kind {
        name: "raw", // as ST 2110-20 sends it (RFC 4175)
        encoder: &["-c:v", "rawvideo", "-pix_fmt", "uyvy422"],
        way: Way::Described,
        codec: "rawvideo",
    },
    Kind {
        name: "vp8",
        encoder: &["-c:v", "libvpx", "-deadline", "realtime", "-g", "10"],
        way: Way::Described,
        codec: "vp8",
    },
    Kind { name: "aac", encoder: &["-c:a", "aac", "-b:a", "32k"], way: Way::Described, codec: "aac" },
    Kind { name: "opus", encoder: OPUS, way: Way::Described, codec: "opus" },
    Kind { name: "mp3", encoder: &["-c:a", "libmp3lame", "-b:a", "64k"], way: Way::Described, codec: "mp3" },
    Kind {
        name: "l16",
        encoder: &["-c:a", "pcm_s16be", "-ac", "2"],
        way: Way::Described,
        codec: "pcm_s16be",
    },
    Kind {
        name: "l24",
        encoder: &["-c:a", "pcm_s24be", "-ac", "2"],
        way: Way::Described,
        codec: "pcm_s24be",
    },
];

impl Kind {
    fn is_sound(&self) -> bool {
        self.encoder.contains(&"-c:a")
    }

    fn description(&self, directory: &Path) -> PathBuf {
        directory.join(format!("{}.sdp", self.name))
    }

    /// Sends it in real time, over and over.
    fn send(&self, group: Group, directory: &Path) -> Sender {
        let input = if self.is_sound() { "sine=sample_rate=48000" } else { "testsrc2=size=160x120:rate=10" };
        let mut send = ffmpeg(&["-re", "-f", "lavfi", "-i", input]);
        send.args(self.encoder);
        let url = |scheme: &str, more: &str| format!("{scheme}://{group}?ttl=1&localaddr=127.0.0.1{more}");
        match self.way {
            Way::Stream("udp") => send.args(["-f", "mpegts"]).arg(url("udp", "&pkt_size=1316")),
            Way::Stream(_) => send.args(["-f", "rtp_mpegts"]).arg(url("rtp", "&pkt_size=1328")),
            Way::Described => {
                send.arg("-sdp_file").arg(self.description(directory)).args(["-f", "rtp"]).arg(url("rtp", ""))
            }
        };
        Sender(send.stdout(Stdio::null()).spawn().expect("ffmpeg starts"))
    }

    fn is_set_up(&self, setup: Setup, group: Group, directory: &Path) -> Setup {
        let Way::Stream(scheme) = self.way else {
            let described =
                || fs::read_to_string(self.description(directory)).ok().filter(|text| text.contains("m="));
            return setup.described(self.name, &eventually("ffmpeg has described it", described));
        };
        setup.channel_from(self.name, &format!("{scheme}://{group}"))
    }

    fn probe(&self, mirrorball: &Mirrorball) -> Child {
        let mut probe = Command::new("ffprobe");
        probe.args([
            "-v",
            "error",
            "-rtsp_transport",
            "tcp",
            "-show_entries",
            "stream=codec_name",
            "-of",
            "csv=p=0",
        ]);
        probe
            .arg(mirrorball.url(self.name))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        probe.spawn().expect("ffprobe starts")
    }

    fn expect_seen(&self, probe: Child) {
        let seen = probe.wait_with_output().expect("ffprobe ends");
        let [codecs, said] =
            [&seen.stdout, &seen.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
        assert!(codecs.lines().any(|codec| codec == self.codec), "{}: {codecs:?} {said}", self.name);
    }
}

struct Sender(Child);

impl Drop for Sender {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn every_kind_of_source_is_what_it_was_in_ffprobe() {
    in_a_network_of_its_own("every kind of source in ffprobe", &NEEDS, || {
        let directory = TempDir::new().expect("a directory");
        let groups = KINDS.each_ref().map(|_| Group::fresh());
        let all = || KINDS.iter().zip(groups);
        let senders: Vec<_> = all().map(|(kind, group)| kind.send(group, directory.path())).collect();
        let setup =
            all().fold(Setup::new(), |setup, (kind, group)| kind.is_set_up(setup, group, directory.path()));
        let mirrorball = setup.start();
        for some in KINDS.chunks(4) {
            let probes: Vec<_> = some.iter().map(|kind| kind.probe(&mirrorball)).collect();
            some.iter().zip(probes).for_each(|(kind, probe)| kind.expect_seen(probe));
        }
        mirrorball.expect_metric("mirrorball_channel_refused_total", &[], 0.0);
        drop(senders);
    });
}

/// What ffmpeg says of a stream that it sends to one host is taken there.
#[test]
fn what_is_sent_to_this_machine_alone_is_taken_as_it_is_described() {
    in_a_network_of_its_own("a stream to one host", &NEEDS, || {
        let directory = TempDir::new().expect("a directory");
        let port = Group::fresh().0.port();
        let description = directory.path().join("own.sdp");
        let mut send = ffmpeg(&["-re", "-f", "lavfi", "-i", "testsrc2=size=160x120:rate=10"]);
        send.args(H264)
            .arg("-sdp_file")
            .arg(&description)
            .args(["-f", "rtp"])
            .arg(format!("rtp://127.0.0.1:{port}"));
        let sender = Sender(send.stdout(Stdio::null()).spawn().expect("ffmpeg starts"));
        let described = || fs::read_to_string(&description).ok().filter(|text| text.contains("m="));
        let described = eventually("ffmpeg has described it", described);
        assert!(described.contains("c=IN IP4 127.0.0.1"), "{described}");
        let mirrorball = Setup::new().described("own", &described).start();
        let own = Kind { name: "own", encoder: H264, way: Way::Described, codec: "h264" };
        own.expect_seen(own.probe(&mirrorball));
        drop(sender);
    });
}
