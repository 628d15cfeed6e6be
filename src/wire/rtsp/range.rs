//! The Range header of PLAY for a channel that is live (RFC 2326 section 12.29): there is only now, whatever is asked for.
//!
//! Clients ask for ranges that a live channel does not have, and mean "play": `npt=0-` from the start, `npt=now-`,
//! `npt=end-`, a duration to record, the time of day. So what can be read plays from now on; what can not be is told.

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

/// Checks that a Range can be read, if there is one: `unit=from-`, `unit=from-to` or `unit=-to`.
///
/// # Errors
/// Anything else.
pub fn check(header: Option<&str>) -> Result<(), NotLive> {
    let Some(header) = header else { return Ok(()) };
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
    let is_range = is_open(from) && is_open(to) && !(from.is_empty() && to.is_empty());
    if is_range { Ok(()) } else { Err(NotLive::Malformed) }
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
            assert_eq!(check(Some(header)), Ok(()), "{header}");
        }
        assert_eq!(check(None), Ok(()));
    }

    #[test]
    fn bad_syntax_and_unknown_units_differ() {
        for header in ["", "npt", "npt=", "npt=-", "npt=soon-", "now-", "=0-", "npt=5", "npt=1-x", "clock=-"]
        {
            assert_eq!(check(Some(header)).map_err(|e| u16::from(e.status())), Err(400), "{header}");
        }
        assert_eq!(check(Some("bytes=0-")).map_err(|e| u16::from(e.status())), Err(501));
    }

    proptest! {
        #[test]
        fn hostile_text_never_panics(header in "(npt=|smpte=|clock=)?[0-9a-z.:;= -]{0,30}") {
            let _ = check(Some(&header));
        }

        #[test]
        fn any_text_never_panics(header in any::<String>()) {
            let _ = check(Some(&header));
        }
    }
}
