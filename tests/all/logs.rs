//! A log, and other output, that nobody takes: nothing changes but what is read.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, PipeReader, PipeWriter, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use socket2::SockRef;

use crate::crowds::allow_many_descriptors;
use crate::vocabulary::{
    Crowd, Mirrorball, Over, Quiet, Setup, Source, Viewer, binary, demo_by_demo, eventually, is_thorough,
    passes, with_a_disk_of_its_own,
};

const LOST: &str = "mirrorball_log_lines_dropped_total";
const TOLD: &str = "lines of the log were lost";

#[test]
fn a_log_on_a_device_that_is_full_disturbs_nobody() {
    expect_undisturbed(full(), "no_space");
}

#[test]
fn a_log_whose_reader_has_gone_disturbs_nobody() {
    expect_undisturbed(closed_pipe(), "closed");
}

/// No descriptor that it opens may take the place of the log: a viewer would be sent lines.
#[test]
fn a_program_that_is_started_without_stderr_serves_and_its_log_goes_nowhere() {
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec \"$0\" \"$@\" 0<&- 1>&- 2>&-"]).arg(binary().get_program());
    let source = Source::new();
    let programme = source.programme;
    let mut mirrorball =
        Setup::new().channel("news", source.group).at_known_addresses().launch(shell, Stdio::null());
    mirrorball.expect_page("/ready", 200);
    for standard in ["0", "1", "2"] {
        let held = fs::read_link(mirrorball.proc().join("fd").join(standard)).expect("it is open");
        assert_eq!(held, Path::new("/dev/null"), "descriptor {standard}");
    }
    let beam = source.beam(50);
    let viewers = [Over::Udp, Over::Tcp].map(|over| (Viewer::playing(&mirrorball, "news", over), programme));
    let crowd = Crowd::of(viewers);
    (0..200).for_each(|_| mirrorball.signal(Signal::SIGHUP));
    crowd.expect_all_past(programme, beam.sent() + 50);
    crowd.expect_flawless();
    mirrorball.signal(Signal::SIGTERM);
    assert_eq!(mirrorball.ended().and_then(|status| status.code()), Some(0));
}

#[test]
fn a_log_whose_reader_is_stuck_disturbs_nobody() {
    let (reader, writer) = full_pipe();
    expect_undisturbed(writer, "backlog");
    drop(reader);
}

#[test]
fn a_log_on_a_full_disk_disturbs_nobody() {
    with_a_disk_of_its_own("a_log_on_a_full_disk_disturbs_nobody", 64, |disk| {
        fill(&disk.join("filler"));
        expect_undisturbed(log_on(disk), "no_space");
    });
}

#[test]
fn what_was_lost_is_told_once_the_reader_reads_again() {
    let (reader, writer) = full_pipe();
    let mirrorball = Setup::new().at_known_addresses().launch(binary(), writer);
    mirrorball.expect_page("/ready", 200);
    say_much(&mirrorball, "backlog");
    let lines = BufReader::new(reader).lines().map_while(Result::ok);
    let told = lines.into_iter().find(|line| line.contains(TOLD)).expect("a line that says so");
    assert!(told.contains(" WARN ") && told.contains("lines="), "{told}");
}

#[test]
fn what_was_lost_is_told_once_the_disk_has_room_again() {
    with_a_disk_of_its_own("what_was_lost_is_told_once_the_disk_has_room_again", 1024, |disk| {
        let filler = disk.join("filler");
        fill(&filler);
        let mirrorball = Setup::new().at_known_addresses().launch(binary(), log_on(disk));
        mirrorball.expect_page("/ready", 200);
        say_much(&mirrorball, "no_space");
        mirrorball.write_config("[wrong]\n"); // a word now and then does not fill it again
        fs::remove_file(filler).expect("it is there");
        eventually("the log goes on and tells", || {
            mirrorball.signal(Signal::SIGHUP);
            let log = fs::read(disk.join("log")).expect("there from the start");
            String::from_utf8_lossy(&log).contains(TOLD).then_some(())
        });
    });
}

#[test]
fn errors_that_nobody_hears_have_their_exit_codes() {
    let _turn = demo_by_demo();
    let setup = Setup::new().rtsp("lisen = 5");
    let config = setup.write();
    let config = config.to_str().expect("a plain path");
    for (arguments, code) in [
        (&["serve", "--config", config][..], 78),
        (&["check", "--config", config], 78),
        (&["serve"], 2),
        (&["probe", "--timeout", "rtsp://127.0.0.1:1/nothing"], 2),
        (&["probe", "rtsp://127.0.0.1:1/nothing"], 1),
        (&["demo", "--listen", "192.0.2.1:0"], 1),
    ] {
        for stderr in [Stdio::from(full()), closed_pipe().into()] {
            let output = end(binary().args(arguments).stdout(Stdio::null()).stderr(stderr));
            assert_eq!(output.status.code(), Some(code), "{arguments:?}: {output:?}");
        }
    }
}

#[test]
fn output_that_nobody_takes_ends_calmly_and_output_that_is_lost_is_a_failure() {
    let mirrorball = Mirrorball::demo();
    let setup = Setup::new();
    let config = setup.write();
    let url = mirrorball.url("demo");
    for arguments in [
        &["--help"][..],
        &["--version"],
        &["probe", "--help"],
        &["check", "--plan", "--config", config.to_str().expect("a plain path")],
        &["check", "--explain", "listen"],
        &["probe", "--duration", "1", &url],
        &["probe", "--duration", "1", "--json", &url],
    ] {
        let output = end(binary().args(arguments).stdout(closed_pipe()).stderr(Stdio::piped()));
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
        let output = end(binary().args(arguments).stdout(full()).stderr(Stdio::piped()));
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
    }
}

#[test]
fn a_check_that_nobody_reads_has_its_exit_code_and_one_that_is_lost_has_not() {
    let setup = Setup::new().channel_on("nowhere7", "news", "rtp://239.77.99.1:5004");
    let config = setup.write();
    for option in [&[][..], &["--json"]] {
        let mut check = binary();
        check.arg("check").args(option).arg("--config").arg(&config);
        let output = end(check.stdout(closed_pipe()).stderr(Stdio::piped()));
        assert_eq!(output.status.code(), Some(4), "{option:?}: {output:?}");
        let output = end(check.stdout(full()).stderr(Stdio::piped()));
        assert_eq!(output.status.code(), Some(1), "{option:?}: {output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("stdout can not be written"), "{option:?}: {said}");
    }
}

#[test]
fn a_demo_that_nobody_looks_at_ends_and_one_whose_screen_is_stuck_plays_on() {
    let addresses = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let output = end(binary().arg("demo").args(addresses).stdout(closed_pipe()).stderr(Stdio::piped()));
    assert_eq!(output.status.code(), Some(0), "{output:?}");

    let (reader, writer) = full_pipe();
    let mut mirrorball = Mirrorball::demo_shown_on(writer);
    let mut viewer = Viewer::of(&mirrorball, "demo");
    viewer.set_up(1, Over::Udp);
    viewer.play();
    for _ in 0..30 {
        viewer.packet_within(0, Duration::from_secs(20)).expect("media");
    }
    mirrorball.signal(Signal::SIGTERM);
    assert_eq!(mirrorball.ended().and_then(|status| status.code()), Some(0));
    drop(reader);
}

/// Viewers, newcomers, the admin endpoint and a request to stop: all are served while this log loses lines.
fn expect_undisturbed(log: impl Into<Stdio>, reason: &str) {
    allow_many_descriptors();
    let source = Source::new();
    let programme = source.programme;
    let mut mirrorball =
        Setup::new().channel("news", source.group).at_known_addresses().launch(binary(), log);
    mirrorball.expect_page("/ready", 200);
    let beam = source.beam(50);
    let watch = |place: usize| {
        let over = if place.is_multiple_of(2) { Over::Udp } else { Over::Tcp };
        (Viewer::playing(&mirrorball, "news", over), programme)
    };
    let half = if is_thorough() { 150 } else { 20 };
    let crowd = Crowd::of((0..half).map(watch));
    say_much(&mirrorball, reason);
    crowd.expect_all_past(programme, beam.sent() + 10);
    let newcomers = Crowd::of((0..half).map(watch));
    for crowd in [&crowd, &newcomers] {
        crowd.expect_all_past(programme, beam.sent() + 10);
    }
    mirrorball.expect_page("/live", 200);
    for (place, _viewer, tally) in crowd.disband().into_iter().chain(newcomers.disband()) {
        assert!(tally.is_flawless(), "viewer {place} got {tally:?}");
    }
    assert_eq!(mirrorball.metric("mirrorball_panics_total", &[]), 0.0);
    mirrorball.signal(Signal::SIGTERM);
    assert_eq!(mirrorball.ended().and_then(|status| status.code()), Some(0));
}

/// Has the program log until a line is lost for this reason.
fn say_much(mirrorball: &Mirrorball, reason: &str) {
    // Of each of its faults there is a line, whenever it is read.
    mirrorball.write_config(&(0..500).map(|number| format!("[wrong{number}]\n")).collect::<String>());
    eventually("lines of the log are lost", || {
        mirrorball.signal(Signal::SIGHUP);
        (mirrorball.metric(LOST, &[("reason", reason)]) > 0.0).then_some(())
    });
}

fn full() -> File {
    OpenOptions::new().write(true).open("/dev/full").expect("a device that is always full")
}

fn closed_pipe() -> PipeWriter {
    io::pipe().expect("a pipe").1
}

/// A pipe that takes nothing more until it is read.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = io::pipe().expect("a pipe");
    SockRef::from(&writer).set_nonblocking(true).expect("a mode that pipes have too");
    while writer.write(b"------------------------------------------------------------\n").is_ok() {}
    SockRef::from(&writer).set_nonblocking(false).expect("a mode that pipes have too");
    (reader, writer)
}

fn log_on(disk: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(disk.join("log")).expect("a name takes no space")
}

fn fill(file: &Path) {
    let mut file = File::create(file).expect("a file");
    while file.write(&[0; 4096]).is_ok() {}
}

/// Runs the program to its end, which comes soon and is not death by a panic.
fn end(command: &mut std::process::Command) -> Output {
    let _quiet = Quiet::beside_others();
    let mut child = command.stdin(Stdio::null()).env_remove("RUST_LOG").spawn().expect("the program runs");
    if !passes(Duration::from_secs(20), || child.try_wait().expect("it is ours").is_some()) {
        let _ = child.kill();
        panic!("{command:?} does not end");
    }
    child.wait_with_output().expect("it has ended")
}
