//! An Episode: what goes on for a while is said once, when it begins. A flood in the log would make it worse.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::lock;

/// What has not happened for so long is news when it does.
const OVER_AFTER: Duration = Duration::from_secs(10);

/// Something that may go on for a while.
#[derive(Debug, Default)]
pub struct Episode(Mutex<Option<Instant>>);

impl Episode {
    /// It happens. `true`: it begins, and the log is to hear of it.
    pub fn begins(&self, now: Instant) -> bool {
        let before = lock(&self.0).replace(now);
        before.is_none_or(|before| now.saturating_duration_since(before) >= OVER_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::clock;

    #[test]
    fn what_goes_on_is_said_once_and_again_when_it_comes_back() {
        let (episode, start) = (Episode::default(), clock::now());
        let begins = |seconds| episode.begins(start + Duration::from_secs(seconds));
        assert_eq!([0, 1, 9, 18, 29].map(begins), [true, false, false, false, true]);
    }
}
