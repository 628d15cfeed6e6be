//! The groups that channels are sent to: which can be, and that no stream comes back in.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use super::report::Report;
use super::scalar;
use super::truth::Config;
use super::truth_channel::MulticastOut;
use super::typed::TypedConfig;
use super::typed_channel::TypedChannel;
use super::within::{octet_within, parsed};
use crate::wire::sdp::is_source_specific;

/// As far as a packet goes that nobody meant to go further: to hosts of this link.
const TTL: u8 = 1;
/// Below it are the ports of services that every host knows (RFC 6335).
const FIRST_PORT: u16 = 1024;
const REMEDY: &str = "write a group such as \"239.2.2.2:5000\"";

/// Where a channel of so many tracks is sent, if it is.
pub(super) fn out_group(
    typed: &TypedChannel,
    tracks: usize,
    announces_all: bool,
    report: &mut Report<'_>,
) -> Option<MulticastOut> {
    let named = |key: &str| format!("{} {key}", typed.place);
    let ttl = octet_within(&typed.multicast_out_ttl, &named("multicast_out_ttl"), 1..=255, report);
    let of_interface = &typed.multicast_out_interface;
    let interface = parsed(of_interface, &named("multicast_out_interface"), scalar::interface, report);
    if typed.multicast_out.is_none() {
        let offsets = [
            ("multicast_out_ttl", typed.multicast_out_ttl.as_ref().map(|key| key.span().start)),
            ("multicast_out_interface", of_interface.as_ref().map(|key| key.span().start)),
            ("announce", typed.announce.as_ref().map(|key| key.span().start)),
        ];
        for (key, offset) in offsets {
            if let Some(offset) = offset {
                let wrong = format!("{}: without multicast_out it does nothing; leave it out", named(key));
                report.add(offset, wrong);
            }
        }
    }
    let read = |text: &str| group(text, tracks);
    let group = parsed(&typed.multicast_out, &named("multicast_out"), read, report)?;
    let is_announced = typed.announce.as_ref().map_or(announces_all, |announce| *announce.get_ref());
    Some(MulticastOut { group, ttl: ttl.unwrap_or(TTL), interface, is_announced })
}

/// A group and a port that so many tracks can be sent to.
fn group(text: &str, tracks: usize) -> Result<SocketAddr, String> {
    let group: SocketAddr =
        text.parse().map_err(|_| format!("{text:?} is not an address and port; {REMEDY}"))?;
    let wrong = |what: &str| Err(format!("{text:?}: {what}; {REMEDY}"));
    let port = group.port();
    match group.ip() {
        ip if !ip.is_multicast() => wrong("it is no multicast group"),
        IpAddr::V4(v4) if v4.octets()[..3] == [224, 0, 0] => {
            wrong("it is of the block for the network's own protocols (RFC 5771)")
        }
        IpAddr::V6(v6) if v6.segments()[0] & 0xf < 2 => wrong("it reaches nobody else (RFC 4291)"),
        ip if is_source_specific(ip) => wrong("it is for a source that receivers have to name (RFC 4607)"),
        _ if port < FIRST_PORT || !port.is_multiple_of(2) => {
            wrong("RTP is sent to an even port from 1024 on, and RTCP to the next one")
        }
        _ if usize::from(port) + 2 * tracks > 1 << 16 => {
            wrong(&format!("there are no ports for {tracks} tracks from there on"))
        }
        _ => Ok(group),
    }
}

/// What is sent to a group comes back to whoever joined it: also here.
pub(super) fn check(typed: &TypedConfig, config: &Config, report: &mut Report<'_>) {
    let mut sources = HashMap::new();
    for channel in &config.channels {
        for feed in channel.presentation.tracks.iter().flat_map(|track| &track.feeds) {
            sources.entry(feed.group).or_insert(&channel.name);
        }
    }
    let outs: HashMap<_, _> =
        config.channels.iter().filter_map(|of| Some((&of.name, of.multicast_out.as_ref()?.group))).collect();
    let mut taken = HashMap::new();
    for typed in &typed.channels {
        let (Some(name), Some(key)) = (&typed.name, &typed.multicast_out) else { continue };
        let Some(group) = outs.get(name.get_ref()) else { continue };
        let (place, ip) = (&typed.place, group.ip());
        if let Some(of) = sources.get(&ip) {
            let wrong = format!(
                "{place} multicast_out: {ip} is where channel {of:?} comes from, so that it would come back in (a loop); \
                 write another group"
            );
            report.add(key.span().start, wrong);
        } else if let Some(first) = taken.insert(ip, place) {
            let wrong = format!(
                "{place} multicast_out: {ip} is {first}'s already, and who joins it would get both; write another group"
            );
            report.add(key.span().start, wrong);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sdp::ports_of;

    #[test]
    fn what_nothing_can_or_should_be_sent_to_is_refused() {
        for (text, says) in [
            ("239.2.2.2", "not an address and port"),
            ("10.0.0.1:5000", "no multicast group"),
            ("[2001:db8::1]:5000", "no multicast group"),
            ("224.0.0.9:5000", "RFC 5771"),
            ("232.2.2.2:5000", "RFC 4607"),
            ("[ff3e::1]:5000", "RFC 4607"),
            ("[ff11::1]:5000", "RFC 4291"),
            ("239.2.2.2:5001", "even port"),
            ("239.2.2.2:80", "from 1024 on"),
        ] {
            let told = group(text, 1).expect_err(text);
            assert!(told.contains(says) && told.contains(REMEDY), "{told}");
        }
        assert!(group("239.2.2.2:65534", 1).is_ok());
        assert!(group("239.2.2.2:65534", 2).expect_err("too high").contains("2 tracks"));
        assert!(group("[ff15::2:2]:5000", 32).is_ok());
        assert_eq!(ports_of(5000, 2), (5002, 5003), "as they are counted");
    }
}
