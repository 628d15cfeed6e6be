//! Packets of one numbering that are waited with, in its order, until those before them have come.

use std::collections::VecDeque;
use std::time::Duration;

/// The most that wait.
const MOST_PACKETS: usize = 8192;
/// The most bytes of them.
const MOST_BYTES: usize = 16 << 20;
/// Numbers that share a sequence number are so far apart.
const ROUND: u64 = 1 << 16;

/// One numbering: what is next, and what waits for that.
#[derive(Debug)]
pub(super) struct InOrder<T> {
    pub ssrc: u32,
    /// The number of the packet that is next; its low 16 bits are the sequence number.
    pub next: u64,
    /// When a packet of it came last, whichever it was.
    pub heard: Duration,
    waiting: VecDeque<Waiting<T>>,
    bytes: usize,
}

#[derive(Debug)]
struct Waiting<T> {
    number: u64,
    /// Since when it, or one behind it, waits.
    since: Duration,
    leg: usize,
    packet: T,
}

impl<T: AsRef<[u8]>> InOrder<T> {
    /// One whose next packet has this sequence number.
    pub fn new(ssrc: u32, sequence: u16, heard: Duration) -> Self {
        let next = 2 * ROUND + u64::from(sequence);
        Self { ssrc, next, heard, waiting: VecDeque::new(), bytes: 0 }
    }

    /// The number of a packet: that with its sequence number which is nearest to the next one.
    pub fn number(&self, sequence: u16) -> u64 {
        let ahead = sequence.wrapping_sub(self.next as u16) as i16;
        self.next.saturating_add_signed(i64::from(ahead))
    }

    /// The number of the first that waits, and since when it does.
    pub fn first(&self) -> Option<(u64, Duration)> {
        self.waiting.front().map(|first| (first.number, first.since))
    }

    pub fn is_full(&self) -> bool {
        self.waiting.len() > MOST_PACKETS || self.bytes > MOST_BYTES
    }

    /// Has a packet of a leg wait, made by `own`. `false`: one of its number does already.
    pub fn wait(&mut self, number: u64, leg: usize, now: Duration, own: impl FnOnce() -> T) -> bool {
        let place = self.waiting.partition_point(|before| before.number < number);
        let after = self.waiting.get(place);
        if after.is_some_and(|after| after.number == number) {
            return false;
        }
        let since = after.map_or(now, |after| after.since.min(now));
        let packet = own();
        self.bytes += packet.as_ref().len();
        self.waiting.insert(place, Waiting { number, since, leg, packet });
        true
    }

    /// Takes the first that waits, whatever is missing before it, and the leg that brought it.
    pub fn pop(&mut self) -> Option<(usize, T)> {
        let Waiting { number, leg, packet, .. } = self.waiting.pop_front()?;
        self.bytes -= packet.as_ref().len();
        self.next = number + 1;
        Some((leg, packet))
    }

    /// Takes the place of another one: its numbers are beyond all of that, and what waits is next. Each packet that waits, by
    /// its number, leg and time, is told to `note`.
    pub fn follow(mut self, before: &Self, mut note: impl FnMut(u64, usize, Duration)) -> Self {
        let first = self.waiting.front().map_or(self.next, |first| first.number);
        let shift = (before.next / ROUND + 2) * ROUND - first / ROUND * ROUND;
        for waiting in &mut self.waiting {
            waiting.number += shift;
            note(waiting.number, waiting.leg, waiting.since);
        }
        self.next = first + shift;
        self
    }
}
