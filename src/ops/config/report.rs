//! Collects every error of a config, each with its line, so that an operator mends a file in one go.
//! Knows no key and no value.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use super::super::saying::found_and_remedy;
use super::password::{HIDDEN, password_in_line, without_password_of_a_line, without_passwords};

/// The most of a line that is shown, in characters.
const SHOWN: usize = 100;
/// How what works but worse begins, where it is told among errors.
const NOTE: &str = "note: ";

/// One error of a config file: where it stands, what is wrong, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line in the file, from 1.
    pub line: usize,
    /// The column, in characters from 1.
    pub column: usize,
    /// The key, what is wrong with it, and the remedy, in one line.
    pub text: String,
    /// The place itself, where it is of the syntax.
    pub excerpt: Option<Excerpt>,
}

/// A line of the file, and the place in it that is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// What is shown of the line.
    shown: String,
    /// Characters of it before the place.
    before: usize,
}

/// Why a config cannot be used.
#[derive(Debug)]
pub enum ConfigError {
    /// The file itself could not be read.
    Unreadable {
        /// The file as it was named.
        file: PathBuf,
        /// What was wrong with it, and the remedy.
        reason: String,
    },
    /// The file was read, and holds these errors.
    Invalid {
        /// The file as it was named.
        file: PathBuf,
        /// All the errors, and what works but worse, in the order of their lines; never empty.
        problems: Vec<Problem>,
    },
}

impl fmt::Display for ConfigError {
    /// Each error begins with `file:line:`, as editors and terminals expect.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { file, reason } => write!(f, "{}: {reason}", file.display()),
            Self::Invalid { file, problems } => {
                for (index, problem) in problems.iter().enumerate() {
                    let break_before = if index == 0 { "" } else { "\n" };
                    write!(f, "{break_before}{}:{problem}", file.display())?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for ConfigError {}

impl fmt::Display for Problem {
    /// From the line's number on; the line itself is shown below, set in.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, text, excerpt } = self;
        match excerpt {
            None => write!(f, "{line}: {text}"),
            Some(Excerpt { shown, before }) => {
                write!(f, "{line}:{column}: {text}\n    {shown}\n    {:before$}^", "")
            }
        }
    }
}

impl Problem {
    /// Whether it is no error, but would work, and worse than was meant.
    pub fn is_note(&self) -> bool {
        self.text.starts_with(NOTE)
    }

    /// What is wrong, and what to write instead.
    pub fn found_and_remedy(&self) -> (&str, Option<&str>) {
        found_and_remedy(self.text.strip_prefix(NOTE).unwrap_or(&self.text))
    }
}

/// The errors found so far in one text.
pub(super) struct Report<'t> {
    text: &'t str,
    line_starts: Vec<usize>,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
    /// All that was noted, also where it was not worth telling.
    noted: usize,
    /// Lines that are not TOML; what they would mean is a guess, and not told of.
    spoilt: BTreeSet<usize>,
    annex: Option<Annex>,
}

/// The rest of the text, which is another file's.
pub(super) struct Annex {
    /// Where it begins.
    pub(super) from: usize,
    /// Where the file itself names it.
    pub(super) named_at: usize,
    /// The file.
    pub(super) file: PathBuf,
}

impl<'t> Report<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let after_breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self {
            text,
            line_starts: std::iter::once(0).chain(after_breaks).collect(),
            problems: Vec::new(),
            warnings: Vec::new(),
            noted: 0,
            spoilt: BTreeSet::new(),
            annex: None,
        }
    }

    /// The same, with what is another file's behind it.
    pub(super) fn with_annex(text: &'t str, annex: Option<Annex>) -> Self {
        Self { annex, ..Self::new(text) }
    }

    /// Notes an error at byte `offset` of the text.
    pub(super) fn add(&mut self, offset: usize, text: impl Into<String>) {
        if self.is_spoilt(offset) {
            self.noted += 1;
        } else {
            self.add_anyway(offset, text);
        }
    }

    /// The same, of something that is certain though the line is not TOML: the key itself.
    pub(super) fn add_anyway(&mut self, offset: usize, text: impl Into<String>) {
        self.noted += 1;
        let problem = self.problem(offset, text.into());
        self.problems.push(problem);
    }

    fn problem(&self, offset: usize, text: String) -> Problem {
        self.at(offset, &without_passwords(&text), None)
    }

    fn at(&self, offset: usize, text: &str, excerpt: Option<Excerpt>) -> Problem {
        let (text, line, column) = (legible(text), self.line(offset), self.column(offset));
        match self.annex.as_ref().filter(|annex| offset >= annex.from) {
            None => Problem { line, column, text, excerpt },
            Some(annex) => {
                let (named_at, own) = (annex.named_at, line + 1 - self.line(annex.from));
                let text = format!("{}:{own}: {text}", annex.file.display());
                Problem { line: self.line(named_at), column: self.column(named_at), text, excerpt: None }
            }
        }
    }

    /// Notes what is not TOML, and shows it.
    pub(super) fn add_syntax(&mut self, offset: usize, text: impl Into<String>) {
        self.noted += 1;
        let excerpt = Some(self.excerpt(offset));
        let problem = self.at(offset, &without_password_of_a_line(&text.into()), excerpt);
        self.problems.push(problem);
        self.spoil(offset..offset);
    }

    /// Has nothing told of these lines any more.
    pub(super) fn spoil(&mut self, bytes: std::ops::Range<usize>) {
        self.spoilt.extend(self.line(bytes.start)..=self.line(bytes.end.max(bytes.start)));
    }

    /// Whether the line at `offset` is not TOML, or was set aside with one that is not.
    pub(super) fn is_spoilt(&self, offset: usize) -> bool {
        self.spoilt.contains(&self.line(offset))
    }

    /// Notes what works, but worse than it could.
    pub(super) fn warn(&mut self, offset: usize, text: impl Into<String>) {
        if !self.is_spoilt(offset) {
            let problem = self.problem(offset, text.into());
            self.warnings.push(problem);
        }
    }

    /// The line, from 1, that holds the byte at `offset`.
    pub(super) fn line(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset)
    }

    /// The column of the byte at `offset`, in characters from 1.
    fn column(&self, offset: usize) -> usize {
        let start = self.line_starts[self.line(offset) - 1];
        let line = self.text[start..].lines().next().unwrap_or_default();
        1 + line.char_indices().take_while(|(at, _)| start + at < offset).count()
    }

    /// How many errors were noted, told or not.
    pub(super) fn noted(&self) -> usize {
        self.noted
    }

    pub(super) fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// What works, but worse, in the order of the file.
    pub(super) fn into_warnings(mut self) -> Vec<Problem> {
        self.warnings.sort_by_key(|problem| problem.line);
        self.warnings
    }

    /// The errors in the order of the file, and with them what would work, but worse.
    pub(super) fn into_error(self, file: &Path) -> ConfigError {
        let mut problems = self.problems;
        problems.extend(
            self.warnings
                .into_iter()
                .map(|problem| Problem { text: format!("{NOTE}{}", problem.text), ..problem }),
        );
        problems.sort_by_key(|problem| problem.line);
        problems.dedup();
        ConfigError::Invalid { file: file.to_owned(), problems }
    }

    /// The line at `offset`, as far as it can be shown: a control character of it would be the terminal's, and a
    /// password is nobody's.
    fn excerpt(&self, offset: usize) -> Excerpt {
        let start = self.line_starts[self.line(offset) - 1];
        let line = self.text[start..].lines().next().unwrap_or_default();
        let password = password_in_line(line).unwrap_or_default();
        let seen =
            |from: usize, to: usize| line.char_indices().filter(move |(at, _)| (from..to).contains(at));
        let shown = seen(0, password.start);
        let hidden = (!password.is_empty()).then_some((password.start, HIDDEN));
        let shown: Vec<_> = shown.chain(hidden).chain(seen(password.end, line.len())).collect();
        let before = shown.iter().take_while(|(at, _)| start + at < offset).count();
        let left_out = before.saturating_sub(SHOWN / 2);
        let shown = shown.iter().skip(left_out).take(SHOWN).map(|(_, c)| match c {
            '\t' => ' ',
            c if c.is_control() => '\u{fffd}',
            c => *c,
        });
        let shown: String = shown.collect();
        Excerpt { shown: shown.trim_end().to_owned(), before: before - left_out }
    }
}

/// A message in one line, with nothing that is the terminal's to act on.
fn legible(message: &str) -> String {
    let mut legible = String::with_capacity(message.len());
    for c in message.chars() {
        if c.is_control() { legible.extend(c.escape_debug()) } else { legible.push(c) }
    }
    legible
}
