//! The RTP header in front of a bare transport stream (RFC 2250 section 2), which leaves the stream itself as it is.
//!
//! ```text
//!  timestamp = clock of the programme + what makes it go on where the one before ended
//!              (the clock of arrival, where and while the programme has none)
//! ```
//!
//! Viewers see one stream without a step, whatever the source does: sequence numbers go on, and so do timestamps when the
//! programme's clock begins anew. Knows one stream, and no clock but that of the arrivals that it is given.

use std::time::Duration;

use super::renumbering::Renumbering;
use super::rtp::{FIXED_HEADER_LEN, RtpHeader};
use super::transport_stream::{Pcr, packets, pcr};

/// The payload type of a transport stream, and how fast its timestamps go (RFC 3551 section 6).
pub const MP2T: (u8, u32) = (33, 90_000);

/// The size of the header.
pub const HEADER_LEN: usize = FIXED_HEADER_LEN;

/// A clock reference comes every 100 ms (ISO/IEC 13818-1 section 2.7.2); a source without one for so long has lost its clock.
const CLOCK_LOST_AFTER: Duration = Duration::from_secs(1);
/// A clock that is so far from where it was expected has begun anew: what a network may hold back is less.
const STEP: u64 = 90_000 / 2;
/// Clock references wrap here.
const PCR_WRAP: u64 = 1 << 33;

/// Makes RTP packets of the datagrams of one stream.
#[derive(Debug)]
pub struct Packetizer {
    ssrc: u32,
    sequence: u16,
    /// The newest timestamp, unwrapped: no later packet has a smaller one.
    newest: u64,
    clock: Option<Clock>,
    /// The newest arrival, and the timestamp that belongs to it.
    last: Option<(Duration, u64)>,
}

/// The clock of the programme that timestamps go by.
#[derive(Debug, Clone, Copy)]
struct Clock {
    pid: u16,
    base: u64,
    heard_at: Duration,
    /// The timestamp at that moment, unwrapped.
    timestamp: u64,
}

impl Packetizer {
    /// A stream that begins so; all three are best random (RFC 3550 section 5.1).
    #[must_use]
    pub fn new(ssrc: u32, sequence: u16, timestamp: u32) -> Self {
        Self { ssrc, sequence, newest: timestamp.into(), clock: None, last: None }
    }

    /// The header of the next datagram, as a header and as bytes. `arrived` counts from wherever, and the same for all.
    pub fn next(&mut self, datagram: &[u8], arrived: Duration) -> (RtpHeader, [u8; HEADER_LEN]) {
        let timestamp = self.timestamp(datagram, arrived) as u32;
        let (sequence, ssrc, (payload_type, _)) = (self.sequence, self.ssrc, MP2T);
        self.sequence = sequence.wrapping_add(1);
        let header =
            RtpHeader { sequence, timestamp, ssrc, payload_type, marker: false, header_len: HEADER_LEN };
        (header, header.bytes())
    }

    /// Numbers what comes from now on otherwise.
    pub fn renumber(&mut self, by: &Renumbering) {
        let more = |timestamp: &mut u64| *timestamp += u64::from(by.timestamp);
        (self.ssrc, self.sequence) = (by.ssrc, self.sequence.wrapping_add(by.sequence));
        more(&mut self.newest);
        self.clock.iter_mut().for_each(|clock| more(&mut clock.timestamp));
        self.last.iter_mut().for_each(|(_, timestamp)| more(timestamp));
    }

    /// A late clock reference, of a packet that others have overtaken, is none.
    fn timestamp(&mut self, datagram: &[u8], arrived: Duration) -> u64 {
        let expected = self.expected(arrived);
        let is_lost = |clock: &Clock| arrived.saturating_sub(clock.heard_at) > CLOCK_LOST_AFTER;
        let clock = self.clock.filter(|clock| !is_lost(clock));
        let is_ours = |pcr: &Pcr| clock.is_none_or(|clock| clock.pid == pcr.pid && !clock.is_ahead_of(pcr));
        let heard = packets(datagram).filter_map(pcr).find(is_ours);
        let timestamp = match (heard, clock) {
            (Some(pcr), Some(clock)) => clock.go_on(pcr, expected),
            _ => expected,
        };
        if let Some(Pcr { pid, base, .. }) = heard {
            self.clock = Some(Clock { pid, base, heard_at: arrived, timestamp });
        }
        self.newest = self.newest.max(timestamp);
        self.last = Some((arrived, self.newest));
        self.newest
    }

    /// Where the timestamps are by the clock of arrival, from the programme's clock on if there is one.
    fn expected(&self, arrived: Duration) -> u64 {
        let from = self.clock.map(|clock| (clock.heard_at, clock.timestamp));
        let is_fresh = |&(at, _): &(Duration, u64)| arrived.saturating_sub(at) <= CLOCK_LOST_AFTER;
        let Some((at, timestamp)) = from.filter(is_fresh).or(self.last) else { return self.newest };
        timestamp + ticks(arrived.saturating_sub(at))
    }
}

impl Clock {
    /// Whether it has overtaken a reference, by as little as packets overtake each other.
    fn is_ahead_of(&self, pcr: &Pcr) -> bool {
        let ahead = self.base.wrapping_sub(pcr.base) % PCR_WRAP;
        !pcr.is_discontinuous && (1..STEP).contains(&ahead)
    }

    /// The timestamp of a reference that follows.
    fn go_on(&self, pcr: Pcr, expected: u64) -> u64 {
        let passed = pcr.base.wrapping_sub(self.base) % PCR_WRAP;
        let timestamp = self.timestamp + passed;
        let is_step = pcr.is_discontinuous || timestamp.abs_diff(expected) > STEP;
        if is_step { expected } else { timestamp }
    }
}

fn ticks(time: Duration) -> u64 {
    (time.as_micros() * u128::from(MP2T.1) / 1_000_000) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FIRST: u32 = u32::MAX - 5_000;

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// A datagram of one packet, with a clock reference where there is one.
    fn datagram(pcr: Option<(u16, u64, bool)>) -> Vec<u8> {
        let mut packet = match pcr {
            Some((pid, base, is_discontinuous)) => {
                let [high, low] = pid.to_be_bytes();
                let flags = if is_discontinuous { 0x90 } else { 0x10 };
                let clock = ((base >> 1) as u32).to_be_bytes();
                let mut packet = vec![0x47, high, low, 0x20, 183, flags];
                packet.extend(clock);
                packet.extend([((base & 1) as u8) << 7, 0]);
                packet
            }
            None => vec![0x47, 0x1f, 0xff, 0x10],
        };
        packet.resize(188, 0xff);
        packet
    }

    struct Stream(Packetizer);

    impl Stream {
        fn new() -> Self {
            Self(Packetizer::new(7, u16::MAX, FIRST))
        }

        /// How far the timestamp is from the first one.
        fn next(&mut self, pcr: Option<(u16, u64, bool)>, arrived: Duration) -> u32 {
            self.0.next(&datagram(pcr), arrived).0.timestamp.wrapping_sub(FIRST)
        }

        fn clock(&mut self, base: u64, ms: u64) -> u32 {
            self.next(Some((256, base, false)), at(ms))
        }
    }

    #[test]
    fn what_is_numbered_otherwise_goes_on_so_with_its_clock() {
        let mut stream = Stream::new();
        stream.clock(90_000, 0);
        let before = stream.0.next(&datagram(None), at(10)).0;
        let to = RtpHeader { ssrc: 9, sequence: 500, timestamp: 70, ..before };
        stream.0.renumber(&Renumbering::from_to(&before, &to));
        let next = stream.0.next(&datagram(Some((256, 90_000 + 1800, false))), at(20)).0;
        assert_eq!(next, RtpHeader { sequence: 501, timestamp: 70 + 900, ..to });
    }

    #[test]
    fn the_header_is_one_of_rtp_and_sequence_numbers_wrap() {
        let mut stream = Stream::new();
        for sequence in [u16::MAX, 0, 1] {
            let datagram = datagram(None);
            let (header, bytes) = stream.0.next(&datagram, at(0));
            let packet = [&bytes[..], &datagram].concat();
            assert_eq!(super::super::rtp::check(&packet), Ok(header));
            assert_eq!((header.sequence, header.ssrc, header.payload_type), (sequence, 7, 33));
            assert_eq!(header.payload(&packet), datagram);
        }
    }

    #[test]
    fn timestamps_follow_the_clock_and_between_two_of_its_references_the_arrivals() {
        let mut stream = Stream::new();
        assert_eq!(stream.clock(1_000_000, 5000), 0);
        assert_eq!(stream.next(None, at(5010)), 900, "10 ms by arrival");
        assert_eq!(stream.clock(1_003_600, 5050), 3600, "40 ms by the clock, though 50 passed");
        assert_eq!(stream.next(None, at(5060)), 4500);
        assert_eq!(stream.clock(1_007_200, 5079), 7200, "and over the wrap of the timestamp");
    }

    #[test]
    fn the_clock_wraps_and_goes_on() {
        let mut stream = Stream::new();
        assert_eq!(stream.clock(PCR_WRAP - 900, 0), 0);
        assert_eq!(stream.clock(900, 20), 1800);
    }

    #[test]
    fn a_clock_that_begins_anew_makes_no_step() {
        let mut stream = Stream::new();
        stream.clock(1_000_000, 0);
        assert_eq!(stream.clock(9_000_000, 40), 3600, "another file");
        assert_eq!(stream.clock(9_003_600, 80), 7200, "whose clock is followed");
        assert_eq!(stream.next(Some((256, 9_000_000, true)), at(120)), 10_800, "as it is told");
        assert_eq!(stream.clock(5, 160), 14_400);
    }

    #[test]
    fn a_late_reference_takes_nothing_back() {
        let mut stream = Stream::new();
        stream.clock(1_000_000, 0);
        assert_eq!(stream.clock(1_007_200, 80), 7200);
        assert_eq!(stream.clock(1_003_600, 81), 7290, "it went by another way");
        assert_eq!(stream.clock(1_010_800, 120), 10_800);
    }

    #[test]
    fn of_many_programmes_one_has_the_clock_until_it_is_silent() {
        let mut stream = Stream::new();
        stream.clock(1_000_000, 0);
        assert_eq!(stream.next(Some((512, 77, false)), at(10)), 900, "another's is none of ours");
        assert_eq!(stream.next(Some((512, 90_077, false)), at(1100)), 99_000, "now it is");
        assert_eq!(stream.next(Some((512, 93_677, false)), at(1150)), 102_600);
    }

    #[test]
    fn without_a_clock_timestamps_follow_the_arrivals() {
        let mut stream = Stream::new();
        assert_eq!([0, 10, 5_000, 60_000].map(|ms| stream.next(None, at(ms))), [0, 900, 450_000, 5_400_000]);
    }

    proptest! {
        /// Whatever the clocks say: timestamps never go back, and never run away from the arrivals.
        #[test]
        fn timestamps_go_on(steps in prop::collection::vec((any::<Option<u64>>(), 0..3u16, 0..200u64), 1..100)) {
            let (mut stream, mut now, mut newest) = (Stream::new(), 0, 0);
            for (base, pid, ms) in steps {
                now += ms;
                let timestamp = stream.next(base.map(|base| (pid, base % PCR_WRAP, false)), at(now));
                prop_assert!(timestamp >= newest);
                prop_assert!(u64::from(timestamp) <= now * 90 + 100 * STEP);
                newest = timestamp;
            }
        }
    }
}
