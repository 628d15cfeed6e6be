//! The lines of the log about viewers, as they are written.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::relay::Channel;
use crate::wire::rtsp::{LOOP_DETECTED, StatusCode};

use super::legible::{legible, legible_path};
use super::restraint::{Again, Why};

/// What lines about viewers are said to come from, so that they can be filtered and found.
pub const VIEWERS: &str = "mirrorball::viewers";

/// A request is refused, in the words of the log.
pub const REFUSED: &str = "refused";

/// Tracks of which a line tells the ports.
const MOST_TRACKS: usize = 4;

/// How a track reaches its viewer.
pub enum Way {
    Udp {
        client: (u16, u16),
        server: (u16, u16),
    },
    /// Without RTP.
    Raw {
        client: u16,
        server: u16,
    },
    Multicast {
        group: IpAddr,
        ports: (u16, u16),
    },
    Tcp {
        channels: (u8, u8),
    },
    Http,
}

/// A session that plays.
pub struct Begun<'a> {
    pub client: SocketAddr,
    pub over_tcp: bool,
    pub session: u64,
    pub channel: &'a str,
    pub ways: Vec<Way>,
    pub agent: Option<&'a str>,
    pub what: Course,
}

/// What has become of a session that plays.
#[derive(Debug, Clone, Copy)]
pub enum Course {
    Plays,
    /// It has played before, in other ways.
    Changes,
    /// Likewise, at other ports.
    IsFollowed,
}

impl Course {
    fn told(self) -> &'static str {
        match self {
            Self::Plays => "a session plays",
            Self::Changes => "a session goes on in another way",
            Self::IsFollowed => "a session goes on at ports that were learnt",
        }
    }
}

/// A session that has ended.
pub struct Ended {
    pub client: SocketAddr,
    pub reason: &'static str,
    pub packets: u64,
    pub bytes: u64,
    pub missed: u64,
    /// As the viewer reported it.
    pub lost: Option<i64>,
    pub session: u64,
    pub channel: Arc<Channel>,
    pub has_played: bool,
    /// Where packets went last, over UDP.
    pub client_ports: Option<String>,
    pub lasted: Duration,
    pub jitter_seconds: Option<f64>,
    pub round_trip: Option<Duration>,
}

/// Who was refused, and what it had asked for.
#[derive(Clone, Copy)]
pub struct Refused<'a> {
    pub client: SocketAddr,
    pub why: Why,
    pub method: Option<&'a str>,
    /// The channel, or what could not be read.
    pub asked: Option<&'a str>,
    pub agent: Option<&'a str>,
}

impl Way {
    fn transport(&self) -> &'static str {
        match self {
            Self::Udp { .. } => "udp",
            Self::Raw { .. } => "raw",
            Self::Multicast { .. } => "multicast",
            Self::Tcp { .. } => "tcp",
            Self::Http => "http",
        }
    }
}

impl Begun<'_> {
    pub fn tell(&self) {
        let Self { client, session, channel, what, .. } = *self;
        let (mut server_ports, mut groups, mut channels) = (vec![], vec![], vec![]);
        for way in &self.ways {
            match way {
                Way::Udp { server, .. } => server_ports.push(pair(*server)),
                Way::Raw { server, .. } => server_ports.push(server.to_string()),
                Way::Multicast { group, ports } => groups.push(format!("{group}:{}", pair(*ports))),
                Way::Tcp { channels: of_way } => channels.push(pair(*of_way)),
                Way::Http => {}
            }
        }
        server_ports.dedup();
        let is_used = |transport: &&str| self.ways.iter().any(|way| way.transport() == *transport);
        let transport = ["udp", "raw", "multicast", "tcp", "http"]
            .into_iter()
            .filter(is_used)
            .collect::<Vec<_>>()
            .join(" and ");
        let client_ports = client_ports(&self.ways);
        let [server_ports, groups, channels] = [server_ports, groups, channels].map(list);
        let agent = self.agent.map(legible);
        let (client, port) = (client.ip(), client.port());
        tracing::info!(
            target: VIEWERS,
            %client, port, session, channel, transport, client_ports, server_ports, groups, channels, agent,
            "{}", what.told()
        );
    }
}

impl Ended {
    pub fn tell(&self) {
        let Self { client, session, reason, packets, bytes, missed, lost, .. } = *self;
        let (client, port, channel) = (client.ip(), client.port(), self.channel.name.as_str());
        let seconds = thousandths(self.lasted.as_secs_f64());
        if !self.has_played {
            return tracing::info!(
                target: VIEWERS,
                %client, port, session, channel, reason, seconds,
                "a session has ended before it played"
            );
        }
        let jitter_ms = self.jitter_seconds.map(|jitter| thousandths(jitter * 1e3));
        let client_ports = self.client_ports.as_deref();
        let round_trip_ms = self.round_trip.map(|time| thousandths(time.as_secs_f64() * 1e3));
        tracing::info!(
            target: VIEWERS,
            %client, port, session, channel, reason, seconds, packets, bytes, missed, lost, jitter_ms, round_trip_ms,
            client_ports,
            "a session has ended"
        );
    }
}

impl Refused<'_> {
    /// One that has said nothing yet.
    pub fn unheard(client: SocketAddr, why: Why) -> Self {
        Self { client, why, method: None, asked: None, agent: None }
    }

    pub fn tell(&self) {
        let Self { client, why: Why { what, status, reason }, method, asked, agent } = *self;
        let (method, asked, agent) = (method.map(legible), asked.map(legible_path), agent.map(legible));
        let (method, asked, agent) = (method.as_deref(), asked.as_deref(), agent.as_deref());
        let (client, port) = (client.ip(), client.port());
        let status = Some(status).filter(|status| *status > 0);
        tracing::info!(target: VIEWERS, %client, port, status, reason, method, asked, agent, "{what}");
    }
}

impl Again {
    pub fn tell(&self) {
        let Self { client, why: Why { what, status, reason }, times, seconds } = *self;
        let status = Some(status).filter(|status| *status > 0);
        tracing::info!(target: VIEWERS, %client, status, reason, times, seconds, "{what} again");
    }
}

/// Why a request is refused, where the status says all.
pub fn reason_of(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BadRequest => "bad request",
        StatusCode::NotFound => "no such channel or track",
        StatusCode::MethodNotAllowed => "method not allowed",
        StatusCode::NotAcceptable => "not acceptable",
        StatusCode::RequestMessageBodyTooLarge => "body too large",
        StatusCode::RequestURITooLong => "URI too long",
        StatusCode::ParameterNotUnderstood => "parameter not understood",
        StatusCode::NotEnoughBandwidth => "not enough bandwidth",
        StatusCode::SessionNotFound => "no such session",
        StatusCode::MethodNotValidInThisState => "not in this state",
        StatusCode::AggregateOperationNotAllowed => "not of the whole",
        StatusCode::OnlyAggregateOperationAllowed => "of the whole only",
        StatusCode::UnsupportedTransport => "transport not supported",
        StatusCode::NotImplemented => "not implemented",
        StatusCode::GatewayTimeout => "the channel's source has not answered",
        LOOP_DETECTED => "it has come round",
        StatusCode::RTSPVersionNotSupported => "version not supported",
        StatusCode::OptionNotSupported => "option not supported",
        _ => "unavailable",
    }
}

/// Where packets go over UDP.
pub fn client_ports(ways: &[Way]) -> Option<String> {
    let ports = |way: &Way| match way {
        Way::Udp { client, .. } => Some(pair(*client)),
        Way::Raw { client, .. } => Some(client.to_string()),
        Way::Multicast { .. } | Way::Tcp { .. } | Way::Http => None,
    };
    list(ways.iter().filter_map(ports).collect())
}

/// `5000-5001`: of RTP and of RTCP.
fn pair<N: Display>((rtp, rtcp): (N, N)) -> String {
    format!("{rtp}-{rtcp}")
}

/// `5000-5001,5002-5003`; nothing for none.
fn list(mut all: Vec<String>) -> Option<String> {
    if all.len() > MOST_TRACKS {
        all.truncate(MOST_TRACKS);
        all.push("…".to_owned());
    }
    Some(all.join(",")).filter(|told| !told.is_empty())
}

fn thousandths(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_told_of_a_few_tracks() {
        assert_eq!(list(vec![]), None);
        let told = |tracks| list((0..tracks).map(|track| pair((2 * track, 2 * track + 1))).collect());
        assert_eq!(told(2).as_deref(), Some("0-1,2-3"));
        assert_eq!(told(9).as_deref(), Some("0-1,2-3,4-5,6-7,…"));
    }
}
