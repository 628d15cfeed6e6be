//! Who is looked for at a pair, and what is made of what comes there.

use super::super::taker::nobody;
use super::*;
use crate::event::clock;

fn at(port: u16) -> SocketAddr {
    ([192, 0, 2, 9], port).into()
}

fn learnt(hint: Hint) -> Option<(Port, SocketAddr)> {
    match hint {
        Hint::Learnt(Learnt { port, at, .. }) => Some((port, at)),
        Hint::Nothing | Hint::Maybe => None,
    }
}

/// Latches of one who has named 5000 and 5001, and what they make of a packet.
struct Search(Latches, Learning, Instant, u64);

impl Search {
    fn by(learning: Learning) -> Self {
        let mut latches = Latches::default();
        let number = latches.begin(&nobody(1), [at(5000), at(5001)]).expect("nobody else is looked for");
        Self(latches, learning, clock::now(), number)
    }

    fn hear(&mut self, port: Port, from: SocketAddr, ms: u64) -> Option<(Port, SocketAddr)> {
        let is_known = [at(5000), at(5001)].contains(&from);
        learnt(self.0.hear((port, from), is_known, self.1, self.2 + Duration::from_millis(ms)))
    }
}

#[test]
fn each_port_is_that_of_the_first_packet_to_ours_and_stays() {
    let mut search = Search::by(Learning::Immediate);
    assert_eq!(search.hear(Port::Rtcp, at(40_001), 0), Some((Port::Rtcp, at(40_001))));
    assert_eq!(search.hear(Port::Rtcp, at(40_003), 1), None, "it is known by now");
    assert!(search.0.want_rtp());
    assert_eq!(search.hear(Port::Rtp, at(40_000), 2), Some((Port::Rtp, at(40_000))));
    assert!(!search.0.want_rtp());
    assert_eq!(search.hear(Port::Rtp, at(40_002), 3), None);
    assert!(search.0.begin(&nobody(2), [at(6000), at(6001)]).is_some(), "its place is free for the next");
}

#[test]
fn who_is_heard_from_where_it_said_is_there() {
    let mut search = Search::by(Learning::Immediate);
    assert_eq!(search.hear(Port::Rtp, at(5001), 0), None, "one port says nothing of the other");
    assert_eq!(search.hear(Port::Rtp, at(5000), 0), Some((Port::Rtp, at(5000))));
    assert_eq!(search.hear(Port::Rtp, at(40_000), 1), None);
    assert_eq!(search.hear(Port::Rtcp, at(5001), 2), Some((Port::Rtcp, at(5001))));
}

#[test]
fn another_host_a_known_viewer_and_a_port_of_services_teach_nothing() {
    let mut search = Search::by(Learning::Immediate);
    let now = search.2;
    for from in ["192.0.2.8:40000", "[2001:db8::9]:40000", "192.0.2.9:53"] {
        assert_eq!(search.hear(Port::Rtp, from.parse().expect("an address"), 0), None, "{from}");
    }
    let of_another = search.0.hear((Port::Rtp, at(40_000)), true, Learning::Immediate, now);
    assert_eq!(learnt(of_another), None);
    assert_eq!(search.hear(Port::Rtp, at(40_002), 0), Some((Port::Rtp, at(40_002))));
}

#[test]
fn with_a_delay_the_newest_port_counts_and_the_clock_tells_if_nothing_comes() {
    let mut search = Search::by(Learning::Delayed);
    let began = search.2;
    let due = |search: &mut Search, ms| -> Vec<_> {
        let due = search.0.due(Learning::Delayed, began + Duration::from_millis(ms));
        due.into_iter().map(|learnt| (learnt.port, learnt.at)).collect()
    };
    assert_eq!(search.hear(Port::Rtp, at(40_000), 0), None);
    assert_eq!(search.hear(Port::Rtp, at(40_002), 100), None);
    assert_eq!(search.hear(Port::Rtcp, at(40_001), 300), None);
    assert_eq!(due(&mut search, 499), []);
    assert_eq!(due(&mut search, 500), [(Port::Rtp, at(40_002))]);
    assert_eq!(search.hear(Port::Rtcp, at(40_005), 800), Some((Port::Rtcp, at(40_005))));
    assert_eq!(due(&mut search, 5000), []);
}

#[test]
fn of_an_address_one_is_looked_for_and_of_a_crowd_nobody() {
    let mut search = Search::by(Learning::Immediate);
    let other = SocketAddr::from(([192, 0, 2, 8], 5000));
    assert!(search.0.begin(&nobody(2), [at(6000), at(6001)]).is_none());
    assert!(search.0.begin(&nobody(2), [other, other]).is_some(), "another address is another matter");
    let second = search.0.crowd(at(0).ip());
    assert_eq!(search.hear(Port::Rtp, at(40_000), 0), None, "whose would it be");
    let third = search.0.crowd(at(0).ip());
    search.0.end(at(0).ip(), second);
    search.0.end(at(0).ip(), third);
    assert!(search.0.is_crowd(at(0).ip()), "the first is there yet");
    search.0.end(at(0).ip(), search.3);
    assert!(search.0.begin(&nobody(4), [at(6000), at(6001)]).is_some());
}

#[test]
fn who_ends_takes_nobody_elses_place() {
    let mut search = Search::by(Learning::Immediate);
    search.0.end(at(0).ip(), search.3);
    let second = search.0.begin(&nobody(2), [at(6000), at(6000)]).expect("the first is gone");
    search.0.end(at(0).ip(), search.3);
    let found = search.0.hear((Port::Rtp, at(40_000)), false, Learning::Immediate, search.2);
    assert!(matches!(found, Hint::Learnt(learnt) if learnt.latch == second && learnt.client.track == 2));
    assert!(search.0.begin(&nobody(3), [at(6000), at(6001)]).is_some(), "without RTCP that was all");
}
