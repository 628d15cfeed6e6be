//! A client's login: what it answers to a server's challenges, and when it is of no use to answer again.
//!
//! It knows neither requests nor connections: who asks tells it what was asked.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rtsp_types::Url;

use super::challenge::{Challenge, DigestChallenge};
use super::digest::{Ha1, to_hex};
use super::percent::percent_decoded;

/// Who we are to a server.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The name.
    pub user: String,
    /// The password.
    pub password: String,
}

impl Login {
    /// Who a URL names, `rtsp://user:password@host`. `None`: nobody.
    ///
    /// # Errors
    /// When that can not be read.
    pub fn of(url: &Url) -> Result<Option<Self>, &'static str> {
        if url.username().is_empty() && url.password().is_none() {
            return Ok(None);
        }
        let password = percent_decoded(url.password().unwrap_or_default())?;
        Ok(Some(Self { user: percent_decoded(url.username())?, password }))
    }

    /// Who a file names: `user:password`, in one line.
    #[must_use]
    pub fn in_text(text: &str) -> Option<Self> {
        let line = text.trim_end_matches(['\r', '\n']);
        let (user, password) = line.split_once(':').filter(|_| !line.contains(['\r', '\n']))?;
        (!user.is_empty()).then(|| Self { user: user.to_owned(), password: password.to_owned() })
    }
}

impl fmt::Debug for Login {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

/// What is answered on one connection.
pub struct Answers {
    login: Option<Login>,
    /// Of ours, for those who count.
    cnonce: String,
    challenge: Option<Challenge>,
    /// The same password by the realm of that challenge.
    ha1: Option<Ha1>,
    /// Answers with its nonce.
    count: u32,
    /// The server has wanted a hash of the password, so it does without the password itself.
    wants_hash: bool,
}

/// Whether a request that was refused with 401 is to be asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoUse {
    /// There is no login.
    #[error("it wants a login, and none is configured")]
    NoLogin,
    /// None of the challenges is understood.
    #[error("it wants a login by a scheme that is not understood")]
    NotUnderstood,
    /// It has wanted less before. Somebody who stands in between may want it.
    #[error(
        "it wants the password in clear (Basic), and has wanted a hash of it (Digest) before: is it the same server?"
    )]
    InClear,
    /// It has refused the login.
    #[error("it refuses the login: is it user and password of its own?")]
    Refused,
}

impl Answers {
    /// None were given yet. The nonce of ours must be another one on each connection, and have no quotation mark.
    #[must_use]
    pub fn new(login: Option<Login>, cnonce: String) -> Self {
        Self { login, cnonce, challenge: None, ha1: None, count: 0, wants_hash: false }
    }

    /// The same, to a server of which it is known whether it [wants a hash](Self::wants_hash).
    #[must_use]
    pub fn to_one_that_wants_a_hash(self, wants_hash: bool) -> Self {
        Self { wants_hash, ..self }
    }

    /// Whether the server has wanted a hash of the password. Then the password itself is not given any more.
    #[must_use]
    pub fn wants_hash(&self) -> bool {
        self.wants_hash
    }

    /// The value of an Authorization header, once the server has asked for one.
    pub fn answer(&mut self, method: &str, uri: &str) -> Option<String> {
        let login = self.login.as_ref()?;
        match self.challenge.as_ref()? {
            Challenge::Basic if self.wants_hash => None,
            Challenge::Basic => {
                let token = STANDARD.encode(format!("{}:{}", login.user, login.password));
                Some(format!("Basic {token}"))
            }
            Challenge::Digest(challenge) => {
                self.count = self.count.wrapping_add(1);
                let ha1 = self.ha1.as_ref()?;
                Some(digest(challenge, &login.user, ha1, (self.count, &self.cnonce), (method, uri)))
            }
        }
    }

    /// A request was refused with these challenges. `had` says whether it had an answer, and to a challenge that had come
    /// with the answer to this very request.
    ///
    /// # Errors
    /// When it is of no use to ask again.
    pub fn challenged(&mut self, header: &str, had: Had) -> Result<(), NoUse> {
        let login = self.login.as_ref().ok_or(NoUse::NoLogin)?;
        let challenge = Challenge::strongest(header).ok_or(NoUse::NotUnderstood)?;
        if self.wants_hash && challenge == Challenge::Basic {
            return Err(NoUse::InClear);
        }
        self.wants_hash |= challenge != Challenge::Basic;
        let is_stale = matches!(&challenge, Challenge::Digest(digest) if digest.is_stale);
        // A nonce of an earlier request may have grown old without a word about it.
        let may_have_aged = had == Had::Earlier && self.nonce() != nonce(&challenge);
        if had != Had::None && !is_stale && !may_have_aged {
            return Err(NoUse::Refused);
        }
        if let Challenge::Digest(digest) = &challenge {
            self.ha1 = Some(Ha1::of(&login.user, &digest.realm, &login.password));
        }
        if self.nonce() != nonce(&challenge) {
            self.count = 0;
        }
        self.challenge = Some(challenge);
        Ok(())
    }

    fn nonce(&self) -> Option<&str> {
        nonce(self.challenge.as_ref()?)
    }
}

/// What answer a request had that was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Had {
    /// None.
    None,
    /// One to a challenge of an earlier request.
    Earlier,
    /// One to a challenge that was given for this request.
    Fresh,
}

fn nonce(challenge: &Challenge) -> Option<&str> {
    match challenge {
        Challenge::Digest(digest) => Some(&digest.nonce),
        Challenge::Basic => None,
    }
}

fn digest(
    challenge: &DigestChallenge,
    user: &str,
    ha1: &Ha1,
    (count, cnonce): (u32, &str),
    (method, uri): (&str, &str),
) -> String {
    let nc = format!("{count:08x}");
    let counted = challenge.is_counted.then_some((nc.as_str(), cnonce));
    let response = ha1.response(challenge.algorithm, &challenge.nonce, counted, (method, uri));
    let [user, realm, nonce, uri] = [user, &challenge.realm, &challenge.nonce, uri].map(quoted);
    // The order in which live555 and others read them.
    let mut header = format!("Digest username={user}, realm={realm}, nonce={nonce}, uri={uri}");
    header += &format!(", response=\"{}\"", to_hex(&response));
    if challenge.names_algorithm {
        header += &format!(", algorithm={}", challenge.algorithm.as_str());
    }
    if let Some(opaque) = &challenge.opaque {
        header += &format!(", opaque={}", quoted(opaque));
    }
    if let Some((nc, cnonce)) = counted {
        header += &format!(", qop=auth, nc={nc}, cnonce=\"{cnonce}\"");
    }
    header
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::rtsp::authorization::{Credentials, parse};
    use crate::wire::rtsp::digest::{Algorithm, DigestAnswer, challenges};

    const URI: &str = "rtsp://edge/news?a=\"b\"";

    fn answers() -> Answers {
        let login = Login { user: "anna".into(), password: "open \"sesame\"".into() };
        Answers::new(Some(login), "0123abcd".into())
    }

    fn read(header: &str) -> DigestAnswer {
        match parse(header) {
            Ok(Credentials::Digest(answer)) => answer,
            other => panic!("{header}: {other:?}"),
        }
    }

    #[test]
    fn a_server_like_ours_lets_the_answer_in_and_counts() {
        let mut answers = answers();
        assert_eq!(answers.answer("DESCRIBE", URI), None, "nobody has asked");
        let asked = challenges("Mirrorball", "c0ffee", false, false).join(", ");
        assert_eq!(answers.challenged(&asked, Had::None), Ok(()));
        let ha1 = Ha1::of("anna", "Mirrorball", "open \"sesame\"");
        for (count, method) in (1..).zip(["DESCRIBE", "SETUP", "PLAY"]) {
            let answer = read(&answers.answer(method, URI).expect("asked"));
            assert!(answer.is_right(&ha1, method) && answer.algorithm == Algorithm::Sha256);
            assert_eq!(
                (answer.uri.as_str(), answer.counted.map(|counted| counted.count)),
                (URI, Some(count))
            );
        }
        let stale = challenges("Mirrorball", "f00d", true, false).join(", ");
        assert_eq!(answers.challenged(&stale, Had::Earlier), Ok(()));
        let answer = read(&answers.answer("PLAY", URI).expect("asked"));
        assert_eq!((answer.nonce.as_str(), answer.counted.map(|counted| counted.count)), ("f00d", Some(1)));
    }

    #[test]
    fn each_form_of_challenge_is_answered_in_its_own() {
        for (challenge, has, has_not) in [
            ("Digest realm=\"a\", nonce=\"n\"", "username=\"anna\"", "algorithm"),
            ("Digest realm=\"a\", nonce=\"n\"", "nonce=\"n\"", "qop"),
            ("Digest realm=\"a\", nonce=\"n\", algorithm=MD5, opaque=\"\"", "opaque=\"\"", "cnonce"),
            ("Digest realm=\"a\", nonce=\"n\", algorithm=MD5", "algorithm=MD5", "opaque"),
            ("Digest realm=\"a\", nonce=\"n\", qop=\"auth\"", "qop=auth, nc=00000001", "algorithm"),
            ("Basic realm=\"a\"", "Basic YW5uYTpvcGVuICJzZXNhbWUi", "Digest"),
        ] {
            let mut answers = answers();
            assert_eq!(answers.challenged(challenge, Had::None), Ok(()));
            let answer = answers.answer("PLAY", URI).expect("asked");
            assert!(answer.contains(has) && !answer.contains(has_not), "{challenge}: {answer}");
        }
    }

    #[test]
    fn a_login_is_not_tried_again_where_it_was_refused() {
        let challenge = |nonce: &str, rest: &str| format!("Digest realm=\"a\", nonce=\"{nonce}\"{rest}");
        let mut given = answers();
        assert_eq!(given.challenged(&challenge("1", ""), Had::None), Ok(()));
        assert_eq!(given.challenged(&challenge("2", ""), Had::Fresh), Err(NoUse::Refused), "another nonce");
        assert_eq!(given.challenged(&challenge("2", ", stale=true"), Had::Fresh), Ok(()));
        assert_eq!(given.challenged(&challenge("2", ""), Had::Earlier), Err(NoUse::Refused), "the same");
        assert_eq!(given.challenged(&challenge("3", ""), Had::Earlier), Ok(()), "it may have aged");
        assert_eq!(given.challenged("Negotiate", Had::None), Err(NoUse::NotUnderstood));
        let mut nobody = Answers::new(None, String::new());
        assert_eq!(nobody.challenged(&challenge("1", ""), Had::None), Err(NoUse::NoLogin));
        assert_eq!(nobody.answer("PLAY", URI), None);
        let mut basic = answers();
        assert_eq!(basic.challenged("Basic realm=\"a\"", Had::None), Ok(()));
        assert_eq!(basic.challenged("Basic realm=\"a\"", Had::Earlier), Err(NoUse::Refused));
    }

    #[test]
    fn who_has_wanted_a_hash_does_not_get_the_password() {
        let (basic, digest) = ("Basic realm=\"a\"", "Digest realm=\"a\", nonce=\"1\"");
        let mut given = answers();
        assert_eq!(given.challenged(&format!("{basic}, {digest}"), Had::None), Ok(()));
        for had in [Had::None, Had::Earlier, Had::Fresh] {
            assert_eq!(given.challenged(basic, had), Err(NoUse::InClear));
            assert!(given.answer("PLAY", URI).is_some_and(|answer| answer.starts_with("Digest")));
        }
        let mut next = answers().to_one_that_wants_a_hash(given.wants_hash());
        assert_eq!(next.challenged(basic, Had::None), Err(NoUse::InClear), "on the next connection too");
        assert_eq!(next.answer("PLAY", URI), None);
        let mut other = answers();
        assert_eq!((other.challenged(basic, Had::None), other.wants_hash()), (Ok(()), false));
        assert_eq!(other.challenged(digest, Had::Fresh), Err(NoUse::Refused));
        assert_eq!(other.answer("PLAY", URI), None);
        assert_eq!(other.challenged(basic, Had::None), Err(NoUse::InClear), "though that was refused");
    }

    #[test]
    fn a_login_stands_in_a_url_or_in_a_file() {
        let of = |url: &str| Login::of(&Url::parse(url).expect("a URL"));
        let anna = |password: &str| Login { user: "anna".into(), password: password.into() };
        assert_eq!(of("rtsp://edge/news"), Ok(None));
        assert_eq!(of("rtsp://anna:o%40pen%3A@edge/news"), Ok(Some(anna("o@pen:"))));
        assert_eq!(of("rtsp://anna@edge/news"), Ok(Some(anna(""))));
        assert!(of("rtsp://anna:%0A@edge/news").is_err());
        assert_eq!(Login::in_text("anna:o:pen \n"), Some(anna("o:pen ")));
        assert_eq!(["anna", ":x", "anna:x\nbob:y", ""].map(Login::in_text), [None, None, None, None]);
    }

    #[test]
    fn the_password_is_never_shown() {
        let login = Login { user: "anna".into(), password: "sesame".into() };
        assert!(!format!("{login:?}").contains("sesame"));
    }
}
