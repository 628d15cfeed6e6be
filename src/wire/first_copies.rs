//! Which leg gave each of the newest packets first, and when: what later copies of it are measured by.

use std::time::Duration;

/// As many are remembered. At 2000 packets a second it is four seconds of them.
pub(super) const REMEMBERED: usize = 8192;

/// The first copies of the newest packets.
#[derive(Debug)]
pub(super) struct FirstCopies(Box<[FirstCopy]>);

/// The first copy of a packet.
#[derive(Debug, Clone, Copy)]
pub(super) struct FirstCopy {
    /// The packet's number; 0 is none's.
    number: u64,
    pub arrived: Duration,
    pub leg: usize,
}

impl FirstCopies {
    pub fn new() -> Self {
        let none = FirstCopy { number: 0, arrived: Duration::ZERO, leg: 0 };
        Self(vec![none; REMEMBERED].into())
    }

    /// A packet has come for the first time.
    pub fn note(&mut self, number: u64, arrived: Duration, leg: usize) {
        self.0[number as usize % REMEMBERED] = FirstCopy { number, arrived, leg };
    }

    /// The first copy of a packet; `None`: it has not come, or long ago.
    pub fn find(&self, number: u64) -> Option<FirstCopy> {
        Some(self.0[number as usize % REMEMBERED]).filter(|first| first.number == number)
    }
}
