//! What a receiver reports of one stream (RFC 3550 section 6.4): its loss since the last report, and how long ago the
//! sender's came. It knows neither when a report is due nor how it is sent.

use std::time::Duration;

use super::super::reception::Reception;
use super::feedback::Report;
use super::write::receiver_report;

/// The reports of one stream.
#[derive(Debug, Default)]
pub struct Reporting {
    /// The middle of the last sender report's NTP time, and when it came.
    sender_report: Option<(u32, Duration)>,
    /// Where the sequence stood at the last receiver report.
    highest: u32,
    lost: u64,
}

impl Reporting {
    /// The sender's report came, with this NTP time.
    pub fn sender_report(&mut self, ntp_timestamp: u64, now: Duration) {
        self.sender_report = Some(((ntp_timestamp >> 16) as u32, now));
    }

    /// The report that is due now, of the receiver with this SSRC and name. Before anything came it tells that the receiver is
    /// there, and nothing else.
    #[must_use]
    pub fn report(
        &mut self,
        reception: &Reception,
        clock_rate: Option<u32>,
        (ssrc, name): (u32, &str),
        now: Duration,
    ) -> Vec<u8> {
        let came = reception.ssrc().zip(reception.extended_highest_sequence());
        let report = came.map(|(source, highest)| self.block(reception, clock_rate, (source, highest), now));
        receiver_report(ssrc, name, report.as_ref())
    }

    fn block(
        &mut self,
        reception: &Reception,
        clock_rate: Option<u32>,
        (source, highest): (u32, u32),
        now: Duration,
    ) -> Report {
        let lost = reception.missing();
        let expected = highest.wrapping_sub(self.highest);
        let fraction = match lost.saturating_sub(self.lost) {
            newly_lost if expected > 0 => {
                (newly_lost.min(expected.into()) * 256 / u64::from(expected)).min(255)
            }
            _ => 0,
        };
        (self.highest, self.lost) = (highest, lost);
        let (last_sender_report, delay) = self.sender_report.map_or((0, 0), |(ntp_middle, at)| {
            (ntp_middle, units(now.saturating_sub(at).as_secs_f64(), 65_536.0))
        });
        Report {
            ssrc: source,
            fraction_lost: fraction as u8,
            cumulative_lost: lost.min(i32::MAX as u64) as i32,
            extended_highest_sequence: highest,
            jitter: units(reception.jitter_seconds().unwrap_or(0.0), f64::from(clock_rate.unwrap_or(0))),
            last_sender_report,
            delay_since_last_sender_report: delay,
        }
    }
}

/// Seconds in units of a clock; what is beyond 32 bits is capped.
fn units(seconds: f64, rate: f64) -> u32 {
    (seconds * rate) as u32
}
