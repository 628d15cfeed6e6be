//! What a connection speaks, by its first bytes.

/// What that may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spoken {
    /// RTSP, or nothing that is known: its reader says so.
    Rtsp,
    /// HTTP, with the methods that are served.
    Http,
    /// The first record of a handshake (RFC 8446 section 5.1).
    Tls,
}

/// `None`: it may still be either.
#[must_use]
pub fn spoken(first: &[u8]) -> Option<Spoken> {
    match first {
        [] | [0x16] => None,
        [0x16, 0x03, ..] => Some(Spoken::Tls),
        _ => {
            // GET_PARAMETER is RTSP's.
            let methods = ["GET ", "POST ", "HEAD "].map(str::as_bytes);
            if methods.iter().any(|method| first.starts_with(method)) {
                return Some(Spoken::Http);
            }
            let may_become = methods.iter().any(|method| method.starts_with(first));
            (!may_become).then_some(Spoken::Rtsp)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_what_is_spoken() {
        for (first, is) in [
            ("", None),
            ("G", None),
            ("GET", None),
            ("POST", None),
            ("\x16", None),
            ("GET /", Some(Spoken::Http)),
            ("POST ", Some(Spoken::Http)),
            ("HEA", None),
            ("HEAD /", Some(Spoken::Http)),
            ("GET_", Some(Spoken::Rtsp)),
            ("PL", Some(Spoken::Rtsp)),
            ("OPTIONS", Some(Spoken::Rtsp)),
            ("$", Some(Spoken::Rtsp)),
            ("\r\n", Some(Spoken::Rtsp)),
            ("\x16\x03\x01", Some(Spoken::Tls)),
            ("\x16\x01", Some(Spoken::Rtsp)),
        ] {
            assert_eq!(spoken(first.as_bytes()), is, "{first:?}");
        }
    }

    /// However few bytes come at first: what is decided early is what would be decided late.
    #[test]
    fn what_is_decided_stays_so() {
        for whole in [
            "GET / HTTP/1.0",
            "POST / HTTP/1.0",
            "GET_PARAMETER * RTSP/1.0",
            "PAUSE * RTSP/1.0",
            "\x16\x03\x03",
        ] {
            let decided = (0..=whole.len()).filter_map(|end| spoken(&whole.as_bytes()[..end]));
            let last = spoken(whole.as_bytes()).expect("all is there");
            assert!(decided.into_iter().all(|early| early == last), "{whole:?}");
        }
    }
}
