//! What a connection was challenged with, and who has logged in on it.
//!
//! A nonce belongs to the one connection that it was given to, so nothing that is overheard is of use on another; there,
//! each count of a client is good once. Clients that count nothing (RFC 2069) repeat their answers on their connection, and
//! on no other. So there is no table of nonces, and what is kept is bounded by the connections.

use std::fmt::Write;
use std::time::{Duration, Instant};

/// Counts behind the highest that may still come: of requests that were sent together.
const WINDOW: u32 = u64::BITS;

/// What one connection is known by.
#[derive(Debug, Default)]
pub struct Acquaintance {
    nonce: Option<Nonce>,
    /// Who has logged in.
    user: Option<String>,
}

#[derive(Debug)]
struct Nonce {
    text: String,
    good_until: Instant,
    counts: Counts,
}

/// Which counts were used, of the latest.
#[derive(Debug, Default)]
struct Counts {
    highest: u32,
    /// A bit for each of the highest and those before.
    used: u64,
}

/// Whether a nonce is good, in the words of the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Good,
    Expired,
    /// This connection was not given it, or has another one by now.
    Foreign,
    /// It was used with this count before.
    Replayed,
}

impl Acquaintance {
    /// The nonce to challenge with: the one there is while it is fresh, so that requests that were sent together are
    /// answered by one; but another one once it was used with a count, as who is challenged begins to count anew.
    pub(super) fn challenge(&mut self, life: Duration, now: Instant) -> Result<&str, getrandom::Error> {
        let is_fresh = |nonce: &Nonce| {
            nonce.counts.highest == 0 && nonce.good_until.saturating_duration_since(now) > life / 2
        };
        if !self.nonce.as_ref().is_some_and(is_fresh) {
            let (text, good_until) = (random()?, now + life);
            self.nonce = Some(Nonce { text, good_until, counts: Counts::default() });
        }
        Ok(self.nonce.as_ref().map_or("", |nonce| &nonce.text))
    }

    /// Uses a nonce in an answer that is right. While it is used it lives on: there are clients that do not ask again.
    pub(super) fn answer(
        &mut self,
        nonce: &str,
        count: Option<u32>,
        life: Duration,
        now: Instant,
    ) -> Standing {
        let Some(own) = self.nonce.as_mut().filter(|own| own.text == nonce) else { return Standing::Foreign };
        if own.good_until <= now {
            return Standing::Expired;
        }
        if count.is_some_and(|count| !own.counts.take(count)) {
            return Standing::Replayed;
        }
        own.good_until = now + life;
        Standing::Good
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

impl Counts {
    /// Uses a count, once.
    fn take(&mut self, count: u32) -> bool {
        if count > self.highest {
            self.used = self.used.checked_shl(count - self.highest).unwrap_or(0) | 1;
            self.highest = count;
            return true;
        }
        let behind = self.highest - count;
        let is_new = count > 0 && behind < WINDOW && self.used & 1 << behind == 0;
        if is_new {
            self.used |= 1 << behind;
        }
        is_new
    }
}

/// 128 bits that nobody can guess.
fn random() -> Result<String, getrandom::Error> {
    let mut random = [0; 16];
    getrandom::fill(&mut random)?;
    Ok(random.iter().fold(String::with_capacity(32), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // writing to a String does not fail
        text
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::clock;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const LIFE: Duration = Duration::from_secs(300);

    fn challenged(acquaintance: &mut Acquaintance, now: Instant) -> String {
        acquaintance.challenge(LIFE, now).expect("random bits").to_owned()
    }

    #[test]
    fn a_nonce_is_good_where_it_was_given_and_until_it_is_not_used_any_more() {
        let (mut one, mut other, start) = (Acquaintance::default(), Acquaintance::default(), clock::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(one.answer("", Some(1), LIFE, start), Standing::Foreign, "it was given none");
        let nonce = challenged(&mut one, start);
        challenged(&mut other, start);
        assert_eq!(nonce.len(), 32);
        assert_eq!(other.answer(&nonce, Some(1), LIFE, start), Standing::Foreign);
        assert_eq!(one.answer(&nonce, Some(1), LIFE, at(299)), Standing::Good);
        assert_eq!(one.answer(&nonce, None, LIFE, at(598)), Standing::Good, "it has lived on");
        assert_eq!(one.answer(&nonce, Some(2), LIFE, at(898)), Standing::Expired);
    }

    #[test]
    fn a_count_is_good_once_and_without_one_the_nonce_stays_good() {
        let (mut one, now) = (Acquaintance::default(), clock::now());
        let nonce = challenged(&mut one, now);
        assert_eq!(one.answer(&nonce, Some(1), LIFE, now), Standing::Good);
        assert_eq!(one.answer(&nonce, Some(1), LIFE, now), Standing::Replayed);
        assert_eq!(one.answer(&nonce, None, LIFE, now), Standing::Good);
        assert_eq!(one.answer(&nonce, None, LIFE, now), Standing::Good);
        let after = challenged(&mut one, now);
        assert_ne!(after, nonce, "who is challenged begins to count anew");
        assert_eq!(one.answer(&nonce, Some(2), LIFE, now), Standing::Foreign);
        assert_eq!(one.answer(&after, Some(1), LIFE, now), Standing::Good);
    }

    #[test]
    fn requests_that_were_sent_together_are_challenged_with_one_nonce() {
        let (mut one, start) = (Acquaintance::default(), clock::now());
        let nonce = challenged(&mut one, start);
        assert_eq!(challenged(&mut one, start + LIFE / 3), nonce);
        assert_ne!(challenged(&mut one, start + LIFE * 2 / 3), nonce, "who answers has time");
    }

    #[test]
    fn who_has_logged_in_is_known() {
        let mut one = Acquaintance::default();
        assert!(!one.is("anna"));
        assert!(one.log_in("anna") && !one.log_in("anna"));
        assert!(one.is("anna") && one.log_in("ben") && !one.is("anna"));
    }

    proptest! {
        /// Whatever the order: none is taken twice, and none of the latest is refused the first time.
        #[test]
        fn each_count_is_taken_once(counts in prop::collection::vec(0..200u32, 0..200)) {
            let (mut used, mut taken, mut highest) = (Counts::default(), BTreeSet::new(), 0);
            for count in counts {
                let is_new = used.take(count);
                let is_late = count == 0 || highest >= count + WINDOW;
                prop_assert_eq!(is_new, !taken.contains(&count) && !is_late);
                if is_new {
                    taken.insert(count);
                }
                highest = highest.max(count);
            }
        }
    }
}
