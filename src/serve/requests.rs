//! What each request means and how it is answered (RFC 2326 section 10). Writes nothing itself.

use std::sync::Arc;
use std::time::Instant;

use crate::net::with_port;
use crate::relay::{Channel, Track};
use crate::wire::rtsp::transport::{self, Delivery, Transport};
use crate::wire::rtsp::{METHODS, Method, Reply, Request, RtpInfo, StatusCode, Target, range};
use crate::wire::sdp;

use super::port_pairs::Client;
use super::refusal_watch::RefusalWatch;
use super::rtsp_connection::{RtspConnection, State};
use super::session::{Planned, Session};
use super::session_watch::SessionWatch;
use super::setup::Granted;
use super::stats::RefusedFor;

/// Seconds until one who was sent away may come back, and over how many a crowd is spread.
const RETRY_AFTER_S: u16 = 3;
const RETRY_SPREAD_S: u16 = 8;
/// Below it are the ports of services that every host knows (RFC 6335).
const FIRST_CLIENT_PORT: u16 = 1024;

/// A reply, and what is to be done once it is on its way.
pub(super) struct Answer {
    pub reply: Reply,
    pub status: StatusCode,
    pub then: Then,
}

/// What follows a reply.
pub(super) enum Then {
    Nothing,
    Play(Arc<Session>, Vec<Planned>),
}

/// A request refused.
struct Refusal {
    status: StatusCode,
    header: Option<(&'static str, String)>,
}

impl From<StatusCode> for Refusal {
    fn from(status: StatusCode) -> Self {
        Self { status, header: None }
    }
}

/// Answers one request.
pub(super) fn answer(
    connection: &RtspConnection,
    state: &mut State,
    request: &Request,
    now: Instant,
) -> Answer {
    let mut asked = Asked { connection, state, request, now };
    asked.answer().unwrap_or_else(|refusal| {
        let reply = Reply::new(refusal.status, Some(request.cseq));
        let reply = match refusal.header {
            Some((name, value)) => reply.header(name, &value),
            None => reply,
        };
        Answer { reply, status: refusal.status, then: Then::Nothing }
    })
}

struct Asked<'a> {
    connection: &'a RtspConnection,
    state: &'a mut State,
    request: &'a Request,
    now: Instant,
}

impl Asked<'_> {
    fn answer(&mut self) -> Result<Answer, Refusal> {
        if let Some(features) = self.request.header("Require").or(self.request.header("Proxy-Require")) {
            let header = Some(("Unsupported", features.to_owned()));
            return Err(Refusal { status: StatusCode::OptionNotSupported, header });
        }
        match self.request.method {
            Method::Options => self.options(),
            Method::Describe => self.describe(),
            Method::Setup => self.set_up(),
            Method::Play => self.play(),
            Method::Pause => self.pause(),
            Method::Teardown => self.tear_down(),
            Method::GetParameter => self.parameter(),
            Method::Extension(_) => Err(StatusCode::NotImplemented.into()),
            _ => {
                self.channel()?;
                Err(Refusal {
                    status: StatusCode::MethodNotAllowed,
                    header: Some(("Allow", METHODS.to_owned())),
                })
            }
        }
    }

    fn options(&self) -> Result<Answer, Refusal> {
        let session = self.request.session().map(|_| self.session()).transpose()?;
        Ok(done(self.ok(session.as_deref()).public()))
    }

    fn describe(&self) -> Result<Answer, Refusal> {
        let (channel, _) = self.channel()?;
        if self.state.sessions.is_empty() {
            self.welcome()?;
        }
        if !accepts_sdp(self.request.header("Accept")) {
            return Err(StatusCode::NotAcceptable.into());
        }
        let description = sdp::unicast(&channel.presentation, self.connection.local.ip());
        Ok(done(self.ok(None).description(&self.request.content_base(), &description)))
    }

    fn set_up(&mut self) -> Result<Answer, Refusal> {
        let (channel, track) = self.channel()?;
        let track = match (track, channel.tracks.as_slice()) {
            (Some(track), _) => track,
            (None, [only]) => only.clone(),
            (None, _) => return Err(StatusCode::AggregateOperationNotAllowed.into()),
        };
        let header = self.request.header("Transport").ok_or(StatusCode::BadRequest)?;
        let transport = transport::parse(header).map_err(|refused| refused.status())?;
        self.check_ports(&transport)?;
        let session = match self.request.session() {
            Some(_) => self.session()?,
            None => self.new_session(channel.clone())?,
        };
        if !Arc::ptr_eq(&session.channel, &channel) {
            return Err(StatusCode::AggregateOperationNotAllowed.into());
        }
        if session.is_playing() {
            return Err(StatusCode::MethodNotValidInThisState.into());
        }
        let granted = self.grant(&session, &track, &transport);
        if granted.is_err() && session.tracks() == 0 {
            self.end(&session, "not granted");
        }
        let (granted, header) = granted?;
        session.set_up(track, self.request.uri.clone(), granted);
        Ok(done(self.ok(Some(&session)).transport(&header)))
    }

    /// Ports of well-known services are no viewer's: a stream is not to be aimed at one. Another transport may be.
    fn check_ports(&self, transport: &Transport) -> Result<(), Refusal> {
        match transport.delivery {
            Delivery::Udp { client_rtp_port, client_rtcp_port }
                if client_rtp_port.min(client_rtcp_port) < FIRST_CLIENT_PORT =>
            {
                self.connection.server.counters.session_refused(RefusedFor::Port);
                Err(StatusCode::UnsupportedTransport.into())
            }
            _ => Ok(()),
        }
    }

    fn play(&self) -> Result<Answer, Refusal> {
        let session = self.aggregate()?;
        range::check(self.request.header("Range")).map_err(|not_live| not_live.status())?;
        let reply = self.ok(Some(&session)).live_range();
        if session.is_playing() {
            return Ok(done(reply));
        }
        let plan = session.plan(self.now);
        let info: Vec<_> = plan.iter().map(rtp_info).collect();
        let reply =
            if plan.iter().any(|track| track.start.is_some()) { reply.rtp_info(&info) } else { reply };
        Ok(Answer { reply, status: StatusCode::Ok, then: Then::Play(session, plan) })
    }

    fn pause(&self) -> Result<Answer, Refusal> {
        let session = self.aggregate()?;
        if !session.is_playing() {
            return Err(StatusCode::MethodNotValidInThisState.into());
        }
        session.pause();
        Ok(done(self.ok(Some(&session))))
    }

    /// Nothing of what was torn down follows the reply.
    fn tear_down(&mut self) -> Result<Answer, Refusal> {
        let session = self.session()?;
        let (channel, track) = self.channel()?;
        if !Arc::ptr_eq(&session.channel, &channel) {
            return Err(StatusCode::SessionNotFound.into());
        }
        let left = track.map_or(0, |track| session.tear_down(track.number));
        if left == 0 {
            self.end(&session, "teardown");
        }
        Ok(done(self.ok(None)))
    }

    /// GET_PARAMETER without a body is how clients say that they are alive (RFC 2326 section 10.8).
    fn parameter(&self) -> Result<Answer, Refusal> {
        if self.request.target != Target::Server {
            self.channel()?;
        }
        let session = self.request.session().map(|_| self.session()).transpose()?;
        if self.request.body.iter().any(|byte| !byte.is_ascii_whitespace()) {
            return Err(StatusCode::ParameterNotUnderstood.into());
        }
        Ok(done(self.ok(session.as_deref())))
    }

    /// The session whose whole presentation a request is about.
    fn aggregate(&self) -> Result<Arc<Session>, Refusal> {
        let (channel, track) = self.channel()?;
        let session = self.session()?;
        if !Arc::ptr_eq(&session.channel, &channel) {
            return Err(StatusCode::SessionNotFound.into());
        }
        if track.is_some() && session.tracks() > 1 {
            return Err(StatusCode::OnlyAggregateOperationAllowed.into());
        }
        Ok(session)
    }

    /// The channel that the URI names, and the track if it names one.
    fn channel(&self) -> Result<(Arc<Channel>, Option<Arc<Track>>), Refusal> {
        let Target::Channel { name, track, .. } = &self.request.target else {
            return Err(StatusCode::NotFound.into());
        };
        let channel = self.connection.server.catalogue.find(name).ok_or(StatusCode::NotFound)?;
        let find = |number: u32| channel.tracks.iter().find(|track| track.number == number as usize).cloned();
        let track = track.map(|number| find(number).ok_or(StatusCode::NotFound)).transpose()?;
        Ok((channel.clone(), track))
    }

    /// The session that the request names, if it is this client's.
    fn session(&self) -> Result<Arc<Session>, Refusal> {
        let id = self.request.session().unwrap_or_default();
        let found = self.connection.server.sessions.find(id);
        let own = found.filter(|session| session.peer == self.connection.peer.ip());
        let session = own.ok_or(StatusCode::SessionNotFound)?;
        session.touch(self.now); // whichever connection it comes by
        Ok(session)
    }

    fn new_session(&mut self, channel: Arc<Channel>) -> Result<Arc<Session>, Refusal> {
        let connection = self.connection;
        self.welcome()?;
        let id = session_id().map_err(|_| StatusCode::ServiceUnavailable)?;
        let session = Arc::new(Session::new(id, channel, connection, self.now));
        if connection.server.is_stopping() || !connection.server.sessions.add(&session) {
            return Err(self.unavailable(RefusedFor::Limit));
        }
        self.state.sessions.push(session.clone());
        SessionWatch::start(&connection.server, &session, self.now);
        Ok(session)
    }

    /// Whether one more can be served. One who comes while media is too late is told so before it costs anything.
    fn welcome(&self) -> Result<(), Refusal> {
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
        Refusal { status: StatusCode::ServiceUnavailable, header }
    }

    fn end(&mut self, session: &Arc<Session>, reason: &'static str) {
        self.state.sessions.retain(|own| !Arc::ptr_eq(own, session));
        self.connection.server.end_session(session, reason);
    }

    /// Reserves what a transport needs; returns it with the reply's Transport header.
    fn grant(
        &self,
        session: &Arc<Session>,
        track: &Track,
        transport: &Transport,
    ) -> Result<(Granted, String), Refusal> {
        match transport.delivery {
            Delivery::Udp { client_rtp_port, client_rtcp_port } => {
                let peer = self.connection.peer;
                let places = (with_port(peer, client_rtp_port), with_port(peer, client_rtcp_port));
                let client = Client { session: Arc::downgrade(session), track: track.number };
                let pairs = &self.connection.server.pairs;
                let reserved = pairs.reserve(self.connection.local, places, client);
                let reserved = reserved.map_err(|error| {
                    tracing::warn!(%peer, %error, "no server port pair for a subscriber");
                    self.unavailable(RefusedFor::Limit)
                })?;
                RefusalWatch::start(&self.connection.server, self.now);
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
                let (rtp, rtcp) = self.free_channels(channels).ok_or(StatusCode::UnsupportedTransport)?;
                self.connection.output.carry_media();
                let header = Transport::interleaved_reply(transport.profile, (rtp, rtcp));
                Ok((Granted::Interleaved { rtp, rtcp }, header))
            }
        }
    }

    /// The channels asked for, or the first free ones of the connection.
    fn free_channels(&self, asked: Option<(u8, u8)>) -> Option<(u8, u8)> {
        let taken = |channel| self.state.sessions.iter().any(|session| session.uses_channel(channel));
        let free = |pair: &(u8, u8)| pair.0 != pair.1 && !taken(pair.0) && !taken(pair.1);
        asked.filter(free).or_else(|| (0..=254).step_by(2).map(|even| (even, even + 1)).find(free))
    }

    fn ok(&self, session: Option<&Session>) -> Reply {
        let reply = Reply::new(StatusCode::Ok, Some(self.request.cseq));
        match session {
            Some(session) => reply.session(&session.id, self.connection.server.timeout_seconds()),
            None => reply,
        }
    }
}

/// Ports of a host, or behind one address, are as good as random, but for their lowest bit: Linux gives out even ones.
fn retry_after_s(client_port: u16) -> u16 {
    RETRY_AFTER_S + client_port / 2 % RETRY_SPREAD_S
}

fn done(reply: Reply) -> Answer {
    Answer { reply, status: StatusCode::Ok, then: Then::Nothing }
}

fn rtp_info(planned: &Planned) -> RtpInfo<'_> {
    RtpInfo {
        url: &planned.url,
        sequence: planned.start.map(|start| start.sequence),
        rtptime: planned.start.map(|start| start.timestamp),
    }
}

fn accepts_sdp(accept: Option<&str>) -> bool {
    let accepted = ["application/sdp", "application/*", "*/*"];
    let kinds =
        accept.unwrap_or("*/*").split(',').map(|kind| kind.split(';').next().unwrap_or_default().trim());
    kinds
        .into_iter()
        .any(|kind| kind.is_empty() || accepted.iter().any(|known| kind.eq_ignore_ascii_case(known)))
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
