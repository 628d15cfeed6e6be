//! Signs of life: by which requests a server knows that its client is there, and how often they are due.
//!
//! Servers count one or the other of them, and not always the one that they name. So each that a server does not refuse is
//! asked in turn; reports (RTCP) go beside them. It does not know the connection.

use std::collections::VecDeque;
use std::time::Duration;

use crate::wire::rtsp::{Method, Response, StatusCode};

/// A session that lives for a second is shown life each second, not more often.
const SHORTEST: Duration = Duration::from_secs(1);
/// Of a session that lives for hours.
const LONGEST: Duration = Duration::from_secs(30);
/// A request that the server may understand is left out once it was refused, or not answered, so often in a row.
const MOST_REFUSALS: u8 = 3;

/// The requests that are left.
#[derive(Debug)]
pub(super) struct Signs {
    interval: Duration,
    /// With how often each was refused in a row.
    left: Vec<(Method, u8)>,
    /// What is asked when all others were refused.
    spare: Option<Method>,
    round: VecDeque<Method>,
}

impl Default for Signs {
    fn default() -> Self {
        let left = vec![(Method::GetParameter, 0), (Method::Options, 0)];
        Self { interval: LONGEST, left, spare: Some(Method::SetParameter), round: VecDeque::new() }
    }
}

impl Signs {
    /// The answer to OPTIONS. What is not named there is tried all the same: a refusal costs nothing.
    pub fn offered(&mut self, response: &Response) {
        let is_named = response.offers("SET_PARAMETER") == Some(true);
        self.left.extend(self.spare.take_if(|_| is_named).map(|method| (method, 0)));
    }

    /// How long the session lives without a sign.
    pub fn lives_for(&mut self, timeout: Duration) {
        self.interval = (timeout / 2).clamp(SHORTEST, LONGEST);
    }

    /// When the next round is due after one has begun.
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// A round begins. A server that refuses all of them may know by a refusal that its client is there.
    pub fn begin(&mut self) {
        self.round = self.left.iter().map(|(method, _)| method.clone()).collect();
        if self.round.is_empty() {
            self.round.push_back(Method::Options);
        }
    }

    /// What is asked next in this round.
    pub fn next(&mut self) -> Option<Method> {
        self.round.pop_front()
    }

    /// What a request was answered; `None`: nothing. Where none is left another one is tried.
    pub fn answered(&mut self, method: &Method, status: Option<StatusCode>) {
        let Some(place) = self.left.iter().position(|(left, _)| left == method) else { return };
        let refusals = &mut self.left[place].1;
        *refusals = match status.map(u16::from) {
            Some(..400) => 0,
            Some(400 | 405 | 501 | 551) => MOST_REFUSALS, // it does not understand it, and never will
            _ => *refusals + 1,
        };
        if *refusals < MOST_REFUSALS {
            return;
        }
        self.left.remove(place);
        if let Some(spare) = self.spare.take_if(|_| self.left.is_empty()) {
            self.round.push_back(spare.clone());
            self.left.push((spare, 0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::rtsp::{Reply, StatusCode};

    fn round(signs: &mut Signs) -> Vec<Method> {
        signs.begin();
        std::iter::from_fn(|| signs.next()).collect()
    }

    #[test]
    fn each_that_is_not_refused_is_asked() {
        let mut signs = Signs::default();
        let unknown = Some(StatusCode::NotImplemented);
        assert_eq!(round(&mut signs), [Method::GetParameter, Method::Options]);
        signs.answered(&Method::GetParameter, unknown);
        assert_eq!(round(&mut signs), [Method::Options]);
        signs.answered(&Method::Options, unknown);
        assert_eq!(signs.next(), Some(Method::SetParameter), "at once");
        assert_eq!(round(&mut signs), [Method::SetParameter]);
        signs.answered(&Method::SetParameter, unknown);
        assert_eq!(round(&mut signs), [Method::Options], "something is asked all the same");
        signs.answered(&Method::Options, unknown);
        assert_eq!(round(&mut signs), [Method::Options]);
    }

    #[test]
    fn what_goes_wrong_now_and_then_is_asked_on() {
        for wrong in [None, Some(StatusCode::InternalServerError), Some(StatusCode::Unauthorized)] {
            let mut signs = Signs::default();
            for status in [wrong, wrong, Some(StatusCode::Ok), wrong, wrong] {
                signs.answered(&Method::GetParameter, status);
                assert_eq!(round(&mut signs)[0], Method::GetParameter);
            }
            signs.answered(&Method::GetParameter, wrong);
            assert_eq!(round(&mut signs), [Method::Options], "the third time in a row");
        }
    }

    #[test]
    fn what_a_server_names_is_asked_from_the_first() {
        let mut signs = Signs::default();
        let reply = Reply::new(StatusCode::Ok, Some(1)).header("Public", "OPTIONS, SET_PARAMETER");
        signs.offered(&Response::parse(&reply.to_bytes()).expect("a response"));
        assert_eq!(round(&mut signs), [Method::GetParameter, Method::Options, Method::SetParameter]);
    }

    #[test]
    fn twice_in_the_time_that_a_session_lives() {
        let mut signs = Signs::default();
        for (timeout_s, interval_ms) in [(60, 30_000), (10, 5_000), (1, 1_000), (3, 1_500), (86_400, 30_000)]
        {
            signs.lives_for(Duration::from_secs(timeout_s));
            assert_eq!(signs.interval(), Duration::from_millis(interval_ms), "{timeout_s}");
        }
    }
}
