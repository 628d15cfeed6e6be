//! What arrived of one source and what did not: the statistics of RFC 3550 appendix A.1 (sequence numbers),
//! A.3 (loss) and A.8 (jitter), and counts of what came late or twice.
//!
//! Two senders may be heard at once, by mistake or while one takes over: each is measured against its own numbering.
//!
//! It measures and decides nothing: every packet is reflected whatever is found here. It reads no clock;
//! arrival times are told.

use std::mem;
use std::time::Duration;

use super::jitter::Jitter;
use super::pace::Pace;
use super::rtp::RtpHeader;
use super::run::{Run, Taken};

pub use super::run::Arrival;

/// A sender beside the one that was heard last is gone when it was silent for so long.
const GONE_AFTER: Duration = Duration::from_secs(2);
/// Both senders were heard for so long: none of them takes over from the other.
const BOTH_FOR: Duration = Duration::from_secs(1);

/// Statistics of the packets of one track, whichever source sends them.
#[derive(Debug, Clone)]
pub struct Reception {
    clock_rate: Option<u32>,
    /// The one that was heard last.
    sender: Option<Sender>,
    /// One that was heard shortly before.
    other: Option<Sender>,
    /// When the other one is gone; never without one.
    other_until: Duration,
    /// Until when a third one counts as heard.
    third_until: Duration,
    turn: Option<Turn>,
    packets: u64,
    lost: u64,
    late: u64,
    reordered: u64,
    duplicates: u64,
    ssrc_changes: u64,
    restarts: u64,
}

/// One SSRC.
#[derive(Debug, Clone)]
struct Sender {
    run: Run,
    jitter: Jitter,
    pace: Pace,
    began: Duration,
    last: Duration,
}

/// What became of two senders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Both are heard: what is received is a mixture.
    Both([u32; 2]),
    /// The first one is silent since the second one began: a source began anew, or another one took over.
    Replaced([u32; 2]),
    /// Both were heard, and the first one has left to the second.
    Left([u32; 2]),
}

impl Reception {
    /// Statistics with nothing received. `clock_rate` in Hz turns timestamps into time; without it there is
    /// no jitter.
    #[must_use]
    pub fn new(clock_rate: Option<u32>) -> Self {
        Self {
            clock_rate: clock_rate.filter(|rate| *rate > 0),
            sender: None,
            other: None,
            other_until: Duration::MAX,
            third_until: Duration::ZERO,
            turn: None,
            packets: 0,
            lost: 0,
            late: 0,
            reordered: 0,
            duplicates: 0,
            ssrc_changes: 0,
            restarts: 0,
        }
    }

    /// Takes in one packet. `arrival` counts from any epoch that stays the same.
    pub fn receive(&mut self, header: &RtpHeader, arrival: Duration) -> Arrival {
        self.packets += 1;
        if arrival >= self.other_until {
            self.let_go();
        }
        let what = self.follow(header, arrival);
        match what {
            Arrival::Reordered => self.reordered += 1,
            Arrival::Duplicate => self.duplicates += 1,
            Arrival::NewSource { .. } => self.ssrc_changes += 1,
            Arrival::Restart => self.restarts += 1,
            Arrival::First
            | Arrival::InOrder
            | Arrival::Gap { .. }
            | Arrival::Stray
            | Arrival::ThirdSource => {}
        }
        if let Some(sender) = self.sender.as_mut().filter(|sender| sender.run.ssrc == header.ssrc) {
            sender.time(what, header.timestamp, arrival, self.clock_rate);
        }
        what
    }

    /// What has become of two senders since it was asked for last. Asked with each packet, it tells of all.
    #[inline]
    pub fn turn(&mut self, now: Duration) -> Option<Turn> {
        if self.other.is_none() && self.turn.is_none() {
            return None;
        }
        self.turn.take().or_else(|| self.both(now).map(Turn::Both))
    }

    /// Senders that are heard: 0 before the first packet, else 1 or 2; 3 is more than two.
    #[must_use]
    pub fn senders(&self, now: Duration) -> u8 {
        match (&self.sender, self.both(now)) {
            (None, _) => 0,
            (Some(_), None) => 1,
            (Some(_), Some(_)) if now < self.third_until => 3,
            (Some(_), Some(_)) => 2,
        }
    }

    /// Packets received, duplicates and strays included.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// Numbers that were given up: they did not come before a hundred that follow them, or a restart. Never goes down.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Packets that came after their number was given up.
    #[must_use]
    pub fn late(&self) -> u64 {
        self.late
    }

    /// Packets that were passed over and have not come so far.
    #[must_use]
    pub fn missing(&self) -> u64 {
        let open: u64 = [&self.sender, &self.other].into_iter().flatten().map(|one| one.run.missing()).sum();
        (self.lost + open).saturating_sub(self.late)
    }

    /// Packets that came after a later one.
    #[must_use]
    pub fn reordered(&self) -> u64 {
        self.reordered
    }

    /// Packets that came again.
    #[must_use]
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// How often another SSRC began to send; one that was heard shortly before is no other.
    #[must_use]
    pub fn ssrc_changes(&self) -> u64 {
        self.ssrc_changes
    }

    /// How often the numbering began anew under the same SSRC.
    #[must_use]
    pub fn restarts(&self) -> u64 {
        self.restarts
    }

    /// The source that was heard last.
    #[must_use]
    pub fn ssrc(&self) -> Option<u32> {
        self.sender.as_ref().map(|sender| sender.run.ssrc)
    }

    /// The highest sequence number of the present run with the count of its wraps in the upper half, as a
    /// receiver report carries it (RFC 3550 section 6.4.1).
    #[must_use]
    pub fn extended_highest_sequence(&self) -> Option<u32> {
        let run = &self.sender.as_ref()?.run;
        Some(u32::from(run.cycles) << 16 | u32::from(run.highest))
    }

    /// Interarrival jitter in seconds (RFC 3550 A.8). None without a clock rate or before two packets.
    #[must_use]
    pub fn jitter_seconds(&self) -> Option<f64> {
        let rate = self.clock_rate?;
        self.sender.as_ref()?.jitter.seconds(rate)
    }

    /// Nothing is received from here on, as we want it: what comes later is another beginning. What is under way is lost.
    pub fn pause(&mut self) {
        self.let_go();
        self.turn = None;
        self.lost += self.sender.take().map_or(0, |sender| sender.run.missing());
    }

    fn follow(&mut self, header: &RtpHeader, arrival: Duration) -> Arrival {
        if self.sender.as_ref().is_none_or(|sender| sender.run.ssrc != header.ssrc)
            && let Some(what) = self.turn_to(header, arrival)
        {
            return what;
        }
        let Some(sender) = &mut self.sender else { return Arrival::First };
        let taken = sender.take(header, arrival, self.clock_rate);
        self.lost += taken.lost;
        self.late += u64::from(taken.late);
        taken.what
    }

    /// Turns to the sender of a packet, which is another one than before. `None`: it is known.
    #[cold]
    fn turn_to(&mut self, header: &RtpHeader, arrival: Duration) -> Option<Arrival> {
        let Some(sender) = &mut self.sender else {
            self.sender = Some(Sender::new(header, arrival, Jitter::default()));
            return Some(Arrival::First);
        };
        let what = match &mut self.other {
            Some(other) if other.run.ssrc == header.ssrc => {
                mem::swap(sender, other);
                None
            }
            Some(_) => {
                self.third_until = arrival.saturating_add(GONE_AFTER);
                return Some(Arrival::ThirdSource);
            }
            None => {
                let previous_ssrc = sender.run.ssrc;
                let new = Sender::new(header, arrival, sender.jitter.clone());
                self.other = Some(mem::replace(sender, new));
                Some(Arrival::NewSource { previous_ssrc })
            }
        };
        self.other_until = self.other.as_ref()?.last.saturating_add(GONE_AFTER);
        what
    }

    /// The other sender is gone: what it has not sent by now is lost.
    #[cold]
    fn let_go(&mut self) {
        self.other_until = Duration::MAX;
        let (Some(sender), Some(other)) = (&self.sender, self.other.take()) else { return };
        self.lost += other.run.missing();
        let pair = [other.run.ssrc, sender.run.ssrc];
        self.turn = Some(if sender.overlaps(&other) { Turn::Left(pair) } else { Turn::Replaced(pair) });
    }

    fn both(&self, now: Duration) -> Option<[u32; 2]> {
        let (sender, other) = (self.sender.as_ref()?, self.other.as_ref()?);
        let are_heard = now < self.other_until && sender.overlaps(other);
        are_heard.then_some([other.run.ssrc, sender.run.ssrc])
    }
}

impl Sender {
    fn new(header: &RtpHeader, arrival: Duration, jitter: Jitter) -> Self {
        let (run, pace) = (Run::new(header.ssrc, header.sequence), Pace::default());
        Self { run, jitter, pace, began: arrival, last: arrival }
    }

    fn take(&mut self, header: &RtpHeader, arrival: Duration, clock_rate: Option<u32>) -> Taken {
        self.last = arrival;
        let pace = &self.pace;
        self.run.take(header.sequence, |ahead| pace.explains(ahead, header.timestamp, arrival, clock_rate))
    }

    fn time(&mut self, what: Arrival, timestamp: u32, arrival: Duration, clock_rate: Option<u32>) {
        match what {
            Arrival::InOrder => self.pace.count(1, timestamp, arrival),
            Arrival::Gap { missing } => self.pace.count(missing + 1, timestamp, arrival),
            Arrival::First | Arrival::NewSource { .. } | Arrival::Restart => {
                self.pace.begin(timestamp, arrival);
            }
            Arrival::Reordered | Arrival::Duplicate | Arrival::Stray | Arrival::ThirdSource => {}
        }
        let Some(rate) = clock_rate else { return };
        match what {
            Arrival::Duplicate | Arrival::Stray | Arrival::ThirdSource => {}
            Arrival::First | Arrival::NewSource { .. } | Arrival::Restart => {
                self.jitter.restart(timestamp, arrival, rate);
            }
            Arrival::InOrder | Arrival::Gap { .. } | Arrival::Reordered => {
                self.jitter.update(timestamp, arrival, rate);
            }
        }
    }

    /// Whether this one, which was heard last, and the other one were both heard for long.
    fn overlaps(&self, other: &Self) -> bool {
        other.last.saturating_sub(self.began.max(other.began)) >= BOTH_FOR
    }
}

#[cfg(test)]
#[path = "reception_tests.rs"]
mod tests;
