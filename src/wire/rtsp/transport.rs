//! The Transport header of SETUP (RFC 2326 section 12.39): what a client asks for, and what we grant.
//!
//! Parsed here and not as `rtsp_types::headers::Transports`, which refuses the whole header for one parameter it
//! cannot read or one semicolon too many, as clients send them, and panics on a lone quotation mark.

use std::net::IpAddr;

use rtsp_types::StatusCode;

/// A transport that we can serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transport {
    /// The profile the client named; the reply repeats it.
    pub profile: Profile,
    /// How the packets reach the client.
    pub delivery: Delivery,
}

/// The protocol and its profile. Those of RTP are served alike: what feedback a client sends is its own affair. And so
/// are those of a transport stream without RTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// `RTP/AVP` (RFC 3551).
    Avp,
    /// `RTP/AVPF` (RFC 4585).
    Avpf,
    /// `MP2T/H2221/UDP`, as set-top boxes ask for it.
    H2221,
    /// `RAW/RAW/UDP`, as VLC does.
    Raw,
}

/// How packets reach a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// UDP unicast to the address of the RTSP connection.
    Udp {
        /// The client's port for RTP.
        client_rtp_port: u16,
        /// The client's port for RTCP; the same one if the client multiplexes them.
        client_rtcp_port: u16,
    },
    /// The payload of each packet alone, over UDP unicast to the address of the RTSP connection. There is no RTCP.
    Raw {
        /// The client's port.
        client_port: u16,
    },
    /// To a group of ours, which all who ask for it share. What the client says of group and ports is passed over.
    Multicast,
    /// Interleaved in the RTSP connection.
    Interleaved {
        /// The channels for RTP and RTCP, if the client chose; else they are ours to pick.
        channels: Option<(u8, u8)>,
    },
}

/// Why no transport of a header can be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// None of them could be read.
    #[error("the Transport header cannot be read")]
    Malformed,
    /// Readable, but not what we serve: RECORD, another profile, no ports.
    #[error("no transport asked for is served")]
    Unsupported,
}

impl Refused {
    /// The status to reply with: 400 or 461.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Malformed => StatusCode::BadRequest,
            Self::Unsupported => StatusCode::UnsupportedTransport,
        }
    }
}

/// The first transport of the header that we understand and that `is_served`; a client lists them by preference.
///
/// `destination=` is passed over: media goes to the peer of the RTSP connection and nowhere else, so nobody can
/// be flooded by asking for it, and clients that name their own address are served. Without `unicast` or
/// `multicast` a transport with `client_port` or `interleaved` is unicast, whatever the RFC's default.
///
/// # Errors
/// When there is none.
pub fn parse(header: &str, is_served: impl Fn(&Transport) -> bool) -> Result<Transport, Refused> {
    let mut refused = Refused::Malformed;
    for spec in split_unquoted(header, ',').map(str::trim).filter(|spec| !spec.is_empty()) {
        match parse_one(spec) {
            Ok(transport) if is_served(&transport) => return Ok(transport),
            Ok(_) | Err(Refused::Unsupported) => refused = Refused::Unsupported,
            Err(Refused::Malformed) => {}
        }
    }
    Err(refused)
}

impl Transport {
    /// The Transport header that grants UDP: the client's ports again, and ours.
    #[must_use]
    pub fn udp_reply(profile: Profile, client_ports: (u16, u16), server_ports: (u16, u16)) -> String {
        let (client_rtp, client_rtcp) = client_ports;
        let (server_rtp, server_rtcp) = server_ports;
        format!(
            "{};unicast;client_port={client_rtp}-{client_rtcp};server_port={server_rtp}-{server_rtcp};mode=\"PLAY\"",
            profile.as_str(),
        )
    }

    /// The Transport header that grants a transport stream without RTP: one port on each side.
    #[must_use]
    pub fn raw_reply(profile: Profile, client_port: u16, server_port: u16) -> String {
        format!("{};unicast;client_port={client_port};server_port={server_port}", profile.as_str())
    }

    /// The Transport header that grants a group: its ports for RTP and RTCP, and how far packets go.
    #[must_use]
    pub fn multicast_reply(profile: Profile, group: IpAddr, ports: (u16, u16), ttl: u8) -> String {
        let (rtp, rtcp) = ports;
        format!(
            "{};multicast;destination={group};port={rtp}-{rtcp};ttl={ttl};mode=\"PLAY\"",
            profile.as_str()
        )
    }

    /// The Transport header that grants interleaving on these channels.
    #[must_use]
    pub fn interleaved_reply(profile: Profile, channels: (u8, u8)) -> String {
        let (rtp, rtcp) = channels;
        format!("{}/TCP;unicast;interleaved={rtp}-{rtcp};mode=\"PLAY\"", profile.as_str())
    }
}

impl Profile {
    /// As it stands in a header; that of RTP without the lower transport.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Avp => "RTP/AVP",
            Self::Avpf => "RTP/AVPF",
            Self::H2221 => "MP2T/H2221/UDP",
            Self::Raw => "RAW/RAW/UDP",
        }
    }

    const fn is_rtp(self) -> bool {
        matches!(self, Self::Avp | Self::Avpf)
    }
}

fn parse_one(spec: &str) -> Result<Transport, Refused> {
    let mut parts = split_unquoted(spec, ';').map(str::trim);
    let (profile, is_tcp) = protocol(parts.next().unwrap_or_default())?;
    let asked = Asked::of(parts)?;
    if !asked.mode_is_play {
        return Err(Refused::Unsupported);
    }
    if asked.multicast {
        let is_possible = profile.is_rtp() && !is_tcp;
        return is_possible
            .then_some(Transport { profile, delivery: Delivery::Multicast })
            .ok_or(Refused::Unsupported);
    }
    // Old clients leave out the /TCP and only name channels.
    let is_interleaved = is_tcp || (asked.interleaved.is_some() && asked.client_port.is_none());
    let delivery = match (is_interleaved, asked.client_port) {
        // Some name a second port, which nothing is sent to.
        (_, Some((client_port, _))) if !profile.is_rtp() => Delivery::Raw { client_port },
        (_, None) if !profile.is_rtp() => return Err(Refused::Unsupported),
        (true, _) => Delivery::Interleaved { channels: asked.interleaved },
        (false, Some((client_rtp_port, client_rtcp_port))) => {
            Delivery::Udp { client_rtp_port, client_rtcp_port }
        }
        (false, None) => return Err(Refused::Unsupported),
    };
    Ok(Transport { profile, delivery })
}

/// `protocol/profile[/lower transport]`.
fn protocol(text: &str) -> Result<(Profile, bool), Refused> {
    let upper = text.to_ascii_uppercase();
    let mut words = upper.split('/');
    let (Some(protocol), Some(profile)) = (words.next(), words.next()) else {
        return Err(Refused::Malformed);
    };
    let profile = match (protocol, profile) {
        ("RTP", "AVP") => Profile::Avp,
        ("RTP", "AVPF") => Profile::Avpf,
        ("MP2T", "H2221") => Profile::H2221,
        ("RAW", "RAW") => Profile::Raw,
        _ => return Err(Refused::Unsupported),
    };
    match (words.next(), words.next()) {
        (None | Some("UDP"), None) => Ok((profile, false)),
        (Some("TCP"), None) if profile.is_rtp() => Ok((profile, true)),
        _ => Err(Refused::Unsupported),
    }
}

/// The parameters that decide. All others (`ssrc`, `destination`, `source`, `ttl`, `append`, …) are passed over.
struct Asked {
    multicast: bool,
    mode_is_play: bool,
    client_port: Option<(u16, u16)>,
    interleaved: Option<(u8, u8)>,
}

impl Asked {
    fn of<'a>(parameters: impl Iterator<Item = &'a str>) -> Result<Self, Refused> {
        let mut asked = Self { multicast: false, mode_is_play: true, client_port: None, interleaved: None };
        for parameter in parameters {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "multicast" => asked.multicast = true,
                "mode" => asked.mode_is_play = value.eq_ignore_ascii_case("play"),
                "client_port" => asked.client_port = Some(ports(value)?),
                "interleaved" => asked.interleaved = Some(channels(value)?),
                _ => {}
            }
        }
        Ok(asked)
    }
}

/// `a-b`, or `a` alone, whose RTCP port is then the next one.
fn ports(value: &str) -> Result<(u16, u16), Refused> {
    let (rtp, rtcp) = pair::<u16>(value)?;
    let rtcp = rtcp.or(rtp.checked_add(1)).ok_or(Refused::Malformed)?;
    if rtp == 0 || rtcp == 0 { Err(Refused::Malformed) } else { Ok((rtp, rtcp)) }
}

/// `a-b`, or `a` alone, whose RTCP channel is then the next one. The two must differ.
fn channels(value: &str) -> Result<(u8, u8), Refused> {
    let (rtp, rtcp) = pair::<u8>(value)?;
    let rtcp = rtcp.or(rtp.checked_add(1)).ok_or(Refused::Malformed)?;
    if rtp == rtcp { Err(Refused::Malformed) } else { Ok((rtp, rtcp)) }
}

fn pair<T: std::str::FromStr>(value: &str) -> Result<(T, Option<T>), Refused> {
    let number = |text: &str| text.trim().parse::<T>().map_err(|_| Refused::Malformed);
    match value.split_once('-') {
        Some((first, second)) => Ok((number(first)?, Some(number(second)?))),
        None => Ok((number(value)?, None)),
    }
}

/// Splits at a separator that stands outside of quotation marks.
fn split_unquoted(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |c| {
        quoted ^= c == '"';
        c == separator && !quoted
    })
}

#[cfg(test)]
#[path = "transport_tests.rs"]
mod tests;
