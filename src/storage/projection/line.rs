//! A Line: how one track of what is shown is numbered: as one stream, whatever it comes from.

use std::sync::Mutex;

use crate::event::lock;
use crate::relay::Numbers;
use crate::wire::renumbering::Renumbering;
use crate::wire::rtcp::{Counts, SenderTime};
use crate::wire::rtp::{FIXED_HEADER_LEN, RtpHeader};

use super::stock::Frame;

#[derive(Debug)]
pub(super) struct Line {
    clock_rate: u32,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    ssrc: u32,
    sequence: u16,
    /// The timestamp of the beginning.
    timestamp: u32,
    /// What was sent.
    counts: Counts,
}

impl Line {
    /// One that begins at random (RFC 3550 section 5.1), of a clock that goes so fast.
    pub fn new(clock_rate: u32) -> Self {
        let random = || getrandom::u32().unwrap_or(1);
        let state = State {
            ssrc: random(),
            sequence: random() as u16,
            timestamp: random(),
            counts: Counts::default(),
        };
        Self { clock_rate, state: Mutex::new(state) }
    }

    /// Shows a frame that belongs there. Held until that is done: what is numbered first is there first.
    pub fn show(&self, frame: &Frame, show: impl FnOnce(&RtpHeader, &[u8; FIXED_HEADER_LEN])) {
        let mut state = lock(&self.state);
        let header = RtpHeader {
            sequence: state.sequence,
            timestamp: state.timestamp.wrapping_add(frame.ticks),
            ssrc: state.ssrc,
            payload_type: frame.payload_type,
            marker: frame.marker,
            header_len: FIXED_HEADER_LEN,
        };
        state.sequence = state.sequence.wrapping_add(1);
        state.counts.count(frame.payload.len());
        show(&header, &header.bytes());
    }

    /// What time it is, so long after the beginning, in microseconds; and what was sent until then. `None`: nothing was.
    pub fn time(&self, at_us: u64, ntp_timestamp: u64) -> Option<(SenderTime, Counts)> {
        let state = lock(&self.state);
        let rtp_timestamp = state.timestamp.wrapping_add(ticks(at_us, self.clock_rate));
        let time = SenderTime { ssrc: state.ssrc, ntp_timestamp, rtp_timestamp };
        (state.counts.packets > 0).then_some((time, state.counts))
    }
}

/// So many, of a clock that goes so fast; they wrap.
pub(super) fn ticks(us: u64, clock_rate: u32) -> u32 {
    (u128::from(us) * u128::from(clock_rate) / 1_000_000) as u32
}

impl Numbers for Line {
    fn renumber(&self, by: &Renumbering, then: &dyn Fn()) {
        let mut state = lock(&self.state);
        state.ssrc = by.ssrc;
        state.sequence = state.sequence.wrapping_add(by.sequence);
        state.timestamp = state.timestamp.wrapping_add(by.timestamp);
        then();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(ticks: u32) -> Frame {
        Frame { due_us: 0, track: 0, marker: false, payload_type: 33, ticks, payload: vec![0; 188].into() }
    }

    fn shown(line: &Line, ticks: u32) -> RtpHeader {
        let mut shown = None;
        line.show(&frame(ticks), |header, _| shown = Some(*header));
        shown.expect("it was shown")
    }

    #[test]
    fn it_is_one_stream_and_says_what_time_it_is() {
        let line = Line::new(90_000);
        assert_eq!(line.time(0, 7), None, "of nothing there is nothing to report");
        let (first, second) = (shown(&line, 0), shown(&line, 3600));
        assert_eq!(second.sequence, first.sequence.wrapping_add(1));
        assert_eq!(second.timestamp, first.timestamp.wrapping_add(3600));
        let (time, counts) = line.time(40_000, 7).expect("two packets");
        assert_eq!((time.rtp_timestamp, time.ssrc), (second.timestamp, first.ssrc));
        assert_eq!(counts, Counts { packets: 2, octets: 376 });
    }

    #[test]
    fn it_goes_on_by_other_numbers_when_it_is_told() {
        let line = Line::new(90_000);
        let before = shown(&line, 0);
        line.renumber(&Renumbering { ssrc: 5, sequence: 10, timestamp: 20 }, &|| {});
        let after = shown(&line, 0);
        assert_eq!((after.ssrc, after.timestamp), (5, before.timestamp.wrapping_add(20)));
        assert_eq!(after.sequence, before.sequence.wrapping_add(11));
    }
}
