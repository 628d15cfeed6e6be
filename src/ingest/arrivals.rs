//! The kernel stamps what arrives by the wall clock; the rest of the program counts by the monotonic one.

use std::time::{Duration, Instant};

/// A datagram waits in a socket's queue no longer than this; a stamp that says more is wrong.
const MAX_QUEUED: Duration = Duration::from_secs(10);
/// The wall clock may drift so far from the monotonic one between two readings, beside one in a thousand of the time.
/// What is more is a step: someone has set it.
const DRIFT: Duration = Duration::from_millis(1);

/// Both clocks, read together, and since when the wall clock can be believed.
pub(super) struct Arrivals {
    now: Instant,
    unix_now: Duration,
    /// The first reading after the wall clock was set. A stamp that says less may be from before that.
    steady_since: Instant,
}

/// When a datagram came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Came {
    /// To its socket.
    pub at: Instant,
    /// From there: what is held up meanwhile is held up on all legs, and none of them is silent for that.
    pub taken_at: Instant,
}

impl Arrivals {
    pub fn new(now: Instant, unix_now: Duration) -> Self {
        Self { now, unix_now, steady_since: now }
    }

    /// The clocks as they are now.
    pub fn read_clocks(&mut self, now: Instant, unix_now: Duration) {
        let passed = now.saturating_duration_since(self.now);
        let drift = unix_now.abs_diff(self.unix_now + passed);
        if drift > DRIFT + passed / 1000 {
            self.steady_since = now;
        }
        (self.now, self.unix_now) = (now, unix_now);
    }

    /// When a datagram came that was stamped so, and is taken in now.
    pub fn of(&self, stamp: Option<Duration>) -> Came {
        Came { at: self.arrival(stamp), taken_at: self.now }
    }

    fn arrival(&self, stamp: Option<Duration>) -> Instant {
        let queued = stamp.and_then(|at| self.unix_now.checked_sub(at));
        let arrived =
            queued.filter(|queued| *queued <= MAX_QUEUED).and_then(|queued| self.now.checked_sub(queued));
        arrived.filter(|at| *at >= self.steady_since).unwrap_or(self.now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::clock;

    const SECOND: Duration = Duration::from_secs(1);
    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_stamp_tells_how_long_a_datagram_has_waited() {
        let now = clock::now() + 100 * SECOND;
        let mut arrivals = Arrivals::new(now, 1000 * SECOND);
        arrivals.read_clocks(now + SECOND, 1001 * SECOND);
        assert_eq!(arrivals.arrival(Some(1001 * SECOND - 300 * MS)), now + SECOND - 300 * MS);
        assert_eq!(arrivals.arrival(None), now + SECOND);
        assert_eq!(arrivals.arrival(Some(1002 * SECOND)), now + SECOND, "none comes from the future");
        assert_eq!(arrivals.arrival(Some(900 * SECOND)), now + SECOND, "or waits for minutes");
    }

    #[test]
    fn a_step_of_the_wall_clock_makes_nothing_late() {
        let now = clock::now() + 100 * SECOND;
        let mut arrivals = Arrivals::new(now, 1000 * SECOND);
        arrivals.read_clocks(now + SECOND, 1006 * SECOND);
        assert_eq!(arrivals.arrival(Some(1001 * SECOND)), now + SECOND, "stamped before the step");
        arrivals.read_clocks(now + SECOND + MS, 1006 * SECOND + MS);
        assert_eq!(
            arrivals.arrival(Some(1001 * SECOND)),
            now + SECOND + MS,
            "and so is what the next socket holds"
        );
        arrivals.read_clocks(now + 2 * SECOND, 1007 * SECOND);
        assert_eq!(arrivals.arrival(Some(1007 * SECOND - 20 * MS)), now + 2 * SECOND - 20 * MS);
    }

    #[test]
    fn a_clock_that_is_drawn_to_the_right_time_has_made_no_step() {
        let now = clock::now() + 100 * SECOND;
        let mut arrivals = Arrivals::new(now, 1000 * SECOND);
        arrivals.read_clocks(now + 20 * SECOND, 1020 * SECOND + 10 * MS); // 500 ppm: adjtimex(2)
        assert_eq!(arrivals.arrival(Some(1020 * SECOND)), now + 20 * SECOND - 10 * MS);
    }
}
