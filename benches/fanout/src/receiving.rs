//! Reports as a Markdown table of what it costs to receive: CPU of the receiving threads per packet that came.

use std::collections::BTreeSet;
use std::io::Result;

use crate::report::Report;
use crate::table::{self, best};

/// The threads of Mirrorball that receive.
const RECEIVING: &str = "poll-media";

/// Prints the table: a row for each load, with a ratio, and a column for each kind of thread.
pub fn run(options: &table::Options) -> Result<()> {
    let mut reports = best(options.read()?);
    reports.retain(|report| cost_us(report).is_some());
    let threads: BTreeSet<&String> = reports
        .iter()
        .flat_map(|report| &report.threads)
        .filter_map(|(name, &cores)| (cores >= 0.005).then_some(name))
        .collect();
    let names: String = threads.iter().map(|name| format!(" {name} |")).collect();
    println!(
        "| load | packets a second of each | received a second | µs of {RECEIVING} per packet received |{names}"
    );
    println!("|---|---|---|---|{}", "---|".repeat(threads.len()));
    for report in &reports {
        let cores = |name: &&String| format!(" {:.2} |", report.threads.get(*name).unwrap_or(&0.0));
        println!(
            "| {}, hold {} | {} | {:.0} | {} |{}",
            report.load(),
            report.hold,
            report.rate,
            report.received as f64 / report.seconds,
            cost(report, &reports),
            threads.iter().map(cores).collect::<String>()
        );
    }
    Ok(())
}

/// With its ratio to the last load by the same hold, on as many cores.
fn cost(report: &Report, all: &[Report]) -> String {
    let cost = cost_us(report).unwrap_or(0.0);
    let is_like = |other: &&Report| (&other.hold, other.cores) == (&report.hold, report.cores);
    let last = all.iter().rev().find(is_like);
    let base = last.filter(|base| !base.same_run(report)).and_then(cost_us);
    base.map_or(format!("{cost:.2}"), |base| format!("{cost:.2} (×{:.2})", cost / base))
}

/// `None` for a relay without such threads.
fn cost_us(report: &Report) -> Option<f64> {
    let cores = report.threads.get(RECEIVING)?;
    (report.received > 0).then(|| cores * report.seconds * 1e6 / report.received as f64)
}
