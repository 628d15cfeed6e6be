//! What is wrong in a description, and what to do about it.

use std::fmt;

/// What is wrong in a description, on which line, and what to write there instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidSdp {
    /// The line in the file, from 1; none if it is about the whole.
    pub line: Option<usize>,
    /// What is wrong, naming the line's key, and the remedy.
    pub problem: String,
}

impl std::error::Error for InvalidSdp {}

impl fmt::Display for InvalidSdp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.problem),
            None => f.write_str(&self.problem),
        }
    }
}
