//! The Reporter: whether RTCP that comes from a viewer's address is the viewer's, by the SSRC that it uses.
//!
//! An address is easily forged, and what a viewer reports on is not: the SSRC that it is sent. So who names that is the
//! viewer, and the SSRC that it says so under is its own, until it names it under another: ffmpeg takes another one with
//! each source. Before that, any report that names nothing may be the viewer's first; a goodbye may not.

use crate::wire::rtcp::{Feedback, Report};

/// Who reports on a track.
#[derive(Debug, Default)]
pub struct Reporter {
    /// The viewer's SSRC, once it is known.
    own: Option<u32>,
    /// The source that its latest report named: after a change of SSRC that is the one before, for a moment.
    reported_on: Option<u32>,
}

/// What a viewer has said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// That it is there, and maybe how it hears us.
    Alive(Option<Report>),
    Goodbye,
}

/// Why something is not taken for the viewer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotTheirs {
    /// It is said under another SSRC than the viewer's, or reports on what we do not send.
    Ssrc,
    /// A goodbye of an SSRC that is not known to be the viewer's.
    Goodbye,
}

impl NotTheirs {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Ssrc, Self::Goodbye];

    /// A stable word, for metric labels.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Ssrc => "ssrc",
            Self::Goodbye => "goodbye",
        }
    }
}

impl Reporter {
    /// The viewer's SSRC, once it is known.
    pub fn own(&self) -> Option<u32> {
        self.own
    }

    /// Hears what comes from the viewer's address, while the SSRC that is `sent` to it is that.
    pub fn hear(&mut self, feedback: &Feedback, sent: Option<u32>) -> Result<Said, NotTheirs> {
        let is_sent = |report: &&Report| [sent, self.reported_on].contains(&Some(report.ssrc));
        let report = feedback.reports.iter().find(is_sent).copied();
        match (feedback.sender_ssrc, report) {
            (Some(_), Some(report)) => {
                (self.own, self.reported_on) = (feedback.sender_ssrc, Some(report.ssrc))
            }
            (Some(_), None) if !feedback.reports.is_empty() => return Err(NotTheirs::Ssrc),
            (Some(_), None) if self.own.is_some() && self.own != feedback.sender_ssrc => {
                return Err(NotTheirs::Ssrc);
            }
            (None, _) if feedback.goodbyes.is_empty() => return Err(NotTheirs::Ssrc),
            _ => {}
        }
        match self.own {
            _ if feedback.goodbyes.is_empty() => Ok(Said::Alive(report)),
            Some(own) if feedback.goodbyes.contains(&own) => Ok(Said::Goodbye),
            _ => Err(NotTheirs::Goodbye),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: u32 = 0x5eed;

    fn says(own: u32, on: &[u32]) -> Feedback {
        let reports = on.iter().map(|ssrc| Report { ssrc: *ssrc, ..Report::default() }).collect();
        Feedback { sender_ssrc: Some(own), reports, goodbyes: vec![] }
    }

    fn leaves(own: u32) -> Feedback {
        Feedback { sender_ssrc: None, reports: vec![], goodbyes: vec![own] }
    }

    fn alive_by(ssrc: u32) -> Result<Said, NotTheirs> {
        Ok(Said::Alive(Some(Report { ssrc, ..Report::default() })))
    }

    #[test]
    fn before_it_is_known_a_viewer_may_live_but_not_leave() {
        let mut reporter = Reporter::default();
        assert_eq!(reporter.hear(&says(0, &[]), None), Ok(Said::Alive(None)), "as ffmpeg begins");
        assert_eq!(reporter.hear(&says(7, &[]), Some(SENT)), Ok(Said::Alive(None)), "and goes on");
        assert_eq!(reporter.hear(&leaves(7), Some(SENT)), Err(NotTheirs::Goodbye));
        let both = Feedback { goodbyes: vec![7], ..says(7, &[]) };
        assert_eq!(reporter.hear(&both, Some(SENT)), Err(NotTheirs::Goodbye));
    }

    #[test]
    fn who_names_what_it_is_sent_is_known_from_there_on() {
        let mut reporter = Reporter::default();
        assert_eq!(reporter.hear(&says(7, &[1, SENT]), Some(SENT)), alive_by(SENT));
        assert_eq!(reporter.hear(&says(7, &[]), Some(SENT)), Ok(Said::Alive(None)));
        assert_eq!(reporter.hear(&says(8, &[]), Some(SENT)), Err(NotTheirs::Ssrc));
        assert_eq!(reporter.hear(&says(8, &[1]), Some(SENT)), Err(NotTheirs::Ssrc));
        assert_eq!(reporter.hear(&says(7, &[1]), Some(SENT)), Err(NotTheirs::Ssrc));
        assert_eq!(reporter.hear(&leaves(8), Some(SENT)), Err(NotTheirs::Goodbye));
        assert_eq!(reporter.hear(&leaves(7), Some(SENT)), Ok(Said::Goodbye));
    }

    #[test]
    fn a_viewer_that_takes_another_ssrc_is_known_by_that() {
        let mut reporter = Reporter::default();
        let (next, own, other) = (SENT + 1, SENT + 10, SENT + 11);
        assert_eq!(reporter.hear(&says(own, &[SENT]), Some(SENT)), alive_by(SENT));
        assert_eq!(
            reporter.hear(&says(own, &[SENT]), Some(next)),
            alive_by(SENT),
            "it has not heard of the next yet"
        );
        assert_eq!(reporter.hear(&says(other, &[next]), Some(next)), alive_by(next));
        assert_eq!(reporter.hear(&says(own, &[SENT]), Some(next)), Err(NotTheirs::Ssrc));
        assert_eq!(reporter.hear(&leaves(own), Some(next)), Err(NotTheirs::Goodbye));
        let both = Feedback { goodbyes: vec![other], ..says(other, &[next]) };
        assert_eq!(reporter.hear(&both, Some(next)), Ok(Said::Goodbye));
    }

    #[test]
    fn nothing_said_under_no_name_counts() {
        let mut reporter = Reporter::default();
        assert_eq!(reporter.hear(&Feedback::default(), Some(SENT)), Err(NotTheirs::Ssrc));
    }
}
