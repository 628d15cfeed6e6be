//! How lines of the log look: text for a person, prefixes for journald, JSON for a machine.

use std::env;
use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use clap::ValueEnum;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{Format, Full, Json, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// What an operator asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LogFormat {
    /// Text; under journald with its prefixes of priority, and without a time of our own.
    #[default]
    Auto,
    /// Text with a time, wherever it goes.
    Text,
    /// One JSON object a line.
    Json,
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Text,
    Journal,
    Json,
}

impl Shape {
    pub fn of(format: LogFormat, is_journal: bool) -> Self {
        match format {
            LogFormat::Json => Self::Json,
            LogFormat::Auto if is_journal => Self::Journal,
            LogFormat::Auto | LogFormat::Text => Self::Text,
        }
    }
}

/// The shape that the log has now: the config is read after its first lines.
static SHAPE: AtomicU8 = AtomicU8::new(Shape::Text as u8);

pub(super) fn take_on(shape: Shape) {
    SHAPE.store(shape as u8, Relaxed);
}

pub(super) fn shape() -> Shape {
    match SHAPE.load(Relaxed) {
        n if n == Shape::Journal as u8 => Shape::Journal,
        n if n == Shape::Json as u8 => Shape::Json,
        _ => Shape::Text,
    }
}

/// Whether stderr is a stream of journald's: it says which (systemd.exec(5)), and a program that was given another stderr
/// inherits the word all the same.
pub(super) fn is_journal() -> bool {
    let stderr = io::stderr().as_fd().try_clone_to_owned().map(File::from).and_then(|file| file.metadata());
    let named = env::var("JOURNAL_STREAM");
    stderr.is_ok_and(|own| named.is_ok_and(|named| named == format!("{}:{}", own.dev(), own.ino())))
}

/// Whether lines have colours: on a terminal, unless NO_COLOR is there and not empty (no-color.org).
pub(super) fn has_colours() -> bool {
    io::stderr().is_terminal() && wants_colours()
}

/// Whether terminals are to have colours.
pub fn wants_colours() -> bool {
    env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Writes each event in the shape that the log has.
pub(super) struct Lines {
    text: Format<Full>,
    journal: Format<Full, ()>,
    json: Format<Json>,
}

impl Lines {
    pub fn new() -> Self {
        let json = Format::default().json().flatten_event(true);
        Self {
            text: Format::default(),
            journal: Format::default().without_time(),
            json: json.with_current_span(false).with_span_list(false),
        }
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        match shape() {
            Shape::Text => self.text.format_event(context, to, event),
            Shape::Journal => self.journal.format_event(context, to, event),
            Shape::Json => self.json.format_event(context, to, event),
        }
    }
}

/// The lines with the prefix that tells journald their priority (sd-daemon(3)): each is an entry of its own there.
pub(super) fn with_priority(level: Level, lines: &[u8]) -> Vec<u8> {
    let prefix: &[u8] = match level {
        Level::ERROR => b"<3>",
        Level::WARN => b"<4>",
        Level::INFO => b"<6>",
        _ => b"<7>",
    };
    lines.split_inclusive(|byte| *byte == b'\n').flat_map(|line| [prefix, line].concat()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_for_nothing_gets_what_suits_the_place() {
        use LogFormat::{Auto, Json, Text};
        let shapes = [Auto, Text, Json].map(|format| [false, true].map(|journal| Shape::of(format, journal)));
        assert_eq!(
            shapes,
            [[Shape::Text, Shape::Journal], [Shape::Text, Shape::Text], [Shape::Json, Shape::Json]]
        );
    }

    #[test]
    fn each_line_has_its_priority() {
        assert_eq!(with_priority(Level::ERROR, b"one\ntwo\n"), b"<3>one\n<3>two\n");
        let prefixes =
            [Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE].map(|level| with_priority(level, b"x"));
        assert_eq!(prefixes, [b"<4>x", b"<6>x", b"<7>x", b"<7>x"]);
    }
}
