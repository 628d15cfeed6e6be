//! What the log is told of a stream that is pulled: a line when it is not to be had, and one when it comes again.

use std::mem;
use std::time::{Duration, Instant};

use crate::wire::rtsp::StatusCode;

use super::failure::Failure;
use super::parts::Pull;

/// What comes and goes all the time is no news.
const NEWS_AFTER: Duration = Duration::from_secs(10);

/// What it was told last.
#[derive(Debug, Default)]
pub(super) struct Telling {
    last: Option<Told>,
    /// The reasons of failures that it was told of, since it came last.
    reasons: Vec<&'static str>,
    /// When it was told of a failure.
    failed_at: Option<Instant>,
    changed_at: Option<Instant>,
    /// It was told that the stream is pulled from itself.
    rings: bool,
    /// Tracks that it has come without.
    lacked: Vec<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Comes,
    Fails,
    /// It plays, and nothing comes: that it plays again is no news.
    Silent,
}

impl Telling {
    /// It plays, or the first media of a session has come.
    pub fn it_comes(&mut self, pull: &Pull, on_demand: bool, has_media: bool) {
        if let Some(news) = self.news(on_demand, has_media) {
            tracing::info!(channel = pull.name, server = pull.server(), "{news}");
        }
    }

    fn news(&mut self, on_demand: bool, has_media: bool) -> Option<&'static str> {
        let news = match self.last {
            Some(Told::Silent) if !has_media => return None,
            Some(Told::Fails | Told::Silent) => "it is pulled again",
            None if !on_demand => "it is pulled",
            _ => return None,
        };
        self.last = Some(Told::Comes);
        self.rings = false;
        self.reasons.clear();
        Some(news)
    }

    /// It is not to be had, or no longer.
    pub fn it_fails(&mut self, pull: &Pull, failure: &Failure, now: Instant) {
        let told = if matches!(failure, Failure::NoMedia(_)) { Told::Silent } else { Told::Fails };
        // The failures before may have been others' who were waited for.
        let is_ring = failure.is_a_ring() && !mem::replace(&mut self.rings, failure.is_a_ring());
        if self.is_news((told, failure.reason()), now) || is_ring {
            let (channel, server) = (&pull.name, pull.server());
            tracing::warn!(channel, server, "it is not pulled, and tried again: {failure}");
        }
    }

    /// It comes without these tracks.
    pub fn lacks(&mut self, pull: &Pull, refused: &[(usize, StatusCode)]) {
        for (track, status) in self.new_lacks(refused) {
            let (channel, track) = (&pull.name, track + 1);
            tracing::warn!(channel, track, %status, "the server does not serve a track; the others go on");
        }
    }

    /// It has other tracks or parameters.
    pub fn it_changes(&mut self, pull: &Pull, now: Instant) {
        if self.changed_at.is_none_or(|at| now >= at + NEWS_AFTER) {
            self.changed_at = Some(now);
            let (channel, server) = (&pull.name, pull.server());
            tracing::warn!(channel, server, "{}", Failure::Changed);
        }
    }

    fn new_lacks(&mut self, refused: &[(usize, StatusCode)]) -> Vec<(usize, StatusCode)> {
        let before = mem::replace(&mut self.lacked, refused.iter().map(|(track, _)| *track).collect());
        refused.iter().filter(|(track, _)| !before.contains(track)).copied().collect()
    }

    /// What fails for another reason than those that were told is news, though not at once.
    fn is_news(&mut self, (told, reason): (Told, &'static str), now: Instant) -> bool {
        let is_soon = self.failed_at.is_some_and(|at| now < at + NEWS_AFTER);
        let is_known = match self.last {
            Some(Told::Fails) => told == Told::Silent || self.reasons.contains(&reason),
            last => last == Some(told),
        };
        if is_known || is_soon {
            return false;
        }
        (self.last, self.failed_at) = (Some(told), Some(now));
        self.reasons.push(reason);
        true
    }
}

#[cfg(all(test, not(model)))]
mod tests {
    use super::*;
    use crate::event::clock;

    #[test]
    fn an_episode_is_a_line_and_what_comes_and_goes_is_one_now_and_then() {
        let (mut telling, now) = (Telling::default(), clock::now());
        let at = |seconds| now + Duration::from_secs(seconds);
        assert_eq!(
            [0, 1, 60].map(|seconds| telling.is_news((Told::Fails, "connect"), at(seconds))),
            [true, false, false]
        );
        telling.last = Some(Told::Comes);
        assert!(telling.is_news((Told::Fails, "connect"), at(61)));
        telling.last = Some(Told::Comes);
        assert_eq!(
            [62, 70, 71].map(|seconds| telling.is_news((Told::Fails, "connect"), at(seconds))),
            [false, false, true]
        );
    }

    #[test]
    fn another_reason_is_news_once_until_it_comes() {
        let (mut telling, now) = (Telling::default(), clock::now());
        let mut fails =
            |reason, seconds| telling.is_news((Told::Fails, reason), now + Duration::from_secs(seconds));
        let told =
            [("connect", 0), ("closed", 5), ("closed", 11), ("connect", 30), ("closed", 60), ("timeout", 61)];
        assert_eq!(told.map(|(reason, at)| fails(reason, at)), [true, false, true, false, false, true]);
    }

    #[test]
    fn a_track_that_is_refused_in_each_session_is_told_of_once() {
        let mut telling = Telling::default();
        let (video, audio) = ((0, StatusCode::NotFound), (1, StatusCode::Forbidden));
        assert_eq!(telling.new_lacks(&[audio]), [audio]);
        assert_eq!(telling.new_lacks(&[audio]), []);
        assert_eq!(telling.new_lacks(&[video, audio]), [video]);
        assert_eq!(telling.new_lacks(&[]), []);
        assert_eq!(telling.new_lacks(&[audio]), [audio], "it was served in between");
    }

    #[test]
    fn who_plays_and_stays_silent_is_told_of_once_and_comes_again_with_media() {
        let (mut telling, now) = (Telling::default(), clock::now());
        assert_eq!(telling.news(false, false), Some("it is pulled"));
        for (seconds, is_news) in [(10, true), (30, false), (70, false)] {
            assert_eq!(
                telling.is_news((Told::Silent, "silent"), now + Duration::from_secs(seconds)),
                is_news
            );
            assert_eq!(telling.news(false, false), None, "it plays");
        }
        assert_eq!(telling.news(false, true), Some("it is pulled again"));
        assert_eq!(telling.news(false, true), None);
    }
}
