//! Who sends a track's stream, by SSRC and address, and what the log is to hear of them.

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::time::Instant;

use crate::event::Episode;
use crate::wire::reception::Turn;

/// As many as are told of at a time.
const MOST: usize = 4;

/// The newest senders.
#[derive(Debug, Default)]
pub(super) struct Senders {
    newest: VecDeque<(u32, SocketAddr)>,
    both: Episode,
    replaced: Episode,
    left: Episode,
}

/// What the log is to hear.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    /// Somebody has to do something.
    Warning(String),
    /// Somebody may wonder.
    Notice(String),
}

/// An SSRC, and where it was first heard from.
struct Sender(u32, Option<SocketAddr>);

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SSRC {:#010x}", self.0)?;
        self.1.map_or(Ok(()), |address| write!(f, " from {address}"))
    }
}

impl Senders {
    /// An SSRC was heard for the first time.
    pub fn note(&mut self, ssrc: u32, from: SocketAddr) {
        self.newest.retain(|(known, _)| *known != ssrc);
        self.newest.truncate(MOST - 1);
        self.newest.push_front((ssrc, from));
    }

    /// What is told of a turn. One line an episode: two senders take turns with every packet.
    pub fn news(&self, turn: Turn, now: Instant) -> Option<News> {
        match turn {
            Turn::Both(both) => self.both.begins(now).then(|| {
                let [one, other] = both.map(|ssrc| self.sender(ssrc));
                let remedy = match (one.1, other.1) {
                    (Some(a), Some(b)) if a.ip() != b.ip() => {
                        format!("stop one of them, or name the one to keep, as in rtp://{}@group:port", a.ip())
                    }
                    _ => "stop one of them".to_owned(),
                };
                News::Warning(format!(
                    "two senders: {one} and {other} send the same payload type, and viewers get both mixed; {remedy}"
                ))
            }),
            Turn::Replaced([before, now_heard]) => self.replaced.begins(now).then(|| {
                let [before, by] = [before, now_heard].map(|ssrc| self.sender(ssrc));
                News::Notice(format!("the source began anew: {by}, after {before}"))
            }),
            Turn::Left([gone, stays]) => self.left.begins(now).then(|| {
                let [gone, stays] = [gone, stays].map(|ssrc| self.sender(ssrc));
                News::Notice(format!("of two senders one is left: {stays}; {gone} has stopped"))
            }),
        }
    }

    fn sender(&self, ssrc: u32) -> Sender {
        let known = self.newest.iter().find(|(known, _)| *known == ssrc);
        Sender(ssrc, known.map(|(_, address)| *address))
    }
}

#[cfg(all(test, not(model)))]
mod tests {
    use super::*;
    use crate::event::clock;
    use std::time::Duration;

    fn senders(of: &[(u32, &str)]) -> Senders {
        let mut senders = Senders::default();
        of.iter().for_each(|(ssrc, from)| senders.note(*ssrc, from.parse().expect("an address")));
        senders
    }

    #[test]
    fn two_senders_are_told_of_once_with_what_to_do() {
        let (senders, now) = (senders(&[(1, "192.0.2.7:4000"), (2, "192.0.2.8:4000")]), clock::now());
        let Some(News::Warning(told)) = senders.news(Turn::Both([1, 2]), now) else { panic!("a warning") };
        assert!(
            told.starts_with("two senders: SSRC 0x00000001 from 192.0.2.7:4000 and SSRC 0x00000002 from")
        );
        assert!(told.ends_with("as in rtp://192.0.2.7@group:port"), "{told}");
        assert_eq!(senders.news(Turn::Both([2, 1]), now + Duration::from_secs(5)), None);
    }

    #[test]
    fn one_host_that_sends_twice_has_no_source_to_name() {
        let (senders, now) = (senders(&[(1, "192.0.2.7:4000"), (2, "192.0.2.7:4002")]), clock::now());
        let Some(News::Warning(told)) = senders.news(Turn::Both([1, 2]), now) else { panic!("a warning") };
        assert!(told.ends_with("; stop one of them"), "{told}");
    }

    #[test]
    fn a_source_that_begins_anew_is_no_second_one() {
        let (senders, now) = (senders(&[(1, "192.0.2.7:4000"), (2, "192.0.2.7:4002")]), clock::now());
        let told = "the source began anew: SSRC 0x00000002 from 192.0.2.7:4002, after SSRC 0x00000001 from 192.0.2.7:4000";
        assert_eq!(senders.news(Turn::Replaced([1, 2]), now), Some(News::Notice(told.to_owned())));
    }

    #[test]
    fn only_the_newest_are_remembered() {
        let all: Vec<_> = (0..100).map(|ssrc| (ssrc, "192.0.2.7:4000")).collect();
        let senders = senders(&all);
        assert_eq!(senders.newest.len(), MOST);
        assert_eq!(senders.sender(1).to_string(), "SSRC 0x00000001");
    }
}
