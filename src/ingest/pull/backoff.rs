//! How long a stream that failed is left alone before it is asked for again.

use std::time::Duration;

use crate::wire::rtsp::StatusCode;

use super::failure::Failure;
use super::silence::SilenceLimit;

/// The first try comes at once: most connections that break can be made again.
const FIRST: Duration = Duration::from_millis(250);
/// The second. Each one after that waits twice as long as the one before.
const SECOND: Duration = Duration::from_secs(1);
/// Where somebody watches no try waits for longer: media is back within 3 s of the server's return.
pub(super) const LONGEST_WATCHED: Duration = Duration::from_millis(1500);
const LONGEST: Duration = Duration::from_secs(10);
/// A login that was refused is not asked about again and again: servers shut out who guesses.
const LOGIN: Duration = Duration::from_secs(30);
/// The longest that a server is believed to want.
const LONGEST_WANTED: Duration = Duration::from_secs(60);
/// Who was pulled for so long has been reached for good, and begins anew.
const GOOD: Duration = Duration::from_secs(10);

/// Of one stream.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
    /// How long the next session may bring no media.
    pub silence_limit: SilenceLimit,
}

impl Backoff {
    /// Whether a wait is what the server wants, whoever may be waiting for its stream.
    pub fn is_firm(failure: &Failure) -> bool {
        matches!(failure, Failure::Login(_) | Failure::Refused(_, StatusCode::ServiceUnavailable, Some(_)))
    }

    /// How long to wait after a failure; media had come for `flowed` before. `dice` are any 32 bits, so that streams that
    /// failed together do not come back together.
    pub fn next(&mut self, failure: &Failure, flowed: Duration, watched: bool, dice: u32) -> Duration {
        if flowed >= GOOD {
            self.failures = 0;
        }
        self.failures = self.failures.saturating_add(1);
        if let Failure::NoMedia(waited) = failure {
            self.silence_limit = SilenceLimit::after(*waited);
        }
        let wait = match (failure, self.failures) {
            (Failure::Login(_), _) => LOGIN,
            (Failure::Refused(_, StatusCode::ServiceUnavailable, Some(wanted)), _) => {
                (*wanted).min(LONGEST_WANTED)
            }
            (_, 1) => FIRST,
            (_, more) => {
                let longest = if watched { LONGEST_WATCHED } else { LONGEST };
                SECOND.saturating_mul(1 << (more - 2).min(8)).min(longest)
            }
        };
        // Up to a quarter of it is left out.
        wait - wait.mul_f64(f64::from(dice) / f64::from(u32::MAX) / 4.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::rtsp::{Method, NoUse};

    fn waits(failure: &Failure, watched: bool) -> Vec<u128> {
        let mut backoff = Backoff::default();
        (0..6).map(|_| backoff.next(failure, Duration::ZERO, watched, 0).as_millis()).collect()
    }

    #[test]
    fn a_server_is_asked_less_and_less_and_where_somebody_watches_never_late() {
        assert_eq!(waits(&Failure::Closed, false), [250, 1000, 2000, 4000, 8000, 10_000]);
        assert_eq!(waits(&Failure::Closed, true), [250, 1000, 1500, 1500, 1500, 1500]);
        assert_eq!(waits(&Failure::Login(NoUse::Refused), true)[..2], [30_000, 30_000]);
        let busy = Failure::Refused(Method::Describe, StatusCode::ServiceUnavailable, Some(7 * SECOND));
        assert_eq!(waits(&busy, true)[..2], [7000, 7000], "as it wants");
    }

    #[test]
    fn who_was_there_for_a_while_begins_anew_and_the_dice_only_shorten() {
        let mut backoff = Backoff::default();
        for _ in 0..5 {
            backoff.next(&Failure::Closed, SECOND, false, 0);
        }
        assert_eq!(backoff.next(&Failure::Closed, GOOD, false, 0), FIRST);
        let short = backoff.next(&Failure::Closed, SECOND, false, u32::MAX);
        assert_eq!(short, Duration::from_millis(750));
        for _ in 0..1000 {
            backoff.next(&Failure::Closed, Duration::ZERO, true, 7);
        }
    }
}
