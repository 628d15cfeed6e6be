//! What packets are numbered by that are played again: one stream without a break, whatever was jumped over (RFC 2326 appendix B).

use crate::wire::recording::Record;
use crate::wire::rtp::{FIXED_HEADER_LEN, RtpHeader};

/// What is missing between two packets that were kept was lost on the way, if it is no more than that: it is missing here too.
const MOST_LOST: u16 = 100;

/// The numbers of one track.
pub(super) struct Numbering {
    clock_rate: u32,
    /// The packet before: as it was kept, and its sequence number and timestamp here.
    last: Option<(Record, u16, u32)>,
    ssrc: Option<u32>,
}

impl Numbering {
    pub fn new(clock_rate: u32) -> Self {
        Self { clock_rate, last: None, ssrc: None }
    }

    /// The header of the next packet, of which nothing but the numbers is said.
    pub fn next(&mut self, record: &Record) -> RtpHeader {
        let (sequence, timestamp) = match &self.last {
            Some((before, sequence, timestamp)) => {
                let step = record.sequence.wrapping_sub(before.sequence);
                if before.ssrc == record.ssrc && (1..=MOST_LOST).contains(&step) {
                    (
                        sequence.wrapping_add(step),
                        timestamp.wrapping_add(record.timestamp.wrapping_sub(before.timestamp)),
                    )
                } else {
                    let passed = record.arrived_us.saturating_sub(before.arrived_us);
                    let ticks = passed.min(10_000_000) * u64::from(self.clock_rate) / 1_000_000;
                    (sequence.wrapping_add(1), timestamp.wrapping_add(ticks as u32))
                }
            }
            None => (record.sequence, record.timestamp),
        };
        self.last = Some((*record, sequence, timestamp));
        let ssrc = *self.ssrc.get_or_insert(record.ssrc);
        let (payload_type, marker, header_len) = (record.payload_type, record.marker, FIXED_HEADER_LEN);
        RtpHeader { sequence, timestamp, ssrc, payload_type, marker, header_len }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(ssrc: u32, sequence: u16, timestamp: u32, arrived_us: u64) -> Record {
        Record {
            arrived_us,
            pcr: None,
            offset: 0,
            length: 0,
            sequence,
            timestamp,
            ssrc,
            payload_type: 33,
            marker: true,
            is_start: false,
            has_gap: false,
            is_report: false,
        }
    }

    #[test]
    fn what_was_lost_is_missing_and_what_was_jumped_over_is_not() {
        let mut numbering = Numbering::new(90_000);
        let mut next = |record| {
            let RtpHeader { sequence, timestamp, ssrc, .. } = numbering.next(&record);
            (sequence, timestamp, ssrc)
        };
        assert_eq!(next(record(7, u16::MAX, 100, 0)), (u16::MAX, 100, 7));
        assert_eq!(next(record(7, 0, 200, 1_000)), (0, 200, 7));
        assert_eq!(next(record(7, 3, 500, 4_000)), (3, 500, 7), "two were lost");
        assert_eq!(next(record(7, 5000, 9_000, 104_000)), (4, 500 + 9_000, 7), "a jump of 100 ms");
        assert_eq!(next(record(8, 5001, 1, 114_000)), (5, 10_400, 7), "another source, and the same stream");
        assert_eq!(next(record(8, 5002, 91, 115_000)), (6, 10_490, 7));
    }
}
