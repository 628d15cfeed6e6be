//! What the log is told of a stream that is pulled: a line when it is not to be had, and one when it comes again.

use std::time::{Duration, Instant};

use crate::wire::rtsp::StatusCode;

use super::failure::Failure;
use super::puller::Pull;

/// What comes and goes all the time is no news.
const NEWS_AFTER: Duration = Duration::from_secs(10);

/// What it was told last.
#[derive(Debug, Default)]
pub(super) struct Telling {
    last: Option<Told>,
    /// When it was told of a failure.
    failed_at: Option<Instant>,
    changed_at: Option<Instant>,
    /// It was told that the stream is pulled from itself.
    rings: bool,
    refused: Vec<(usize, StatusCode)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Comes,
    Fails,
}

impl Telling {
    /// Media comes.
    pub fn it_comes(&mut self, pull: &Pull, on_demand: bool) {
        let (channel, server) = (&pull.name, pull.server());
        match self.last {
            Some(Told::Fails) => tracing::info!(channel, server, "it is pulled again"),
            None if !on_demand => tracing::info!(channel, server, "it is pulled"),
            _ => return,
        }
        self.last = Some(Told::Comes);
        self.rings = false;
    }

    /// It is not to be had, or no longer.
    pub fn it_fails(&mut self, pull: &Pull, failure: &Failure, now: Instant) {
        // The failures before may have been others' who were waited for.
        let is_ring = failure.is_a_ring() && !std::mem::replace(&mut self.rings, failure.is_a_ring());
        if self.is_news(now) || is_ring {
            let (channel, server) = (&pull.name, pull.server());
            tracing::warn!(channel, server, "it is not pulled, and tried again: {failure}");
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

    /// A track is not served.
    pub fn it_lacks(&mut self, pull: &Pull, (track, status): (usize, StatusCode)) {
        if self.refused.contains(&(track, status)) {
            return;
        }
        self.refused.retain(|(other, _)| *other != track);
        self.refused.push((track, status));
        let (channel, track) = (&pull.name, track + 1);
        tracing::warn!(channel, track, %status, "the server does not serve a track; the others go on");
    }

    fn is_news(&mut self, now: Instant) -> bool {
        let is_soon = self.failed_at.is_some_and(|at| now < at + NEWS_AFTER);
        if self.last == Some(Told::Fails) || is_soon {
            return false;
        }
        (self.last, self.failed_at) = (Some(Told::Fails), Some(now));
        true
    }
}

#[cfg(all(test, not(model)))]
mod tests {
    use super::*;
    use crate::event::clock;
    use crate::ingest::pull::Transport;
    use crate::wire::rtsp::Url;

    fn pull() -> Pull {
        let url = Url::parse("rtsp://edge/news").expect("a URL");
        Pull { name: "news".into(), url, login: None, transport: Transport::Tcp, trust: None }
    }

    #[test]
    fn what_a_server_does_each_time_is_told_once() {
        let (mut telling, pull) = (Telling::default(), pull());
        for _ in 0..3 {
            telling.it_lacks(&pull, (1, StatusCode::NotFound));
            telling.it_lacks(&pull, (2, StatusCode::NotFound));
        }
        telling.it_lacks(&pull, (1, StatusCode::Forbidden));
        assert_eq!(telling.refused, [(2, StatusCode::NotFound), (1, StatusCode::Forbidden)]);
    }

    #[test]
    fn an_episode_is_a_line_and_what_comes_and_goes_is_one_now_and_then() {
        let (mut telling, now) = (Telling::default(), clock::now());
        let at = |seconds| now + Duration::from_secs(seconds);
        assert_eq!([0, 1, 60].map(|seconds| telling.is_news(at(seconds))), [true, false, false]);
        telling.last = Some(Told::Comes);
        assert!(telling.is_news(at(61)));
        telling.last = Some(Told::Comes);
        assert_eq!([62, 70, 71].map(|seconds| telling.is_news(at(seconds))), [false, false, true]);
    }
}
