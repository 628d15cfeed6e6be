//! One stream out of several, one after the other: what viewers get goes on with its SSRC, sequence numbers and timestamps
//! (RFC 3550 section 5.1), and sender reports say the same of it.
//!
//! Until the first splice all is left as it is. It reads no clock: arrivals are told, counted from wherever.

use std::time::Duration;

use super::renumbering::Renumbering;
use super::rtcp::{Counts, Renamed, SenderTime};
use super::rtp::RtpHeader;

/// What becomes of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportFate {
    /// It is passed on as it is.
    AsItIs,
    /// It is passed on with the stream's name and numbers.
    Renamed(Renamed),
    /// It is of another stream, and passed on to nobody.
    OfAnother,
}

/// Where a stream does not say how fast its timestamps go.
const USUAL_CLOCK_RATE: u32 = 90_000;
/// A packet that is so far behind the newest has been overtaken; what is further is of a new numbering.
const MAX_MISORDER: u16 = 100;

/// Splices streams.
#[derive(Debug)]
pub struct Splice {
    clock_rate: u32,
    newest: Option<Newest>,
    shift: Option<Shift>,
    sent: Counts,
    /// What the source's latest report said that was passed on as it was, and what was sent by then.
    reported: Option<(Counts, Counts)>,
}

/// The newest packet that was sent on.
#[derive(Debug, Clone, Copy)]
struct Newest {
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    at: Duration,
}

/// How packets of a stream differ from those that are sent on; all of it wraps.
#[derive(Debug, Clone, Copy)]
struct Shift {
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
}

impl Splice {
    /// Nothing so far. `clock_rate` in Hz is that of the timestamps.
    #[must_use]
    pub fn new(clock_rate: Option<u32>) -> Self {
        let clock_rate = clock_rate.unwrap_or(USUAL_CLOCK_RATE);
        Self { clock_rate, newest: None, shift: None, sent: Counts::default(), reported: None }
    }

    /// The header that a packet is sent on with. `is_other`: it is the first of another stream. So is one of another SSRC, once
    /// there was a splice: before, the stream is what its source makes of it.
    pub fn next(&mut self, header: &RtpHeader, payload: usize, is_other: bool, now: Duration) -> RtpHeader {
        if let Some(newest) = &self.newest
            && (is_other || self.shift.is_some_and(|shift| shift.ssrc != header.ssrc))
        {
            self.shift = Some(newest.shift_of(header, self.clock_rate, now));
        }
        let header = match (&self.shift, &self.newest) {
            (Some(shift), Some(newest)) => RtpHeader {
                ssrc: newest.ssrc,
                sequence: header.sequence.wrapping_add(shift.sequence),
                timestamp: header.timestamp.wrapping_add(shift.timestamp),
                ..*header
            },
            _ => *header,
        };
        self.sent.packets = self.sent.packets.wrapping_add(1);
        self.sent.octets = self.sent.octets.wrapping_add(payload as u32);
        let RtpHeader { ssrc, sequence, timestamp, .. } = header;
        if self.newest.is_none_or(|newest| newest.is_before(&header)) {
            self.newest = Some(Newest { ssrc, sequence, timestamp, at: now });
        }
        header
    }

    /// Numbers what is sent on from now on otherwise.
    pub fn renumber(&mut self, by: &Renumbering) {
        let Some(newest) = &mut self.newest else { return };
        let shift = self.shift.get_or_insert(Shift { ssrc: newest.ssrc, sequence: 0, timestamp: 0 });
        shift.sequence = shift.sequence.wrapping_add(by.sequence);
        shift.timestamp = shift.timestamp.wrapping_add(by.timestamp);
        newest.ssrc = by.ssrc;
        newest.sequence = newest.sequence.wrapping_add(by.sequence);
        newest.timestamp = newest.timestamp.wrapping_add(by.timestamp);
    }

    /// What a report of the stream that is sent on is to say. It starts with a report of `sender`, who has sent so much.
    pub fn report(&mut self, sender: Option<SenderTime>, counts: Option<Counts>) -> ReportFate {
        let (Some(shift), Some(newest)) = (&self.shift, &self.newest) else {
            self.reported = counts.map(|counts| (counts, self.sent)).or(self.reported);
            return ReportFate::AsItIs;
        };
        if sender.is_some_and(|sender| sender.ssrc != shift.ssrc) {
            return ReportFate::OfAnother;
        }
        let (before, then) = self.reported.unwrap_or_default();
        let since = |all: u32, then: u32, before: u32| before.wrapping_add(all.wrapping_sub(then));
        let counts = Counts {
            packets: since(self.sent.packets, then.packets, before.packets),
            octets: since(self.sent.octets, then.octets, before.octets),
        };
        ReportFate::Renamed(Renamed {
            from: shift.ssrc,
            to: newest.ssrc,
            timestamp_shift: shift.timestamp,
            counts: Some(counts),
        })
    }
}

impl Newest {
    /// What makes a packet the next one, at the time that has passed.
    fn shift_of(&self, header: &RtpHeader, clock_rate: u32, now: Duration) -> Shift {
        let passed = now.saturating_sub(self.at).as_micros() * u128::from(clock_rate) / 1_000_000;
        let timestamp = self.timestamp.wrapping_add((passed as u32).max(1));
        Shift {
            ssrc: header.ssrc,
            sequence: self.sequence.wrapping_add(1).wrapping_sub(header.sequence),
            timestamp: timestamp.wrapping_sub(header.timestamp),
        }
    }

    fn is_before(&self, header: &RtpHeader) -> bool {
        let behind = self.sequence.wrapping_sub(header.sequence);
        self.ssrc != header.ssrc || behind > MAX_MISORDER
    }
}

#[cfg(test)]
#[path = "splice_tests.rs"]
mod tests;
