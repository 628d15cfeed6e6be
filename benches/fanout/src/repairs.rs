//! Reports as a Markdown table of repair: what it costs that subscribers lose packets, and how soon they have them.

use std::io::Result;

use crate::report::Report;
use crate::table::{self, best};

/// Prints the table: a row for each run, with ratios to the same load without loss.
pub fn run(options: &table::Options) -> Result<()> {
    let reports = best(options.read()?);
    println!(
        "| load | hold | µs CPU per packet | p50 / p99 delay of the others, ms | asked for | repaired | left | NACK to repair, p50 / p99, ms |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for report in &reports {
        let is_without =
            |other: &&Report| other.same_but_for_loss(report) && other.lose_percent < report.lose_percent;
        let base = reports.iter().find(is_without);
        let ratio = |of: fn(&Report) -> f64| {
            base.map_or(String::new(), |base| format!(" (×{:.2})", of(report) / of(base)))
        };
        println!(
            "| {} | {} | {:.2}{} | {:.1} / {:.1}{} | {} | {} | {} | {:.2} / {:.2} |",
            report.load(),
            report.hold,
            report.cpu_us_per_packet,
            ratio(|report| report.cpu_us_per_packet),
            report.p50_ms,
            report.p99_ms,
            ratio(|report| report.p99_ms),
            report.asked,
            report.repaired,
            report.lost,
            report.repair_p50_ms,
            report.repair_p99_ms,
        );
    }
    Ok(())
}
