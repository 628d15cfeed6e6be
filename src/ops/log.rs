//! The log: to stderr, by a thread of its own. Where it can not be written, lines are lost and counted, and
//! nothing else changes. Panics are told in it.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, IsTerminal, Write};
use std::panic;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use tracing_subscriber::filter::EnvFilter;

use super::outlet::{Outlet, REASONS, Unlocked};

/// What a reader has, at the program's end, to take what is left.
const PATIENCE: Duration = Duration::from_millis(500);

static LOG: OnceLock<Outlet> = OnceLock::new();
static PANICS: AtomicU64 = AtomicU64::new(0);

/// Starts the log, once.
///
/// # Errors
/// Its thread can not be started.
pub fn start(filter: &str) -> io::Result<()> {
    let ansi = io::stderr().is_terminal();
    start_to(Unlocked(io::stderr()), filter, ansi)
}

fn start_to(to: impl Write + Send + 'static, filter: &str, ansi: bool) -> io::Result<()> {
    let outlet = Outlet::start("log", to, |lines| {
        tracing::warn!(lines, "lines of the log were lost; mirrorball_log_lines_dropped_total says why");
    })?;
    let said_by = LOG.get_or_init(|| outlet);
    let filter = EnvFilter::builder().parse_lossy(filter);
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| Line(said_by)).with_ansi(ansi);
    // An event that can not be put into words would be told on stderr, past the outlet.
    let _ = log.log_internal_errors(false).try_init();
    panic::set_hook(Box::new(|about| {
        PANICS.fetch_add(1, Relaxed);
        let thread = thread::current();
        let place = about.location().map(ToString::to_string).unwrap_or_default();
        let (thread, said) = (thread.name().unwrap_or("unnamed"), message(about.payload()));
        tracing::error!(thread, place, said, "a panic, which is a bug");
        // Captured where RUST_BACKTRACE asks for it.
        let backtrace = Backtrace::capture();
        if backtrace.status() == BacktraceStatus::Captured {
            tracing::error!("{backtrace}");
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

/// Panics of any thread.
pub fn panics() -> u64 {
    PANICS.load(Relaxed)
}

fn message(payload: &dyn Any) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}

/// The subscriber writes each event as one piece.
struct Line<'l>(&'l Outlet);

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.say(bytes);
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
                    "place=\"src/ops/log.rs:",
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
                start("info").expect("a thread");
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
