//! Patience: how long a session lives without a sign of its viewer. Knows neither clock nor socket.
//!
//! Players say that they are alive as packets arrive, and at no other time. So while the source of a session that plays
//! is silent the viewer's silence means nothing, and its time begins anew as media returns. Its connection, which TCP
//! watches, is its sign of life meanwhile. A session without one is given less: a viewer that has closed it has to show
//! soon that it means to go on, and then as often as any other, whatever its source does.

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
    /// Likewise, once they have closed their connection.
    pub close_grace: Duration,
}

/// What a viewer has let us know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signs {
    /// Its last sign of life.
    pub last: Instant,
    /// When it closed the connection that its session belonged to, if it has asked on no other one since.
    pub left_at: Option<Instant>,
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

    /// What is to be done with a session by its viewer's signs. `is_asked`: whether signs are found by looking for them.
    pub fn judge(&self, signs: Signs, media: Media, is_asked: bool, now: Instant) -> Verdict {
        let deadline = match (signs.left_at, media) {
            (Some(at), _) if signs.is_not_back() => at + self.close_grace,
            (Some(_), _) | (None, Media::Stopped) => signs.last + self.timeout,
            (None, Media::Silent) => signs.last + self.longest_silence,
            (None, Media::Flows { since }) => signs.last.max(since) + self.timeout,
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

impl Signs {
    /// Whether it has closed its connection, and nothing has come of it since.
    pub fn is_not_back(&self) -> bool {
        self.left_at.is_some_and(|at| self.last <= at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::clock;

    const PATIENCE: Patience = Patience {
        timeout: Duration::from_secs(60),
        longest_silence: Duration::from_secs(86_400),
        close_grace: Duration::from_secs(10),
    };

    fn signs(last: Instant) -> Signs {
        Signs { last, left_at: None }
    }

    fn after(began: Instant, seconds: u64) -> Instant {
        began + Duration::from_secs(seconds)
    }

    #[test]
    fn a_session_that_does_not_play_lives_for_the_timeout() {
        let began = clock::now();
        let judge = |at| PATIENCE.judge(signs(began), Media::Stopped, false, after(began, at));
        assert_eq!(judge(20), Verdict::LookAgain(after(began, 60)));
        assert_eq!(judge(60), Verdict::Over);
    }

    #[test]
    fn a_silent_source_ends_no_session_for_a_day() {
        let began = clock::now();
        let judge = |at| PATIENCE.judge(signs(began), Media::Silent, true, after(began, at));
        assert_eq!(judge(60), Verdict::LookAgain(after(began, 120)));
        assert_eq!(judge(86_399), Verdict::LookAgain(after(began, 86_400)));
        assert_eq!(judge(86_400), Verdict::Over);
    }

    #[test]
    fn the_time_begins_anew_as_media_returns() {
        let (began, since) = (clock::now(), after(clock::now(), 1000));
        let judge = |sign, at| PATIENCE.judge(signs(sign), Media::Flows { since }, false, at);
        assert_eq!(judge(began, after(since, 59)), Verdict::LookAgain(after(since, 60)));
        assert_eq!(judge(began, after(since, 60)), Verdict::Over);
        assert_eq!(judge(after(since, 30), after(since, 60)), Verdict::LookAgain(after(since, 90)));
    }

    #[test]
    fn who_closes_its_connection_has_the_grace_to_come_back_and_then_the_timeout() {
        let began = clock::now();
        let left_at = after(began, 50);
        let of = |media, last, at| {
            let signs = Signs { last: after(began, last), left_at: Some(left_at) };
            PATIENCE.judge(signs, media, false, after(began, at))
        };
        for media in [Media::Stopped, Media::Silent, Media::Flows { since: after(began, 65) }] {
            assert_eq!(of(media, 0, 51), Verdict::LookAgain(after(began, 60)));
            assert_eq!(of(media, 50, 60), Verdict::Over, "what came before it was closed does not count");
            assert_eq!(of(media, 55, 60), Verdict::LookAgain(after(began, 115)));
            assert_eq!(of(media, 55, 115), Verdict::Over, "no connection stands for it");
        }
    }

    #[test]
    fn signs_that_are_asked_for_are_asked_for_often_enough() {
        let since = clock::now();
        let judge = |patience: Patience| patience.judge(signs(since), Media::Flows { since }, true, since);
        assert_eq!(judge(PATIENCE), Verdict::LookAgain(after(since, 10)));
        assert_eq!(PATIENCE.first_look(since), after(since, 10));
        let short = Patience { timeout: Duration::from_secs(8), ..PATIENCE };
        assert_eq!(judge(short), Verdict::LookAgain(after(since, 2)));
    }
}
