//! The Range header of PLAY (RFC 2326 section 12.29): a channel is live, and what was on has a time by the clock.
//!
//! Clients ask for ranges that a live channel does not have, and mean "play": `npt=0-` from the start, `npt=now-`,
//! `npt=end-`, a duration to record, the time of day. So what can be read plays from now on, but for a
//! `clock=` where a channel is recorded; what can not be read is told.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use rtsp_types::StatusCode;

/// Why a Range cannot be played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotLive {
    /// Not the syntax of a range.
    #[error("the range cannot be read")]
    Malformed,
    /// A unit of time that RFC 2326 does not name.
    #[error("the range's unit of time is not known")]
    UnknownUnit,
}

impl NotLive {
    /// The status to reply with: 400 for bad syntax, 501 for an unknown unit, as RFC 2326 section 12.29 asks.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Malformed => StatusCode::BadRequest,
            Self::UnknownUnit => StatusCode::NotImplemented,
        }
    }
}

/// What a Range asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Nothing, or the beginning, or any place of what has one: to go on.
    Anything,
    /// `npt=now-`: what comes now.
    Now,
    /// What came then, in microseconds since 1970; up to what came then.
    Past(u64, Option<u64>),
}

/// Reads a Range, if there is one: `unit=from-`, `unit=from-to` or `unit=-to`.
///
/// # Errors
/// Anything else.
pub fn asked(header: Option<&str>) -> Result<Asked, NotLive> {
    let Some(header) = header else { return Ok(Asked::Anything) };
    // ";time=" says when the request takes effect, which for us is always at once.
    let range = header.split(';').next().unwrap_or_default();
    let range: String = range.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_lowercase();
    let (unit, times) =
        range.split_once('=').filter(|(unit, _)| !unit.is_empty()).ok_or(NotLive::Malformed)?;
    let is_time = match unit {
        "npt" => is_npt,
        "clock" => is_clock,
        _ if unit.starts_with("smpte") => is_digits_and_colons,
        _ => return Err(NotLive::UnknownUnit),
    };
    let (from, to) = times.split_once('-').ok_or(NotLive::Malformed)?;
    let is_open = |time: &str| time.is_empty() || is_time(time);
    if !is_open(from) || !is_open(to) || from.is_empty() && to.is_empty() {
        return Err(NotLive::Malformed);
    }
    match unit {
        "npt" if from == "now" => Ok(Asked::Now),
        "clock" if !from.is_empty() => {
            let until = if to.is_empty() { None } else { Some(moment(to)?) };
            Ok(Asked::Past(moment(from)?, until))
        }
        _ => Ok(Asked::Anything),
    }
}

/// A part of a stored programme, in microseconds since its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// `None`: where it is, or from its beginning.
    pub from: Option<u64>,
    /// `None`: to its end.
    pub until: Option<u64>,
}

/// Why a stored programme is not played so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotStored {
    /// Not the syntax of a range.
    #[error("the range cannot be read")]
    Malformed,
    /// It has no other time than that since its beginning.
    #[error("a stored programme is played by npt alone")]
    Unit,
}

impl NotStored {
    /// The status to reply with: 501 for a unit that is not understood, as RFC 2326 section 12.29 asks.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Malformed => StatusCode::BadRequest,
            Self::Unit => StatusCode::NotImplemented,
        }
    }
}

/// Reads the Range of a stored programme: `npt=from-`, `npt=from-to` or `npt=-to`, in seconds or hours, minutes and seconds (RFC 2326
/// section 3.6). `now` and `beginning` are where it is.
///
/// # Errors
/// Anything else.
pub fn part(header: Option<&str>) -> Result<Part, NotStored> {
    let Some(header) = header else { return Ok(Part { from: None, until: None }) };
    let range = header.split(';').next().unwrap_or_default();
    let range: String = range.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_lowercase();
    let (unit, times) =
        range.split_once('=').filter(|(unit, _)| !unit.is_empty()).ok_or(NotStored::Malformed)?;
    if unit != "npt" {
        return Err(NotStored::Unit);
    }
    let (from, to) = times.split_once('-').ok_or(NotStored::Malformed)?;
    if from.is_empty() && to.is_empty() {
        return Err(NotStored::Malformed);
    }
    let time = |time: &str| match time {
        "" | "now" | "beginning" | "end" => Ok(None),
        time => normal_play_time(time).map(Some).ok_or(NotStored::Malformed),
    };
    let (from, until) = (if from == "beginning" { Some(0) } else { time(from)? }, time(to)?);
    Ok(Part { from, until })
}

/// `12.5` or `1:02:03.25`, in microseconds.
fn normal_play_time(time: &str) -> Option<u64> {
    let (whole, fraction) = time.split_once('.').unwrap_or((time, ""));
    let number = |digits: &str| {
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<u64>().ok())?
    };
    let seconds = match whole.split(':').collect::<Vec<_>>()[..] {
        [seconds] => number(seconds)?,
        [hours, minutes, seconds] => {
            let (minutes, seconds) = (number(minutes)?, number(seconds)?);
            let is_clock = minutes < 60 && seconds < 60;
            number(hours)?.checked_mul(3600)?.checked_add(minutes * 60 + seconds).filter(|_| is_clock)?
        }
        _ => return None,
    };
    let micros: String = fraction.bytes().map(char::from).chain("000000".chars()).take(6).collect();
    let micros =
        if fraction.bytes().all(|byte| byte.is_ascii_digit()) { number(&micros)? } else { return None };
    seconds.checked_mul(1_000_000)?.checked_add(micros)
}

/// `npt=` from a time on, and up to another one; both in microseconds.
#[must_use]
pub fn npt(from_us: u64, until_us: Option<u64>) -> String {
    let written = |us: u64| format!("{}.{:06}", us / 1_000_000, us % 1_000_000);
    format!("npt={}-{}", written(from_us), until_us.map(written).unwrap_or_default())
}

/// `clock=` from a moment on, and up to another one; both in microseconds since 1970.
#[must_use]
pub fn clock(from_us: u64, until_us: Option<u64>) -> String {
    format!("clock={}-{}", written(from_us), until_us.map(written).unwrap_or_default())
}

fn written(us: u64) -> String {
    let at =
        i64::try_from(us).ok().and_then(|us| Timestamp::from_microsecond(us).ok()).unwrap_or(Timestamp::MAX);
    at.strftime("%Y%m%dT%H%M%S%.6fZ").to_string()
}

/// A moment, in microseconds since 1970.
fn moment(time: &str) -> Result<u64, NotLive> {
    let time =
        DateTime::strptime("%Y%m%dT%H%M%S%.fZ", time.to_ascii_uppercase()).map_err(|_| NotLive::Malformed)?;
    let at = TimeZone::UTC.to_timestamp(time).map_err(|_| NotLive::Malformed)?;
    u64::try_from(at.as_microsecond()).map_err(|_| NotLive::Malformed)
}

/// Seconds, hours, minutes and seconds, or a word: RFC 2326 has `now`, servers and clients have others.
fn is_npt(time: &str) -> bool {
    ["now", "beginning", "end"].contains(&time) || is_digits_and_colons(time)
}

/// `19961108T142300.25Z`.
fn is_clock(time: &str) -> bool {
    time.starts_with(|c: char| c.is_ascii_digit())
        && time.bytes().all(|byte| byte.is_ascii_digit() || b"tz.:".contains(&byte))
}

fn is_digits_and_colons(time: &str) -> bool {
    time.starts_with(|c: char| c.is_ascii_digit())
        && time.bytes().all(|byte| byte.is_ascii_digit() || b":.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn whatever_can_be_read_plays() {
        for header in [
            "npt=now-",
            "npt=0-",
            "npt=0.000-",
            "npt=0.0000000000-",
            "npt = 0.000 -",
            "NPT=NOW-",
            "npt=0:00:00-",
            "npt=now-;time=19970123T143720Z",
            "npt=end-",
            "npt=10-",
            "npt=0-10",
            "npt=0.000-30.000",
            "npt=-20",
            "npt=now-60",
            "clock=19961108T142300Z-",
            "clock=20260101T000000.25Z-20260101T010000Z",
            "smpte=0:10:20-",
            "smpte-25=10:07:00-10:07:33:05.01",
        ] {
            assert!(asked(Some(header)).is_ok(), "{header}");
        }
        assert_eq!(asked(None), Ok(Asked::Anything));
    }

    #[test]
    fn a_time_of_the_clock_is_another_one() {
        const AT: u64 = 1_795_851_439_250_000;
        for (header, is) in [
            ("npt=now-", Asked::Now),
            ("npt=0-", Asked::Anything),
            ("clock=20261128T073719.25Z-", Asked::Past(AT, None)),
            ("clock = 20261128T073719.250Z - 20261128T073720Z", Asked::Past(AT, Some(AT + 750_000))),
            ("clock=-20261128T073719Z", Asked::Anything),
        ] {
            assert_eq!(asked(Some(header)), Ok(is), "{header}");
        }
        assert_eq!(clock(AT, None), "clock=20261128T073719.250000Z-");
        assert_eq!(asked(Some(&clock(AT, Some(AT + 1)))), Ok(Asked::Past(AT, Some(AT + 1))));
        assert_eq!(asked(Some("clock=20261328T073719Z-")), Err(NotLive::Malformed));
    }

    #[test]
    fn a_stored_programme_is_played_by_its_own_time() {
        let part = |header| super::part(Some(header)).map(|part| (part.from, part.until));
        for (header, is) in [
            ("npt=0-", (Some(0), None)),
            ("npt=0.000-", (Some(0), None)),
            ("NPT = 12.5 - 20", (Some(12_500_000), Some(20_000_000))),
            ("npt=1:02:03.25-", (Some(3_723_250_000), None)),
            ("npt=0.1234567-", (Some(123_456), None)),
            ("npt=now-", (None, None)),
            ("npt=beginning-end", (Some(0), None)),
            ("npt=-5;time=19970123T143720Z", (None, Some(5_000_000))),
        ] {
            assert_eq!(part(header), Ok(is), "{header}");
        }
        for (header, wrong) in [
            ("smpte=10:07:00-", NotStored::Unit),
            ("clock=20261128T073719Z-", NotStored::Unit),
            ("npt=1:99:00-", NotStored::Malformed),
            ("npt=1:2-", NotStored::Malformed),
            ("npt=x-", NotStored::Malformed),
            ("npt=1.x-", NotStored::Malformed),
            ("npt=99999999999999999999-", NotStored::Malformed),
            ("npt=-", NotStored::Malformed),
            ("", NotStored::Malformed),
        ] {
            assert_eq!(part(header), Err(wrong), "{header}");
        }
        assert_eq!(npt(1_250_000, None), "npt=1.250000-");
        assert_eq!(part(&npt(1, Some(2_000_000))), Ok((Some(1), Some(2_000_000))));
    }

    #[test]
    fn bad_syntax_and_unknown_units_differ() {
        for header in ["", "npt", "npt=", "npt=-", "npt=soon-", "now-", "=0-", "npt=5", "npt=1-x", "clock=-"]
        {
            assert_eq!(asked(Some(header)).map_err(|e| u16::from(e.status())), Err(400), "{header}");
        }
        assert_eq!(asked(Some("bytes=0-")).map_err(|e| u16::from(e.status())), Err(501));
    }

    proptest! {
        #[test]
        fn hostile_text_never_panics(header in "(npt=|smpte=|clock=)?[0-9a-z.:;= -]{0,30}") {
            let _ = (asked(Some(&header)), part(Some(&header)));
        }

        #[test]
        fn any_text_never_panics(header in any::<String>()) {
            let _ = (asked(Some(&header)), part(Some(&header)));
        }
    }
}
