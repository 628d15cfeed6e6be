//! The source strings of a channel, as VLC, udpxy and TSDuck write them: `rtp://[src@]group:port`, and `udp://` for a
//! transport stream without RTP.
//!
//! It resolves no names and joins nothing; whether the interface exists is found out elsewhere.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::sdp::{self, Framing, Presentation};
use super::source_filter::{MAX_HOSTS, SourceFilter};

/// The longest name of a network interface the kernel takes, in bytes (`IFNAMSIZ` less its final zero).
const MAX_INTERFACE_LEN: usize = 15;

/// Where one stream comes from. With RTP, its RTCP arrives at the same group on `port` + 1.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SourceUrl {
    /// What comes there.
    pub scheme: Scheme,
    /// The multicast group; or this machine's address that it is sent to, any of them where it is unspecified.
    pub group: IpAddr,
    /// The port, 1 to 65534.
    pub port: u16,
    /// From whom packets are taken: a source-specific join (RFC 4607) of each who is named. Same family as the group.
    pub filter: SourceFilter,
    /// The interface to join on, by name: before the `@`, or as the zone of an IPv6 address (RFC 4007).
    pub interface: Option<String>,
}

/// What comes from a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `rtp://`: RTP.
    Rtp,
    /// `udp://`: a bare transport stream.
    Udp,
    /// `auto://`: one of both.
    Auto,
}

/// Why a source string cannot be used, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSourceUrl {
    /// No `scheme://`.
    #[error("\"{0}\" has no scheme; write rtp://group:port, for example rtp://239.9.9.1:5004")]
    NoScheme(String),
    /// That of a server, which is asked and not listened to.
    #[error(
        "{0}:// is a server that is pulled from: it is a channel's only source, and can be none of several, nor be listened to; \
         of a group write rtp://group:port"
    )]
    Server(String),
    /// Any other scheme.
    #[error(
        "scheme {0}:// is no multicast source; write rtp://group:port, or udp:// for MPEG-TS without RTP"
    )]
    Scheme(String),
    /// Something follows the port.
    #[error(
        "\"{0}\" follows the port; write rtp://group:port alone, with the interface or source before an @"
    )]
    Trailing(String),
    /// An IPv6 address without brackets, or an unclosed bracket.
    #[error("\"{0}\" is not clear about where its IPv6 address ends; write rtp://[group]:port")]
    Brackets(String),
    /// The group is missing.
    #[error("the group is missing; write rtp://group:port, for example rtp://239.9.9.1:5004")]
    NoGroup,
    /// The group is not an address.
    #[error("group \"{0}\" is not an IP address; write the multicast address itself, names are not resolved")]
    GroupNotAddress(String),
    /// The group is an address that nobody receives by.
    #[error(
        "{0} is not to be received; write a group, from 224.0.0.0 to 239.255.255.255 or in ff00::/8, or this machine's own address"
    )]
    NotReceived(IpAddr),
    /// An interface is named for what is sent to an address.
    #[error("{0} is an address of this machine, which has its interface; leave {1} out")]
    InterfaceOfAddress(IpAddr, String),
    /// The port is missing.
    #[error("the port is missing; write rtp://{0}:port, often 5004")]
    NoPort(String),
    /// The port is not in range.
    #[error(
        "port \"{0}\" is not usable; write a number from 1 to 65534, for rtp:// an even one: RTCP takes the one after it"
    )]
    Port(String),
    /// The source is no host's address.
    #[error(
        "source {0} is not the address of one sender; write its unicast address, or nothing before the @"
    )]
    SourceNotUnicast(IpAddr),
    /// There are too many sources.
    #[error("{0} sources stand before the @; write {MAX_HOSTS} at most, or none for any")]
    Sources(usize),
    /// The source and the group are of different families.
    #[error(
        "source {source_address} and group {group} are of different families; write both as IPv4 or both as IPv6"
    )]
    Family {
        /// The source before the `@`.
        source_address: IpAddr,
        /// The group after it.
        group: IpAddr,
    },
    /// A zone (RFC 4007) that is no interface's name, or of an address that has none.
    #[error(
        "zone \"{0}\" is not an interface's name; write for example [ff02::1%eth0], or nothing behind an IPv4 address"
    )]
    Zone(String),
    /// Two interfaces are named.
    #[error("it names interface {0} and interface {1}; write one of them")]
    TwoInterfaces(String, String),
    /// What stands before the `@` is neither an address nor an interface's name, or one of several is no address.
    #[error(
        "\"{0}\" before the @ is neither an IP address nor an interface; write the sender's address or, for example, eth0"
    )]
    Interface(String),
}

impl FromStr for SourceUrl {
    type Err = InvalidSourceUrl;

    fn from_str(text: &str) -> Result<Self, InvalidSourceUrl> {
        let (scheme, rest) = scheme_and_rest(text.trim())?;
        let (before, at) = match rest.rsplit_once('@') {
            Some((before, at)) => (before, at),
            None => ("", rest),
        };
        let any =
            if at.starts_with(':') && text.contains('@') { format!("0.0.0.0{at}") } else { at.to_owned() };
        let (group, zone, port) = group_and_port(&any)?;
        let (sources, interface) = sources_or_interface(before)?;
        let interface = match (zone, interface) {
            (Some(zone), Some(other)) if zone != other => {
                return Err(InvalidSourceUrl::TwoInterfaces(other, zone));
            }
            (zone, interface) => interface.or(zone),
        };
        if let Some(interface) = interface.as_ref().filter(|_| !group.is_multicast()) {
            return Err(InvalidSourceUrl::InterfaceOfAddress(group, interface.clone()));
        }
        if let Some(source_address) = sources.iter().find(|source| source.is_ipv4() != group.is_ipv4()) {
            return Err(InvalidSourceUrl::Family { source_address: *source_address, group });
        }
        Ok(Self { scheme, group, port, filter: SourceFilter::only(sources), interface })
    }
}

impl SourceUrl {
    /// What comes there, as a channel of that name.
    #[must_use]
    pub fn presentation(&self, channel_name: &str) -> Presentation {
        let framing = match self.scheme {
            Scheme::Rtp => Framing::Rtp,
            Scheme::Udp => Framing::Bare,
            Scheme::Auto => Framing::Either,
        };
        sdp::framed_mpegts(channel_name, framing, (self.group, self.port), self.filter.clone())
    }
}

impl fmt::Display for SourceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme.name())?;
        let zone = self.interface.as_ref().map_or_else(String::new, |zone| format!("%{zone}"));
        let sources = self.filter.named().iter().map(|source| match source {
            IpAddr::V6(source) => format!("[{source}{zone}]"),
            IpAddr::V4(source) => source.to_string(),
        });
        match (sources.collect::<Vec<_>>().join(","), &self.interface) {
            (sources, _) if !sources.is_empty() => write!(f, "{sources}@")?,
            (_, Some(interface)) => write!(f, "{interface}@")?,
            (_, None) => {}
        }
        write!(f, "{}", std::net::SocketAddr::new(self.group, self.port))
    }
}

impl Scheme {
    const ALL: [Self; 3] = [Self::Rtp, Self::Udp, Self::Auto];

    fn name(self) -> &'static str {
        match self {
            Self::Rtp => "rtp",
            Self::Udp => "udp",
            Self::Auto => "auto",
        }
    }
}

fn scheme_and_rest(text: &str) -> Result<(Scheme, &str), InvalidSourceUrl> {
    let (name, rest) = text.split_once("://").ok_or_else(|| InvalidSourceUrl::NoScheme(text.to_owned()))?;
    let known = Scheme::ALL.into_iter().find(|scheme| name.eq_ignore_ascii_case(scheme.name()));
    let unknown = match name.to_ascii_lowercase().as_str() {
        "rtsp" | "rtsps" => InvalidSourceUrl::Server,
        _ => InvalidSourceUrl::Scheme,
    };
    known.map(|scheme| (scheme, rest)).ok_or_else(|| unknown(name.to_owned()))
}

/// The group, its zone, and the port.
fn group_and_port(at: &str) -> Result<(IpAddr, Option<String>, u16), InvalidSourceUrl> {
    let at = at.strip_suffix('/').unwrap_or(at);
    if let Some(start) = at.find(['/', '?', '#']) {
        return Err(InvalidSourceUrl::Trailing(at[start..].to_owned()));
    }
    let (host, port) = host_and_port(at)?;
    if host.is_empty() {
        return Err(InvalidSourceUrl::NoGroup);
    }
    let (host, zone) = host_and_zone(host)?;
    let group: IpAddr = host.parse().map_err(|_| InvalidSourceUrl::GroupNotAddress(host.to_owned()))?;
    zone_of(group, zone.as_deref())?;
    let is_nobodys = match group {
        IpAddr::V4(v4) => v4.octets()[0] >= 240,
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.to_ipv4_mapped().is_some(),
    };
    if is_nobodys {
        return Err(InvalidSourceUrl::NotReceived(group));
    }
    let port = port.ok_or_else(|| {
        InvalidSourceUrl::NoPort(if group.is_ipv6() { format!("[{group}]") } else { host.to_owned() })
    })?;
    match port.parse() {
        Ok(number @ 1..=65534) => Ok((group, zone, number)),
        _ => Err(InvalidSourceUrl::Port(port.to_owned())),
    }
}

fn host_and_port(at: &str) -> Result<(&str, Option<&str>), InvalidSourceUrl> {
    let unclear = || InvalidSourceUrl::Brackets(at.to_owned());
    if let Some(inside) = at.strip_prefix('[') {
        let (host, rest) = inside.split_once(']').ok_or_else(unclear)?;
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if rest.is_empty() => Ok((host, None)),
            None => Err(unclear()),
        };
    }
    match at.split_once(':') {
        Some((_, port)) if port.contains(':') => Err(unclear()),
        Some((host, port)) => Ok((host, Some(port).filter(|port| !port.is_empty()))),
        None => Ok((at, None)),
    }
}

/// An address and its zone, as `ff02::1%eth0`, or `%25` in place of `%` where it was written as a URI (RFC 6874).
fn host_and_zone(host: &str) -> Result<(&str, Option<String>), InvalidSourceUrl> {
    let Some((host, zone)) = host.split_once('%') else { return Ok((host, None)) };
    let zone = zone.strip_prefix("25").filter(|zone| !zone.is_empty()).unwrap_or(zone);
    // A number would be the interface's index, which is another one after the next start.
    let is_index = zone.bytes().all(|byte| byte.is_ascii_digit());
    if is_index || !is_interface_name(zone) {
        return Err(InvalidSourceUrl::Zone(zone.to_owned()));
    }
    Ok((host, Some(zone.to_owned())))
}

/// Only addresses of IPv6 have zones.
fn zone_of(address: IpAddr, zone: Option<&str>) -> Result<(), InvalidSourceUrl> {
    match zone {
        Some(zone) if address.is_ipv4() => Err(InvalidSourceUrl::Zone(zone.to_owned())),
        _ => Ok(()),
    }
}

fn is_interface_name(name: &str) -> bool {
    let is_name_char = |c: char| c.is_ascii_graphic() && !"/:@[]%".contains(c);
    (1..=MAX_INTERFACE_LEN).contains(&name.len()) && name.chars().all(is_name_char)
}

/// What stands before the `@`: the senders, or the interface, or an address with its zone.
fn sources_or_interface(before: &str) -> Result<(Vec<IpAddr>, Option<String>), InvalidSourceUrl> {
    let (mut sources, mut zone) = (Vec::new(), None::<String>);
    for one in before.split(',').filter(|_| !before.is_empty()) {
        let bare = one.strip_prefix('[').and_then(|inside| inside.strip_suffix(']')).unwrap_or(one);
        let (host, of) = if bare.contains(':') { host_and_zone(bare)? } else { (bare, None) };
        let Ok(source) = host.parse::<IpAddr>() else {
            // Of an interface there is one, and nothing else.
            return if one == before {
                interface(before)
            } else {
                Err(InvalidSourceUrl::Interface(one.to_owned()))
            };
        };
        if source.is_multicast() || source.is_unspecified() {
            return Err(InvalidSourceUrl::SourceNotUnicast(source));
        }
        match (&zone, of) {
            (Some(one), Some(other)) if *one != other => {
                return Err(InvalidSourceUrl::TwoInterfaces(one.clone(), other));
            }
            (_, of) => zone = of.or(zone),
        }
        sources.push(source);
    }
    if sources.len() > MAX_HOSTS {
        return Err(InvalidSourceUrl::Sources(sources.len()));
    }
    Ok((sources, zone))
}

fn interface(before: &str) -> Result<(Vec<IpAddr>, Option<String>), InvalidSourceUrl> {
    // Digits and dots alone are a mistyped address, and joining on an interface so called would mislead.
    let is_mistyped_address = before.chars().all(|c| c.is_ascii_digit() || c == '.');
    if !is_interface_name(before) || is_mistyped_address {
        return Err(InvalidSourceUrl::Interface(before.to_owned()));
    }
    Ok((Vec::new(), Some(before.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> SourceUrl {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_group_and_a_port_are_enough() {
        for text in [
            "rtp://239.9.9.1:5004",
            "rtp://@239.9.9.1:5004",
            "RTP://239.9.9.1:5004/",
            " rtp://239.9.9.1:5004\n",
        ] {
            let (scheme, group) = (Scheme::Rtp, ip("239.9.9.1"));
            let expected =
                SourceUrl { scheme, group, port: 5004, filter: SourceFilter::Any, interface: None };
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    #[test]
    fn a_server_is_asked_and_not_listened_to() {
        for text in ["rtsp://edge/news", "RTSPS://edge:322/news"] {
            let said = text.parse::<SourceUrl>().expect_err("it is no group").to_string();
            assert!(said.contains("is a server that is pulled from"), "{said}");
        }
    }

    #[test]
    fn the_scheme_tells_what_comes() {
        for (text, scheme) in [
            ("rtp://239.9.9.1:5004", Scheme::Rtp),
            ("UDP://@239.9.9.1:5004", Scheme::Udp),
            ("auto://239.9.9.1:5004", Scheme::Auto),
        ] {
            assert_eq!(parse(text).scheme, scheme);
            assert_eq!(parse(&parse(text).to_string()), parse(text));
        }
    }

    #[test]
    fn what_is_sent_to_this_machine_alone_names_its_address_or_none() {
        for (text, group) in [
            ("udp://192.0.2.1:5004", "192.0.2.1"),
            ("rtp://@:5004", "0.0.0.0"),
            ("udp://@[::]:5004", "::"),
            ("rtp://192.0.2.7@192.0.2.1:5004", "192.0.2.1"),
        ] {
            assert_eq!(parse(text).group, ip(group), "{text}");
        }
    }

    #[test]
    fn before_the_at_an_address_is_the_source_and_a_name_the_interface() {
        assert_eq!(parse("rtp://192.0.2.7@232.1.1.1:5004").filter, SourceFilter::from(Some(ip("192.0.2.7"))));
        assert_eq!(parse("rtp://eth0.100@239.9.9.1:5004").interface.as_deref(), Some("eth0.100"));
        assert_eq!(
            parse("rtp://232.1.1.1:5004").filter,
            SourceFilter::Any,
            "232/8 may be joined from any source"
        );
    }

    #[test]
    fn several_senders_are_a_list() {
        for (text, sources) in [
            ("rtp://192.0.2.8,192.0.2.7@239.9.9.1:5004", ["192.0.2.7", "192.0.2.8"]),
            ("rtp://[2001:db8::7],2001:db8::8@[ff3e::1]:5004", ["2001:db8::7", "2001:db8::8"]),
            ("rtp://[fe80::7%eth0],[fe80::8]@[ff35::1]:5004", ["fe80::7", "fe80::8"]),
        ] {
            let url = parse(text);
            assert_eq!(url.filter.named(), sources.map(ip), "{text}");
            assert_eq!(parse(&url.to_string()), url);
        }
    }

    #[test]
    fn ipv6_stands_in_brackets() {
        let url = parse("rtp://[2001:db8::7]@[ff3e::1]:5004");
        assert_eq!((url.filter.named(), url.group), (&[ip("2001:db8::7")][..], ip("ff3e::1")));
        assert_eq!(parse("rtp://2001:db8::7@[ff3e::1]:5004"), url);
        assert_eq!(url.to_string(), "rtp://[2001:db8::7]@[ff3e::1]:5004");
    }

    #[test]
    fn a_zone_is_the_interface() {
        for text in
            ["rtp://[ff02::1%eth0]:5004", "rtp://[ff02::1%25eth0]:5004", "rtp://eth0@[ff02::1%eth0]:5004"]
        {
            let url = parse(text);
            assert_eq!((url.group, url.interface.as_deref()), (ip("ff02::1"), Some("eth0")), "{text}");
            assert_eq!(url.to_string(), "rtp://eth0@[ff02::1]:5004");
        }
        for text in ["rtp://[fe80::7%eth0]@[ff32::1]:5004", "rtp://[fe80::7]@[ff32::1%eth0]:5004"] {
            let url = parse(text);
            assert_eq!(
                (url.filter.named(), url.interface.as_deref()),
                (&[ip("fe80::7")][..], Some("eth0")),
                "{text}"
            );
            assert_eq!(parse(&url.to_string()), url);
        }
    }

    #[test]
    fn errors_say_what_to_write_instead() {
        for (text, remedy) in [
            ("239.9.9.1:5004", "write rtp://group:port"),
            ("udpx://@239.9.9.1:1234", "udp:// for MPEG-TS without RTP"),
            ("http://239.9.9.1:5004", "write rtp://group:port"),
            ("rtp://239.9.9.1", "write rtp://239.9.9.1:port"),
            ("rtp://239.9.9.1:", "write rtp://239.9.9.1:port"),
            ("rtp://[ff15::1]", "write rtp://[ff15::1]:port"),
            ("rtp://239.9.9.1:0", "from 1 to 65534"),
            ("rtp://239.9.9.1:65535", "from 1 to 65534"),
            ("rtp://239.9.9.1:70000", "from 1 to 65534"),
            ("rtp://255.255.255.255:5004", "write a group, from 224.0.0.0"),
            ("udp://eth0@192.0.2.1:5004", "leave eth0 out"),
            ("rtp://news.example:5004", "names are not resolved"),
            ("rtp://:5004", "the group is missing"),
            ("rtp://ff15::1:5004", "write rtp://[group]:port"),
            ("rtp://[ff15::1:5004", "write rtp://[group]:port"),
            ("rtp://[ff15::1]5004", "write rtp://[group]:port"),
            ("rtp://2001:db8::1@239.9.9.1:5004", "write both as IPv4 or both as IPv6"),
            ("rtp://239.1.1.1@239.9.9.1:5004", "write its unicast address"),
            ("rtp://0.0.0.0@239.9.9.1:5004", "nothing before the @"),
            ("rtp://192.0.2.300@239.9.9.1:5004", "write the sender's address"),
            ("rtp://a name@239.9.9.1:5004", "write the sender's address"),
            ("rtp://an-interface-too-long@239.9.9.1:5004", "write the sender's address"),
            ("rtp://[ff02::1%2]:5004", "write for example [ff02::1%eth0]"),
            ("rtp://[ff02::1%]:5004", "write for example [ff02::1%eth0]"),
            ("rtp://239.9.9.1%eth0:5004", "nothing behind an IPv4 address"),
            ("rtp://eth1@[ff02::1%eth0]:5004", "interface eth1 and interface eth0; write one"),
            ("rtp://239.9.9.1:5004?ttl=4", "write rtp://group:port alone"),
            ("rtp://10.1.1.1,camera@239.9.9.1:5004", "\"camera\" before the @"),
            ("rtp://10.1.1.1,,10.1.1.2@239.9.9.1:5004", "\"\" before the @"),
            ("rtp://10.1.1.1,[2001:db8::7]@239.9.9.1:5004", "source 2001:db8::7 and group 239.9.9.1"),
            ("rtp://[fe80::7%eth0],[fe80::8%eth1]@[ff35::9]:5004", "interface eth0 and interface eth1"),
        ] {
            let error = text.parse::<SourceUrl>().expect_err(text).to_string();
            assert!(error.contains(remedy), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn hostile_text_never_panics(text in "((rtp|udp|auto)://)?[\\[\\]@:/.,0-9a-fé%]{0,40}") {
            if let Ok(url) = text.parse::<SourceUrl>() {
                prop_assert_eq!(parse(&url.to_string()), url);
            }
        }

        #[test]
        fn what_is_printed_is_read_back(host in 1..=u32::MAX, port in 1..=65534u16, form in 0..4usize) {
            let group = IpAddr::from([239, (host >> 16) as u8, (host >> 8) as u8, host as u8]);
            let sources = [10, 11].map(|last| IpAddr::from([10, 1, 2, last]));
            let filter = SourceFilter::only(sources.into_iter().take(form % 3).collect());
            let interface = (form == 3).then(|| "eth0".to_owned());
            let url = SourceUrl { scheme: Scheme::ALL[form % 3], group, port, filter, interface };
            prop_assert_eq!(parse(&url.to_string()), url);
        }
    }
}
