//! Whether a request may have what it asks for: a session, a transport, a share of what its address may hold.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::net::with_port;
use crate::relay::{Channel, Track};
use crate::wire::rtsp::StatusCode;
use crate::wire::rtsp::transport::{Delivery, Transport};

use super::addresses::Good;
use super::port_pairs::{Client, Reservation};
use super::refusal_watch::RefusalWatch;
use super::requests::{Asked, Refusal};
use super::rtsp_connection::RtspConnection;
use super::session::Session;
use super::session_watch::SessionWatch;
use super::setup::{Costs, Granted};
use super::stats::RefusedFor;

/// Seconds until one who was sent away may come back, and over how many a crowd is spread.
const RETRY_AFTER_S: u16 = 3;
const RETRY_SPREAD_S: u16 = 8;
/// Below it are the ports of services that every host knows (RFC 6335).
const FIRST_CLIENT_PORT: u16 = 1024;

impl Asked<'_> {
    /// A session of this client's, if it may have one more.
    pub fn new_session(&mut self, channel: Arc<Channel>) -> Result<Arc<Session>, Refusal> {
        let connection = self.connection;
        self.welcome()?;
        let id = session_id().map_err(|_| StatusCode::ServiceUnavailable)?;
        let place = connection.account.take(Good::Sessions, 1);
        let place = place.ok_or_else(|| self.unavailable(RefusedFor::Address))?;
        let session = Arc::new(Session::new(id, channel, connection, place, self.now));
        if connection.server.is_stopping() || !connection.server.sessions.add(&session) {
            return Err(self.unavailable(RefusedFor::Limit));
        }
        self.state.forget_ended(); // others may have ended them, and would have us keep as many as they like
        self.state.sessions.push(session.clone());
        SessionWatch::start(&connection.server, &session, self.now);
        Ok(session)
    }

    /// Whether one more can be served. One who comes while media is too late is told so before it costs anything.
    pub fn welcome(&self) -> Result<(), Refusal> {
        if self.connection.server.lateness.is_too_late(self.now) {
            self.connection.server.say_that_newcomers_are_refused(self.now);
            return Err(self.unavailable(RefusedFor::Late));
        }
        Ok(())
    }

    /// A refusal that says when to come back: a crowd that is sent away is spread, so as not to come back as one.
    fn unavailable(&self, reason: RefusedFor) -> Refusal {
        self.connection.server.counters.session_refused(reason);
        let header = Some(("Retry-After", retry_after_s(self.connection.peer.port()).to_string()));
        Refusal { status: StatusCode::ServiceUnavailable, header, reason: reason.label() }
    }

    /// What a track takes of what the client's address and the session's connection may have.
    pub fn costs(&self, session: &Session, track: &Track) -> Result<Costs, Refusal> {
        let memory = session.output.room_for_setup(self.request.uri.len());
        let memory = memory.ok_or_else(|| self.unavailable(RefusedFor::Connection))?;
        // One that is set up already weighs no more for being so again.
        let is_new = session.granted(track.number).is_none();
        let weight = if is_new { track.rtp.ring().bits_per_second() } else { 0 };
        let egress = self.connection.account.take(Good::Egress, weight);
        Ok(Costs { egress: egress.ok_or_else(|| self.too_much_egress())?, memory })
    }

    /// A refusal of more than the address may have a second (RFC 2326 section 11.3.3).
    pub fn too_much_egress(&self) -> Refusal {
        self.connection.server.counters.session_refused(RefusedFor::Egress);
        Refusal { reason: RefusedFor::Egress.label(), ..StatusCode::NotEnoughBandwidth.into() }
    }

    /// Ports of well-known services are no viewer's: a stream is not to be aimed at one. Another transport may be.
    pub fn check_ports(&self, transport: &Transport) -> Result<(), Refusal> {
        match transport.delivery {
            Delivery::Udp { client_rtp_port, client_rtcp_port }
                if client_rtp_port.min(client_rtcp_port) < FIRST_CLIENT_PORT =>
            {
                self.connection.server.counters.session_refused(RefusedFor::Port);
                let reason = RefusedFor::Port.label();
                Err(Refusal { reason, ..StatusCode::UnsupportedTransport.into() })
            }
            _ => Ok(()),
        }
    }

    /// Reserves what a transport needs, where the track does not have it already; returns it with the reply's Transport
    /// header.
    pub fn grant(
        &self,
        session: &Arc<Session>,
        track: &Track,
        transport: &Transport,
    ) -> Result<(Granted, String), Refusal> {
        let present = session.granted(track.number);
        match transport.delivery {
            Delivery::Udp { client_rtp_port, client_rtcp_port } => {
                let peer = self.connection.peer;
                let places = (with_port(peer, client_rtp_port), with_port(peer, client_rtcp_port));
                let reserved = match present {
                    Some(Granted::Udp(own)) if own.is_of(self.connection.local, places) => own,
                    _ => self
                        .reserve(places, Client { session: Arc::downgrade(session), track: track.number })?,
                };
                let server_ports = (reserved.pair.port, reserved.pair.port + 1);
                let client_ports = (client_rtp_port, client_rtcp_port);
                let header = Transport::udp_reply(transport.profile, client_ports, server_ports);
                Ok((Granted::Udp(reserved), header))
            }
            // The packets would come by another connection than the one whose channels these are.
            Delivery::Interleaved { .. } if !Arc::ptr_eq(&session.output, &self.connection.output) => {
                Err(StatusCode::UnsupportedTransport.into())
            }
            Delivery::Interleaved { channels } => {
                let own = present.and_then(|granted| granted.channels());
                let free = self.free_channels(channels, own);
                let (rtp, rtcp) = free.ok_or(StatusCode::UnsupportedTransport)?;
                self.connection.output.carry_media(track.rtp.marks().dscp);
                let header = Transport::interleaved_reply(transport.profile, (rtp, rtcp));
                Ok((Granted::Interleaved { rtp, rtcp }, header))
            }
        }
    }

    fn reserve(&self, places: (SocketAddr, SocketAddr), client: Client) -> Result<Arc<Reservation>, Refusal> {
        let RtspConnection { server, peer, local, .. } = self.connection;
        let reserved = server.pairs.reserve(*local, places, client).map_err(|error| {
            if server.lacks_pairs.begins(self.now) {
                tracing::warn!(%peer, %error, "no server port pair for a subscriber");
            }
            self.unavailable(RefusedFor::Limit)
        })?;
        RefusalWatch::start(server, self.now);
        Ok(reserved)
    }

    /// The channels asked for where they are free, or those that the track has, or the first free ones of the connection.
    fn free_channels(&self, asked: Option<(u8, u8)>, own: Option<(u8, u8)>) -> Option<(u8, u8)> {
        let is_own = |channel| own.is_some_and(|(rtp, rtcp)| [rtp, rtcp].contains(&channel));
        let others = |channel| self.state.sessions.iter().any(|session| session.uses_channel(channel));
        let is_free = |channel| is_own(channel) || !others(channel);
        let free = |pair: &(u8, u8)| pair.0 != pair.1 && is_free(pair.0) && is_free(pair.1);
        let first = || (0..=254).step_by(2).map(|even| (even, even + 1)).find(free);
        asked.filter(free).or(own).or_else(first)
    }
}

/// Ports of a host, or behind one address, are as good as random, but for their lowest bit: Linux gives out even ones.
pub(super) fn retry_after_s(client_port: u16) -> u16 {
    RETRY_AFTER_S + client_port / 2 % RETRY_SPREAD_S
}

/// 96 random bits: whoever knows the id controls the session.
fn session_id() -> Result<String, getrandom::Error> {
    let mut random = [0; 12];
    getrandom::fill(&mut random)?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_with_even_ports_is_spread_over_all_seconds() {
        let seconds: Vec<_> = (0..8).map(|n| retry_after_s(40_000 + 2 * n)).collect();
        assert_eq!(seconds, [3, 4, 5, 6, 7, 8, 9, 10]);
    }
}
