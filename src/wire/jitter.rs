//! Interarrival jitter: the estimator of RFC 3550 A.8. It is told arrival times, and knows no clock but the stream's.

use std::time::Duration;

/// The estimate, in units of the timestamp's clock.
#[derive(Debug, Clone, Default)]
pub(super) struct Jitter {
    transit: u32,
    units: f64,
    measured: bool,
}

impl Jitter {
    /// A new numbering has a new timestamp offset too: only the transit starts over, the estimate stays.
    pub fn restart(&mut self, timestamp: u32, arrival: Duration, rate: u32) {
        self.transit = transit(timestamp, arrival, rate);
    }

    pub fn update(&mut self, timestamp: u32, arrival: Duration, rate: u32) {
        let transit = transit(timestamp, arrival, rate);
        let difference = (transit.wrapping_sub(self.transit) as i32).unsigned_abs();
        self.transit = transit;
        self.units += (f64::from(difference) - self.units) / 16.0;
        self.measured = true;
    }

    /// None before two packets.
    pub fn seconds(&self, rate: u32) -> Option<f64> {
        self.measured.then(|| self.units / f64::from(rate))
    }
}

/// Arrival time in timestamp units less the timestamp; only differences of it mean anything, so it may wrap.
fn transit(timestamp: u32, arrival: Duration, rate: u32) -> u32 {
    let whole = arrival.as_secs().wrapping_mul(u64::from(rate));
    let part = u64::from(arrival.subsec_nanos()) * u64::from(rate) / 1_000_000_000;
    (whole.wrapping_add(part) as u32).wrapping_sub(timestamp)
}
