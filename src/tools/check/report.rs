//! What was found, and what that means for the exit code.

use std::path::{Path, PathBuf};

use crate::ops::config::{Config, ConfigError, Problem};
use crate::ops::machine::finding::{Area, Finding, State};
use crate::ops::machine::{recordings, survey};

use super::super::cli::{EXIT_OK, EXIT_UNFIT, EXIT_WORSE};

/// All that was looked at, area by area.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub(super) file: PathBuf,
    pub(super) findings: Vec<Finding>,
}

/// Looks at the config in `file`, and at this machine for it. If it `rebuilds`, damaged indexes of recordings are made again before.
///
/// # Errors
/// All the errors of the config; the exit code is [`EXIT_CONFIG`](super::super::cli::EXIT_CONFIG).
pub fn check(file: &Path, rebuilds: bool) -> Result<Report, ConfigError> {
    let config = Config::load(file)?;
    let mut findings = of_config(&config, file);
    let rebuilt = if rebuilds { recordings::rebuild(&config) } else { Vec::new() };
    findings.extend(survey(&config));
    findings.extend(rebuilt);
    Ok(Report { file: file.to_owned(), findings })
}

/// That it is right, and what of it works, but worse than was meant.
fn of_config(config: &Config, file: &Path) -> Vec<Finding> {
    let said = match (config.channels.len(), config.directories.len()) {
        (channels, 0) => format!("no errors, channels: {channels}"),
        (channels, directories) => {
            format!("no errors, channels: {channels}, and directories of them: {directories}")
        }
    };
    let right = Finding::new(Area::Config, file.display().to_string(), State::Ok, &said);
    std::iter::once(right).chain(config.warnings.iter().map(|warning| worse(warning, file))).collect()
}

/// What would work, but worse than was meant.
pub(super) fn worse(warning: &Problem, file: &Path) -> Finding {
    let (found, remedy) = warning.found_and_remedy();
    Finding {
        area: Area::Config,
        subject: format!("{}:{}", file.display(), warning.line),
        state: State::Warn,
        found: found.to_owned(),
        remedy: remedy.map(str::to_owned),
    }
}

impl Report {
    /// How the worst is.
    pub(super) fn state(&self) -> State {
        self.findings.iter().map(|finding| finding.state).max().unwrap_or(State::Ok)
    }

    /// How many are so.
    pub(super) fn count(&self, state: State) -> usize {
        self.findings.iter().filter(|finding| finding.state == state).count()
    }

    /// What scripts are told.
    pub fn exit_code(&self) -> u8 {
        match self.state() {
            State::Ok | State::Note => EXIT_OK,
            State::Warn => EXIT_WORSE,
            State::Fail => EXIT_UNFIT,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A report of findings that are so.
    pub(in super::super) fn report(states: &[State]) -> Report {
        let finding = |state: &State| {
            let said = format!("it is {}; see to it", state.label());
            Finding::new(Area::Port, "TCP 127.0.0.1:8554", *state, &said)
        };
        Report { file: PathBuf::from("a.toml"), findings: states.iter().map(finding).collect() }
    }

    #[test]
    fn the_worst_decides_the_exit_code() {
        for (states, code) in [
            (&[][..], 0),
            (&[State::Ok, State::Note], 0),
            (&[State::Warn, State::Ok, State::Note], 3),
            (&[State::Fail, State::Warn], 4),
        ] {
            assert_eq!(report(states).exit_code(), code, "{states:?}");
        }
    }

    #[test]
    fn what_works_but_worse_is_told_with_its_line() {
        let text = "[[channel]]\nname = \"news\"\nsource = \"rtp://224.0.0.9:5004\"\n";
        let config = Config::parse(text, Path::new("a.toml")).expect("it works");
        let found = of_config(&config, Path::new("a.toml"));
        assert_eq!(found.iter().map(|found| found.state).collect::<Vec<_>>(), [State::Ok, State::Warn]);
        assert_eq!(found[0].found, "no errors, channels: 1");
        assert_eq!(found[1].subject, "a.toml:3");
        assert!(found[1].found.starts_with("channel \"news\": 224.0.0.9 is of the block"), "{found:?}");
    }
}
