//! The same for programs. docs/operations.md describes it.

use std::path::Path;

use serde_json::{Value, json};

use crate::ops::config::{ConfigError, Problem};
use crate::ops::machine::finding::Finding;
use crate::ops::saying::found_and_remedy;

use super::super::cli::EXIT_CONFIG;
use super::report::{Report, worse};

impl Report {
    /// All of it.
    pub fn to_json(&self) -> Value {
        json!({
            "config": self.file.display().to_string(),
            "state": self.state().label(),
            "exit_code": self.exit_code(),
            "findings": self.findings.iter().map(of_finding).collect::<Vec<_>>(),
            "errors": [],
        })
    }
}

/// Of a wrong config, nothing of the machine is looked at: all that is wrong with it.
pub fn without_report(file: &Path, error: &ConfigError) -> Value {
    let (errors, worse): (Vec<_>, Vec<_>) = match error {
        ConfigError::Unreadable { reason, .. } => {
            let (message, remedy) = found_and_remedy(reason);
            (vec![json!({ "line": null, "column": null, "message": message, "remedy": remedy })], Vec::new())
        }
        ConfigError::Invalid { problems, .. } => {
            let (notes, errors): (Vec<_>, Vec<_>) = problems.iter().partition(|problem| problem.is_note());
            let worse = notes.into_iter().map(|note| of_finding(&worse(note, file)));
            (errors.into_iter().map(of_problem).collect(), worse.collect())
        }
    };
    json!({
        "config": file.display().to_string(),
        "state": "fail",
        "exit_code": EXIT_CONFIG,
        "findings": worse,
        "errors": errors,
    })
}

fn of_finding(finding: &Finding) -> Value {
    json!({
        "area": finding.area.label(),
        "subject": finding.subject,
        "state": finding.state.label(),
        "found": finding.found,
        "remedy": finding.remedy,
    })
}

fn of_problem(problem: &Problem) -> Value {
    let (message, remedy) = problem.found_and_remedy();
    json!({ "line": problem.line, "column": problem.column, "message": message, "remedy": remedy })
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::report;
    use super::*;
    use crate::ops::config::Config;
    use crate::ops::machine::finding::State;

    #[test]
    fn each_thing_is_an_object() {
        let told = report(&[State::Fail]).to_json();
        let finding = json!({
            "area": "port", "subject": "TCP 127.0.0.1:8554", "state": "fail", "found": "it is fail", "remedy": "see to it",
        });
        let whole = json!({ "config": "a.toml", "state": "fail", "exit_code": 4, "findings": [finding], "errors": [] });
        assert_eq!(told, whole);
    }

    #[test]
    fn all_faults_of_a_config_are_told_with_their_places() {
        let text =
            "[rtsp]\nlisen = 5\nudp_ports = 6970-6999\n[limits]\nsessions = 5\nsessions_per_address = 6\n";
        let file = Path::new("a.toml");
        let error = Config::parse(text, file).expect_err("two errors");
        let told = without_report(file, &error);
        let errors = told["errors"].as_array().expect("a list").iter();
        let places: Vec<_> = errors.map(|one| (one["line"].as_u64(), one["column"].as_u64())).collect();
        assert_eq!(places, [(Some(2), Some(1)), (Some(3), Some(13))], "{told:#}");
        let note = &told["findings"][0];
        assert_eq!((&note["subject"], &note["state"]), (&json!("a.toml:6"), &json!("warn")), "{told:#}");
        assert!(note["found"].as_str().is_some_and(|found| found.starts_with("[limits] ")), "{told:#}");
        assert_eq!(told["exit_code"], 78);
        assert_eq!(told["errors"][0]["message"], "[rtsp]: unknown key `lisen`");
        assert_eq!(told["errors"][0]["remedy"], "did you mean `listen`?");
        assert!(
            told["errors"][1]["remedy"].as_str().is_some_and(|remedy| remedy.starts_with("write ")),
            "{told:#}"
        );
    }

    #[test]
    fn a_config_that_is_not_there_has_no_line() {
        let file = Path::new("/nowhere/a.toml");
        let told = without_report(file, &Config::load(file).expect_err("it is not there"));
        let error = &told["errors"][0];
        assert!(error["line"].is_null() && error["remedy"] == "name a config with --config FILE", "{told:#}");
    }
}
