//! What packets are numbered by that are played again: one stream without a break, whatever was jumped over (RFC 2326 appendix B).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::relay::{Alias, Landmark, Named};
use crate::wire::recording::Record;
use crate::wire::rtcp::Renamed;
use crate::wire::rtp::{FIXED_HEADER_LEN, RtpHeader};

/// What is missing between two packets that were kept was lost on the way, if it is no more than that: it is missing here too.
const MOST_LOST: u16 = 100;
/// No time that passed between two packets moves a timestamp on by more.
const LONGEST_US: u64 = 10_000_000;

/// The packet that a viewer was sent last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// Whose it is.
    pub ssrc: u32,
    /// Its sequence number.
    pub sequence: u16,
    /// Its timestamp.
    pub timestamp: u32,
    /// By how much time goes on from there to the next packet.
    pub passed: Duration,
    /// It as it came, where what follows it there is next here.
    pub came: Option<Named>,
}

impl Sent {
    /// The packet that is next, of a track of that clock.
    #[must_use]
    pub fn next(&self, clock_rate: u32) -> Named {
        let ticks = ticks(clock_rate, self.passed.as_micros() as u64);
        let (sequence, timestamp) = (self.sequence.wrapping_add(1), self.timestamp.wrapping_add(ticks));
        Named { ssrc: self.ssrc, sequence, timestamp }
    }
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
            (None, Some(Sent { sequence, timestamp, came: Some(came), .. }))
                if came.ssrc == record.ssrc && is_step(came.sequence, record.sequence) =>
            {
                let passed = record.timestamp.wrapping_sub(came.timestamp);
                let step = record.sequence.wrapping_sub(came.sequence);
                (sequence.wrapping_add(step), timestamp.wrapping_add(passed))
            }
            (None, Some(sent)) => {
                let Named { sequence, timestamp, .. } = sent.next(self.clock_rate);
                (sequence.wrapping_add(self.ahead), timestamp)
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
        self.after = Some(Sent { ssrc, sequence, timestamp, passed: Duration::ZERO, came: None });
        self.ssrc = Some(ssrc);
        header
    }

    /// The packet that was last, as it came, and by what numbers the viewer has it.
    pub fn last(&self) -> Option<(Landmark, Option<Alias>)> {
        let (Record { ssrc, sequence, timestamp, .. }, as_sent, sent_at) = self.last?;
        let alias = Alias::from_to(
            Named { ssrc, sequence, timestamp },
            Named { ssrc: self.ssrc.unwrap_or(ssrc), sequence: as_sent, timestamp: sent_at },
        );
        Some((Landmark { ssrc, sequence }, alias))
    }

    /// Goes on behind this, though it was to go on behind something else. What is first.
    pub fn go_on_after(&mut self, sent: Sent) -> Named {
        (self.after, self.ssrc) = (Some(sent), Some(sent.ssrc));
        sent.next(self.clock_rate)
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
        self.after.get_or_insert(Sent { ssrc, sequence, timestamp, passed: Duration::ZERO, came: None });
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
            came: None,
        });
        let later = |sent: Sent| Sent { passed: sent.passed + later, came: None, ..sent };
        self.after = last.or(self.after).map(later);
    }

    fn following(&self, (before, sequence, timestamp): &(Record, u16, u32), record: &Record) -> (u16, u32) {
        let step = record.sequence.wrapping_sub(before.sequence);
        if before.ssrc == record.ssrc && is_step(before.sequence, record.sequence) {
            let passed = record.timestamp.wrapping_sub(before.timestamp);
            return (sequence.wrapping_add(step), timestamp.wrapping_add(passed));
        }
        let ticks = ticks(self.clock_rate, record.arrived_us.saturating_sub(before.arrived_us));
        (sequence.wrapping_add(1), timestamp.wrapping_add(ticks))
    }
}

/// Whether one packet follows another, or would but for what was lost.
fn is_step(from: u16, to: u16) -> bool {
    (1..=MOST_LOST).contains(&to.wrapping_sub(from))
}

fn ticks(clock_rate: u32, passed_us: u64) -> u32 {
    (passed_us.min(LONGEST_US) * u64::from(clock_rate) / 1_000_000) as u32
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
        let sent =
            Sent { ssrc: 9, sequence: 1, timestamp: 1000, passed: Duration::from_millis(10), came: None };
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
        let passed = Duration::from_millis(10);
        let sent = Sent { ssrc: 9, sequence: u16::MAX, timestamp: 1000, passed, came: None };
        let first = record(7, 500, 70_000, 5_000);
        assert_eq!(numbers(Numbering::new(90_000, Some(sent)).next(&first)), (0, 1900, 9));
        let mut behind_tables = Numbering::new(90_000, Some(sent));
        behind_tables.leave_room();
        assert_eq!(numbers(behind_tables.next(&first)), (1, 1900, 9));
        assert_eq!(numbers(behind_tables.next(&record(7, 501, 70_900, 15_000))), (2, 2800, 9));
        let last = (behind_tables.last(), behind_tables.last().and_then(|(_, alias)| alias));
        assert_eq!(last.0.map(|(landmark, _)| landmark), Some(Landmark { ssrc: 7, sequence: 501 }));
        let next = last.1.map(|alias| alias.named(Named { ssrc: 7, sequence: 502, timestamp: 71_800 }));
        assert_eq!(next, Some(Named { ssrc: 9, sequence: 3, timestamp: 3700 }), "as all that follows");
        assert_eq!(Numbering::new(90_000, None).last(), None);
    }

    #[test]
    fn who_goes_on_where_he_was_has_the_very_numbers_that_would_have_been_next() {
        let came = Some(Named { ssrc: 7, sequence: 499, timestamp: 69_000 });
        let sent = Sent { ssrc: 9, sequence: 3, timestamp: 1000, passed: Duration::ZERO, came };
        let first = |record| numbers(Numbering::new(90_000, Some(sent)).next(&record));
        assert_eq!(first(record(7, 500, 70_000, 5_000)), (4, 2000, 9));
        assert_eq!(first(record(7, 502, 72_000, 5_000)), (6, 4000, 9), "two were lost");
        assert_eq!(first(record(8, 500, 70_000, 5_000)), (4, 1000, 9), "another source");
    }
}
