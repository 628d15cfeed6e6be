//! The real program as a child process, with a config of its own on free ports.
//!
//! When a story is over the program is asked to stop, and has to exit with 0 in good time: so every story
//! is one about shutdown too.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, UNIX_EPOCH};

use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::lie::Lie;
use super::metrics;
use super::patience::{eventually, passes};
use super::quiet::{Quiet, demo_by_demo};
use super::source::Group;
use super::still::Still;

/// From the signal to the end of the process, for an operator and for systemd.
const STOPS_WITHIN: Duration = Duration::from_secs(5);

/// Tokens of operators.
pub const READS: &str = "looking-at-it-all";
pub const WRITES: &str = "changing-some-of-it";

/// The config's file.
const CONFIG: &str = "mirrorball.toml";

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
    known: Option<(SocketAddr, SocketAddr)>,
    filter: &'static str,
}

/// The program, serving.
pub struct Mirrorball {
    /// Where RTSP is served.
    pub rtsp: SocketAddr,
    /// Where metrics are served.
    pub admin: SocketAddr,
    child: Child,
    /// Who has taken over from it.
    heir: Option<Pid>,
    /// Upgrades that were begun.
    upgrades: usize,
    log: Arc<Mutex<Vec<String>>>,
    _turn: Option<MutexGuard<'static, ()>>,
    directory: TempDir,
    _quiet: Quiet,
}

impl Setup {
    pub fn new() -> Self {
        let directory = TempDir::new().expect("a directory for the config");
        let rtsp = "[rtsp]\nlisten = [\"127.0.0.1:0\"]\nudp_ports = \"0\"\n".to_owned();
        let sections = "[admin]\nlisten = \"127.0.0.1:0\"\n".to_owned();
        Self { directory, rtsp, sections, channels: String::new(), known: None, filter: "info" }
    }

    /// Logs this, in place of `info`.
    pub fn logging(mut self, filter: &'static str) -> Self {
        self.filter = filter;
        self
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

    /// What comes by several sources, a list of texts in quotes, on loopback.
    pub fn channel_of_sources(mut self, name: &str, sources: &str) -> Self {
        let lines = format!("[[channel]]\nname = \"{name}\"\nsources = [{sources}]\ninterface = \"lo\"\n");
        self.channels.push_str(&lines);
        self
    }

    /// The same, where the kernel's route leads.
    pub fn channel_by_route(mut self, name: &str, source: &str) -> Self {
        self.channels.push_str(&format!("[[channel]]\nname = \"{name}\"\nsource = \"{source}\"\n"));
        self
    }

    /// A channel of these lines.
    pub fn channel_lines(mut self, lines: &str) -> Self {
        self.channels.push_str(&format!("[[channel]]\n{lines}\n"));
        self
    }

    /// The channel written last goes to a group on loopback too, for those who ask.
    pub fn multicast_out(self, group: Group) -> Self {
        self.channel_line(&format!("multicast_out = \"{group}\"\nmulticast_out_interface = \"lo\""))
    }

    /// Whatever a session description says.
    pub fn described(self, name: &str, sdp: &str) -> Self {
        self.described_on("lo", name, sdp)
    }

    /// The same, on an interface of its own.
    pub fn described_on(self, interface: &str, name: &str, sdp: &str) -> Self {
        self.described_by(name, sdp, &format!("interface = \"{interface}\""))
    }

    /// The same, with lines of its own.
    pub fn described_by(mut self, name: &str, sdp: &str, lines: &str) -> Self {
        fs::write(self.directory.path().join(format!("{name}.sdp")), sdp).expect("a file for the SDP");
        let lines = format!("[[channel]]\nname = \"{name}\"\nsdp = \"{name}.sdp\"\n{lines}\n");
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

    /// A line for `[admin]`.
    pub fn admin_line(mut self, line: &str) -> Self {
        self.sections = self.sections.replacen("[admin]\n", &format!("[admin]\n{line}\n"), 1);
        self
    }

    /// A section of its own, with a line.
    pub fn section(mut self, name: &str, line: &str) -> Self {
        self.sections.push_str(&format!("[{name}]\n{line}\n"));
        self
    }

    /// Serves RTSP through TLS as well, with a certificate of its own.
    pub fn through_tls(self) -> Self {
        let (certificate, key) = certificate(2040);
        let file = |name: &str, content: String| put(&self.directory.path().join(name), &content);
        file("edge.pem", certificate);
        file("edge.key", key);
        let lines = "tls_listen = [\"127.0.0.1:0\"]\ncertificate = \"edge.pem\"\nprivate_key = \"edge.key\"";
        self.rtsp(lines)
    }

    /// Serves RTSP over HTTP at an address of its own as well.
    pub fn over_http(self) -> Self {
        self.rtsp("http_listen = [\"127.0.0.1:0\"]")
    }

    /// Serves streams over HTTP as well.
    pub fn over_web(self) -> Self {
        self.over_web_with("")
    }

    /// The same, with lines of its own.
    pub fn over_web_with(self, lines: &str) -> Self {
        self.section("http", &format!("listen = [\"127.0.0.1:0\"]\n{lines}"))
    }

    /// Has operators show one of these: `read looking-at-it-all` and `write changing-some-of-it`.
    pub fn with_tokens(self) -> Self {
        let tokens = format!("read {READS}\nwrite {WRITES}\n");
        fs::write(self.directory.path().join("tokens"), tokens).expect("a file of tokens");
        self.admin_line("tokens = \"tokens\"")
    }

    /// Puts a file beside the config that only its owner may read.
    pub fn beside(self, name: &str, content: &str) -> Self {
        put(&self.directory.path().join(name), content);
        self
    }

    /// Writes the config and says where.
    pub fn write(&self) -> PathBuf {
        let file = self.directory.path().join(CONFIG);
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
        let command = self.serving(binary());
        Mirrorball::run(command, self.directory, quiet)
    }

    /// Starts the program with no more than so many descriptors.
    pub fn start_with_descriptors(self, count: usize) -> Mirrorball {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("ulimit -n {count} && exec \"$0\" \"$@\"")]).arg(binary().get_program());
        self.start_by(shell)
    }

    /// Starts it by a command that, given the program's arguments, runs it.
    pub fn start_by(self, command: Command) -> Mirrorball {
        let command = self.serving(command);
        Mirrorball::run(command, self.directory, Quiet::beside_others())
    }

    /// Serves at addresses that are chosen here, for a story in which the log does not tell them.
    pub fn at_known_addresses(mut self) -> Self {
        let (rtsp, admin) = (unused_address(), unused_address());
        self.sections = self.sections.replace("127.0.0.1:0", &admin.to_string());
        self.known = Some((rtsp, admin));
        self.listening_on(&rtsp.to_string())
    }

    /// Where operators are to be answered, at known addresses.
    pub fn known_admin(&self) -> SocketAddr {
        self.known.expect("known addresses").1
    }

    /// Starts it at known addresses, with its log going there, and does not wait until it serves.
    pub fn launch(self, command: Command, log: impl Into<Stdio>) -> Mirrorball {
        let quiet = Quiet::beside_others();
        let (rtsp, admin) = self.known.expect("known addresses");
        let mut command = self.serving(command);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        let child = child.expect("the program starts");
        Mirrorball {
            rtsp,
            admin,
            child,
            heir: None,
            upgrades: 0,
            log: Arc::default(),
            _turn: None,
            directory: self.directory,
            _quiet: quiet,
        }
    }

    fn serving(&self, mut command: Command) -> Command {
        command.args(["serve", "--config"]).arg(self.write()).args(["--log", self.filter]);
        command
    }
}

impl Mirrorball {
    /// The demo, on free ports.
    pub fn demo() -> Self {
        Self::demo_shown_on(Stdio::null())
    }

    /// The same, with this for a screen.
    pub fn demo_shown_on(screen: impl Into<Stdio>) -> Self {
        let mut command = binary();
        command.args(["demo", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]).stdout(screen);
        let directory = TempDir::new().expect("a directory");
        let turn = demo_by_demo();
        let mut demo = Self::run(command, directory, Quiet::beside_others());
        demo._turn = Some(turn);
        demo
    }

    /// What the process has in memory, in bytes.
    pub fn resident_bytes(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux");
        line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") << 10
    }

    /// Has the kernel allow it so many descriptors from now on.
    pub fn allow_descriptors(&self, count: usize) {
        let (own, limit) = (self.child.id().to_string(), format!("--nofile={count}:"));
        let status = Command::new("prlimit").args(["--pid", &own, &limit]).status();
        assert!(status.is_ok_and(|status| status.success()), "prlimit of util-linux does as it is told");
    }

    /// Ends it without a word, as the kernel does where memory is short.
    pub fn kill(&mut self) -> ExitStatus {
        self.child.kill().expect("it is ours");
        self.child.wait().expect("it is ours")
    }

    /// Starts it again once it has ended, with its config as it is now; does not wait until it serves.
    pub fn start_again(&mut self) {
        let mut command = binary();
        command.args(["serve", "--config"]).arg(self.directory.path().join(CONFIG));
        self.child = spawn(command, &self.log);
    }

    fn run(command: Command, directory: TempDir, quiet: Quiet) -> Self {
        let log = Arc::<Mutex<Vec<String>>>::default();
        let mut child = spawn(command, &log);
        let address = |text: &str| {
            let line = log.lock().expect("no panic").iter().find(|line| line.contains(text))?.clone();
            let address = line.split_once("address=").or_else(|| line.split_once("\"address\":\""))?.1;
            address.split([' ', '"']).next()?.parse::<SocketAddr>().ok()
        };
        let addresses = eventually("the program says where it serves", || {
            if let Ok(Some(status)) = child.try_wait() {
                panic!("the program ended with {status}: {:#?}", log.lock().expect("no panic"));
            }
            Some((address("serving RTSP")?, address("serving /metrics")?))
        });
        let (rtsp, admin) = addresses;
        let mirrorball =
            Self { rtsp, admin, child, heir: None, upgrades: 0, log, _turn: None, directory, _quiet: quiet };
        mirrorball.expect_page("/ready", 200);
        mirrorball
    }

    /// Where RTSP is served through TLS.
    pub fn rtsps(&self) -> SocketAddr {
        self.address("serving RTSP through TLS")
    }

    /// Where RTSP is served over HTTP alone.
    pub fn http(&self) -> SocketAddr {
        self.address("serving RTSP over HTTP")
    }

    /// Where streams are served over HTTP.
    pub fn web(&self) -> SocketAddr {
        self.address("serving HTTP address")
    }

    /// The same through TLS.
    pub fn secret_web(&self) -> SocketAddr {
        self.address("serving HTTP through TLS")
    }

    fn address(&self, of: &str) -> SocketAddr {
        eventually(of, || {
            let line = self.logged(of).pop()?;
            line.split_once("address=")?.1.split(' ').next()?.parse().ok()
        })
    }

    /// Puts another certificate, which is valid until that year, in the place of the one that is served, and then its key.
    pub fn renew_certificate(&self, until: i32) {
        self.put_certificate(certificate(until));
    }

    /// The same, of one that is valid for so long.
    pub fn renew_certificate_for(&self, life: Duration) {
        let since_1970 = UNIX_EPOCH.elapsed().expect("a later time");
        self.put_certificate(valid_for("edge", since_1970 + life));
    }

    fn put_certificate(&self, (certificate, key): (String, String)) {
        put(&self.directory.path().join("edge.pem"), &certificate);
        put(&self.directory.path().join("edge.key"), &key);
    }

    /// The certificate that is served.
    pub fn certificate(&self) -> String {
        fs::read_to_string(self.directory.path().join("edge.pem")).expect("it is served through TLS")
    }

    /// Puts something else in the place of the key.
    pub fn spoil_key(&self) {
        put(&self.directory.path().join("edge.key"), "nothing");
    }

    /// Waits until a page of the admin endpoint has this status; its text.
    #[track_caller]
    pub fn expect_page(&self, path: &str, status: u16) -> String {
        let page = || metrics::fetch(self.admin, path).ok().filter(|page| page.0 == status);
        eventually(&format!("{path} is {status}"), page).1
    }

    /// Its config, as it is written now.
    pub fn config(&self) -> String {
        fs::read_to_string(self.directory.path().join(CONFIG)).expect("a config")
    }

    /// The directory that its config is in.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Writes its config, as an editor does: all at once.
    pub fn write_config(&self, text: &str) {
        let (file, new) = (self.directory.path().join(CONFIG), self.directory.path().join("new"));
        fs::write(&new, text).and_then(|()| fs::rename(&new, &file)).expect("a file for the config");
    }

    /// Writes its config, asks it to read that again, and waits until it has.
    #[track_caller]
    pub fn reload(&self, text: &str) {
        let refused = || self.metric("mirrorball_config_reloads_total", &[("result", "refused")]);
        let before = refused();
        self.write_config(text);
        self.signal(Signal::SIGHUP);
        let digest = Sha256::digest(text);
        let revision: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        eventually("the config is read again", || {
            let is_this = self.metric("mirrorball_config_info", &[("revision", &revision)]) == 1.0;
            (is_this || refused() > before).then_some(())
        });
    }

    /// What a call of its API comes to, made by who has this token.
    pub fn call(&self, token: Option<&str>, line: &str) -> (u16, Value) {
        self.call_with(token, line, "")
    }

    /// The same with a body.
    pub fn call_with(&self, token: Option<&str>, line: &str, body: &str) -> (u16, Value) {
        let (method, path) = line.split_once(' ').expect("a method and a path");
        let login = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        let (status, text) = metrics::ask(self.admin, method, path, &login, body).expect("it answers");
        (status, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
    }

    /// Its directory in /proc.
    pub fn proc(&self) -> PathBuf {
        Path::new("/proc").join(self.id().to_string())
    }

    /// The URL of a channel.
    pub fn url(&self, channel: &str) -> String {
        format!("rtsp://{}/{channel}", self.rtsp)
    }

    /// Its threads whose names begin so, in the order of their numbers.
    pub fn threads(&self, beginning: &str) -> Vec<String> {
        let tasks = fs::read_dir(self.proc().join("task")).expect("it runs").flatten();
        let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
        let mut names: Vec<_> = names.map(|name| name.trim().to_owned()).collect();
        names.retain(|name| name.starts_with(beginning));
        names.sort_by_key(|name| name.trim_start_matches(beginning).parse::<u32>().ok());
        names
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
        self.lines_logged(text) > 0
    }

    /// The lines of the log that have this text.
    pub fn logged(&self, text: &str) -> Vec<String> {
        let log = self.log.lock().expect("no panic");
        log.iter().filter(|line| line.contains(text)).cloned().collect()
    }

    /// Waits until so many lines of the log have this text, and hands them out.
    #[track_caller]
    pub fn expect_logged(&self, text: &str, count: usize) -> Vec<String> {
        eventually(&format!("{count} lines say \"{text}\""), || {
            Some(self.logged(text)).filter(|lines| lines.len() >= count)
        })
    }

    /// How many lines of the log have this text.
    pub fn lines_logged(&self, text: &str) -> usize {
        self.log.lock().expect("no panic").iter().filter(|line| line.contains(text)).count()
    }

    /// Open descriptors and threads.
    pub fn holdings(&self) -> Holdings {
        let count = |of: &str| fs::read_dir(self.proc().join(of)).expect("the program runs").count();
        let entries = self.metric("mirrorball_poll_table_entries", &[]);
        Holdings { descriptors: count("fd"), threads: count("task"), entries: entries as usize }
    }

    /// Its sockets of UDP, of IPv4.
    pub fn udp_sockets(&self) -> usize {
        let own = fs::read_dir(self.proc().join("fd")).expect("the program runs").flatten();
        let own = own.filter_map(|descriptor| fs::read_link(descriptor.path()).ok());
        let own: Vec<_> = own.map(|link| link.to_string_lossy().into_owned()).collect();
        let all = fs::read_to_string(self.proc().join("net/udp")).expect("Linux tells");
        let inodes = all.lines().filter_map(|line| line.split_whitespace().nth(9));
        inodes.filter(|inode| own.contains(&format!("socket:[{inode}]"))).count()
    }

    /// Waits until nothing more is held than before.
    #[track_caller]
    pub fn expect_holdings(&self, before: Holdings) {
        let mut now = before;
        let freed = passes(Duration::from_secs(20), || {
            now = self.holdings();
            now.no_more_than(before)
        });
        assert!(freed, "held before: {before:?}, and still: {now:?}");
    }

    /// Holds one of its threads still, as whatever never answers would, until the program ends.
    pub fn hold_still(&self, name: &str) -> nix::Result<Still> {
        Still::hold(&self.proc(), name)
    }

    /// Has the kernel lie to one of its threads: the next time that it receives something it is told of too much.
    pub fn deceive(&self, name: &str) -> io::Result<Lie> {
        Lie::tell(&self.proc(), name)
    }

    /// Asks the program to stop.
    pub fn signal(&self, signal: Signal) {
        kill(self.id(), signal).expect("the program runs");
    }

    fn id(&self) -> Pid {
        let own = || Pid::from_raw(i32::try_from(self.child.id()).expect("process ids are small"));
        self.heir.unwrap_or_else(own)
    }

    /// Has another process take over, whose story this is from then on.
    pub fn upgrade(&mut self) {
        self.begin_upgrade();
        self.end_upgrade();
    }

    /// The same, which is not over yet.
    pub fn begin_upgrade(&mut self) {
        self.upgrades += 1;
        // It is ours to wait for, then, once the process is gone that has started it.
        set_child_subreaper(true).expect("Linux");
        self.signal(Signal::SIGUSR2);
    }

    /// Waits until it is.
    pub fn end_upgrade(&mut self) {
        const FAILED: &str = ", and this program serves on";
        eventually("an upgrade that is over", || {
            let over = self.lines_logged("handed over") + self.lines_logged(FAILED);
            (over == self.upgrades).then_some(())
        });
        let last = self.logged("upgrade::predecessor").pop().expect("told");
        assert!(!last.contains(FAILED), "{last}");
        let begun = self.logged("an upgrade begins").pop().expect("it has begun");
        let pid = begun.split_once("pid=").and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok());
        let status = self.ended();
        assert!(status.is_some_and(|status| status.success()), "the process before ended with {status:?}");
        self.heir = Some(Pid::from_raw(pid.expect("its number")));
        self.expect_page("/ready", 200);
    }

    /// Waits for the end of a program that was asked to stop.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        let mut status = None;
        passes(STOPS_WITHIN, || {
            status = self.try_wait();
            status.is_some()
        });
        status
    }

    fn try_wait(&mut self) -> Option<ExitStatus> {
        let Some(heir) = self.heir else { return self.child.try_wait().ok().flatten() };
        match waitpid(heir, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(_, code)) => Some(ExitStatus::from_raw(code << 8)),
            Ok(WaitStatus::Signaled(_, signal, _)) => Some(ExitStatus::from_raw(signal as i32)),
            _ => None,
        }
    }

    fn end_at_once(&mut self) {
        let _ = kill(self.id(), Signal::SIGKILL);
        let _ = self.ended();
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

impl Holdings {
    fn no_more_than(self, other: Self) -> bool {
        self.descriptors <= other.descriptors
            && self.threads <= other.threads
            && self.entries <= other.entries
    }
}

impl Drop for Mirrorball {
    fn drop(&mut self) {
        let running = self.try_wait().is_none();
        if thread::panicking() {
            self.print_log();
            if running {
                self.end_at_once();
            }
            return;
        }
        if running {
            let of = ["mirrorball_task_panics_total", "mirrorball_panics_total"];
            let panics: f64 = of.map(|name| self.metric(name, &[])).iter().sum();
            self.signal(Signal::SIGTERM);
            let status = self.ended();
            if status.is_none_or(|status| !status.success()) || panics != 0.0 {
                self.print_log();
                self.end_at_once();
                panic!("the program ended with {status:?} and {panics} panics");
            }
        }
    }
}

/// A certificate that is valid until that year, and its key.
pub fn certificate(until: i32) -> (String, String) {
    certificate_for("edge", until)
}

/// One of a host that has this name or address.
pub fn certificate_for(host: &str, until: i32) -> (String, String) {
    let until = rcgen::date_time_ymd(until, 1, 1) - rcgen::date_time_ymd(1970, 1, 1);
    valid_for(host, until.unsigned_abs())
}

/// One that is valid until so long after 1970 began.
fn valid_for(host: &str, until: Duration) -> (String, String) {
    let mut parameters = rcgen::CertificateParams::new(vec![host.to_owned()]).expect("a name");
    parameters.not_after = rcgen::date_time_ymd(1970, 1, 1) + until;
    let key = rcgen::KeyPair::generate().expect("a key");
    (parameters.self_signed(&key).expect("a certificate").pem(), key.serialize_pem())
}

/// Puts a file that only its owner may read where another one may be, at once.
fn put(file: &Path, content: &str) {
    let new = file.with_extension("new");
    fs::write(&new, content).expect("a file");
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).expect("our own");
    fs::rename(new, file).expect("the same directory");
}

/// A port that nobody has now, and that the kernel gives to nobody who asks for any.
pub(super) fn unused_address() -> SocketAddr {
    static COUNT: AtomicU16 = AtomicU16::new(0);
    let own = (std::process::id() % 400) as u16 * 25;
    let mut candidates = (0..).map(|_| 22_000 + (own + COUNT.fetch_add(1, Relaxed)) % 10_000);
    let free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    let port = candidates.by_ref().take(10_000).find(free).expect("one of ten thousand ports");
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Starts a program whose log is kept here.
fn spawn(mut command: Command, log: &Arc<Mutex<Vec<String>>>) -> Child {
    let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let stderr = child.stderr.take().expect("asked for a pipe");
    let keeper = log.clone();
    thread::spawn(move || keep(stderr, &keeper));
    child
}

fn keep(stderr: ChildStderr, log: &Mutex<Vec<String>>) {
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        log.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(line);
    }
}
