//! Vitals: whether the parts of the program move, and what faults they had.
//!
//! A fault is a panic that was caught. It costs the work that it was caught in, and the part goes on. A part that
//! faults again and again, or can not go on, is given up, and with it the program: whoever watches over that starts it
//! anew, which a part that is dead inside a program that lives would wait for in vain.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::{Mutex, OnceLock, Weak};
use std::time::{Duration, Instant};

use super::{Episode, clock, lock};

/// What a part may take to do the next thing, on a machine that is busy with others.
pub(super) const STANDS_STILL_AFTER: Duration = Duration::from_secs(5);
/// More faults of a part within [`FAULTS_SPAN`] are no accident.
const MOST_FAULTS: u32 = 100;
/// More descriptors than these that can not be polled, within that span, are one that is tried again and again.
const MOST_UNPOLLED: u32 = 100_000;
/// What counts as again and again.
const FAULTS_SPAN: Duration = Duration::from_secs(60);

/// A part that should be seen to move.
pub trait Part: Send + Sync {
    /// What stands still, if something does.
    fn stands_still(&self, now: Instant) -> Option<String>;
}

/// The faults and the life of all parts.
#[derive(Default)]
pub struct Vitals {
    faults: Mutex<BTreeMap<&'static str, Faults>>,
    parts: Mutex<Vec<Weak<dyn Part>>>,
    given_up: OnceLock<String>,
    unpolled: Mutex<Faults>,
    unpolled_said: Episode,
    #[cfg(test)]
    provoked: Mutex<Vec<(&'static str, String)>>,
}

/// Something that does not move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standstill {
    /// What it is, in one line for an operator.
    pub what: String,
    /// It was given up, and will not move again.
    pub for_good: bool,
}

impl fmt::Display for Standstill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.for_good { "given up" } else { "standing still" };
        write!(f, "{how}: {}", self.what)
    }
}

#[derive(Default)]
struct Faults {
    total: u64,
    since: Option<Instant>,
    within_span: u32,
}

impl Faults {
    /// Counts one more; returns how many there were within the span.
    fn add(&mut self, now: Instant) -> u32 {
        if self.since.is_none_or(|since| now.saturating_duration_since(since) > FAULTS_SPAN) {
            (self.since, self.within_span) = (Some(now), 0);
        }
        self.total += 1;
        self.within_span += 1;
        self.within_span
    }
}

impl Vitals {
    /// The parts that count their faults here; each has a series from the start.
    pub const PARTS: [&str; 9] = [
        "create_task",
        "timer",
        "receiver",
        "lane",
        "write",
        "listener",
        "reports",
        "announcements",
        "watch",
    ];

    /// Has a part looked at for as long as it lives.
    pub fn look_at(&self, part: Weak<dyn Part>) {
        let mut parts = lock(&self.parts);
        parts.retain(|part| part.strong_count() > 0);
        parts.push(part);
    }

    /// Counts a fault of a part, which goes on, unless it has too many.
    pub fn fault(&self, part: &'static str) {
        let within_span = lock(&self.faults).entry(part).or_default().add(clock::now());
        tracing::error!(
            part,
            "a fault was caught, and costs what was under way; please report it with this log"
        );
        if within_span > MOST_FAULTS {
            self.give_up(format!("{part}: more than {MOST_FAULTS} faults within a minute"));
        }
    }

    /// Counts a descriptor that the kernel polls no more, whose consumer is closed: memory is short, or the limit of
    /// watches is reached.
    pub(super) fn unpolled(&self, error: &io::Error) {
        let now = clock::now();
        let within_span = lock(&self.unpolled).add(now);
        if self.unpolled_said.begins(now) {
            tracing::error!(%error, "descriptors are polled no more (see sysctl fs.epoll.max_user_watches)");
        }
        // A part that others depend on tries again at once, and would for ever.
        if within_span > MOST_UNPOLLED {
            self.give_up(format!("descriptors can not be polled: {error}"));
        }
    }

    /// Descriptors that the kernel polled no more, so far.
    pub fn unpolled_total(&self) -> u64 {
        lock(&self.unpolled).total
    }

    /// The program can not go on without a part that does not.
    pub fn give_up(&self, reason: String) {
        if self.given_up.set(reason).is_ok() {
            tracing::error!(reason = self.given_up(), "a part can not go on");
        }
    }

    /// Why the program is to end.
    pub fn given_up(&self) -> Option<&str> {
        self.given_up.get().map(String::as_str)
    }

    /// Whether all parts move.
    ///
    /// # Errors
    /// What does not.
    pub fn check(&self, now: Instant) -> Result<(), Standstill> {
        if let Some(what) = self.given_up() {
            return Err(Standstill { what: what.to_owned(), for_good: true });
        }
        let parts: Vec<_> = lock(&self.parts).iter().filter_map(Weak::upgrade).collect();
        let stands = parts.iter().find_map(|part| part.stands_still(now));
        stands.map_or(Ok(()), |what| Err(Standstill { what, for_good: false }))
    }

    /// Faults so far, of each part.
    pub fn faults(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let faults = lock(&self.faults);
        Self::PARTS.map(|part| (part, faults.get(part).map_or(0, |faults| faults.total))).into_iter()
    }

    /// Where a test may have the program fault, by what of it.
    #[inline]
    pub fn may_fault(&self, _at: &'static str, _of: impl FnOnce() -> String) {
        #[cfg(test)]
        {
            let mut provoked = lock(&self.provoked);
            if provoked.is_empty() {
                return;
            }
            let here = (_at, _of());
            if let Some(place) = provoked.iter().position(|provoked| *provoked == here) {
                provoked.swap_remove(place);
                drop(provoked);
                panic!("provoked in {here:?}");
            }
        }
    }

    /// Has the program fault there once.
    #[cfg(test)]
    pub fn provoke(&self, at: &'static str, of: &str) {
        lock(&self.provoked).push((at, of.to_owned()));
    }

    /// Whether a fault that was provoked is still to come.
    #[cfg(test)]
    pub fn is_provoked(&self) -> bool {
        !lock(&self.provoked).is_empty()
    }
}

#[cfg(all(test, not(model)))]
mod tests {
    use super::*;
    use std::sync::Arc;

    struct Organ(Option<&'static str>);

    impl Part for Organ {
        fn stands_still(&self, _: Instant) -> Option<String> {
            self.0.map(str::to_owned)
        }
    }

    #[test]
    fn what_stands_still_is_named_for_as_long_as_it_is_there() {
        let vitals = Vitals::default();
        let parts: [Arc<dyn Part>; 2] = [Arc::new(Organ(None)), Arc::new(Organ(Some("the queue")))];
        parts.iter().for_each(|part| vitals.look_at(Arc::downgrade(part)));
        let stands = Standstill { what: "the queue".to_owned(), for_good: false };
        assert_eq!(vitals.check(clock::now()), Err(stands));
        drop(parts);
        assert_eq!(vitals.check(clock::now()), Ok(()));
    }

    #[test]
    fn some_faults_are_counted_and_too_many_end_the_program() {
        let vitals = Vitals::default();
        (0..MOST_FAULTS).for_each(|_| vitals.fault("lane"));
        assert_eq!(vitals.check(clock::now()), Ok(()));
        assert!(vitals.faults().any(|counted| counted == ("lane", u64::from(MOST_FAULTS))));
        assert!(
            vitals.faults().any(|counted| counted == ("write", 0)),
            "each series is there from the start"
        );
        vitals.fault("lane");
        let Standstill { what: reason, for_good } = vitals.check(clock::now()).expect_err("too many");
        assert!(reason.starts_with("lane: ") && for_good, "{reason}");
        vitals.give_up("another".to_owned());
        assert_eq!(vitals.given_up(), Some(reason.as_str()), "the first is why");
    }
}
