//! The buffers of sockets, where the kernel gives less than the program asks for: which limit to raise.

use std::fmt;
use std::io;

use crate::net::{Buffers, RECEIVE_BUFFER_BYTES, SEND_BUFFER_BYTES, granted_buffers};

use super::finding::{Area, Finding, State};
use super::settings::setting;

/// The kernel's limits, as deploy/90-mirrorball.conf sets them.
const ENOUGH_BYTES: usize = 16 << 20;

/// A direction in which less is given than is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capped {
    direction: Direction,
    granted: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Receive,
    Send,
}

impl Direction {
    fn limit(self) -> &'static str {
        match self {
            Self::Receive => "net.core.rmem_max",
            Self::Send => "net.core.wmem_max",
        }
    }

    fn asked(self) -> usize {
        match self {
            Self::Receive => RECEIVE_BUFFER_BYTES,
            Self::Send => SEND_BUFFER_BYTES,
        }
    }
}

impl fmt::Display for Capped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { direction, granted } = self;
        let (limit, asked) = (direction.limit(), direction.asked());
        let (buffer, so) = match direction {
            Direction::Receive => ("receive", "a burst of a source may be lost"),
            Direction::Send => ("send", "a burst to many viewers waits, and a few who vanish fill it"),
        };
        write!(
            f,
            "the {buffer} buffer is capped: {asked} bytes are asked for, and {granted} given, so that {so}; set sysctl \
             {limit}={ENOUGH_BYTES}"
        )
    }
}

/// What this process is not given.
///
/// # Errors
/// No socket can be opened to ask.
pub fn capped() -> io::Result<Vec<Capped>> {
    let Buffers { receive, send } = granted_buffers()?;
    Ok(below([(Direction::Receive, Some(receive)), (Direction::Send, Some(send))]))
}

/// What a process without privilege is given on this machine.
pub fn look() -> [Finding; 2] {
    [Direction::Receive, Direction::Send].map(|direction| direction.found(setting(direction.limit())))
}

impl Direction {
    /// A container may not see the limits: then there is nothing to say about them.
    fn found(self, granted: Option<usize>) -> Finding {
        let (state, said) = match below([(self, granted)]).first() {
            Some(capped) => (State::Warn, capped.to_string()),
            None if granted.is_none() => (State::Note, "can not be seen here".to_owned()),
            None => (State::Ok, format!("{} bytes are asked for, and given", self.asked())),
        };
        Finding::new(Area::Sysctl, self.limit(), state, &said)
    }
}

fn below<const N: usize>(granted: [(Direction, Option<usize>); N]) -> Vec<Capped> {
    let known =
        granted.into_iter().filter_map(|(direction, granted)| Some(Capped { direction, granted: granted? }));
    known.filter(|capped| capped.granted < capped.direction.asked()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_direction_names_its_limit() {
        let told = |receive, send| -> Vec<String> {
            let both = [(Direction::Receive, receive), (Direction::Send, send)];
            below(both).iter().map(ToString::to_string).collect()
        };
        let both = told(Some(212_992), Some(100_000));
        assert!(both[0].contains("8388608 bytes are asked for, and 212992 given"), "{both:?}");
        assert!(both[0].ends_with("set sysctl net.core.rmem_max=16777216"), "{both:?}");
        assert!(both[1].contains("and 100000 given"), "{both:?}");
        assert!(both[1].ends_with("set sysctl net.core.wmem_max=16777216"), "{both:?}");
        assert!(told(Some(RECEIVE_BUFFER_BYTES), None).is_empty());
    }

    #[test]
    fn each_direction_is_a_finding() {
        let states = [Some(RECEIVE_BUFFER_BYTES), Some(212_992), None]
            .map(|granted| Direction::Receive.found(granted).state);
        assert_eq!(states, [State::Ok, State::Warn, State::Note]);
        let capped = Direction::Send.found(Some(212_992));
        assert_eq!(capped.remedy.as_deref(), Some("set sysctl net.core.wmem_max=16777216"));
    }
}
