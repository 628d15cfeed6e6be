//! Patience: how long a session lives without a sign of its viewer. Knows neither clock nor socket.
//!
//! Players say that they are alive as packets arrive, and at no other time. So while the source of a session that plays
//! is silent the viewer's silence means nothing, and its time begins anew as media returns. Its connection, which TCP
//! watches, is its sign of life meanwhile.

use std::time::{Duration, Instant};

/// What a viewer over TCP acknowledges is asked for as often: what is found counts from there.
const LOOK_EVERY: Duration = Duration::from_secs(10);
const LOOKS_IN_A_TIMEOUT: u32 = 4;

/// How long viewers may be silent.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    pub timeout: Duration,
    /// Likewise, while the source is silent.
    pub longest_silence: Duration,
}

/// What a session is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// Nothing: it does not play.
    Stopped,
    /// Nothing: its source is silent.
    Silent,
    /// Packets, without a silence of the source since then.
    Flows { since: Instant },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The viewer has been silent for too long.
    Over,
    LookAgain(Instant),
}

impl Patience {
    /// When a session is looked at first.
    pub fn first_look(&self, now: Instant) -> Instant {
        now + self.between_looks()
    }

    /// What is to be done with a session that has given a sign of life then. `is_asked`: whether signs are found by
    /// looking for them.
    pub fn judge(&self, last_sign: Instant, media: Media, is_asked: bool, now: Instant) -> Verdict {
        let deadline = match media {
            Media::Stopped => last_sign + self.timeout,
            Media::Silent => last_sign + self.longest_silence,
            Media::Flows { since } => last_sign.max(since) + self.timeout,
        };
        if deadline <= now {
            return Verdict::Over;
        }
        let again = match media {
            Media::Flows { .. } if is_asked => self.between_looks(),
            _ => self.timeout,
        };
        Verdict::LookAgain(deadline.min(now + again))
    }

    fn between_looks(&self) -> Duration {
        LOOK_EVERY.min(self.timeout / LOOKS_IN_A_TIMEOUT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::clock;

    const PATIENCE: Patience =
        Patience { timeout: Duration::from_secs(60), longest_silence: Duration::from_secs(86_400) };

    fn after(began: Instant, seconds: u64) -> Instant {
        began + Duration::from_secs(seconds)
    }

    #[test]
    fn a_session_that_does_not_play_lives_for_the_timeout() {
        let began = clock::now();
        let judge = |at| PATIENCE.judge(began, Media::Stopped, false, after(began, at));
        assert_eq!(judge(20), Verdict::LookAgain(after(began, 60)));
        assert_eq!(judge(60), Verdict::Over);
    }

    #[test]
    fn a_silent_source_ends_no_session_for_a_day() {
        let began = clock::now();
        let judge = |at| PATIENCE.judge(began, Media::Silent, true, after(began, at));
        assert_eq!(judge(60), Verdict::LookAgain(after(began, 120)));
        assert_eq!(judge(86_399), Verdict::LookAgain(after(began, 86_400)));
        assert_eq!(judge(86_400), Verdict::Over);
    }

    #[test]
    fn the_time_begins_anew_as_media_returns() {
        let (began, since) = (clock::now(), after(clock::now(), 1000));
        let judge = |sign, at| PATIENCE.judge(sign, Media::Flows { since }, false, at);
        assert_eq!(judge(began, after(since, 59)), Verdict::LookAgain(after(since, 60)));
        assert_eq!(judge(began, after(since, 60)), Verdict::Over);
        assert_eq!(judge(after(since, 30), after(since, 60)), Verdict::LookAgain(after(since, 90)));
    }

    #[test]
    fn signs_that_are_asked_for_are_asked_for_often_enough() {
        let since = clock::now();
        let judge = |patience: Patience| patience.judge(since, Media::Flows { since }, true, since);
        assert_eq!(judge(PATIENCE), Verdict::LookAgain(after(since, 10)));
        assert_eq!(PATIENCE.first_look(since), after(since, 10));
        let short = Patience { timeout: Duration::from_secs(8), ..PATIENCE };
        assert_eq!(judge(short), Verdict::LookAgain(after(since, 2)));
    }
}
