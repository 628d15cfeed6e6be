//! Which session a description is of, whatever its version: what RFC 8866 section 5.2 has be unique of the line `o=`.

use std::net::IpAddr;

use sha2::{Digest, Sha256};

use super::lines::{Line, Lines};

/// Which session it is, the same for all versions of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionIdentity {
    origin: [u8; 32],
    /// Only where the origin does not tell.
    name: [u8; 32],
    host: IpAddr,
    /// The origin names it.
    names_host: bool,
}

impl SessionIdentity {
    /// Six hexadecimal digits of it.
    #[must_use]
    pub fn short(&self) -> String {
        let both = self.origin.iter().zip(self.name).take(3);
        both.map(|(origin, name)| format!("{:02x}", origin ^ name)).collect()
    }

    /// Whether both have one origin, which of a session that is no more is all that is said.
    #[must_use]
    pub fn is_of_origin(&self, other: &Self) -> bool {
        self.origin == other.origin
    }

    /// The host that it is of. It is a part of the identity: nobody has this session be another one's.
    #[must_use]
    pub fn host(&self) -> IpAddr {
        self.host
    }

    /// Whether the same description is of this session too where this one announces it.
    #[must_use]
    pub fn is_the_same_by(&self, announcer: IpAddr) -> bool {
        self.names_host || self.host == announcer
    }
}

/// Which session a description is of: its `o=` without the version. Where that names no host, as ffmpeg's
/// `- 0 0 IN IP4 127.0.0.1`, it is the announcer's; and where its id is a placeholder as there, all sessions of a host would be
/// one: they are told apart by their names.
#[must_use]
pub fn identity(description: &[u8], announcer: IpAddr) -> SessionIdentity {
    let lines = Lines::of(description);
    let mut origin = unversioned(value(&lines, 'o').unwrap_or_default());
    let is_placeholder = origin.get(1).is_none_or(|id| id.bytes().all(|byte| byte == b'0'));
    let name = value(&lines, 's').map(str::trim).filter(|_| is_placeholder);
    let address = origin.get(4).and_then(|address| address.parse::<IpAddr>().ok());
    let named = address.filter(|address| !address.is_loopback() && !address.is_unspecified());
    let announced_by = announcer.to_string();
    if named.is_none() {
        origin.push(&announced_by);
    }
    SessionIdentity {
        origin: digest(&origin),
        name: name.map_or([0; 32], |name| digest(&[name])),
        host: named.unwrap_or(announcer),
        names_host: named.is_some(),
    }
}

fn digest(words: &[&str]) -> [u8; 32] {
    let mut digest = Sha256::new();
    for word in words {
        digest.update(word.as_bytes());
        digest.update([0]);
    }
    digest.finalize().into()
}

/// The words of an origin but its version. Of one that is not written as it should be, all of them.
fn unversioned(origin: &str) -> Vec<&str> {
    let words: Vec<_> = origin.split_ascii_whitespace().collect();
    match words[..] {
        [user, id, _version, network, family, address] => vec![user, id, network, family, address],
        _ => words,
    }
}

fn value(lines: &Lines, key: char) -> Option<&str> {
    let before_media = lines.0.iter().take_while(|line| line.key() != Some('m'));
    before_media.filter(|line| line.key() == Some(key)).map(Line::value).next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const ANNOUNCER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 21));
    const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 22));

    fn identity(description: &[u8]) -> SessionIdentity {
        super::identity(description, ANNOUNCER)
    }

    fn of(origin: &str, name: &str) -> SessionIdentity {
        identity(format!("v=0\r\no={origin}\r\ns={name}\r\nm=audio 5004 RTP/AVP 97\r\n").as_bytes())
    }

    #[test]
    fn a_version_and_a_name_make_no_other_session() {
        let one = of("- 1423986 1423994 IN IP4 192.0.2.21", "stage");
        assert_eq!(one, of("- 1423986 0 IN IP4 192.0.2.21", "stage"));
        assert_eq!(one, of("-  1423986 7 IN  IP4 192.0.2.21 ", "hall"));
        for other in
            ["a 1423986 7 IN IP4 192.0.2.21", "- 2 7 IN IP4 192.0.2.21", "- 1423986 7 IN IP4 192.0.2.22"]
        {
            assert_ne!(one, of(other, "stage"), "{other}");
        }
    }

    #[test]
    fn where_an_origin_says_nothing_a_name_does() {
        for placeholder in ["- 0 0 IN IP4 127.0.0.1", "", "-"] {
            assert_ne!(of(placeholder, "stage"), of(placeholder, "hall"), "{placeholder}");
            assert_eq!(of(placeholder, "stage"), of(placeholder, " stage "), "{placeholder}");
        }
        assert_ne!(identity(b""), of("- 1 1 IN IP4 192.0.2.1", "x"));
        assert_eq!(of("- 1 2 3 IN IP4 192.0.2.1", "x"), of("- 1 2 3 IN IP4 192.0.2.1", "x"));
    }

    #[test]
    fn where_an_origin_names_no_host_it_is_the_announcers() {
        for nobody in [
            "- 0 0 IN IP4 127.0.0.1",
            "- 7 7 IN IP6 ::1",
            "- 7 7 IN IP4 0.0.0.0",
            "- 7 7 IN IP4 stage",
            "-",
            "",
        ] {
            let line = format!("o={nobody}\r\ns=x\r\n");
            let by = |announcer| super::identity(line.as_bytes(), announcer);
            assert!(!by(ANNOUNCER).is_of_origin(&by(OTHER)), "{nobody}");
            assert_eq!((by(ANNOUNCER).host(), by(OTHER).host()), (ANNOUNCER, OTHER));
            assert!(by(OTHER).is_the_same_by(OTHER) && !by(OTHER).is_the_same_by(ANNOUNCER));
        }
        let named = of("- 7 7 IN IP4 192.0.2.22", "x");
        assert_eq!(named, super::identity(b"o=- 7 9 IN IP4 192.0.2.22\r\n", OTHER));
        assert!(named.host() == OTHER && named.is_the_same_by(ANNOUNCER));
    }

    #[test]
    fn the_line_alone_tells_whose_it_is() {
        let whole = of("- 7 7 IN IP4 192.0.2.1", "x");
        assert!(identity(b"o=- 7 9 IN IP4 192.0.2.1\r\n").is_of_origin(&whole));
        assert!(!identity(b"o=- 8 7 IN IP4 192.0.2.1\r\n").is_of_origin(&whole));
        let placeholder = of("- 0 0 IN IP4 127.0.0.1", "x");
        assert!(identity(b"o=- 0 0 IN IP4 127.0.0.1\r\n").is_of_origin(&placeholder));
    }

    #[test]
    fn what_a_medium_says_is_not_the_sessions() {
        let late = b"v=0\r\ns=x\r\nm=audio 5004 RTP/AVP 97\r\no=- 7 7 IN IP4 192.0.2.1\r\n";
        assert!(!identity(late).is_of_origin(&of("- 7 7 IN IP4 192.0.2.1", "x")));
        assert_eq!(identity(late).short().len(), 6);
    }
}
