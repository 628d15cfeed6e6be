//! By which protocol the kernel tells a network of groups: of IPv4 what the querier there speaks, as far as one was heard, of IPv6
//! what this machine is set to.

use std::collections::HashMap;
use std::fmt;
use std::fs;

/// IGMP or MLD, of some version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupProtocol {
    /// Of IPv4: 1 to 3.
    Igmp(u8),
    /// Of IPv6: 1 or 2.
    Mld(u8),
}

impl GroupProtocol {
    /// What is spoken on an interface.
    pub fn of(index: u32, name: &str, is_ipv4: bool) -> Self {
        if is_ipv4 { Self::igmp(&igmp_versions(), index) } else { Self::mld(name) }
    }

    /// The same of IPv4, where that was read before.
    pub fn igmp(versions: &HashMap<u32, u8>, index: u32) -> Self {
        Self::Igmp(versions.get(&index).copied().unwrap_or(3))
    }

    /// The same of IPv6.
    pub fn mld(name: &str) -> Self {
        let is_old = setting(&format!("ipv6/conf/{name}/force_mld_version")) == Some(1);
        Self::Mld(if is_old { 1 } else { 2 })
    }

    /// Its name without the version.
    pub fn name(self) -> &'static str {
        match self {
            Self::Igmp(_) => "IGMP",
            Self::Mld(_) => "MLD",
        }
    }

    /// Its version.
    pub fn version(self) -> u8 {
        let (Self::Igmp(version) | Self::Mld(version)) = self;
        version
    }

    /// Whether a network can be told of sources.
    pub fn tells_sources(self) -> bool {
        matches!(self, Self::Igmp(3..) | Self::Mld(2..))
    }

    /// One that the kernel speaks only where it has heard somebody who does, or is set so.
    pub fn is_older_igmp(self) -> bool {
        matches!(self, Self::Igmp(1 | 2))
    }

    /// The setting of this machine by which it is spoken on an interface, whatever is heard there.
    pub fn forced_by(self, name: &str) -> Option<String> {
        let (family, key) = match self {
            Self::Igmp(_) => ("ipv4", "force_igmp_version"),
            Self::Mld(_) => ("ipv6", "force_mld_version"),
        };
        let forces = |of: &&str| setting(&format!("{family}/conf/{of}/{key}")) == Some(self.version());
        let of = ["all", name].into_iter().find(forces)?;
        Some(format!("net.{family}.conf.{}.{key}", of.replace('.', "/")))
    }
}

impl fmt::Display for GroupProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}v{}", self.name(), self.version())
    }
}

/// By index of the interface, the version of IGMP that is spoken there: 3 unless an older querier was heard, or the machine is set
/// so. Empty where the kernel does not tell.
pub fn igmp_versions() -> HashMap<u32, u8> {
    // `/proc/net` is that of the process, whose network may be another one than the thread's.
    read(&fs::read_to_string("/proc/thread-self/net/igmp").unwrap_or_default())
}

/// How strictly the kernel looks whether it would answer a sender of IPv4 by the interface that a packet came by: 0 not at all, 1
/// strictly, 2 whether it would at all.
pub fn reverse_path_filter(name: &str) -> u8 {
    let of = |name: &str| setting(&format!("ipv4/conf/{name}/rp_filter")).unwrap_or(0);
    of("all").max(of(name))
}

/// A small number among the kernel's settings of the network.
fn setting(place: &str) -> Option<u8> {
    fs::read_to_string(format!("/proc/sys/net/{place}")).ok()?.trim().parse().ok()
}

fn read(igmp: &str) -> HashMap<u32, u8> {
    let interfaces = igmp.lines().filter_map(|line| {
        // Lines of groups are indented.
        let index = line.split(char::is_whitespace).next()?.parse().ok()?;
        let version = line.split_whitespace().last()?.strip_prefix('V')?.parse().ok()?;
        Some((index, version))
    });
    interfaces.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const IGMP: &str = "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n\
        1\tlo        :     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n\
        7\ta-long-name0:     3      V2\n\t\t\t\t0103FFEF     1 0:00000000\t\t1\n";

    #[test]
    fn versions_are_read_by_interface() {
        let versions = read(IGMP);
        assert_eq!(versions, HashMap::from([(1, 3), (7, 2)]));
        let [lo, old, unknown] = [1, 7, 9].map(|index| GroupProtocol::igmp(&versions, index));
        assert_eq!([lo, old, unknown].map(|of| of.to_string()), ["IGMPv3", "IGMPv2", "IGMPv3"]);
        assert_eq!([lo, old].map(|of| of.tells_sources()), [true, false]);
        assert!(read("").is_empty());
    }

    #[test]
    fn an_interface_speaks_what_it_is_set_to() {
        let mld = GroupProtocol::of(1, "lo", false);
        assert!(matches!(mld, GroupProtocol::Mld(1..=2)), "{mld}");
        assert_eq!(GroupProtocol::Igmp(1).forced_by("nowhere7"), None);
        assert!(reverse_path_filter("nowhere7") <= 2);
    }
}
