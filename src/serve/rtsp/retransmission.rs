//! What a track sends again in an RTP session of its own (RFC 4588 section 7.2): set up and torn down by itself, beside a track that is, and
//! neither played nor paused. It is no track: it counts for nothing by itself.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::net::with_port;
use crate::relay::{Channel, Track};
use crate::wire::rtsp::transport::{Delivery, Transport};
use crate::wire::rtsp::{Reply, StatusCode};
use crate::wire::sdp::Repairs;

use super::super::media::Grant;
use super::super::stats::RefusedFor;
use super::refusal::Refusal;
use super::requests::Asked;
use super::session::Session;
use super::setup::Retransmission;
use super::world::Wanted;

impl Asked<'_> {
    /// SETUP of it, over UDP: who asks for it means it, whatever profile it names.
    pub fn set_up_again(&mut self, channel: &Arc<Channel>, track: &Arc<Track>) -> Result<Reply, Refusal> {
        let offered = self.repairs(channel) == Some(Repairs::RtxSession) && track.rtp.is_repaired();
        let rtx = track.description.rtx_type().filter(|_| offered).ok_or(StatusCode::NotFound)?;
        let header = self.request.header("Transport").ok_or(StatusCode::BadRequest)?;
        let is_udp = |asked: &Transport| matches!(asked.delivery, Delivery::Udp { .. });
        let transport = self.transport(header, channel, track, is_udp)?;
        self.check_ports(&transport)?;
        let session = self.session()?;
        if !Arc::ptr_eq(&session.channel, channel) {
            return Err(StatusCode::AggregateOperationNotAllowed.into());
        }
        if !matches!(session.granted(track.number), Some(Grant::Udp { .. })) {
            return Err(Refusal::not_now(StatusCode::MethodNotValidInThisState));
        }
        let granted = self.grant_again(&session, track, &transport, rtx)?;
        let header = self.granted(granted, &transport, track.ssrc());
        Ok(self.ok(Some(&session)).transport(&header))
    }

    fn grant_again(
        &self,
        session: &Arc<Session>,
        track: &Track,
        transport: &Transport,
        rtx: u8,
    ) -> Result<Grant, Refusal> {
        let Delivery::Udp { client_rtp_port, client_rtcp_port } = transport.delivery else {
            return Err(StatusCode::UnsupportedTransport.into());
        };
        let at = |port| -> SocketAddr { with_port(self.world.peer(), port) };
        let wanted = Wanted::Udp { client: (at(client_rtp_port), at(client_rtcp_port)) };
        let present = session.granted_again(track.number);
        if let Some(present) = present.filter(|present| wanted.is(present, self.world.local())) {
            return Ok(present);
        }
        let too_much = |reason: RefusedFor| self.too_much(reason);
        let memory = self.world.costs(session, track, &self.request.uri).map_err(too_much)?.memory;
        let way = self.world.way(session, track, wanted, self.now).map_err(too_much)?;
        let grant = way.grant();
        let is_set_up = session.set_up_again(track.number, rtx, Retransmission { way, memory });
        Some(grant).filter(|_| is_set_up).ok_or(StatusCode::SessionNotFound.into())
    }
}

impl Session {
    /// How what is sent again of a track reaches the viewer, if that is set up by itself.
    pub fn granted_again(&self, track: usize) -> Option<Grant> {
        self.with(|held| held.of_track(track)?.retransmission().map(|again| again.way.grant()))
    }

    /// Whether the viewer takes what is sent again of a track at this address.
    pub fn takes_again_at(&self, track: usize, address: SocketAddr) -> bool {
        self.granted_again(track).is_some_and(|grant| grant.is_at(address))
    }

    /// Has what is sent again of a track go by a way of its own, under this payload type. `false`: the track is not set up.
    pub fn set_up_again(&self, track: usize, rtx: u8, again: Retransmission) -> bool {
        self.with(|held| {
            let setup = held.of_track(track)?;
            setup.repair_apart(Some((rtx, again)));
            Some(())
        })
        .is_some()
    }

    /// What is sent again of a track goes with the track from now on, as it was.
    pub fn tear_down_again(&self, track: usize) {
        self.with(|held| held.of_track(track).into_iter().for_each(|setup| setup.repair_apart(None)));
    }
}
