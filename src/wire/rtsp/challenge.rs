//! The WWW-Authenticate headers of a 401, as a client reads them (RFC 7616 section 3.3, RFC 7617): the strongest challenge
//! that can be answered.
//!
//! Lenient where servers are loose: several headers are one list, a challenge that can not be read is passed over, and
//! values come with and without quotation marks.

use super::digest::Algorithm;
use super::schemes::{Scheme, Twice, split};

/// What a server wants to be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge {
    /// With a hash of the password.
    Digest(DigestChallenge),
    /// With the password as it is.
    Basic,
}

/// A challenge that a hash answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigestChallenge {
    /// What the password is hashed with.
    pub realm: String,
    /// What the answer is good for.
    pub nonce: String,
    /// To be given back as it is.
    pub opaque: Option<String>,
    /// What is hashed with.
    pub algorithm: Algorithm,
    /// Whether it is named. Who does not name it may know no such parameter.
    pub names_algorithm: bool,
    /// Whether answers are counted (`qop=auth`). Of those that offer it some refuse all others.
    pub is_counted: bool,
    /// The nonce before this one was too old, and the answer to it right.
    pub is_stale: bool,
}

impl Challenge {
    /// The strongest of a header, or of several that are one list: SHA-256 before MD5 before Basic, wherever they stand.
    /// `None`: there is none that can be answered.
    #[must_use]
    pub fn strongest(header: &str) -> Option<Self> {
        let (schemes, _) = split(header);
        let mut best: Option<Self> = None;
        for other in schemes.iter().filter_map(read) {
            if best.as_ref().is_none_or(|best| other.strength() > best.strength()) {
                best = Some(other);
            }
        }
        best
    }

    fn strength(&self) -> Option<Algorithm> {
        match self {
            Self::Digest(digest) => Some(digest.algorithm),
            Self::Basic => None,
        }
    }
}

fn read(scheme: &Scheme<'_>) -> Option<Challenge> {
    if scheme.name.eq_ignore_ascii_case("Digest") {
        digest(scheme).ok().flatten().map(Challenge::Digest)
    } else {
        scheme.name.eq_ignore_ascii_case("Basic").then_some(Challenge::Basic)
    }
}

fn digest(scheme: &Scheme<'_>) -> Result<Option<DigestChallenge>, Twice> {
    let (realm, nonce) = (scheme.value("realm")?, scheme.value("nonce")?);
    let named = scheme.value("algorithm")?.map(|name| name.to_ascii_uppercase());
    let algorithm = match named.as_deref() {
        None | Some("" | "MD5") => Algorithm::Md5,
        Some("SHA-256" | "SHA256") => Algorithm::Sha256,
        Some(_) => return Ok(None),
    };
    let qop = scheme.value("qop")?.unwrap_or_default();
    let mut offered = qop.split(',').map(str::trim).filter(|qop| !qop.is_empty()).peekable();
    let is_offered = offered.peek().is_some();
    let is_counted = offered.any(|qop| qop.eq_ignore_ascii_case("auth"));
    if is_offered && !is_counted {
        return Ok(None);
    }
    let is_stale = scheme.value("stale")?.is_some_and(|stale| stale.eq_ignore_ascii_case("true"));
    let (opaque, names_algorithm) = (scheme.value("opaque")?, named.is_some_and(|name| !name.is_empty()));
    Ok(realm.zip(nonce).map(|(realm, nonce)| DigestChallenge {
        realm,
        nonce,
        opaque,
        algorithm,
        names_algorithm,
        is_counted,
        is_stale,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::rtsp::digest::challenges;
    use proptest::prelude::*;

    const SHA256: &str = "Digest realm=\"a\", nonce=\"s\", algorithm=\"SHA-256\", qop=\"auth\"";
    const MD5: &str = "Digest realm=\"a\", nonce=\"m\"";

    fn digest(header: &str) -> DigestChallenge {
        match Challenge::strongest(header) {
            Some(Challenge::Digest(digest)) => digest,
            other => panic!("{header}: {other:?}"),
        }
    }

    #[test]
    fn the_strongest_is_answered_wherever_it_stands() {
        for header in [
            format!("{SHA256}, {MD5}"),
            format!("{MD5}, {SHA256}"),
            format!("Basic realm=\"a\", {SHA256}, {MD5}"),
            format!("{MD5}, Basic realm=\"a\", {SHA256}"),
            format!("Negotiate, {SHA256}"),
            format!("{SHA256}, Digest realm=\"a\", nonce=\"x\", algorithm=SHA-512-256"),
            format!("{SHA256}, Digest nonce=\"1\", nonce=\"2\", realm=\"a\", algorithm=SHA-256"),
        ] {
            let read = digest(&header);
            assert_eq!((read.nonce.as_str(), read.algorithm), ("s", Algorithm::Sha256), "{header}");
            assert!(read.is_counted && read.names_algorithm && !read.is_stale, "{header}");
        }
        let old = digest(&format!("Basic realm=\"a\", {MD5}"));
        assert_eq!((old.algorithm, old.is_counted, old.names_algorithm), (Algorithm::Md5, false, false));
        assert_eq!(Challenge::strongest("Basic realm=\"a\""), Some(Challenge::Basic));
    }

    #[test]
    fn our_own_challenges_are_read() {
        let read = digest(&challenges("Mirrorball", "c0ffee", true, true).join(", "));
        assert_eq!((read.realm.as_str(), read.nonce.as_str()), ("Mirrorball", "c0ffee"));
        assert!(read.is_stale && read.is_counted);
    }

    #[test]
    fn what_can_not_be_answered_is_passed_over() {
        for header in [
            "",
            "Negotiate",
            "Bearer realm=\"a\"",
            "Digest realm=\"a\"",
            "Digest nonce=\"n\"",
            "Digest realm=\"a\", nonce=\"n\", algorithm=MD5-sess",
            "Digest realm=\"a\", nonce=\"n\", qop=\"auth-int\"",
            "realm=\"a\", nonce=\"n\"",
        ] {
            assert_eq!(Challenge::strongest(header), None, "{header}");
        }
        assert!(digest("digest realm=a, nonce=n, qop=\"auth-int, auth\", stale=TRUE, opaque=\"\"").is_stale);
        assert!(!digest("Digest realm=a, nonce=n, qop=\"\"").is_counted);
    }

    proptest! {
        #[test]
        fn hostile_text_never_panics(header in "((Digest|Basic|X) )?((realm|nonce|qop|algorithm)=\"?[a-z0-9,= \\\\\"]{0,20}\"?, ?){0,6}", any in any::<String>()) {
            let _ = (Challenge::strongest(&header), Challenge::strongest(&any));
        }
    }
}
