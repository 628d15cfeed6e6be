//! What a config would do with one channel, or with those of a directory.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::ingest::Redundancy;
use crate::ingest::pull::Transport;
use crate::relay::Coalesce;
use crate::serve::{Rule, Who};
use crate::wire::failover;
use crate::wire::sdp::{Feed, Framing, TrackDescription};
use crate::wire::source_filter::SourceFilter;

use crate::ops::config::{ChannelConfig, ChannelSettings, DirectoryConfig, Interface, MulticastOut, Origin};
use crate::ops::machine::place::Place;
use crate::storage::FileSource;

use super::words::{from_where, named};

/// A channel.
pub fn write_channel(f: &mut fmt::Formatter<'_>, channel: &ChannelConfig) -> fmt::Result {
    writeln!(f, "  /{}", channel.name)?;
    write_settings(f, &received(channel), &channel.settings)?;
    if let Some(MulticastOut { group, ttl, interface, is_announced }) = &channel.multicast_out {
        let by = named(interface.as_ref());
        let to = if *is_announced { "all the time, and announced" } else { "for those who ask" };
        writeln!(f, "    by multicast to {group} and the ports behind it, TTL {ttl}, on {by}, {to}")?;
    }
    if channel.presentation.tracks.iter().any(|track| track.feeds.len() > 1) {
        write_redundancy(f, channel.settings.redundancy)?;
    }
    for track in &channel.presentation.tracks {
        for (feed, leg) in track.feeds.iter().zip(0..) {
            write_feed(f, &channel.settings, track, feed, leg)?;
        }
    }
    Ok(())
}

/// From where it comes.
fn received(channel: &ChannelConfig) -> String {
    let input = &channel.input;
    let pull = match &channel.origin {
        Origin::Groups => return format!("of {input}, on {}", places_now(channel)),
        Origin::Files(FileSource { goes_round: true, .. }) => {
            return format!("shown from {input}, over and over");
        }
        Origin::Files(_) => return format!("shown from {input}, once"),
        Origin::Server(pull) => pull,
    };
    let by = if pull.transport == Transport::Tcp { "TCP" } else { "UDP" };
    let whom = pull.login.as_ref().map_or_else(String::new, |login| format!(" as {}", login.user));
    format!("pulled from {input} over {by}{whom}")
}

/// The channels of a directory.
pub fn write_directory(f: &mut fmt::Formatter<'_>, directory: &DirectoryConfig) -> fmt::Result {
    let prefix = directory.prefix.as_ref().map(|prefix| format!("{prefix}/")).unwrap_or_default();
    writeln!(f, "  /{prefix}...")?;
    let received =
        format!("of each .sdp in {}, on {}", directory.path.display(), places_of(&directory.settings));
    write_settings(f, &received, &directory.settings)
}

fn write_settings(f: &mut fmt::Formatter<'_>, received: &str, settings: &ChannelSettings) -> fmt::Result {
    let ChannelSettings { on_demand, renew, silent_after, coalesce, marks, rule, sessions, .. } = settings;
    writeln!(f, "    {received}, silent after {silent_after:?}")?;
    if let Some(linger) = on_demand {
        writeln!(f, "    joined while somebody watches, and {linger:?} longer")?;
    }
    if let Some(every) = renew {
        writeln!(f, "    the network is told of its groups each {every:?}")?;
    }
    if let Coalesce::Fixed(rest) = coalesce {
        writeln!(f, "    packets wait {rest:?} to be sent together")?;
    }
    let said: Vec<_> = [("DSCP", marks.dscp), ("TTL", marks.ttl)]
        .iter()
        .filter_map(|(what, value)| value.map(|value| format!("{what} {value}")))
        .collect();
    if !said.is_empty() {
        writeln!(f, "    packets say {}", said.join(" and "))?;
    }
    write_rule(f, rule)?;
    match sessions {
        Some(sessions) => writeln!(f, "    up to {sessions} sessions"),
        None => Ok(()),
    }
}

fn places_of(settings: &ChannelSettings) -> String {
    let legs = 0..settings.interfaces.len().max(1);
    let mut places: Vec<_> = legs.map(|leg| named(settings.interface_of(leg))).collect();
    places.dedup();
    places.join(" and ")
}

/// The same with the interfaces that they are on this machine as it is now.
fn places_now(channel: &ChannelConfig) -> String {
    let mut places: Vec<_> =
        channel.feeds().map(|(feed, interface)| place_now(feed.group, interface)).collect();
    places.dedup();
    if places.is_empty() { places_of(&channel.settings) } else { places.join(" and ") }
}

fn place_now(group: IpAddr, interface: Option<&Interface>) -> String {
    match (Place::of(group, interface), interface) {
        (Ok(place), None) if place.is_by_route => format!("{}, by route", place.name),
        (Ok(place), Some(Interface::Address(address))) => format!("{}, which has {address}", place.name),
        (_, interface) => named(interface),
    }
}

fn write_redundancy(f: &mut fmt::Formatter<'_>, redundancy: Redundancy) -> fmt::Result {
    match redundancy {
        Redundancy::Merge { skew } => {
            writeln!(f, "    legs are merged: what one has lost another brings, up to {skew:?} later")
        }
        Redundancy::Failover(failover::Rules { failover_after, failover_loss, return_after }) => writeln!(
            f,
            "    the first leg is followed, another after {failover_after:?} of silence or {failover_loss} % of loss, the \
             first again after {return_after:?}"
        ),
    }
}

fn write_feed(
    f: &mut fmt::Formatter<'_>,
    settings: &ChannelSettings,
    track: &TrackDescription,
    feed: &Feed,
    leg: usize,
) -> fmt::Result {
    let what = if feed.group.is_multicast() { "group" } else { "address" };
    write!(f, "    {}", track.media)?;
    if track.feeds.len() > 1 {
        let on = settings.interface_of(leg).map_or_else(String::new, |on| format!(" on {on}"));
        write!(f, ", leg {}{on},", leg + 1)?;
    }
    write!(f, " from {what} {}", SocketAddr::new(feed.group, feed.port))?;
    if feed.filter != SourceFilter::Any {
        write!(f, ", {}", feed.filter)?;
    }
    writeln!(f, "{}{}", framing(track.framing), rtcp(feed))
}

fn framing(framing: Framing) -> &'static str {
    match framing {
        Framing::Rtp => "",
        Framing::Bare => ", bare MPEG-TS",
        Framing::Either => ", in RTP or bare MPEG-TS",
    }
}

fn rtcp(feed: &Feed) -> String {
    match (feed.rtcp_port, feed.rtcp_group) {
        (Some(port), Some(group)) => format!(", RTCP from group {}", SocketAddr::new(group, port)),
        (Some(port), None) => format!(", RTCP on port {port}"),
        (None, _) => String::new(),
    }
}

fn write_rule(f: &mut fmt::Formatter<'_>, rule: &Rule) -> fmt::Result {
    if *rule == Rule::default() {
        return Ok(());
    }
    let who = match &rule.who {
        Who::Users => "as others".to_owned(),
        Who::Only(names) => format!("for {}", names.join(", ")),
        Who::Everybody => "for everybody".to_owned(),
    };
    writeln!(f, "    {who}{}", from_where(&rule.networks))
}
