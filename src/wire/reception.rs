//! What arrived of one source and what did not: the statistics of RFC 3550 appendix A.1 (sequence numbers),
//! A.3 (loss) and A.8 (jitter), and counts of what came late or twice.
//!
//! It measures and decides nothing: every packet is reflected whatever is found here. It reads no clock;
//! arrival times are told.

use std::time::Duration;

use super::pace::Pace;
use super::rtp::RtpHeader;
use super::seq::steps;

/// A step forward of this many packets is a source that started anew (RFC 3550 A.1), unless as many would have
/// come in the time that has passed.
const MAX_DROPOUT: u16 = 3000;

/// How many of the latest sequence numbers are remembered, to tell a duplicate from a late packet. A packet
/// further behind belongs to no known run. Divides 65536, so that the window stays aligned across the wrap.
const WINDOW: u16 = 512;

/// Statistics of the packets of one track, whichever source sends them.
#[derive(Debug, Clone)]
pub struct Reception {
    clock_rate: Option<u32>,
    run: Option<Run>,
    jitter: Jitter,
    pace: Pace,
    packets: u64,
    lost: u64,
    reordered: u64,
    duplicates: u64,
    ssrc_changes: u64,
    restarts: u64,
}

/// How a packet stands to those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// The very first packet.
    First,
    /// The one expected next.
    InOrder,
    /// Ahead of the one expected: `missing` packets between are lost, or late.
    Gap {
        /// How many numbers were passed over: more than 2998 only where the time that has passed explains them.
        missing: u64,
    },
    /// Behind the newest and not seen before.
    Reordered,
    /// Seen before.
    Duplicate,
    /// From another SSRC than the packet before: the source restarted, or was replaced.
    NewSource {
        /// The SSRC that was followed until now.
        previous_ssrc: u32,
    },
    /// Same SSRC, far from the numbers expected, and alone so far. If the next packet continues it, that
    /// next one is the `Restart`; a lone one changes nothing (RFC 3550 A.1, `bad_seq`).
    Stray,
    /// Same SSRC, but two packets in a row follow a new numbering: the source started anew.
    Restart,
}

impl Reception {
    /// Statistics with nothing received. `clock_rate` in Hz turns timestamps into time; without it there is
    /// no jitter.
    #[must_use]
    pub fn new(clock_rate: Option<u32>) -> Self {
        Self {
            clock_rate: clock_rate.filter(|rate| *rate > 0),
            run: None,
            jitter: Jitter::default(),
            pace: Pace::default(),
            packets: 0,
            lost: 0,
            reordered: 0,
            duplicates: 0,
            ssrc_changes: 0,
            restarts: 0,
        }
    }

    /// Takes in one packet. `arrival` counts from any epoch that stays the same.
    pub fn receive(&mut self, header: &RtpHeader, arrival: Duration) -> Arrival {
        self.packets += 1;
        let what = self.follow(header, arrival);
        match what {
            Arrival::Gap { missing } => self.lost += missing,
            Arrival::Reordered => self.reordered += 1,
            Arrival::Duplicate => self.duplicates += 1,
            Arrival::NewSource { .. } => self.ssrc_changes += 1,
            Arrival::Restart => self.restarts += 1,
            Arrival::First | Arrival::InOrder | Arrival::Stray => {}
        }
        match what {
            Arrival::InOrder => self.pace.count(1, header.timestamp, arrival),
            Arrival::Gap { missing } => self.pace.count(missing + 1, header.timestamp, arrival),
            Arrival::First | Arrival::NewSource { .. } | Arrival::Restart => {
                self.pace.begin(header.timestamp, arrival);
            }
            Arrival::Reordered | Arrival::Duplicate | Arrival::Stray => {}
        }
        self.time(what, header.timestamp, arrival);
        what
    }

    /// Packets received, duplicates and strays included.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// Packets that were passed over and have not come late. A restart of the source loses nothing.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Packets that came after a later one.
    #[must_use]
    pub fn reordered(&self) -> u64 {
        self.reordered
    }

    /// Packets that came again.
    #[must_use]
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// How often the SSRC changed.
    #[must_use]
    pub fn ssrc_changes(&self) -> u64 {
        self.ssrc_changes
    }

    /// How often the numbering began anew under the same SSRC.
    #[must_use]
    pub fn restarts(&self) -> u64 {
        self.restarts
    }

    /// The source followed now.
    #[must_use]
    pub fn ssrc(&self) -> Option<u32> {
        self.run.as_ref().map(|run| run.ssrc)
    }

    /// The highest sequence number of the present run with the count of its wraps in the upper half, as a
    /// receiver report carries it (RFC 3550 section 6.4.1).
    #[must_use]
    pub fn extended_highest_sequence(&self) -> Option<u32> {
        self.run.as_ref().map(|run| u32::from(run.cycles) << 16 | u32::from(run.highest))
    }

    /// Interarrival jitter in seconds (RFC 3550 A.8). None without a clock rate or before two packets.
    #[must_use]
    pub fn jitter_seconds(&self) -> Option<f64> {
        let rate = self.clock_rate?;
        self.jitter.measured.then(|| self.jitter.units / f64::from(rate))
    }

    fn follow(&mut self, header: &RtpHeader, arrival: Duration) -> Arrival {
        let Some(run) = &mut self.run else {
            self.run = Some(Run::new(header.ssrc, header.sequence));
            return Arrival::First;
        };
        if run.ssrc != header.ssrc {
            let previous_ssrc = run.ssrc;
            *run = Run::new(header.ssrc, header.sequence);
            return Arrival::NewSource { previous_ssrc };
        }
        let (pace, rate) = (&self.pace, self.clock_rate);
        let explain = |ahead| pace.explains(ahead, header.timestamp, arrival, rate);
        let (what, was_counted_lost) = run.take(header.sequence, explain);
        if was_counted_lost {
            self.lost = self.lost.saturating_sub(1);
        }
        what
    }

    fn time(&mut self, what: Arrival, timestamp: u32, arrival: Duration) {
        let Some(rate) = self.clock_rate else { return };
        match what {
            Arrival::Duplicate | Arrival::Stray => {}
            Arrival::First | Arrival::NewSource { .. } | Arrival::Restart => {
                self.jitter.restart(timestamp, arrival, rate);
            }
            Arrival::InOrder | Arrival::Gap { .. } | Arrival::Reordered => {
                self.jitter.update(timestamp, arrival, rate);
            }
        }
    }
}

/// One unbroken numbering of one source.
#[derive(Debug, Clone)]
struct Run {
    ssrc: u32,
    highest: u16,
    cycles: u16,
    /// How far `highest` has come since the first packet; stops counting at its maximum.
    length: u32,
    /// The number that would confirm a restart: the successor of a stray that came last.
    confirming: Option<u16>,
    seen: Seen,
}

impl Run {
    fn new(ssrc: u32, first: u16) -> Self {
        let mut seen = Seen::default();
        seen.insert(first);
        Self { ssrc, highest: first, cycles: 0, length: 0, confirming: None, seen }
    }

    /// Tells how the packet stands, and whether it had been counted as lost before. `explain` says how far a step
    /// of so many numbers is, wraps included, if the time that has passed explains it.
    fn take(&mut self, sequence: u16, explain: impl FnOnce(u16) -> Option<u64>) -> (Arrival, bool) {
        let confirming = self.confirming.take();
        let ahead = steps(self.highest, sequence);
        let behind = steps(sequence, self.highest);
        if (1..MAX_DROPOUT).contains(&ahead) {
            return (self.advance(sequence, u64::from(ahead)), false);
        }
        if behind < WINDOW {
            if !self.seen.insert(sequence) {
                return (Arrival::Duplicate, false);
            }
            // What came before the run's first packet was never counted as lost.
            return (Arrival::Reordered, u32::from(behind) <= self.length);
        }
        if let Some(ahead) = explain(ahead) {
            return (self.advance(sequence, ahead), false);
        }
        if confirming == Some(sequence) {
            let stray = sequence.wrapping_sub(1);
            *self = Self::new(self.ssrc, stray);
            self.advance(sequence, 1);
            return (Arrival::Restart, false);
        }
        self.confirming = Some(sequence.wrapping_add(1));
        (Arrival::Stray, false)
    }

    fn advance(&mut self, sequence: u16, ahead: u64) -> Arrival {
        self.cycles = self.cycles.wrapping_add(((u64::from(self.highest) + ahead) >> 16) as u16);
        self.seen.forget_after(self.highest, ahead);
        self.seen.insert(sequence);
        self.highest = sequence;
        self.length = self.length.saturating_add(u32::try_from(ahead).unwrap_or(u32::MAX));
        match ahead {
            1 => Arrival::InOrder,
            _ => Arrival::Gap { missing: ahead - 1 },
        }
    }
}

/// Which of the latest `WINDOW` sequence numbers came, one bit each.
#[derive(Debug, Clone, Default)]
struct Seen([u64; WINDOW as usize / 64]);

impl Seen {
    /// Marks a number; false if it was marked already.
    fn insert(&mut self, sequence: u16) -> bool {
        let (word, bit) = Self::place(sequence);
        let fresh = self.0[word] & bit == 0;
        self.0[word] |= bit;
        fresh
    }

    /// Makes room for the `count` numbers that follow `highest`.
    fn forget_after(&mut self, highest: u16, count: u64) {
        if count >= u64::from(WINDOW) {
            self.0 = Default::default();
            return;
        }
        for step in 1..=count as u16 {
            let (word, bit) = Self::place(highest.wrapping_add(step));
            self.0[word] &= !bit;
        }
    }

    fn place(sequence: u16) -> (usize, u64) {
        let index = sequence % WINDOW;
        (usize::from(index / 64), 1 << (index % 64))
    }
}

/// The estimator of RFC 3550 A.8, in units of the timestamp's clock.
#[derive(Debug, Clone, Default)]
struct Jitter {
    transit: u32,
    units: f64,
    measured: bool,
}

impl Jitter {
    /// A new numbering has a new timestamp offset too: only the transit starts over, the estimate stays.
    fn restart(&mut self, timestamp: u32, arrival: Duration, rate: u32) {
        self.transit = transit(timestamp, arrival, rate);
    }

    fn update(&mut self, timestamp: u32, arrival: Duration, rate: u32) {
        let transit = transit(timestamp, arrival, rate);
        let difference = (transit.wrapping_sub(self.transit) as i32).unsigned_abs();
        self.transit = transit;
        self.units += (f64::from(difference) - self.units) / 16.0;
        self.measured = true;
    }
}

/// Arrival time in timestamp units less the timestamp; only differences of it mean anything, so it may wrap.
fn transit(timestamp: u32, arrival: Duration, rate: u32) -> u32 {
    let whole = arrival.as_secs().wrapping_mul(u64::from(rate));
    let part = u64::from(arrival.subsec_nanos()) * u64::from(rate) / 1_000_000_000;
    (whole.wrapping_add(part) as u32).wrapping_sub(timestamp)
}

#[cfg(test)]
#[path = "reception_tests.rs"]
mod tests;
