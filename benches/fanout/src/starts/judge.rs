//! The judge: when everything was there that the decoder needs for a picture, and what it complained of.

use std::fs;
use std::io::{Error, Result};
use std::path::{Path, PathBuf};
use std::thread;

use super::capture::{Capture, Carrier};
use super::decoder;
use super::report::Report;
use super::transport_stream::{bytes_per_second, whole_units};

const WINDOW_US: u64 = 200_000;
const JUDGES: usize = 2;
const FEW_PIECES: usize = 4;

/// What to judge.
#[derive(clap::Args)]
pub struct Options {
    /// Where it was kept.
    #[arg(long)]
    from: PathBuf,
    #[arg(long, value_enum)]
    carrier: Carrier,
    /// The relay's name in the reports.
    #[arg(long)]
    relay: String,
}

/// Prints a report for each start.
pub fn run(options: &Options) -> Result<()> {
    let mut names: Vec<PathBuf> =
        fs::read_dir(&options.from)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_>>()?;
    names
        .retain(|name| name.extension().is_some_and(|extension| extension == "json") && is_of(name, options));
    names.sort();
    let reports = thread::scope(|scope| {
        let judges: Vec<_> = names
            .chunks(names.len().div_ceil(JUDGES).max(1))
            .map(|names| scope.spawn(|| names.iter().map(|name| judge(name, options)).collect::<Vec<_>>()))
            .collect();
        let judged =
            judges.into_iter().map(|judge| judge.join().map_err(|_| Error::other("a judge panicked")));
        judged.collect::<Result<Vec<_>>>()
    })?;
    for report in reports.into_iter().flatten() {
        println!("{}", serde_json::to_string(&report?)?);
    }
    Ok(())
}

fn is_of(name: &Path, options: &Options) -> bool {
    let carrier = format!("{}-", options.carrier.name());
    name.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&carrier))
}

fn judge(name: &Path, options: &Options) -> Result<Report> {
    let capture = Capture::load(name)?;
    let complaints = decoder::complaints(&whole_units(&capture.stream))?;
    let mut report = Report {
        relay: options.relay.clone(),
        carrier: options.carrier,
        first_ms: capture.pieces.first().map(|piece| ms(piece.0)),
        picture_ms: None,
        picture_bytes: 0,
        peak: None,
        complaints: complaints.len(),
        complaint: complaints.into_iter().next(),
        lost: capture.lost,
        reordered: capture.reordered,
    };
    let Some(pieces) = pieces_of_picture(&capture, decoder::first_picture)? else { return Ok(report) };
    let (picture_us, picture_bytes) = capture.until(pieces);
    (report.picture_ms, report.picture_bytes) = (Some(ms(picture_us)), picture_bytes);
    report.peak = bytes_per_second(&capture.stream)
        .map(|rate| capture.most_bytes(WINDOW_US, picture_us) as f64 / (rate * ms(WINDOW_US) / 1000.0));
    Ok(report)
}

/// How many pieces the decoder needs for its first picture: the fewest from which it makes the picture that it makes
/// of all. From less it makes none, or one that is not whole.
fn pieces_of_picture(
    capture: &Capture,
    first_picture: impl Fn(&[u8]) -> Result<Option<String>>,
) -> Result<Option<usize>> {
    let Some(picture) = first_picture(&capture.stream)? else { return Ok(None) };
    let is_enough = |pieces: usize| -> Result<bool> {
        Ok(first_picture(&capture.stream[..capture.until(pieces).1])?.as_ref() == Some(&picture))
    };
    // Little is judged faster than much.
    let (mut too_few, mut enough) = (0, FEW_PIECES);
    while enough < capture.pieces.len() && !is_enough(enough)? {
        (too_few, enough) = (enough, enough * 2);
    }
    enough = enough.min(capture.pieces.len());
    while enough - too_few > 1 {
        let middle = too_few.midpoint(enough);
        if is_enough(middle)? {
            enough = middle;
        } else {
            too_few = middle;
        }
    }
    Ok(Some(enough))
}

fn ms(us: u64) -> f64 {
    us as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fewest_pieces_are_those_that_make_the_same_picture_as_all() {
        let mut capture = Capture::default();
        (0..9).for_each(|byte| capture.push(u64::from(byte), &[byte, byte]));
        for needed in 1..=18 {
            let decoder = |stream: &[u8]| {
                let picture = if stream.len() >= needed { "whole" } else { "torn" };
                Ok((stream.len() > 1).then(|| picture.to_owned()))
            };
            assert_eq!(pieces_of_picture(&capture, decoder).ok(), Some(Some(needed.div_ceil(2))), "{needed}");
        }
        assert_eq!(pieces_of_picture(&capture, |_| Ok(None)).ok(), Some(None));
    }
}
