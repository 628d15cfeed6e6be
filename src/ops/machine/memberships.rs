//! How many groups, and how many senders of one, a socket may join: what is beyond takes more sockets.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::ingest::GROUPS_PER_SOCKET;

use super::finding::{Area, Finding, State};
use super::receptions::Reception;
use super::settings::setting;

const GROUPS: &str = "net.ipv4.igmp_max_memberships";
const SENDERS: [&str; 2] = ["net.ipv4.igmp_max_msf", "net.ipv6.mld_max_msf"];

/// A finding for each limit.
pub fn look(receptions: &[Reception]) -> Vec<Finding> {
    let of_groups = of_groups(receptions, setting(GROUPS));
    let is_used = |name: &&&str| receptions.iter().any(|reception| is_of(name, reception));
    let of_senders = SENDERS.iter().filter(is_used).map(|name| of_senders(name, receptions, setting(name)));
    std::iter::once(of_groups).chain(of_senders).collect()
}

fn found(name: &str, limit: Option<usize>, beyond: impl FnOnce(usize) -> Option<String>) -> Finding {
    let Some(limit) = limit else {
        return Finding::new(Area::Memberships, name, State::Note, "can not be seen here");
    };
    match beyond(limit) {
        Some(beyond) => Finding::new(Area::Memberships, name, State::Note, &beyond),
        None => Finding::new(Area::Memberships, name, State::Ok, &format!("{limit}, enough for this config")),
    }
}

/// Whether the groups of a port take more sockets than they would.
fn of_groups(receptions: &[Reception], limit: Option<usize>) -> Finding {
    let mut ports = BTreeMap::<u16, BTreeSet<IpAddr>>::new();
    for Reception { group, port, .. } in receptions {
        if group.is_multicast() && group.is_ipv4() {
            ports.entry(*port).or_default().insert(*group);
        }
    }
    let most = ports.into_iter().max_by_key(|(_, groups)| groups.len());
    let (port, groups) = most.map_or((0, 0), |(port, groups)| (port, groups.len()));
    found(GROUPS, limit, |limit| {
        let enough = GROUPS_PER_SOCKET;
        (limit < enough && groups > limit).then(|| {
            format!(
                "{groups} groups of port {port} take a socket for each {limit} of them, and not for each {enough}; set sysctl \
                 {GROUPS}=1024"
            )
        })
    })
}

/// Whether the named senders of a group do.
fn of_senders(name: &str, receptions: &[Reception], limit: Option<usize>) -> Finding {
    let count = |reception: &&Reception| reception.filter.named().len() + reception.filter.excluded().len();
    let most = receptions.iter().filter(|reception| is_of(name, reception)).max_by_key(count);
    found(name, limit, |limit| {
        let most = most.filter(|most| count(most) > limit)?;
        let (who, group, senders) = (&most.who, most.group, count(&most));
        Some(match most.filter.excluded() {
            [] => format!(
                "{who}: {senders} senders of {group} take a socket for each {limit} of them; set sysctl {name}={senders}"
            ),
            _ => format!(
                "{who}: of {senders} senders of {group} that are not wanted the kernel keeps {limit} away, and the rest is sorted \
                 out here; set sysctl {name}={senders}"
            ),
        })
    })
}

/// Whether this limit counts for it.
fn is_of(name: &str, reception: &Reception) -> bool {
    reception.group.is_multicast() && reception.group.is_ipv4() == name.contains("ipv4")
}

#[cfg(test)]
mod tests {
    use super::super::super::config::Config;
    use super::super::receptions::receptions;
    use super::*;
    use std::path::Path;

    fn groups(count: usize) -> Vec<Reception> {
        let channel =
            |number| format!("[[channel]]\nname = \"n{number}\"\nsource = \"rtp://239.9.9.{number}:5004\"\n");
        of_text(&(1..=count).map(channel).collect::<String>())
    }

    fn of_text(text: &str) -> Vec<Reception> {
        receptions(&Config::parse(text, Path::new("a.toml")).expect("it works"))
    }

    #[test]
    fn a_low_limit_of_memberships_is_told_where_it_is_met() {
        let told = |count, limit| of_groups(&groups(count), limit);
        for (count, limit) in [(20, 20), (100, 1024), (0, 20)] {
            assert_eq!(told(count, Some(limit)).state, State::Ok);
        }
        let met = told(21, Some(20));
        assert_eq!(met.state, State::Note);
        assert!(met.found.starts_with("21 groups of port 5004 take a socket for each 20 of them"), "{met:?}");
        assert_eq!(met.remedy.as_deref(), Some("set sysctl net.ipv4.igmp_max_memberships=1024"));
        assert_eq!(told(1, None).found, "can not be seen here");
    }

    #[test]
    fn a_low_limit_of_named_senders_is_told_of_either_family() {
        let hosts = |of: &str| (1..=12).map(|last| format!("{of}{last}")).collect::<Vec<_>>().join(",");
        let of_v4 = of_text(&format!(
            "[[channel]]\nname = \"news\"\nsource = \"rtp://{}@232.9.9.1:5004\"\n",
            hosts("10.0.0.")
        ));
        let [of_v4_limit, of_v6_limit] = SENDERS;
        let told = of_senders(of_v4_limit, &of_v4, Some(10));
        assert!(
            told.found.starts_with("channel \"news\": 12 senders of 232.9.9.1 take a socket"),
            "{told:?}"
        );
        assert_eq!(told.remedy.as_deref(), Some("set sysctl net.ipv4.igmp_max_msf=12"));
        assert_eq!(of_senders(of_v4_limit, &of_v4, Some(12)).state, State::Ok);
        assert!(!of_v4.iter().any(|reception| is_of(of_v6_limit, reception)));
    }
}
