//! How lines that tell of progress follow each other, on a terminal and elsewhere. Text alone: it writes nothing.

use std::time::Duration;

/// How status lines follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresh {
    /// On a terminal: one line, rewritten each second.
    InPlace,
    /// Into a file or a pipe: a line each ten seconds.
    Lines,
}

impl Refresh {
    /// The way that suits the output; ask `std::io::IsTerminal`.
    pub fn for_output(is_terminal: bool) -> Self {
        if is_terminal { Self::InPlace } else { Self::Lines }
    }

    /// Time from one line to the next.
    pub fn interval(self) -> Duration {
        match self {
            Self::InPlace => Duration::from_secs(1),
            Self::Lines => Duration::from_secs(10),
        }
    }

    /// The characters to write for a status line, as they are; flush afterwards.
    pub fn frame(self, line: &str) -> String {
        match self {
            // Erasing to the end of the line removes what a longer line left there.
            Self::InPlace => format!("\r{line}\x1b[K"),
            Self::Lines => format!("{line}\n"),
        }
    }

    /// The characters to write when the demo ends, so that the prompt has its own line.
    pub fn end(self) -> &'static str {
        match self {
            Self::InPlace => "\n",
            Self::Lines => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_rewritten_and_a_file_gets_lines() {
        assert_eq!(Refresh::for_output(true).frame("x"), "\rx\x1b[K");
        assert_eq!(Refresh::for_output(false).frame("x"), "x\n");
        assert!(Refresh::for_output(true).interval() < Refresh::for_output(false).interval());
    }
}
