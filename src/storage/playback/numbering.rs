//! What packets are numbered by that are played again: one stream without a break, whatever was jumped over (RFC 2326 appendix B).

use std::time::Duration;

use crate::relay::Landmark;
use crate::wire::recording::Record;
use crate::wire::rtcp::Renamed;
use crate::wire::rtp::{FIXED_HEADER_LEN, RtpHeader};

/// What is missing between two packets that were kept was lost on the way, if it is no more than that: it is missing here too.
const MOST_LOST: u16 = 100;
/// No time that passed between two packets moves a timestamp on by more.
const LONGEST_US: u64 = 10_000_000;

/// The packet that a viewer was sent last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// Whose it is.
    pub ssrc: u32,
    /// Its sequence number.
    pub sequence: u16,
    /// Its timestamp.
    pub timestamp: u32,
    /// By how much time goes on from there to the next packet.
    pub passed: Duration,
}

/// The numbers of one track.
pub(super) struct Numbering {
    clock_rate: u32,
    /// What the viewer was sent before; else the numbers are those that packets had.
    after: Option<Sent>,
    /// Packets of ours that go before the next one.
    ahead: u16,
    /// The packet before: as it was kept, and its sequence number and timestamp here.
    last: Option<(Record, u16, u32)>,
    ssrc: Option<u32>,
}

impl Numbering {
    pub fn new(clock_rate: u32, after: Option<Sent>) -> Self {
        Self { clock_rate, after, ahead: 0, last: None, ssrc: after.map(|sent| sent.ssrc) }
    }

    /// A packet of ours goes before the first one.
    pub fn leave_room(&mut self) {
        self.ahead = 1;
    }

    /// The header of the next packet, if it is this one; of which nothing but the numbers is said.
    pub fn header(&self, record: &Record) -> RtpHeader {
        let (sequence, timestamp) = match (&self.last, &self.after) {
            (Some(last), _) => self.following(last, record),
            (None, Some(sent)) => {
                let ticks = self.ticks(sent.passed.as_micros() as u64);
                (sent.sequence.wrapping_add(1 + self.ahead), sent.timestamp.wrapping_add(ticks))
            }
            (None, None) => (record.sequence, record.timestamp),
        };
        let (payload_type, marker, ssrc) =
            (record.payload_type, record.marker, self.ssrc.unwrap_or(record.ssrc));
        RtpHeader { sequence, timestamp, ssrc, payload_type, marker, header_len: FIXED_HEADER_LEN }
    }

    /// The same, and it is this one.
    pub fn next(&mut self, record: &Record) -> RtpHeader {
        let header = self.header(record);
        self.last = Some((*record, header.sequence, header.timestamp));
        self.ssrc = Some(header.ssrc);
        header
    }

    /// The header of the next packet, of a picture that is shown alone and so much later than what went before.
    pub fn show(&mut self, record: &Record, later_us: u64) -> RtpHeader {
        self.jump(later_us);
        self.ahead = 0;
        let header = self.header(record);
        let RtpHeader { ssrc, sequence, timestamp, .. } = header;
        self.after = Some(Sent { ssrc, sequence, timestamp, passed: Duration::ZERO });
        self.ssrc = Some(ssrc);
        header
    }

    /// The packet that was last, if its numbers are those that it came with.
    pub fn last_as_it_came(&self) -> Option<Landmark> {
        let (record, sequence, timestamp) = self.last.as_ref()?;
        let is_as_it_came =
            (record.sequence, record.timestamp, Some(record.ssrc)) == (*sequence, *timestamp, self.ssrc);
        is_as_it_came.then_some(Landmark { ssrc: record.ssrc, sequence: *sequence })
    }

    /// Goes on behind this, though it was to go on behind something else. Sequence number and timestamp of what is first.
    pub fn go_on_after(&mut self, sent: Sent) -> (u16, u32) {
        let ticks = self.ticks(sent.passed.as_micros() as u64);
        (self.after, self.ssrc) = (Some(sent), Some(sent.ssrc));
        (sent.sequence.wrapping_add(1), sent.timestamp.wrapping_add(ticks))
    }

    /// How what the source says of its stream is said of what was sent. `None`: it is shown otherwise than it came.
    pub fn renaming(&self) -> Option<Renamed> {
        let (record, _, timestamp) = self.last.as_ref()?;
        let timestamp_shift = timestamp.wrapping_sub(record.timestamp);
        Some(Renamed { from: record.ssrc, to: self.ssrc?, timestamp_shift, counts: None })
    }

    /// Time goes on from this packet, which is not the next one.
    pub fn wait_before(&mut self, record: &Record) {
        let Record { ssrc, sequence, timestamp, .. } = *record;
        let sequence = sequence.wrapping_sub(1);
        self.after.get_or_insert(Sent { ssrc, sequence, timestamp, passed: Duration::ZERO });
        self.ssrc.get_or_insert(ssrc);
    }

    /// What follows is so much later than what went before, whatever it is.
    pub fn jump(&mut self, later_us: u64) {
        let later = Duration::from_micros(later_us);
        let last = self.last.take().zip(self.ssrc).map(|((_, sequence, timestamp), ssrc)| Sent {
            ssrc,
            sequence,
            timestamp,
            passed: Duration::ZERO,
        });
        self.after = last.or(self.after).map(|sent| Sent { passed: sent.passed + later, ..sent });
    }

    fn following(&self, (before, sequence, timestamp): &(Record, u16, u32), record: &Record) -> (u16, u32) {
        let step = record.sequence.wrapping_sub(before.sequence);
        if before.ssrc == record.ssrc && (1..=MOST_LOST).contains(&step) {
            let passed = record.timestamp.wrapping_sub(before.timestamp);
            return (sequence.wrapping_add(step), timestamp.wrapping_add(passed));
        }
        let ticks = self.ticks(record.arrived_us.saturating_sub(before.arrived_us));
        (sequence.wrapping_add(1), timestamp.wrapping_add(ticks))
    }

    fn ticks(&self, passed_us: u64) -> u32 {
        (passed_us.min(LONGEST_US) * u64::from(self.clock_rate) / 1_000_000) as u32
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

    fn numbers(header: RtpHeader) -> (u16, u32, u32) {
        (header.sequence, header.timestamp, header.ssrc)
    }

    #[test]
    fn what_was_lost_is_missing_and_what_was_jumped_over_is_not() {
        let mut numbering = Numbering::new(90_000, None);
        let mut next = |record| numbers(numbering.next(&record));
        assert_eq!(next(record(7, u16::MAX, 100, 0)), (u16::MAX, 100, 7));
        assert_eq!(next(record(7, 0, 200, 1_000)), (0, 200, 7));
        assert_eq!(next(record(7, 3, 500, 4_000)), (3, 500, 7), "two were lost");
        assert_eq!(next(record(7, 5000, 9_000, 104_000)), (4, 500 + 9_000, 7), "a jump of 100 ms");
        assert_eq!(next(record(8, 5001, 1, 114_000)), (5, 10_400, 7), "another source, and the same stream");
        assert_eq!(next(record(8, 5002, 91, 115_000)), (6, 10_490, 7));
    }

    #[test]
    fn what_the_source_says_of_a_time_holds_where_it_was_renumbered() {
        let sent = Sent { ssrc: 9, sequence: 1, timestamp: 1000, passed: Duration::from_millis(10) };
        let mut numbering = Numbering::new(90_000, Some(sent));
        assert_eq!(numbering.renaming(), None, "nothing was sent");
        numbering.next(&record(7, 500, 70_000, 5_000));
        let renaming =
            Renamed { from: 7, to: 9, timestamp_shift: 1900_u32.wrapping_sub(70_000), counts: None };
        assert_eq!(numbering.renaming(), Some(renaming));
        numbering.jump(1_000);
        assert_eq!(numbering.renaming(), None, "nor is it known until what follows is");
    }

    #[test]
    fn pictures_that_are_shown_alone_are_numbered_through_and_timed_as_they_are_shown() {
        let mut numbering = Numbering::new(90_000, None);
        let first = record(7, 500, 70_000, 5_000_000);
        assert_eq!(numbers(numbering.show(&first, 0)), (500, 70_000, 7), "nothing went before");
        assert_eq!(numbers(numbering.show(&first, 0)), (501, 70_000, 7), "of the same picture");
        let earlier = record(8, 100, 1_000, 3_000_000);
        assert_eq!(numbers(numbering.show(&earlier, 250_000)), (502, 70_000 + 22_500, 7));
        numbering.jump(100_000);
        numbering.leave_room();
        assert_eq!(numbers(numbering.next(&earlier)), (504, 70_000 + 22_500 + 9_000, 7), "behind tables");
        assert_eq!(numbers(numbering.next(&record(8, 101, 1_900, 3_010_000))), (505, 102_400, 7));
    }

    #[test]
    fn a_track_that_waits_goes_on_with_its_next_number_and_the_time_that_has_passed() {
        let mut numbering = Numbering::new(48_000, None);
        numbering.wait_before(&record(7, 500, 70_000, 5_000_000));
        numbering.jump(250_000);
        assert_eq!(numbers(numbering.next(&record(7, 900, 90_000, 9_000_000))), (500, 82_000, 7));
    }

    #[test]
    fn who_was_sent_something_has_one_stream_with_that() {
        let sent = Sent { ssrc: 9, sequence: u16::MAX, timestamp: 1000, passed: Duration::from_millis(10) };
        let first = record(7, 500, 70_000, 5_000);
        assert_eq!(numbers(Numbering::new(90_000, Some(sent)).next(&first)), (0, 1900, 9));
        let mut behind_tables = Numbering::new(90_000, Some(sent));
        behind_tables.leave_room();
        assert_eq!(numbers(behind_tables.next(&first)), (1, 1900, 9));
        assert_eq!(numbers(behind_tables.next(&record(7, 501, 70_900, 15_000))), (2, 2800, 9));
    }
}
