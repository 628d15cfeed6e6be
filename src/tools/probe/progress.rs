//! What the terminal shows while a probe runs. Text alone: it writes nothing and reads no clock.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::super::demo::grouped;

use super::Plan;
use super::worker::Shared;

/// Time from one line to the next; figures a second are over this time.
const INTERVAL: Duration = Duration::from_secs(1);

/// What the probe is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Some have not reached PLAY yet.
    SettingUp,
    /// All that could be set up play.
    Playing,
    /// Nobody plays any more, or ever did.
    AllLost,
}

impl Phase {
    /// The phase that the counters tell.
    pub fn of(plan: &Plan, shared: &Shared) -> Self {
        // Whoever left has played before: read in this order, no more have left than played.
        let left = shared.left.load(Relaxed);
        let played = shared.played.load(Relaxed);
        let done = played + shared.failed.load(Relaxed) + shared.untried.load(Relaxed);
        match () {
            () if done < u64::from(plan.subscribers) => Self::SettingUp,
            () if left >= played => Self::AllLost,
            () => Self::Playing,
        }
    }
}

/// Writes a line a second.
pub struct Progress {
    subscribers: u64,
    duration: Duration,
    began: Duration,
    phase: Option<Phase>,
    phase_began: Duration,
    shown_at: Duration,
    packets: u64,
    bytes: u64,
}

impl Progress {
    /// Nothing is shown yet.
    pub fn new(plan: &Plan, began: Duration) -> Self {
        let Plan { subscribers, duration, .. } = *plan;
        let (phase, subscribers) = (None, subscribers.into());
        Self {
            subscribers,
            duration,
            began,
            phase,
            phase_began: began,
            shown_at: began,
            packets: 0,
            bytes: 0,
        }
    }

    /// The line that is due, and whether it opens a phase. None if there is nothing to show yet.
    pub fn line(&mut self, shared: &Shared, phase: Phase, now: Duration) -> Option<(String, bool)> {
        let is_news = self.phase != Some(phase);
        let elapsed = now.saturating_sub(self.shown_at);
        if !is_news && elapsed < INTERVAL {
            return None;
        }
        if is_news {
            self.phase = Some(phase);
            self.phase_began = now;
        }
        let (packets, bytes) = (shared.packets.load(Relaxed), shared.bytes.load(Relaxed));
        let seconds = elapsed.as_secs_f64().max(0.001);
        let packet_rate = (packets.saturating_sub(self.packets) as f64 / seconds).round() as u64;
        let bit_rate = bytes.saturating_sub(self.bytes) as f64 * 8.0 / seconds;
        (self.shown_at, self.packets, self.bytes) = (now, packets, bytes);
        let played = shared.played.load(Relaxed);
        let failed = grouped(shared.failed.load(Relaxed) + shared.left.load(Relaxed));
        let lost = grouped(shared.lost.load(Relaxed).max(0) as u64);
        let line = match phase {
            Phase::SettingUp => format!(
                "{:.0} s  setting up: {} of {} play  failed {failed}  lost {lost}",
                now.saturating_sub(self.began).as_secs_f64(),
                grouped(played),
                grouped(self.subscribers),
            ),
            // So short after the phase before, a rate would mean nothing.
            Phase::Playing if is_news => format!(
                "{} of {} play, for {:.0} s  failed {failed}  lost {lost}",
                grouped(played.saturating_sub(shared.left.load(Relaxed))),
                grouped(self.subscribers),
                self.duration.as_secs_f64(),
            ),
            Phase::Playing => format!(
                "{:.0} of {:.0} s  {} play  {} packets/s  {}  failed {failed}  lost {lost}",
                now.saturating_sub(self.phase_began).as_secs_f64(),
                self.duration.as_secs_f64(),
                grouped(played.saturating_sub(shared.left.load(Relaxed))),
                grouped(packet_rate),
                bits(bit_rate),
            ),
            Phase::AllLost => format!("nobody plays  failed {failed}"),
        };
        Some((line, is_news))
    }
}

/// Bits a second in the unit that suits them.
pub fn bits(per_second: f64) -> String {
    match per_second {
        rate if rate >= 1e9 => format!("{:.2} Gb/s", rate / 1e9),
        rate if rate >= 1e6 => format!("{:.2} Mb/s", rate / 1e6),
        rate => format!("{:.1} kb/s", rate / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::probe::{Delivery, Tracks};
    use super::*;
    use std::sync::atomic::Ordering::Relaxed;

    fn plan() -> Plan {
        Plan {
            url: "rtsp://edge/news".parse().expect("a URL"),
            subscribers: 1_000,
            delivery: Delivery::Udp,
            tracks: Tracks::All,
            duration: Duration::from_secs(10),
            rate: None,
            setup_timeout: Duration::from_secs(1),
            course: super::super::Course::default(),
        }
    }

    #[test]
    fn the_counters_tell_the_phase() {
        let (plan, shared) = (plan(), Shared::default());
        assert_eq!(Phase::of(&plan, &shared), Phase::SettingUp);
        shared.played.store(999, Relaxed);
        shared.failed.store(1, Relaxed);
        assert_eq!(Phase::of(&plan, &shared), Phase::Playing);
        shared.left.store(999, Relaxed);
        assert_eq!(Phase::of(&plan, &shared), Phase::AllLost);
    }

    #[test]
    fn lines_come_once_a_second_and_when_something_is_new() {
        let (plan, shared, second) = (plan(), Shared::default(), Duration::from_secs(1));
        let mut progress = Progress::new(&plan, second);
        let line = progress.line(&shared, Phase::SettingUp, second).expect("the first");
        assert_eq!(line, ("0 s  setting up: 0 of 1,000 play  failed 0  lost 0".to_owned(), true));
        assert_eq!(progress.line(&shared, Phase::SettingUp, second * 3 / 2), None);
        shared.played.store(1_000, Relaxed);
        let line = progress.line(&shared, Phase::Playing, second * 3 / 2).expect("news");
        assert_eq!(line, ("1,000 of 1,000 play, for 10 s  failed 0  lost 0".to_owned(), true));
        shared.packets.store(800_000, Relaxed);
        shared.bytes.store(1_062_400_000, Relaxed);
        let (line, is_news) = progress.line(&shared, Phase::Playing, second * 5 / 2).expect("a second later");
        assert_eq!(line, "1 of 10 s  1,000 play  800,000 packets/s  8.50 Gb/s  failed 0  lost 0");
        assert!(!is_news && line.len() < 80);
    }
}
