//! When a stream counts as silent: told of its packets and of the time, and nothing else.
//!
//! A stream comes in spells, with lulls between. One whose spells are all shorter than its lulls may be, as with one
//! packet a minute, is sparse by nature: it is given as long as it usually takes, twice, before it counts as silent.

use std::time::{Duration, Instant};

/// The longest time from one look to the next.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(10);
/// The longest lull of a sparse stream before it counts as silent, unless the config says more.
const MOST_PATIENCE: Duration = Duration::from_secs(600);
/// So many short spells in a row make a sparse stream. One alone may be a network that comes and goes.
const SPARSE_AFTER: u32 = 2;

/// The stream of one track.
#[derive(Debug)]
pub(super) struct Pulse {
    silent_after: Duration,
    patience: Duration,
    phase: Phase,
    short_spells: u32,
}

#[derive(Debug)]
enum Phase {
    /// Nothing comes; the newest packet came then.
    Lull(Option<Instant>),
    /// Packets come since then, after a lull of so long.
    Spell(Instant, Option<Duration>),
}

/// What a look has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sight {
    pub silent: bool,
    /// In a lull: the next packet is worth a look.
    pub expects: bool,
    /// When to look again at the latest.
    pub next: Instant,
}

impl Pulse {
    /// Before the first packet.
    pub fn new(silent_after: Duration) -> Self {
        Self { silent_after, patience: silent_after, phase: Phase::Lull(None), short_spells: 0 }
    }

    /// Looks at a stream whose newest packet came at `last`.
    pub fn look(&mut self, last: Option<Instant>, now: Instant) -> Sight {
        let latest = now + LOOK_EVERY;
        let Some(last) = last else { return Sight { silent: true, expects: true, next: latest } };
        if let Phase::Lull(before) = self.phase
            && before != Some(last)
        {
            self.phase = Phase::Spell(last, before.map(|before| last.saturating_duration_since(before)));
        }
        let quiet = now.saturating_duration_since(last);
        if let Phase::Spell(began, lull) = self.phase {
            if quiet < self.silent_after {
                return Sight { silent: false, expects: false, next: latest.min(last + self.silent_after) };
            }
            self.patience = self.judge(last.saturating_duration_since(began), lull);
            self.phase = Phase::Lull(Some(last));
        }
        let silent = quiet >= self.patience;
        let next = if silent { latest } else { latest.min(last + self.patience) };
        Sight { silent, expects: true, next }
    }

    /// How long a lull may be after a spell of this length, which a lull came before.
    fn judge(&mut self, spell: Duration, lull: Option<Duration>) -> Duration {
        if spell >= self.silent_after {
            self.short_spells = 0;
            return self.silent_after;
        }
        self.short_spells = self.short_spells.saturating_add(1);
        match lull {
            Some(lull) if self.short_spells >= SPARSE_AFTER => {
                ((lull + spell) * 2).min(MOST_PATIENCE).max(self.silent_after)
            }
            _ => self.silent_after,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::clock;

    const SECOND: Duration = Duration::from_secs(1);
    const SILENT_AFTER: Duration = Duration::from_secs(10);

    /// Looks as the watch does, by the packets' times in seconds, until a time; returns when it began to be silent
    /// and when that was over.
    fn watch(pulse: &mut Pulse, packets: &[u64], until: u64) -> Vec<(u64, bool)> {
        let began = clock::now();
        let at = |seconds: u64| began + SECOND * seconds as u32;
        let (mut turns, mut silent, mut due, mut expects) = (Vec::new(), true, 0, true);
        for now in 0..=until {
            let last = packets.iter().rfind(|packet| **packet <= now).map(|packet| at(*packet));
            if now < due && !(expects && last == Some(at(now))) {
                continue;
            }
            let sight = pulse.look(last, at(now));
            (due, expects) = ((sight.next - began).as_secs(), sight.expects);
            assert!(due > now, "a look is never due at once");
            assert!(due <= now + LOOK_EVERY.as_secs(), "nor is it put off, whatever is usual");
            if std::mem::replace(&mut silent, sight.silent) != sight.silent {
                turns.push((now, sight.silent));
            }
        }
        turns
    }

    #[test]
    fn a_stream_that_stops_is_silent_when_the_config_says_and_back_with_its_packet() {
        let packets: Vec<_> = (5..100).chain(200..300).collect();
        let turns = watch(&mut Pulse::new(SILENT_AFTER), &packets, 400);
        assert_eq!(turns, [(5, false), (109, true), (200, false), (309, true)]);
    }

    #[test]
    fn a_sparse_stream_is_not_silent_between_its_packets() {
        let packets: Vec<_> = (0..20).map(|minute| minute * 60).collect();
        let turns = watch(&mut Pulse::new(SILENT_AFTER), &packets, 20 * 60);
        assert_eq!(turns, [(0, false), (10, true), (60, false)], "the first lull tells that it is sparse");
        let turns = watch(&mut Pulse::new(SILENT_AFTER), &packets, 1500);
        assert_eq!(turns[3..], [(19 * 60 + 120, true)], "and it is silent when it stops");
    }

    #[test]
    fn a_sparse_stream_of_bursts_is_none_too() {
        let packets: Vec<_> =
            (0..20).flat_map(|minute| [0, 1, 3].map(|second| minute * 60 + second)).collect();
        let turns = watch(&mut Pulse::new(SILENT_AFTER), &packets, 20 * 60);
        assert_eq!(turns, [(0, false), (13, true), (60, false)]);
    }

    #[test]
    fn however_long_a_lull_may_be_it_is_looked_at_every_ten_seconds() {
        let packets: Vec<_> = (5..200).collect();
        let turns = watch(&mut Pulse::new(SECOND * 60), &packets, 400);
        assert_eq!(turns, [(5, false), (259, true)]);
    }

    #[test]
    fn what_flows_again_is_no_longer_sparse() {
        let packets: Vec<_> = [0, 60, 120, 180].into_iter().chain(240..300).collect();
        let turns = watch(&mut Pulse::new(SILENT_AFTER), &packets, 400);
        assert_eq!(turns[3..], [(309, true)]);
    }

    #[test]
    fn one_short_return_after_an_outage_makes_nothing_sparse() {
        let packets: Vec<_> = (0..100).chain([1000]).collect();
        let turns = watch(&mut Pulse::new(SILENT_AFTER), &packets, 1100);
        assert_eq!(turns, [(0, false), (109, true), (1000, false), (1010, true)]);
    }
}
