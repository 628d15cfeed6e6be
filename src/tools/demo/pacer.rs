//! What is due when: the programme's time table. Pure: time is passed in, as the time since the first frame; it knows
//! neither clock nor socket. Every deadline is a multiple of a period, so lateness never adds up to drift.

use super::picture::FRAME_RATE;
use std::time::Duration;

/// Time from one frame to the next.
pub const FRAME_PERIOD: Duration = Duration::from_millis(1000 / FRAME_RATE);
/// Media time in one audio packet.
pub const AUDIO_PERIOD: Duration = Duration::from_millis(10);
/// Time from one round of sender reports to the next.
pub const REPORT_PERIOD: Duration = Duration::from_secs(5);
/// The packets of a frame are spread over this time, so that no frame is one burst.
const SPREAD: Duration = Duration::from_millis(12);
/// How long before its frame's time a picture is painted: as soon as the frame before it has been sent, so
/// that a slow machine has most of the period to paint in.
const PAINT_AHEAD: Duration = Duration::from_millis(27);
/// Audio later than this is left out rather than sent in a burst: the machine stood still.
const AUDIO_TOO_LATE: Duration = Duration::from_millis(500);

/// Something to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Send the reports of all tracks.
    Report,
    /// Send this audio packet.
    Audio(u64),
    /// Paint and encode this frame, then say with [`Pacer::frame_ready`] how many packets it has.
    Paint(u64),
    /// Send the next packet of the frame painted last.
    Packet,
}

/// The time table, and how far along it we are.
#[derive(Debug, Default)]
pub struct Pacer {
    reports: u64,
    audio: u64,
    frame: u64,
    ready: Ready,
}

/// The packets of the frame that was painted last.
#[derive(Debug, Default)]
struct Ready {
    start: Duration,
    packets: u32,
    sent: u32,
}

impl Pacer {
    /// Takes the earliest thing that is due at `now`; `None` until [`Pacer::deadline`].
    pub fn due(&mut self, now: Duration) -> Option<Due> {
        let (deadline, due) = self.next();
        if deadline > now {
            return None;
        }
        match due {
            Due::Report => self.reports = periods(now, REPORT_PERIOD) + 1,
            Due::Audio(_) if now - deadline > AUDIO_TOO_LATE => {
                self.audio = periods(now, AUDIO_PERIOD);
                return self.due(now); // at most once more: audio is on time now
            }
            Due::Audio(_) => self.audio += 1,
            Due::Paint(frame) => {
                let newest = frame.max(periods(now, FRAME_PERIOD));
                self.frame = newest + 1;
                return Some(Due::Paint(newest));
            }
            Due::Packet => self.ready.sent += 1,
        }
        Some(due)
    }

    /// When the next thing is due.
    pub fn deadline(&self) -> Duration {
        self.next().0
    }

    /// The frame painted last is ready at `now` and has this many packets. A late one starts at once, still spread.
    pub fn frame_ready(&mut self, frame: u64, packets: u32, now: Duration) {
        self.ready = Ready { start: start(frame, FRAME_PERIOD).max(now), packets, sent: 0 };
    }

    fn next(&self) -> (Duration, Due) {
        let video = match self.ready.deadline() {
            Some(deadline) => (deadline, Due::Packet),
            None => (start(self.frame, FRAME_PERIOD).saturating_sub(PAINT_AHEAD), Due::Paint(self.frame)),
        };
        let audio = (start(self.audio, AUDIO_PERIOD), Due::Audio(self.audio));
        let report = (start(self.reports, REPORT_PERIOD), Due::Report);
        [audio, video].into_iter().fold(report, |first, other| if other.0 < first.0 { other } else { first })
    }
}

impl Ready {
    fn deadline(&self) -> Option<Duration> {
        (self.sent < self.packets).then(|| self.start + SPREAD * self.sent / self.packets)
    }
}

/// When the period with this number begins, counted from the first frame.
pub fn start(number: u64, period: Duration) -> Duration {
    Duration::from_nanos(period.as_nanos() as u64 * number)
}

/// Whole periods that fit into `time`.
fn periods(time: Duration, period: Duration) -> u64 {
    (time.as_nanos() / period.as_nanos()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    /// Runs the time table, woken `late` after each deadline and painting for `painting`; what was done, and when.
    fn run(pacer: &mut Pacer, until: Duration, late: Duration, painting: Duration) -> Vec<(Duration, Due)> {
        let (mut done, mut now) = (Vec::new(), Duration::ZERO);
        while now < until {
            while let Some(due) = pacer.due(now) {
                done.push((now, due));
                if let Due::Paint(frame) = due {
                    now += painting;
                    pacer.frame_ready(frame, 12, now);
                }
            }
            now = now.max(pacer.deadline() + late);
        }
        done
    }

    fn count(done: &[(Duration, Due)], wanted: impl Fn(&Due) -> bool) -> usize {
        done.iter().filter(|(_, due)| wanted(due)).count()
    }

    #[test]
    fn a_minute_holds_just_what_it_should_however_late_each_wake_is() {
        for late in [ms(0), ms(1), ms(3)] {
            let mut pacer = Pacer::default();
            let done = run(&mut pacer, ms(60_000) - ms(28), late, ms(4));
            assert_eq!(count(&done, |due| *due == Due::Report), 12);
            assert!(count(&done, |due| matches!(due, Due::Audio(_))).abs_diff(5_998) <= 1);
            assert_eq!(count(&done, |due| matches!(due, Due::Paint(_))), 1_500);
            assert!(count(&done, |due| *due == Due::Packet).abs_diff(18_000) <= 12);
        }
    }

    #[test]
    fn reports_come_first_of_all() {
        assert_eq!(Pacer::default().due(ms(0)), Some(Due::Report));
    }

    #[test]
    fn the_packets_of_a_frame_are_spread() {
        let done = run(&mut Pacer::default(), ms(400), ms(0), ms(4));
        let times: Vec<_> =
            done.iter().filter(|(_, due)| *due == Due::Packet).map(|(time, _)| *time).collect();
        // The first frame is late by its painting; every later one starts on time, a packet a millisecond.
        assert_eq!(times[12..24], std::array::from_fn::<_, 12, _>(|packet| ms(40 + packet as u64)));
    }

    #[test]
    fn a_slow_painter_skips_frames_but_never_audio() {
        let mut pacer = Pacer::default();
        let done = run(&mut pacer, ms(10_000), ms(0), ms(70));
        let frames: Vec<u64> = done
            .iter()
            .filter_map(|(_, due)| if let Due::Paint(frame) = due { Some(*frame) } else { None })
            .collect();
        assert!(frames.is_sorted_by(|one, other| one < other));
        assert!(*frames.last().unwrap() >= frames.len() as u64, "some are left out");
        assert!(frames.len() > 90);
        assert!(count(&done, |due| matches!(due, Due::Audio(_))) >= 1_000);
    }

    #[test]
    fn after_a_standstill_the_programme_is_at_once_on_time_again() {
        let mut pacer = Pacer::default();
        run(&mut pacer, ms(1_000), ms(0), ms(4));
        let now = ms(3_600_000);
        let mut sent = Vec::new();
        while let Some(due) = pacer.due(now) {
            if let Due::Paint(frame) = due {
                pacer.frame_ready(frame, 10, now);
            }
            sent.push(due);
        }
        assert!(sent.contains(&Due::Audio(360_000)) && sent.contains(&Due::Paint(90_000)));
        assert!(sent.len() < 20, "no burst: {sent:?}");
    }
}
