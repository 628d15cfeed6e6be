//! A presentation as DESCRIBE returns it: the source's description with us in the source's place
//! (RFC 2326 appendix C.1).
//!
//! It knows no URLs: the controls are relative to the Content-Base of the reply.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use sdp_types::{Attribute, Bandwidth, Connection, Media, Origin, Session};

use super::Presentation;
use super::rtx_session::{self, Retransmission};

/// Attributes that say how to reach the source, how it may be controlled or which way it sends: none of it is
/// true of us. RTCP has its own port or channel here, so nothing is multiplexed either.
const SOURCES_OWN: [&str; 13] = [
    "control",
    "inactive",
    "range",
    "recvonly",
    "rtcp",
    "rtcp-fb",
    "rtcp-mux",
    "rtcp-mux-only",
    "rtcp-unicast",
    "sendonly",
    "sendrecv",
    "source-filter",
    "ssrc-group",
];

/// The range of what is live.
const LIVE: &str = "npt=now-";

/// Writes the description for a viewer of this server: no address and no port, a control for the whole
/// (`a=control:*`) and one for each track (`trackID=1` and up), and a range that is live. All that describes
/// the media stays as it was and in its order.
///
/// `server` is our address as the viewer reached it. It gives the family, and stands in the origin if the
/// source's own is unusable.
#[must_use]
pub fn unicast(presentation: &Presentation, server: IpAddr) -> String {
    describe(presentation, server, None).to_string()
}

/// Bits of RTCP a second that a viewer who asks for what it has lost may send, and we (RFC 3556). Where none are said a client takes some
/// that fit sound, and may ask but once or twice a second (RFC 4585 section 3.5.2) until it has measured the stream.
const RECEIVER_BITS: u64 = 240_000;
const SENDER_BITS: u64 = 60_000;
/// How far apart its reports are that ask for nothing (RFC 4585 section 4.2), which all those bits would be used for otherwise.
const REGULAR_REPORT_MS: u32 = 1_000;

/// How a viewer has again what it has lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repairs {
    /// As it was (RFC 4585).
    Originals,
    /// As a stream of its own beside the first (RFC 4588).
    Rtx,
    /// As a stream of its own, in an RTP session of its own.
    RtxSession,
}

/// The same for a viewer who asks for what it has lost, and has it so, within so many milliseconds.
#[must_use]
pub fn repairable(
    presentation: &Presentation,
    server: IpAddr,
    repairs: Repairs,
    rtx_time_ms: u128,
) -> String {
    let mut session = describe(presentation, server, None);
    let mut apart: Vec<_> = session.medias.iter().map(|_| None).collect();
    for ((medium, track), apart) in session.medias.iter_mut().zip(&presentation.tracks).zip(&mut apart) {
        let [of] = track.payload_types[..] else { continue };
        let nack = Attribute::with_value("rtcp-fb", format!("{of} nack"));
        let stream = track.rtx_type().zip(track.clock_rate).map(|(rtx, rate)| {
            let rtpmap = Attribute::with_value("rtpmap", format!("{rtx} rtx/{rate}"));
            let fmtp = Attribute::with_value("fmtp", format!("{rtx} apt={of};rtx-time={rtx_time_ms}"));
            (rtx, [rtpmap, fmtp])
        });
        match (repairs, stream) {
            (Repairs::Originals, _) => medium.attributes.push(nack),
            (Repairs::Rtx, Some((rtx, attributes))) => {
                medium.fmt = format!("{} {rtx}", medium.fmt);
                medium.attributes.push(nack);
                medium.attributes.extend(attributes);
            }
            (Repairs::RtxSession, Some((payload_type, attributes))) => {
                medium.attributes.push(nack);
                *apart = Some(Retransmission { attributes: attributes.into(), payload_type });
            }
            (Repairs::Rtx | Repairs::RtxSession, None) => continue,
        }
        medium.attributes.push(Attribute::with_value("rtcp-fb", format!("{of} trr-int {REGULAR_REPORT_MS}")));
        let bandwidths = [("RS", SENDER_BITS), ("RR", RECEIVER_BITS)];
        medium
            .bandwidths
            .extend(bandwidths.map(|(kind, bits)| Bandwidth { bwtype: kind.to_owned(), bandwidth: bits }));
        medium.proto = "RTP/AVPF".to_owned();
    }
    rtx_session::add(&mut session, apart);
    session.to_string()
}

/// A description of what is live and was kept: its range is that of the clock, such as `clock=20261128T073719Z-`.
#[must_use]
pub fn recorded(description: &str, range: &str) -> Arc<str> {
    description.replacen(&format!("a=range:{LIVE}"), &format!("a=range:{range}"), 1).into()
}

/// The same for a viewer who takes it from a group: with that, how far packets go, and a port for each track: the first
/// one's, and two more for each that follows.
#[must_use]
pub fn multicast(presentation: &Presentation, server: IpAddr, group: SocketAddr, ttl: u8) -> String {
    describe(presentation, server, Some((group, ttl))).to_string()
}

/// The same as it is announced to whoever listens (RFC 2974): a session of ours, with an id and a version, which nobody controls.
#[must_use]
pub fn announced(
    presentation: &Presentation,
    (id, version): (u64, u64),
    server: IpAddr,
    (group, ttl): (SocketAddr, u8),
) -> String {
    let mut session = describe(presentation, server, Some((group, ttl)));
    session.origin = Origin::with_ip_addr(id.to_string(), version, server.to_canonical());
    session.attributes.retain(|attribute| !["control", "range"].contains(&attribute.attribute.as_str()));
    for medium in &mut session.medias {
        medium.attributes.retain(|attribute| attribute.attribute != "control");
    }
    session.to_string()
}

fn describe(presentation: &Presentation, server: IpAddr, group: Option<(SocketAddr, u8)>) -> Session {
    let server = server.to_canonical();
    let source = &presentation.session;
    let port = |track: u16| group.map_or(0, |(group, _)| ports_of(group.port(), track.into()).0);
    Session {
        origin: origin(&source.origin, server),
        session_name: session_name(&source.session_name),
        connection: Some(match group {
            Some((group, ttl)) => Connection::from_ip_addr_ttl(
                group.ip(),
                Some(ttl).filter(|_| group.is_ipv4() && group.ip().is_multicast()),
            ),
            None => Connection::from_ip_addr(nowhere(server)),
        }),
        attributes: [Attribute::with_value("control", "*"), Attribute::with_value("range", LIVE)]
            .into_iter()
            .chain(kept(&source.attributes))
            .collect(),
        bandwidths: media_bandwidths(&source.bandwidths),
        medias: source
            .medias
            .iter()
            .zip(1..)
            .map(|(source, track)| medium(source, track, port(track)))
            .collect(),
        ..source.clone()
    }
}

/// The ports of a track, from 1, where the first one's RTP has that port.
#[must_use]
pub fn ports_of(first: u16, track: usize) -> (u16, u16) {
    let rtp = first.saturating_add(u16::try_from(2 * track.saturating_sub(1)).unwrap_or(u16::MAX));
    (rtp, rtp.saturating_add(1))
}

fn medium(source: &Media, track: u16, port: u16) -> Media {
    Media {
        port,
        num_ports: None,
        fmt: source.fmt.split_ascii_whitespace().collect::<Vec<_>>().join(" "),
        connections: vec![],
        bandwidths: media_bandwidths(&source.bandwidths),
        attributes: kept(&source.attributes)
            .chain([Attribute::with_value("control", format!("trackID={track}"))])
            .collect(),
        ..source.clone()
    }
}

fn kept(attributes: &[Attribute]) -> impl Iterator<Item = Attribute> {
    let is_kept = |attribute: &&Attribute| {
        !SOURCES_OWN.iter().any(|name| attribute.attribute.eq_ignore_ascii_case(name))
            && !is_of_two_legs(attribute)
    };
    attributes.iter().filter(is_kept).cloned()
}

/// A stream that comes on two networks (RFC 7104) leaves on one.
fn is_of_two_legs(attribute: &Attribute) -> bool {
    let is_group = attribute.attribute.eq_ignore_ascii_case("group");
    is_group && attribute.value.as_deref().is_some_and(|value| value.trim_start().starts_with("DUP"))
}

fn media_bandwidths(bandwidths: &[Bandwidth]) -> Vec<Bandwidth> {
    bandwidths.iter().filter(|bandwidth| !is_of_rtcp(bandwidth)).cloned().collect()
}

/// Bandwidth of RTCP (RFC 3556) is the source's: `b=RR:0` forbids the reports that a viewer lives by.
fn is_of_rtcp(bandwidth: &Bandwidth) -> bool {
    ["RR", "RS"].iter().any(|kind| bandwidth.bwtype.eq_ignore_ascii_case(kind))
}

/// The source's session id and version tell a viewer whether the description changed, so they stay where they
/// are valid (RFC 8866 section 5.2: an id of digits).
fn origin(source: &Origin, server: IpAddr) -> Origin {
    let is_number = !source.sess_id.is_empty() && source.sess_id.bytes().all(|byte| byte.is_ascii_digit());
    let id = if is_number { source.sess_id.as_str() } else { "0" };
    let address = source.unicast_address.parse().ok().filter(|address: &IpAddr| !address.is_unspecified());
    Origin {
        username: source.username.clone(),
        ..Origin::with_ip_addr(id, source.sess_version, address.unwrap_or(server))
    }
}

/// A session without a name is written as one space or a dash (RFC 8866 section 5.3).
fn session_name(source: &str) -> String {
    if source.trim().is_empty() { "-".to_owned() } else { source.to_owned() }
}

fn nowhere(server: IpAddr) -> IpAddr {
    match server {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{identity, parse, samples};
    use super::*;

    #[test]
    fn what_is_announced_is_a_session_of_ours_that_leads_to_the_group() {
        let (server, group) = (IpAddr::from([192, 0, 2, 1]), SocketAddr::from(([239, 255, 2, 2], 5000)));
        for sample in samples::ALL {
            let source = parse(sample.as_bytes()).expect("a sample");
            let text = announced(&source, (7, 9), server, (group, 3));
            assert!(text.contains("o=- 7 9 IN IP4 192.0.2.1\r\n"), "{text}");
            assert!(!text.contains("a=control") && !text.contains("a=range"), "{text}");
            let read = parse(text.as_bytes()).expect("a description");
            let ports = (0..).map(|track| 5000 + 2 * track);
            for (track, port) in read.tracks.iter().zip(ports) {
                assert_eq!((track.feeds[0].group, track.feeds[0].port), (group.ip(), port));
            }
            assert_eq!(read.tracks.len(), source.tracks.len());
            let later = announced(&source, (7, 10), server, (group, 3));
            assert_eq!(
                identity(text.as_bytes(), server),
                identity(later.as_bytes(), server),
                "a version makes no session"
            );
        }
    }
}
