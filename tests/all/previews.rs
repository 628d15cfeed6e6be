//! Channels as browsers play them: curl asks the admin endpoint, ffmpeg and ffprobe look at what it got.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use mirrorball::event::clock;

use crate::players::programme::{FRAME_BYTES, Form, Programme, ffmpeg, picture_of};
use crate::vocabulary::{
    Group, Mirrorball, Needs, Over, Setup, Viewer, eventually, in_a_network_of_its_own, say,
};

const NEEDS: Needs = Needs { programs: &["ip", "curl", "ffmpeg", "ffprobe"], route: true, ipv6: false };
/// Pictures that a decoder can start with are two seconds apart.
const APART: u32 = 50;
/// The first picture is there by then.
const SOON: Duration = Duration::from_millis(700);

/// curl, which has asked for a preview.
struct Asked {
    curl: Child,
    out: ChildStdout,
    got: Vec<u8>,
}

impl Asked {
    fn preview(mirrorball: &Mirrorball, channel: &str) -> Self {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--no-buffer", "--max-time", "60"]).arg(url(mirrorball, channel));
        let mut curl = curl.stdout(Stdio::piped()).spawn().expect("curl starts");
        let out = curl.stdout.take().expect("piped");
        Self { curl, out, got: Vec::new() }
    }

    /// Reads until so many fragments have begun.
    fn reads(&mut self, fragments: usize) {
        let mut part = [0; 16 << 10];
        while self.got.windows(4).filter(|four| four == b"moof").count() < fragments {
            match self.out.read(&mut part) {
                Ok(count @ 1..) => self.got.extend(&part[..count]),
                end => {
                    panic!("{end:?} after {} bytes: {:?}", self.got.len(), String::from_utf8_lossy(&self.got))
                }
            }
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let _ = self.curl.kill();
        let _ = self.curl.wait();
    }
}

fn url(mirrorball: &Mirrorball, channel: &str) -> String {
    format!("http://{}/api/channels/{channel}/preview.mp4", mirrorball.admin)
}

/// What is answered where there is no preview.
fn refusal(mirrorball: &Mirrorball, channel: &str, status: u16) -> String {
    let said = mirrorball.expect_page(&format!("/api/channels/{channel}/preview.mp4"), status);
    let json: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    json["error"].as_str().expect("an error").to_owned()
}

/// What programs that we did not write make of a film: how many pictures, and what is in it.
fn look_at(film: &[u8], directory: &Path) -> (usize, String) {
    let file = directory.join("preview.mp4");
    fs::write(&file, film).expect("a file");
    let mut probe = Command::new("ffprobe");
    probe
        .args(["-v", "error", "-show_entries", "stream=codec_name,width,height", "-of", "csv=p=0"])
        .arg(&file);
    let probed = probe.output().expect("ffprobe runs");
    let streams = String::from_utf8(probed.stdout).expect("text").replace('\n', " ");
    (picture_of(&file).len() / FRAME_BYTES, streams)
}

fn is_shown(form: Form) {
    let programme = Programme::with_starts(16, APART);
    let group = Group::fresh();
    let setup = match form {
        Form::TransportStream => Setup::new().channel("film", group),
        Form::Tracks => Setup::new().described("film", &programme.describe(group)),
    };
    let mirrorball = setup.admin_line("previews = 1").start();
    let _sender = programme.send(form, group);
    let age =
        || mirrorball.metric("mirrorball_track_start_age_seconds", &[("channel", "film"), ("track", "1")]);
    let mut viewer = Viewer::playing(&mirrorball, "film", Over::Udp);
    viewer.packet();
    eventually("it is behind a start, and far from the next", || (0.3..1.0).contains(&age()).then_some(()));
    let began = clock::now();
    let mut asked = Asked::preview(&mirrorball, "film");
    asked.reads(1);
    let took = began.elapsed();
    say(&format!("previews: {form:?}: the first fragment after {took:?}"));
    assert!(took < SOON, "{took:?}");
    assert_eq!(refusal(&mirrorball, "film", 503), "1 previews run already, which is as many as may");
    mirrorball.expect_metric("mirrorball_previews", &[], 1.0);
    asked.reads(30);
    let (pictures, streams) = look_at(&asked.got, programme.directory());
    assert_eq!(streams.trim(), "h264,160,120 aac");
    assert!(pictures > 30, "{pictures} pictures");
    drop(asked);
    mirrorball.expect_metric("mirrorball_previews", &[], 0.0);
    for none in ["mirrorball_drops_total", "mirrorball_channel_lost_total"] {
        assert_eq!(mirrorball.metric(none, &[]), 0.0, "{none}: viewers lose nothing by it");
    }
    assert_eq!(mirrorball.metric("mirrorball_previews_refused_total", &[("reason", "limit")]), 1.0);
    viewer.teardown();
}

#[test]
fn a_transport_stream_is_shown_at_once_and_viewers_lose_nothing() {
    in_a_network_of_its_own("a preview of a transport stream", &NEEDS, || is_shown(Form::TransportStream));
}

#[test]
fn tracks_are_shown_at_once_and_viewers_lose_nothing() {
    in_a_network_of_its_own("a preview of tracks", &NEEDS, || is_shown(Form::Tracks));
}

#[test]
fn a_channel_on_demand_is_joined_for_its_preview_and_left_behind_it() {
    in_a_network_of_its_own("a preview of a channel on demand", &NEEDS, || {
        let programme = Programme::with_starts(16, APART);
        let group = Group::fresh();
        let setup = Setup::new().channel("film", group);
        let mirrorball = setup.channel_line("join = \"on-demand\"\nlinger = \"0s\"").start();
        let _sender = programme.send(Form::TransportStream, group);
        assert!(!group.is_joined());
        let mut asked = Asked::preview(&mirrorball, "film");
        asked.reads(3);
        assert!(group.is_joined());
        drop(asked);
        eventually("it is left", || (!group.is_joined()).then_some(()));
        mirrorball.expect_metric("mirrorball_previews", &[], 0.0);
    });
}

#[test]
fn what_is_not_shown_is_said() {
    let pictures =
        "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 GROUP\r\nt=0 0\r\nm=video PORT RTP/AVP 26\r\n";
    let group = Group::fresh().0;
    let described =
        pictures.replace("GROUP", &group.ip().to_string()).replace("PORT", &group.port().to_string());
    let mirrorball = Setup::new().described("pictures", &described).start();
    let said = refusal(&mirrorball, "pictures", 415);
    assert!(said.starts_with("it can not be shown: its picture is in JPEG, "), "{said}");
    assert_eq!(refusal(&mirrorball, "none", 404), "there is no such channel");
    let config = mirrorball.config().replacen("[admin]\n", "[admin]\npreviews = 0\n", 1);
    mirrorball.reload(&config);
    let none = "there are no previews here: [admin] previews is 0";
    assert_eq!(refusal(&mirrorball, "pictures", 503), none);
}

#[test]
fn mpeg_2_is_named_and_sound_that_is_not_played_is_left_out() {
    in_a_network_of_its_own("previews of other codings", &NEEDS, || {
        for (video, audio, status, said) in [
            ("mpeg2video", "aac", 415, "it can not be shown: its picture is in MPEG-2 video, "),
            ("libx264", "mp2", 200, "its sound is in MPEG-1 audio, "),
        ] {
            let group = Group::fresh();
            let mirrorball = Setup::new().channel("film", group).start();
            let mut send = ffmpeg(&["-re", "-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25"]);
            send.args(["-f", "lavfi", "-i", "sine=sample_rate=48000", "-t", "60", "-c:v", video, "-g", "25"]);
            send.args(["-pix_fmt", "yuv420p", "-c:a", audio, "-f", "rtp_mpegts"]);
            let url_of_group = format!("rtp://{group}?ttl=1&localaddr=127.0.0.1&pkt_size=1328");
            let mut sender = send.arg(url_of_group).spawn().expect("ffmpeg starts");
            let mut curl = Command::new("curl");
            curl.args(["--silent", "--include", "--max-time", "15"]).arg(url(&mirrorball, "film"));
            let mut curl = curl.stdout(Stdio::piped()).spawn().expect("curl starts");
            let mut out = curl.stdout.take().expect("piped");
            let (mut told, mut part) = (Vec::new(), [0; 4096]);
            while told.len() < 4096
                && let Ok(count @ 1..) = out.read(&mut part)
            {
                told.extend(&part[..count]);
            }
            for child in [&mut curl, &mut sender] {
                let _ = child.kill();
                let _ = child.wait();
            }
            let told = String::from_utf8_lossy(&told);
            assert!(told.starts_with(&format!("HTTP/1.1 {status} ")), "{told}");
            assert!(told.contains(said), "{told}");
        }
    });
}
