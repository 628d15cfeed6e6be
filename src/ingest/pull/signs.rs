//! Signs of life: by which requests a server knows that its client is there, and how often they are due.
//!
//! Servers count one or the other of them, and not always the one that they name. So each that a server does not refuse is
//! asked in turn; reports (RTCP) go beside them. It knows neither the connection nor the answers' numbers.

use std::collections::VecDeque;
use std::time::Duration;

use crate::wire::rtsp::{Method, Response};

/// A session that lives for a second is shown life each second, not more often.
const SHORTEST: Duration = Duration::from_secs(1);
/// Of a session that lives for hours.
const LONGEST: Duration = Duration::from_secs(30);

/// The requests that are left.
#[derive(Debug)]
pub(super) struct Signs {
    interval: Duration,
    left: Vec<Method>,
    /// What is asked when all others were refused.
    spare: Option<Method>,
    round: VecDeque<Method>,
}

impl Default for Signs {
    fn default() -> Self {
        let left = vec![Method::GetParameter, Method::Options];
        Self { interval: LONGEST, left, spare: Some(Method::SetParameter), round: VecDeque::new() }
    }
}

impl Signs {
    /// The answer to OPTIONS. What is not named there is tried all the same: a refusal costs nothing.
    pub fn offered(&mut self, response: &Response) {
        let is_named = response.offers("SET_PARAMETER") == Some(true);
        self.left.extend(self.spare.take_if(|_| is_named));
    }

    /// How long the session lives without a sign.
    pub fn lives_for(&mut self, timeout: Duration) {
        self.interval = (timeout / 2).clamp(SHORTEST, LONGEST);
    }

    /// When the next round is due after one has begun.
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// A round begins.
    pub fn begin(&mut self) {
        self.round = self.left.iter().cloned().collect();
    }

    /// What is asked next in this round.
    pub fn next(&mut self) -> Option<Method> {
        self.round.pop_front()
    }

    /// The server does not understand a request, or does not answer it. Where none is left another one is tried.
    pub fn refused(&mut self, method: &Method) {
        self.left.retain(|left| left != method);
        if self.left.is_empty() {
            self.left.extend(self.spare.take());
            self.round.extend(self.left.iter().cloned());
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
        assert_eq!(round(&mut signs), [Method::GetParameter, Method::Options]);
        signs.refused(&Method::GetParameter);
        assert_eq!(round(&mut signs), [Method::Options]);
        signs.refused(&Method::Options);
        assert_eq!(signs.next(), Some(Method::SetParameter), "at once");
        assert_eq!(round(&mut signs), [Method::SetParameter]);
        signs.refused(&Method::SetParameter);
        assert_eq!(round(&mut signs), []);
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
