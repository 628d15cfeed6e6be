//! Who wants a channel, and whether it is received for their sake alone.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

use crate::event::{clock, lock};

/// Other programs that are known to want a channel, and for how long after they have asked: longer than they wait until they
/// ask again.
const MOST_ASKERS: usize = 31;
const ASKERS_LAST: Duration = Duration::from_secs(120);

/// Of one channel. Unless it is said otherwise it is received always.
#[derive(Default)]
pub struct Demand {
    /// How long it is received after the last who wanted it.
    linger: OnceLock<Duration>,
    wanting: Mutex<Wanting>,
    begins: OnceLock<Box<dyn Fn() + Send + Sync>>,
    askers: Mutex<Vec<(String, Instant)>>,
}

#[derive(Default)]
struct Wanting {
    claims: usize,
    /// When the first came after a time in which it was not received.
    began: Option<Instant>,
    /// When the last one went, where there is none now.
    gone: Option<Instant>,
}

/// Somebody wants a channel; until it is dropped.
pub struct Claim(Arc<Demand>);

impl Demand {
    /// It is received on demand alone, and for so long after. Said before anything else.
    pub fn be_needed(&self, linger: Duration) {
        let _ = self.linger.set(linger);
    }

    /// Who is told, on the thread of the first who wants it, that it is to be received from now on; once for all.
    pub fn on_begin(&self, tell: impl Fn() + Send + Sync + 'static) {
        let _ = self.begins.set(Box::new(tell));
    }

    /// Whether it is received on demand alone.
    pub fn is_needed(&self) -> bool {
        self.linger.get().is_some()
    }

    /// Whether somebody wants it now.
    pub fn is_claimed(&self) -> bool {
        self.wanting().claims > 0
    }

    /// Since when it is to be received without a break. `Err`: it is not; `None`: always.
    fn since(&self, now: Instant) -> Result<Option<Instant>, ()> {
        let Some(linger) = self.linger.get() else { return Ok(None) };
        let wanting = self.wanting();
        if wanting.is_over(*linger, now) { Err(()) } else { Ok(wanting.began) }
    }

    /// Whether it is to be received.
    pub fn is_there(&self, now: Instant) -> bool {
        self.since(now).is_ok()
    }

    /// Whether it has been for so long.
    pub fn has_lasted(&self, length: Duration, now: Instant) -> bool {
        self.since(now).is_ok_and(|began| began.is_none_or(|began| now >= began + length))
    }

    /// Since when nobody has wanted it, though it is still received on demand. `None`: somebody does, or it is not received.
    pub(super) fn lingers_since(&self, now: Instant) -> Option<Instant> {
        let linger = self.linger.get()?;
        let wanting = self.wanting();
        wanting.gone.filter(|_| !wanting.is_over(*linger, now))
    }

    /// It is received no longer, unless somebody wants it.
    pub(super) fn let_go(&self) {
        self.wanting().gone = None;
    }

    /// Other programs have asked for it, for their own viewers.
    pub fn is_asked_for_by<'i>(&self, others: impl Iterator<Item = &'i str>, now: Instant) {
        let mut askers = lock(&self.askers);
        for other in others {
            askers.retain(|(name, at)| name != other && now < *at + ASKERS_LAST);
            askers.push((other.to_owned(), now));
        }
        let more = askers.len().saturating_sub(MOST_ASKERS);
        askers.drain(..more);
    }

    /// Those who have lately.
    pub fn askers(&self, now: Instant) -> Vec<String> {
        let askers = lock(&self.askers);
        askers.iter().filter(|(_, at)| now < *at + ASKERS_LAST).map(|(name, _)| name.clone()).collect()
    }

    fn begin(&self, now: Instant) {
        let mut wanting = self.wanting();
        if self.linger.get().is_some_and(|linger| wanting.is_over(*linger, now)) {
            wanting.began = Some(now);
        }
        let is_first = wanting.claims == 0;
        wanting.claims += 1;
        wanting.gone = None;
        drop(wanting);
        // Though it may still be received: it may be let go of in this very moment.
        if let Some(tell) = self.begins.get().filter(|_| is_first && self.is_needed()) {
            tell();
        }
    }

    fn end(&self, now: Instant) {
        let mut wanting = self.wanting();
        wanting.claims -= 1;
        if wanting.claims == 0 {
            wanting.gone = Some(now);
        }
    }

    fn wanting(&self) -> MutexGuard<'_, Wanting> {
        lock(&self.wanting)
    }
}

impl Wanting {
    fn is_over(&self, linger: Duration, now: Instant) -> bool {
        self.claims == 0 && self.gone.is_none_or(|gone| now >= gone + linger)
    }
}

impl Claim {
    /// Somebody wants it from now on.
    pub fn on(demand: &Arc<Demand>) -> Self {
        demand.begin(clock::now());
        Self(demand.clone())
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.0.end(clock::now());
    }
}

#[cfg(all(test, not(model)))]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn who_comes_back_in_time_finds_it_received_all_along() {
        let (demand, told) = (Demand::default(), Arc::new(AtomicUsize::new(0)));
        let tally = told.clone();
        demand.on_begin(move || {
            tally.fetch_add(1, Relaxed);
        });
        demand.be_needed(10 * SECOND);
        let began = clock::now();
        let at = |seconds: u32| began + seconds * SECOND;
        assert!(!demand.is_there(at(0)), "nobody wants it");
        demand.begin(at(1));
        assert!(demand.is_claimed());
        demand.begin(at(2));
        demand.end(at(3));
        assert!(demand.is_there(at(99)), "one is left");
        demand.end(at(100));
        assert!(demand.is_there(at(109)) && !demand.is_there(at(110)) && !demand.is_claimed());
        demand.begin(at(105));
        assert!(demand.has_lasted(104 * SECOND, at(105)) && !demand.has_lasted(105 * SECOND, at(105)));
        demand.end(at(106));
        demand.begin(at(116));
        assert!(!demand.has_lasted(SECOND, at(116)) && demand.has_lasted(SECOND, at(117)));
        assert_eq!(told.load(Relaxed), 3, "of the first who came each time");
    }

    #[test]
    fn those_who_asked_last_are_known_for_a_while() {
        let (demand, now) = (Demand::default(), clock::now());
        demand.is_asked_for_by(["a", "b", "a"].into_iter(), now);
        assert_eq!(demand.askers(now), ["b", "a"]);
        let many: Vec<_> = (0..99).map(|number| number.to_string()).collect();
        demand.is_asked_for_by(many.iter().map(String::as_str), now + SECOND);
        assert_eq!(demand.askers(now + SECOND), many[99 - MOST_ASKERS..]);
        assert!(demand.askers(now + SECOND + ASKERS_LAST).is_empty());
    }

    #[test]
    fn what_is_received_always_asks_for_nobody() {
        let (demand, now) = (Demand::default(), clock::now());
        demand.on_begin(|| panic!("it is joined"));
        demand.begin(now);
        demand.end(now);
        assert!(demand.is_there(now) && demand.has_lasted(SECOND, now));
    }
}
