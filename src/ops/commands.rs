//! What each command does. Returns exit codes; what went wrong is on stderr by then.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use crossbeam_channel::RecvTimeoutError;
use tracing_subscriber::filter::EnvFilter;

use super::appliance::Appliance;
use super::check::check;
use super::cli::{Cli, Command, DemoArgs, EXIT_CONFIG, EXIT_FAILURE, EXIT_OK, ProbeArgs};
use super::config::Config;
use super::demo::{DemoError, Demonstration, Refresh};
use super::probe;
use super::signals::stop_requests;

/// Runs the command and returns its exit code.
pub fn run(cli: &Cli) -> u8 {
    let filter = EnvFilter::builder().parse_lossy(&cli.log);
    let ansi = io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(ansi).init();
    match &cli.command {
        Command::Serve(args) => serve(&args.config),
        Command::Check(args) => print_plan(&args.config),
        Command::Demo(args) => demo(args),
        Command::Probe(args) => run_probe(args),
    }
}

fn serve(file: &Path) -> u8 {
    let config = match Config::load(file) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{error}");
            return EXIT_CONFIG;
        }
    };
    let running =
        stop_requests().map_err(|error| format!("signals can not be handled: {error}")).and_then(|stop| {
            let appliance = Appliance::start(&config).map_err(|error| error.to_string())?;
            Ok((stop, appliance))
        });
    match running {
        Ok((stop, appliance)) => {
            // An error would mean that no signal can come any more; there is nothing to wait for then.
            let _ = stop.recv();
            tracing::info!("stopping: viewers are told, groups are left");
            appliance.stop();
            tracing::info!("stopped");
            EXIT_OK
        }
        Err(error) => failed(&error),
    }
}

fn print_plan(file: &Path) -> u8 {
    match check(file) {
        Ok(plan) => {
            // A reader that has gone wants no more of it.
            let _ = write!(io::stdout(), "{plan}");
            EXIT_OK
        }
        Err(error) => {
            eprintln!("{error}");
            EXIT_CONFIG
        }
    }
}

fn demo(args: &DemoArgs) -> u8 {
    let stop = match stop_requests() {
        Ok(stop) => stop,
        Err(error) => return failed(&format!("signals can not be handled: {error}")),
    };
    let mut demonstration = match Demonstration::start(args.listen, args.admin) {
        Ok(demonstration) => demonstration,
        Err(DemoError::Start(error)) => {
            return failed(&format!("{error}; choose others with --listen and --admin"));
        }
        Err(error) => return failed(&error.to_string()),
    };
    let mut out = io::stdout();
    let refresh = Refresh::for_output(out.is_terminal());
    let _ = write!(out, "{}", demonstration.banner());
    while let Err(RecvTimeoutError::Timeout) = stop.recv_timeout(refresh.interval()) {
        let _ = write!(out, "{}", refresh.frame(&demonstration.status_line())).and_then(|()| out.flush());
    }
    let _ = write!(out, "{}", refresh.end());
    demonstration.stop();
    EXIT_OK
}

fn run_probe(args: &ProbeArgs) -> u8 {
    let stop = match stop_requests() {
        Ok(stop) => stop,
        Err(error) => return failed(&format!("signals can not be handled: {error}")),
    };
    // Progress goes where the log goes: the table or JSON alone is the output.
    let mut progress = io::stderr();
    let refresh = Refresh::for_output(progress.is_terminal());
    let lines_between = refresh.interval().as_secs();
    let (mut since_line, mut end) = (0, "");
    let result = probe::run(args.plan(), &stop, |line, is_news| {
        since_line = if is_news { 0 } else { since_line + 1 };
        if since_line % lines_between == 0 {
            let _ = write!(progress, "{}", refresh.frame(line)).and_then(|()| progress.flush());
            end = refresh.end();
        }
    });
    eprint!("{end}");
    let report = match result {
        Ok(report) => report,
        Err(error) => {
            eprintln!("{error}");
            return EXIT_FAILURE;
        }
    };
    let _ = match args.json {
        true => writeln!(io::stdout(), "{:#}", report.to_json()),
        false => write!(io::stdout(), "{report}"),
    };
    if report.all_served() { EXIT_OK } else { EXIT_FAILURE }
}

fn failed(error: &str) -> u8 {
    tracing::error!("{error}");
    EXIT_FAILURE
}
