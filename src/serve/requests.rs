//! What each request means and how it is answered (RFC 2326 section 10). Writes nothing itself.

use std::sync::Arc;
use std::time::Instant;

use crate::event::clock;
use crate::relay::{Channel, Track};
use crate::wire::rtsp::transport;
use crate::wire::rtsp::{METHODS, Method, Reply, Request, RtpInfo, StatusCode, Target, range};
use crate::wire::sdp;

use super::restraint::Why;
use super::rtsp_connection::{RtspConnection, State};
use super::session::{Planned, Session};
use super::setup::Setup;
use super::teller::{REFUSED, Refused, reason_of};

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
    /// Tracks that play go on by what they were granted last.
    ChangeOver(Arc<Session>),
}

/// A request refused.
pub(super) struct Refusal {
    pub status: StatusCode,
    pub header: Option<(&'static str, String)>,
    /// Why, for the log.
    pub reason: &'static str,
}

impl From<StatusCode> for Refusal {
    fn from(status: StatusCode) -> Self {
        Self { status, header: None, reason: reason_of(status) }
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
    let answer = asked.answer().unwrap_or_else(|refusal| {
        tell(connection, request, &refusal, now);
        let reply = Reply::new(refusal.status, Some(request.cseq));
        let reply = match refusal.header {
            Some((name, value)) => reply.header(name, &value),
            None => reply,
        };
        Answer { reply, status: refusal.status, then: Then::Nothing }
    });
    let reply = answer.reply.date(clock::unix_now());
    // The client reckons the way there and back by it (RFC 2326 section 12.38).
    let reply = match request.header("Timestamp") {
        Some(timestamp) => reply.header("Timestamp", timestamp),
        None => reply,
    };
    Answer { reply, ..answer }
}

/// A request, and who asks.
pub(super) struct Asked<'a> {
    pub connection: &'a RtspConnection,
    pub state: &'a mut State,
    pub request: &'a Request,
    pub now: Instant,
}

impl Asked<'_> {
    fn answer(&mut self) -> Result<Answer, Refusal> {
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
        let costs = self.costs(&session, &track);
        let granted = costs.and_then(|costs| Ok((costs, self.grant(&session, &track, &transport)?)));
        if granted.is_err() && session.tracks() == 0 {
            self.end(&session, "not granted");
        }
        let (costs, (granted, header)) = granted?;
        let header = match track.ssrc() {
            Some(ssrc) => format!("{header};ssrc={ssrc:08X}"),
            None => header,
        };
        session.set_up(Setup::new(track, self.request.uri.clone(), granted, costs));
        let reply = self.ok(Some(&session)).transport(&header);
        Ok(Answer { reply, status: StatusCode::Ok, then: Then::ChangeOver(session) })
    }

    fn play(&self) -> Result<Answer, Refusal> {
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
            return Ok(done(reply));
        }
        if !session.weigh() {
            return Err(self.too_much_egress());
        }
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
        let left = match &self.request.target {
            // The session says what is meant.
            Target::Server => 0,
            Target::Channel { .. } => {
                let (channel, track) = self.channel()?;
                if !Arc::ptr_eq(&session.channel, &channel) {
                    return Err(StatusCode::SessionNotFound.into());
                }
                track.map_or(0, |track| session.tear_down(track.number))
            }
        };
        if left == 0 {
            self.end(&session, "teardown");
        }
        Ok(done(self.ok(None)))
    }

    /// GET_PARAMETER or SET_PARAMETER without a body is how clients say that they are alive (RFC 2326 section 10.8).
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

    fn end(&mut self, session: &Arc<Session>, reason: &'static str) {
        self.state.sessions.retain(|own| !Arc::ptr_eq(own, session));
        self.connection.server.end_session(session, reason);
    }

    fn ok(&self, session: Option<&Session>) -> Reply {
        let reply = Reply::new(StatusCode::Ok, Some(self.request.cseq));
        match session {
            Some(session) => reply.session(&session.id, self.connection.server.timeout_seconds()),
            None => reply,
        }
    }
}

/// Tells the log of a request that is refused.
fn tell(connection: &RtspConnection, request: &Request, refusal: &Refusal, now: Instant) {
    let asked = match &request.target {
        Target::Server => "*",
        Target::Channel { name, .. } => name,
    };
    // An `@` behind the path: what was taken for one may be a password that has a `?` or `#` in it.
    let behind = request.uri.find(['?', '#']).map_or("", |place| &request.uri[place..]);
    let asked = Some(asked).filter(|_| !behind.contains('@'));
    let method: &str = (&request.method).into();
    let refused = Refused {
        client: connection.peer,
        why: Why { what: REFUSED, status: refusal.status.into(), reason: refusal.reason },
        method: Some(method),
        asked,
        agent: request.header("User-Agent"),
    };
    connection.server.teller.refuse(&refused, now);
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
