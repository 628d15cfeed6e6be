//! What a query asks for of what was on, as players and set-top boxes write it: `utc=` and `lutc=`, `playseek=`, `start=` and `duration=`.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// A moment, as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Seconds since 1970.
    Unix(u64),
    /// Of a clock on the wall, wherever that is.
    Wall(DateTime),
}

/// A part of what was on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Past {
    /// From when on.
    pub from: Moment,
    /// Until when; on to what comes now where absent.
    pub until: Option<Until>,
}

/// Where it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Then.
    At(Moment),
    /// So many seconds after it began.
    After(u64),
}

const WRONG: &str = "The times are wrong: write ?utc=SECONDS since 1970, ?start=SECONDS&duration=SECONDS, or ?playseek=YYYYMMDDhhmmss-YYYYMMDDhhmmss.";

impl Past {
    /// What these words of a query ask for. `None`: for what comes now.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) fn parse<'w>(
        words: impl Iterator<Item = (&'w str, &'w str)>,
    ) -> Result<Option<Self>, &'static str> {
        let (mut from, mut until) = (None, None);
        for (key, word) in words.filter(|(_, word)| !word.is_empty()) {
            match key {
                // When the client thinks it is (`lutc`) does not matter.
                "utc" | "start" => from = Some(moment(word)?),
                "utcend" | "end" => until = Some(Until::At(moment(word)?)),
                "duration" => until = Some(Until::After(word.parse().map_err(|_| WRONG)?)),
                "playseek" => {
                    let (begin, end) = word.split_once('-').ok_or(WRONG)?;
                    from = Some(moment(begin)?);
                    until = if end.is_empty() { None } else { Some(Until::At(moment(end)?)) };
                }
                _ => {}
            }
        }
        Ok(from.map(|from| Self { from, until }))
    }

    /// The same in microseconds since 1970, where clocks on the wall are of that zone.
    ///
    /// # Errors
    /// It ends before it begins, or no clock ever showed that.
    pub fn span_us(&self, zone: &TimeZone) -> Result<(u64, Option<u64>), &'static str> {
        let from = self.from.us(zone)?;
        let until = match self.until {
            Some(Until::At(moment)) => Some(moment.us(zone)?),
            Some(Until::After(seconds)) => Some(from.saturating_add(seconds.saturating_mul(1_000_000))),
            None => None,
        };
        if until.is_some_and(|until| until <= from) { Err(WRONG) } else { Ok((from, until)) }
    }
}

impl Moment {
    fn us(self, zone: &TimeZone) -> Result<u64, &'static str> {
        match self {
            Self::Unix(seconds) => Ok(seconds.saturating_mul(1_000_000)),
            Self::Wall(time) => {
                let at = zone.to_timestamp(time).map_err(|_| WRONG)?;
                u64::try_from(at.as_microsecond()).map_err(|_| WRONG)
            }
        }
    }
}

/// `1795851439`, `20261128073719`, or `20261128T073719Z`, which is of no other clock than UTC's.
fn moment(text: &str) -> Result<Moment, &'static str> {
    let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if is_digits && text.len() == 14 {
        let time = DateTime::strptime("%Y%m%d%H%M%S", text).map_err(|_| WRONG)?;
        return Ok(Moment::Wall(time));
    }
    if is_digits && text.len() <= 12 {
        return text.parse().map(Moment::Unix).map_err(|_| WRONG);
    }
    let time = DateTime::strptime("%Y%m%dT%H%M%SZ", text).map_err(|_| WRONG)?;
    Moment::Wall(time).us(&TimeZone::UTC).map(|us| Moment::Unix(us / 1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(query: &str) -> Result<Option<(u64, Option<u64>)>, &'static str> {
        let words = query.split('&').map(|word| word.split_once('=').unwrap_or((word, "")));
        let past = Past::parse(words)?;
        past.map(|past| past.span_us(&TimeZone::fixed(jiff::tz::offset(2)))).transpose()
    }

    #[test]
    fn each_way_to_write_it_comes_to_the_same() {
        const FROM: u64 = 1_795_851_439_000_000;
        let minute = Some(FROM + 60_000_000);
        for (query, is) in [
            ("utc=1795851439&lutc=1795860000", (FROM, None)),
            ("utc=1795851439&utcend=1795851499", (FROM, minute)),
            ("start=1795851439&duration=60", (FROM, minute)),
            ("start=20261128T073719Z&duration=60", (FROM, minute)),
            ("playseek=20261128093719-20261128093819", (FROM, minute)),
            ("playseek=20261128093719-", (FROM, None)),
        ] {
            assert_eq!(parse(query), Ok(Some(is)), "{query}");
        }
    }

    #[test]
    fn what_asks_for_now_is_no_past_and_what_can_not_be_is_refused() {
        for query in ["", "token=x", "lutc=5", "duration=60", "utc=&lutc="] {
            assert_eq!(parse(query), Ok(None), "{query}");
        }
        for query in
            ["utc=x", "utc=5&utcend=5", "start=1&duration=-1", "playseek=5", "playseek=20261328093719-"]
        {
            assert!(parse(query).is_err(), "{query}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_asked_for_is_read_or_refused(query in "(utc|start|end|duration|playseek)=[0-9TZ-]{0,16}&(duration|utcend)=[0-9]{0,20}") {
            if let Ok(Some((from, Some(until)))) = parse(&query) {
                prop_assert!(from < until);
            }
        }
    }
}
