//! Whoever starts the program and watches over it: systemd, a load balancer, a shell with its limits.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use mirrorball::event::clock;
use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::vocabulary::{Connection, Mirrorball, Setup, Source, binary, eventually, skip};

const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn systemd_hears_that_the_program_is_ready_lives_and_stops() {
    const WATCHDOG: Duration = Duration::from_secs(4);
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("notify");
    let systemd = UnixDatagram::bind(&path).expect("a socket");
    systemd.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let hear = || {
        let mut buffer = [0; 256];
        let length = systemd.recv(&mut buffer).expect("something is said");
        String::from_utf8_lossy(&buffer[..length]).trim_end().to_owned()
    };
    let mut command = binary();
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string());
    let mut mirrorball = Setup::new().at_known_addresses().launch(command, Stdio::null());
    assert_eq!(hear(), "READY=1");
    // Everything is served by then: no need to wait.
    Connection::open(mirrorball.rtsp);
    assert_eq!(mirrorball.expect_page("/ready", 200), "ready\n");
    let mut heard_at = clock::now();
    for _ in 0..3 {
        assert_eq!(hear(), "WATCHDOG=1");
        let now = clock::now();
        assert!(now - heard_at < WATCHDOG / 2, "{:?} without a sign", now - heard_at);
        heard_at = now;
    }
    mirrorball.signal(Signal::SIGTERM);
    let last = (0..10).map(|_| hear()).find(|said| said != "WATCHDOG=1");
    assert_eq!(last.as_deref(), Some("STOPPING=1"));
    assert_eq!(mirrorball.ended().and_then(|status| status.code()), Some(0));
}

#[test]
fn without_systemd_nothing_is_asked_of_it() {
    let mut command = binary();
    command.env("NOTIFY_SOCKET", "/nowhere/notify");
    let mirrorball = Setup::new().start_by(command);
    eventually("the log says so", || mirrorball.has_logged("systemd can not be told").then_some(()));
    Connection::open(mirrorball.rtsp);
}

#[test]
fn ready_names_the_channels_that_are_not_joined_and_is_refused_while_none_is() {
    let lost = || Setup::new().channel_on("nowhere0", "uk/lost", "rtp://239.9.9.1:5004");
    let mirrorball = lost().at_known_addresses().launch(binary(), Stdio::null());
    // Before that it starts.
    eventually("it says why", || {
        let page = mirrorball.expect_page("/ready", 503);
        (page == "not ready: no channel is joined, the log says why: uk/lost\n").then_some(())
    });
    mirrorball.expect_page("/live", 200);

    let source = Source::new();
    let mirrorball = lost().channel("news", source.group).start();
    let page = mirrorball.expect_page("/ready", 200);
    assert_eq!(page, "ready\nnot joined, the log says why: uk/lost\n");
}

#[test]
fn a_program_that_stands_still_says_so_and_ends_with_1() {
    let mut mirrorball = Setup::new().start();
    let watch = match mirrorball.hold_still("watch") {
        Ok(watch) => watch,
        Err(error) => {
            return skip("a_program_that_stands_still_says_so_and_ends_with_1", &format!("ptrace: {error}"));
        }
    };
    eventually("the program ends by itself", || watch.is_dead().then_some(()));
    assert_eq!(mirrorball.ended().and_then(|status| status.code()), Some(1));
    let line = "standing still: whoever is asked: the program ends";
    eventually("the log says so", || mirrorball.has_logged(line).then_some(()));
}

/// On a machine that has no time for us.
#[test]
fn who_asks_while_a_poll_table_stands_still_is_not_taken_for_silent() {
    let mirrorball =
        Setup::new().rtsp("session_timeout = \"3s\"").section("engine", "poll_table_entries = 8").start();
    // More than the table of the timers has room for.
    let mut clients: Vec<_> = (0..12).map(|_| Connection::open(mirrorball.rtsp)).collect();
    mirrorball.expect_metric("mirrorball_rtsp_connections", &[], 12.0);
    let tables = eventually("a second table has its thread", || {
        Some(mirrorball.threads("poll-control-")).filter(|tables| tables.len() > 1)
    });
    let still: nix::Result<Vec<_>> = tables[1..].iter().map(|name| mirrorball.hold_still(name)).collect();
    let still = match still {
        Ok(still) => still,
        Err(error) => {
            let story = "who_asks_while_a_poll_table_stands_still_is_not_taken_for_silent";
            return skip(story, &format!("ptrace: {error}"));
        }
    };
    clients.iter_mut().for_each(|client| client.send("OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n"));
    thread::sleep(Duration::from_millis(3500)); // the time that a client has
    drop(still);
    clients.iter_mut().for_each(|client| drop(client.reply().expect(200)));
}

#[test]
fn a_signal_that_means_nothing_is_logged_and_ends_nothing() {
    let demo = Mirrorball::demo();
    demo.signal(Signal::SIGUSR2);
    demo.expect_logged("SIGUSR2 is ignored", 1);
    demo.expect_page("/ready", 200);
}

#[test]
fn a_demo_ends_with_its_terminal() {
    if ignores_hang_ups() {
        return skip("a_demo_ends_with_its_terminal", "these tests were started by nohup");
    }
    let mut mirrorball = Mirrorball::demo();
    mirrorball.signal(Signal::SIGUSR1);
    eventually("the log says so", || mirrorball.has_logged("SIGUSR1 is ignored").then_some(()));
    mirrorball.signal(Signal::SIGHUP);
    assert_eq!(mirrorball.ended().and_then(|status| status.signal()), Some(Signal::SIGHUP as i32));
}

/// Whether whoever started these tests has had SIGHUP ignored, which programs that they start inherit.
fn ignores_hang_ups() -> bool {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:\t")).expect("a mask of signals");
    u64::from_str_radix(ignored, 16).expect("a mask in hex") & 1 != 0 // SIGHUP is the first
}

#[test]
fn a_log_beyond_the_limit_on_files_ends_nothing() {
    let directory = TempDir::new().expect("a directory");
    let log = fs::File::create(directory.path().join("log")).expect("a file");
    let mirrorball = Setup::new().at_known_addresses().launch(under("ulimit -f 0"), log);
    mirrorball.expect_page("/ready", 200);
    let lost = || mirrorball.metric("mirrorball_log_lines_dropped_total", &[("reason", "no_space")]);
    eventually("lines are lost", || (lost() > 0.0).then_some(()));
}

#[test]
fn as_many_files_are_opened_as_the_hard_limit_allows_and_what_is_short_is_told() {
    let limits = "ulimit -Sn 256 && ulimit -Hn 2048";
    let mirrorball = Setup::new().start_by(under(limits));
    let granted = fs::read_to_string(mirrorball.proc().join("limits")).expect("it runs");
    let granted = granted.lines().find(|line| line.starts_with("Max open files")).expect("a limit");
    let granted: Vec<_> = granted.split_whitespace().skip(3).take(2).collect();
    assert_eq!(granted, ["2048", "2048"]);
    let told = ["limits.connections = 20000", "a process may have 2048 here", "LimitNOFILE="];
    eventually("the log says so", || told.iter().all(|text| mirrorball.has_logged(text)).then_some(()));

    let setup = Setup::new();
    let output = under(limits).args(["check", "--config"]).arg(setup.write()).output().expect("it runs");
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let table = String::from_utf8_lossy(&output.stdout);
    let row = table.lines().find(|line| line.contains(" open files ")).expect("a row");
    assert!(row.starts_with("warn  limit ") && told.iter().all(|text| table.contains(text)), "{table}");
    let setup = setup.section("limits", "connections = 500");
    let output = under(limits).args(["check", "--config"]).arg(setup.write()).output().expect("it runs");
    assert!(!String::from_utf8_lossy(&output.stdout).contains("LimitNOFILE"), "{output:?}");
}

#[test]
fn who_has_not_even_the_files_to_start_ends_with_1_and_says_which_limit() {
    let setup = Setup::new();
    let config = setup.write();
    for files in [4, 6, 8, 10, 12, 14] {
        let mut command = under(&format!("ulimit -n {files}"));
        let output = command.args(["serve", "--config"]).arg(&config).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "with {files}: {said}");
        assert!(said.lines().last().is_some_and(|line| line.contains("ulimit -n")), "with {files}: {said}");
    }
}

/// The program, started by a shell with limits of its own.
fn under(limits: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{limits} && exec \"$0\" \"$@\"")]).arg(binary().get_program());
    shell.env_remove("RUST_LOG").stdin(Stdio::null());
    shell
}
