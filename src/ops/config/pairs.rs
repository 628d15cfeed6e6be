//! What keys make of each other: each is right by itself, and one would make the other useless. An error where it
//! can not work, a note where it works but worse.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use toml::Spanned;

use super::report::Report;
use super::scalar;
use super::section::Number;
use super::section::Typed;
use super::truth::{Config, RingConfig, UdpPorts};
use super::typed::{TypedConfig, TypedLimits};
use super::typed_channel::TypedChannel;
use crate::relay::{Carriage, Coalesce};

/// The longest rest of `coalesce = "auto"`: that of connections.
const LONGEST_AUTO: Duration = Duration::from_millis(20);
/// A track that a ring should hold for as long as its packets wait: ultra-high definition takes as much.
const FAST_BITS_PER_SECOND: f64 = 40e6;

/// Looks at all pairs of keys of which neither was wrong.
pub(super) fn check(typed: &TypedConfig, config: &Config, report: &mut Report<'_>) {
    if !typed.rtsp.spoiled && !typed.http.spoiled && !typed.admin.spoiled {
        check_listeners(typed, config, report);
    }
    if !typed.rtsp.spoiled {
        check_udp_ports(typed, config, report);
    }
    if !typed.limits.spoiled {
        check_limits(&typed.limits, config, report);
        check_line(&typed.limits, config, report);
        check_redirect(typed, report);
    }
    if !typed.ring.spoiled {
        let of_ring = typed.ring.max_bytes.as_ref().map(|number| number.span().start);
        if let Some(of_ring) = of_ring {
            check_starts(of_ring, &config.ring, report);
        }
        if config.channels.iter().any(|channel| channel.settings.coalesce == Coalesce::Auto) {
            let of_ring = of_ring.unwrap_or_default();
            check_bytes("coalesce = \"auto\"", of_ring, LONGEST_AUTO, &config.ring, report);
        }
    }
    let by_name: HashMap<_, _> = config.channels.iter().map(|channel| (&channel.name, channel)).collect();
    for typed_channel in &typed.channels {
        let name = typed_channel.name.as_ref().map(Spanned::get_ref);
        let Some(channel) = name.and_then(|name| by_name.get(name)) else { continue };
        let goes_to_groups = config.rtsp.transports.contains(&Carriage::Multicast);
        let is_announced = channel.multicast_out.as_ref().is_some_and(|out| out.is_announced);
        let is_useless = !goes_to_groups && !is_announced;
        if let Some(group) = typed_channel.multicast_out.as_ref().filter(|_| is_useless) {
            let place = &typed_channel.place;
            let useless = format!(
                "{place}: multicast_out is of no use, since [rtsp] transports lacks \"multicast\"; add it there"
            );
            report.warn(group.span().start, useless);
        }
        if !typed.ring.spoiled {
            check_rest(typed_channel, channel.settings.coalesce, &config.ring, report);
        }
        if !typed.limits.spoiled {
            check_sessions(typed_channel, config, report);
        }
        let longest = config.rtsp.longest_silence;
        if let Some(silent_after) =
            typed_channel.silent_after.as_ref().filter(|_| channel.settings.silent_after > longest)
        {
            let wrong = format!(
                "{}: silent_after is above [rtsp] longest_silence ({longest:?}): viewers have gone before the channel \
                 counts as silent; write less",
                typed_channel.place
            );
            report.warn(silent_after.span().start, wrong);
        }
    }
}

/// Somebody who listens, and where that is written.
struct Listener {
    address: SocketAddr,
    key: &'static str,
    /// `None`: nowhere, it is the default.
    offset: Option<usize>,
    /// Whether an IPv6 listener takes IPv4 too.
    both_families: bool,
}

fn check_listeners(typed: &TypedConfig, config: &Config, report: &mut Report<'_>) {
    let (both_families, rtsp) = (false, &typed.rtsp);
    let mut all: Vec<Listener> = Vec::new();
    if rtsp.listen.is_none() {
        let (listen, key) = (config.rtsp.listen.iter(), "[rtsp] listen");
        all.extend(listen.map(|address| Listener { address: *address, key, offset: None, both_families }));
    }
    let lists = [
        ("[rtsp] listen", &rtsp.listen),
        ("[rtsp] tls_listen", &rtsp.tls_listen),
        ("[rtsp] http_listen", &rtsp.http_listen),
        ("[http] listen", &typed.http.listen),
        ("[http] tls_listen", &typed.http.tls_listen),
    ];
    for (key, list) in lists {
        let right = |text: &Spanned<String>| {
            let address = scalar::listen_address(text.get_ref()).ok()?;
            Some(Listener { address, key, offset: Some(text.span().start), both_families })
        };
        all.extend(list.iter().flat_map(|list| list.get_ref()).filter_map(right));
    }
    let offset = typed.admin.listen.as_ref().map(|text| text.span().start);
    all.push(Listener { address: config.admin.listen, key: "[admin] listen", offset, both_families: true });
    for (index, later) in all.iter().enumerate() {
        let first = all[..index].iter().find(|first| collide(first, later));
        // One that is there twice was told already.
        let Some(first) = first.filter(|first| first.key != later.key || first.address != later.address)
        else {
            continue;
        };
        let (told, other) = if later.offset.is_some() { (later, first) } else { (first, later) };
        let place = |of: &Listener| {
            of.offset.map_or("by default".into(), |at| format!("in line {}", report.line(at)))
        };
        let all_addresses = |of: &Listener| of.address.ip().is_unspecified().then_some(of.address.ip());
        let meaning = all_addresses(told).or_else(|| all_addresses(other));
        let meaning = meaning.map_or(String::new(), |ip| format!(" ({ip} is every address)"));
        let wrong = format!(
            "{}: the port of {} is taken by {} of {} {}{meaning}; write another port",
            told.key,
            told.address,
            other.address,
            other.key,
            place(other)
        );
        report.add(told.offset.unwrap_or(0), wrong);
    }
}

/// Whether the kernel refuses the second of two listeners.
fn collide(first: &Listener, second: &Listener) -> bool {
    if first.address.port() != second.address.port() || first.address.port() == 0 {
        return false;
    }
    let is_all = |listener: &Listener| listener.address.ip().is_unspecified();
    let takes_both =
        |listener: &Listener| listener.both_families && listener.address.is_ipv6() && is_all(listener);
    match first.address.is_ipv4() == second.address.is_ipv4() {
        true => are_one_address(first.address, second.address) || is_all(first) || is_all(second),
        false => takes_both(first) || takes_both(second),
    }
}

/// A link-local address is one on each link.
fn are_one_address(first: SocketAddr, second: SocketAddr) -> bool {
    let link = |address: SocketAddr| match address {
        SocketAddr::V6(address) if address.ip().is_unicast_link_local() => Some(address.scope_id()),
        _ => None,
    };
    first.ip() == second.ip() && link(first) == link(second)
}

/// A pair of ports of which one is a channel's is whoever's opens it first: no viewer's, or the channel is deaf.
fn check_udp_ports(typed: &TypedConfig, config: &Config, report: &mut Report<'_>) {
    let UdpPorts::Range { first, last } = config.rtsp.udp_ports else { return };
    let key = typed.rtsp.udp_ports.as_ref().map(|text| text.span().start);
    let place = key.map_or("by default".to_owned(), |at| format!("in line {}", report.line(at)));
    let serves = |group: IpAddr| config.rtsp.listen.iter().any(|listen| listen.is_ipv4() == group.is_ipv4());
    let by_name: HashMap<_, _> =
        typed.channels.iter().filter_map(|of| Some((of.name.as_ref()?.get_ref(), of))).collect();
    let mut taken = BTreeSet::new();
    for channel in &config.channels {
        let feeds = channel.presentation.tracks.iter().flat_map(|track| &track.feeds);
        let feeds = feeds.filter(|feed| serves(feed.group));
        let ports: BTreeSet<u16> =
            feeds.flat_map(|feed| [Some(feed.port), feed.rtcp_port]).flatten().collect();
        let Some(port) = ports.range(first..=last).next() else { continue };
        taken.extend(ports.range(first..=last).map(|port| port & !1));
        let of = by_name.get(&channel.name);
        let (place_of, offset) = of.map_or(("", 0), |of| (of.place.as_str(), of.input_offset()));
        report.warn(
            offset,
            format!(
                "{place_of}: UDP port {port} is one of [rtsp] udp_ports ({first}-{last}, {place}) too: media leaves \
                 from another pair, or the channel is not received; write udp_ports without it"
            ),
        );
    }
    if taken.len() == config.rtsp.udp_ports.rtp_ports().count() {
        let wrong =
            format!("[rtsp] udp_ports: all of {first}-{last} are ports of channels; write a range of others");
        let first_channel = || typed.channels.first().map_or(0, TypedChannel::input_offset);
        report.add(key.unwrap_or_else(first_channel), wrong);
    }
}

/// What is joined always takes its part of the line for good.
fn check_line(typed: &TypedLimits, config: &Config, report: &mut Report<'_>) {
    let (Some(key), Some(most)) = (&typed.line_groups, config.limits.line_groups) else { return };
    let always = config.channels.iter().filter(|channel| channel.settings.on_demand.is_none());
    let feeds = always.flat_map(|channel| &channel.presentation.tracks).flat_map(|track| &track.feeds);
    let groups: BTreeSet<_> = feeds.map(|feed| feed.group).filter(IpAddr::is_multicast).collect();
    if groups.len() > most {
        let wrong = format!(
            "[limits] line_groups: {} groups are joined always, and the line has {most}; write join = \"on-demand\" to \
             those that are not to be",
            groups.len()
        );
        report.add(key.span().start, wrong);
    }
}

/// A limit of an address, or of a channel, that is above that of all does nothing.
fn check_limits(typed: &TypedLimits, config: &Config, report: &mut Report<'_>) {
    let limits = &config.limits;
    let mut compare = |part: &Typed<Number>, (name, value): (&str, usize), (of, all): (&str, usize)| {
        if let Some(part) = part.as_ref().filter(|_| value > all) {
            let wrong =
                format!("[limits] {name}: {value} is above {of} ({all}), so it limits nothing; write less");
            report.warn(part.span().start, wrong);
        }
    };
    let connections = ("connections", limits.connections);
    let of_address = ("connections_per_address", limits.connections_per_address);
    compare(&typed.connections_per_address, of_address, connections);
    let sessions = ("sessions", limits.sessions);
    compare(&typed.sessions_per_address, ("sessions_per_address", limits.sessions_per_address), sessions);
    compare(&typed.sessions_per_channel, ("sessions_per_channel", limits.sessions_per_channel), sessions);
    let of_address = ("egress_mbit_per_address", limits.egress_mbit_per_address);
    compare(&typed.egress_mbit_per_address, of_address, ("egress_mbit", limits.egress_mbit));
}

/// Clients through TLS are sent nowhere where there are none.
fn check_redirect(typed: &TypedConfig, report: &mut Report<'_>) {
    if let Some(url) = typed.limits.redirect_tls.as_ref().filter(|_| typed.rtsp.tls_listen.is_none()) {
        let wrong =
            "[limits] redirect_tls: nobody comes through TLS, as there is no [rtsp] tls_listen; leave it out";
        report.warn(url.span().start, wrong.to_owned());
    }
}

/// So does that of a channel.
fn check_sessions(typed: &TypedChannel, config: &Config, report: &mut Report<'_>) {
    let all = config.limits.sessions;
    let above = |number: &&Spanned<Number>| number.get_ref().value.is_some_and(|value| value > all as i64);
    if let Some(number) = typed.sessions.as_ref().filter(above) {
        let (place, value) = (&typed.place, &number.get_ref().typed);
        let wrong = format!(
            "{place}: sessions: {value} is above [limits] sessions ({all}), so it limits nothing; write less"
        );
        report.warn(number.span().start, wrong);
    }
}

/// Packets that wait to be sent together wait in the ring, which lets them go by age and bytes.
fn check_rest(channel: &TypedChannel, coalesce: Coalesce, ring: &RingConfig, report: &mut Report<'_>) {
    let (Coalesce::Fixed(rest), Some(typed)) = (coalesce, &channel.coalesce) else { return };
    let (place, offset, age) = (&channel.place, typed.span().start, ring.max_age);
    if rest >= age {
        let wrong = format!(
            "{place}: packets that wait {rest:?} are lost, as [ring] max_age lets them go after {age:?}; write a \
             shorter coalesce, or a longer max_age"
        );
        return report.add(offset, wrong);
    }
    if rest * 2 > age {
        let wrong = format!(
            "{place}: coalesce is more than half of [ring] max_age ({age:?}), so that any delay loses packets; write a \
             shorter coalesce, or a longer max_age"
        );
        report.warn(offset, wrong);
    }
    check_bytes(place, offset, rest, ring, report);
}

fn check_bytes(place: &str, offset: usize, rest: Duration, ring: &RingConfig, report: &mut Report<'_>) {
    let held = bits_per_second(ring, rest);
    if held < FAST_BITS_PER_SECOND {
        let wrong = format!(
            "{place}: packets wait up to {rest:?}, for which [ring] max_bytes = {} has room at {:.0} Mbit/s and less: a \
             faster track loses some; write more bytes, or a shorter coalesce",
            ring.max_bytes,
            held / 1e6
        );
        report.warn(offset, wrong);
    }
}

/// The rate of a track of which the ring's bytes hold so much time.
fn bits_per_second(ring: &RingConfig, held: Duration) -> f64 {
    ring.max_bytes as f64 * 8.0 / held.as_secs_f64()
}

/// Pictures that a decoder can start with are up to so far apart, as a rule, and most programmes no faster.
const BETWEEN_STARTS: Duration = Duration::from_secs(4);
const USUAL_BITS_PER_SECOND: f64 = 10e6;

fn check_starts(offset: usize, ring: &RingConfig, report: &mut Report<'_>) {
    let held = bits_per_second(ring, BETWEEN_STARTS);
    if held < USUAL_BITS_PER_SECOND {
        let wrong = format!(
            "[ring] max_bytes = {} has room for {BETWEEN_STARTS:?} of {:.1} Mbit/s and less: of a faster track, or one whose \
             pictures that decoders can start with are further apart, none may be there when a viewer comes; write \
             5000000 or more, and see mirrorball_track_starts_lost_total",
            ring.max_bytes,
            held / 1e6
        );
        report.warn(offset, wrong);
    }
}
