//! How long a server is waited for before it is tried anew. Where somebody watches that is short at first, as a packet that
//! was lost, or a server that has just come back, is not to be waited for; who is far away has more time at each try.

use std::time::Duration;

use super::failure::Failure;

/// No connection within so long is none.
const CONNECT: [Duration; 3] =
    [Duration::from_millis(1200), Duration::from_secs(2), Duration::from_millis(2500)];
const CONNECT_UNWATCHED: Duration = Duration::from_secs(3);
/// No answer to the first question, with all that TLS takes before it.
const FIRST_ANSWER: [Duration; 3] = [Duration::from_secs(2), Duration::from_secs(3), ANSWER_WITHIN];
/// No answer from a server that has given one.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// With one server.
#[derive(Debug, Default)]
pub(super) struct Patience {
    /// How often it was too short.
    connects: usize,
    answers: usize,
}

impl Patience {
    pub fn to_connect(&self, is_watched: bool) -> Duration {
        if is_watched { CONNECT[self.connects.min(CONNECT.len() - 1)] } else { CONNECT_UNWATCHED }
    }

    pub fn with_first_answer(&self, is_watched: bool) -> Duration {
        if is_watched { FIRST_ANSWER[self.answers.min(FIRST_ANSWER.len() - 1)] } else { ANSWER_WITHIN }
    }

    /// It was not to be had. Whether patience was at its end.
    pub fn failed(&mut self, failure: &Failure) -> bool {
        let count = match failure {
            Failure::NoConnection => &mut self.connects,
            Failure::Silence(_) => &mut self.answers,
            _ => return false,
        };
        *count = count.saturating_add(1);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::rtsp::Method;

    #[test]
    fn who_is_watched_is_tried_soon_and_given_more_time_at_each_try() {
        let mut patience = Patience::default();
        let tries = [(1200, 2000), (2000, 3000), (2500, 5000), (2500, 5000)];
        for (connect, answer) in
            tries.map(|(connect, answer)| (Duration::from_millis(connect), Duration::from_millis(answer)))
        {
            assert_eq!((patience.to_connect(true), patience.with_first_answer(true)), (connect, answer));
            assert_eq!(
                (patience.to_connect(false), patience.with_first_answer(false)),
                (CONNECT_UNWATCHED, ANSWER_WITHIN)
            );
            assert!(
                patience.failed(&Failure::NoConnection)
                    && patience.failed(&Failure::Silence(Method::Options))
            );
            assert!(!patience.failed(&Failure::Closed));
        }
    }
}
