//! Who may ask for what: a pure function of the request's head, the tokens, and where it came in.
//!
//! A token comes as a bearer's (RFC 6750), or as the password of a Basic login (RFC 7617), whoever that is of: programs send the one, browsers
//! ask for the other.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use constant_time_eq::constant_time_eq;
use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HOST, HeaderName, ORIGIN};

use super::super::super::config::Role;

/// Why something is not for who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denied {
    /// A token has to come along, or another one.
    Login,
    /// The token is for less.
    Role,
    /// There are no tokens, and without one nobody is shown this here.
    NoTokens(Role),
    /// A page of another site has a browser ask.
    Foreign,
}

/// Where a request came in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entrance<'t> {
    pub tokens: &'t [(Role, String)],
    /// Nobody else than this machine's own can come.
    pub is_loopback: bool,
}

impl Entrance<'_> {
    /// Whether who sends such headers may do what takes a role.
    pub fn judge(&self, wanted: Role, headers: &HeaderMap) -> Result<(), Denied> {
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let host = text(HOST).unwrap_or_default();
        if text(ORIGIN).is_some_and(|origin| origin.split_once("://").is_none_or(|(_, own)| own != host)) {
            return Err(Denied::Foreign);
        }
        if self.tokens.is_empty() {
            let is_open = wanted == Role::Read && self.is_loopback;
            return match (is_open, names_this_machine(host)) {
                (true, true) => Ok(()),
                // Another site's name, which it has made lead here.
                (true, false) => Err(Denied::Foreign),
                (false, _) => Err(Denied::NoTokens(wanted)),
            };
        }
        let token = text(AUTHORIZATION).and_then(token_in).ok_or(Denied::Login)?;
        // All of them, so that how long it takes tells nothing.
        let same = self.tokens.iter().filter(|(_, own)| constant_time_eq(own.as_bytes(), token.as_bytes()));
        let role = same.map(|(role, _)| *role).max().ok_or(Denied::Login)?;
        if role >= wanted { Ok(()) } else { Err(Denied::Role) }
    }
}

fn token_in(header: &str) -> Option<String> {
    let (scheme, rest) = header.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().to_owned());
    }
    let login = scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(rest.trim()).ok()).flatten()?;
    String::from_utf8(login).ok()?.split_once(':').map(|(_, password)| password.to_owned())
}

/// An address, or the name that no other machine has.
fn names_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.is_empty() || name.eq_ignore_ascii_case("localhost") || name.parse::<std::net::IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;
    use proptest::prelude::*;

    fn headers(lines: &[(HeaderName, &str)]) -> HeaderMap {
        let pairs =
            lines.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).expect("text")));
        pairs.collect()
    }

    fn basic(login: &str) -> String {
        format!("Basic {}", STANDARD.encode(login))
    }

    #[test]
    fn without_tokens_this_machine_may_see_and_nobody_may_change() {
        let judge = |is_loopback, wanted, host| {
            Entrance { tokens: &[], is_loopback }.judge(wanted, &headers(&[(HOST, host)]))
        };
        for host in ["localhost:9469", "127.0.0.1:9469", "[::1]:9469", "LOCALHOST", ""] {
            assert_eq!(judge(true, Role::Read, host), Ok(()), "{host}");
        }
        assert_eq!(judge(true, Role::Read, "evil.example"), Err(Denied::Foreign));
        assert_eq!(judge(true, Role::Write, "localhost"), Err(Denied::NoTokens(Role::Write)));
        assert_eq!(judge(false, Role::Read, "192.0.2.1:9469"), Err(Denied::NoTokens(Role::Read)));
    }

    #[test]
    fn a_token_is_a_bearers_or_a_password_and_good_for_what_it_says() {
        let tokens =
            [(Role::Read, "looking-at-it-all".to_owned()), (Role::Write, "changing-some-of-it".to_owned())];
        let judge = |wanted, login: &str| {
            let headers = headers(&[(AUTHORIZATION, login)]);
            Entrance { tokens: &tokens, is_loopback: true }.judge(wanted, &headers)
        };
        assert_eq!(judge(Role::Read, "Bearer looking-at-it-all"), Ok(()));
        assert_eq!(judge(Role::Write, "bearer changing-some-of-it"), Ok(()));
        assert_eq!(judge(Role::Read, &basic("anna:changing-some-of-it")), Ok(()));
        assert_eq!(judge(Role::Write, &basic("anna:looking-at-it-all")), Err(Denied::Role));
        for login in ["Bearer looking-at-it-al", "Basic x", "Bearer", "", "Digest looking-at-it-all"] {
            assert_eq!(judge(Role::Read, login), Err(Denied::Login), "{login}");
        }
        let nobody = Entrance { tokens: &tokens, is_loopback: true }.judge(Role::Read, &HeaderMap::new());
        assert_eq!(nobody, Err(Denied::Login), "this machine's own need one as well");
    }

    #[test]
    fn a_page_of_another_site_is_answered_nothing() {
        let tokens = [(Role::Write, "changing-some-of-it".to_owned())];
        let judge = |origin| {
            let login = basic("a:changing-some-of-it");
            let lines = [(HOST, "edge:9469"), (ORIGIN, origin), (AUTHORIZATION, login.as_str())];
            Entrance { tokens: &tokens, is_loopback: false }.judge(Role::Write, &headers(&lines))
        };
        assert_eq!(judge("https://edge:9469"), Ok(()));
        for origin in ["https://evil.example", "null", "https://edge:9469.evil.example"] {
            assert_eq!(judge(origin), Err(Denied::Foreign), "{origin}");
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_for_a_login_is_judged(login in "\\PC{0,80}") {
            let Ok(value) = HeaderValue::from_str(&login) else { return Ok(()) };
            let headers = [(AUTHORIZATION, value)].into_iter().collect();
            let tokens = [(Role::Read, "looking-at-it-all".to_owned())];
            let judged = Entrance { tokens: &tokens, is_loopback: true }.judge(Role::Read, &headers);
            prop_assert!(judged.is_err());
        }
    }
}
