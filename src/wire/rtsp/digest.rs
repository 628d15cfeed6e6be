//! The Digest scheme (RFC 7616, and RFC 2069 for clients that know no other): challenges, and whether an answer to one
//! is right. Knows no user, and neither which nonces are good nor for how long.

use std::fmt::{self, Write};

use constant_time_eq::constant_time_eq;
use md5::Md5;
use sha2::Sha256;

/// What is hashed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// For clients that know no other; an answer without `algorithm` is one with this.
    Md5,
    /// What is offered first.
    Sha256,
}

/// `H(user:realm:password)` for both algorithms: who has it can log in.
#[derive(Clone, PartialEq, Eq)]
pub struct Ha1 {
    sha256: [u8; 32],
    md5: [u8; 16],
}

/// A client's answer to a challenge.
#[derive(Clone, PartialEq, Eq)]
pub struct DigestAnswer {
    /// Who it says that it is.
    pub user: String,
    /// The realm that its password was hashed with.
    pub realm: String,
    /// What it was challenged with.
    pub nonce: String,
    /// What it asks for, as it has hashed it.
    pub uri: String,
    /// What it has hashed with.
    pub algorithm: Algorithm,
    /// How often it has used the nonce; absent in answers of RFC 2069's form.
    pub counted: Option<Counted>,
    pub(super) response: Vec<u8>,
}

/// What an answer with `qop=auth` has beside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// Requests with this nonce, this one included.
    pub count: u32,
    /// The same as it was written, which is what was hashed.
    pub(super) nc: String,
    pub(super) cnonce: String,
}

impl Ha1 {
    /// That of a password.
    #[must_use]
    pub fn of(user: &str, realm: &str, password: &str) -> Self {
        let parts = [user, realm, password].map(str::as_bytes);
        let [sha256, md5] = [Algorithm::Sha256, Algorithm::Md5].map(|algorithm| algorithm.hash(&parts));
        Self { sha256: fixed(&sha256), md5: fixed(&md5) }
    }

    /// From hexadecimal digits. `None`: they are not 64, or not 32.
    #[must_use]
    pub fn from_hex(sha256: &str, md5: &str) -> Option<Self> {
        let (sha256, md5) = (from_hex(sha256)?, from_hex(md5)?);
        Some(Self { sha256: sha256.try_into().ok()?, md5: md5.try_into().ok()? })
    }

    /// As hexadecimal digits.
    #[must_use]
    pub fn to_hex(&self, algorithm: Algorithm) -> String {
        match algorithm {
            Algorithm::Sha256 => to_hex(&self.sha256),
            Algorithm::Md5 => to_hex(&self.md5),
        }
    }

    /// What the one who has it answers to a nonce, for a request by a method about a URI; `counted` are `nc` and `cnonce`
    /// where the nonce is used with `qop=auth`.
    pub(super) fn response(
        &self,
        algorithm: Algorithm,
        nonce: &str,
        counted: Option<(&str, &str)>,
        (method, uri): (&str, &str),
    ) -> Vec<u8> {
        let ha1 = self.to_hex(algorithm);
        let ha2 = to_hex(&algorithm.hash(&[method.as_bytes(), uri.as_bytes()]));
        let (ha1, nonce, ha2) = (ha1.as_bytes(), nonce.as_bytes(), ha2.as_bytes());
        match counted {
            Some((nc, cnonce)) => {
                algorithm.hash(&[ha1, nonce, nc.as_bytes(), cnonce.as_bytes(), b"auth", ha2])
            }
            None => algorithm.hash(&[ha1, nonce, ha2]),
        }
    }

    /// Whether another is the same, in a time that does not depend on it.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        constant_time_eq(&self.sha256, &other.sha256)
    }
}

impl fmt::Debug for Ha1 {
    /// It is a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ha1")
    }
}

impl fmt::Debug for DigestAnswer {
    /// Without what could be used to guess the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, algorithm, .. } = self;
        f.debug_struct("DigestAnswer")
            .field("user", user)
            .field("algorithm", algorithm)
            .finish_non_exhaustive()
    }
}

impl DigestAnswer {
    /// What it has hashed.
    #[must_use]
    pub fn response(&self) -> &[u8] {
        &self.response
    }

    /// Whether it is the answer of one who knows the password, for a request by `method`.
    #[must_use]
    pub fn is_right(&self, ha1: &Ha1, method: &str) -> bool {
        let counted = self.counted.as_ref().map(|counted| (counted.nc.as_str(), counted.cnonce.as_str()));
        let right = ha1.response(self.algorithm, &self.nonce, counted, (method, &self.uri));
        constant_time_eq(&right, &self.response)
    }
}

impl Algorithm {
    /// As it stands in a header.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA-256",
            Self::Md5 => "MD5",
        }
    }

    /// Bytes of a hash.
    pub(super) const fn bytes(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Md5 => 16,
        }
    }

    /// The hash of the parts with colons between them.
    fn hash(self, parts: &[&[u8]]) -> Vec<u8> {
        match self {
            Self::Sha256 => hash_with::<Sha256>(parts),
            Self::Md5 => hash_with::<Md5>(parts),
        }
    }
}

/// The values of the WWW-Authenticate headers of a 401: a line for each, the strongest first.
///
/// Clients that take but one take it from the one nonce and the one realm that all have. live555 (VLC) reads realm, nonce
/// and `stale` in this order and nowhere else. It, ffmpeg and GStreamer take the last Digest, and know MD5 alone; retina
/// and others take the first. Basic, `over_tls` alone, does not take the place of a Digest in any of them.
#[must_use]
pub fn challenges(realm: &str, nonce: &str, is_stale: bool, over_tls: bool) -> Vec<String> {
    let stale = if is_stale { ", stale=true" } else { "" };
    let digests = [Algorithm::Sha256, Algorithm::Md5].map(|algorithm| {
        let algorithm = algorithm.as_str();
        format!("Digest realm=\"{realm}\", nonce=\"{nonce}\"{stale}, algorithm={algorithm}, qop=\"auth\"")
    });
    digests.into_iter().chain(over_tls.then(|| format!("Basic realm=\"{realm}\""))).collect()
}

fn hash_with<H: sha2::Digest>(parts: &[&[u8]]) -> Vec<u8> {
    let mut hash = H::new();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            hash.update(b":");
        }
        hash.update(part);
    }
    hash.finalize().to_vec()
}

fn fixed<const N: usize>(hash: &[u8]) -> [u8; N] {
    hash.try_into().expect("each algorithm has one length")
}

pub(super) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}"); // writing to a String does not fail
        hex
    })
}

/// Pairs of hexadecimal digits, of either case.
pub(super) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [high, low] => u8::try_from(digit(*high)? << 4 | digit(*low)?).ok(),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::authorization::{Credentials, parse};
    use super::*;

    fn answer(header: &str) -> DigestAnswer {
        match parse(header) {
            Ok(Credentials::Digest(answer)) => answer,
            other => panic!("{header}: {other:?}"),
        }
    }

    /// RFC 7616 section 3.9.1.
    const CIRCLE: &str = "username=\"Mufasa\", realm=\"http-auth@example.org\", uri=\"/dir/index.html\", \
        nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", nc=00000001, \
        cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", qop=auth, \
        opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"";

    #[test]
    fn the_examples_of_rfc_7616_are_right() {
        let ha1 = Ha1::of("Mufasa", "http-auth@example.org", "Circle of Life");
        for (algorithm, response) in [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let header = format!("Digest {CIRCLE}, algorithm={algorithm}, response=\"{response}\"");
            assert!(answer(&header).is_right(&ha1, "GET"), "{algorithm}");
            assert!(!answer(&header).is_right(&ha1, "PUT"), "another method");
            let other = Ha1::of("Mufasa", "http-auth@example.org", "Circle of life");
            assert!(!answer(&header).is_right(&other, "GET"), "another password");
            let wrong = header.replace("nc=00000001", "nc=00000002");
            assert!(!answer(&wrong).is_right(&ha1, "GET"), "another count");
        }
    }

    #[test]
    fn the_example_of_rfc_2617_is_right() {
        let ha1 = Ha1::of("Mufasa", "testrealm@host.com", "Circle Of Life");
        let header = "Digest username=\"Mufasa\", realm=\"testrealm@host.com\", \
            nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", uri=\"/dir/index.html\", qop=auth, nc=00000001, \
            cnonce=\"0a4f113b\", response=\"6629fae49393a05397450978507c4ef1\", \
            opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"";
        assert!(answer(header).is_right(&ha1, "GET"));
    }

    /// The errata's value (RFC 2069, ID 749).
    #[test]
    fn the_example_of_rfc_2069_is_right() {
        let ha1 = Ha1::of("Mufasa", "testrealm@host.com", "CircleOfLife");
        let header = "Digest username=\"Mufasa\", realm=\"testrealm@host.com\", \
            nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", uri=\"/dir/index.html\", \
            response=\"1949323746fe6a43ef61f9606e7febea\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"";
        assert!(answer(header).is_right(&ha1, "GET"));
    }

    #[test]
    fn what_is_kept_of_a_password_is_read_back_and_never_shown() {
        let ha1 = Ha1::of("anna", "Mirrorball", "open sesame");
        let (sha256, md5) = (ha1.to_hex(Algorithm::Sha256), ha1.to_hex(Algorithm::Md5));
        assert_eq!(Ha1::from_hex(&sha256, &md5), Some(ha1.clone()));
        assert!(!format!("{ha1:?}").contains(&sha256[..8]));
        for (sha256, md5) in
            [("", ""), (&sha256[1..], &md5), (&sha256, &md5[2..]), (&md5, &sha256), ("é", "é")]
        {
            assert_eq!(Ha1::from_hex(sha256, md5), None);
        }
    }

    #[test]
    fn a_challenge_is_written_as_the_strictest_clients_read_it() {
        assert_eq!(
            challenges("Mirrorball", "c0ffee", false, false),
            [
                "Digest realm=\"Mirrorball\", nonce=\"c0ffee\", algorithm=SHA-256, qop=\"auth\"",
                "Digest realm=\"Mirrorball\", nonce=\"c0ffee\", algorithm=MD5, qop=\"auth\"",
            ]
        );
        let stale = challenges("Mirrorball", "c0ffee", true, true);
        let begins = "Digest realm=\"Mirrorball\", nonce=\"c0ffee\", stale=true, algorithm=SHA-256";
        assert!(stale[0].starts_with(begins), "{stale:?}");
        assert_eq!(stale[2], "Basic realm=\"Mirrorball\"");
    }

    #[test]
    fn a_client_that_we_did_not_write_gets_in_by_each_challenge() {
        let ha1 = Ha1::of("anna", "Mirrorball", "open sesame");
        for challenge in challenges("Mirrorball", "c0ffee", true, false) {
            let mut client = http_auth::PasswordClient::try_from(challenge.as_str()).expect("a challenge");
            for count in 1..=3 {
                let header = client.respond(&http_auth::PasswordParams {
                    username: "anna",
                    password: "open sesame",
                    uri: "rtsp://edge/news",
                    method: "DESCRIBE",
                    body: Some(&[]),
                });
                let answer = answer(&header.expect("an answer"));
                assert!(answer.is_right(&ha1, "DESCRIBE"), "{challenge}");
                assert_eq!(answer.counted.map(|counted| counted.count), Some(count));
            }
        }
    }
}
