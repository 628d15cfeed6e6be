//! The Herald: what the log is told of announced sessions, so many lines a second at most and the rest in a sum.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::allowance::Allowance;
use super::refusal::Refusal;
use super::table::Change;

/// Lines at once, and how soon there is one more.
const LINES: (u32, Duration) = (16, Duration::from_secs(1));
/// What fails the same way each time it is tried is told again after so long, of so many failures at a time.
const AGAIN_AFTER: Duration = Duration::from_secs(600);
const MOST_KNOWN: usize = 64;

pub(super) struct Herald {
    lines: Allowance,
    untold: u64,
    /// That there is no place was told, and none came since.
    is_full: bool,
    /// Why something was not served, of whom, and when that was told.
    not_served: VecDeque<(String, IpAddr, Instant)>,
}

impl Herald {
    pub fn new(now: Instant) -> Self {
        let lines = Allowance::new(LINES.0, LINES.1, now);
        Self { lines, untold: 0, is_full: false, not_served: VecDeque::new() }
    }

    /// Tells what changes, and by whose word.
    pub fn tell(&mut self, change: &Change, sender: Option<IpAddr>, now: Instant) {
        self.is_full &= !matches!(change, Change::New { .. });
        let Some(untold) = self.line(now) else { return };
        let sender = sender.map(tracing::field::display);
        match change {
            Change::New { name: channel, .. } => {
                tracing::info!(channel, sender, untold, "a session is announced, and is a channel now");
            }
            Change::Changed { name: channel, .. } => {
                tracing::info!(channel, sender, untold, "the session is announced otherwise now");
            }
            Change::Gone { name: channel, is_deleted: true } => {
                tracing::info!(channel, sender, untold, "the session was deleted, and its channel is gone");
            }
            Change::Gone { name: channel, .. } => {
                tracing::warn!(
                    channel,
                    untold,
                    "the session is announced no longer, and its channel is gone"
                );
            }
        }
    }

    /// Tells what an operator may want to do something about.
    pub fn tell_refused(&mut self, refusal: Refusal, why: Option<&str>, sender: IpAddr, now: Instant) {
        match (refusal, why) {
            (Refusal::OtherSender, Some(why)) => {
                let Some(untold) = self.line(now) else { return };
                tracing::warn!(%sender, untold, "another one's session is announced, and stays as it is: {why}");
            }
            (_, Some(why)) => {
                let Some(untold) = self.line(now) else { return };
                let why = legible(why);
                tracing::warn!(%sender, untold, "what is announced can not be a channel: {why}");
            }
            (Refusal::Sessions | Refusal::Sender, _) if !self.is_full => {
                let Some(untold) = self.line(now) else { return };
                self.is_full = true;
                tracing::warn!(
                    %sender,
                    untold,
                    "more sessions are announced than may be; see sap.sessions and sap.sessions_per_sender"
                );
            }
            _ => {}
        }
    }

    /// Tells that what is announced is no channel, or its channel not what is announced.
    pub fn tell_not_served(&mut self, why: &str, sender: IpAddr, now: Instant) {
        if self.is_known(why, sender, now) {
            return;
        }
        let Some(untold) = self.line(now) else { return };
        tracing::warn!(%sender, untold, "what is announced is not served, and tried again: {why}");
    }

    fn is_known(&mut self, why: &str, sender: IpAddr, now: Instant) -> bool {
        self.not_served.retain(|(_, _, at)| now < *at + AGAIN_AFTER);
        if self.not_served.iter().any(|(other, of, _)| other == why && *of == sender) {
            return true;
        }
        self.not_served.truncate(MOST_KNOWN - 1);
        self.not_served.push_front((why.to_owned(), sender, now));
        false
    }

    /// Whether there may be a line, and how many there could not be since the last, if any.
    fn line(&mut self, now: Instant) -> Option<Option<u64>> {
        if self.lines.take(now) {
            let untold = std::mem::take(&mut self.untold);
            return Some((untold > 0).then_some(untold));
        }
        self.untold += 1;
        None
    }
}

/// Something from outside, as the log may have it.
fn legible(text: &str) -> String {
    const MOST: usize = 300;
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(MOST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::clock;

    #[test]
    fn there_are_so_many_lines_and_the_rest_is_a_sum() {
        let began = clock::now();
        let mut herald = Herald::new(began);
        let told = (0..100).filter_map(|_| herald.line(began)).count();
        assert_eq!(told, 16);
        assert_eq!(herald.line(began + Duration::from_secs(1)), Some(Some(84)));
        assert_eq!(herald.line(began + Duration::from_secs(60)), Some(None));
    }

    #[test]
    fn what_fails_each_time_is_told_now_and_then() {
        let began = clock::now();
        let (mut herald, sender) = (Herald::new(began), IpAddr::from([10, 0, 0, 7]));
        let mut is_known =
            |why: &str, seconds| herald.is_known(why, sender, began + Duration::from_secs(seconds));
        let tries = [("no room", 0), ("no room", 10), ("a loop", 10), ("no room", 599), ("no room", 600)];
        assert_eq!(tries.map(|(why, at)| is_known(why, at)), [false, true, false, true, false]);
        (0..1000).for_each(|number| {
            is_known(&number.to_string(), 700);
        });
        assert_eq!(herald.not_served.len(), MOST_KNOWN);
    }

    #[test]
    fn what_comes_from_outside_is_short_and_shows_no_controls() {
        assert_eq!(legible("a\u{1b}[31m\nb"), "a\u{fffd}[31m\u{fffd}b");
        assert_eq!(legible(&"x".repeat(1000)).len(), 300);
    }
}
