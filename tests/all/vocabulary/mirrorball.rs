//! The real program as a child process, with a config of its own on free ports.
//!
//! When a story is over the program is asked to stop, and has to exit with 0 in good time: so every story
//! is one about shutdown too.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::metrics;
use super::patience::{eventually, passes};
use super::quiet::Quiet;
use super::source::Group;

/// From the signal to the end of the process, for an operator and for systemd.
const STOPS_WITHIN: Duration = Duration::from_secs(5);

/// The program's command, to be run.
pub fn binary() -> Command {
    Command::new(env!("CARGO_BIN_EXE_mirrorball"))
}

/// A config being written.
pub struct Setup {
    directory: TempDir,
    rtsp: String,
    sections: String,
    channels: String,
}

/// The program, serving.
pub struct Mirrorball {
    /// Where RTSP is served.
    pub rtsp: SocketAddr,
    /// Where metrics are served.
    pub admin: SocketAddr,
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    _directory: TempDir,
    _quiet: Quiet,
}

impl Setup {
    pub fn new() -> Self {
        let directory = TempDir::new().expect("a directory for the config");
        let rtsp = "[rtsp]\nlisten = [\"127.0.0.1:0\"]\nudp_ports = \"0\"\n".to_owned();
        let sections = "[admin]\nlisten = \"127.0.0.1:0\"\n".to_owned();
        Self { directory, rtsp, sections, channels: String::new() }
    }

    /// Serves RTSP here, in place of loopback.
    pub fn listening_on(mut self, address: &str) -> Self {
        self.rtsp = self.rtsp.replace("127.0.0.1:0", address);
        self
    }

    /// A transport stream from anyone.
    pub fn channel(self, name: &str, group: Group) -> Self {
        self.channel_from(name, &format!("rtp://{group}"))
    }

    /// A transport stream from a source URL.
    pub fn channel_from(self, name: &str, source: &str) -> Self {
        self.channel_on("lo", name, source)
    }

    /// The same, on an interface of its own.
    pub fn channel_on(mut self, interface: &str, name: &str, source: &str) -> Self {
        let lines =
            format!("[[channel]]\nname = \"{name}\"\nsource = \"{source}\"\ninterface = \"{interface}\"\n");
        self.channels.push_str(&lines);
        self
    }

    /// The same, where the kernel's route leads.
    pub fn channel_by_route(mut self, name: &str, source: &str) -> Self {
        self.channels.push_str(&format!("[[channel]]\nname = \"{name}\"\nsource = \"{source}\"\n"));
        self
    }

    /// Whatever a session description says.
    pub fn described(self, name: &str, sdp: &str) -> Self {
        self.described_on("lo", name, sdp)
    }

    /// The same, on an interface of its own.
    pub fn described_on(mut self, interface: &str, name: &str, sdp: &str) -> Self {
        fs::write(self.directory.path().join(format!("{name}.sdp")), sdp).expect("a file for the SDP");
        let lines =
            format!("[[channel]]\nname = \"{name}\"\nsdp = \"{name}.sdp\"\ninterface = \"{interface}\"\n");
        self.channels.push_str(&lines);
        self
    }

    /// A line for the channel written last.
    pub fn channel_line(mut self, line: &str) -> Self {
        self.channels.push_str(line);
        self.channels.push('\n');
        self
    }

    /// A line for `[rtsp]`.
    pub fn rtsp(mut self, line: &str) -> Self {
        self.rtsp.push_str(line);
        self.rtsp.push('\n');
        self
    }

    /// A section of its own, with a line.
    pub fn section(mut self, name: &str, line: &str) -> Self {
        self.sections.push_str(&format!("[{name}]\n{line}\n"));
        self
    }

    /// Writes the config and says where.
    pub fn write(&self) -> PathBuf {
        let file = self.directory.path().join("mirrorball.toml");
        let text = [self.rtsp.as_str(), &self.sections, &self.channels].concat();
        fs::write(&file, text).expect("a file for the config");
        file
    }

    /// The server ports that media leaves from, in place of any free ones.
    pub fn udp_ports(mut self, range: &str) -> Self {
        self.rtsp = self.rtsp.replace("udp_ports = \"0\"", &format!("udp_ports = \"{range}\""));
        self
    }

    /// Starts the program and waits until it is ready.
    pub fn start(self) -> Mirrorball {
        let quiet = Quiet::beside_others();
        self.start_in(quiet)
    }

    /// Starts the program in a place that is taken already.
    pub fn start_in(self, quiet: Quiet) -> Mirrorball {
        let file = self.write();
        let mut command = binary();
        command.args(["serve", "--log", "info", "--config"]).arg(&file);
        Mirrorball::run(command, self.directory, quiet)
    }
}

impl Mirrorball {
    /// The demo, on free ports.
    pub fn demo() -> Self {
        let mut command = binary();
        command.args(["demo", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
        let directory = TempDir::new().expect("a directory");
        Self::run(command, directory, Quiet::beside_others())
    }

    fn run(mut command: Command, directory: TempDir, quiet: Quiet) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).env_remove("RUST_LOG");
        let mut child = command.spawn().expect("the program starts");
        let log = Arc::<Mutex<Vec<String>>>::default();
        let stderr = child.stderr.take().expect("asked for a pipe");
        let keeper = log.clone();
        thread::spawn(move || keep(stderr, &keeper));
        let address = |text: &str| {
            let line = log.lock().expect("no panic").iter().find(|line| line.contains(text))?.clone();
            line.split("address=").nth(1)?.split(' ').next()?.parse::<SocketAddr>().ok()
        };
        let addresses = eventually("the program says where it serves", || {
            if let Ok(Some(status)) = child.try_wait() {
                panic!("the program ended with {status}: {:#?}", log.lock().expect("no panic"));
            }
            Some((address("serving RTSP")?, address("serving /metrics")?))
        });
        let (rtsp, admin) = addresses;
        let mirrorball = Self { rtsp, admin, child, log, _directory: directory, _quiet: quiet };
        eventually("the program is ready", || {
            metrics::fetch(admin, "/ready").ok().filter(|(status, _)| *status == 200)
        });
        mirrorball
    }

    /// The URL of a channel.
    pub fn url(&self, channel: &str) -> String {
        format!("rtsp://{}/{channel}", self.rtsp)
    }

    /// A metric, summed over all that have these labels; 0 where it has never been counted.
    pub fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let (status, text) = metrics::fetch(self.admin, "/metrics").expect("the metrics are served");
        assert_eq!(status, 200, "{text}");
        metrics::sum(&text, name, labels).unwrap_or(0.0)
    }

    /// Waits until a metric has a value.
    #[track_caller]
    pub fn expect_metric(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        let mut last = f64::NAN;
        let what = format!("{name}{labels:?} is {value}");
        let found = passes(Duration::from_secs(20), || {
            last = self.metric(name, labels);
            last == value
        });
        assert!(found, "{what}, but stays {last}");
    }

    /// Whether the log has a line with this text.
    pub fn has_logged(&self, text: &str) -> bool {
        self.times_logged(text) > 0
    }

    /// How many lines of the log have this text.
    pub fn times_logged(&self, text: &str) -> usize {
        self.log.lock().expect("no panic").iter().filter(|line| line.contains(text)).count()
    }

    /// Open descriptors and threads.
    pub fn holdings(&self) -> Holdings {
        let count = |of: &str| {
            let path = Path::new("/proc").join(self.child.id().to_string()).join(of);
            fs::read_dir(path).expect("the program runs").count()
        };
        let entries = self.metric("mirrorball_poll_table_entries", &[]);
        Holdings { descriptors: count("fd"), threads: count("task"), entries: entries as usize }
    }

    /// Waits until nothing more is held than before.
    #[track_caller]
    pub fn expect_holdings(&self, before: Holdings) {
        let mut now = before;
        let freed = passes(Duration::from_secs(20), || {
            now = self.holdings();
            now == before
        });
        assert!(freed, "held before: {before:?}, and still: {now:?}");
    }

    /// Asks the program to stop.
    pub fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).expect("process ids are small");
        kill(Pid::from_raw(id), signal).expect("the program runs");
    }

    /// Waits for the end of a program that was asked to stop.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        let mut status = None;
        passes(STOPS_WITHIN, || {
            status = self.child.try_wait().ok().flatten();
            status.is_some()
        });
        status
    }

    fn print_log(&self) {
        let log = self.log.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut out = std::io::stderr().lock();
        let tail = log.len().saturating_sub(60);
        log[tail..].iter().for_each(|line| drop(writeln!(out, "    {line}")));
    }
}

/// What the process holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holdings {
    pub descriptors: usize,
    pub threads: usize,
    pub entries: usize,
}

impl Drop for Mirrorball {
    fn drop(&mut self) {
        let running = self.child.try_wait().ok().flatten().is_none();
        if thread::panicking() {
            self.print_log();
            let _ = self.child.kill();
            let _ = self.child.wait();
            return;
        }
        if running {
            let panics = self.metric("mirrorball_task_panics_total", &[]);
            self.signal(Signal::SIGTERM);
            let status = self.ended();
            if status.is_none_or(|status| !status.success()) || panics != 0.0 {
                self.print_log();
                let _ = self.child.kill();
                let _ = self.child.wait();
                panic!("the program ended with {status:?} and {panics} panics");
            }
        }
    }
}

fn keep(stderr: ChildStderr, log: &Mutex<Vec<String>>) {
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        log.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(line);
    }
}
