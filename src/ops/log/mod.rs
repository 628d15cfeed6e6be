//! The log: to stderr, by a thread of its own. Where it can not be written, lines are lost and counted, and
//! nothing else changes. Panics are told in it.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::panic;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use tracing::{Level, Metadata};
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

pub mod log_filter;
pub mod log_format;
pub mod outlet;
mod refresh;

use log_format::{Lines, LogFormat, Shape};
use outlet::{Outlet, PIECES, REASONS, Unlocked};
pub use refresh::Refresh;

/// What a reader has, at the program's end, to take what is left.
const PATIENCE: Duration = Duration::from_millis(500);
/// What is said at a time where there is much to say.
const PIECE_BYTES: usize = 8 * 1024;
/// What is told of a panic: its words and its backtrace. A line that the outlet cuts off would be no JSON.
const PANIC_CHARACTERS: usize = 1000;
const BACKTRACE_CHARACTERS: usize = 7000;

static LOG: OnceLock<Outlet> = OnceLock::new();
/// How lines are to look whatever a config says.
static SAID: OnceLock<LogFormat> = OnceLock::new();
static PANICS: AtomicU64 = AtomicU64::new(0);
/// On the terminal that the log goes to stands a line that will be rewritten, and has no end yet.
static ROW_IS_TAKEN: AtomicBool = AtomicBool::new(false);
/// What takes it away, so that the next line has the row to itself.
const FREE_ROW: &[u8] = b"\r\x1b[K";

/// Starts the log, once.
///
/// # Errors
/// Its thread can not be started.
pub fn start(filter: &str, format: LogFormat) -> io::Result<()> {
    write_as(format);
    start_to(Unlocked(io::stderr()), filter, log_format::has_colours())
}

/// Writes lines like this from here on, whatever a config says.
pub fn insist_on(format: LogFormat) {
    let _ = SAID.set(format); // the command line says it once
    write_as(format);
}

/// Writes lines like this from here on, unless something else was insisted on.
pub fn write_as(format: LogFormat) {
    let format = SAID.get().copied().unwrap_or(format);
    log_format::take_on(Shape::of(format, log_format::is_journal()));
}

fn start_to(to: impl Write + Send + 'static, filter: &str, ansi: bool) -> io::Result<()> {
    let outlet = Outlet::start("log", to, |lines| {
        tracing::warn!(lines, "lines of the log were lost; mirrorball_log_lines_dropped_total says why");
    })?;
    let said_by = LOG.get_or_init(|| outlet);
    let filter = EnvFilter::builder().parse_lossy(filter);
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(ansi).with_writer(To(said_by));
    // An event that can not be put into words would be told on stderr, past the outlet.
    let log = log.log_internal_errors(false).event_format(Lines::new());
    let _ = log.try_init();
    panic::set_hook(Box::new(|about| {
        PANICS.fetch_add(1, Relaxed);
        let thread = thread::current();
        let place = about.location().map(ToString::to_string).unwrap_or_default();
        let thread = thread.name().unwrap_or("unnamed");
        let said = cut(message(about.payload()), PANIC_CHARACTERS);
        tracing::error!(thread, place, said, "a panic, which is a bug");
        // Captured where RUST_BACKTRACE asks for it.
        let backtrace = Backtrace::capture();
        if backtrace.status() == BacktraceStatus::Captured {
            tracing::error!("{}", cut(&backtrace.to_string(), BACKTRACE_CHARACTERS));
        }
    }));
    Ok(())
}

/// Says something beside the log, as it is: to stderr, in order with it.
pub fn say(text: &str) {
    if let Some(log) = LOG.get() {
        log.say(text.as_bytes());
    }
}

/// Says how far something is; returns what follows the last of it.
pub fn say_progress(line: &str, refresh: Refresh) -> &'static str {
    if log_format::shape() == Shape::Json {
        tracing::info!("{line}");
        return "";
    }
    say(&refresh.frame(line));
    take_row(refresh);
    refresh.end()
}

/// A line of progress was shown, which may be on the terminal that the log goes to.
pub fn take_row(refresh: Refresh) {
    let is_taken = refresh == Refresh::InPlace && io::stderr().is_terminal();
    ROW_IS_TAKEN.store(is_taken, Relaxed);
}

/// What is said where such a line may stand.
fn in_a_row_of_its_own(line: &[u8], is_taken: bool) -> Cow<'_, [u8]> {
    if is_taken { [FREE_ROW, line].concat().into() } else { line.into() }
}

/// Says what is wrong with what the program was given, a line each, however many: as it is for a person, else like any
/// other line. It is said by pieces that are not cut off, and no faster than they are taken.
pub fn say_errors(text: &str) {
    let as_it_is = log_format::shape() == Shape::Text || !tracing::enabled!(Level::ERROR);
    let mut piece = String::new();
    for line in text.lines() {
        if piece.len() + line.len() > PIECE_BYTES {
            say_piece(&piece, as_it_is);
            flush();
            piece.clear();
        }
        piece.push_str(line);
        piece.push('\n');
    }
    say_piece(&piece, as_it_is);
}

fn say_piece(piece: &str, as_it_is: bool) {
    if as_it_is {
        say(piece);
    } else {
        piece.lines().for_each(|line| tracing::error!("{line}"));
    }
}

/// Before the program's end: waits a moment until all is written.
pub fn flush() {
    if let Some(log) = LOG.get() {
        log.flush(PATIENCE);
    }
}

/// Does so when it is dropped, also by a panic.
pub struct LastWords;

impl Drop for LastWords {
    fn drop(&mut self) {
        flush();
    }
}

/// Lines that were lost, by reason.
pub fn lost() -> [(&'static str, u64); REASONS.len()] {
    LOG.get().map_or_else(|| REASONS.map(|reason| (reason, 0)), |log| log.lost().each())
}

/// Lines that wait to be written, and how many may.
pub fn waiting() -> (usize, usize) {
    (LOG.get().map_or(0, Outlet::waiting), PIECES)
}

/// Panics of any thread.
pub fn panics() -> u64 {
    PANICS.load(Relaxed)
}

fn message(payload: &dyn Any) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}

fn cut(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

/// Where the subscriber writes.
struct To(&'static Outlet);

impl<'w> MakeWriter<'w> for To {
    type Writer = Line;

    fn make_writer(&'w self) -> Line {
        Line { to: self.0, level: Level::INFO }
    }

    fn make_writer_for(&'w self, about: &Metadata<'_>) -> Line {
        Line { to: self.0, level: *about.level() }
    }
}

/// It writes each event as one piece.
struct Line {
    to: &'static Outlet,
    level: Level,
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match log_format::shape() {
            Shape::Journal => self.to.say(&log_format::with_priority(self.level, bytes)),
            Shape::Text | Shape::Json => {
                self.to.say(&in_a_row_of_its_own(bytes, ROW_IS_TAKEN.swap(false, Relaxed)));
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(all(test, not(model)))]
mod tests {
    use super::*;
    use crate::event::testing::{in_a_process_of_its_own, in_a_process_with_stderr};
    use std::fs::File;
    use std::io::{BufRead, BufReader};

    #[test]
    fn a_line_behind_one_that_is_rewritten_takes_its_place() {
        assert_eq!(*in_a_row_of_its_own(b"news\n", false), *b"news\n");
        assert_eq!(*in_a_row_of_its_own(b"news\n", true), *b"\r\x1b[Knews\n");
    }

    #[test]
    fn a_panic_is_one_line_with_thread_place_and_message_and_is_counted() {
        in_a_process_of_its_own(
            "ops::log::tests::a_panic_is_one_line_with_thread_place_and_message_and_is_counted",
            || {
                let (reader, writer) = io::pipe().expect("a pipe");
                start_to(Unlocked(writer), "info", false).expect("a thread");
                let fails = thread::Builder::new().name("fails".into());
                fails.spawn(|| panic!("no {}", "luck")).expect("a thread").join().expect_err("it fails");
                flush();
                let mut line = String::new();
                BufReader::new(reader).read_line(&mut line).expect("a line");
                for part in [
                    "ERROR",
                    "thread=\"fails\"",
                    "place=\"src/ops/log/mod.rs:",
                    "said=\"no luck\"",
                    "a panic, which is a bug",
                ] {
                    assert!(line.contains(part), "{part} is not in {line}");
                }
                assert_eq!(panics(), 1);
            },
        );
    }

    #[test]
    fn a_panic_is_no_second_one_where_stderr_takes_nothing() {
        let full = File::options().write(true).open("/dev/full").expect("a device that is always full");
        in_a_process_with_stderr(
            "ops::log::tests::a_panic_is_no_second_one_where_stderr_takes_nothing",
            full,
            || {
                start("info", LogFormat::Text).expect("a thread");
                for _ in 0..3 {
                    thread::spawn(|| panic!("unheard")).join().expect_err("it fails");
                }
                flush();
                assert_eq!(panics(), 3);
                let [backlog, no_space, closed, error] = lost().map(|(_, lines)| lines);
                assert!(no_space >= 3 && backlog + closed + error == 0, "a line each, and its backtrace");
            },
        );
    }

    #[test]
    fn a_panic_is_whole_objects_of_json_however_long_and_whatever_it_says() {
        in_a_process_of_its_own(
            "ops::log::tests::a_panic_is_whole_objects_of_json_however_long_and_whatever_it_says",
            || {
                let (reader, writer) = io::pipe().expect("a pipe");
                start_to(Unlocked(writer), "info", false).expect("a thread");
                write_as(LogFormat::Json);
                let said = "\u{1}\n\"".repeat(20_000);
                thread::spawn(move || panic!("{said}")).join().expect_err("it fails");
                tracing::info!("and on");
                flush();
                let mut lines = BufReader::new(reader).lines().map(|line| line.expect("a line"));
                let objects = lines.by_ref().map(|line| serde_json::from_str::<serde_json::Value>(&line));
                let mut objects = objects.map(|object| object.expect("an object"));
                assert_eq!(objects.next().expect("a panic")["message"], "a panic, which is a bug");
                assert!(objects.any(|object| object["message"] == "and on"));
            },
        );
    }

    #[test]
    fn a_panic_with_nobody_to_tell_ends_its_own_thread_alone() {
        in_a_process_of_its_own(
            "ops::log::tests::a_panic_with_nobody_to_tell_ends_its_own_thread_alone",
            || {
                let (reader, writer) = io::pipe().expect("a pipe");
                drop(reader);
                start_to(Unlocked(writer), "info", false).expect("a thread");
                for _ in 0..3 {
                    thread::spawn(|| panic!("unheard")).join().expect_err("it fails");
                }
                flush();
                assert_eq!(panics(), 3);
                let [backlog, no_space, closed, error] = lost().map(|(_, lines)| lines);
                assert!(closed >= 3 && backlog + no_space + error == 0, "a line each, and its backtrace");
            },
        );
    }
}
