//! SETUP: by which transport a track is to come, and what that takes (RFC 2326 section 10.4).

use std::net::SocketAddr;
use std::sync::Arc;

use crate::net::with_port;
use crate::relay::{Carriage, Channel, Track};
use crate::wire::rtsp::transport::{self, Delivery, Profile, Transport};
use crate::wire::rtsp::{Reply, StatusCode};
use crate::wire::sdp::Repairs;

use super::super::media::{FIRST_CLIENT_PORT, Grant};
use super::super::stats::RefusedFor;
use super::refusal::Refusal;
use super::requests::Asked;
use super::session::Session;
use super::talk::Action;
use super::world::Wanted;

impl Asked<'_> {
    pub fn set_up(&mut self) -> Result<Reply, Refusal> {
        let (channel, track) = self.channel()?;
        if let Some(track) = track.as_ref().filter(|_| self.is_about_rtx()) {
            return self.set_up_again(&channel, track);
        }
        let track = match (track, channel.tracks.as_slice()) {
            (Some(track), _) => track,
            (None, [only]) => only.clone(),
            (None, _) => return Err(StatusCode::AggregateOperationNotAllowed.into()),
        };
        let header = self.request.header("Transport").ok_or(StatusCode::BadRequest)?;
        let transport = self.transport(header, &channel, &track, |_| true)?;
        self.check_ports(&transport)?;
        let session = match self.request.session() {
            Some(_) => self.session()?,
            None => self.begin(channel.clone(), is_in_connection(&transport))?,
        };
        if !Arc::ptr_eq(&session.channel, &channel) {
            return Err(StatusCode::AggregateOperationNotAllowed.into());
        }
        let granted = self.grant(&session, &track, &transport);
        if granted.is_err() && session.tracks() == 0 {
            self.talk.end(session.clone(), "not granted");
        }
        let header = self.granted(granted?, &transport, session.ssrc(&track));
        let reply = self.ok(Some(&session)).transport(&header);
        self.then = Some(Action::ChangeOver(session));
        Ok(reply)
    }

    /// What is granted, as it is answered.
    pub fn granted(&self, grant: Grant, transport: &Transport, ssrc: Option<u32>) -> String {
        let header = grant.header(transport.profile);
        let has_rtp = !matches!(transport.delivery, Delivery::Raw { .. });
        match ssrc {
            Some(ssrc) if has_rtp => format!("{header};ssrc={ssrc:08X}"),
            _ => header,
        }
    }

    fn begin(&mut self, channel: Arc<Channel>, in_connection: bool) -> Result<Arc<Session>, Refusal> {
        self.world.welcome(&channel, self.now).map_err(|reason| self.too_much(reason))?;
        let begun = self.talk.begin(self.world, channel, in_connection, self.now);
        begun.map_err(|reason| self.too_much(reason))
    }

    /// Sets a track up by a transport; where it has what is asked for it keeps that.
    fn grant(
        &self,
        session: &Arc<Session>,
        track: &Arc<Track>,
        transport: &Transport,
    ) -> Result<Grant, Refusal> {
        let url = &self.request.uri;
        let too_much = |reason| self.too_much(reason);
        let costs = self.world.costs(session, track, url).map_err(too_much)?;
        let present = session.granted(track.number);
        let wanted = self.wanted(session, transport, present)?;
        let way = match present {
            Some(present) if wanted.is(&present, self.world.local()) => None,
            _ => Some(self.world.way(session, track, wanted, self.now).map_err(too_much)?),
        };
        let grant = way.as_ref().map(|way| way.grant()).or(present);
        let is_set_up = session.set_up(&self.talk.home, (track, url), way, costs);
        session.repair_by(track.number, self.rtx(&session.channel, track, transport));
        grant.filter(|_| is_set_up).ok_or(StatusCode::SessionNotFound.into())
    }

    /// The payload type under which a client takes what it has lost as a stream of its own: it was offered that, and asks for the
    /// profile that goes with it.
    fn rtx(&self, channel: &Channel, track: &Track, transport: &Transport) -> Option<u8> {
        let takes_it = transport.profile == Profile::Avpf && self.repairs(channel) == Some(Repairs::Rtx);
        track.description.rtx_type().filter(|_| takes_it)
    }

    fn wanted(
        &self,
        session: &Arc<Session>,
        transport: &Transport,
        present: Option<Grant>,
    ) -> Result<Wanted, Refusal> {
        let at = |port| -> SocketAddr { with_port(self.world.peer(), port) };
        match transport.delivery {
            Delivery::Multicast => Ok(Wanted::Multicast),
            Delivery::Raw { client_port } => Ok(Wanted::Raw { client: at(client_port) }),
            Delivery::Udp { client_rtp_port, client_rtcp_port } => {
                Ok(Wanted::Udp { client: (at(client_rtp_port), at(client_rtcp_port)) })
            }
            Delivery::Interleaved { channels } => {
                // Packets would come by another connection than the one whose channels these are.
                let is_own = session.belongs_to(&self.talk.home);
                let own = present.and_then(|grant| grant.channels());
                match self.free_channels(channels, own).filter(|_| is_own) {
                    Some(channels) => Ok(Wanted::Interleaved { channels }),
                    None if session.has_ended() => Err(StatusCode::SessionNotFound.into()),
                    None => Err(StatusCode::UnsupportedTransport.into()),
                }
            }
        }
    }

    /// The channels asked for where they are free, or those that the track has, or the first free ones of the connection.
    fn free_channels(&self, asked: Option<(u8, u8)>, own: Option<(u8, u8)>) -> Option<(u8, u8)> {
        let is_own = |channel| own.is_some_and(|(rtp, rtcp)| [rtp, rtcp].contains(&channel));
        let others = |channel| self.talk.sessions.iter().any(|session| session.uses_channel(channel));
        let is_free = |channel| is_own(channel) || !others(channel);
        let free = |pair: &(u8, u8)| pair.0 != pair.1 && is_free(pair.0) && is_free(pair.1);
        let first = || (0..=254).step_by(2).map(|even| (even, even + 1)).find(free);
        asked.filter(free).or(own).or_else(first)
    }

    /// The first transport that is served and one of `those`; through TLS, in the connection where nothing else may be.
    pub fn transport(
        &self,
        header: &str,
        channel: &Channel,
        track: &Track,
        those: impl Fn(&Transport) -> bool,
    ) -> Result<Transport, Refusal> {
        let allows_udp = self.world.allows_udp();
        let is_served = |asked: &Transport| those(asked) && self.is_served(channel, track, asked);
        let found =
            transport::parse(header, |asked| is_served(asked) && (allows_udp || is_in_connection(asked)));
        found.map_err(|refused| match transport::parse(header, is_served) {
            Ok(_) => self.too_much(RefusedFor::Clear),
            Err(_) => refused.status().into(),
        })
    }

    fn is_served(&self, channel: &Channel, track: &Track, asked: &Transport) -> bool {
        let by = match asked.delivery {
            Delivery::Raw { .. } => Carriage::Raw,
            Delivery::Multicast => Carriage::Multicast,
            Delivery::Udp { .. } => Carriage::Udp,
            Delivery::Interleaved { .. } => Carriage::Tcp,
        };
        let is_possible = match asked.delivery {
            // Without RTP only a transport stream tells where it is and how fast it goes.
            Delivery::Raw { .. } => track.description.is_transport_stream(),
            Delivery::Multicast => self.world.out_group(channel).is_some(),
            Delivery::Udp { .. } | Delivery::Interleaved { .. } => true,
        };
        is_possible && self.world.serves(by)
    }

    /// Ports of well-known services are no viewer's: a stream is not to be aimed at one. Another transport may be.
    pub fn check_ports(&self, transport: &Transport) -> Result<(), Refusal> {
        let lowest = match transport.delivery {
            Delivery::Udp { client_rtp_port, client_rtcp_port } => client_rtp_port.min(client_rtcp_port),
            Delivery::Raw { client_port } => client_port,
            Delivery::Multicast | Delivery::Interleaved { .. } => return Ok(()),
        };
        if lowest < FIRST_CLIENT_PORT { Err(self.too_much(RefusedFor::Port)) } else { Ok(()) }
    }
}

fn is_in_connection(asked: &Transport) -> bool {
    matches!(asked.delivery, Delivery::Interleaved { .. })
}
