//! One medium of a source's description: where its stream is sent, and what it is.

use std::net::{IpAddr, SocketAddr};

use sdp_types::{Attribute, Connection, Media, Rtcp, RtpMap, Session};

use super::super::source_filter::SourceFilter;
use super::filter::{self, Filter, values};
use super::invalid::InvalidSdp;
use super::legs;
use super::lines::Section;
use super::presentation::{Feed, Framing, TrackDescription, static_clock_rate, static_encoding};

/// What is RTP without encryption, however it is called.
const RTP_PROFILES: [&str; 3] = ["RTP/AVP", "RTP/AVPF", "MP2T/AVP"];

/// One medium in its session, with the lines it was read from.
pub(super) struct Reader<'a> {
    pub session: &'a Session,
    pub medium: &'a Media,
    pub lines: Section<'a>,
}

impl Reader<'_> {
    pub fn track(&self) -> Result<TrackDescription, InvalidSdp> {
        self.check_proto()?;
        self.check_ports()?;
        let payload_types = self.payload_types()?;
        let group = self.group()?;
        let (port, rtcp_port) = (self.medium.port, Some(self.rtcp_port()?));
        let (rtcp_group, filter) = (self.rtcp_group(group), self.filter(group)?);
        Ok(TrackDescription {
            feeds: legs::feeds(Feed { group, port, rtcp_port, rtcp_group, filter }, self.medium),
            same_ssrcs: legs::same_ssrcs(self.medium),
            ..self.described(payload_types)
        })
    }

    /// What a server offers over RTSP, which has no place until it is set up. `None`: it is no RTP, or encrypted.
    pub fn offered(&self) -> Option<TrackDescription> {
        self.payload_types().ok().filter(|_| self.is_rtp()).map(|types| self.described(types))
    }

    /// What it is, wherever it comes from.
    fn described(&self, payload_types: Vec<u8>) -> TrackDescription {
        TrackDescription {
            feeds: Vec::new(),
            same_ssrcs: Vec::new(),
            framing: Framing::Rtp,
            encoding: payload_types.first().and_then(|first| self.encoding(*first)),
            clock_rate: payload_types.first().and_then(|first| self.clock_rate(*first)),
            payload_types,
            media: self.medium.media.clone(),
            tells_parameter_sets: self.tells_parameter_sets(),
            has_standby: false,
        }
    }

    fn tells_parameter_sets(&self) -> bool {
        let names = ["sprop-parameter-sets=", "sprop-sps="];
        let mut said = values(&self.medium.attributes, "fmtp").map(str::to_ascii_lowercase);
        said.any(|parameters| names.iter().any(|name| parameters.contains(name)))
    }

    fn is_rtp(&self) -> bool {
        RTP_PROFILES.iter().any(|known| self.medium.proto.eq_ignore_ascii_case(known))
    }

    fn check_proto(&self) -> Result<(), InvalidSdp> {
        if self.is_rtp() {
            return Ok(());
        }
        let proto = self.medium.proto.as_str();
        let is_mapped = values(&self.medium.attributes, "rtpmap").next().is_some();
        let remedy = match proto.to_ascii_uppercase().as_str() {
            "RTP/SAVP" | "RTP/SAVPF" => "encrypted RTP is not reflected; let the source send RTP/AVP".into(),
            "UDP" if is_mapped => {
                format!("its a=rtpmap says that it is RTP: write RTP/AVP {}", self.medium.fmt)
            }
            "UDP" | "MP2T/H2221/UDP" | "RAW/RAW/UDP" => {
                let place = self.group().map_or("group:port".to_owned(), |group| {
                    SocketAddr::new(group, self.medium.port).to_string()
                });
                format!(
                    "if it is MPEG-TS without RTP, give the channel source = \"udp://{place}\" in place of this file"
                )
            }
            _ => "write RTP/AVP or RTP/AVPF, or port 0 to leave the medium out".to_owned(),
        };
        Err(self.problem("m=", format!("m=: transport {proto} is not understood; {remedy}")))
    }

    /// `port/2` is two streams on two ports (RFC 8866 section 5.14).
    fn check_ports(&self) -> Result<(), InvalidSdp> {
        let Media { port, num_ports, .. } = self.medium;
        match num_ports {
            None | Some(0 | 1) => Ok(()),
            Some(count) => {
                let problem =
                    format!("m=: {port}/{count} is {count} streams; write an m= line for each port");
                Err(self.problem("m=", problem))
            }
        }
    }

    fn payload_types(&self) -> Result<Vec<u8>, InvalidSdp> {
        let mut types = Vec::new();
        for word in self.medium.fmt.split_ascii_whitespace() {
            match word.parse() {
                Ok(payload_type @ 0..=127) => types.push(payload_type),
                _ => {
                    let problem =
                        format!("m=: \"{word}\" is no RTP payload type; write numbers from 0 to 127");
                    return Err(self.problem("m=", problem));
                }
            }
        }
        if types.is_empty() {
            let problem = "m=: no payload type follows the transport; write for example RTP/AVP 96";
            return Err(self.problem("m=", problem.into()));
        }
        Ok(types)
    }

    /// The medium's own connection, else the session's (RFC 8866 section 5.7), with the TTL dropped.
    fn group(&self) -> Result<IpAddr, InvalidSdp> {
        let connection = match self.medium.connections.as_slice() {
            [] => self.session.connection.as_ref().ok_or_else(|| {
                let problem =
                    "m=: no c= line with an address says where this medium is sent; write c=IN IP4 group/ttl below it";
                self.problem("m=", problem.into())
            })?,
            [one] => one,
            _ => {
                let problem = "c=: several groups for one medium; write an m= line for each of them";
                return Err(self.problem("c=", problem.into()));
            }
        };
        group_of(connection).map_err(|problem| self.problem("c=", problem))
    }

    fn rtcp_port(&self) -> Result<u16, InvalidSdp> {
        if self.medium.has_attribute("rtcp-mux") {
            return Ok(self.medium.port);
        }
        match self.medium.get_first_attribute_typed::<Rtcp>() {
            None => self.medium.port.checked_add(1).ok_or_else(|| {
                let problem = "m=: port 65535 leaves none for RTCP; use a lower port or write a=rtcp:port";
                self.problem("m=", problem.into())
            }),
            Some(Ok(rtcp)) if rtcp.port > 0 => Ok(rtcp.port),
            Some(_) => Err(self.problem("a=rtcp:", "a=rtcp: has no usable port; write a=rtcp:port".into())),
        }
    }

    /// Where its RTCP is sent, if that is another group (RFC 3605 section 2.1). An address of one host is where it takes reports.
    fn rtcp_group(&self, group: IpAddr) -> Option<IpAddr> {
        let rtcp = self.medium.get_first_attribute_typed::<Rtcp>()?.ok()?;
        let place = rtcp.connection_address?;
        let other: IpAddr = place.split('/').next()?.parse().ok()?;
        let is_another = other.is_multicast() && other.is_ipv4() == group.is_ipv4() && other != group;
        Some(other).filter(|_| is_another && !self.medium.has_attribute("rtcp-mux"))
    }

    /// The source filter of the medium, else of the session (RFC 4570 section 3.2.1).
    fn filter(&self, group: IpAddr) -> Result<SourceFilter, InvalidSdp> {
        let here = self.filters(&self.medium.attributes, group)?;
        if let Some(Filter::Of(other)) = here {
            let problem = format!(
                "a=source-filter: it is about {other}, and the medium is sent to {group}; {}, or remove the line",
                filter::SHAPE
            );
            return Err(self.problem("a=source-filter:", problem));
        }
        let of_session = || self.filters(&self.session.attributes, group);
        match here.map_or_else(of_session, |here| Ok(Some(here)))? {
            Some(Filter::From(only @ SourceFilter::Only(_))) => Ok(only),
            _ if is_source_specific(group) => {
                let problem = format!(
                    "c=: {group} is for a source that is named (RFC 4607), and routers join it with one alone; {}",
                    filter::SHAPE
                );
                Err(self.problem("c=", problem))
            }
            Some(Filter::From(filter)) => Ok(filter),
            _ => Ok(SourceFilter::Any),
        }
    }

    fn filters(&self, attributes: &[Attribute], group: IpAddr) -> Result<Option<Filter>, InvalidSdp> {
        filter::read(attributes, group).map_err(|problem| self.problem("a=source-filter:", problem))
    }

    fn encoding(&self, payload_type: u8) -> Option<String> {
        let mut maps = self.medium.attributes_typed::<RtpMap>().flatten();
        let named = maps.find(|map| map.payload_type == payload_type).map(|map| map.encoding_name.clone());
        named.or_else(|| static_encoding(payload_type).map(str::to_owned))
    }

    /// An unreadable rtpmap costs the jitter's unit and nothing else, so it is no error.
    fn clock_rate(&self, payload_type: u8) -> Option<u32> {
        self.medium
            .attributes_typed::<RtpMap>()
            .flatten()
            .find(|map| map.payload_type == payload_type)
            .map(|map| map.clock_rate)
            .or_else(|| static_clock_rate(payload_type))
            .filter(|rate| *rate > 0)
    }

    fn problem(&self, key: &str, problem: String) -> InvalidSdp {
        InvalidSdp { line: self.lines.first(key).or_else(|| self.lines.first("m=")), problem }
    }
}

fn group_of(connection: &Connection) -> Result<IpAddr, String> {
    let text = &connection.connection_address;
    if let Some((group, zone)) = text.split_once('%') {
        let zone = zone.split('/').next().unwrap_or_default();
        return Err(format!(
            "c=: \"{text}\" names an interface of one machine; leave %{zone} out, so that {group} stays, and give the channel interface = \"{zone}\""
        ));
    }
    let address = connection.try_address().map_err(|_| {
        format!("c=: \"{text}\" is no group; write its address, as in c=IN IP4 239.9.9.1/16 (names are not resolved)")
    })?;
    if address.count.is_some_and(|count| count > 1) {
        return Err(format!(
            "c=: \"{text}\" is a range of groups; write an m= line with its own c= for each"
        ));
    }
    Ok(address.ip)
}

/// Whether a group is one of those that are joined with a source only (RFC 4607 section 1).
pub fn is_source_specific(group: IpAddr) -> bool {
    match group {
        IpAddr::V4(group) => group.octets()[0] == 232,
        // ff3x::/32
        IpAddr::V6(group) => group.segments()[0] & 0xfff0 == 0xff30 && group.segments()[1] == 0,
    }
}

/// Whether packets of two tracks can not be told apart: a track is where its packets are sent.
pub(super) fn arrive_alike(one: &TrackDescription, other: &TrackDescription) -> bool {
    let alike = |one: &Feed, other: &Feed| {
        (one.group, one.port) == (other.group, other.port) && one.filter.overlap(&other.filter)
    };
    one.feeds.iter().any(|one| other.feeds.iter().any(|other| alike(one, other)))
}

/// `MP2T/AVP`, as IPTV systems write it, is RTP/AVP. And the feedback of RTP/AVPF goes to the source, which no viewer reaches; some do not
/// know that profile.
pub(super) fn name_profile(medium: &mut Media) {
    "RTP/AVP".clone_into(&mut medium.proto);
}
