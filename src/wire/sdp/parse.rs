//! A source's description, read from a file's bytes. Errors name the line and what to write there.
//!
//! It reads no file and joins no group.

use std::fmt;
use std::net::IpAddr;

use sdp_types::{Attribute, Connection, Media, ParserError, Rtcp, RtpMap, Session};

use super::presentation::{Presentation, TrackDescription, static_clock_rate, static_encoding};

/// The largest description taken, in bytes. Real ones have hundreds, with parameter sets a few thousand.
pub const MAX_SDP_LEN: usize = 64 * 1024;

/// The most tracks a program may have; interleaved in one connection they take two channels each of 256.
pub const MAX_TRACKS: usize = 32;

/// What is wrong in a description, on which line, and what to write there instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidSdp {
    /// The line in the file, from 1; none if it is about the whole.
    pub line: Option<usize>,
    /// What is wrong, naming the line's key, and the remedy.
    pub problem: String,
}

impl std::error::Error for InvalidSdp {}

impl fmt::Display for InvalidSdp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.problem),
            None => f.write_str(&self.problem),
        }
    }
}

/// Reads a source's description: every medium that is not disabled (port 0) becomes a track, and must be RTP
/// (`RTP/AVP` or `RTP/AVPF`) sent to a multicast group.
///
/// # Errors
/// The first thing that cannot be used.
pub fn parse(text: &[u8]) -> Result<Presentation, InvalidSdp> {
    if text.len() > MAX_SDP_LEN {
        return Err(about_all(format!(
            "the description is longer than {MAX_SDP_LEN} bytes; is it an SDP file?"
        )));
    }
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text); // a byte order mark, as editors leave it
    if !text.starts_with(b"v=0") {
        let problem =
            "v=0 must come first; is it an SDP file? (ffmpeg prints \"SDP:\" above it: remove that)";
        return Err(InvalidSdp { line: Some(1), problem: problem.into() });
    }
    let mut session = Session::parse(text).map_err(|error| syntax(&error))?;
    let lines = Lines::of(text);

    let mut tracks = Vec::new();
    let mut medias = Vec::new();
    for (index, medium) in std::mem::take(&mut session.medias).into_iter().enumerate() {
        if medium.port == 0 {
            continue;
        }
        tracks.push(Reader { session: &session, medium: &medium, lines: lines.medium(index) }.track()?);
        medias.push(medium);
        if tracks.len() > MAX_TRACKS {
            let problem = format!("m=: more than {MAX_TRACKS} tracks; spread them over several channels");
            return Err(InvalidSdp { line: lines.medium(index).first(b"m="), problem });
        }
    }
    if tracks.is_empty() {
        return Err(about_all(
            "no medium is enabled; write an m= line with the port the source sends to".into(),
        ));
    }
    session.medias = medias;
    Ok(Presentation { name: session.session_name.trim().to_owned(), tracks, session })
}

/// One medium in its session, with the lines it was read from.
struct Reader<'a> {
    session: &'a Session,
    medium: &'a Media,
    lines: Section<'a>,
}

impl Reader<'_> {
    fn track(&self) -> Result<TrackDescription, InvalidSdp> {
        self.check_proto()?;
        let payload_types = self.payload_types()?;
        let group = self.group()?;
        Ok(TrackDescription {
            group,
            port: self.medium.port,
            rtcp_port: self.rtcp_port()?,
            source: self.source(group)?,
            encoding: payload_types.first().and_then(|first| self.encoding(*first)),
            clock_rate: payload_types.first().and_then(|first| self.clock_rate(*first)),
            payload_types,
            media: self.medium.media.clone(),
        })
    }

    fn check_proto(&self) -> Result<(), InvalidSdp> {
        let proto = self.medium.proto.as_str();
        if ["RTP/AVP", "RTP/AVPF"].iter().any(|known| proto.eq_ignore_ascii_case(known)) {
            return Ok(());
        }
        let remedy = match proto.to_ascii_uppercase().as_str() {
            "RTP/SAVP" | "RTP/SAVPF" => "encrypted RTP is not reflected; let the source send RTP/AVP",
            "UDP" | "MP2T/H2221/UDP" => "bare MPEG-TS is not read yet; let the source send RTP/AVP 33",
            _ => "write RTP/AVP or RTP/AVPF, or port 0 to leave the medium out",
        };
        Err(self.problem(b"m=", format!("m=: transport {proto} is not understood; {remedy}")))
    }

    fn payload_types(&self) -> Result<Vec<u8>, InvalidSdp> {
        let mut types = Vec::new();
        for word in self.medium.fmt.split_ascii_whitespace() {
            match word.parse() {
                Ok(payload_type @ 0..=127) => types.push(payload_type),
                _ => {
                    let problem =
                        format!("m=: \"{word}\" is no RTP payload type; write numbers from 0 to 127");
                    return Err(self.problem(b"m=", problem));
                }
            }
        }
        if types.is_empty() {
            let problem = "m=: no payload type follows the transport; write for example RTP/AVP 96";
            return Err(self.problem(b"m=", problem.into()));
        }
        Ok(types)
    }

    /// The medium's own connection, else the session's (RFC 8866 section 5.7), with the TTL dropped.
    fn group(&self) -> Result<IpAddr, InvalidSdp> {
        let connection = match self.medium.connections.as_slice() {
            [] => self.session.connection.as_ref().ok_or_else(|| {
                let problem =
                    "m=: no c= line says where this medium is sent; write c=IN IP4 group/ttl below it";
                self.problem(b"m=", problem.into())
            })?,
            [one] => one,
            _ => {
                let problem = "c=: several groups for one medium; write an m= line for each of them";
                return Err(self.problem(b"c=", problem.into()));
            }
        };
        group_of(connection).map_err(|problem| self.problem(b"c=", problem))
    }

    fn rtcp_port(&self) -> Result<u16, InvalidSdp> {
        if self.medium.has_attribute("rtcp-mux") {
            return Ok(self.medium.port);
        }
        match self.medium.get_first_attribute_typed::<Rtcp>() {
            None => self.medium.port.checked_add(1).ok_or_else(|| {
                let problem = "m=: port 65535 leaves none for RTCP; use a lower port or write a=rtcp:port";
                self.problem(b"m=", problem.into())
            }),
            Some(Ok(rtcp)) if rtcp.port > 0 => Ok(rtcp.port),
            Some(_) => Err(self.problem(b"a=rtcp:", "a=rtcp: has no usable port; write a=rtcp:port".into())),
        }
    }

    /// The source filter of the medium, else of the session (RFC 4570 section 3.2.1).
    fn source(&self, group: IpAddr) -> Result<Option<IpAddr>, InvalidSdp> {
        for attributes in [&self.medium.attributes, &self.session.attributes] {
            let mut sources = Vec::new();
            for filter in values(attributes, "source-filter") {
                let found = filter_sources(filter, group);
                sources.extend(found.map_err(|problem| self.problem(b"a=source-filter:", problem))?);
            }
            match sources.as_slice() {
                [] => {}
                [source] => return Ok(Some(*source)),
                _ => {
                    let problem =
                        "a=source-filter: several sources for one group; write the one to play from";
                    return Err(self.problem(b"a=source-filter:", problem.into()));
                }
            }
        }
        Ok(None)
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

    fn problem(&self, key: &[u8], problem: String) -> InvalidSdp {
        InvalidSdp { line: self.lines.first(key).or_else(|| self.lines.first(b"m=")), problem }
    }
}

fn group_of(connection: &Connection) -> Result<IpAddr, String> {
    let text = &connection.connection_address;
    let address = connection.try_address().map_err(|_| {
        format!("c=: \"{text}\" is no group; write its address, as in c=IN IP4 239.9.9.1/16 (names are not resolved)")
    })?;
    if address.count.is_some_and(|count| count > 1) {
        return Err(format!(
            "c=: \"{text}\" is a range of groups; write an m= line with its own c= for each"
        ));
    }
    if !address.ip.is_multicast() {
        return Err(format!(
            "c=: {} is not a multicast address; write the group the source sends to",
            address.ip
        ));
    }
    Ok(address.ip)
}

/// The sources that one `a=source-filter:` includes for `group`, none if it is about another group.
///
/// Read here and not as `sdp_types::SourceFilter`, which refuses the TTL that some senders leave on the group.
fn filter_sources(filter: &str, group: IpAddr) -> Result<Vec<IpAddr>, String> {
    const SHAPE: &str = "write a=source-filter: incl IN IP4 group source";
    let mut words = filter.split_ascii_whitespace();
    let (Some(mode), Some(_nettype), Some(_addrtype), Some(destination)) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(format!("a=source-filter: \"{filter}\" is incomplete; {SHAPE}"));
    };
    let destination = destination.split('/').next().unwrap_or_default();
    if destination != "*" && destination.parse() != Ok(group) {
        return Ok(vec![]);
    }
    if !mode.eq_ignore_ascii_case("incl") {
        return Err(format!("a=source-filter: mode {mode} cannot be joined; {SHAPE}, or remove the line"));
    }
    let sources = words.map(|word| match word.parse::<IpAddr>() {
        Ok(source) if source.is_ipv4() == group.is_ipv4() && !source.is_multicast() => Ok(source),
        _ => Err(format!("a=source-filter: \"{word}\" is no address of a sender to {group}; {SHAPE}")),
    });
    let sources: Vec<IpAddr> = sources.collect::<Result<_, _>>()?;
    if sources.is_empty() {
        return Err(format!("a=source-filter: no source follows the group; {SHAPE}"));
    }
    Ok(sources)
}

fn values<'a>(attributes: &'a [Attribute], name: &'a str) -> impl Iterator<Item = &'a str> {
    let named = attributes.iter().filter(move |attribute| attribute.attribute.eq_ignore_ascii_case(name));
    named.map(|attribute| attribute.value.as_deref().unwrap_or_default())
}

fn syntax(error: &ParserError) -> InvalidSdp {
    about_all(format!("{error}; correct that line, RFC 8866 says how it is written"))
}

fn about_all(problem: String) -> InvalidSdp {
    InvalidSdp { line: None, problem }
}

/// The file by lines, for errors that point.
struct Lines<'a> {
    all: Vec<&'a [u8]>,
    /// Where each `m=` line stands.
    media: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn of(text: &'a [u8]) -> Self {
        let all: Vec<_> = text.split(|byte| *byte == b'\n').collect();
        let media =
            all.iter().enumerate().filter(|(_, line)| line.starts_with(b"m=")).map(|(at, _)| at).collect();
        Self { all, media }
    }

    fn medium(&self, index: usize) -> Section<'_> {
        let start = self.media.get(index).copied().unwrap_or_default();
        let end = self.media.get(index + 1).copied().unwrap_or(self.all.len());
        let session_end = self.media.first().copied().unwrap_or_default();
        Section { session: &self.all[..session_end], medium: &self.all[start..end], start }
    }
}

/// The lines of one medium, and of the session above it.
struct Section<'a> {
    session: &'a [&'a [u8]],
    medium: &'a [&'a [u8]],
    start: usize,
}

impl Section<'_> {
    /// The number of the first line with this key: in the medium, else in the session.
    fn first(&self, key: &[u8]) -> Option<usize> {
        let find = |lines: &[&[u8]]| lines.iter().position(|line| line.starts_with(key));
        find(self.medium).map(|at| self.start + at + 1).or_else(|| find(self.session).map(|at| at + 1))
    }
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
