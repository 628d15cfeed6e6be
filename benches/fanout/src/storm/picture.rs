//! Reports of storms as a picture (SVG): p99 over time, a line for each run.
//!
//! The viewers of the storm are drawn in full, those who play another channel dashed.

use std::io::{Error, Result};

use crate::picture::{COLOURS, open, text};

use super::report::{CrowdReport, Report};
use super::slices::Slice;
use super::table::{Options, best, load};

const WIDTH: f64 = 760.0;
const PLOT_HEIGHT: f64 = 280.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 130.0;
const BOTTOM: f64 = 45.0;
const LINE: f64 = 18.0;
/// Seconds that are drawn before the storm.
const BEFORE_S: f64 = 2.0;
/// What is good enough, in times of calm.
const LIMIT_RATIO: f64 = 2.5;

/// Prints the picture.
pub fn run(options: &Options) -> Result<()> {
    let reports = best(options.read()?);
    let axes =
        Axes::around(&reports).ok_or_else(|| Error::other("needs runs in which something was timed"))?;
    open(WIDTH, axes.top + PLOT_HEIGHT + BOTTOM, "p99 delay over time");
    text(
        LEFT,
        20.0,
        "start",
        "black",
        "p99 delay of 250 ms each, ms, by seconds from the storm's beginning on",
    );
    axes.print();
    for (place, report) in reports.iter().enumerate() {
        let colour = COLOURS[place % COLOURS.len()];
        text(LEFT, 20.0 + LINE * (place + 1) as f64, "start", colour, &legend(report));
        axes.line(&report.others.slices, colour, "stroke-width=\"1.2\" stroke-dasharray=\"4 3\"");
        axes.line(&report.viewers.slices, colour, "stroke-width=\"2\"");
    }
    if let Some(calm_ms) = reports.last().and_then(calm_ms) {
        axes.level(calm_ms, "steady");
        axes.level(calm_ms * LIMIT_RATIO, &format!("steady × {LIMIT_RATIO}"));
    }
    println!("</svg>");
    Ok(())
}

fn legend(report: &Report) -> String {
    let crowd = told(report);
    let worst = crowd.worst_ms.map_or(String::new(), |worst_ms| format!(", worst {worst_ms:.0} ms"));
    let ratio = crowd.ratio.map_or(String::new(), |ratio| format!(" (×{ratio:.1})"));
    format!("● {}, {}, {}{worst}{ratio}", report.relay, report.storm, load(report))
}

/// The crowd that a report is about: the viewers of the storm, or who is left of all.
fn told(report: &Report) -> &CrowdReport {
    if report.viewers.worst_ms.is_some() { &report.viewers } else { &report.others }
}

/// What the ratio is to.
fn calm_ms(report: &Report) -> Option<f64> {
    let crowd = told(report);
    Some(crowd.worst_ms? / crowd.ratio?)
}

/// Time from zero on, delay by its logarithm.
struct Axes {
    top: f64,
    last_s: f64,
    /// Powers of ten.
    least: i32,
    most: i32,
}

impl Axes {
    /// `None` where there is nothing to see.
    fn around(reports: &[Report]) -> Option<Self> {
        let slices =
            || reports.iter().flat_map(|report| report.viewers.slices.iter().chain(&report.others.slices));
        let delays = || slices().map(|slice| slice.p99_ms).filter(|&p99_ms| p99_ms > 0.0);
        let (least, most) = (delays().reduce(f64::min)?, delays().reduce(f64::max)?);
        let (least, most) = (least.log10().floor() as i32, most.log10().ceil() as i32);
        let last_s = slices().map(|slice| slice.at_s).reduce(f64::max)?.ceil().max(1.0);
        let top = 30.0 + LINE * reports.len() as f64;
        Some(Self { top, last_s, least, most: most.max(least + 1) })
    }

    fn x(&self, seconds: f64) -> f64 {
        LEFT + (seconds + BEFORE_S) / (self.last_s + BEFORE_S) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, ms: f64) -> f64 {
        let part = (ms.log10() - f64::from(self.least)) / f64::from(self.most - self.least);
        self.top + (1.0 - part) * PLOT_HEIGHT
    }

    fn print(&self) {
        for power in self.least..=self.most {
            for step in [1.0, 2.0, 5.0].into_iter().take(if power == self.most { 1 } else { 3 }) {
                let ms = step * 10_f64.powi(power);
                let y = self.y(ms);
                println!("<path d=\"M{LEFT} {y:.1}H{}\" stroke=\"#ddd\"/>", WIDTH - RIGHT);
                text(LEFT - 8.0, y + 4.0, "end", "black", &ms.to_string());
            }
        }
        let bottom = self.top + PLOT_HEIGHT;
        println!("<path d=\"M{:.1} {}V{bottom}\" stroke=\"#ddd\"/>", self.x(0.0), self.top);
        for seconds in (-BEFORE_S as i32..=self.last_s as i32).step_by(2) {
            text(self.x(f64::from(seconds)), bottom + LINE, "middle", "black", &seconds.to_string());
        }
        text((LEFT + WIDTH - RIGHT) / 2.0, bottom + 2.0 * LINE, "middle", "black", "seconds");
    }

    /// A line through the middle of the slices; it is broken where nothing was timed.
    fn line(&self, slices: &[Slice], colour: &str, style: &str) {
        let mut path = String::new();
        let mut command = 'M';
        for slice in slices.iter().filter(|slice| slice.at_s >= -BEFORE_S) {
            if slice.p99_ms <= 0.0 {
                command = 'M';
                continue;
            }
            path += &format!("{command}{:.1} {:.1}", self.x(slice.at_s + 0.125), self.y(slice.p99_ms));
            command = 'L';
        }
        println!("<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" {style}/>");
    }

    fn level(&self, ms: f64, name: &str) {
        let y = self.y(ms);
        println!("<path d=\"M{LEFT} {y:.1}H{}\" stroke=\"#555\" stroke-dasharray=\"1 3\"/>", WIDTH - RIGHT);
        text(WIDTH - RIGHT + 6.0, y + 4.0, "start", "#555", &format!("{name}: {ms:.0}"));
    }
}
