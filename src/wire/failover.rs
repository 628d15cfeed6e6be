//! Which of several sources of one programme is followed: the first, or another while the first is silent or loses much.
//!
//! ```text
//!  leg 1   ████████░░░░░░░░░███████████████████
//!  leg 2   ████████████████████████████████████
//!  active  1111111·222222222222222222222·111111
//!                 └ failover_after      └ return_after
//! ```
//!
//! A switch is made with a packet of the leg that is switched to: one that has nothing to give is none to switch to, and no
//! timer is needed. It reads no clock: arrivals are told, counted from wherever, the same for all.

use std::fmt;
use std::time::Duration;

/// A silence is one if it lasts for so long after it was noticed: packets of the active leg may wait for their turn to be taken in,
/// behind those of the one that it was noticed by.
const SURE_AFTER: Duration = Duration::from_millis(10);
/// Loss is measured over so long.
const WINDOW: Duration = Duration::from_secs(1);

/// When to switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// A leg that is silent for so long is left.
    pub failover_after: Duration,
    /// So is one that loses so many percent, for one that loses less.
    pub failover_loss: u8,
    /// A leg before the active one is returned to once it has come for so long, without such a silence and such a loss.
    pub return_after: Duration,
}

/// Follows one of several legs.
#[derive(Debug)]
pub struct Failover {
    rules: Rules,
    active: usize,
    /// Since when the active leg is known to be silent.
    silent_since: Option<Duration>,
    legs: Vec<Leg>,
}

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Its leg is the active one.
    Active,
    /// Another leg is.
    Standby,
    /// Its leg is from here on.
    Switch(Why),
}

/// Why another leg is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The one before is silent.
    Silence,
    /// The one before loses so many percent.
    Loss(u8),
    /// This one comes before it, and has come for long enough.
    Returned,
}

#[derive(Debug, Clone, Default)]
struct Leg {
    last: Option<Duration>,
    /// Since when it comes without a silence.
    flows_since: Duration,
    /// Since when it comes without a silence or a loss that would make it be left.
    good_since: Duration,
    window: Window,
    /// Percent of the latest window.
    loss: f64,
}

/// What a leg had received, and missed, when a window began.
#[derive(Debug, Clone, Copy, Default)]
struct Window {
    began: Duration,
    packets: u64,
    missing: u64,
}

impl Failover {
    /// So many legs, the first of which is followed first.
    #[must_use]
    pub fn new(legs: usize, rules: Rules) -> Self {
        Self { rules, active: 0, silent_since: None, legs: vec![Leg::default(); legs] }
    }

    /// Takes a packet of a leg, from 0, which by now has received so many packets and misses so many.
    pub fn take(&mut self, leg: usize, packets: u64, missing: u64, now: Duration) -> Verdict {
        self.legs[leg].note(packets, missing, now, &self.rules);
        if leg == self.active {
            self.silent_since = None;
            return Verdict::Active;
        }
        let Some(why) = self.reason_for(leg, now) else { return Verdict::Standby };
        (self.active, self.silent_since) = (leg, None);
        Verdict::Switch(why)
    }

    /// The leg that is followed.
    #[must_use]
    pub fn active(&self) -> usize {
        self.active
    }

    fn reason_for(&mut self, leg: usize, now: Duration) -> Option<Why> {
        let (own, active) = (&self.legs[leg], &self.legs[self.active]);
        // Silent while this one comes: what all have been is no reason, nor is who is heard first.
        let silent_since = active.last.map_or(own.flows_since, |last| last.max(own.flows_since));
        if now.saturating_sub(silent_since) >= self.rules.failover_after {
            let noticed = *self.silent_since.get_or_insert(now);
            return (now.saturating_sub(noticed) >= SURE_AFTER).then_some(Why::Silence);
        }
        let good_for = now.saturating_sub(own.good_since);
        if leg < self.active {
            return (good_for >= self.rules.return_after).then_some(Why::Returned);
        }
        let loses = active.loses_much(&self.rules) && own.loss < active.loss && good_for >= WINDOW;
        loses.then_some(Why::Loss(active.loss as u8))
    }
}

impl Leg {
    fn note(&mut self, packets: u64, missing: u64, now: Duration, rules: &Rules) {
        let before = self.last.replace(now);
        if before.is_none_or(|before| now.saturating_sub(before) >= rules.failover_after) {
            (self.flows_since, self.good_since) = (now, now);
            self.window = Window { began: now, packets, missing };
            self.loss = 0.0;
        }
        if now.saturating_sub(self.window.began) < WINDOW {
            return;
        }
        let lost = missing.saturating_sub(self.window.missing) as f64;
        let received = packets.saturating_sub(self.window.packets) as f64;
        self.loss = 100.0 * lost / (lost + received).max(1.0);
        self.window = Window { began: now, packets, missing };
        if self.loses_much(rules) {
            self.good_since = now;
        }
    }

    fn loses_much(&self, rules: &Rules) -> bool {
        self.loss >= f64::from(rules.failover_loss)
    }
}

/// As in "leg 1 is silent".
impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silence => f.write_str("is silent"),
            Self::Loss(percent) => write!(f, "loses {percent} % of its packets"),
            Self::Returned => f.write_str("is not needed any more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RULES: Rules = Rules {
        failover_after: Duration::from_millis(100),
        failover_loss: 5,
        return_after: Duration::from_secs(10),
    };

    /// Two legs of a packet a millisecond, as long as each comes.
    struct Stage {
        failover: Failover,
        packets: [u64; 2],
        missing: [u64; 2],
        now_ms: u64,
        switches: Vec<(u64, usize, Why)>,
    }

    impl Stage {
        fn new() -> Self {
            let failover = Failover::new(2, RULES);
            Self { failover, packets: [0; 2], missing: [0; 2], now_ms: 0, switches: Vec::new() }
        }

        /// Time passes while of a hundred packets of each leg so many come, and those of a silent one are not missed.
        fn pass(&mut self, ms: u64, comes: [u64; 2]) {
            for _ in 0..ms {
                for leg in [0, 1] {
                    if self.now_ms % 100 < comes[leg] {
                        self.packets[leg] += 1;
                        let now = Duration::from_millis(self.now_ms);
                        let (packets, missing) = (self.packets[leg], self.missing[leg]);
                        if let Verdict::Switch(why) = self.failover.take(leg, packets, missing, now) {
                            self.switches.push((self.now_ms, leg, why));
                        }
                    } else if comes[leg] > 0 {
                        self.missing[leg] += 1;
                    }
                }
                self.now_ms += 1;
            }
        }
    }

    #[test]
    fn the_first_leg_is_followed_while_it_comes() {
        let mut stage = Stage::new();
        stage.pass(20_000, [100, 100]);
        assert_eq!((stage.failover.active(), stage.switches.len()), (0, 0));
    }

    #[test]
    fn a_silent_leg_is_left_and_returned_to_after_its_time() {
        let mut stage = Stage::new();
        stage.pass(1000, [100, 100]);
        stage.pass(5000, [0, 100]);
        stage.pass(20_000, [100, 100]);
        assert_eq!(stage.switches, [(1109, 1, Why::Silence), (16_000, 0, Why::Returned)]);
    }

    #[test]
    fn a_leg_that_comes_and_goes_is_not_returned_to() {
        let mut stage = Stage::new();
        for _ in 0..10 {
            stage.pass(5000, [100, 100]);
            stage.pass(500, [0, 100]);
        }
        assert_eq!(stage.switches, [(5109, 1, Why::Silence)]);
    }

    #[test]
    fn a_backup_that_falls_silent_is_left_at_once() {
        let mut stage = Stage::new();
        stage.pass(1000, [100, 100]);
        stage.pass(1000, [0, 100]);
        stage.pass(1000, [100, 100]);
        stage.pass(1000, [100, 0]);
        assert_eq!(stage.switches, [(1109, 1, Why::Silence), (3109, 0, Why::Silence)]);
    }

    #[test]
    fn the_first_leg_has_its_time_to_begin() {
        let mut stage = Stage::new();
        stage.pass(50, [0, 100]);
        stage.pass(1000, [100, 100]);
        assert_eq!(stage.switches, []);
        let mut stage = Stage::new();
        stage.pass(200, [0, 100]);
        assert_eq!(stage.switches, [(110, 1, Why::Silence)]);
    }

    #[test]
    fn a_leg_that_is_taken_in_after_the_other_one_is_not_silent() {
        let mut stage = Stage::new();
        stage.pass(1000, [100, 100]);
        // All was held up twice, and what came by the second leg meanwhile is taken in first.
        for (ms, leg) in [(60, 1), (120, 1), (121, 0), (121, 1)] {
            let now = Duration::from_millis(stage.now_ms + ms);
            let verdict = stage.failover.take(leg, 1000, 0, now);
            assert_eq!(verdict, if leg == 0 { Verdict::Active } else { Verdict::Standby });
        }
        stage.now_ms += 122;
        stage.pass(1000, [100, 100]);
        assert_eq!(stage.switches, []);
    }

    #[test]
    fn legs_that_return_together_are_as_they_were() {
        let mut stage = Stage::new();
        stage.pass(1000, [100, 100]);
        stage.pass(9000, [0, 0]);
        stage.pass(50, [0, 100]);
        stage.pass(1000, [100, 100]);
        assert_eq!(stage.switches, []);
    }

    #[test]
    fn a_leg_that_loses_much_is_left_for_one_that_loses_less() {
        let mut stage = Stage::new();
        stage.pass(5000, [98, 100]);
        assert_eq!(stage.switches, [], "2 % are borne");
        stage.pass(5000, [90, 100]);
        assert_eq!(stage.switches.len(), 1);
        assert!(matches!(stage.switches[0], (5000..7100, 1, Why::Loss(9 | 10))), "{:?}", stage.switches);
        stage.pass(11_500, [100, 100]);
        assert!(matches!(stage.switches[1..], [(20_000..21_500, 0, Why::Returned)]), "{:?}", stage.switches);
        let mut both = Stage::new();
        both.pass(20_000, [80, 80]);
        assert_eq!(both.switches, [], "neither is better");
    }

    proptest! {
        /// Whatever comes: one packet in a `return_after` at most is a switch that was not forced by a silence.
        #[test]
        fn switches_are_held(packets in prop::collection::vec((0..3_usize, 0..3_u64, 0..200_u64), 0..500)) {
            let (mut failover, mut now, mut missing) = (Failover::new(3, RULES), 0, [0; 3]);
            let (mut count, mut chosen) = ([0; 3], Vec::new());
            for (leg, gap, pause) in packets {
                now += pause;
                missing[leg] += gap;
                count[leg] += 1;
                let before = failover.active();
                match failover.take(leg, count[leg], missing[leg], Duration::from_millis(now)) {
                    Verdict::Active => prop_assert_eq!(before, leg),
                    Verdict::Standby => prop_assert!(failover.active() == before && before != leg),
                    Verdict::Switch(why) => {
                        prop_assert!(failover.active() == leg && before != leg);
                        chosen.extend((why == Why::Returned).then_some((leg, now)));
                    }
                }
            }
            let to_the_first: Vec<_> = chosen.iter().filter(|(leg, _)| *leg == 0).collect();
            prop_assert!(to_the_first.windows(2).all(|pair| pair[1].1 - pair[0].1 >= 10_000));
        }
    }
}
