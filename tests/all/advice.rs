//! What the program tells an operator of a config, a machine and a log that are not as they were meant.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use nix::unistd::{Uid, User};

use crate::vocabulary::{Quiet, Setup, binary, eventually, skip};

/// What a user without rights is told of files that others may read.
#[test]
fn a_file_that_may_not_be_read_is_named_with_the_user_and_the_remedy() {
    if !nobody_runs_it("a_file_that_may_not_be_read_is_named_with_the_user_and_the_remedy") {
        return;
    }
    let setup = Setup::new().described("radio", "v=0\n");
    let config = setup.write();
    let directory = config.parent().expect("it is in one");
    let sdp = directory.join("radio.sdp");
    let user = nobody();
    let check = |file: &Path| ended(as_nobody(binary()).args(["check", "--config"]).arg(file));
    allow(directory, 0o755);

    allow(&sdp, 0o000);
    let output = check(&config);
    assert_eq!(output.status.code(), Some(78), "{output:?}");
    let of_sdp =
        format!("radio.sdp\" can not be read: user {user} may not read {} (mode 0000, of ", sdp.display());
    assert_says(
        &output,
        &["channel \"radio\": sdp ", &of_sdp, &format!("let it: chmod o+r {}", sdp.display())],
    );

    allow(&config, 0o000);
    let output = check(&config);
    assert_eq!(output.status.code(), Some(78), "{output:?}");
    assert_says(&output, &[&format!("user {user} may not read {}", config.display()), "chmod o+r"]);

    allow(directory, 0o000);
    let output = check(&config);
    allow(directory, 0o755);
    assert_says(&output, &[&format!("user {user} may not enter {}", directory.display()), "chmod o+x"]);
}

/// What everybody may read is refused as a key: no advice may lead there.
#[test]
fn a_private_key_that_may_not_be_read_is_not_to_be_opened_to_everybody() {
    if !nobody_runs_it("a_private_key_that_may_not_be_read_is_not_to_be_opened_to_everybody") {
        return;
    }
    let setup = Setup::new().through_tls();
    let config = setup.write();
    let directory = config.parent().expect("it is in one");
    let key = directory.join("edge.key");
    allow(directory, 0o755);
    allow(&directory.join("edge.pem"), 0o644);
    allow(&key, 0o000);
    let output = ended(as_nobody(binary()).args(["check", "--config"]).arg(&config));
    assert_eq!(output.status.code(), Some(78), "{output:?}");
    let may_not = format!("user {} may not read {} (mode 0000, of ", nobody(), key.display());
    assert_says(&output, &["[rtsp] private_key: ", &may_not, &format!("chmod 640 {}", key.display())]);
    assert!(!String::from_utf8_lossy(&output.stderr).contains("o+r"), "{output:?}");
}

#[test]
fn thousands_of_errors_are_told_each() {
    let setup = Setup::new();
    let config = setup.write();
    let channels =
        (0..2000).map(|n| format!("[[channel]]\nname = news{n}\nsource = \"rtp://255.0.0.1:5004\"\n"));
    fs::write(&config, channels.collect::<String>()).expect("a file");
    let output = ended(binary().args(["check", "--config"]).arg(&config));
    assert_eq!(output.status.code(), Some(78), "{:?}", output.status);
    let said = String::from_utf8_lossy(&output.stderr);
    let told = |what: &str| said.lines().filter(|line| line.contains(what)).count();
    assert_eq!(told(": a text stands in quotes; write name = \"news"), 2000);
    assert_eq!(told(": 255.0.0.1 is not to be received"), 2000);
}

#[test]
fn a_filter_that_means_nothing_silences_nobody() {
    for typed in ["", "verbose", "mirrorball=loud"] {
        let output = ended(binary().args(["check", "--config", "/nowhere", "--log", typed]));
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert_says(
            &output,
            &[&format!("invalid value '{typed}' for '--log <FILTER>'"), "error, warn, info"],
        );

        let (_taken, setup) = taken();
        let output = ended(binary().args(["serve", "--config"]).arg(setup.write()).env("RUST_LOG", typed));
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let told = format!("RUST_LOG={typed:?} is not used, but info: ");
        assert_says(&output, &[" WARN ", &told, " ERROR ", "another program has this port"]);
    }
}

#[test]
fn what_the_program_ends_with_is_told_whatever_the_filter() {
    for filter in ["off", "mirrorball::serve=debug", "hyper=info"] {
        let (_taken, setup) = taken();
        let config = setup.write();
        let (mut by_option, mut by_environment) = (binary(), binary());
        by_option.args(["--log", filter]);
        by_environment.env("RUST_LOG", filter);
        for command in [&mut by_option, &mut by_environment] {
            let output = ended(command.args(["serve", "--config"]).arg(&config));
            assert_eq!(output.status.code(), Some(1), "{output:?}");
            assert_says(&output, &["another program has this port"]);
        }
    }
}

#[test]
fn buffers_that_the_kernel_caps_are_told_in_both_directions() {
    const STORY: &str = "buffers_that_the_kernel_caps_are_told_in_both_directions";
    let limits = ["rmem_max", "wmem_max"].map(|name| {
        let text = fs::read_to_string(format!("/proc/sys/net/core/{name}")).ok()?;
        Some((name, text.trim().parse::<usize>().ok()?))
    });
    let [Some(receive), Some(send)] = limits else {
        return skip(STORY, "net.core.rmem_max and wmem_max are not seen here");
    };
    if !nobody_runs_it(STORY) {
        return;
    }
    let setup = Setup::new().at_known_addresses();
    let config = setup.write();
    allow(config.parent().expect("it is in one"), 0o755);
    let output = ended(as_nobody(binary()).args(["check", "--config"]).arg(&config));
    let plan = String::from_utf8_lossy(&output.stdout).into_owned();
    let log = fs::File::create(config.with_file_name("log")).expect("a file");
    let mirrorball = setup.launch(as_nobody(binary()), log);
    mirrorball.expect_page("/ready", 200);
    let log = || fs::read_to_string(config.with_file_name("log")).unwrap_or_default();
    for (name, limit) in [receive, send] {
        let told = format!("8388608 bytes are asked for, and {limit} given");
        let remedy = format!("set sysctl net.core.{name}=16777216");
        let is_capped = limit < 8 << 20;
        assert_eq!(plan.contains(&told) && plan.contains(&remedy), is_capped, "{plan}");
        let logged = || log().lines().filter(|line| line.contains(&told) && line.contains(&remedy)).count();
        eventually("the log says so once", || (logged() == usize::from(is_capped)).then_some(()));
    }
}

#[test]
fn what_works_but_worse_is_noted_by_check_and_at_the_start() {
    let setup = Setup::new().section("limits", "sessions = 5\nsessions_per_address = 6");
    let config = setup.write();
    let output = ended(binary().args(["check", "--config"]).arg(&config));
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let (place, told) =
        (format!("{}:8", config.display()), "[limits] sessions_per_address: 6 is above sessions (5)");
    let table = String::from_utf8_lossy(&output.stdout);
    assert!(table.contains(&format!("\nwarn  config      {place}  {told}")), "{table}");
    let output = ended(binary().args(["check", "--plan", "--config"]).arg(&config));
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let told = format!("{place}: {told}");
    let plan = String::from_utf8_lossy(&output.stdout);
    assert!(plan.contains(&format!("\nnote      {told}")), "{plan}");
    let mirrorball = setup.start();
    eventually("the log says so", || mirrorball.has_logged(&told).then_some(()));
}

#[test]
fn listeners_of_one_port_are_told_before_anything_is_opened() {
    let setup = Setup::new();
    let config = setup.write();
    let text = "[rtsp]\nlisten = [\"0.0.0.0:9469\"]\n[admin]\nlisten = \"127.0.0.1:9469\"\n";
    fs::write(&config, text).expect("a file");
    for command in ["check", "serve"] {
        let output = ended(binary().args([command, "--config"]).arg(&config));
        assert_eq!(output.status.code(), Some(78), "{output:?}");
        assert_says(
            &output,
            &["mirrorball.toml:4: [admin] listen", "of [rtsp] listen in line 2", "write another port"],
        );
    }
}

/// A port that somebody has, and a config that wants it.
fn taken() -> (TcpListener, Setup) {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    (taken, Setup::new().listening_on(&address))
}

/// Whoever runs the story, or nobody where that is root, who may do all.
pub fn as_nobody(mut command: Command) -> Command {
    if Uid::effective().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

/// Whether that user gets at the program, which a directory above it may keep him from. If not, the story is skipped.
#[track_caller]
pub fn nobody_runs_it(story: &str) -> bool {
    let started = as_nobody(binary()).arg("--version").stdin(Stdio::null()).output();
    started
        .map_err(|error| skip(story, &format!("user {} can not run the program: {error}", nobody())))
        .is_ok()
}

const NOBODY: u32 = 65_534;

pub fn nobody() -> String {
    let id = if Uid::effective().is_root() { Uid::from_raw(NOBODY) } else { Uid::effective() };
    User::from_uid(id).ok().flatten().map_or_else(|| id.to_string(), |user| user.name)
}

pub fn allow(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("our own");
}

pub fn ended(command: &mut Command) -> Output {
    let _quiet = Quiet::beside_others();
    if !command.get_envs().any(|(name, _)| name == "RUST_LOG") {
        command.env_remove("RUST_LOG");
    }
    command.stdin(Stdio::null()).output().expect("the program runs")
}

#[track_caller]
fn assert_says(output: &Output, texts: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    for text in texts {
        assert!(said.contains(text), "{text:?} is not in:\n{said}");
    }
}
