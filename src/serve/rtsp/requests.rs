//! What each request means and how it is answered (RFC 2326 section 10).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use crate::net::with_port;
use crate::relay::{Channel, Track};
use crate::wire::rtsp::transport::{self, Delivery, Transport};
use crate::wire::rtsp::{METHODS, Method, Reply, Request, RtpInfo, StatusCode, Target, range};
use crate::wire::sdp;

use super::super::media::Grant;
use super::super::stats::RefusedFor;
use super::conversation::{Action, Refused, Talk};
use super::refusal::Refusal;
use super::session::{Planned, Session};
use super::world::{Wanted, World};

/// Below it are the ports of services that every host knows (RFC 6335).
const FIRST_CLIENT_PORT: u16 = 1024;

/// Answers one request.
pub fn answer(world: &dyn World, talk: &mut Talk, request: &Request, now: Instant) {
    let mut asked = Asked { world, talk, request, now, then: None };
    let (reply, status) = match asked.answer() {
        Ok(reply) => (reply, StatusCode::Ok),
        Err(refusal) => (asked.refuse(&refusal), refusal.status),
    };
    // The client reckons the way there and back by it (RFC 2326 section 12.38).
    let reply = match request.header("Timestamp") {
        Some(timestamp) => reply.header("Timestamp", timestamp),
        None => reply,
    };
    let then = asked.then;
    talk.actions.push_back(Action::Reply { reply, method: Some(request.method.clone()), status });
    talk.actions.extend(then);
}

/// A request, and who asks.
struct Asked<'a> {
    world: &'a dyn World,
    talk: &'a mut Talk,
    request: &'a Request,
    now: Instant,
    /// What follows the reply.
    then: Option<Action>,
}

impl Asked<'_> {
    fn answer(&mut self) -> Result<Reply, Refusal> {
        if let Some(features) = self.request.header("Require").or(self.request.header("Proxy-Require")) {
            let header = Some(("Unsupported", features.to_owned()));
            return Err(Refusal { header, ..StatusCode::OptionNotSupported.into() });
        }
        match self.request.method {
            Method::Options => self.options(),
            Method::Describe => self.describe(),
            Method::Setup => self.set_up(),
            Method::Play => self.play(),
            Method::Pause => self.pause(),
            Method::Teardown => self.tear_down(),
            Method::GetParameter | Method::SetParameter => self.parameter(),
            Method::Extension(_) => Err(StatusCode::NotImplemented.into()),
            _ => {
                self.channel()?;
                let header = Some(("Allow", METHODS.to_owned()));
                Err(Refusal { header, ..StatusCode::MethodNotAllowed.into() })
            }
        }
    }

    fn options(&self) -> Result<Reply, Refusal> {
        let session = self.request.session().map(|_| self.session()).transpose()?;
        Ok(self.ok(session.as_deref()).public())
    }

    fn describe(&self) -> Result<Reply, Refusal> {
        let (channel, _) = self.channel()?;
        if self.talk.sessions.is_empty() {
            self.world.welcome(self.now).map_err(|reason| self.too_much(reason))?;
        }
        if !accepts_sdp(self.request.header("Accept")) {
            return Err(StatusCode::NotAcceptable.into());
        }
        let group = self.world.out_group(&channel).filter(|_| self.asks_for_group());
        let (presentation, own) = (&channel.presentation, self.world.local().ip());
        let description = match group {
            Some((group, ttl)) => sdp::multicast(presentation, own, group, ttl),
            None => sdp::unicast(presentation, own),
        };
        Ok(self.ok(None).description(&self.request.content_base(), &description))
    }

    /// A description that names a group has players join it, and firewalls and Wi-Fi may keep it from them: so it is
    /// for those alone whose URL says that they want it.
    fn asks_for_group(&self) -> bool {
        let Target::Channel { query: Some(query), .. } = &self.request.target else { return false };
        query.split('&').any(|word| ["multicast", "vlcmulticast"].contains(&word))
    }

    fn set_up(&mut self) -> Result<Reply, Refusal> {
        let (channel, track) = self.channel()?;
        let track = match (track, channel.tracks.as_slice()) {
            (Some(track), _) => track,
            (None, [only]) => only.clone(),
            (None, _) => return Err(StatusCode::AggregateOperationNotAllowed.into()),
        };
        let header = self.request.header("Transport").ok_or(StatusCode::BadRequest)?;
        let transport = transport::parse(header, |asked| self.is_served(&channel, &track, asked))
            .map_err(|refused| refused.status())?;
        self.check_ports(&transport)?;
        let session = match self.request.session() {
            Some(_) => self.session()?,
            None => self.begin(channel.clone())?,
        };
        if !Arc::ptr_eq(&session.channel, &channel) {
            return Err(StatusCode::AggregateOperationNotAllowed.into());
        }
        let granted = self.grant(&session, &track, &transport);
        if granted.is_err() && session.tracks() == 0 {
            self.talk.end(session.clone(), "not granted");
        }
        let header = granted?.header(transport.profile);
        let has_rtp = !matches!(transport.delivery, Delivery::Raw { .. });
        let header = match track.ssrc() {
            Some(ssrc) if has_rtp => format!("{header};ssrc={ssrc:08X}"),
            _ => header,
        };
        let reply = self.ok(Some(&session)).transport(&header);
        self.then = Some(Action::ChangeOver(session));
        Ok(reply)
    }

    fn begin(&mut self, channel: Arc<Channel>) -> Result<Arc<Session>, Refusal> {
        self.world.welcome(self.now).map_err(|reason| self.too_much(reason))?;
        let session = self.world.begin(channel, self.now).map_err(|reason| self.too_much(reason))?;
        self.talk.forget_ended(); // others may have ended them, and would have us keep as many as they like
        self.talk.sessions.push(session.clone());
        self.talk.actions.push_back(Action::Watch(session.clone()));
        Ok(session)
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
        let is_set_up = session.set_up(track, url, way, costs);
        grant.filter(|_| is_set_up).ok_or(StatusCode::SessionNotFound.into())
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
                let is_own = self.talk.sessions.iter().any(|own| Arc::ptr_eq(own, session));
                let own = present.and_then(|grant| grant.channels());
                let free = self.free_channels(channels, own).filter(|_| is_own);
                let channels = free.ok_or(StatusCode::UnsupportedTransport)?;
                Ok(Wanted::Interleaved { channels })
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

    fn is_served(&self, channel: &Channel, track: &Track, asked: &Transport) -> bool {
        match asked.delivery {
            // Without RTP only a transport stream tells where it is and how fast it goes.
            Delivery::Raw { .. } => track.description.is_transport_stream(),
            Delivery::Multicast => self.world.out_group(channel).is_some(),
            Delivery::Udp { .. } | Delivery::Interleaved { .. } => true,
        }
    }

    /// Ports of well-known services are no viewer's: a stream is not to be aimed at one. Another transport may be.
    fn check_ports(&self, transport: &Transport) -> Result<(), Refusal> {
        let lowest = match transport.delivery {
            Delivery::Udp { client_rtp_port, client_rtcp_port } => client_rtp_port.min(client_rtcp_port),
            Delivery::Raw { client_port } => client_port,
            Delivery::Multicast | Delivery::Interleaved { .. } => return Ok(()),
        };
        if lowest < FIRST_CLIENT_PORT { Err(self.too_much(RefusedFor::Port)) } else { Ok(()) }
    }

    fn play(&mut self) -> Result<Reply, Refusal> {
        let session = self.aggregate()?;
        range::check(self.request.header("Range")).map_err(|not_live| not_live.status())?;
        let mut reply = self.ok(Some(&session)).live_range();
        for pace in ["Scale", "Speed"] {
            if self.request.header(pace).is_some() {
                reply = reply.header(pace, "1"); // live is as fast as it is
            }
        }
        let plan = session.plan(self.now);
        if plan.is_empty() {
            return Ok(reply);
        }
        if !session.weigh() {
            return Err(self.too_much(RefusedFor::Egress));
        }
        let info: Vec<_> = plan.iter().map(rtp_info).collect();
        let reply =
            if plan.iter().any(|track| track.start.is_some()) { reply.rtp_info(&info) } else { reply };
        let agent = self.request.header("User-Agent").map(str::to_owned);
        self.then = Some(Action::Start { session, plan, agent });
        Ok(reply)
    }

    fn pause(&mut self) -> Result<Reply, Refusal> {
        let session = self.aggregate()?;
        if session.is_playing() {
            self.talk.actions.push_back(Action::Pause(session.clone()));
        } else if !session.is_paused() {
            return Err(StatusCode::MethodNotValidInThisState.into());
        }
        Ok(self.ok(Some(&session)))
    }

    /// Nothing of what was torn down follows the reply.
    fn tear_down(&mut self) -> Result<Reply, Refusal> {
        let session = self.session()?;
        let track = match &self.request.target {
            Target::Server => None, // the session says what is meant
            Target::Channel { .. } => {
                let (channel, track) = self.channel()?;
                if !Arc::ptr_eq(&session.channel, &channel) {
                    return Err(StatusCode::SessionNotFound.into());
                }
                track
            }
        };
        let others = |number| session.tracks() > usize::from(session.granted(number).is_some());
        match track {
            Some(track) if others(track.number) => {
                self.talk.actions.push_back(Action::TearDown(session, track.number));
            }
            _ => self.talk.end(session, "teardown"),
        }
        Ok(self.ok(None))
    }

    /// GET_PARAMETER or SET_PARAMETER without a body is how clients say that they are alive (RFC 2326 section 10.8).
    fn parameter(&self) -> Result<Reply, Refusal> {
        if self.request.target != Target::Server {
            self.channel()?;
        }
        let session = self.request.session().map(|_| self.session()).transpose()?;
        if self.request.body.iter().any(|byte| !byte.is_ascii_whitespace()) {
            return Err(StatusCode::ParameterNotUnderstood.into());
        }
        Ok(self.ok(session.as_deref()))
    }

    /// The session whose whole presentation a request is about.
    fn aggregate(&self) -> Result<Arc<Session>, Refusal> {
        let (channel, track) = self.channel()?;
        let session = self.session()?;
        if !Arc::ptr_eq(&session.channel, &channel) {
            return Err(StatusCode::SessionNotFound.into());
        }
        match track {
            Some(_) if session.tracks() > 1 => Err(StatusCode::OnlyAggregateOperationAllowed.into()),
            Some(track) if session.granted(track.number).is_none() => {
                Err(StatusCode::MethodNotValidInThisState.into())
            }
            _ => Ok(session),
        }
    }

    /// The channel that the URI names, and the track if it names one.
    fn channel(&self) -> Result<(Arc<Channel>, Option<Arc<Track>>), Refusal> {
        let Target::Channel { name, track, .. } = &self.request.target else {
            return Err(StatusCode::NotFound.into());
        };
        let channel = self.world.channel(name).ok_or(StatusCode::NotFound)?;
        let find = |number: u32| channel.tracks.iter().find(|track| track.number == number as usize).cloned();
        let track = track.map(|number| find(number).ok_or(StatusCode::NotFound)).transpose()?;
        Ok((channel, track))
    }

    /// The session that the request names, if it is this client's.
    fn session(&self) -> Result<Arc<Session>, Refusal> {
        let id = self.request.session().unwrap_or_default();
        let session = self.world.session(id).ok_or(StatusCode::SessionNotFound)?;
        session.touch(self.now); // whichever connection it comes by
        Ok(session)
    }

    fn ok(&self, session: Option<&Session>) -> Reply {
        let reply = Reply::new(StatusCode::Ok, Some(self.request.cseq));
        match session {
            Some(session) => reply.session(&session.id, self.world.timeout_seconds()),
            None => reply,
        }
    }

    /// A refusal for what there is too little of.
    fn too_much(&self, reason: RefusedFor) -> Refusal {
        self.world.counters().session_refused(reason);
        Refusal::of(reason, self.world.peer().port())
    }

    fn refuse(&mut self, refusal: &Refusal) -> Reply {
        self.talk.actions.push_back(Action::Refused(self.told(refusal)));
        let reply = Reply::new(refusal.status, Some(self.request.cseq));
        match &refusal.header {
            Some((name, value)) => reply.header(name, value),
            None => reply,
        }
    }

    /// A refusal in the words of the log.
    fn told(&self, refusal: &Refusal) -> Refused {
        let request = self.request;
        let asked = match &request.target {
            Target::Server => "*",
            Target::Channel { name, .. } => name,
        };
        // An `@` behind the path: what was taken for one may be a password that has a `?` or `#` in it.
        let behind = request.uri.find(['?', '#']).map_or("", |place| &request.uri[place..]);
        let method: &str = (&request.method).into();
        Refused {
            status: refusal.status,
            reason: refusal.reason,
            method: Some(method.to_owned()),
            asked: Some(asked.to_owned()).filter(|_| !behind.contains('@')),
            agent: request.header("User-Agent").map(str::to_owned),
        }
    }
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
