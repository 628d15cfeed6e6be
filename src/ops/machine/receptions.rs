//! All that a config receives, and where that is on this machine as it is now.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::wire::sap;
use crate::wire::source_filter::SourceFilter;

use super::super::config::Config;
use super::super::names::list;
use super::place::Place;

/// Of many that share a reason so many are named.
const MOST_NAMED: usize = 5;

/// Something that is received: a group, or what is sent to an address of this machine.
#[derive(Debug, Clone)]
pub struct Reception {
    /// For whom, as it is told.
    pub who: String,
    /// The group or address.
    pub group: IpAddr,
    /// The UDP port.
    pub port: u16,
    /// From whom.
    pub filter: SourceFilter,
    /// How often the network is to be told of it.
    pub renew: Option<Duration>,
    /// Where, or why nowhere.
    pub place: Result<Place, String>,
}

/// All of a config, in its order.
pub fn receptions(config: &Config) -> Vec<Reception> {
    let of_channels = config.channels.iter().flat_map(|channel| {
        channel.feeds().map(|(feed, interface)| Reception {
            who: format!("channel \"{}\"", channel.name),
            group: feed.group,
            port: feed.port,
            filter: feed.filter.clone(),
            renew: channel.settings.renew,
            place: Place::of(feed.group, interface),
        })
    });
    let of_announcements = config.sap.iter().flat_map(|sap| {
        sap.groups.iter().map(|group| Reception {
            who: "[sap]".to_owned(),
            group: *group,
            port: sap::PORT,
            filter: SourceFilter::Any,
            renew: None,
            place: Place::of(*group, sap.interface.as_ref()),
        })
    });
    of_channels.chain(of_announcements).collect()
}

/// Some of those for whom something is received, each once.
pub fn whose(receptions: &[&Reception]) -> String {
    let mut names: Vec<_> = receptions.iter().map(|reception| reception.who.as_str()).collect();
    names.dedup();
    list(&names, MOST_NAMED)
}

/// What is told of several is told once, behind whose it is.
pub fn told_once<'r>(told: impl IntoIterator<Item = (&'r Reception, String)>) -> Vec<String> {
    let mut reasons = BTreeMap::<String, Vec<&Reception>>::new();
    for (reception, reason) in told {
        reasons.entry(reason).or_default().push(reception);
    }
    reasons.into_iter().map(|(reason, receptions)| format!("{}: {reason}", whose(&receptions))).collect()
}
