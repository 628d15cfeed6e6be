//! One track of one subscriber: what arrived of it, and what its receiver reports say. Pure: it knows neither the
//! sockets nor the connection that its packets come by.

use std::time::Duration;

use crate::wire::mark::Mark;
use crate::wire::reception::{Arrival, Reception};
use crate::wire::rtcp::{self, Reporting};
use crate::wire::rtp;

use super::tally::{Tally, TrackTotals};

/// A delay longer than this is none: the mark is of a machine with another clock.
const LONGEST_DELAY: Duration = Duration::from_secs(600);

/// The state of one track.
pub struct Track {
    clock_rate: Option<u32>,
    reception: Reception,
    restarts: u64,
    reporting: Reporting,
}

impl Track {
    /// A track of which nothing has come.
    pub fn new(clock_rate: Option<u32>) -> Self {
        Self {
            clock_rate,
            reception: Reception::new(clock_rate),
            restarts: 0,
            reporting: Reporting::default(),
        }
    }

    /// Takes in what came where RTP is expected. `now` is CLOCK_MONOTONIC.
    pub fn receive_rtp(&mut self, packet: &[u8], now: Duration, tally: &mut Tally) {
        let Ok(header) = rtp::check(packet) else {
            tally.not_rtp += 1;
            return;
        };
        let lost = self.reception.missing();
        match self.reception.receive(&header, now) {
            Arrival::NewSource { .. } | Arrival::Restart => self.restarts += 1,
            _ => {}
        }
        tally.packets += 1;
        tally.bytes += packet.len() as u64;
        tally.lost += self.reception.missing() as i64 - lost as i64;
        let payload = packet.get(header.header_len..).unwrap_or_default();
        if let Some(mark) = Mark::read(payload, header.sequence) {
            let delay = now.checked_sub(Duration::from_nanos(mark.sent_ns));
            tally.delay(delay.filter(|delay| *delay <= LONGEST_DELAY));
        }
    }

    /// Takes in what came where RTCP is expected.
    pub fn receive_rtcp(&mut self, packet: &[u8], now: Duration) {
        if let Ok(Some(reflectable)) = rtcp::reflectable(packet)
            && let Some(sender) = reflectable.sender
        {
            self.reporting.sender_report(sender.ntp_timestamp, now);
        }
    }

    /// The receiver report that is due now (RFC 3550 section 6.4). None before anything came.
    pub fn report(&mut self, ssrc: u32, now: Duration) -> Option<Vec<u8>> {
        self.reception.ssrc()?;
        let name = format!("probe-{ssrc:08x}@mirrorball");
        Some(self.reporting.report(&self.reception, self.clock_rate, (ssrc, &name), now))
    }

    /// Packets that came.
    pub fn packets(&self) -> u64 {
        self.reception.packets()
    }

    /// What came in all.
    pub fn totals(&self) -> TrackTotals {
        TrackTotals {
            lost: self.reception.missing(),
            reordered: self.reception.reordered(),
            duplicates: self.reception.duplicates(),
            restarts: self.restarts,
            jitter_seconds: self.reception.jitter_seconds(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtp_rs::{RtpPacketBuilder, Seq};

    const SECOND: Duration = Duration::from_secs(1);

    fn packet(sequence: u16, ssrc: u32, payload: &[u8]) -> Vec<u8> {
        let builder = RtpPacketBuilder::new().payload_type(33).sequence(Seq::from(sequence)).ssrc(ssrc);
        builder.payload(payload).build().expect("a small packet")
    }

    fn received(sequences: &[u16]) -> (Track, Tally) {
        let (mut track, mut tally) = (Track::new(Some(90_000)), Tally::default());
        for sequence in sequences {
            track.receive_rtp(&packet(*sequence, 7, b"x"), SECOND, &mut tally);
        }
        (track, tally)
    }

    #[test]
    fn what_is_missing_late_or_twice_is_told_apart() {
        let (track, tally) = received(&[65_534, 65_535, 2, 0, 2, 3]);
        let expected = TrackTotals { lost: 1, reordered: 1, duplicates: 1, restarts: 0, ..track.totals() };
        assert_eq!(track.totals(), expected);
        assert_eq!((tally.packets, tally.lost), (6, 1), "what came late is lost no more");
    }

    #[test]
    fn a_new_source_restarts_the_count() {
        let (mut track, mut tally) = received(&[1, 2]);
        track.receive_rtp(&packet(40_000, 8, b"x"), SECOND, &mut tally);
        assert_eq!((track.totals().restarts, track.totals().lost), (1, 0));
    }

    #[test]
    fn only_marks_of_our_own_clock_give_a_delay() {
        let (mut track, mut tally) = (Track::new(None), Tally::default());
        for (number, now_ms) in [(0_u64, 1_005), (1, 999), (2, 999_999)] {
            let mark = Mark { number, sent_ns: 1_000_000_000 };
            let packet = packet(number as u16, 7, &mark.payload());
            track.receive_rtp(&packet, Duration::from_millis(now_ms), &mut tally);
        }
        assert_eq!((tally.delays.len(), tally.other_clock), (1, 2));
        assert!(tally.delays.max().abs_diff(5_000_000) < 10_000, "{}", tally.delays.max());
    }

    #[test]
    fn reports_carry_the_loss_since_the_last_one_and_the_senders_time() {
        let (mut track, mut tally) = received(&[0, 1, 2, 3, 6, 7]);
        assert_eq!(Track::new(None).report(5, SECOND), None, "nothing came, nothing to report");
        let read = |packet: Option<Vec<u8>>| rtcp::feedback(&packet.expect("due")).expect("valid").reports[0];
        let first = read(track.report(5, SECOND));
        assert_eq!((first.ssrc, first.cumulative_lost, first.extended_highest_sequence), (7, 2, 7));
        assert_eq!((first.fraction_lost, first.last_sender_report), ((2 * 256 / 7) as u8, 0));
        let sender_report = [&[0x80, 200, 0, 6, 0, 0, 0, 7, 1, 2, 3, 4, 5, 6, 7, 8][..], &[0; 12]].concat();
        track.receive_rtcp(&sender_report, 2 * SECOND);
        track.receive_rtp(&packet(8, 7, b"x"), 2 * SECOND, &mut tally);
        let second = read(track.report(5, 3 * SECOND));
        assert_eq!((second.fraction_lost, second.cumulative_lost), (0, 2));
        assert_eq!((second.last_sender_report, second.delay_since_last_sender_report), (0x0304_0506, 65_536));
    }

    #[test]
    fn what_is_no_rtp_is_counted_as_that() {
        let (mut track, mut tally) = (Track::new(None), Tally::default());
        track.receive_rtp(b"noise", SECOND, &mut tally);
        assert_eq!((tally.not_rtp, tally.packets, track.packets()), (1, 0, 0));
    }
}
