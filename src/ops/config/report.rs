//! Collects every error of a config, each with its line, so that an operator mends a file in one go.
//! Knows no key and no value.

use std::fmt;
use std::path::{Path, PathBuf};

/// One error of a config file: where it stands, what is wrong, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line in the file, from 1.
    pub line: usize,
    /// The key, what is wrong with it, and the remedy, in one line.
    pub text: String,
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
        /// All the errors, in the order of their lines; never empty.
        problems: Vec<Problem>,
    },
}

impl fmt::Display for ConfigError {
    /// One line an error, each beginning with `file:line:`, as editors and terminals expect.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { file, reason } => write!(f, "{}: {reason}", file.display()),
            Self::Invalid { file, problems } => {
                for (index, problem) in problems.iter().enumerate() {
                    let break_before = if index == 0 { "" } else { "\n" };
                    write!(f, "{break_before}{}:{}: {}", file.display(), problem.line, problem.text)?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for ConfigError {}

/// The errors found so far in one text.
pub(super) struct Report {
    line_starts: Vec<usize>,
    problems: Vec<Problem>,
}

impl Report {
    pub(super) fn new(text: &str) -> Self {
        let after_breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { line_starts: std::iter::once(0).chain(after_breaks).collect(), problems: Vec::new() }
    }

    /// Notes an error at byte `offset` of the text.
    pub(super) fn add(&mut self, offset: usize, text: impl Into<String>) {
        let problem = Problem { line: self.line(offset), text: text.into() };
        self.problems.push(problem);
    }

    /// The line, from 1, that holds the byte at `offset`.
    pub(super) fn line(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset)
    }

    pub(super) fn len(&self) -> usize {
        self.problems.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// The errors in the order of the file.
    pub(super) fn into_error(mut self, file: &Path) -> ConfigError {
        self.problems.sort_by_key(|problem| problem.line);
        self.problems.dedup();
        ConfigError::Invalid { file: file.to_owned(), problems: self.problems }
    }
}
