//! What files of a segment are called: when it begins, in UTC, the number of the track, and what is in it.

use std::fmt;
use std::str::FromStr;

/// When a segment begins: milliseconds since 1970. Written as `20261128T073719.250Z`, which sorts by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp(pub u64);

/// What is in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A track's media, a transport stream.
    TransportStream,
    /// A track's media, whatever else it is.
    RtpDump,
    /// A track's index.
    Index,
    /// What the tracks are.
    Description,
}

/// A file of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SegmentFile {
    /// Whose it is.
    pub stamp: Stamp,
    /// The number of the track, from 1; 0 of what is about all of them.
    pub track: u16,
    /// What it is.
    pub kind: Kind,
}

const KINDS: [(Kind, &str); 4] = [
    (Kind::TransportStream, "ts"),
    (Kind::RtpDump, "rtpdump"),
    (Kind::Index, "index"),
    (Kind::Description, "sdp"),
];

impl Stamp {
    /// The moment, in microseconds since 1970.
    #[must_use]
    pub fn micros(self) -> u64 {
        self.0.saturating_mul(1000)
    }
}

impl SegmentFile {
    /// The file that has this name. `None`: it is none of a segment.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let (stem, extension) = name.rsplit_once('.')?;
        let kind = KINDS.iter().find(|(_, known)| *known == extension)?.0;
        let (stamp, track) = match kind {
            Kind::Description => (stem, 0),
            _ => stem.rsplit_once('-').and_then(|(stamp, track)| Some((stamp, track.parse().ok()?)))?,
        };
        let file = Self { stamp: stamp.parse().ok()?, track, kind };
        (file.to_string() == name).then_some(file)
    }
}

impl fmt::Display for SegmentFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let extension = KINDS.iter().find(|(kind, _)| *kind == self.kind).map_or("", |(_, name)| name);
        match self.track {
            0 => write!(f, "{}.{extension}", self.stamp),
            track => write!(f, "{}-{track}.{extension}", self.stamp),
        }
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is out of bounds is clamped, and nobody's clock is there.
        let at = jiff::Timestamp::from_millisecond(self.0 as i64).unwrap_or(jiff::Timestamp::MAX);
        f.write_str(&at.strftime("%Y%m%dT%H%M%S.%3fZ").to_string())
    }
}

impl FromStr for Stamp {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let time = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%S%.fZ", text)?;
        let at = jiff::tz::TimeZone::UTC.to_timestamp(time)?;
        Ok(Self(u64::try_from(at.as_millisecond()).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_tell_when_and_what() {
        let stamp = Stamp(1_795_851_439_250);
        let file = |track, kind| SegmentFile { stamp, track, kind };
        assert_eq!(file(1, Kind::TransportStream).to_string(), "20261128T073719.250Z-1.ts");
        assert_eq!(file(0, Kind::Description).to_string(), "20261128T073719.250Z.sdp");
        for name in [
            "",
            "a.ts",
            "20261128T073719.250Z.ts",
            "20261328T073719.250Z-1.ts",
            "20261128T073719Z-1.ts",
            "x-1.index",
        ] {
            assert_eq!(SegmentFile::named(name), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(at in 0u64..4_000_000_000_000, track in 1u16.., kind in 0usize..3) {
            let file = SegmentFile { stamp: Stamp(at), track, kind: KINDS[kind].0 };
            prop_assert_eq!(SegmentFile::named(&file.to_string()), Some(file));
        }

        #[test]
        fn any_name_is_looked_at(name in "[0-9TZ.-]{0,30}(ts|index|sdp)?") {
            let _ = SegmentFile::named(&name);
        }
    }
}
