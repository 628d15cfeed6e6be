//! Single values of the file: read, held against their bounds, or noted with what to write instead.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use toml::Spanned;

use super::report::Report;
use super::scalar;
use super::section::{Number, Typed};

const LISTENERS: usize = 64;
/// What a limit may be.
pub(super) const AT_A_TIME: RangeInclusive<usize> = 1..=1_000_000;

/// A list of addresses to listen on, such as `example`; none where the key is absent.
pub(super) fn listeners(
    typed: &Typed<Vec<Spanned<String>>>,
    place: &str,
    example: &str,
    report: &mut Report<'_>,
) -> Vec<SocketAddr> {
    let Some(typed) = typed else { return Vec::new() };
    let (offset, count) = (typed.span().start, typed.get_ref().len());
    if !(1..=LISTENERS).contains(&count) {
        let wrong = format!("{place}: {count} addresses; write 1 to {LISTENERS}, such as {example}");
        report.add(offset, wrong);
    }
    let mut listeners = Vec::new();
    for text in typed.get_ref().iter().take(LISTENERS) {
        match scalar::listen_address(text.get_ref()) {
            Ok(address) if listeners.contains(&address) => {
                report.add(text.span().start, format!("{place}: {address} is there twice; leave one out"));
            }
            Ok(address) => listeners.push(address),
            Err(wrong) => report.add(text.span().start, format!("{place}: {wrong}")),
        }
    }
    listeners
}

/// The value of a text, or `None` where it is absent, or wrong and noted.
pub(super) fn parsed<T>(
    typed: &Typed<String>,
    place: &str,
    parse: impl FnOnce(&str) -> Result<T, String>,
    report: &mut Report<'_>,
) -> Option<T> {
    let text = typed.as_ref()?;
    parse(text.get_ref()).map_err(|wrong| report.add(text.span().start, format!("{place}: {wrong}"))).ok()
}

/// A duration within `bounds`, which like `default` are written as an operator would write them.
pub(super) fn duration_within(
    typed: &Typed<String>,
    place: &str,
    default: &str,
    bounds: [&str; 2],
    report: &mut Report<'_>,
) -> Duration {
    let ours =
        |text: &str| scalar::duration(text).expect("defaults and bounds are written right in the code");
    let within = |text: &str| {
        let value = scalar::duration(text)?;
        if (ours(bounds[0])..=ours(bounds[1])).contains(&value) {
            return Ok(value);
        }
        Err(format!("{text:?} is out of bounds; write a duration from {} to {}", bounds[0], bounds[1]))
    };
    parsed(typed, place, within, report).unwrap_or_else(|| ours(default))
}

/// A number of one octet, or `None` where it is absent.
pub(super) fn octet_within(
    typed: &Typed<Number>,
    place: &str,
    bounds: RangeInclusive<u8>,
    report: &mut Report<'_>,
) -> Option<u8> {
    typed.as_ref()?;
    let (low, high) = (usize::from(*bounds.start()), usize::from(*bounds.end()));
    u8::try_from(number_within(typed, place, low, low..=high, report)).ok()
}

pub(super) fn number_within(
    typed: &Typed<Number>,
    place: &str,
    default: usize,
    bounds: RangeInclusive<usize>,
    report: &mut Report<'_>,
) -> usize {
    let Some(number) = typed else { return default };
    match number.get_ref().value.and_then(|value| usize::try_from(value).ok()) {
        Some(value) if bounds.contains(&value) => value,
        _ => {
            let (low, high) = (bounds.start(), bounds.end());
            let wrong =
                format!("{place}: {} is out of bounds; write {low} to {high}", number.get_ref().typed);
            report.add(number.span().start, wrong);
            default
        }
    }
}
