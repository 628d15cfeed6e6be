//! Lists of channels, and tokens: what the judgement of a request over HTTP has beside those of RTSP.

use std::time::Instant;

use constant_time_eq::constant_time_eq;

use super::acquaintance::Acquaintance;
use super::judge::{Access, Asked, Login, OverHttp, Verdict, Who};
use super::tallies::{Barred, Challenged, Failed};
use crate::event::lock;

impl Access {
    /// What the token of a request comes to, or that it has none where it needs one. `None`: a login decides.
    pub(super) fn judge_token(&self, asked: &Asked<'_>, who: &Who, now: Instant) -> Option<Verdict> {
        let door = self.door();
        let OverHttp { token, .. } = asked.over_http.filter(|_| !door.tokens.is_empty())?;
        match (who, token) {
            (Who::Everybody, _) | (Who::Only(_), _) => None,
            (Who::Users, Some(token)) => {
                Some(self.check_token(token, asked, now).err().unwrap_or(Verdict::Allowed))
            }
            (Who::Users, None) => door.users.is_none().then(|| self.bar(Barred::Token)),
        }
    }

    fn check_token(&self, token: &str, asked: &Asked<'_>, now: Instant) -> Result<(), Verdict> {
        if let Some(wait) = self.failures.wait(asked.client, now) {
            self.tallies.barred(Barred::Failures);
            return Err(Verdict::NotNow(wait, Barred::Failures.reason()));
        }
        // All of them, so that how long it takes tells nothing.
        let door = self.door();
        let same =
            door.tokens.iter().filter(|own| constant_time_eq(own.as_bytes(), token.as_bytes())).count();
        if same > 0 {
            return Ok(());
        }
        self.failures.note(asked.client, now);
        self.tallies.failed(Failed::Token);
        Err(Verdict::Forbidden(Failed::Token.reason()))
    }

    /// Which of these channels who asks for a list may watch, by one login or token.
    ///
    /// # Errors
    /// What is to be done instead: none of them is to be seen by somebody who has not logged in, or he wants to.
    pub fn visible(
        &self,
        asked: &Asked<'_>,
        known: &mut Acquaintance,
        channels: &[String],
        now: Instant,
    ) -> Result<Vec<bool>, Verdict> {
        let OverHttp { token, wants_login, .. } = asked.over_http.unwrap_or_default();
        let door = self.door();
        let token = token.filter(|_| !door.tokens.is_empty());
        token.map(|token| self.check_token(token, asked, now)).transpose()?;
        let users = door.users.as_ref().map(|file| file.users());
        let login = users.as_ref().map(|users| Login { access: self, users, who: &Who::Users, asked, now });
        let user = match &login {
            Some(login) if asked.authorization.is_some() => Some(login.identify(known)?),
            _ => None,
        };
        let is_free = users.is_none() && door.tokens.is_empty();
        let sees = |channel: &String| {
            let rule = lock(&self.channels).get(channel).cloned();
            let who = rule.as_deref().map_or(&Who::Users, |rule| &rule.who);
            let by_login = || {
                login
                    .as_ref()
                    .zip(user.as_deref())
                    .is_some_and(|(login, user)| login.may_see(user, who, channel))
            };
            door.networks.let_in(rule.as_deref().map(|rule| &rule.networks), asked.client)
                && (is_free || *who == Who::Everybody || *who == Who::Users && token.is_some() || by_login())
        };
        let visible: Vec<_> = channels.iter().map(sees).collect();
        let is_stranger = user.is_none() && token.is_none() && !is_free;
        let sees_nothing = !channels.is_empty() && !visible.contains(&true);
        match &login {
            Some(login) if user.is_none() && (wants_login || is_stranger && sees_nothing) => {
                Err(login.challenge(known, Challenged::New))
            }
            None if is_stranger && sees_nothing => Err(self.bar(Barred::Token)),
            _ => Ok(visible),
        }
    }
}
