//! Open files and ports: whether so many subscribers fit into one process.

use std::io;

use crate::ops::machine::open_files::raise;

use super::udp_ports::PAIRS;
use super::{Delivery, Plan};

/// What the process has open besides its subscribers.
const OWN_DESCRIPTORS: u64 = 64;

/// Why so many subscribers do not fit.
#[derive(Debug, thiserror::Error)]
pub enum Shortage {
    /// The limit on open files.
    #[error(
        "{subscribers} subscribers over {transport} with {tracks} track(s) each need {needed} open files, and this \
         process may have {allowed}: room for {fitting} subscribers. Raise the hard limit (as root `ulimit -Hn \
         {needed}` before the probe, or LimitNOFILE= in a unit){remedy}"
    )]
    OpenFiles {
        /// Asked for.
        subscribers: u32,
        /// How media comes.
        transport: &'static str,
        /// Tracks of each.
        tracks: usize,
        /// Descriptors needed.
        needed: u64,
        /// Descriptors allowed.
        allowed: u64,
        /// Subscribers that would fit.
        fitting: u64,
        /// What else helps.
        remedy: &'static str,
    },
    /// The number of UDP ports there are.
    #[error(
        "{subscribers} subscribers with {tracks} track(s) each need {needed} UDP port pairs, and there are {PAIRS}: \
         use --tracks first or --transport tcp, or several machines or network namespaces"
    )]
    Ports {
        /// Asked for.
        subscribers: u32,
        /// Tracks of each.
        tracks: usize,
        /// Pairs needed.
        needed: u64,
    },
    /// The limit is not to be had.
    #[error("the limit on open files cannot be read: {0}")]
    Unknown(#[source] io::Error),
}

/// Makes sure that the subscribers of a plan fit, raising the limit on open files as far as it takes.
pub fn make_room(plan: &Plan, tracks: usize) -> Result<(), Shortage> {
    let subscribers = u64::from(plan.subscribers);
    let pairs = subscribers * tracks as u64;
    if plan.delivery == Delivery::Udp && pairs > u64::from(PAIRS) {
        return Err(Shortage::Ports { subscribers: plan.subscribers, tracks, needed: pairs });
    }
    let each = descriptors_each(plan.delivery, tracks);
    let needed = subscribers * each + OWN_DESCRIPTORS;
    let allowed = raise(needed).map_err(Shortage::Unknown)?;
    if needed <= allowed {
        return Ok(());
    }
    Err(Shortage::OpenFiles {
        subscribers: plan.subscribers,
        transport: plan.delivery.name(),
        tracks,
        needed,
        allowed,
        fitting: allowed.saturating_sub(OWN_DESCRIPTORS) / each,
        remedy: match plan.delivery {
            Delivery::Udp if tracks > 1 => ", or use --tracks first or --transport tcp",
            Delivery::Udp => ", or use --transport tcp",
            Delivery::Tcp => "",
        },
    })
}

/// The connection, and over UDP two sockets a track.
fn descriptors_each(delivery: Delivery, tracks: usize) -> u64 {
    match delivery {
        Delivery::Udp => 1 + 2 * tracks as u64,
        Delivery::Tcp => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn plan(subscribers: u32, delivery: Delivery) -> Plan {
        Plan {
            url: "rtsp://edge/news".parse().expect("a URL"),
            subscribers,
            delivery,
            tracks: super::super::Tracks::All,
            duration: Duration::from_secs(1),
            rate: None,
            setup_timeout: Duration::from_secs(1),
            course: super::super::Course::default(),
        }
    }

    #[test]
    fn a_few_always_fit() {
        make_room(&plan(1, Delivery::Udp), 2).expect("room for one");
        make_room(&plan(5, Delivery::Tcp), 32).expect("room for five");
    }

    #[test]
    fn too_many_are_told_what_is_short_and_what_to_do() {
        let error = make_room(&plan(20_000, Delivery::Udp), 2).expect_err("no such ports").to_string();
        assert!(error.contains("40000 UDP port pairs") && error.contains("--tracks first"), "{error}");
        let error = make_room(&plan(u32::MAX, Delivery::Tcp), 1).expect_err("no such limit").to_string();
        assert!(error.contains("open files") && error.contains("ulimit -Hn"), "{error}");
    }
}
