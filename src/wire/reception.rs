//! What arrived of one source and what did not: the statistics of RFC 3550 appendix A.1 (sequence numbers),
//! A.3 (loss) and A.8 (jitter), and counts of what came late or twice.
//!
//! It measures and decides nothing: every packet is reflected whatever is found here. It reads no clock;
//! arrival times are told.

use std::time::Duration;

use super::pace::Pace;
use super::rtp::RtpHeader;
use super::run::Run;

pub use super::run::Arrival;

/// Statistics of the packets of one track, whichever source sends them.
#[derive(Debug, Clone)]
pub struct Reception {
    clock_rate: Option<u32>,
    run: Option<Run>,
    jitter: Jitter,
    pace: Pace,
    packets: u64,
    lost: u64,
    late: u64,
    reordered: u64,
    duplicates: u64,
    ssrc_changes: u64,
    restarts: u64,
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
            late: 0,
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
            Arrival::Reordered => self.reordered += 1,
            Arrival::Duplicate => self.duplicates += 1,
            Arrival::NewSource { .. } => self.ssrc_changes += 1,
            Arrival::Restart => self.restarts += 1,
            Arrival::First | Arrival::InOrder | Arrival::Gap { .. } | Arrival::Stray => {}
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

    /// Numbers that were given up: they did not come before a hundred that follow them, or a restart. Never goes down.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Packets that came after their number was given up.
    #[must_use]
    pub fn late(&self) -> u64 {
        self.late
    }

    /// Packets that were passed over and have not come so far.
    #[must_use]
    pub fn missing(&self) -> u64 {
        let open = self.run.as_ref().map_or(0, Run::missing);
        (self.lost + open).saturating_sub(self.late)
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
            self.lost += run.missing();
            *run = Run::new(header.ssrc, header.sequence);
            return Arrival::NewSource { previous_ssrc };
        }
        let (pace, rate) = (&self.pace, self.clock_rate);
        let explain = |ahead| pace.explains(ahead, header.timestamp, arrival, rate);
        let taken = run.take(header.sequence, explain);
        self.lost += taken.lost;
        self.late += u64::from(taken.late);
        taken.what
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
