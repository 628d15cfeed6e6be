//! What one worker counts, and how the workers' counts become one. It knows no subscriber.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

/// Reasons kept apart; a server that answers each subscriber differently is not listed in full.
const MAX_REASONS: usize = 16;
const OTHER_REASONS: &str = "other reasons";

/// What came of a track in all.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TrackTotals {
    /// Packets that were passed over and have not come late.
    pub lost: u64,
    /// Packets that came after a later one.
    pub reordered: u64,
    /// Packets that came again.
    pub duplicates: u64,
    /// How often the numbering began anew, or the SSRC changed.
    pub restarts: u64,
    /// Interarrival jitter in seconds, where the clock rate is known.
    pub jitter_seconds: Option<f64>,
}

/// Counts of all that happened to a worker's subscribers.
#[derive(Debug, Clone)]
pub struct Tally {
    /// RTP packets.
    pub packets: u64,
    /// Their bytes, RTP headers included.
    pub bytes: u64,
    /// Packets passed over that have not come late. Less for each that does.
    pub lost: i64,
    /// What came where RTP was expected and was none.
    pub not_rtp: u64,
    /// Datagrams from elsewhere than the server said.
    pub strays: u64,
    /// Datagrams that the kernel dropped from our own full sockets.
    pub overflow: u64,
    /// Delays of marked packets, in nanoseconds.
    pub delays: Histogram<u64>,
    /// Marked packets whose clock is not ours.
    pub other_clock: u64,
    /// From connecting to the answer to PLAY, in nanoseconds.
    pub setups: Histogram<u64>,
    /// From PLAY to the first packet that came of it, in nanoseconds.
    pub starts: Histogram<u64>,
    /// What the server has said that it plays, to the first that was told.
    pub said: Option<String>,
    /// When the first connected and the last was answered.
    pub setup_span: Option<(Duration, Duration)>,
    /// Subscribers that played to the end and were served.
    pub served: u64,
    /// What their tracks saw.
    pub tracks: TrackSums,
    /// Why others were not, and how many.
    pub failures: BTreeMap<String, u64>,
}

/// Sums over tracks.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TrackSums {
    /// Packets lost.
    pub lost: u64,
    /// Packets that came after a later one.
    pub reordered: u64,
    /// Packets that came again.
    pub duplicates: u64,
    /// New numberings and sources.
    pub restarts: u64,
    /// Tracks whose jitter is known, the sum of it and the largest, in seconds.
    pub jitter: (u64, f64, f64),
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            packets: 0,
            bytes: 0,
            lost: 0,
            not_rtp: 0,
            strays: 0,
            overflow: 0,
            delays: nanoseconds(),
            other_clock: 0,
            setups: nanoseconds(),
            starts: nanoseconds(),
            said: None,
            setup_span: None,
            served: 0,
            tracks: TrackSums::default(),
            failures: BTreeMap::new(),
        }
    }
}

impl Tally {
    /// Counts the delay of a marked packet; none if its clock is not ours.
    #[inline]
    pub fn delay(&mut self, delay: Option<Duration>) {
        match delay {
            Some(delay) => self.delays.saturating_record(delay.as_nanos() as u64),
            None => self.other_clock += 1,
        }
    }

    /// A subscriber plays.
    pub fn set_up(&mut self, began: Duration, now: Duration) {
        self.setups.saturating_record(now.saturating_sub(began).as_nanos() as u64);
        self.setup_span = joined(self.setup_span, Some((began, now)));
    }

    /// The first packet after a PLAY.
    pub fn start(&mut self, asked: Duration, now: Duration) {
        self.starts.saturating_record(now.saturating_sub(asked).as_nanos() as u64);
    }

    /// A subscriber is not served.
    pub fn fail(&mut self, reason: String) {
        self.fail_all(reason, 1);
    }

    /// A track has come to its end.
    pub fn end_of_track(&mut self, totals: &TrackTotals) {
        let sums = &mut self.tracks;
        sums.lost += totals.lost;
        sums.reordered += totals.reordered;
        sums.duplicates += totals.duplicates;
        sums.restarts += totals.restarts;
        if let Some(jitter) = totals.jitter_seconds {
            sums.jitter = (sums.jitter.0 + 1, sums.jitter.1 + jitter, sums.jitter.2.max(jitter));
        }
    }

    /// Takes another worker's counts in.
    pub fn merge(&mut self, other: Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
        self.lost += other.lost;
        self.not_rtp += other.not_rtp;
        self.strays += other.strays;
        self.overflow += other.overflow;
        self.other_clock += other.other_clock;
        self.served += other.served;
        // Both have the same bounds, which is all that adding asks for.
        let _ = self.delays.add(&other.delays).and_then(|()| self.setups.add(&other.setups));
        let _ = self.starts.add(&other.starts);
        self.said = self.said.take().or(other.said);
        self.setup_span = joined(self.setup_span, other.setup_span);
        self.tracks.lost += other.tracks.lost;
        self.tracks.reordered += other.tracks.reordered;
        self.tracks.duplicates += other.tracks.duplicates;
        self.tracks.restarts += other.tracks.restarts;
        let (mine, theirs) = (self.tracks.jitter, other.tracks.jitter);
        self.tracks.jitter = (mine.0 + theirs.0, mine.1 + theirs.1, mine.2.max(theirs.2));
        for (reason, count) in other.failures {
            self.fail_all(reason, count);
        }
    }

    fn fail_all(&mut self, reason: String, count: u64) {
        let is_room = self.failures.len() < MAX_REASONS || self.failures.contains_key(&reason);
        let reason = if is_room { reason } else { OTHER_REASONS.to_owned() };
        *self.failures.entry(reason).or_default() += count;
    }
}

/// From a microsecond to an hour, to three digits.
fn nanoseconds() -> Histogram<u64> {
    Histogram::new_with_bounds(1_000, 3_600_000_000_000, 3).expect("bounds that hdrhistogram allows")
}

fn joined(
    one: Option<(Duration, Duration)>,
    other: Option<(Duration, Duration)>,
) -> Option<(Duration, Duration)> {
    match (one, other) {
        (Some(one), Some(other)) => Some((one.0.min(other.0), one.1.max(other.1))),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workers_counts_become_one() {
        let ms = Duration::from_millis;
        let (mut one, mut other) = (Tally::default(), Tally::default());
        one.set_up(ms(10), ms(14));
        other.set_up(ms(5), ms(7));
        one.fail("a".to_owned());
        other.fail("a".to_owned());
        other.fail("b".to_owned());
        other.packets = 3;
        one.merge(other);
        assert_eq!((one.setups.len(), one.setup_span), (2, Some((ms(5), ms(14)))));
        assert_eq!(one.packets, 3);
        assert_eq!(one.failures, BTreeMap::from([("a".to_owned(), 2), ("b".to_owned(), 1)]));
    }

    #[test]
    fn reasons_are_bounded_and_none_is_lost() {
        let mut tally = Tally::default();
        (0..100).for_each(|number| tally.fail(format!("reason {number}")));
        assert_eq!(tally.failures.len(), MAX_REASONS + 1);
        assert_eq!(tally.failures.values().sum::<u64>(), 100);
    }
}
