//! What a description says once it is understood, and the one we write ourselves for MPEG-TS in RTP.
//!
//! It knows no text: reading is `parse`'s, writing is `unicast`'s.

use std::net::{IpAddr, Ipv4Addr};

use sdp_types::{Attribute, Media, Origin, Session};

use super::super::packetizer::MP2T;
use super::super::source_filter::SourceFilter;

/// A program as its source describes it: its name, and one track per RTP stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presentation {
    /// The session name (`s=`), which may be empty.
    pub name: String,
    /// The streams in the order of their `m=` lines; at least one, where it is known. Track N of RTSP is `tracks[N - 1]`.
    pub tracks: Vec<TrackDescription>,
    /// The whole description, one medium per track: what `unicast` rewrites.
    pub(super) session: Session,
}

/// One RTP stream of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackDescription {
    /// Where it is sent: once, as a rule; several times where it comes by several ways (RFC 7104), each of which carries all of
    /// it. Nowhere where it is not sent but asked for.
    pub feeds: Vec<Feed>,
    /// The SSRCs under which the same packets come (RFC 7104 section 3.1); viewers get them under the first one.
    pub same_ssrcs: Vec<u32>,
    /// What its datagrams are.
    pub framing: Framing,
    /// The payload types of its `m=` line, at least one.
    pub payload_types: Vec<u8>,
    /// The clock rate in Hz of the first payload type, if an `a=rtpmap:` or RFC 3551 tells it.
    pub clock_rate: Option<u32>,
    /// How its first payload type is encoded, as `a=rtpmap:` or RFC 3551 names it.
    pub encoding: Option<String>,
    /// What it is: `video`, `audio`, `application`, …
    pub media: String,
    /// The description itself says what its parameter sets are (`sprop-…` of RFC 6184 section 8.1, RFC 7798 section 7.1).
    pub tells_parameter_sets: bool,
    /// What nobody sends stands by for its feeds, as one more.
    pub has_standby: bool,
}

/// Where a stream is sent, and from whom it is taken there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feed {
    /// The multicast group it is sent to; or this machine's address, any of them where it is unspecified.
    pub group: IpAddr,
    /// The port its RTP is sent to.
    pub port: u16,
    /// The port its RTCP is sent to: the next one, or what `a=rtcp:` says (RFC 3605); `port` itself with
    /// `a=rtcp-mux` (RFC 5761). None where there is none.
    pub rtcp_port: Option<u16>,
    /// Where its RTCP is sent, if not to the same place.
    pub rtcp_group: Option<IpAddr>,
    /// From whom it is taken (RFC 4570), of the group's family.
    pub filter: SourceFilter,
}

/// What the datagrams of a stream are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// RTP packets.
    Rtp,
    /// Whole packets of a transport stream, without RTP.
    Bare,
    /// Either of both, as each datagram shows.
    Either,
}

impl Feed {
    /// Whether RTP and RTCP share one port (`a=rtcp-mux`, RFC 5761).
    #[must_use]
    pub fn is_muxed(&self) -> bool {
        self.rtcp_port == Some(self.port)
    }

    /// The port of its RTCP, where that is one of its own.
    #[must_use]
    pub fn own_rtcp_port(&self) -> Option<u16> {
        self.rtcp_port.filter(|port| *port != self.port)
    }
}

impl Presentation {
    /// One that is to be asked for elsewhere: nothing of it is known yet.
    #[must_use]
    pub fn unknown(name: &str) -> Self {
        let session = Session::new(Origin::with_ip_addr("0", 0, Ipv4Addr::UNSPECIFIED), name);
        Self { name: name.to_owned(), tracks: Vec::new(), session }
    }

    /// Whether its tracks carry what those of another one do, wherever both come from, and have the same parameters: who has the one
    /// can go on with the other.
    #[must_use]
    pub fn carries_what_is_in(&self, other: &Self) -> bool {
        let parameters = |of: &Self| {
            let attributes = |medium: &Media| medium.attributes.clone();
            let mut all: Vec<_> = of.session.medias.iter().map(attributes).collect();
            all.iter_mut().for_each(|medium| medium.retain(|one| one.attribute.eq_ignore_ascii_case("fmtp")));
            all
        };
        let are_alike = |(own, other): (&TrackDescription, &TrackDescription)| own.carries_what_is_in(other);
        self.tracks.len() == other.tracks.len()
            && self.tracks.iter().zip(&other.tracks).all(are_alike)
            && parameters(self) == parameters(other)
    }
}

impl TrackDescription {
    /// Whether it carries what another one does, and by as many feeds.
    fn carries_what_is_in(&self, other: &Self) -> bool {
        let elsewhere = Self { feeds: other.feeds.clone(), ..self.clone() };
        let are_muxed = |track: &Self| track.feeds.iter().map(Feed::is_muxed).collect::<Vec<_>>();
        elsewhere == *other && are_muxed(self) == are_muxed(other)
    }

    /// The payload type of what is sent again as a stream of its own (RFC 4588), where a stream has one of its own.
    #[must_use]
    pub fn rtx_type(&self) -> Option<u8> {
        let is_one = self.payload_types.len() == 1 && self.clock_rate.is_some();
        (96..=127).find(|free| !self.payload_types.contains(free)).filter(|_| is_one)
    }

    /// Whether it is a transport stream in RTP and nothing else: without RTP it is one as set-top boxes take it.
    #[must_use]
    pub fn is_transport_stream(&self) -> bool {
        let is_one = self.encoding.as_deref().is_some_and(|encoding| encoding.eq_ignore_ascii_case("MP2T"));
        is_one && self.payload_types.len() == 1
    }
}

/// The description of an MPEG transport stream in RTP (RFC 2250), which needs no file: payload type 33 says it all.
/// RTCP is on the next port, where there is one. The senders that `filter` names are of the group's family.
#[must_use]
pub fn mpegts(channel_name: &str, group: IpAddr, port: u16, filter: impl Into<SourceFilter>) -> Presentation {
    framed_mpegts(channel_name, Framing::Rtp, (group, port), filter.into())
}

/// The same of a transport stream that comes in RTP, or without. Viewers get it in RTP.
#[must_use]
pub fn framed_mpegts(
    channel_name: &str,
    framing: Framing,
    (group, port): (IpAddr, u16),
    filter: SourceFilter,
) -> Presentation {
    let (payload_type, clock_rate) = MP2T;
    let rtcp_port = port.checked_add(1).filter(|_| framing != Framing::Bare);
    let track = TrackDescription {
        feeds: vec![Feed { group, port, rtcp_port, rtcp_group: None, filter }],
        same_ssrcs: vec![],
        framing,
        payload_types: vec![payload_type],
        clock_rate: Some(clock_rate),
        encoding: Some("MP2T".to_owned()),
        media: "video".to_owned(),
        tells_parameter_sets: false,
        has_standby: false,
    };
    let map = Attribute::with_value("rtpmap", format!("{payload_type} MP2T/{clock_rate}"));
    let medium = medium(&track.media, port, payload_type, vec![map]);
    let mut session = Session::new(Origin::with_ip_addr("0", 0, Ipv4Addr::UNSPECIFIED), channel_name);
    session.medias.push(medium);
    Presentation { name: channel_name.to_owned(), tracks: vec![track], session }
}

/// A medium of one payload type in RTP.
pub(super) fn medium(media: &str, port: u16, payload_type: u8, attributes: Vec<Attribute>) -> Media {
    Media {
        media: media.to_owned(),
        port,
        num_ports: None,
        proto: "RTP/AVP".to_owned(),
        fmt: payload_type.to_string(),
        media_title: None,
        connections: vec![],
        bandwidths: vec![],
        key: None,
        attributes,
    }
}

/// That of a transport stream that is stored in a file: nothing is sent anywhere before somebody asks for it.
#[must_use]
pub fn stored_mpegts(name: &str) -> Presentation {
    let mut stored = mpegts(name, Ipv4Addr::UNSPECIFIED.into(), 0, None);
    stored.tracks.iter_mut().for_each(|track| track.feeds.clear());
    stored
}

/// The clock rate in Hz that RFC 3551 section 6 gives a static payload type.
pub(super) const fn static_clock_rate(payload_type: u8) -> Option<u32> {
    match payload_type {
        0 | 3..=5 | 7..=9 | 12 | 13 | 15 | 18 => Some(8_000), // G.722 (9) is 8000 too, by an old mistake
        6 => Some(16_000),
        10 | 11 => Some(44_100),
        16 => Some(11_025),
        17 => Some(22_050),
        14 | 25 | 26 | 28 | 31..=34 => Some(90_000),
        _ => None,
    }
}

/// The encodings of static payload types whose random access points are known here (RFC 3551 section 6).
pub(super) const fn static_encoding(payload_type: u8) -> Option<&'static str> {
    match payload_type {
        26 => Some("JPEG"),
        33 => Some("MP2T"),
        _ => None,
    }
}
