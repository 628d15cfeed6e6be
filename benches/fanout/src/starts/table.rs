//! Reports of starts as a Markdown table: a row for each relay and carrier.

use std::fs;
use std::io::Result;
use std::path::PathBuf;

use super::report::Report;

/// What to print.
#[derive(clap::Args)]
pub struct Options {
    /// Files of reports, one JSON object a line.
    #[arg(required = true)]
    reports: Vec<PathBuf>,
}

/// Starts of one relay by one carrier.
pub struct Series {
    pub name: String,
    pub relay: String,
    pub reports: Vec<Report>,
    /// Milliseconds until the first picture, sorted; of those who saw one.
    pub pictures_ms: Vec<f64>,
}

impl Options {
    /// All reports of the files, in the order in which relays and carriers come first.
    pub fn read(&self) -> Result<Vec<Series>> {
        let mut all: Vec<Series> = Vec::new();
        for file in &self.reports {
            for line in fs::read_to_string(file)?.lines() {
                let report: Report = serde_json::from_str(line)?;
                let name = format!("{}, {}", report.relay, report.carrier.name());
                match all.iter_mut().find(|series| series.name == name) {
                    Some(series) => series.reports.push(report),
                    None => all.push(Series::of(name, report)),
                }
            }
        }
        for series in &mut all {
            series.pictures_ms = series.sorted(|report| report.picture_ms);
        }
        Ok(all)
    }
}

impl Series {
    fn of(name: String, first: Report) -> Self {
        Self { name, relay: first.relay.clone(), reports: vec![first], pictures_ms: Vec::new() }
    }

    fn sorted(&self, value: impl Fn(&Report) -> Option<f64>) -> Vec<f64> {
        let mut values: Vec<f64> = self.reports.iter().filter_map(value).collect();
        values.sort_by(f64::total_cmp);
        values
    }
}

/// Prints the table.
pub fn run(options: &Options) -> Result<()> {
    println!(
        "| relay, carrier | starts | first picture: mean / p50 / p95 / max, ms | first byte: p50 / max, ms | peak after it: p50 / max \
         | starts with decode errors | lost, reordered |"
    );
    println!("|---|---|---|---|---|---|---|");
    for series in options.read()? {
        println!("{}", row(&series));
    }
    Ok(())
}

fn row(series: &Series) -> String {
    let Series { name, reports, pictures_ms, .. } = series;
    let first_ms = series.sorted(|report| report.first_ms);
    let peaks = series.sorted(|report| report.peak);
    let dark = match reports.len() - pictures_ms.len() {
        0 => String::new(),
        dark => format!(", {dark} without a picture"),
    };
    let complaining = reports.iter().filter(|report| report.complaints > 0).count();
    format!(
        "| {name} | {}{dark} | {:.0} / {:.0} / {:.0} / {:.0} | {:.1} / {:.1} | ×{:.2} / ×{:.2} | {complaining} | {}, {} |",
        reports.len(),
        pictures_ms.iter().sum::<f64>() / pictures_ms.len().max(1) as f64,
        quantile(pictures_ms, 0.5),
        quantile(pictures_ms, 0.95),
        quantile(pictures_ms, 1.0),
        quantile(&first_ms, 0.5),
        quantile(&first_ms, 1.0),
        quantile(&peaks, 0.5),
        quantile(&peaks, 1.0),
        reports.iter().map(|report| report.lost).sum::<u64>(),
        reports.iter().map(|report| report.reordered).sum::<u64>(),
    )
}

/// The value that this share of all does not exceed; 0 if there are none.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(place.saturating_sub(1)).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_one_of_the_values() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!([0.5, 0.95, 1.0].map(|share| quantile(&values, share)), [50.0, 95.0, 100.0]);
        assert_eq!((quantile(&values[..1], 0.01), quantile(&[], 0.5)), (1.0, 0.0));
    }
}
