//! Reports as a Markdown table: of repeated runs the one least disturbed, and ratios to the bare loop.

use std::fs;
use std::io::Result;
use std::path::PathBuf;

use crate::report::Report;

/// What to print.
#[derive(clap::Args)]
pub struct Options {
    /// A file of reports, one JSON object a line.
    reports: PathBuf,
}

impl Options {
    /// All reports of the file.
    pub fn read(&self) -> Result<Vec<Report>> {
        let text = fs::read_to_string(&self.reports)?;
        Ok(text.lines().map(serde_json::from_str).collect::<std::result::Result<_, _>>()?)
    }
}

/// Prints the table.
pub fn run(options: &Options) -> Result<()> {
    let best = best(options.read()?);
    println!(
        "| load | hold | relay | µs CPU per packet | p50 / p99 delay, ms | loss | relay / receivers, cores |"
    );
    println!("|---|---|---|---|---|---|---|");
    for report in &best {
        println!("{}", row(report, bare_of(report, &best)));
    }
    Ok(())
}

/// One report for each experiment: that of the lowest p99 delay, of those without loss if there are any. The
/// least CPU would be no measure: a relay that has to wait for its core makes larger batches, which cost less.
pub fn best(reports: Vec<Report>) -> Vec<Report> {
    lowest(reports, Report::same_run, |report| (report.lost > 0, report.p99_ms))
}

/// Of those that are the same run, the one of the lowest rank; in the order in which the runs come first.
pub fn lowest<T, R: PartialOrd>(
    reports: Vec<T>,
    same_run: impl Fn(&T, &T) -> bool,
    rank: impl Fn(&T) -> R,
) -> Vec<T> {
    let mut lowest: Vec<T> = Vec::new();
    for report in reports {
        match lowest.iter_mut().find(|known| same_run(known, &report)) {
            Some(known) if rank(&report) < rank(known) => *known = report,
            Some(_) => {}
            None => lowest.push(report),
        }
    }
    lowest
}

/// The bare loop under the same load and hold; a hold of its own choosing is compared to none.
fn bare_of<'a>(report: &Report, all: &'a [Report]) -> Option<&'a Report> {
    let bare =
        |other: &&Report| other.relay == "bare" && other.same_load(report) && other.hold == report.hold;
    all.iter().find(bare).filter(|bare| bare.relay != report.relay)
}

fn row(report: &Report, bare: Option<&Report>) -> String {
    let ratio = |of: fn(&Report) -> f64| {
        bare.map_or(String::new(), |bare| format!(" (×{:.2})", of(report) / of(bare)))
    };
    format!(
        "| {} | {} | {} | {:.2}{} | {:.1} / {:.1}{}{} | {} | {:.2} / {:.2} |",
        report.load(),
        report.hold,
        report.relay,
        report.cpu_us_per_packet,
        ratio(|report| report.cpu_us_per_packet),
        report.p50_ms,
        report.p99_ms,
        ratio(|report| report.p99_ms),
        if report.beside > 0 { format!("; live p99 {:.1}", report.beside_p99_ms) } else { String::new() },
        loss(report),
        report.relay_cpu + report.softirq_cpu,
        report.view_cpu,
    )
}

/// Loss, and where it was if that is known.
fn loss(report: &Report) -> String {
    let mut text = if report.lost == 0 { "0".into() } else { format!("{:.3} %", report.loss() * 100.0) };
    for (count, what) in [
        (report.reordered, "reordered"),
        (report.damaged, "damaged"),
        (report.view_drops, "dropped at the receivers"),
        (report.stalled_lost, "lost by stalled readers"),
    ] {
        if count > 0 {
            text += &format!(", {count} {what}");
        }
    }
    text
}
