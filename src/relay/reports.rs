//! The source's latest sender reports, by the name that receivers give them (LSR, RFC 3550 section 6.4.1), and when each came
//! by: how long it has been since, less how long a viewer has had it, is the way there and back.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Instant;

use crate::event::lock;

/// Viewers name the latest that they have: these are half a minute of a source that reports as often as others do.
const KEPT: usize = 8;

#[derive(Debug, Default)]
pub(super) struct Reports(Mutex<VecDeque<Report>>);

#[derive(Debug)]
struct Report {
    name: u32,
    /// `None`: several have this name, as the source's clock stands still.
    came_at: Option<Instant>,
}

impl Reports {
    /// One with this NTP time has come.
    pub fn note(&self, ntp_timestamp: u64, at: Instant) {
        let name = (ntp_timestamp >> 16) as u32;
        let mut reports = lock(&self.0);
        if let Some(known) = reports.iter_mut().find(|report| report.name == name) {
            known.came_at = None;
            return;
        }
        if reports.len() == KEPT {
            reports.pop_front();
        }
        reports.push_back(Report { name, came_at: Some(at) });
    }

    /// When the one of this name came, if it is known. A receiver that has had none says 0.
    pub fn came_at(&self, name: u32) -> Option<Instant> {
        let reports = lock(&self.0);
        reports.iter().find(|report| report.name == name && name != 0)?.came_at
    }
}

#[cfg(all(test, not(model)))]
mod tests {
    use super::*;
    use crate::event::clock;

    #[test]
    fn a_report_is_known_by_the_middle_of_its_time_for_a_while() {
        let (reports, now) = (Reports::default(), clock::now());
        for number in 1..=9 {
            reports.note(0xe000_0001_0000_2222 | number << 16, now);
        }
        // The lower half of the seconds, the upper half of their fraction.
        let known = |number: u32| reports.came_at(0x0001_0000 | number);
        assert_eq!([1, 2, 9, 10].map(known), [None, Some(now), Some(now), None], "eight are kept");
    }

    #[test]
    fn what_has_no_name_of_its_own_is_not_known() {
        let (reports, now) = (Reports::default(), clock::now());
        reports.note(0, now);
        reports.note(7 << 16, now);
        reports.note(7 << 16, now);
        assert_eq!([0, 7].map(|name| reports.came_at(name)), [None, None]);
    }
}
