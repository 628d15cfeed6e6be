//! `mirrorball top`, as text and in a terminal.

use std::fs;
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::vocabulary::{
    Mirrorball, Over, READS, Setup, Source, Viewer, WRITES, binary, certificate_for, eventually, passes, skip,
};

/// What it is asked from, and by.
fn top(url: &str, token: Option<&str>, options: &[&str]) -> Output {
    let mut command = binary();
    command.args(["top", "--url", url]).args(options).stdin(Stdio::null());
    match token {
        Some(token) => command.env("MIRRORBALL_TOKEN", token),
        None => command.env_remove("MIRRORBALL_TOKEN"),
    };
    command.output().expect("the program runs")
}

fn text(output: &[u8]) -> String {
    String::from_utf8(output.to_vec()).expect("text")
}

#[test]
fn channels_and_sessions_are_told_once_to_who_may_see_them() {
    let mut source = Source::new();
    let mirrorball = Setup::new().channel("uk/news", source.group).with_tokens().start();
    let mut viewer = Viewer::playing(&mirrorball, "uk/news", Over::Tcp);
    source.send(20);
    viewer.expect_packets(&source, 0..20);
    let url = format!("http://{}", mirrorball.admin);
    let token = mirrorball.directory().join("token");
    fs::write(&token, format!("{READS}\n")).expect("a file");
    let by_file = top(&url, None, &["--once", "--token", token.to_str().expect("UTF-8")]);
    for told in [by_file, top(&url, Some(READS), &[])] {
        let told = (told.status.code(), text(&told.stdout), text(&told.stderr));
        assert_eq!((told.0, told.2.as_str()), (Some(0), ""), "{told:?}");
        let line = |begins: &str| told.1.lines().find(|line| line.starts_with(begins)).unwrap_or_default();
        assert!(line("uk/news").contains("live") && line("uk/news").ends_with("tcp 1"), "{}", told.1);
        assert!(line("127.0.0.1").contains("uk/news"), "{}", told.1);
        assert!(told.1.contains("poll table") && !told.1.contains('\x1b'), "{}", told.1);
    }
    for (token, why) in
        [(None, "401"), (Some("guessing-a-token-01"), "401"), (Some("two\nlines"), "no token")]
    {
        let refused = top(&url, token, &["--once"]);
        assert_eq!((refused.status.code(), text(&refused.stdout).as_str()), (Some(1), ""));
        assert!(text(&refused.stderr).contains(why), "{refused:?}");
    }
    viewer.teardown();
}

#[test]
fn where_nothing_answers_it_is_an_error() {
    let away = top("http://127.0.0.1:1", None, &["--once"]);
    assert_eq!((away.status.code(), text(&away.stdout).as_str()), (Some(1), ""));
    assert!(text(&away.stderr).contains("http://127.0.0.1:1: ") && text(&away.stderr).contains("refused"));
    assert_eq!(top("http://anna:secret@127.0.0.1:1", None, &["--once"]).status.code(), Some(2));
}

#[test]
fn through_tls_a_given_authority_is_believed_and_no_other() {
    let (chain, key) = certificate_for("127.0.0.1", 2040);
    let (other, _) = certificate_for("127.0.0.1", 2040);
    let setup = Setup::new().with_tokens().beside("admin.pem", &chain).beside("admin.key", &key);
    let setup = setup.beside("other.pem", &other);
    let setup =
        setup.admin_line("certificate = \"admin.pem\"\nprivate_key = \"admin.key\"").at_known_addresses();
    let url = format!("https://{}", setup.known_admin());
    let config = setup.write();
    let mut program = binary().args(["serve", "--config"]).arg(&config).spawn().expect("it starts");
    let ask = |ca: &str| {
        let file = config.with_file_name(ca);
        top(&url, Some(READS), &["--once", "--ca", file.to_str().expect("UTF-8")])
    };
    let answers = passes(Duration::from_secs(20), || ask("admin.pem").status.success());
    let (right, wrong) = (ask("admin.pem"), ask("other.pem"));
    program.kill().and_then(|()| program.wait()).expect("it ends");
    assert!(answers, "{right:?}");
    assert_eq!(wrong.status.code(), Some(1));
    assert!(text(&wrong.stderr).contains("certificate"), "{wrong:?}");
}

/// The program on a terminal of its own.
struct Terminal {
    script: Child,
    keys: ChildStdin,
    shown: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    /// None where there is no `script` to give it one.
    fn open(mirrorball: &Mirrorball, token: &str) -> Option<Self> {
        let program = env!("CARGO_BIN_EXE_mirrorball");
        let top = format!("echo pid=$$.; exec {program} top --url http://{}", mirrorball.admin);
        let typed = format!(
            "stty rows 24 cols 80; was=$(stty -g); sh -c '{top}'; code=$?; test \"$was\" = \"$(stty -g)\" && echo as it was, $code."
        );
        let mut script = Command::new("script"); // of util-linux: gives the command a terminal
        script.args(["-qec", &typed, "/dev/null"]).env("SHELL", "/bin/sh").env("MIRRORBALL_TOKEN", token);
        script.env("TERM", "xterm-256color").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut script = script.spawn().ok()?;
        let keys = script.stdin.take().expect("piped");
        let (shown, mut out) = (Arc::new(Mutex::new(Vec::new())), script.stdout.take().expect("piped"));
        let seen = shown.clone();
        thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(count @ 1..) = out.read(&mut piece) {
                seen.lock().expect("no reader panics").extend_from_slice(&piece[..count]);
            }
        });
        Some(Self { script, keys, shown })
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().expect("no reader panics")).into_owned()
    }

    #[track_caller]
    fn expect(&self, part: &str) -> String {
        eventually(&format!("{part:?} is shown"), || Some(self.shown()).filter(|shown| shown.contains(part)))
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).and_then(|()| self.keys.flush()).expect("the terminal is there");
    }

    /// It ends with 0, and the terminal is as it was.
    #[track_caller]
    fn expect_given_back(mut self) {
        let shown = self.expect("as it was, 0.");
        let (enters, leaves) = (shown.find("\x1b[?1049h"), shown.rfind("\x1b[?1049l"));
        assert!(enters.is_some() && enters < leaves, "{shown:?}");
        assert!(shown.rfind("\x1b[?25l") < shown.rfind("\x1b[?25h"), "the cursor is back: {shown:?}");
        drop(self.keys);
        self.script.wait().expect("it ends");
    }
}

#[test]
fn an_operator_looks_on_in_a_terminal_ends_a_session_and_leaves() {
    const STORY: &str = "an_operator_looks_on_in_a_terminal_ends_a_session_and_leaves";
    let mut source = Source::new();
    let mirrorball = Setup::new().channel("uk/news", source.group).with_tokens().start();
    let mut viewer = Viewer::playing(&mirrorball, "uk/news", Over::Tcp);
    source.send(20);
    viewer.expect_packets(&source, 0..20);
    let Some(mut terminal) = Terminal::open(&mirrorball, WRITES) else {
        return skip(STORY, "there is no script (util-linux)");
    };
    ["uk/news", "127.0.0.1", "LAST MINUTE"].iter().for_each(|part| drop(terminal.expect(part)));
    terminal.press("\td");
    terminal.expect("y/n");
    terminal.press("y");
    assert!(viewer.connection.is_closed_within(Duration::from_secs(10)), "it is told");
    mirrorball.expect_metric("mirrorball_sessions_ended_total", &[("reason", "operator")], 1.0);
    terminal.press("q");
    terminal.expect_given_back();
}

#[test]
fn a_terminal_is_given_back_also_when_a_signal_ends_it() {
    const STORY: &str = "a_terminal_is_given_back_also_when_a_signal_ends_it";
    let source = Source::new();
    let mirrorball = Setup::new().channel("uk/news", source.group).with_tokens().start();
    for signal in [Signal::SIGTERM, Signal::SIGHUP] {
        let Some(terminal) = Terminal::open(&mirrorball, READS) else {
            return skip(STORY, "there is no script (util-linux)");
        };
        let shown = terminal.expect("uk/news");
        let (_, pid) = shown.split_once("pid=").expect("it says so first");
        let pid = pid.split('.').next().and_then(|pid| pid.parse().ok()).expect("a number");
        kill(Pid::from_raw(pid), signal).expect("it runs");
        terminal.expect_given_back();
    }
}
