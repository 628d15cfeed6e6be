//! The command line, as typed, and the exit codes. Knows no config and runs nothing.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::listen::{self, ListenSource};
use super::probe::{self, Course, Delivery, Plan, ProbeUrl, Tracks};
use super::top::Endpoint;
use crate::ops::log::log_filter::LogFilter;
use crate::ops::log::log_format::LogFormat;
use crate::ops::release;
use crate::serve::{Scope, check_name};
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

/// The program ended as it was asked to.
pub const EXIT_OK: u8 = 0;
/// The program could not start or go on: an address in use, no permission, a failure of the system.
pub const EXIT_FAILURE: u8 = 1;
/// The command line was wrong. The code is clap's.
pub const EXIT_USAGE: u8 = 2;
/// `check` found that what the config asks for would be served, but worse than it could.
pub const EXIT_WORSE: u8 = 3;
/// `check` found something that would not be served on this machine as it is.
pub const EXIT_UNFIT: u8 = 4;
/// The config was wrong: EX_CONFIG of BSD's sysexits.
pub const EXIT_CONFIG: u8 = 78;

const PROBE_EXIT_CODES: &str = "Exit codes:
  0   every subscriber was set up and got media to the end; after Ctrl-C: all that there was time for
  1   a set-up failed, no media came or it stopped, or the probe could not start; the table or the log says why
  2   wrong command line

Loss alone does not change the code: read it from the table or with --json. docs/probe.md describes every figure.";

const LISTEN_EXIT_CODES: &str = "Exit codes:
  0   every track of SOURCE was heard, and is what SOURCE says
  1   nothing came, or something else, or listening could not begin; the report or the log says why
  2   wrong command line

Loss alone does not change the code. docs/operations.md describes every figure.";

const USER_HELP: &str = "Exit codes:
  0   done
  1   the file can not be read or written, or the password is none; it is as it was
  2   wrong command line

A program that serves looks at the file each second. docs/security.md describes logins.";

const TOP_EXIT_CODES: &str = "Exit codes:
  0   left by q, Esc, Ctrl-C or a signal; with --once, or where stdout is no terminal: it was printed
  1   the terminal, a file or stdout can not be used; with --once: nothing was answered; the last line on stderr says why
  2   wrong command line

The token is in a file or in MIRRORBALL_TOKEN, never on the command line. docs/status-page.md describes keys and tables.";

const CHECK_EXIT_CODES: &str = "Exit codes:
  0   nothing is in the way: every row is ok or a note; with --plan, the config is right; with --explain, there is such a key
  1   the output can not be written; the last line of the log says why
  2   wrong command line, or no such key
  3   it would serve, but worse than it could: a row is warn
  4   it would not start, or a channel would not be received, or not be recorded: a row is fail
  78  wrong config; every error is told with its line

docs/operations.md describes every row.";

const EXIT_CODES: &str = "Exit codes:
  0   ended as asked: a check that finds nothing in the way, a stop by SIGINT or SIGTERM
  1   could not start or go on; the last line of the log says why
  2   wrong command line
  3   check: it would serve, but worse than it could
  4   check: it would not start, or a channel would not be received, or not be recorded
  78  wrong config; every error is printed with its file and line";

/// Reflects IP multicast media to RTSP viewers, bit-exact.
#[derive(Debug, Parser)]
#[command(name = "mirrorball", version = release::FULL, after_help = EXIT_CODES, propagate_version = true)]
pub struct Cli {
    /// What to log to stderr, as `LEVEL` or `MODULE=LEVEL,…`; levels are error, warn, info, debug and trace. Without
    /// it RUST_LOG says so, or it is info.
    #[arg(long, global = true, value_name = "FILTER", value_parser = LogFilter::parse)]
    pub log: Option<LogFilter>,
    /// How lines of the log look; without it, as `log.format` of the config says, or auto.
    #[arg(long, global = true, value_enum, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the channels of a config until SIGINT or SIGTERM.
    #[command(after_help = EXIT_CODES)]
    Serve(ConfigArgs),
    /// Say whether this machine can do what a config wants, or list all errors of the config.
    #[command(after_help = CHECK_EXIT_CODES)]
    Check(CheckArgs),
    /// Send a test programme by multicast on this machine and serve it; needs no config and no network.
    #[command(after_help = EXIT_CODES)]
    Demo(DemoArgs),
    /// Load an RTSP server with subscribers, and measure loss, delay and set-up time.
    #[command(after_help = PROBE_EXIT_CODES)]
    Probe(ProbeArgs),
    /// Join the groups of a source for some seconds, and say what comes.
    #[command(after_help = LISTEN_EXIT_CODES)]
    Listen(ListenArgs),
    /// Show channels, sessions and limits of a program that runs, live in the terminal.
    #[command(after_help = TOP_EXIT_CODES)]
    Top(TopArgs),
    /// Say who may log in, in a file that holds no password.
    #[command(subcommand, after_help = USER_HELP)]
    User(UserCommand),
    /// Write the man pages into a directory, for packages.
    #[command(hide = true)]
    Man(ManArgs),
    /// Print what a shell completes by, for packages.
    #[command(hide = true)]
    Completions(CompletionsArgs),
}

/// What to do with users.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Add a user, or give one a new password: typed at a prompt, or the first line on stdin.
    #[command(after_help = USER_HELP)]
    Add(UserAdd),
    /// Remove a user.
    #[command(after_help = USER_HELP)]
    Remove(UserRemove),
    /// List the users and what they may watch.
    #[command(after_help = USER_HELP)]
    List(UserFile),
}

/// Who is added.
#[derive(Debug, Args)]
pub struct UserAdd {
    /// The name to log in by.
    #[arg(value_name = "NAME", value_parser = user_name)]
    pub name: String,
    /// What the user may watch, as names with commas between them, or * for all; without it a new user may watch all, and
    /// another one what it could.
    #[arg(long, value_name = "CHANNELS", value_parser = Scope::parse)]
    pub channels: Option<Scope>,
    /// The realm of a new file, which players show as they ask for the password; it can not be changed.
    #[arg(long, value_name = "REALM")]
    pub realm: Option<String>,
    /// Where.
    #[command(flatten)]
    pub at: UserFile,
}

/// Who is removed.
#[derive(Debug, Args)]
pub struct UserRemove {
    /// The user's name.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Where from.
    #[command(flatten)]
    pub at: UserFile,
}

/// Which file of users.
#[derive(Debug, Args)]
pub struct UserFile {
    /// The file of users, which `access.users` of the config names.
    #[arg(long, value_name = "FILE")]
    pub file: PathBuf,
}

fn user_name(typed: &str) -> Result<String, String> {
    check_name(typed).map(|()| typed.to_owned())
}

/// Which config.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// The config, as docs/configuration.md describes it.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

/// What to check, and how it is told.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The config, as docs/configuration.md describes it.
    #[arg(long, value_name = "FILE", required_unless_present = "explain")]
    pub config: Option<PathBuf>,
    /// Print JSON in place of the table.
    #[arg(long)]
    pub json: bool,
    /// Say what the config would do, and look at nothing else.
    #[arg(long, conflicts_with = "json")]
    pub plan: bool,
    /// First make indexes of recordings again that are damaged; not while a program records there.
    #[arg(long, conflicts_with = "plan")]
    pub rebuild: bool,
    /// Say what a key of a config is, or a section; needs no config.
    #[arg(long, value_name = "KEY", conflicts_with_all = ["config", "json", "plan", "rebuild"])]
    pub explain: Option<String>,
}

/// Where the demo is reached.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Where to accept RTSP connections.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8554")]
    pub listen: SocketAddr,
    /// Where to serve /metrics, /live and /ready.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9469")]
    pub admin: SocketAddr,
}

/// Which stream to probe, and how.
#[derive(Debug, Args)]
pub struct ProbeArgs {
    /// The stream, as rtsp://HOST:PORT/PATH; without a port it is 554.
    #[arg(value_name = "URL")]
    pub url: ProbeUrl,
    /// How many subscribers.
    #[arg(long, short = 'n', value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub subscribers: u32,
    /// How media comes.
    #[arg(long, value_enum, default_value_t = Delivery::Udp)]
    pub transport: Delivery,
    /// Which tracks each subscriber sets up.
    #[arg(long, value_enum, default_value_t = Tracks::All)]
    pub tracks: Tracks,
    /// How long to play once the last subscriber is set up.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=604_800))]
    pub duration: u64,
    /// Set-ups to begin a second; without it, 64 at once, each as soon as another is done.
    #[arg(long, value_name = "PER_SECOND", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub rate: Option<u32>,
    /// How long one set-up may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub setup_timeout: u64,
    /// What of it to play, as npt=12.5-60 or clock=20261128T073719Z-, of what is recorded or stored.
    #[arg(long, value_name = "RANGE", value_parser = probe::range)]
    pub range: Option<String>,
    /// How fast to show it, such as 4, or -2 for backwards.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = probe::scale)]
    pub scale: Option<String>,
    /// How fast to deliver it, such as 2.
    #[arg(long, value_name = "N", value_parser = probe::speed)]
    pub speed: Option<String>,
    /// Pause it for so long once it has played for a second, which the duration is longer by.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub pause: Option<u64>,
    /// Print JSON in place of the table.
    #[arg(long)]
    pub json: bool,
}

impl ProbeArgs {
    /// What is to be done.
    pub fn plan(&self) -> Plan {
        Plan {
            url: self.url.clone(),
            subscribers: self.subscribers,
            delivery: self.transport,
            tracks: self.tracks,
            duration: Duration::from_secs(self.duration + self.pause.unwrap_or(0)),
            rate: self.rate,
            setup_timeout: Duration::from_secs(self.setup_timeout),
            course: Course {
                range: self.range.clone(),
                scale: self.scale.clone(),
                speed: self.speed.clone(),
                pause: self.pause.map(Duration::from_secs),
            },
        }
    }
}

/// What to listen to.
#[derive(Debug, Args)]
pub struct ListenArgs {
    /// The source, as a channel of the config has it: rtp://GROUP:PORT, udp:// for MPEG-TS without RTP, auto:// for either,
    /// with SENDER@ or INTERFACE@ in front of the group; or an SDP file.
    #[arg(value_name = "SOURCE")]
    pub source: ListenSource,
    /// For how long.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub seconds: u64,
    /// Where to join, by name or address; without it, where the kernel's route to the group leads.
    #[arg(long, value_name = "NAME|ADDRESS")]
    pub interface: Option<String>,
    /// Print JSON in place of text.
    #[arg(long)]
    pub json: bool,
}

impl ListenArgs {
    /// What is to be done.
    ///
    /// # Errors
    /// A wrong command line.
    pub fn plan(&self) -> Result<listen::Plan, clap::Error> {
        let length = Duration::from_secs(self.seconds);
        listen::Plan::new(self.source.clone(), self.interface.as_deref(), length)
            .map_err(|wrong| Cli::command().error(ErrorKind::ValueValidation, wrong))
    }
}

/// Whose view is shown, and how.
#[derive(Debug, Args)]
pub struct TopArgs {
    /// Where the program is asked: `[admin] listen` of its config.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9469")]
    pub url: Endpoint,
    /// A file that holds a token of `[admin] tokens`; without it, MIRRORBALL_TOKEN of the environment.
    #[arg(long, value_name = "FILE")]
    pub token: Option<PathBuf>,
    /// A file of certificates (PEM) that https is believed by; without it, those that this machine believes.
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Print it as text and end, as is done where stdout is no terminal.
    #[arg(long)]
    pub once: bool,
}

/// Where man pages go.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// The directory, which is made where it is not there.
    #[arg(value_name = "DIRECTORY")]
    pub directory: PathBuf,
}

/// Which shell.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_definitions_agree_with_each_other() {
        Cli::command().debug_assert();
    }

    #[test]
    fn serve_and_check_need_a_config() {
        let cli = Cli::try_parse_from(["mirrorball", "check", "--config", "a.toml"]).expect("a full command");
        let Command::Check(args) = cli.command else { panic!("not the check") };
        assert_eq!(args.config.as_deref(), Some(Path::new("a.toml")));
        let cli =
            Cli::try_parse_from(["mirrorball", "check", "--explain", "listen"]).expect("a full command");
        assert!(matches!(cli.command, Command::Check(CheckArgs { config: None, explain: Some(_), .. })));
        for wrong in
            [&["check"][..], &["check", "--config", "a.toml", "--explain", "listen"], &["check", "--json"]]
        {
            let error = Cli::try_parse_from(["mirrorball"].iter().chain(wrong)).expect_err("wrong");
            assert_eq!(error.exit_code(), i32::from(EXIT_USAGE), "{wrong:?}");
        }
        let error = Cli::try_parse_from(["mirrorball", "serve"]).expect_err("no config");
        assert_eq!(error.kind(), ErrorKind::MissingRequiredArgument);
        assert_eq!(error.exit_code(), i32::from(EXIT_USAGE));
    }

    #[test]
    fn the_demo_needs_nothing() {
        let cli = Cli::try_parse_from(["mirrorball", "demo", "--log", "debug"]).expect("a full command");
        let Command::Demo(demo) = cli.command else { panic!("not the demo") };
        assert_eq!((demo.listen.port(), demo.admin.port()), (8554, 9469));
        assert_eq!(cli.log.as_ref().map(LogFilter::as_str), Some("debug"));
    }

    #[test]
    fn a_filter_that_means_nothing_is_a_wrong_command_line() {
        for typed in ["", "verbose", "mirrorball=loud"] {
            let error = Cli::try_parse_from(["mirrorball", "demo", "--log", typed]).expect_err(typed);
            assert_eq!(error.exit_code(), i32::from(EXIT_USAGE));
            let text = error.to_string();
            assert!(
                text.contains(&format!("'{typed}' for '--log <FILTER>'")) && text.contains("error, warn"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_probe_needs_a_url_that_can_be_probed() {
        let typed =
            ["mirrorball", "probe", "rtsp://edge/news", "-n", "50", "--transport", "tcp", "--rate", "9"];
        let cli = Cli::try_parse_from(typed).expect("a full command");
        let Command::Probe(args) = cli.command else { panic!("not the probe") };
        let plan = args.plan();
        assert_eq!((plan.subscribers, plan.delivery, plan.rate), (50, Delivery::Tcp, Some(9)));
        assert_eq!(plan.duration, Duration::from_secs(10));
        let error = Cli::try_parse_from(["mirrorball", "probe", "http://edge/news"]).expect_err("not RTSP");
        assert_eq!(error.exit_code(), i32::from(EXIT_USAGE));
        assert!(error.to_string().contains("write rtsp://host:port/path"), "{error}");
    }

    #[test]
    fn a_user_is_named_with_a_file_and_never_with_a_password() {
        let typed = ["mirrorball", "user", "add", "anna", "--file", "users", "--channels", "news,uk/sport"];
        let cli = Cli::try_parse_from(typed).expect("a full command");
        let Command::User(UserCommand::Add(args)) = cli.command else { panic!("not add") };
        assert_eq!((args.name.as_str(), args.realm), ("anna", None));
        assert_eq!(args.channels.map(|channels| channels.to_string()).as_deref(), Some("news,uk/sport"));
        for wrong in [
            &["add", "anna"] as &[&str],
            &["add", "an:na", "--file", "users"],
            &["add", "anna", "--file", "users", "--channels", "news, sport"],
            &["add", "anna", "--file", "users", "--password", "open sesame"],
            &["remove", "--file", "users"],
            &["list"],
        ] {
            let typed = ["mirrorball", "user"].iter().chain(wrong);
            let error = Cli::try_parse_from(typed).expect_err("wrong");
            assert_eq!(error.exit_code(), i32::from(EXIT_USAGE), "{wrong:?}");
        }
    }

    #[test]
    fn a_source_is_listened_to_on_one_interface() {
        let typed = ["mirrorball", "listen", "udp://eth1@239.9.9.1:5004", "--seconds", "2", "--json"];
        let cli = Cli::try_parse_from(typed).expect("a full command");
        let Command::Listen(args) = cli.command else { panic!("not listen") };
        assert!(args.json);
        let plan = args.plan().expect("a plan");
        assert_eq!(plan.interface.map(|named| named.to_string()).as_deref(), Some("eth1"));
        assert_eq!(plan.length, Duration::from_secs(2));
        let elsewhere = ListenArgs { interface: Some("eth2".into()), ..args };
        let error = elsewhere.plan().expect_err("two interfaces");
        assert_eq!(error.exit_code(), i32::from(EXIT_USAGE));
        for wrong in [
            &["rtp://255.0.0.1:5004"] as &[&str],
            &["239.9.9.1:5004"],
            &["rtp://239.9.9.1:5004", "--seconds", "0"],
            &["rtp://239.9.9.1:5004", "--seconds", "3601"],
            &[],
        ] {
            let error = Cli::try_parse_from(["mirrorball", "listen"].iter().chain(wrong)).expect_err("wrong");
            assert_eq!(error.exit_code(), i32::from(EXIT_USAGE), "{wrong:?}");
        }
    }

    #[test]
    fn the_version_names_the_revision() {
        let version = Cli::command().render_version();
        assert_eq!(version, format!("mirrorball {} ({})\n", release::VERSION, release::REVISION));
        assert!(!release::REVISION.is_empty());
    }

    #[test]
    fn the_help_names_every_exit_code() {
        let help = Cli::command().render_help().to_string();
        for code in [EXIT_OK, EXIT_FAILURE, EXIT_USAGE, EXIT_WORSE, EXIT_UNFIT, EXIT_CONFIG] {
            assert!(help.contains(&format!("\n  {code} ")), "{code} in {help}");
        }
    }
}
