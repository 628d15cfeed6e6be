//! Session announcements (RFC 2974): a datagram to what it announces, and back; where and how often they are sent.
//!
//! It knows neither who may announce nor what a description says: that is bytes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// Where announcements are sent, in whatever group.
pub const PORT: u16 = 9875;

/// The largest description that is taken, in bytes. They are to fit a datagram of 1 KiB; those with parameter sets take some more.
pub const MAX_DESCRIPTION_LEN: usize = 16 * 1024;

/// Where sessions are announced (section 3): the global scope, those of an organisation and of a site, and of IPv6 the link, the
/// site, the organisation and the world.
pub const GROUPS: [IpAddr; 7] = [
    IpAddr::V4(GLOBAL),
    IpAddr::V4(LOCAL),
    IpAddr::V4(ORGANISATION),
    of_scope(0x2),
    of_scope(0x5),
    of_scope(0x8),
    of_scope(0xe),
];

const GLOBAL: Ipv4Addr = Ipv4Addr::new(224, 2, 127, 254);
/// The highest address of 239.255.0.0/16, and of 239.192.0.0/14 (RFC 2365).
const LOCAL: Ipv4Addr = Ipv4Addr::new(239, 255, 255, 255);
const ORGANISATION: Ipv4Addr = Ipv4Addr::new(239, 195, 255, 255);

/// The bits of the first byte, behind its three of the version.
const IS_IPV6: u8 = 0x10;
const IS_DELETION: u8 = 0x04;
const IS_ENCRYPTED: u8 = 0x02;
const IS_COMPRESSED: u8 = 0x01;
/// What every sender writes today. Older ones write 0.
const VERSION: u8 = 1;

const SDP: &[u8] = b"application/sdp";
/// No name of a type is longer.
const MAX_TYPE_LEN: usize = 128;

/// What all announcers of a group may send together, in bits a second, and how often each does at most (section 3.1).
const BITS_A_SECOND: u64 = 4000;
const LEAST_INTERVAL: Duration = Duration::from_secs(300);
const LONGEST_INTERVAL: Duration = Duration::from_secs(24 * 3600);

/// A session is announced, or that it is no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// There is this session.
    Announcement,
    /// There is none any more.
    Deletion,
}

/// What a datagram says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announcement<'a> {
    /// That there is a session, or none.
    pub kind: Kind,
    /// Which version of it, for those who have it already. 0: that is to be seen from the description.
    pub hash: u16,
    /// Who announces it, by his own word. Unspecified: he does not say.
    pub origin: IpAddr,
    /// The session, or of one that is no more its line `o=`, if anything.
    pub description: &'a [u8],
}

/// Why a datagram is no announcement that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotSap {
    /// It ends in its header.
    #[error("shorter than its header")]
    Short,
    /// Neither version 0 nor 1.
    #[error("not SAP version 0 or 1")]
    Version,
    /// Only those can read it who have the key.
    #[error("encrypted")]
    Encrypted,
    /// How long it is would be its sender's choice.
    #[error("compressed")]
    Compressed,
    /// What it describes a session with is no SDP.
    #[error("no application/sdp")]
    Type,
    /// It announces nothing.
    #[error("no description")]
    Empty,
    /// Over [`MAX_DESCRIPTION_LEN`].
    #[error("a description over 16 KiB")]
    Long,
}

impl NotSap {
    /// All reasons, so that counters can be laid out once.
    pub const ALL: [Self; 7] =
        [Self::Short, Self::Version, Self::Encrypted, Self::Compressed, Self::Type, Self::Empty, Self::Long];

    /// A stable word for this reason, for metric labels and logs.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Version => "version",
            Self::Encrypted => "encrypted",
            Self::Compressed => "compressed",
            Self::Type => "type",
            Self::Empty => "empty",
            Self::Long => "long",
        }
    }
}

/// Reads a datagram. What signs it is passed over: nobody's keys are known here.
///
/// # Errors
/// Says why it is not taken.
pub fn parse(datagram: &[u8]) -> Result<Announcement<'_>, NotSap> {
    let [flags, signed_words, high, low, rest @ ..] = datagram else { return Err(NotSap::Short) };
    if flags >> 5 > VERSION {
        return Err(NotSap::Version);
    }
    let is = |flag: u8| flags & flag != 0;
    let (origin, rest) = if is(IS_IPV6) {
        let (origin, rest) = rest.split_first_chunk::<16>().ok_or(NotSap::Short)?;
        (Ipv6Addr::from(*origin).to_canonical(), rest)
    } else {
        let (origin, rest) = rest.split_first_chunk::<4>().ok_or(NotSap::Short)?;
        (Ipv4Addr::from(*origin).into(), rest)
    };
    let rest = rest.get(4 * usize::from(*signed_words)..).ok_or(NotSap::Short)?;
    if is(IS_ENCRYPTED) {
        return Err(NotSap::Encrypted);
    }
    if is(IS_COMPRESSED) {
        return Err(NotSap::Compressed);
    }
    let kind = if is(IS_DELETION) { Kind::Deletion } else { Kind::Announcement };
    let description = described(rest, kind)?;
    if description.len() > MAX_DESCRIPTION_LEN {
        return Err(NotSap::Long);
    }
    Ok(Announcement { kind, hash: u16::from_be_bytes([*high, *low]), origin, description })
}

/// What follows the type, which may be left out before SDP. Some close the text with a zero, as C does.
fn described(payload: &[u8], kind: Kind) -> Result<&[u8], NotSap> {
    let end = payload.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let text = &payload[..end];
    if text.starts_with(b"v=") || kind == Kind::Deletion && (text.is_empty() || text.starts_with(b"o=")) {
        return Ok(text);
    }
    let type_end = payload.iter().take(MAX_TYPE_LEN).position(|byte| *byte == 0);
    let Some(type_end) = type_end else { return Err(NotSap::Type) };
    let name = payload[..type_end].split(|byte| *byte == b';').next().unwrap_or_default();
    if !name.is_empty() && !name.trim_ascii().eq_ignore_ascii_case(SDP) {
        return Err(NotSap::Type);
    }
    match text.get(type_end + 1..).unwrap_or_default() {
        [] if kind == Kind::Announcement => Err(NotSap::Empty),
        description => Ok(description),
    }
}

impl Announcement<'_> {
    /// It as a datagram.
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        let family = if self.origin.is_ipv6() { IS_IPV6 } else { 0 };
        let kind = if self.kind == Kind::Deletion { IS_DELETION } else { 0 };
        let mut datagram = vec![VERSION << 5 | family | kind, 0];
        datagram.extend(self.hash.to_be_bytes());
        match self.origin {
            IpAddr::V4(origin) => datagram.extend(origin.octets()),
            IpAddr::V6(origin) => datagram.extend(origin.octets()),
        }
        datagram.extend(SDP);
        datagram.push(0);
        datagram.extend(self.description);
        datagram
    }
}

/// Where a session is announced that is sent to a group: in that group's scope (section 3).
#[must_use]
pub fn announced_in(group: IpAddr) -> IpAddr {
    match group {
        IpAddr::V4(group) => match group.octets() {
            [239, 192..=195, ..] => ORGANISATION.into(),
            [239, ..] => LOCAL.into(),
            _ => GLOBAL.into(),
        },
        IpAddr::V6(group) => of_scope(group.segments()[0] & 0xf),
    }
}

const fn of_scope(scope: u16) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(0xff00 | scope, 0, 0, 0, 0, 0, 2, 0x7ffe))
}

/// How long after an announcement of so many bytes its next one is sent, where there are so many of them in the group:
/// up to a third more or less, by a number from 0 to 1 that nobody else has drawn (section 3.1).
#[must_use]
pub fn interval(announcements: usize, bytes: usize, drawn: f64) -> Duration {
    let bits = (announcements as u64).saturating_mul(8 * bytes as u64);
    let base = Duration::from_secs(bits / BITS_A_SECOND).clamp(LEAST_INTERVAL, LONGEST_INTERVAL);
    base.mul_f64((2.0 + 2.0 * drawn.clamp(0.0, 1.0)) / 3.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SESSION: &[u8] = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=x\r\n";

    fn announcement(description: &[u8]) -> Announcement<'_> {
        let origin = Ipv4Addr::new(192, 0, 2, 1).into();
        Announcement { kind: Kind::Announcement, hash: 0x1234, origin, description }
    }

    /// A datagram with this first byte, of a sender of IPv4, and what follows.
    fn datagram(flags: u8, rest: &[u8]) -> Vec<u8> {
        [&[flags, 0, 0x12, 0x34, 192, 0, 2, 1], rest].concat()
    }

    #[test]
    fn what_is_built_is_read_again() {
        for origin in [Ipv4Addr::new(192, 0, 2, 1).into(), "2001:db8::1".parse::<IpAddr>().expect("right")] {
            for kind in [Kind::Announcement, Kind::Deletion] {
                let built = Announcement { kind, origin, ..announcement(SESSION) };
                assert_eq!(parse(&built.build()), Ok(built));
            }
        }
    }

    #[test]
    fn a_description_begins_at_once_or_behind_its_type() {
        let expected = Ok(announcement(SESSION));
        for before in [&b""[..], b"application/sdp\0", b"Application/SDP; charset=utf-8\0", b"\0"] {
            assert_eq!(parse(&datagram(0x20, &[before, SESSION].concat())), expected, "{before:?}");
        }
        assert_eq!(parse(&datagram(0x28, SESSION)), expected, "what is reserved says nothing");
        assert_eq!(parse(&datagram(0x00, SESSION)), expected, "an old sender");
        assert_eq!(parse(&datagram(0x20, &[SESSION, b"\0"].concat())), expected, "closed as C does");
    }

    #[test]
    fn what_signs_it_is_passed_over() {
        let mut signed = datagram(0x20, &[&[7; 8], SESSION].concat());
        signed[1] = 2;
        assert_eq!(parse(&signed), Ok(announcement(SESSION)));
        signed[1] = 255;
        assert_eq!(parse(&signed), Err(NotSap::Short));
    }

    #[test]
    fn a_session_is_deleted_by_its_origin_or_its_hash_alone() {
        for line in [&b""[..], b"o=- 1 1 IN IP4 192.0.2.1\r\n", SESSION] {
            let expected = Announcement { kind: Kind::Deletion, ..announcement(line) };
            assert_eq!(parse(&datagram(0x24, line)), Ok(expected));
            assert_eq!(parse(&datagram(0x24, &[b"application/sdp\0", line].concat())), Ok(expected));
        }
    }

    #[test]
    fn what_is_not_taken_is_said() {
        for (flags, rest, reason) in [
            (0x40, SESSION, NotSap::Version),
            (0x22, SESSION, NotSap::Encrypted),
            (0x21, SESSION, NotSap::Compressed),
            (0x23, SESSION, NotSap::Encrypted),
            (0x20, b"", NotSap::Type),
            (0x20, b"application/sdp", NotSap::Type),
            (0x20, b"application/sdp\0", NotSap::Empty),
            (0x20, b"text/plain\0v=0\r\n", NotSap::Type),
            (0x20, b"o=- 1 1 IN IP4 192.0.2.1\r\n", NotSap::Type),
            (0x20, &[b'v'; 200], NotSap::Type),
            (0x30, SESSION, NotSap::Type),
        ] {
            assert_eq!(parse(&datagram(flags, rest)), Err(reason), "{flags:x} {rest:?}");
        }
        assert_eq!(parse(&datagram(0x30, b"short")), Err(NotSap::Short));
        let long = [b"v=0\r\n".to_vec(), vec![b'x'; MAX_DESCRIPTION_LEN]].concat();
        assert_eq!(parse(&datagram(0x20, &long)), Err(NotSap::Long));
    }

    #[test]
    fn a_session_is_announced_in_the_scope_of_its_group() {
        for (group, announced) in [
            ("224.2.130.1", "224.2.127.254"),
            ("232.1.2.3", "224.2.127.254"),
            ("239.255.3.4", "239.255.255.255"),
            ("239.69.1.2", "239.255.255.255"),
            ("239.192.1.2", "239.195.255.255"),
            ("239.195.1.2", "239.195.255.255"),
            ("ff15::1", "ff05::2:7ffe"),
            ("ff3e::8000:1", "ff0e::2:7ffe"),
        ] {
            let group = announced_in(group.parse().expect("right"));
            assert_eq!(group.to_string(), announced);
            assert!(GROUPS.contains(&group));
        }
    }

    #[test]
    fn all_together_are_announced_within_the_bandwidth() {
        let seconds = |count, drawn| interval(count, 1000, drawn).as_secs();
        assert_eq!([seconds(1, 0.0), seconds(1, 0.5), seconds(1, 1.0)], [200, 300, 400]);
        assert_eq!(seconds(1000, 0.5), 2000, "8,000 bits each at 4,000 a second");
        assert_eq!(interval(usize::MAX, usize::MAX >> 4, 0.5), LONGEST_INTERVAL);
    }

    proptest! {
        #[test]
        fn any_datagram_gets_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn wherever_it_is_cut_off_nothing_else_is_read(cut in 0..61_usize) {
            let whole = announcement(SESSION).build();
            let cut = cut.min(whole.len() - 1);
            if let Ok(read) = parse(&whole[..cut]) {
                prop_assert!(SESSION.starts_with(read.description));
            }
        }

        #[test]
        fn any_description_survives(rest in "[ -~\r\n]{0,300}", hash: u16, deletion: bool) {
            let description = format!("v=0\r\n{rest}");
            let kind = if deletion { Kind::Deletion } else { Kind::Announcement };
            let built = Announcement { kind, hash, ..announcement(description.as_bytes()) };
            let datagram = built.build();
            prop_assert_eq!(parse(&datagram), Ok(built));
        }
    }
}
