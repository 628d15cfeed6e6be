//! The users, and their file as text: who may log in, to watch what. Knows neither where the file is nor who may read it.
//!
//! ```text
//! realm Mirrorball
//! user anna channels=* sha-256=<64 digits> md5=<32 digits>
//! user ben channels=news,uk/sport sha-256=… md5=…
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::wire::rtsp::digest::{Algorithm, Ha1};

/// What a file begins with that is made here.
const HEAD: &str = "# Who may log in to Mirrorball. Made by `mirrorball user`: a line is as good as a password, so keep this file to\n\
                    # its owner (mode 0600). The realm is a part of every password's hash and can not be changed.\n";

/// The longest realm, user and password, in bytes.
const WORD_BYTES: usize = 64;
const PASSWORD_BYTES: usize = 256;
/// The shortest password, in characters: what goes over the network in the clear can be guessed against at leisure.
const PASSWORD_CHARACTERS: usize = 8;

/// Everybody who may log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Users {
    realm: String,
    users: BTreeMap<String, User>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    ha1: Ha1,
    channels: Scope,
}

/// Which channels somebody may watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Whatever there is.
    All,
    /// These.
    Only(BTreeSet<String>),
}

/// What is wrong with a line of the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}: {wrong}")]
pub struct WrongLine {
    /// The line's number, from 1.
    pub line: usize,
    /// What is wrong, and the remedy.
    pub wrong: String,
}

impl Users {
    /// Nobody yet, in a realm.
    ///
    /// # Errors
    /// That a realm is not written so.
    pub fn of_realm(realm: &str) -> Result<Self, String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || " -_.:@".contains(c);
        let fits = (1..=WORD_BYTES).contains(&realm.len()) && realm.trim() == realm;
        if !fits || !realm.chars().all(plain) {
            return Err(format!(
                "{realm:?} is no realm; write up to {WORD_BYTES} letters, digits, spaces, \"-\", \"_\", \".\", \":\" and \"@\""
            ));
        }
        Ok(Self { realm: realm.to_owned(), users: BTreeMap::new() })
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// The first line that can not be read.
    pub fn parse(text: &str) -> Result<Self, WrongLine> {
        let mut users: Option<Self> = None;
        for (index, line) in text.lines().enumerate() {
            let wrong = |wrong: String| WrongLine { line: index + 1, wrong };
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            match (word, &mut users) {
                ("realm", None) => users = Some(Self::of_realm(rest.trim()).map_err(wrong)?),
                ("realm", Some(_)) => return Err(wrong("a second realm; leave it out".to_owned())),
                ("user", Some(users)) => users.read(rest).map_err(wrong)?,
                ("user", None) => {
                    return Err(wrong("a user above the realm; the realm comes first".to_owned()));
                }
                _ => return Err(wrong(not_a_line())),
            }
        }
        let without = WrongLine {
            line: 1,
            wrong: "there is no realm; make the file with `mirrorball user add`".to_owned(),
        };
        users.ok_or(without)
    }

    /// `NAME channels=… sha-256=… md5=…`.
    fn read(&mut self, rest: &str) -> Result<(), String> {
        let mut words = rest.split_whitespace();
        let name = words.next().unwrap_or_default();
        check_name(name)?;
        let (mut channels, mut sha256, mut md5) = (None, None, None);
        for word in words {
            let (key, value) = word.split_once('=').ok_or_else(not_a_line)?;
            let place = match key {
                "channels" => &mut channels,
                "sha-256" => &mut sha256,
                "md5" => &mut md5,
                _ => return Err(not_a_line()),
            };
            if place.replace(value).is_some() {
                return Err(format!("user {name:?} has {key}= twice; leave one out"));
            }
        }
        let (Some(channels), Some(sha256), Some(md5)) = (channels, sha256, md5) else {
            return Err(format!("user {name:?} lacks channels=, sha-256= or md5=; {}", again(name)));
        };
        let ha1 = Ha1::from_hex(sha256, md5).ok_or_else(|| {
            format!("the hashes of user {name:?} are not 64 and 32 hexadecimal digits; {}", again(name))
        })?;
        let user = User { ha1, channels: Scope::parse(channels)? };
        match self.users.insert(name.to_owned(), user) {
            None => Ok(()),
            Some(_) => Err(format!("user {name:?} is there twice; leave one line out")),
        }
    }

    /// Adds somebody, or changes the password of one who is there, and the channels if they are given. `true`: it is new.
    ///
    /// # Errors
    /// What is wrong with the name or the password.
    pub fn set(&mut self, name: &str, password: &str, channels: Option<Scope>) -> Result<bool, String> {
        check_name(name)?;
        check_password(password)?;
        let before = self.users.remove(name);
        let is_new = before.is_none();
        let channels = channels.or(before.map(|user| user.channels)).unwrap_or(Scope::All);
        let ha1 = Ha1::of(name, &self.realm, password);
        self.users.insert(name.to_owned(), User { ha1, channels });
        Ok(is_new)
    }

    /// Removes somebody. `false`: there is no such user.
    pub fn remove(&mut self, name: &str) -> bool {
        self.users.remove(name).is_some()
    }

    /// The realm that all passwords are hashed with.
    #[must_use]
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// Somebody of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&User> {
        self.users.get(name)
    }

    /// Everybody, in the order of their names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &User)> {
        self.users.iter().map(|(name, user)| (name.as_str(), user))
    }
}

impl fmt::Display for Users {
    /// The text of their file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEAD}realm {}", self.realm)?;
        for (name, User { ha1, channels }) in &self.users {
            let [sha256, md5] = [Algorithm::Sha256, Algorithm::Md5].map(|algorithm| ha1.to_hex(algorithm));
            writeln!(f, "user {name} channels={channels} sha-256={sha256} md5={md5}")?;
        }
        Ok(())
    }
}

impl User {
    /// What its password is known by.
    #[must_use]
    pub fn ha1(&self) -> &Ha1 {
        &self.ha1
    }

    /// What it may watch.
    #[must_use]
    pub fn channels(&self) -> &Scope {
        &self.channels
    }
}

impl Scope {
    /// `*`, or names of channels with commas between them.
    ///
    /// # Errors
    /// That it is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::All);
        }
        let plain = |name: &str| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c))
        };
        let names: BTreeSet<_> = text.split(',').map(str::to_owned).collect();
        match names.iter().find(|name| !plain(name)) {
            None => Ok(Self::Only(names)),
            Some(wrong) => Err(format!(
                "{wrong:?} is no channel's name; write names such as news,uk/sport, or * for all"
            )),
        }
    }

    pub(super) fn holds(&self, channel: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(channel),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Only(names) => f.write_str(&names.iter().map(String::as_str).collect::<Vec<_>>().join(",")),
        }
    }
}

/// Whether somebody may be called so: what is quoted in no header, hashed alike by all clients, and no part of a URL's syntax.
///
/// # Errors
/// That it may not.
pub fn check_name(name: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if (1..=WORD_BYTES).contains(&name.len()) && name.chars().all(plain) {
        return Ok(());
    }
    Err(format!(
        "{name:?} is no user's name; write up to {WORD_BYTES} letters, digits, \"-\", \"_\" and \".\""
    ))
}

fn check_password(password: &str) -> Result<(), String> {
    let characters = password.chars().count();
    if characters < PASSWORD_CHARACTERS {
        return Err(format!("the password has {characters} characters; write {PASSWORD_CHARACTERS} or more"));
    }
    if password.len() > PASSWORD_BYTES || password.contains(char::is_control) {
        return Err(format!(
            "the password is longer than {PASSWORD_BYTES} bytes, or has control characters; write another"
        ));
    }
    Ok(())
}

fn not_a_line() -> String {
    "this is not `user NAME channels=… sha-256=… md5=…`; make such lines with `mirrorball user add`"
        .to_owned()
}

fn again(name: &str) -> String {
    format!("make the line again: mirrorball user add {name}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn users() -> Users {
        let mut users = Users::of_realm("Mirrorball").expect("a realm");
        let only = Scope::parse("news,uk/sport").expect("names");
        assert_eq!(users.set("anna", "open sesame", None), Ok(true));
        assert_eq!(users.set("ben", "sesame open", Some(only)), Ok(true));
        users
    }

    #[test]
    fn a_file_is_read_as_it_was_written() {
        let users = users();
        let text = users.to_string();
        assert_eq!(Users::parse(&text).as_ref(), Ok(&users));
        assert!(!text.contains("sesame"), "{text}");
        let ben = users.find("ben").expect("he is there");
        assert!(ben.channels().holds("uk/sport") && !ben.channels().holds("film"));
        assert!(users.find("anna").expect("she is there").channels().holds("film"));
        assert_eq!(users.find("Anna"), None, "the case of names counts, as it is hashed");
    }

    #[test]
    fn hashes_are_those_that_other_programs_make() {
        // printf anna:Mirrorball:'open sesame' | sha256sum; … | md5sum
        let line = "user anna channels=* \
            sha-256=dab6ea6ebb2e1814b077929b18f6320ec6080e8585cfccff8d5cae8224f53da4 \
            md5=85b5ce76dfc7c9ed2dde63744f6cda22\n";
        assert!(users().to_string().contains(line));
    }

    #[test]
    fn a_new_password_keeps_the_channels() {
        let mut users = users();
        assert_eq!(users.set("ben", "another one", None), Ok(false));
        assert!(!users.find("ben").expect("he is there").channels().holds("film"));
        assert_eq!(users.set("ben", "another one", Some(Scope::All)), Ok(false));
        assert!(users.find("ben").expect("he is there").channels().holds("film"));
        assert!(users.remove("ben") && !users.remove("ben"));
        assert_eq!(users.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["anna"]);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_and_a_remedy() {
        let good = users().to_string();
        let line = good.lines().last().expect("a line").to_owned();
        let with = |text: &str| good.replace(&line, text);
        for (text, at, says) in [
            (String::new(), 1, "no realm"),
            (line.clone(), 1, "the realm comes first"),
            (with("realm Other"), 5, "a second realm"),
            (with("realm"), 5, "a second realm"),
            ("realm a\"b".to_owned(), 1, "write up to 64 letters"),
            (with("anna:Mirrorball:0123"), 5, "mirrorball user add"),
            (with(&line.replace(" md5=", " md6=")), 5, "mirrorball user add"),
            (with(&line.replace(" md5=", " ")), 5, "mirrorball user add"),
            (with(&line[..line.len() - 1]), 5, "64 and 32 hexadecimal digits"),
            (with(line.rsplit_once(' ').expect("words").0), 5, "lacks channels=, sha-256= or md5="),
            (with(&format!("{line} channels=*")), 5, "has channels= twice"),
            (with(&line.replace("news", "ne ws")), 5, "mirrorball user add"),
            (with(&line.replace("news", "")), 5, "is no channel's name"),
            (with(&line.replace("ben", "b:n")), 5, "is no user's name"),
            (format!("{good}{line}"), 6, "there twice"),
        ] {
            let error = Users::parse(&text).expect_err(&text);
            assert!(error.line == at && error.wrong.contains(says), "{error} in {text}");
            assert!(error.wrong.contains("; "), "a remedy: {error}");
        }
    }

    #[test]
    fn a_name_or_password_that_is_no_good_is_refused() {
        let mut users = users();
        for name in ["", "a b", "a:b", "a\"b", "é", &"n".repeat(65)] {
            assert!(users.set(name, "open sesame", None).is_err(), "{name}");
        }
        for password in ["", "1234567", "line\nbreak", &"p".repeat(257)] {
            let error = users.set("carl", password, None).expect_err(password);
            assert!(password.is_empty() || !error.contains(password), "{error}");
        }
        assert_eq!(users.set("carl", "längenmaß", None), Ok(true));
        for realm in ["", " a", "a\"b", "a\\b", "a\nb"] {
            assert!(Users::of_realm(realm).is_err(), "{realm}");
        }
    }

    proptest! {
        #[test]
        fn any_text_gets_an_answer(text in "((realm|user|channels=|md5=|sha-256=|#)?[ -~\n]{0,20}){0,9}") {
            if let Err(error) = Users::parse(&text) {
                prop_assert!(error.line >= 1 && error.wrong.contains("; "));
            }
        }
    }
}
