//! Lateness: from a packet's arrival to when it was sent, without the rest that was wanted.
//!
//! Written once a round of a lane. It is what the metrics show, and what control work is paced by.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::event::{Histogram, clock, lock};

/// The newest spans of this length are what counts as now.
const SPAN: Duration = Duration::from_millis(50);

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
    epoch: Instant,
    udp: Mutex<Histogram>,
    tcp: Mutex<Histogram>,
    /// The worst of an even and of an odd span: its number, and microseconds.
    worst: [AtomicU64; 2],
}

impl Default for Lateness {
    fn default() -> Self {
        let worst = Default::default();
        Self { epoch: clock::now(), udp: Mutex::default(), tcp: Mutex::default(), worst }
    }
}

impl Leg {
    /// Both, with their names in metrics.
    pub const ALL: [(Self, &'static str); 2] = [(Self::Udp, "udp"), (Self::Tcp, "tcp")];
}

impl Lateness {
    /// The oldest packet of a round left so late.
    pub(super) fn observe(&self, leg: Leg, late: Duration, now: Instant) {
        lock(self.of(leg)).observe(late);
        let span = self.span(now);
        let entry = span << 32 | (late.as_micros() as u64).min(u64::from(u32::MAX));
        // A larger number is a newer span or, in the same one, a later packet.
        self.worst[(span % 2) as usize].fetch_max(entry, Relaxed);
    }

    /// The worst of late: of this span and the one before.
    pub fn now(&self, now: Instant) -> Duration {
        let oldest = self.span(now).saturating_sub(1);
        let entries = self.worst.iter().map(|entry| entry.load(Relaxed));
        let recent = entries.filter(|entry| entry >> 32 >= oldest).map(|entry| entry & u64::from(u32::MAX));
        Duration::from_micros(recent.max().unwrap_or(0))
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

    #[test]
    fn what_counts_is_the_worst_of_late() {
        let (lateness, began) = (Lateness::default(), clock::now());
        let ms = Duration::from_millis;
        let observe = |late, at| lateness.observe(Leg::Udp, ms(late), began + ms(at));
        assert_eq!(lateness.now(began), ms(0));
        observe(30, 10);
        observe(7, 20);
        assert_eq!(lateness.now(began + ms(20)), ms(30));
        observe(5, 70);
        assert_eq!(lateness.now(began + ms(70)), ms(30), "a span later it still counts");
        observe(6, 130);
        assert_eq!(lateness.now(began + ms(130)), ms(6));
        assert_eq!(lateness.now(began + ms(300)), ms(0), "who sends nothing is not late");
        assert_eq!((lateness.histogram(Leg::Udp).count(), lateness.histogram(Leg::Tcp).count()), (4, 0));
    }
}
