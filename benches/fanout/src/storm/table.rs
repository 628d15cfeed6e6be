//! Reports of storms as a Markdown table: of repeated runs the one least disturbed.

use std::fs;
use std::io::Result;
use std::path::PathBuf;

use crate::table::lowest;

use super::report::{CrowdReport, Report};

/// Cores at which a core is full.
const FULL: f64 = 0.95;

/// What to print.
#[derive(clap::Args)]
pub struct Options {
    /// Files of reports, one JSON object a line.
    #[arg(required = true)]
    reports: Vec<PathBuf>,
}

impl Options {
    /// All reports of the files.
    pub fn read(&self) -> Result<Vec<Report>> {
        let mut reports = Vec::new();
        for file in &self.reports {
            for line in fs::read_to_string(file)?.lines() {
                reports.push(serde_json::from_str(line)?);
            }
        }
        Ok(reports)
    }
}

/// Prints the table. Where a cell has two values, they are those of the viewers and of the others.
pub fn run(options: &Options) -> Result<()> {
    println!(
        "| storm | load | relay | done after, s | worst p99 in 250 ms, ms | p99 before, meanwhile, after, ms | ratio | late for, s | lost \
         | refused | relay / viewers, cores | relay, MiB |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|");
    for report in best(options.read()?) {
        println!("{}", row(&report));
    }
    Ok(())
}

/// One report for each experiment: that of the lowest worst p99, of those without loss if there are any.
pub fn best(reports: Vec<Report>) -> Vec<Report> {
    lowest(reports, Report::same_run, |report| (report.missing > 0, report.lost() > 0, report.worst_ms()))
}

fn row(report: &Report) -> String {
    let both = |of: &dyn Fn(&CrowdReport) -> String| {
        let crowds = [&report.viewers, &report.others];
        let cells: Vec<String> = crowds.into_iter().filter(|crowd| crowd.size > 0).map(of).collect();
        cells.join(" / ")
    };
    format!(
        "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {:.2} / {} | {} |",
        storm(report),
        load(report),
        report.relay,
        done(report),
        both(&|crowd| worst(crowd, report.changes.is_some())),
        both(&steady),
        both(&|crowd| ratio(crowd, report.viewers.worst_ms.is_none())),
        both(&|crowd| crowd.late_s.map_or("–".into(), |late_s| format!("{late_s:.2}"))),
        lost(report),
        refused(report),
        report.relay_cpu,
        view_cpu(report.view_cpu),
        memory(report),
    )
}

fn done(report: &Report) -> String {
    let mut text = if report.noise_per_s.is_some() { "–".into() } else { format!("{:.2}", report.done_s) };
    if let Some(first_s) = report.first_s.filter(|_| report.failed > 0) {
        text += &format!(", the first {first_s:.2}");
    }
    if let Some(changes) = report.changes {
        let late = report.viewers.size as u64 - changes.viewers.min(report.viewers.size as u64);
        text += &format!("; first packets p99 {:.0} ms, max {:.0}", changes.p99_ms, changes.max_ms);
        text += &if late > 0 { format!(", {late} without") } else { String::new() };
    }
    if report.missing > 0 {
        text += &format!(", {} missing", report.missing);
    }
    text
}

/// Before, at the storm's end, and after.
fn memory(report: &Report) -> String {
    report.relay_mib.map_or("–".into(), |mib| mib.map(|mib| format!("{mib:.0}")).join(" → "))
}

/// A full core of viewers and source may be what is measured.
fn view_cpu(cores: f64) -> String {
    if cores > FULL { format!("{cores:.2}: full") } else { format!("{cores:.2}") }
}

fn storm(report: &Report) -> String {
    match report.noise_per_s {
        Some(rate) => format!("{}, {rate:.0}/s", report.storm),
        None => report.storm.clone(),
    }
}

/// Viewers, others, and how media comes to them.
pub fn load(report: &Report) -> String {
    let others = match report.others.size {
        0 => String::new(),
        others => format!(" + {others}"),
    };
    format!("{}{others} {}", report.viewers.size, report.transport)
}

/// Before and after, where both are known; between them what was meanwhile.
fn steady(crowd: &CrowdReport) -> String {
    match (crowd.before_ms, crowd.after_ms) {
        (Some(before_ms), Some(after_ms)) if crowd.during_ms.is_some() => {
            format!("{before_ms:.1} → {} → {after_ms:.1}", number(crowd.during_ms))
        }
        (Some(before_ms), Some(after_ms)) => format!("{before_ms:.1} → {after_ms:.1}"),
        (before_ms, after_ms) => number(after_ms.or(before_ms)),
    }
}

/// To one calm; where viewers have left, to the other as well, which is of a load that is another.
fn ratio(crowd: &CrowdReport, to_both: bool) -> String {
    match (crowd.ratio, crowd.ratio_to_other) {
        (Some(ratio), Some(other)) if to_both => format!("×{ratio:.1}, ×{other:.1}"),
        (Some(ratio), _) => format!("×{ratio:.1}"),
        (None, _) => "–".into(),
    }
}

/// Where viewers change, with the longest of all delays.
fn worst(crowd: &CrowdReport, with_longest: bool) -> String {
    let worst = number(crowd.worst_ms);
    if with_longest { format!("{worst} (max {})", number(crowd.longest_ms)) } else { worst }
}

fn number(ms: Option<f64>) -> String {
    ms.map_or("–".into(), |ms| format!("{ms:.1}"))
}

/// Loss, and what else is wrong with what came.
fn lost(report: &Report) -> String {
    let mut text = report.lost().to_string();
    let losers = report.viewers.losers + report.others.losers;
    for (count, what) in [
        (losers, "viewers lost some"),
        (report.viewers.reordered + report.others.reordered, "reordered"),
        (report.damaged, "damaged"),
        (report.view_drops, "dropped at the receivers"),
    ] {
        if count > 0 {
            text += &format!(", {count} {what}");
        }
    }
    text
}

fn refused(report: &Report) -> String {
    match report.failed {
        0 => report.refused.to_string(),
        failed => format!("{}, {failed} failed", report.refused),
    }
}
