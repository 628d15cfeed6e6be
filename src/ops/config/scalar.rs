//! Single values: durations, port ranges, names, addresses, interfaces. Pure functions of the text; an
//! error says what is wrong and what to write, and leaves it to the caller to say where.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use clap::ValueEnum;
use ipnet::IpNet;

use crate::relay::{Carriage, Coalesce};
use crate::serve::Learning;
use crate::wire::rtsp::Redirect;

use super::super::log::log_format::LogFormat;
use super::truth::UdpPorts;
use super::truth_channel::Interface;

/// The longest name of a channel, in bytes.
pub(super) const NAME_BYTES: usize = 128;

/// Linux's IFNAMSIZ, less its closing zero.
const INTERFACE_NAME_BYTES: usize = 15;

/// A duration such as `500ms`, `60s`, `5min` or `24h`: a whole number and its unit.
pub(super) fn duration(typed: &str) -> Result<Duration, String> {
    let wrong =
        || format!("{typed:?} is not a duration; write a whole number with ms, s, min or h, such as \"60s\"");
    let digits = typed.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = typed.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let milliseconds_each = match unit {
        "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong()),
    };
    number.checked_mul(milliseconds_each).map(Duration::from_millis).ok_or_else(wrong)
}

/// A range of port pairs such as `6970-6999`, or `0` for any free ones.
pub(super) fn udp_ports(typed: &str) -> Result<UdpPorts, String> {
    const REMEDY: &str =
        "write an even first and an odd last port such as \"6970-6999\", or \"0\" for any free ones";
    if typed == "0" {
        return Ok(UdpPorts::Any);
    }
    let ends = typed.split_once('-').and_then(|(first, last)| {
        Some((first.trim().parse::<u16>().ok()?, last.trim().parse::<u16>().ok()?))
    });
    let Some((first, last)) = ends else {
        return Err(format!("{typed:?} is not a range of ports; {REMEDY}"));
    };
    if first < 2 || first % 2 != 0 || last % 2 != 1 || last < first {
        return Err(format!(
            "{typed:?} does not hold whole pairs of an even RTP and an odd RTCP port; {REMEDY}"
        ));
    }
    Ok(UdpPorts::Range { first, last })
}

/// An address and port to listen on. A host name is none: what it stands for may change.
pub(super) fn listen_address(typed: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = typed.parse().map_err(|_| {
        let is_of_one_link = typed.starts_with('[') && typed.contains('%');
        match is_of_one_link {
            true => format!("{typed:?} names an interface; write all addresses, such as \"[::]:8554\""),
            false => format!(
                "{typed:?} is not an address and port; write an IP address and a port such as \"0.0.0.0:8554\" or \
                 \"[::]:8554\""
            ),
        }
    })?;
    let ip = address.ip();
    let wrong = |what: &str, remedy: &str| Err(format!("{typed:?}: {ip} {what}; write {remedy}"));
    match address {
        _ if ip.is_multicast() => {
            wrong("is a group, and nobody listens at one", "an address of this machine")
        }
        SocketAddr::V4(v4) if v4.ip().is_broadcast() => wrong("is everybody's", "an address of this machine"),
        SocketAddr::V6(v6) if v6.ip().to_ipv4_mapped().is_some() => {
            wrong("is an IPv4 address", "it as one, such as \"10.0.0.1:8554\"")
        }
        SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() && v6.scope_id() == 0 => {
            wrong("is one of each link", "\"[::]\" with the port, for all addresses")
        }
        _ => Ok(address),
    }
}

/// The longest hold that can be asked for.
const MAX_HOLD: Duration = Duration::from_millis(100);

/// Whether groups are joined on demand alone.
pub(super) fn join(typed: &str) -> Result<bool, String> {
    match typed {
        "always" => Ok(false),
        "on-demand" => Ok(true),
        _ => Err(format!("{typed:?} says not when; write \"always\" or \"on-demand\"")),
    }
}

/// Whether those who come begin where a decoder can start; else at the newest packet.
pub(super) fn start(typed: &str) -> Result<bool, String> {
    match typed {
        "rap" => Ok(true),
        "live" => Ok(false),
        _ => Err(format!("{typed:?} says not where; write \"rap\" or \"live\"")),
    }
}

/// Whether several sources are merged; else one of them is followed.
pub(super) fn redundancy(typed: &str) -> Result<bool, String> {
    match typed {
        "merge" => Ok(true),
        "failover" => Ok(false),
        _ => Err(format!("{typed:?} says not how; write \"merge\" or \"failover\"")),
    }
}

/// How long packets may wait to be sent together: `auto`, or a duration.
pub(super) fn coalesce(typed: &str) -> Result<Coalesce, String> {
    if typed == "auto" {
        return Ok(Coalesce::Auto);
    }
    let remedy = format!("write \"auto\", or a duration from \"0ms\" (never wait) to \"{MAX_HOLD:?}\"");
    let hold = duration(typed).map_err(|_| format!("{typed:?} is not a hold; {remedy}"))?;
    if hold > MAX_HOLD {
        return Err(format!("{typed:?} is out of bounds; {remedy}"));
    }
    Ok(Coalesce::Fixed(hold))
}

/// Another server to send clients to, which is none of our own listeners.
pub(super) fn redirect(typed: &str, listen: &[SocketAddr]) -> Result<Redirect, String> {
    let remedy = "write the URL of another server without a path, such as \"rtsp://other.example:8554\"";
    let other = Redirect::parse(typed).ok_or_else(|| format!("{typed:?} is no server; {remedy}"))?;
    match listen.iter().find(|own| other.is_at(**own)) {
        Some(own) => Err(format!("{typed:?} is this server, which listens on {own}; {remedy}")),
        None => Ok(other),
    }
}

/// The same, for clients through TLS, who are not to leave it.
pub(super) fn redirect_tls(typed: &str, listen: &[SocketAddr]) -> Result<Redirect, String> {
    match redirect(typed, listen)? {
        other if other.is_secret() => Ok(other),
        _ => Err(format!("{typed:?} leads out of TLS; write a URL that begins with \"rtsps://\"")),
    }
}

/// How lines of the log look: `auto`, `text` or `json`.
pub(super) fn log_format(typed: &str) -> Result<LogFormat, String> {
    LogFormat::from_str(typed, false)
        .map_err(|_| format!("{typed:?} is no format; write \"auto\", \"text\" or \"json\""))
}

/// How ports of viewers are learnt.
pub(super) fn learning(typed: &str) -> Result<Learning, String> {
    let known = Learning::ALL.iter().find(|(_, name)| *name == typed).map(|(learning, _)| *learning);
    known.ok_or_else(|| format!("{typed:?} is no way to learn; write \"immediate\", \"delayed\" or \"off\""))
}

/// By what media reaches a viewer.
pub(super) fn transport(typed: &str) -> Result<Carriage, String> {
    let known = Carriage::OF_RTSP.into_iter().find(|by| by.label() == typed);
    known
        .ok_or_else(|| format!("{typed:?} is no transport; write \"udp\", \"tcp\", \"multicast\" or \"raw\""))
}

/// A network such as `10.0.0.0/8`, or one address.
pub(super) fn network(typed: &str) -> Result<IpNet, String> {
    const REMEDY: &str = "write an IP address, or a network such as \"10.0.0.0/8\" or \"2001:db8::/32\"";
    let network = match typed.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => typed.parse::<IpNet>().map_err(|_| format!("{typed:?} is not a network; {REMEDY}"))?,
    };
    match network.addr() {
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => {
            Err(format!("{typed:?} is of IPv4; write it as such: \"10.0.0.0/8\""))
        }
        _ if network.trunc() != network => Err(format!(
            "{typed:?} is an address in a network; write \"{}\" or \"{}\"",
            network.trunc(),
            network.addr()
        )),
        _ => Ok(network),
    }
}

/// A channel's name: segments of letters, digits, `-`, `_` and `.`, parted by `/`.
pub(super) fn channel_name(typed: &str) -> Result<String, String> {
    let wrong = |what: &str| format!("name {typed:?} {what}");
    if typed.is_empty() {
        return Err(wrong("is empty; write one such as \"news\""));
    }
    if typed.len() > NAME_BYTES {
        return Err(format!("name has {} bytes; write at most {NAME_BYTES}", typed.len()));
    }
    if let Some(strange) = typed.chars().find(|c| !(c.is_ascii_alphanumeric() || "-_./".contains(*c))) {
        return Err(wrong(&format!(
            "holds {strange:?}; write letters, digits, \"-\", \"_\", \".\" and \"/\" only"
        )));
    }
    if typed.split('/').any(|segment| segment.is_empty()) {
        return Err(wrong("has an empty part; write \"/\" only between parts, such as \"uk/news\""));
    }
    if typed.split('/').any(|segment| segment.starts_with('.')) {
        return Err(wrong(
            "has a part that begins with \".\"; clients resolve such paths away, write another",
        ));
    }
    if typed.ends_with(".sdp") {
        return Err(wrong("ends in \".sdp\"; leave that off, the channel answers to both"));
    }
    Ok(typed.to_owned())
}

/// An interface by its name or one of its addresses.
pub(crate) fn interface(typed: &str) -> Result<Interface, String> {
    if let Some((_, zone)) = typed.split_once('%').filter(|(address, _)| address.parse::<IpAddr>().is_ok()) {
        return Err(format!("{typed:?} has a zone; write the interface's name alone: \"{zone}\""));
    }
    if let Ok(address) = typed.parse::<IpAddr>() {
        return match address.is_multicast() || address.is_unspecified() {
            true => {
                Err(format!("{address} is not an interface's address; write its own address, or its name"))
            }
            false => Ok(Interface::Address(address)),
        };
    }
    let fits = (1..=INTERFACE_NAME_BYTES).contains(&typed.len());
    let plain = !typed.contains(|c: char| c.is_whitespace() || c.is_control() || c == '/' || c == ':');
    if !fits || !plain || typed == "." || typed == ".." {
        return Err(format!(
            "{typed:?} is neither an interface's name nor an IP address; write one that `ip -brief address` lists"
        ));
    }
    Ok(Interface::Name(typed.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_duration_has_a_number_and_a_unit() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("60s"), Ok(Duration::from_secs(60)));
        assert_eq!(duration("5min"), Ok(Duration::from_secs(300)));
        assert_eq!(duration("24h"), Ok(Duration::from_secs(86_400)));
        for wrong in [
            "",
            "60",
            "s",
            "1.5s",
            "-1s",
            "60 s",
            "60sec",
            "99999999999999999999s",
            "18446744073709551615min",
        ] {
            let error = duration(wrong).expect_err(wrong);
            assert!(error.contains("such as \"60s\""), "{error}");
        }
    }

    #[test]
    fn ports_come_in_whole_pairs() {
        assert_eq!(udp_ports("0"), Ok(UdpPorts::Any));
        let range = udp_ports("6970-6975").expect("whole pairs");
        assert_eq!(range.rtp_ports().collect::<Vec<_>>(), [6970, 6972, 6974]);
        assert_eq!(udp_ports("65534-65535").expect("the last pair").rtp_ports().collect::<Vec<_>>(), [65534]);
        for wrong in ["", "6970", "6971-6980", "6970-6980", "6999-6970", "0-99", "1-70000", "a-b"] {
            assert!(udp_ports(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_listener_is_an_address_and_a_port() {
        assert_eq!(listen_address("[::]:8554"), Ok("[::]:8554".parse().expect("an address")));
        assert!(listen_address("[fe80::1%2]:8554").is_ok(), "the zone's number is what the kernel takes");
        for (wrong, says) in [
            ("8554", "write an IP address and a port"),
            (":8554", "write an IP address and a port"),
            ("localhost:8554", "write an IP address and a port"),
            ("0.0.0.0", "write an IP address and a port"),
            ("::8554", "write an IP address and a port"),
            ("239.1.1.1:8554", "is a group"),
            ("[ff02::1]:8554", "is a group"),
            ("255.255.255.255:8554", "is everybody's"),
            ("[::ffff:10.0.0.1]:8554", "is an IPv4 address"),
            ("[fe80::1]:8554", "is one of each link"),
            ("[fe80::1%eth0]:8554", "names an interface"),
        ] {
            let error = listen_address(wrong).expect_err(wrong);
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn a_name_makes_a_plain_url() {
        for right in ["news", "uk/news-24", "a_b.c", "1", "x/y/z"] {
            assert_eq!(channel_name(right), Ok(right.to_owned()));
        }
        let long = "n".repeat(NAME_BYTES + 1);
        for wrong in
            ["", "/news", "news/", "a//b", "..", "a/../b", ".hidden", "né", "a b", "a?b", "news.sdp", &long]
        {
            assert!(channel_name(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_interface_is_a_name_or_an_address() {
        assert_eq!(interface("eth0.100"), Ok(Interface::Name("eth0.100".into())));
        assert_eq!(interface("10.0.0.2"), Ok(Interface::Address([10, 0, 0, 2].into())));
        for wrong in ["", "a-name-of-16-byte", "eth 0", "a/b", "..", "239.0.0.1", "0.0.0.0", "[::1]"] {
            assert!(interface(wrong).is_err(), "{wrong}");
        }
        let zone = interface("fe80::1%eth0").expect_err("a zone");
        assert!(zone.contains("alone: \"eth0\""), "{zone}");
    }

    #[test]
    fn a_network_is_written_by_its_first_address() {
        for (typed, network) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("192.0.2.7", "192.0.2.7/32"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("::1", "::1/128"),
            ("0.0.0.0/0", "0.0.0.0/0"),
        ] {
            assert_eq!(network_of(typed).as_deref(), Ok(network));
        }
        for (wrong, says) in [
            ("", "write an IP address, or a network"),
            ("10.0.0.0/33", "write an IP address, or a network"),
            ("edge.example.com", "write an IP address, or a network"),
            ("10.0.0.9/8", "write \"10.0.0.0/8\" or \"10.0.0.9\""),
            ("::ffff:10.0.0.9", "is of IPv4"),
        ] {
            let error = network_of(wrong).expect_err(wrong);
            assert!(error.contains(says), "{error}");
        }
    }

    fn network_of(typed: &str) -> Result<String, String> {
        network(typed).map(|network| network.to_string())
    }

    proptest! {
        #[test]
        fn any_text_gets_an_answer(text in "\\PC{0,40}") {
            let _ = network(&text);
            let _ = (duration(&text), udp_ports(&text), listen_address(&text), channel_name(&text), interface(&text));
        }
    }
}
