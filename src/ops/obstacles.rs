//! What on this machine is in the way of what a config wants to receive. On another one than it is for, nothing that is wrong is said:
//! an interface that is not there has no obstacles.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::IpAddr;

use crate::ingest::{GROUPS_PER_SOCKET, no_renewals};
use crate::wire::sdp::Feed;
use crate::wire::source_filter::SourceFilter;

use super::config::{ChannelConfig, ChannelSettings, Config};
use super::place::Place;

/// Each with its remedy.
pub fn obstacles(config: &Config) -> Vec<String> {
    let limit = fs::read_to_string("/proc/sys/net/ipv4/igmp_max_memberships").ok();
    let limit = limit.and_then(|text| text.trim().parse().ok());
    let of_groups = limit.and_then(|limit| few_memberships(&config.channels, limit));
    config.channels.iter().flat_map(of_channel).chain(of_groups).collect()
}

/// Of those that name from whom they take what comes, or want networks to be told again.
fn of_channel(channel: &ChannelConfig) -> BTreeSet<String> {
    let ChannelSettings { renew, .. } = &channel.settings;
    let is_concerned = |feed: &Feed| feed.filter != SourceFilter::Any || renew.is_some();
    let concerned = channel.feeds().filter(|(feed, _)| is_concerned(feed));
    let found = concerned.filter_map(|(feed, interface)| {
        let place = Place::of(feed.group, interface).ok()?;
        let protocol = place.protocol(feed.group).filter(|_| renew.is_some());
        let renewals = protocol.and_then(|protocol| no_renewals(protocol, &place.name));
        Some(place.in_the_way(feed.group, &feed.filter).into_iter().chain(renewals))
    });
    found.flatten().map(|told| format!("channel \"{}\": {told}", channel.name)).collect()
}

/// Whether the groups of a port take more sockets than they would.
fn few_memberships(channels: &[ChannelConfig], limit: usize) -> Option<String> {
    let mut ports = BTreeMap::<u16, BTreeSet<IpAddr>>::new();
    for (feed, _) in channels.iter().flat_map(ChannelConfig::feeds) {
        if feed.group.is_multicast() && feed.group.is_ipv4() {
            ports.entry(feed.port).or_default().insert(feed.group);
        }
    }
    let (port, groups) = ports.into_iter().max_by_key(|(_, groups)| groups.len())?;
    let (groups, enough) = (groups.len(), GROUPS_PER_SOCKET);
    (limit < enough && groups > limit).then(|| {
        format!(
            "{groups} groups of port {port} take a socket for each {limit} of them, and not for each {enough}; set sysctl \
             net.ipv4.igmp_max_memberships=1024"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn config(count: usize) -> Config {
        let channel =
            |number| format!("[[channel]]\nname = \"n{number}\"\nsource = \"rtp://239.9.9.{number}:5004\"\n");
        let text: String = (1..=count).map(channel).collect();
        Config::parse(&text, Path::new("a.toml")).expect("it works")
    }

    #[test]
    fn a_low_limit_of_memberships_is_told_where_it_is_met() {
        let told = |count, limit| few_memberships(&config(count).channels, limit);
        assert_eq!([told(20, 20), told(100, 1024), told(0, 20)], [const { None }; 3]);
        let remedy = told(21, 20).expect("it is met");
        assert!(remedy.starts_with("21 groups of port 5004 take a socket for each 20 of them"), "{remedy}");
    }

    #[test]
    fn of_an_interface_that_is_not_there_nothing_is_said() {
        let text = "[[channel]]\nname = \"news\"\nsource = \"rtp://10.0.0.7@232.9.9.1:5004\"\ninterface = \"nowhere7\"\n";
        let config = Config::parse(text, Path::new("a.toml")).expect("it works");
        assert_eq!(of_channel(&config.channels[0]), BTreeSet::new());
    }
}
