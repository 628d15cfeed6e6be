//! The table: a line for each thing that was looked at, and one below it for what to do.

use std::fmt;

use crate::ops::machine::finding::{Finding, State};

use super::report::Report;

/// The most that a column is widened for.
const WIDEST: usize = 36;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = |finding: &Finding| finding.subject.chars().count();
        let wide = self.findings.iter().map(length).max().unwrap_or(0).min(WIDEST);
        writeln!(f, "{:<5} {:<11} {:<wide$}  FOUND", "STATE", "AREA", "LOOKED AT")?;
        for finding in &self.findings {
            let (state, area) = (finding.state.label(), finding.area.label());
            writeln!(f, "{state:<5} {area:<11} {:<wide$}  {}", finding.subject, finding.found)?;
            if let Some(remedy) = &finding.remedy {
                writeln!(f, "{:<wide$}  -> {remedy}", "", wide = 5 + 1 + 11 + 1 + wide)?;
            }
        }
        let verdict = match self.state() {
            State::Ok | State::Note => "nothing is in the way",
            State::Warn => "it would serve, but worse than it could",
            State::Fail => "something would not be served",
        };
        let [ok, note, warn, fail] =
            [State::Ok, State::Note, State::Warn, State::Fail].map(|state| self.count(state));
        writeln!(f, "{verdict}: {ok} ok, {note} note, {warn} warn, {fail} fail")
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::report;
    use super::*;

    #[test]
    fn each_thing_is_a_line_and_what_to_do_stands_below() {
        let table = report(&[State::Ok, State::Fail]).to_string();
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(
            lines,
            [
                "STATE AREA        LOOKED AT           FOUND",
                "ok    port        TCP 127.0.0.1:8554  it is ok",
                "                                      -> see to it",
                "fail  port        TCP 127.0.0.1:8554  it is fail",
                "                                      -> see to it",
                "something would not be served: 1 ok, 0 note, 0 warn, 1 fail",
            ]
        );
        assert!(
            report(&[State::Warn])
                .to_string()
                .ends_with("it would serve, but worse than it could: 0 ok, 0 note, 1 warn, 0 fail\n")
        );
    }
}
