//! By which protocol the kernel tells a network of groups: of IPv4 what the querier there speaks, as far as one was heard, of IPv6
//! what this machine is set to.

use std::collections::HashMap;
use std::fs;

/// By index of the interface, the version of IGMP that is spoken there: 3 unless an older querier was heard, or the machine is set
/// so. Empty where the kernel does not tell.
pub fn igmp_versions() -> HashMap<u32, u8> {
    // `/proc/net` is that of the process, whose network may be another one than the thread's.
    read(&fs::read_to_string("/proc/thread-self/net/igmp").unwrap_or_default())
}

/// Whether this machine is set to speak a version of IGMP on an interface, whatever is heard there.
pub fn forces_igmp(name: &str, version: u8) -> bool {
    let setting = |of: &str| setting(&format!("ipv4/conf/{of}/force_igmp_version"));
    [setting("all"), setting(name)].contains(&Some(version))
}

/// The version of MLD that this machine is set to on an interface.
pub fn mld_version(name: &str) -> u8 {
    if setting(&format!("ipv6/conf/{name}/force_mld_version")) == Some(1) { 1 } else { 2 }
}

/// A small number among the kernel's settings of the network.
pub(super) fn setting(place: &str) -> Option<u8> {
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
    use crate::net::interface_index;

    const IGMP: &str = "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n\
        1\tlo        :     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n\
        7\ta-long-name0:     3      V2\n\t\t\t\t0103FFEF     1 0:00000000\t\t1\n";

    #[test]
    fn versions_are_read_by_interface() {
        assert_eq!(read(IGMP), HashMap::from([(1, 3), (7, 2)]));
        assert!(read("").is_empty());
    }

    #[test]
    fn loopback_speaks_what_it_is_set_to() {
        let lo = interface_index("lo").expect("loopback");
        assert!(igmp_versions().get(&lo).is_none_or(|version| (1..=3).contains(version)));
        assert!(!forces_igmp("lo", 1));
        assert!((1..=2).contains(&mld_version("lo")));
    }
}
