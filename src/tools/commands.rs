//! What each command does. Returns exit codes; what went wrong is on stderr by then.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::Path;
use std::process;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, select};
use serde_json::{Value, json};

use super::check;
use super::cli::{
    CheckArgs, Cli, Command, DemoArgs, EXIT_CONFIG, EXIT_FAILURE, EXIT_OK, EXIT_USAGE, ListenArgs, ManArgs,
    ProbeArgs, TopArgs, UserCommand,
};
use super::demo::{DemoError, Demonstration};
use super::signals::{Requests, Wish, requests, stop_requests};
use super::{listen, manual, probe, top, users};
use crate::event::clock;
use crate::ops::config::{Config, ConfigError, explain as explain_key};
use crate::ops::log;
use crate::ops::log::Refresh;
use crate::ops::log::log_filter::LogFilter;
use crate::ops::log::log_format::{LogFormat, wants_colours};
use crate::ops::log::outlet::{Outlet, Unlocked};
use crate::ops::machine::{open_files, socket_buffers};
use crate::ops::watching::watch::{Judge, LOOK, Watch};
use crate::ops::{Appliance, Heir};

/// Where to look when a thread can not be started.
const THREADS: &str = "(see the limits on threads and open files: ulimit -u, ulimit -n)";
/// Notes on the config that the log has; there may be one for each of thousands of channels.
const TOLD: usize = 20;
/// What a terminal has to show the demo's first and last words.
const SCREEN_PATIENCE: Duration = Duration::from_millis(200);

/// Runs the command that was typed and returns its exit code.
pub fn run(typed: Result<Cli, clap::Error>) -> u8 {
    let cli = match typed {
        Ok(cli) => cli,
        Err(other) => return explain(&other),
    };
    let (filter, wrong) = LogFilter::choose(cli.log.clone());
    if let Err(error) = log::start(filter.as_str(), cli.log_format.unwrap_or_default()) {
        // Where even this can not be written, the code alone tells.
        let _ = writeln!(io::stderr(), "the log can not start: {error} {THREADS}");
        return EXIT_FAILURE;
    }
    let _last_words = log::LastWords;
    if let Some(wrong) = wrong {
        tracing::warn!("{wrong}");
    }
    let result = match &cli.command {
        Command::Serve(args) => serve(&args.config, cli.log_format),
        Command::Check(args) => run_check(args),
        Command::Demo(args) => demo(args),
        Command::Probe(args) => run_probe(args),
        Command::Listen(args) => run_listen(args),
        Command::Top(args) => run_top(args),
        Command::User(command) => change_users(command),
        Command::Man(args) => write_pages(args),
        Command::Completions(args) => print(&manual::completions(args.shell)),
    };
    result.err().unwrap_or(EXIT_OK)
}

/// Help, the version, or what was wrong with the command line.
fn explain(other: &clap::Error) -> u8 {
    let code = u8::try_from(other.exit_code()).unwrap_or(EXIT_FAILURE);
    match other.print().and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe && code == EXIT_OK => EXIT_FAILURE,
        _ => code,
    }
}

fn serve(file: &Path, log_format: Option<LogFormat>) -> Result<(), u8> {
    let asked = signals(requests())?;
    let heir = Heir::of_environment().map_err(|error| failed(&error.to_string()))?;
    let config = Config::load(file).map_err(|error| wrong(&error))?;
    log_format.into_iter().for_each(log::insist_on);
    log::write_as(config.log.format);
    tell_of_what_is_worse(&config, file);
    match open_files::make_room(&config) {
        Ok(None) => {}
        Ok(Some(shortage)) => tracing::warn!("{shortage}"),
        Err(error) => tracing::warn!(%error, "the limit on open files can not be read"),
    }
    let appliance = Appliance::start_as(&config, heir).map_err(|error| failed(&error.to_string()))?;
    let watch = match Watch::start(appliance.source()) {
        Ok(watch) => watch,
        Err(error) => {
            appliance.stop();
            return Err(failed(&format!("the watch can not start: {error} {THREADS}")));
        }
    };
    serve_until_asked(&appliance, &watch, &asked);
    tracing::info!("stopping: viewers are told, groups are left");
    watch.stop();
    appliance.stop();
    tracing::info!("stopped");
    Ok(())
}

/// Until somebody asks it to stop.
fn serve_until_asked(appliance: &Appliance, watch: &Watch, asked: &Requests) {
    let mut judge = Judge::default();
    loop {
        select! {
            // That none can come any more is as good.
            recv(asked.stop) -> _ => return,
            recv(asked.wishes) -> wish => match wish {
                Ok(Wish::Reload) => appliance.reload("SIGHUP"),
                Ok(Wish::Drain) => {
                    appliance.engine().drain.begin(None, "SIGUSR1", clock::now());
                }
                Ok(Wish::Upgrade) => appliance.upgrade("SIGUSR2"),
                Err(_) => return,
            },
            recv(appliance.handed_over()) -> _ => {
                log::flush();
                // Whatever is taken apart here is another's by now.
                process::exit(i32::from(EXIT_OK));
            },
            default(LOOK) => {}
        }
        if let Some(why) = watch.verdict(&mut judge, clock::now()) {
            failed(&format!("{why}: the program ends, to be started again"));
            log::flush();
            // Nobody can wait for what stands still.
            process::exit(i32::from(EXIT_FAILURE));
        }
        if appliance.engine().drain.is_over(clock::now()) {
            return;
        }
    }
}

/// What works, but worse than it could: of the config, and of the machine.
fn tell_of_what_is_worse(config: &Config, file: &Path) {
    for warning in config.warnings.iter().take(TOLD) {
        tracing::warn!("{}:{warning}", file.display());
    }
    if let Some(more) = config.warnings.len().checked_sub(TOLD).filter(|more| *more > 0) {
        tracing::warn!("{more} notes more on the config: `mirrorball check` tells all");
    }
    match socket_buffers::capped() {
        Ok(capped) => capped.iter().for_each(|capped| tracing::warn!("{capped}")),
        Err(error) => tracing::warn!(%error, "what buffers sockets get can not be found out"),
    }
}

fn run_check(args: &CheckArgs) -> Result<(), u8> {
    if let Some(key) = &args.explain {
        let said = explain_key(key).map_err(|wrong| {
            log::say_errors(&wrong);
            EXIT_USAGE
        })?;
        return print(&said);
    }
    // The command line has one, where no key is asked for.
    let file = args.config.as_deref().unwrap_or(Path::new(""));
    if args.plan {
        return print(&check::plan(file).map_err(|error| wrong(&error))?.to_string());
    }
    let report = check::check(file, args.rebuild).map_err(|error| match args.json {
        true => print_json(&check::without_report(file, &error)).err().unwrap_or(EXIT_CONFIG),
        false => wrong(&error),
    })?;
    if args.json { print_json(&report.to_json()) } else { print(&report.to_string()) }?;
    match report.exit_code() {
        EXIT_OK => Ok(()),
        code => Err(code),
    }
}

fn demo(args: &DemoArgs) -> Result<(), u8> {
    let stop = signals(stop_requests())?;
    let no_screen = |error| failed(&format!("the screen's thread can not start: {error} {THREADS}"));
    let screen = Outlet::start("screen", Unlocked(io::stdout()), |_| ()).map_err(no_screen)?;
    let mut demonstration = Demonstration::start(args.listen, args.admin).map_err(|error| match error {
        DemoError::Start(error) => failed(&format!("{error}; choose others with --listen and --admin")),
        error => failed(&error.to_string()),
    })?;
    let refresh = Refresh::for_output(io::stdout().is_terminal());
    screen.say(demonstration.banner().as_bytes());
    screen.flush(SCREEN_PATIENCE);
    while !screen.lost().is_closed()
        && let Err(RecvTimeoutError::Timeout) = stop.recv_timeout(refresh.interval())
    {
        screen.say(refresh.frame(&demonstration.status_line()).as_bytes());
        log::take_row(refresh);
    }
    screen.say(refresh.end().as_bytes());
    demonstration.stop();
    screen.flush(SCREEN_PATIENCE);
    Ok(())
}

fn run_probe(args: &ProbeArgs) -> Result<(), u8> {
    let stop = signals(stop_requests())?;
    // Progress goes where the log goes: the table or JSON alone is the output.
    let refresh = Refresh::for_output(io::stderr().is_terminal());
    let lines_between = refresh.interval().as_secs();
    let (mut since_line, mut end) = (0, "");
    let result = probe::run(args.plan(), &stop, |line, is_news| {
        since_line = if is_news { 0 } else { since_line + 1 };
        if since_line % lines_between == 0 {
            end = log::say_progress(line, refresh);
        }
    });
    log::say(end);
    log::flush();
    let report = result.map_err(|error| {
        log::say_errors(&error.to_string());
        without_report(args.json, &error.to_string())
    })?;
    if args.json { print_json(&report.to_json()) } else { print(&report.to_string()) }?;
    if report.all_served() { Ok(()) } else { Err(EXIT_FAILURE) }
}

fn run_listen(args: &ListenArgs) -> Result<(), u8> {
    let plan = args.plan().map_err(|wrong| explain(&wrong))?;
    let stop = signals(stop_requests())?;
    let mut printed = Ok(());
    let result = listen::run(&plan, &stop, |joined| {
        if !args.json && printed.is_ok() {
            printed = print(joined);
        }
    });
    let report = result.map_err(|error| {
        failed(&error);
        without_report(args.json, &error)
    })?;
    printed?;
    if args.json { print_json(&report.to_json()) } else { print(&report.to_string()) }?;
    if report.is_as_said() { Ok(()) } else { Err(EXIT_FAILURE) }
}

fn run_top(args: &TopArgs) -> Result<(), u8> {
    let client = top::Client::new(&args.url, args.token.as_deref(), args.ca.as_deref());
    let client = client.map_err(|error| failed(&error))?;
    if args.once || !io::stdout().is_terminal() {
        return print(&top::once(&client).map_err(|error| failed(&error))?);
    }
    top::run(client, wants_colours()).map_err(|error| failed(&error))
}

fn change_users(command: &UserCommand) -> Result<(), u8> {
    let said = users::run(command).map_err(|error| {
        log::say_errors(&error);
        EXIT_FAILURE
    })?;
    print(&said)
}

fn signals<T>(handled: io::Result<T>) -> Result<T, u8> {
    handled.map_err(|error| failed(&format!("signals can not be handled: {error} {THREADS}")))
}

fn write_pages(args: &ManArgs) -> Result<(), u8> {
    let no_pages = |error| failed(&format!("{}: {error}", args.directory.display()));
    manual::write_pages(&args.directory).map_err(no_pages)
}

/// There is nothing to report: a program is told why by an object of its own. Returns the exit code.
fn without_report(json: bool, error: &str) -> u8 {
    if json { print_json(&json!({ "error": error })).err().unwrap_or(EXIT_FAILURE) } else { EXIT_FAILURE }
}

fn print_json(object: &Value) -> Result<(), u8> {
    print(&format!("{object:#}\n"))
}

/// To stdout. Who asked waits for it; a reader that has gone wants no more of it.
fn print(text: &str) -> Result<(), u8> {
    let mut out = io::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(failed(&format!("stdout can not be written: {error}")))
        }
        _ => Ok(()),
    }
}

fn wrong(error: &ConfigError) -> u8 {
    log::say_errors(&error.to_string());
    EXIT_CONFIG
}

/// What the program ends with is told also where the log is to hold nothing.
fn failed(error: &str) -> u8 {
    if tracing::enabled!(tracing::Level::ERROR) {
        tracing::error!("{error}");
    } else {
        log::say(&format!("{error}\n"));
    }
    EXIT_FAILURE
}
