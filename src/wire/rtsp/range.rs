//! The Range header of PLAY for a channel that is live (RFC 2326 section 12.29): there is only now.

use rtsp_types::StatusCode;
use rtsp_types::headers::{NptRange, NptTime, Range};

/// Why a Range cannot be played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotLive {
    /// A range that exists, but not in a live channel.
    #[error("a live channel plays from now on only")]
    OutOfBounds,
    /// Not the syntax of a range.
    #[error("the range cannot be read")]
    Malformed,
    /// A unit of time that RFC 2326 does not name.
    #[error("the range's unit of time is not known")]
    UnknownUnit,
}

impl NotLive {
    /// The status to reply with: 457 for a range out of bounds, 400 for bad syntax, 501 for an unknown unit, as
    /// RFC 2326 section 12.29 asks.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::OutOfBounds => StatusCode::InvalidRange,
            Self::Malformed => StatusCode::BadRequest,
            Self::UnknownUnit => StatusCode::NotImplemented,
        }
    }
}

/// Checks that a Range asks for now: absent, `npt=now-`, or from zero on (`npt=0-`, `npt=0.000-`), which is how
/// players say "from the start" before they know that a channel is live.
///
/// # Errors
/// Any other range.
pub fn check(header: Option<&str>) -> Result<(), NotLive> {
    let Some(header) = header else { return Ok(()) };
    // ";time=" says when the request takes effect, which for us is always at once.
    let range = header.split(';').next().unwrap_or_default();
    let range: String = range.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_lowercase();
    match unit_of(&range)? {
        Unit::Npt => match range.parse() {
            Ok(Range::Npt(NptRange::From(from))) if is_now(from) => Ok(()),
            Ok(Range::Npt(NptRange::Empty)) | Err(_) => Err(NotLive::Malformed),
            Ok(_) => Err(NotLive::OutOfBounds),
        },
        // Whatever its digits say, it is a time that was or will be. Not parsed, for `rtsp-types` wants clock
        // times in upper case and more strictly than they are sent.
        Unit::Smpte | Unit::Clock => Err(NotLive::OutOfBounds),
    }
}

enum Unit {
    Npt,
    Smpte,
    Clock,
}

fn unit_of(range: &str) -> Result<Unit, NotLive> {
    let (unit, _) = range.split_once('=').ok_or(NotLive::Malformed)?;
    match unit {
        "npt" => Ok(Unit::Npt),
        "smpte" | "smpte-25" | "smpte-30-drop" => Ok(Unit::Smpte),
        "clock" => Ok(Unit::Clock),
        "" => Err(NotLive::Malformed),
        _ => Err(NotLive::UnknownUnit),
    }
}

fn is_now(from: NptTime) -> bool {
    matches!(from, NptTime::Now | NptTime::Seconds(0, None | Some(0)) | NptTime::Hms(0, 0, 0, None | Some(0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn from_now_on() {
        for header in [
            "npt=now-",
            "npt=0-",
            "npt=0.000-",
            "npt = 0.000 -",
            "NPT=NOW-",
            "npt=0:00:00-",
            "npt=now-;time=19970123T143720Z",
        ] {
            assert_eq!(check(Some(header)), Ok(()), "{header}");
        }
        assert_eq!(check(None), Ok(()));
    }

    #[test]
    fn another_time_is_out_of_bounds() {
        for header in [
            "npt=10-",
            "npt=0-10",
            "npt=0.001-",
            "npt=-20",
            "npt=now-60",
            "clock=19961108T142300Z-",
            "smpte=0:10:20-",
            "smpte-25=10:07:00-10:07:33",
        ] {
            assert_eq!(check(Some(header)).map_err(|e| u16::from(e.status())), Err(457), "{header}");
        }
    }

    #[test]
    fn bad_syntax_and_unknown_units_differ() {
        for header in ["", "npt", "npt=", "npt=-", "npt=soon-", "now-", "=0-"] {
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
