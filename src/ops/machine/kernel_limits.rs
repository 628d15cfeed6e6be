//! Settings of the kernel that bound how many can be served, and how well: [socket buffers](super::socket_buffers), connections that
//! wait, neighbours.

use super::finding::{Area, Finding, State};
use super::settings::setting;
use super::socket_buffers;

const WAITING: &str = "net.core.somaxconn";
/// As many as the program asks for.
const ENOUGH_WAITING: usize = 16_384;
const NEIGHBOURS: [&str; 2] = ["net.ipv4.neigh.default.gc_thresh3", "net.ipv6.neigh.default.gc_thresh3"];

/// A finding for each.
pub fn look(sessions: usize) -> Vec<Finding> {
    let waiting = of_waiting(setting(WAITING));
    let neighbours = NEIGHBOURS.iter().filter_map(|name| Some(of_neighbours(name, setting(name)?, sessions)));
    socket_buffers::look().into_iter().chain([waiting]).chain(neighbours).collect()
}

fn of_waiting(limit: Option<usize>) -> Finding {
    let (state, said) = match limit {
        None => (State::Note, "can not be seen here".to_owned()),
        Some(limit) if limit < ENOUGH_WAITING => (
            State::Note,
            format!(
                "{limit} viewers may wait to be let in, and others who come at that moment try again later; set sysctl \
                 {WAITING}={ENOUGH_WAITING}"
            ),
        ),
        Some(limit) => (State::Ok, format!("{limit} viewers may wait to be let in")),
    };
    Finding::new(Area::Sysctl, WAITING, state, &said)
}

fn of_neighbours(name: &str, limit: usize, sessions: usize) -> Finding {
    let (state, said) = if limit < sessions.min(ENOUGH_WAITING) {
        let said = format!(
            "{limit} hosts can be known at once on the machine's own networks, and {sessions} sessions are allowed; if so many \
             viewers are there, and not behind a router, set gc_thresh1 to 3 as deploy/90-mirrorball.conf does"
        );
        (State::Note, said)
    } else {
        (State::Ok, format!("{limit} hosts can be known at once on the machine's own networks"))
    };
    Finding::new(Area::Sysctl, name, state, &said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn low_limits_are_noted_with_the_sysctl() {
        assert_eq!(
            [of_waiting(Some(16_384)), of_waiting(Some(65_536))].map(|found| found.state),
            [State::Ok; 2]
        );
        let low = of_waiting(Some(4096));
        assert_eq!(
            (low.state, low.remedy.as_deref()),
            (State::Note, Some("set sysctl net.core.somaxconn=16384"))
        );
        assert_eq!(of_waiting(None).state, State::Note);
        let [few, many] = [500, 20_000].map(|sessions| of_neighbours(NEIGHBOURS[0], 1024, sessions));
        assert_eq!([few.state, many.state], [State::Ok, State::Note]);
    }
}
