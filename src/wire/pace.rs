//! How fast a stream comes, and whether the time that has passed explains a step in its numbering.
//!
//! After an outage of seconds thousands of numbers are passed over, as they are when a source starts anew. Only time
//! tells the two apart: what was lost would have come in it, and its timestamps have gone on meanwhile.

use std::time::Duration;

/// Packets are counted for so long to tell their rate.
const SPAN: Duration = Duration::from_secs(1);
/// A span that a pause has made longer than this tells no rate.
const LONGEST_SPAN: Duration = Duration::from_secs(4);
/// The rate of a stream that has just begun, from so many packets in so long at the least.
const FEWEST: u64 = 32;
const SHORTEST_SPAN: Duration = Duration::from_millis(250);
/// Nobody knows any more what a source would have sent in a longer outage.
const LONGEST_OUTAGE: Duration = Duration::from_secs(24 * 3600);
/// Numbers that look alike.
const CYCLE: f64 = 65_536.0;

/// The rate of one numbering.
#[derive(Debug, Clone, Default)]
pub(super) struct Pace {
    /// The newest packet's timestamp and arrival.
    newest: Option<(u32, Duration)>,
    span_began: Duration,
    span_packets: u64,
    per_second: Option<f64>,
}

impl Pace {
    /// The first packet of a numbering.
    pub fn begin(&mut self, timestamp: u32, arrival: Duration) {
        *self = Self { newest: Some((timestamp, arrival)), span_began: arrival, ..Self::default() };
    }

    /// A packet that is `ahead` numbers further than the one before.
    pub fn count(&mut self, ahead: u64, timestamp: u32, arrival: Duration) {
        self.newest = Some((timestamp, arrival));
        self.span_packets = self.span_packets.saturating_add(ahead);
        let span = arrival.saturating_sub(self.span_began);
        if span < SPAN {
            return;
        }
        if span <= LONGEST_SPAN {
            let rate = self.span_packets as f64 / span.as_secs_f64();
            self.per_second = Some(self.per_second.map_or(rate, |before| (before + rate) / 2.0));
        }
        (self.span_began, self.span_packets) = (arrival, 0);
    }

    /// How many packets a step is that looks like `ahead`, if as many would have come since the newest one, and the
    /// timestamp has gone on for as long. Without a clock rate the number alone has to fit, and closely.
    pub fn explains(
        &self,
        ahead: u16,
        timestamp: u32,
        arrival: Duration,
        clock_rate: Option<u32>,
    ) -> Option<u64> {
        let (newest, newest_at) = self.newest?;
        let passed = arrival.checked_sub(newest_at).filter(|passed| *passed <= LONGEST_OUTAGE)?.as_secs_f64();
        let expected = self.per_second()? * passed;
        let off = match clock_rate.map(f64::from) {
            Some(rate) => {
                let ticks = (passed * rate) as u64 as u32;
                let off = timestamp.wrapping_sub(newest).wrapping_sub(ticks).cast_signed().unsigned_abs();
                let fits = f64::from(off) <= (1.0 + passed / 1000.0) * rate;
                fits.then_some(expected / 2.0)?
            }
            None => Some(expected / 4.0).filter(|off| *off < CYCLE / 4.0)?,
        };
        let wraps = ((expected - f64::from(ahead)) / CYCLE).round().max(0.0);
        let total = f64::from(ahead) + wraps * CYCLE;
        ((total - expected).abs() <= off).then_some(total as u64)
    }

    fn per_second(&self) -> Option<f64> {
        let so_far = || {
            let span = self.newest?.1.saturating_sub(self.span_began);
            let tells = span >= SHORTEST_SPAN && self.span_packets >= FEWEST;
            tells.then(|| self.span_packets as f64 / span.as_secs_f64())
        };
        self.per_second.or_else(so_far)
    }
}
