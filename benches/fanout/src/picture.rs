//! Reports as a picture (SVG): CPU per packet by subscribers, a line for each relay and hold.

use std::io::{Error, Result};

use crate::report::Report;
use crate::table::{self, best};

const WIDTH: f64 = 680.0;
const HEIGHT: f64 = 340.0;
const LEFT: f64 = 50.0;
const RIGHT: f64 = 30.0;
const TOP: f64 = 60.0;
const BOTTOM: f64 = 50.0;
/// One for each line.
pub const COLOURS: [&str; 4] = ["#3b6ea8", "#b05a2c", "#5b8a3c", "#7a5195"];

/// Prints the picture.
pub fn run(options: &table::Options) -> Result<()> {
    let reports = best(options.read()?);
    let axes = Axes::around(&reports).ok_or_else(|| Error::other("needs runs of different subscribers"))?;
    open(WIDTH, HEIGHT, "CPU per delivered packet, by subscribers");
    text(LEFT, 20.0, "start", "black", "µs of CPU for each packet delivered, by subscribers; one core");
    axes.print(&reports);
    let mut series: Vec<(&str, &str)> = Vec::new();
    for report in &reports {
        if !series.contains(&(&report.relay, &report.hold)) {
            series.push((&report.relay, &report.hold));
        }
    }
    for (place, (relay, hold)) in series.into_iter().enumerate() {
        let points: Vec<_> = reports.iter().filter(|r| r.relay == relay && r.hold == hold).collect();
        let colour = COLOURS[place % COLOURS.len()];
        text(LEFT + 150.0 * place as f64, 42.0, "start", colour, &format!("● {relay}, hold {hold}"));
        axes.line(&points, colour, place == 0);
    }
    println!("</svg>");
    Ok(())
}

/// Subscribers by their logarithm, cost from zero on.
struct Axes {
    fewest: f64,
    most: f64,
    dearest: f64,
}

impl Axes {
    /// `None` where there is nothing to see.
    fn around(reports: &[Report]) -> Option<Self> {
        let subscribers = || reports.iter().map(|report| report.subscribers as f64);
        let (fewest, most) = (subscribers().reduce(f64::min)?, subscribers().reduce(f64::max)?);
        let dearest = reports.iter().map(|report| report.cpu_us_per_packet).reduce(f64::max)?.ceil();
        (fewest < most).then_some(Self { fewest, most, dearest })
    }

    fn x(&self, subscribers: usize) -> f64 {
        let part = (subscribers as f64 / self.fewest).log2() / (self.most / self.fewest).log2();
        LEFT + part * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, cost: f64) -> f64 {
        TOP + (1.0 - cost / self.dearest) * (HEIGHT - TOP - BOTTOM)
    }

    fn print(&self, reports: &[Report]) {
        for cost in 0..=self.dearest as usize {
            let y = self.y(cost as f64);
            println!("<path d=\"M{LEFT} {y:.1}H{}\" stroke=\"#ddd\"/>", WIDTH - RIGHT);
            text(LEFT - 8.0, y + 4.0, "end", "black", &cost.to_string());
        }
        let mut subscribers: Vec<_> = reports.iter().map(|report| report.subscribers).collect();
        subscribers.dedup();
        for count in subscribers {
            text(self.x(count), HEIGHT - BOTTOM + 20.0, "middle", "black", &count.to_string());
        }
        text(WIDTH / 2.0, HEIGHT - 8.0, "middle", "black", "subscribers");
    }

    fn line(&self, points: &[&Report], colour: &str, with_figures: bool) {
        let places: Vec<_> = points
            .iter()
            .map(|report| (self.x(report.subscribers), self.y(report.cpu_us_per_packet)))
            .collect();
        for pair in places.windows(2) {
            let ((from_x, from_y), (to_x, to_y)) = (pair[0], pair[1]);
            println!(
                "<line x1=\"{from_x:.1}\" y1=\"{from_y:.1}\" x2=\"{to_x:.1}\" y2=\"{to_y:.1}\" stroke=\"{colour}\" \
                 stroke-width=\"2\"/>"
            );
        }
        for (report, (x, y)) in points.iter().zip(places) {
            println!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{colour}\"/>");
            if with_figures {
                text(x, y + 18.0, "middle", colour, &format!("{:.2}", report.cpu_us_per_packet));
            }
        }
    }
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
