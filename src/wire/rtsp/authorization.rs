//! The Authorization header: who a client says that it is (RFC 7616, RFC 7617), as clients write it.
//!
//! Lenient where the meaning is clear: the case of names, values with and without quotation marks, a missing `qop` (RFC
//! 2069, which live555 and GStreamer write whatever they are offered), a missing `algorithm`, which the length of the
//! response tells, and several headers as one list, of which the strongest counts. A value that is there twice is refused:
//! it would not be known which one was hashed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::digest::{Algorithm, Counted, DigestAnswer, from_hex};
use super::schemes::{Scheme, Twice, split};

/// What a client proves itself with.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// An answer to a challenge.
    Digest(DigestAnswer),
    /// A password, as it is.
    Basic {
        /// Whose.
        user: String,
        /// The password.
        password: String,
    },
}

/// Why an Authorization header is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It can not be read.
    #[error("it can not be read")]
    Malformed,
    /// Another scheme, another algorithm, or another protection than was offered.
    #[error("it is by a scheme or algorithm that was not offered")]
    Unsupported,
}

impl From<Twice> for Unusable {
    fn from(_: Twice) -> Self {
        Self::Malformed
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Digest(answer) => answer.fmt(f),
            Self::Basic { user, .. } => f.debug_struct("Basic").field("user", user).finish_non_exhaustive(),
        }
    }
}

impl Credentials {
    /// Who it says that it is.
    #[must_use]
    pub fn user(&self) -> &str {
        match self {
            Self::Digest(answer) => &answer.user,
            Self::Basic { user, .. } => user,
        }
    }

    fn strength(&self) -> Option<Algorithm> {
        match self {
            Self::Digest(answer) => Some(answer.algorithm),
            Self::Basic { .. } => None,
        }
    }
}

/// The strongest credentials of a header, or of several that are one list.
///
/// # Errors
/// When there are none that are of use: what is wrong with the first.
pub fn parse(header: &str) -> Result<Credentials, Unusable> {
    let (schemes, is_whole) = split(header);
    if !is_whole {
        return Err(Unusable::Malformed);
    }
    let mut best: Result<Credentials, Unusable> = Err(Unusable::Malformed);
    for (index, one) in schemes.iter().enumerate() {
        best = match (best, one.credentials()) {
            (Ok(best), Ok(other)) if other.strength() > best.strength() => Ok(other),
            (Ok(best), _) => Ok(best),
            (Err(_), Ok(first)) => Ok(first),
            (Err(_), Err(wrong)) if index == 0 => Err(wrong),
            (Err(wrong), Err(_)) => Err(wrong),
        };
    }
    best
}

impl Scheme<'_> {
    fn credentials(&self) -> Result<Credentials, Unusable> {
        if self.name.eq_ignore_ascii_case("Digest") {
            self.digest().map(Credentials::Digest)
        } else if self.name.eq_ignore_ascii_case("Basic") {
            self.basic()
        } else {
            Err(Unusable::Unsupported)
        }
    }

    fn digest(&self) -> Result<DigestAnswer, Unusable> {
        let needed = |name| self.value(name)?.ok_or(Unusable::Malformed);
        let (user, realm) = (needed("username")?, needed("realm")?);
        let (nonce, uri) = (needed("nonce")?, needed("uri")?);
        let response = from_hex(&needed("response")?).ok_or(Unusable::Malformed)?;
        let algorithm = self.algorithm(response.len())?;
        if response.len() != algorithm.bytes() {
            return Err(Unusable::Malformed);
        }
        let counted = self.counted()?;
        Ok(DigestAnswer { user, realm, nonce, uri, algorithm, counted, response })
    }

    /// MD5 where nothing is said; but some leave it out whatever they hash with.
    fn algorithm(&self, response_bytes: usize) -> Result<Algorithm, Unusable> {
        match self.value("algorithm")?.unwrap_or_default().to_ascii_uppercase().as_str() {
            "" if response_bytes == Algorithm::Sha256.bytes() => Ok(Algorithm::Sha256),
            "" | "MD5" => Ok(Algorithm::Md5),
            "SHA-256" | "SHA256" => Ok(Algorithm::Sha256),
            _ => Err(Unusable::Unsupported),
        }
    }

    fn counted(&self) -> Result<Option<Counted>, Unusable> {
        match self.value("qop")?.unwrap_or_default().to_ascii_lowercase().as_str() {
            "" => return Ok(None),
            "auth" => {}
            _ => return Err(Unusable::Unsupported),
        }
        let (nc, cnonce) = (self.value("nc")?, self.value("cnonce")?);
        let (nc, cnonce) = nc.zip(cnonce).ok_or(Unusable::Malformed)?;
        let is_number = nc.bytes().all(|byte| byte.is_ascii_hexdigit());
        let count = u32::from_str_radix(&nc, 16).ok().filter(|_| is_number).ok_or(Unusable::Malformed)?;
        Ok(Some(Counted { count, nc, cnonce }))
    }

    fn basic(&self) -> Result<Credentials, Unusable> {
        let bytes = STANDARD.decode(self.token.trim()).map_err(|_| Unusable::Malformed)?;
        let text = String::from_utf8(bytes).map_err(|_| Unusable::Malformed)?;
        let (user, password) = text.split_once(':').ok_or(Unusable::Malformed)?;
        Ok(Credentials::Basic { user: user.to_owned(), password: password.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::fuzz;
    use crate::wire::rtsp::digest::Ha1;
    use proptest::prelude::*;

    const RESPONSE: &str = "0123456789abcdef0123456789abcdef";

    fn digest(header: &str) -> Result<DigestAnswer, Unusable> {
        match parse(header)? {
            Credentials::Digest(answer) => Ok(answer),
            Credentials::Basic { .. } => panic!("{header} is Basic"),
        }
    }

    /// What ffmpeg, live555, GStreamer, retina, gortsplib and a recorder of the ONVIF kind send, each with the password
    /// `open sesame` for the nonce `c0ffee`.
    #[test]
    fn real_clients_are_understood() {
        let ha1 = Ha1::of("anna", "Mirrorball", "open sesame");
        let all = [
            include_str!("../../../fuzz/seeds/authorization/ffmpeg"),
            include_str!("../../../fuzz/seeds/authorization/live555"),
            include_str!("../../../fuzz/seeds/authorization/gstreamer"),
            include_str!("../../../fuzz/seeds/authorization/retina"),
            include_str!("../../../fuzz/seeds/authorization/gortsplib"),
            include_str!("../../../fuzz/seeds/authorization/recorder"),
        ];
        for header in all {
            let answer = digest(header.trim_end()).unwrap_or_else(|wrong| panic!("{header}: {wrong}"));
            assert_eq!((answer.user.as_str(), answer.nonce.as_str()), ("anna", "c0ffee"), "{header}");
            assert!(answer.is_right(&ha1, "DESCRIBE"), "{header}");
        }
    }

    #[test]
    fn one_answer_in_many_spellings() {
        let plain = format!(
            "Digest username=\"anna\", realm=\"R\", nonce=\"n\", uri=\"rtsp://edge/a,b\", response=\"{RESPONSE}\""
        );
        let expected = digest(&plain).expect("plain");
        assert_eq!((expected.algorithm, expected.uri.as_str()), (Algorithm::Md5, "rtsp://edge/a,b"));
        for header in [
            plain.replace("Digest", "digest"),
            plain.replace("Digest ", "DIGEST\t "),
            plain.replace(", ", ","),
            plain.replace(", ", " ,, "),
            plain.replace("=\"", " = \""),
            plain.replace("\"anna\"", "anna"),
            plain.replace("\"anna\"", "\"an\\na\""),
            plain.replace("username", "UserName"),
            plain.replace(RESPONSE, &RESPONSE.to_ascii_uppercase()),
            plain.clone() + ", algorithm=MD5",
            plain.clone() + ", algorithm=\"md5\", opaque=\"\", qop=\"\"",
            plain.clone() + ", nc=00000001, cnonce=\"x\"",
            plain.clone() + ",",
            format!("Basic YW5uYTp4, {plain}"),
            format!("{plain}, Basic YW5uYTp4"),
            format!("Negotiate oY==, {plain}"),
        ] {
            assert_eq!(digest(&header).as_ref(), Ok(&expected), "{header}");
        }
    }

    #[test]
    fn the_algorithm_is_what_the_response_is_long_for() {
        let long = RESPONSE.repeat(2);
        let header = |response: &str, rest: &str| {
            format!("Digest username=a, realm=R, nonce=n, uri=u, response={response}{rest}")
        };
        let algorithm = |header: &str| digest(header).map(|answer| answer.algorithm);
        for said in ["", ", algorithm=SHA-256", ", algorithm=\"sha-256\"", ", algorithm=SHA256"] {
            assert_eq!(algorithm(&header(&long, said)), Ok(Algorithm::Sha256), "{said}");
        }
        assert_eq!(algorithm(&header(&long, ", algorithm=MD5")), Err(Unusable::Malformed));
        assert_eq!(algorithm(&header(RESPONSE, ", algorithm=SHA-256")), Err(Unusable::Malformed));
        let both = format!("{}, {}", header(RESPONSE, ""), header(&long, ""));
        assert_eq!(algorithm(&both), Ok(Algorithm::Sha256), "the strongest counts");
    }

    #[test]
    fn what_is_of_no_use_is_told_apart() {
        let good = format!("Digest username=a, realm=R, nonce=n, uri=u, response={RESPONSE}");
        for header in [
            "",
            "Digest",
            "Digest username=\"a\"",
            "username=\"a\", realm=\"R\"",
            &good.replace("nonce=n, ", ""),
            &good.replace("response=0", "response=x"),
            &good.replace("response=01", "response="),
            &format!("{good}, nonce=n"),
            &format!("{good}, qop=auth"),
            &format!("{good}, qop=auth, nc=+1, cnonce=x"),
            &format!("{good}, qop=auth, nc=123456789, cnonce=x"),
            &format!("{good}, word"),
            "Basic",
            "Basic !",
            "Basic YW5uYQ==",
            "Basic /w==",
        ] {
            assert_eq!(parse(header), Err(Unusable::Malformed), "{header}");
        }
        for header in [
            "Bearer abc",
            "Negotiate oY==",
            &format!("{good}, algorithm=MD5-sess"),
            &format!("{good}, algorithm=SHA-512-256"),
            &format!("{good}, qop=auth-int, nc=1, cnonce=x"),
        ] {
            assert_eq!(parse(header), Err(Unusable::Unsupported), "{header}");
        }
    }

    #[test]
    fn a_password_as_it_is() {
        let basic = |user: &str, password: &str| {
            Ok(Credentials::Basic { user: user.into(), password: password.into() })
        };
        assert_eq!(parse("Basic YW5uYTpvcGVuOnNlc2FtZQ=="), basic("anna", "open:sesame"));
        assert_eq!(parse("basic  YW5uYTo="), basic("anna", ""));
        assert!(!format!("{:?}", parse("Basic YW5uYTpvcGVuOnNlc2FtZQ==")).contains("sesame"));
    }

    proptest! {
        #[test]
        fn hostile_text_never_panics(header in "(Digest |Basic )?((username|uri|nc|qop|response|realm|nonce)=\"?[a-f0-9,= \\\\\"]{0,40}\"?, ?){0,8}") {
            fuzz::authorization::exercise(header.as_bytes());
        }

        #[test]
        fn any_text_never_panics(header in any::<String>()) {
            fuzz::authorization::exercise(header.as_bytes());
        }

        /// Whatever stands in the values, they are read back as they were meant.
        #[test]
        fn what_is_quoted_is_read_back(user in "\\PC{0,20}", uri in "\\PC{0,20}", nonce in "\\PC{0,20}") {
            let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
            let header = format!(
                "Digest username=\"{}\", realm=\"R\", nonce=\"{}\", uri=\"{}\", response={RESPONSE}",
                quoted(&user), quoted(&nonce), quoted(&uri)
            );
            let answer = digest(&header).expect("an answer");
            prop_assert_eq!((answer.user, answer.nonce, answer.uri), (user, nonce, uri));
        }
    }
}
