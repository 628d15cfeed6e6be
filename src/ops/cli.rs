//! The command line, as typed, and the exit codes. Knows no config and runs nothing.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use tracing_subscriber::filter::{EnvFilter, ParseError};

/// The program ended as it was asked to.
pub const EXIT_OK: u8 = 0;
/// The program could not start or go on: an address in use, no permission, a failure of the system.
pub const EXIT_FAILURE: u8 = 1;
/// The command line was wrong. The code is clap's.
pub const EXIT_USAGE: u8 = 2;
/// The config was wrong: EX_CONFIG of BSD's sysexits.
pub const EXIT_CONFIG: u8 = 78;

const EXIT_CODES: &str = "Exit codes:
  0   ended as asked: a check without errors, a stop by SIGINT or SIGTERM
  1   could not start or go on; the last line of the log says why
  2   wrong command line
  78  wrong config; every error is printed with its file and line";

/// Reflects IP multicast media to RTSP viewers, bit-exact.
#[derive(Debug, Parser)]
#[command(name = "mirrorball", version, after_help = EXIT_CODES, propagate_version = true)]
pub struct Cli {
    /// What to log to stderr, as `LEVEL` or `MODULE=LEVEL,…`; levels are error, warn, info, debug and trace.
    #[arg(long, global = true, env = "RUST_LOG", value_name = "FILTER", default_value = "info", value_parser = log_filter)]
    pub log: String,
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
    /// Say what a config would do, or list all its errors.
    #[command(after_help = EXIT_CODES)]
    Check(ConfigArgs),
    /// Send a test programme to a multicast group on this machine and serve it; needs no config and no network.
    #[command(after_help = EXIT_CODES)]
    Demo(DemoArgs),
}

/// Which config.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// The config, as docs/configuration.md describes it.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
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

/// Passes a filter that the log will understand, so that a slip is a usage error and not a silent log.
fn log_filter(typed: &str) -> Result<String, ParseError> {
    EnvFilter::builder().parse(typed).map(|_| typed.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    #[test]
    fn the_definitions_agree_with_each_other() {
        Cli::command().debug_assert();
    }

    #[test]
    fn serve_and_check_need_a_config() {
        let cli = Cli::try_parse_from(["mirrorball", "check", "--config", "a.toml"]).expect("a full command");
        assert!(matches!(cli.command, Command::Check(ConfigArgs { config }) if config.ends_with("a.toml")));
        let error = Cli::try_parse_from(["mirrorball", "serve"]).expect_err("no config");
        assert_eq!(error.kind(), ErrorKind::MissingRequiredArgument);
        assert_eq!(error.exit_code(), i32::from(EXIT_USAGE));
    }

    #[test]
    fn the_demo_needs_nothing() {
        let cli = Cli::try_parse_from(["mirrorball", "demo", "--log", "debug"]).expect("a full command");
        let Command::Demo(demo) = cli.command else { panic!("not the demo") };
        assert_eq!((demo.listen.port(), demo.admin.port()), (8554, 9469));
        assert_eq!(cli.log, "debug");
    }

    #[test]
    fn the_help_names_every_exit_code() {
        let help = Cli::command().render_help().to_string();
        for code in [EXIT_OK, EXIT_FAILURE, EXIT_USAGE, EXIT_CONFIG] {
            assert!(help.contains(&format!("\n  {code} ")), "{code} in {help}");
        }
    }
}
