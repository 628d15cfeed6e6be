//! What a connection was challenged with, what it has answered, and who has logged in on it.

use std::net::IpAddr;
use std::time::Instant;

use super::nonces::{Nonces, Standing, Use};
use crate::wire::rtsp::digest::DigestAnswer;

/// What one connection is known by.
#[derive(Debug, Default)]
pub struct Acquaintance {
    /// What it was challenged with last.
    given: Option<String>,
    /// What was good in its last answer.
    used: Option<String>,
    /// Who has logged in.
    user: Option<String>,
}

impl Acquaintance {
    /// The nonce to challenge with: the one there is while it is fresh, so that requests that were sent together are
    /// answered by one; but another one once it was used with a count.
    pub(super) fn challenge(
        &mut self,
        nonces: &Nonces,
        client: IpAddr,
        now: Instant,
    ) -> Result<&str, getrandom::Error> {
        if !self.given.as_ref().is_some_and(|nonce| nonces.is_fresh(nonce, client, now)) {
            self.given = Some(nonces.give(client, now)?);
        }
        Ok(self.given.as_deref().unwrap_or_default())
    }

    /// Uses the nonce of an answer that is right.
    pub(super) fn answer(
        &mut self,
        nonces: &Nonces,
        answer: &DigestAnswer,
        client: IpAddr,
        now: Instant,
    ) -> Standing {
        let nonce = answer.nonce.as_str();
        let is_own = [&self.given, &self.used].into_iter().flatten().any(|own| own == nonce);
        let count = answer.counted.as_ref().map(|counted| counted.count);
        let used = Use { nonce, count, response: answer.response(), is_own };
        let standing = nonces.answer(&used, client, now);
        if standing == Standing::Good && self.used.as_deref() != Some(nonce) {
            self.used = Some(nonce.to_owned());
        }
        standing
    }

    /// Whether it is this user who has logged in.
    pub(super) fn is(&self, user: &str) -> bool {
        self.user.as_deref() == Some(user)
    }

    /// This user has logged in. `true`: it had not.
    pub(super) fn log_in(&mut self, user: &str) -> bool {
        let is_new = !self.is(user);
        if is_new {
            self.user = Some(user.to_owned());
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_logged_in_is_known() {
        let mut one = Acquaintance::default();
        assert!(!one.is("anna"));
        assert!(one.log_in("anna") && !one.log_in("anna"));
        assert!(one.is("anna") && one.log_in("ben") && !one.is("anna"));
    }
}
