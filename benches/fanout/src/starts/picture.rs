//! Reports of starts as a picture (SVG): how many of a hundred see a picture after how long.
//!
//! Each carrier has a colour. Where there are two relays, the first one's lines are dashed.

use std::io::{Error, Result};

use crate::picture::{COLOURS, open, text};

use super::table::{Options, Series};

const WIDTH: f64 = 760.0;
const PLOT_HEIGHT: f64 = 280.0;
const LEFT: f64 = 50.0;
const RIGHT: f64 = 20.0;
const BOTTOM: f64 = 45.0;
const LINE: f64 = 18.0;
/// Between two lines of the grid.
const STEP_MS: usize = 200;

/// Prints the picture.
pub fn run(options: &Options) -> Result<()> {
    let all = options.read()?;
    let last_ms = all.iter().flat_map(|series| series.pictures_ms.last()).copied().reduce(f64::max);
    let last_ms = last_ms.ok_or_else(|| Error::other("needs starts that saw a picture"))?;
    let steps = (last_ms / STEP_MS as f64).ceil().max(1.0);
    let axes = Axes { top: 34.0 + LINE * all.len() as f64, last_ms: steps * STEP_MS as f64 };
    open(WIDTH, axes.top + PLOT_HEIGHT + BOTTOM, "Time to the first picture");
    let title = "Starts that have a picture, in % of all, by milliseconds after the request";
    text(LEFT, 20.0, "start", "black", title);
    axes.print();
    let is_first =
        |series: &Series| all.iter().any(|other| other.relay != all[0].relay) && series.relay == all[0].relay;
    for (place, series) in all.iter().enumerate() {
        let colour = COLOURS[series.reports[0].carrier as usize % COLOURS.len()];
        let style = if is_first(series) {
            "stroke-width=\"1.2\" stroke-dasharray=\"4 3\""
        } else {
            "stroke-width=\"2\""
        };
        let mean_ms = series.pictures_ms.iter().sum::<f64>() / series.pictures_ms.len().max(1) as f64;
        let mark = if is_first(series) { "○" } else { "●" };
        let legend = format!("{mark} {}: mean {mean_ms:.0} ms", series.name);
        text(LEFT, 22.0 + LINE * (place + 1) as f64, "start", colour, &legend);
        println!("<path d=\"{}\" fill=\"none\" stroke=\"{colour}\" {style}/>", axes.staircase(series));
    }
    println!("</svg>");
    Ok(())
}

/// Time from left to right, shares from below.
struct Axes {
    top: f64,
    last_ms: f64,
}

impl Axes {
    fn x(&self, ms: f64) -> f64 {
        LEFT + ms / self.last_ms * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, share: f64) -> f64 {
        self.top + (1.0 - share) * PLOT_HEIGHT
    }

    fn print(&self) {
        for percent in (0..=100).step_by(20) {
            let y = self.y(f64::from(percent) / 100.0);
            println!("<path d=\"M{LEFT} {y:.1}H{}\" stroke=\"#ddd\"/>", WIDTH - RIGHT);
            text(LEFT - 8.0, y + 4.0, "end", "black", &percent.to_string());
        }
        for ms in (0..=self.last_ms as usize).step_by(STEP_MS) {
            let (x, bottom) = (self.x(ms as f64), self.y(0.0));
            println!("<path d=\"M{x:.1} {}V{bottom}\" stroke=\"#eee\"/>", self.top);
            text(x, bottom + LINE, "middle", "black", &ms.to_string());
        }
        text((LEFT + WIDTH - RIGHT) / 2.0, self.y(0.0) + 2.0 * LINE, "middle", "black", "ms");
    }

    /// A step up at each start's picture.
    fn staircase(&self, series: &Series) -> String {
        let each = 1.0 / series.reports.len() as f64;
        let mut path = format!("M{:.1} {:.1}", self.x(0.0), self.y(0.0));
        for (place, &ms) in series.pictures_ms.iter().enumerate() {
            path += &format!("H{:.1}V{:.1}", self.x(ms), self.y((place + 1) as f64 * each));
        }
        path
    }
}
