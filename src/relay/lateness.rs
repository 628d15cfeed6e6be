//! Lateness: from a packet's arrival to when it was sent, without the rest that was wanted.
//!
//! Written once a run of a lane. It is what the metrics show, and what control work is paced by.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::event::{Histogram, lock};

/// What counts as now: this span, and the one before.
const SPAN: Duration = Duration::from_millis(50);
/// Of the age at which packets are let go: media that is so late comes before all else.
const LATE: u32 = 20;
/// Of that age: media that is so late, and stays so, can not be served to more.
const TOO_LATE: u32 = 16;

/// By what packets leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leg {
    /// As datagrams.
    Udp,
    /// Over connections.
    Tcp,
}

/// How late packets leave.
#[derive(Debug)]
pub struct Lateness {
    ring_age: Duration,
    epoch: Instant,
    udp: Mutex<Histogram>,
    tcp: Mutex<Histogram>,
    /// The worst of an even and of an odd span: its number, and microseconds.
    worst: [AtomicU64; 2],
}

impl Leg {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Udp, Self::Tcp];

    /// As metrics and the log have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }
}

impl Lateness {
    /// Nothing is late yet. `ring_age` is how old a packet gets before it is let go.
    pub fn new(ring_age: Duration, now: Instant) -> Arc<Self> {
        let (udp, tcp) = (Mutex::default(), Mutex::default());
        Arc::new(Self { ring_age, epoch: now, udp, tcp, worst: Default::default() })
    }

    /// The oldest packet of a run left so late. One that waited for room in a socket says nothing of the others.
    pub fn observe(&self, leg: Leg, late: Duration, waited_for_room: bool, now: Instant) {
        lock(self.of(leg)).observe(late);
        if waited_for_room {
            return;
        }
        let span = self.span(now);
        let entry = span << 32 | (late.as_micros() as u64).min(u64::from(u32::MAX));
        // A larger number is a newer span or, in the same one, a later packet.
        self.worst[(span % 2) as usize].fetch_max(entry, Relaxed);
    }

    /// Whether media is late, and all else is to yield.
    pub fn is_late(&self, now: Instant) -> bool {
        self.recent(now).into_iter().flatten().any(|late| late > self.ring_age / LATE)
    }

    /// Whether media is so late, and stays so, that it can not be served to more. A span that has just begun, and of
    /// which nothing is known, is as the one before.
    pub fn is_too_late(&self, now: Instant) -> bool {
        let [this, before] = self.recent(now);
        let too_late = |late: Duration| late > self.ring_age / TOO_LATE;
        before.is_some_and(too_late) && this.is_none_or(too_late)
    }

    /// Whether a packet that is so old is close to being let go unsent.
    pub(super) fn is_behind(&self, age: Duration) -> bool {
        age > self.ring_age / 2
    }

    /// The worst of this span, and of the one before; `None` where nothing was sent.
    fn recent(&self, now: Instant) -> [Option<Duration>; 2] {
        let span = self.span(now);
        [span, span.saturating_sub(1)].map(|span| {
            let entry = self.worst[(span % 2) as usize].load(Relaxed);
            (entry >> 32 == span).then(|| Duration::from_micros(entry & u64::from(u32::MAX)))
        })
    }

    /// All that was observed.
    pub fn histogram(&self, leg: Leg) -> Histogram {
        lock(self.of(leg)).clone()
    }

    fn of(&self, leg: Leg) -> &Mutex<Histogram> {
        match leg {
            Leg::Udp => &self.udp,
            Leg::Tcp => &self.tcp,
        }
    }

    fn span(&self, now: Instant) -> u64 {
        (now.saturating_duration_since(self.epoch).as_millis() / SPAN.as_millis()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::clock;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_moment_is_late_and_what_stays_late_is_too_late() {
        let began = clock::now();
        let lateness = Lateness::new(2000 * MS, began);
        let observe = |late, at| lateness.observe(Leg::Udp, late * MS, false, began + at * MS);
        let verdict = |at| (lateness.is_late(began + at * MS), lateness.is_too_late(began + at * MS));
        assert_eq!(verdict(1000), (false, false));
        observe(60, 1002);
        assert_eq!(verdict(1004), (false, false));
        observe(130, 1020);
        observe(7, 1022);
        assert_eq!(verdict(1024), (true, false), "it may pass");
        observe(130, 1060);
        assert_eq!(verdict(1062), (true, true));
        assert_eq!(verdict(1101), (true, true), "nothing else is known");
        observe(20, 1110);
        assert_eq!(verdict(1112), (true, false));
        assert_eq!(verdict(1220), (false, false), "who sends nothing is not late");
        assert_eq!((lateness.histogram(Leg::Udp).count(), lateness.histogram(Leg::Tcp).count()), (5, 0));
    }

    #[test]
    fn who_waits_for_room_in_a_socket_keeps_nobody_out() {
        let began = clock::now();
        let lateness = Lateness::new(2000 * MS, began);
        (0..10).for_each(|span| lateness.observe(Leg::Tcp, 900 * MS, true, began + 100 * span * MS));
        assert!(!lateness.is_late(began + 900 * MS));
        assert_eq!(lateness.histogram(Leg::Tcp).count(), 10);
    }
}
