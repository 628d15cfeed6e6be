//! Tracks of which nothing has ever come: told once, with where they were listened for and what usually is to blame.
//! What has come and gone is another matter, and so is what comes and is none of the track's packets.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::relay::Track;
use crate::wire::source_filter::SourceFilter;

/// One track, until something comes or the log was told.
#[derive(Debug, Default)]
pub(super) struct Unheard {
    joined_since: Option<Instant>,
    over: bool,
}

/// What a look has found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// Nothing is waited for.
    Over,
    /// Look again by then.
    Until(Instant),
    /// It was waited for long enough.
    InVain,
}

impl Unheard {
    /// Looks at the track. What is not joined is not waited for: the log says why it is not.
    pub fn look(&mut self, track: &Track, silent_after: Duration, now: Instant) -> Wait {
        if self.over || track.is_heard() {
            self.over = true;
            return Wait::Over;
        }
        if !track.is_joined() {
            self.joined_since = None;
            return Wait::Over;
        }
        let until = *self.joined_since.get_or_insert(now) + silent_after;
        if now < until {
            return Wait::Until(until);
        }
        self.over = true;
        Wait::InVain
    }
}

/// What may be wrong with a track that is joined on this interface.
#[must_use]
pub fn advice(group: IpAddr, filter: &SourceFilter, interface: &str) -> String {
    let alone = match filter {
        SourceFilter::Any => String::new(),
        _ => format!(" It is taken from {filter} alone: if another host sends, name that one as the source."),
    };
    if !group.is_multicast() {
        let host = if group.is_unspecified() { String::new() } else { format!(" and dst host {group}") };
        return format!(
            "nothing has ever come. See whether it arrives: tcpdump -pni {interface} udp{host}. If not, the source is off, or \
             sends elsewhere. If so, a firewall drops it, or it goes to another port.{alone}"
        );
    }
    format!(
        "nothing has ever come, though the group is joined on {interface}. See whether it is on that network: \
         tcpdump -pni {interface} udp and dst host {group}. If not, the source is off, or sends elsewhere, or a switch \
         does not pass it on (IGMP snooping without a querier), or it comes by another interface. If so, a firewall or \
         the reverse-path filter (rp_filter) drops it, or it goes to another port.{alone}"
    )
}

#[cfg(all(test, not(model)))]
mod tests {
    use super::*;
    use crate::event::clock;
    use crate::relay::Coalesce;
    use crate::relay::rig::{ROOMY, by_hand, outward};
    use crate::wire::rtp::NotRtp;
    use crate::wire::sdp;
    use std::net::Ipv4Addr;
    use std::sync::Arc;

    const SECOND: Duration = Duration::from_secs(1);
    const GROUP: IpAddr = IpAddr::V4(Ipv4Addr::new(239, 77, 71, 1));

    fn track(now: Instant) -> Arc<Track> {
        let description = sdp::mpegts("news", GROUP, 5004, None).tracks.remove(0);
        Track::new(&outward("news"), 1, description, ROOMY, Coalesce::Auto, &by_hand(), now)
    }

    #[test]
    fn what_is_joined_and_stays_unheard_is_told_of_once() {
        let (mut unheard, now) = (Unheard::default(), clock::now());
        let track = track(now);
        let mut look = |seconds| unheard.look(&track, 2 * SECOND, now + seconds * SECOND);
        assert_eq!(look(5), Wait::Over, "it is not joined");
        track.set_joined(0, true);
        assert_eq!(look(6), Wait::Until(now + 8 * SECOND));
        assert_eq!([look(8), look(9), look(99)], [Wait::InVain, Wait::Over, Wait::Over]);
    }

    #[test]
    fn whatever_has_come_is_something() {
        let (mut unheard, now) = (Unheard::default(), clock::now());
        let track = track(now);
        track.set_joined(0, true);
        assert_eq!(unheard.look(&track, SECOND, now), Wait::Until(now + SECOND));
        track.refuse(NotRtp::Version, b"GET / HTTP/1.1", now);
        assert_eq!(
            unheard.look(&track, SECOND, now + SECOND),
            Wait::Over,
            "and the log has a line of its own"
        );
    }

    #[test]
    fn the_only_source_that_is_heard_is_named() {
        let source = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
        let told = advice(GROUP, &Some(source).into(), "eth1");
        assert!(told.contains("joined on eth1") && told.contains("from source 192.0.2.7 alone"), "{told}");
        assert!(!advice(GROUP, &SourceFilter::Any, "eth1").contains("alone"));
    }
}
