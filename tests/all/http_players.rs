//! Channels, groups and playlists over HTTP in clients that we did not write. What a channel is to each of them is in the matrix.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::players::programme::Programme;
use crate::vocabulary::{Group, Mirrorball, Needs, Setup, in_a_network_of_its_own, is_there, passes, say};

const NEEDS: Needs = Needs { programs: &["ip", "ffmpeg", "ffprobe", "curl"], route: true, ipv6: false };
/// A client has so long to do what it is told.
const PATIENCE: Duration = Duration::from_secs(40);

/// A client, as it is told to play a URL, and what it has to leave behind there.
type Client = (&'static str, &'static str, fn(&str, &Path) -> Command);

/// Each plays some two seconds.
const CLIENTS: [Client; 3] = [
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
        assert!(failures.is_empty(), "{failures:#?}");
        assert_eq!(mirrorball.metric("mirrorball_drops_total", &[("leg", "out")]), 0.0);
    });
}

/// Who is not root may write there.
fn open_to_all(directory: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(directory, fs::Permissions::from_mode(0o777)).expect("our own");
}
