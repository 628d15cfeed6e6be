//! What there is to see of the networks that groups are joined on, now and then: by which protocol they are told, and what the
//! kernel drops of what they bring.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::event::{Episode, lock};
use crate::net::{GroupProtocol, KernelDrops, igmp_versions, interface_name};

use super::super::obstacles::no_sources;

/// Between two looks, however often the kernel tells of changes.
const LOOK_EVERY: Duration = Duration::from_millis(900);
/// And though nothing has changed: an old querier is heard without a change.
const LOOK_ANYWAY_EVERY: Duration = Duration::from_secs(10);

/// A network that groups are joined on, and whether any of them is for named sources, or for all but some.
pub(super) type Networks = HashMap<(u32, bool), bool>;

/// Of all networks.
#[derive(Default)]
pub(super) struct NetworkWatch {
    seen: Mutex<Seen>,
    checksums: Episode,
    reverse_path: Episode,
}

#[derive(Default)]
struct Seen {
    at: Option<Instant>,
    has_changed: bool,
    drops: Option<KernelDrops>,
    /// By the interface's name.
    spoken: BTreeMap<(String, &'static str), GroupProtocol>,
    /// Those that are too old for who is joined there, as the log was told.
    told: Vec<(String, GroupProtocol)>,
}

impl NetworkWatch {
    /// Looks, if it is time: soon after something `has_changed`, else now and then. `silent` names a channel that is joined and of
    /// which nothing comes.
    pub fn look(
        &self,
        has_changed: bool,
        networks: impl FnOnce() -> Networks,
        silent: impl FnOnce() -> Option<String>,
        now: Instant,
    ) {
        let mut seen = lock(&self.seen);
        seen.has_changed |= has_changed;
        let rest = if seen.has_changed { LOOK_EVERY } else { LOOK_ANYWAY_EVERY };
        if seen.at.is_some_and(|at| now < at + rest) {
            return;
        }
        seen.has_changed = false;
        seen.at = Some(now);
        seen.hear(&networks());
        let drops = KernelDrops::read();
        let before = seen.drops.replace(drops).unwrap_or(drops);
        drop(seen);
        if drops != before
            && let Some(channel) = silent()
        {
            self.tell(&channel, before, drops, now);
        }
    }

    /// By which protocol each network is told of groups, by the name of its interface.
    pub fn spoken(&self) -> Vec<(String, GroupProtocol)> {
        let seen = lock(&self.seen);
        seen.spoken.iter().map(|((name, _), protocol)| (name.clone(), *protocol)).collect()
    }

    fn tell(&self, channel: &str, before: KernelDrops, now_dropped: KernelDrops, now: Instant) {
        let [checksum, checksum6, reverse_path] = {
            let (before, after) = (before.by_reason(), now_dropped.by_reason());
            [0, 1, 2].map(|at| after[at].1.saturating_sub(before[at].1))
        };
        let bad = checksum + checksum6;
        if bad > 0 && self.checksums.begins(now) {
            tracing::warn!(
                channel,
                dropped = bad,
                "the kernel drops datagrams with a wrong UDP checksum while the source is silent: it, or what is on the way, \
                 computes them wrong; tcpdump -vv tells who"
            );
        }
        if reverse_path > 0 && self.reverse_path.begins(now) {
            tracing::warn!(
                channel,
                dropped = reverse_path,
                "the reverse-path filter drops packets while the source is silent: the way to whoever sends is by another \
                 interface than it sends by; add a route to it, or set sysctl net.ipv4.conf.INTERFACE.rp_filter=2"
            );
        }
    }
}

impl Seen {
    /// Notes what is spoken, and tells of what is too old once, and when it is no more.
    fn hear(&mut self, networks: &Networks) {
        let versions = igmp_versions();
        self.spoken.clear();
        let mut old = Vec::new();
        for ((index, is_ipv4), has_sources) in networks {
            let Some(name) = interface_name(*index) else { continue };
            let protocol =
                if *is_ipv4 { GroupProtocol::igmp(&versions, *index) } else { GroupProtocol::mld(&name) };
            if *has_sources && !protocol.tells_sources() {
                old.push((name.clone(), protocol));
            }
            self.spoken.insert((name, protocol.name()), protocol);
        }
        for (interface, protocol) in old.iter().filter(|old| !self.told.contains(old)) {
            if let Some(told) = no_sources(*protocol, interface) {
                tracing::warn!(interface, "{told}");
            }
        }
        for (interface, _) in self.told.iter().filter(|told| !old.contains(told)) {
            tracing::info!(interface, "the network is told of sources again, or nobody names any there");
        }
        self.told = old;
    }
}
