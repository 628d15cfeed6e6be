//! Reports as a picture (SVG): delay and CPU by subscribers, both logarithmic, a line for each way to be served.
//!
//! Equal factors are equal lengths on both axes, so what grows in proportion is straight, and a step shows.

use std::io::{Error, Result};

use crate::report::Report;
use crate::table::{self, best};

const WIDTH: f64 = 920.0;
const HEIGHT: f64 = 380.0;
const PANEL_WIDTH: f64 = 385.0;
const TOP: f64 = 76.0;
const BOTTOM: f64 = 50.0;
/// Where each panel begins.
const LEFTS: [f64; 2] = [50.0, 515.0];
/// One for each line.
pub const COLOURS: [&str; 4] = ["#3b6ea8", "#b05a2c", "#5b8a3c", "#7a5195"];
const FULL: &str = "stroke-width=\"2\"";
const DASHED: &str = "stroke-width=\"1.2\" stroke-dasharray=\"5 3\"";

/// What a line shows of a report.
type Value = fn(&Report) -> f64;

const P50_MS: Value = |report| report.p50_ms;
const P99_MS: Value = |report| report.p99_ms;
const CPU_PERCENT: Value = |report| (report.relay_cpu + report.softirq_cpu) * 100.0;

/// Prints the picture.
pub fn run(options: &table::Options) -> Result<()> {
    let reports = best(options.read()?);
    let nothing = || Error::other("needs runs of different subscribers");
    let delay = Axes::around(LEFTS[0], &reports, &[P50_MS, P99_MS]).ok_or_else(nothing)?;
    let cpu = Axes::around(LEFTS[1], &reports, &[CPU_PERCENT]).ok_or_else(nothing)?;
    open(WIDTH, HEIGHT, "Delay and CPU, by subscribers");
    text(LEFTS[0], 20.0, "start", "black", "Delay in ms: p99 in full, p50 dashed");
    text(LEFTS[1], 20.0, "start", "black", "CPU of the relay, in % of one core");
    delay.print(&reports);
    cpu.print(&reports);
    for (place, (name, points)) in lines(&reports).into_iter().enumerate() {
        let colour = COLOURS[place % COLOURS.len()];
        let (row, column) = (place / 3, place % 3);
        let x = LEFTS[0] + 290.0 * column as f64;
        text(x, 42.0 + 16.0 * row as f64, "start", colour, &format!("● {name}"));
        delay.line(&points, P50_MS, colour, DASHED);
        delay.line(&points, P99_MS, colour, FULL);
        cpu.line(&points, CPU_PERCENT, colour, FULL);
    }
    println!("</svg>");
    Ok(())
}

/// The reports of each line, by its name, from few subscribers to many.
fn lines(reports: &[Report]) -> Vec<(String, Vec<&Report>)> {
    let mut lines: Vec<(String, Vec<&Report>)> = Vec::new();
    for report in reports {
        let name = format!("{} over {}, hold {}", report.relay, report.transport.to_uppercase(), report.hold);
        match lines.iter_mut().find(|(known, _)| *known == name) {
            Some((_, points)) => points.push(report),
            None => lines.push((name, vec![report])),
        }
    }
    for (_, points) in &mut lines {
        points.sort_by_key(|report| report.subscribers);
    }
    lines
}

/// A panel: subscribers from left to right, values from below.
struct Axes {
    left: f64,
    subscribers: Scale,
    values: Scale,
}

impl Axes {
    /// `None` where there is nothing to see.
    fn around(left: f64, reports: &[Report], values: &[Value]) -> Option<Self> {
        let subscribers = Scale::around(reports.iter().map(|report| report.subscribers as f64))?;
        let all = reports.iter().flat_map(|report| values.iter().map(|value| value(report)));
        let Scale { least, most } = Scale::around(all.filter(|&value| value > 0.0))?;
        let values = Scale { least: below(least), most: above(most) };
        (subscribers.least < subscribers.most && values.least < values.most).then_some(Self {
            left,
            subscribers,
            values,
        })
    }

    fn x(&self, subscribers: usize) -> f64 {
        self.left + self.subscribers.part(subscribers as f64) * PANEL_WIDTH
    }

    fn y(&self, value: f64) -> f64 {
        TOP + (1.0 - self.values.part(value)) * (HEIGHT - TOP - BOTTOM)
    }

    fn print(&self, reports: &[Report]) {
        for value in steps().filter(|&value| self.values.holds(value)) {
            let (y, right) = (self.y(value), self.left + PANEL_WIDTH);
            println!("<path d=\"M{} {y:.1}H{right}\" stroke=\"#ddd\"/>", self.left);
            text(self.left - 8.0, y + 4.0, "end", "black", &value.to_string());
        }
        let mut counts: Vec<_> = reports.iter().map(|report| report.subscribers).collect();
        counts.sort_unstable();
        counts.dedup();
        // Where they are too close to each other, the larger one is told.
        let mut free = f64::INFINITY;
        for count in counts.into_iter().rev() {
            let (x, name) = (self.x(count), count.to_string());
            println!("<path d=\"M{x:.1} {TOP}V{}\" stroke=\"#eee\"/>", HEIGHT - BOTTOM);
            let half = 3.6 * name.len() as f64;
            if x + half < free {
                text(x, HEIGHT - BOTTOM + 20.0, "middle", "black", &name);
                free = x - half - 3.0;
            }
        }
        text(self.left + PANEL_WIDTH / 2.0, HEIGHT - 8.0, "middle", "black", "subscribers");
    }

    fn line(&self, points: &[&Report], value: Value, colour: &str, stroke: &str) {
        let places: Vec<_> =
            points.iter().map(|report| (self.x(report.subscribers), self.y(value(report)))).collect();
        let path: Vec<_> = places.iter().map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
        println!("<path d=\"M{}\" fill=\"none\" stroke=\"{colour}\" {stroke}/>", path.join("L"));
        for (x, y) in places {
            println!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>");
        }
    }
}

/// A logarithmic scale.
struct Scale {
    least: f64,
    most: f64,
}

impl Scale {
    fn around(values: impl Iterator<Item = f64> + Clone) -> Option<Self> {
        Some(Self { least: values.clone().reduce(f64::min)?, most: values.reduce(f64::max)? })
    }

    /// Where a value lies: 0 at the least, 1 at the most. What is too small to be drawn is at the bottom.
    fn part(&self, value: f64) -> f64 {
        ((value.max(self.least) / self.least).ln() / (self.most / self.least).ln()).min(1.0)
    }

    fn holds(&self, value: f64) -> bool {
        (self.least * 0.999..=self.most * 1.001).contains(&value)
    }
}

/// The values that lines are drawn at: 1, 2, 5, 10 and so on.
fn steps() -> impl Iterator<Item = f64> {
    const POWERS: [f64; 9] = [1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3, 1e4, 1e5];
    POWERS.into_iter().flat_map(|power| [1.0, 2.0, 5.0].map(|step| rounded(step * power)))
}

/// Without what binary fractions add to decimal ones.
fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

/// The next step at or below a value.
fn below(value: f64) -> f64 {
    steps().take_while(|&step| step <= value).last().unwrap_or(value)
}

/// The next step at or above a value.
fn above(value: f64) -> f64 {
    steps().find(|&step| step >= value).unwrap_or(value)
}

/// Opens the picture, in white.
pub fn open(width: f64, height: f64, title: &str) {
    println!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" \
         font-size=\"12\" role=\"img\">\n<title>{title}</title>\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>"
    );
}

/// Writes some words.
pub fn text(x: f64, y: f64, anchor: &str, colour: &str, what: &str) {
    println!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{colour}\">{what}</text>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panel_begins_and_ends_at_a_step() {
        assert_eq!((below(0.3), below(5.0), below(73.1)), (0.2, 5.0, 50.0));
        assert_eq!((above(0.3), above(5.0), above(73.1)), (0.5, 5.0, 100.0));
    }

    #[test]
    fn equal_factors_are_equal_lengths() {
        let scale = Scale { least: 10.0, most: 1000.0 };
        assert!((scale.part(100.0) - 0.5).abs() < 1e-9);
        assert_eq!((scale.part(0.0), scale.part(1000.0)), (0.0, 1.0));
    }
}
