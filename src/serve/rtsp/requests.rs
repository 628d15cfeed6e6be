//! What each request means and how it is answered (RFC 2326 section 10).

use std::sync::Arc;
use std::time::Instant;

use crate::relay::{Channel, Expected, Track};
use crate::storage::Pace;
use crate::wire::rtsp::{
    LOOP_DETECTED, Method, Reply, Request, RtpInfo, StatusCode, Target, instances, range,
};
use crate::wire::sdp::{Repairs, recorded};

use super::super::kept::Extent;
use super::super::stats::{CutFor, RefusedFor};
use super::admit::admit;
use super::live::Planned;
use super::refusal::Refusal;
use super::session::Session;
use super::talk::{Action, Refused, Talk};
use super::tempo;
use super::wait::{Wait, Waited};
use super::world::World;

/// Answers one request, or has it wait for its channel.
pub fn answer(world: &dyn World, talk: &mut Talk, request: &Request, now: Instant) {
    let mut asked = Asked::of(world, talk, request, now);
    let admitted = asked.admit();
    let mut to_come = || asked.to_come().or_else(|| asked.past_awaited());
    let to_come = admitted.is_ok().then(&mut to_come).flatten();
    if let Some(expected) = to_come {
        talk.wait = Some(Wait::new(request.clone(), expected, now));
        return;
    }
    let answered = admitted.and_then(|()| asked.answer());
    asked.finish(answered);
}

/// Answers a request that has waited, and was admitted before that.
pub fn answer_late(world: &dyn World, talk: &mut Talk, wait: &Wait, now: Instant) {
    let mut asked = Asked::of(world, talk, &wait.request, now);
    asked.waited = Some(if now < wait.until { Waited::ToItsEnd } else { Waited::TooLong });
    if let Some(expected) = asked.past_awaited() {
        talk.wait = Some(wait.also(expected, now));
        return;
    }
    let answered = asked.answer();
    asked.finish(answered);
}

/// A request, and who asks.
pub struct Asked<'a> {
    pub world: &'a dyn World,
    pub talk: &'a mut Talk,
    pub request: &'a Request,
    pub now: Instant,
    /// It has no session yet.
    is_newcomer: bool,
    /// It names sessions of others, or none, far too often.
    is_guessing: bool,
    /// How something that it is about has been waited for, if it has.
    pub waited: Option<Waited>,
    /// There is no room for one more who watches the past.
    pub has_no_seat: bool,
    /// With what it goes on that was paused a moment ago.
    pub resumed: Option<Vec<Planned>>,
    /// What follows the reply.
    pub then: Option<Action>,
}

impl<'a> Asked<'a> {
    fn of(world: &'a dyn World, talk: &'a mut Talk, request: &'a Request, now: Instant) -> Self {
        let is_newcomer = talk.sessions.is_empty() && request.session().is_none();
        let (is_guessing, has_no_seat) = (false, false);
        let (waited, resumed, then) = (None, None, None);
        Self { world, talk, request, now, is_newcomer, is_guessing, waited, has_no_seat, resumed, then }
    }

    fn admit(&mut self) -> Result<(), Refusal> {
        let admitted = admit(self.world, self.request, &mut self.talk.known, self.now);
        let Some(via) = self.request.header("Via") else { return admitted };
        if admitted.is_ok() {
            self.note_askers(via);
        }
        // It would wait for itself; that tells nobody what there is.
        let has_come_round = instances(via).any(|instance| instance == self.world.instance());
        if has_come_round { Err(LOOP_DETECTED.into()) } else { admitted }
    }

    /// Those for whom a channel is asked for, so that they are named where it is asked for in turn.
    fn note_askers(&self, via: &str) {
        let Target::Channel { name, .. } = &self.request.target else { return };
        let expected = self.world.expected(name).map(|expected| expected.demand.clone());
        let Some(demand) = expected.or_else(|| Some(self.world.channel(name)?.demand.clone())) else {
            return;
        };
        let others = instances(via).filter(|instance| *instance != self.world.instance());
        demand.is_asked_for_by(others, self.now);
    }

    /// The channel that has to come before it can be answered.
    fn to_come(&self) -> Option<Arc<Expected>> {
        let Target::Channel { name, .. } = &self.request.target else { return None };
        if !matches!(self.request.method, Method::Describe | Method::Setup) {
            return None;
        }
        // Before the channel: one that comes is found first, and then expected no more.
        let expected = self.world.expected(name)?;
        self.world.channel(name).is_none().then_some(expected)
    }

    fn finish(mut self, answered: Result<Reply, Refusal>) {
        let (reply, status) = match answered {
            Ok(reply) => (reply, StatusCode::Ok),
            Err(refusal) => (self.refuse(&refusal), refusal.status),
        };
        // The client reckons the way there and back by it (RFC 2326 section 12.38).
        let reply = match self.request.header("Timestamp") {
            Some(timestamp) => reply.header("Timestamp", timestamp),
            None => reply,
        };
        let method = Some(self.request.method.clone());
        self.talk.actions.push_back(Action::Reply { reply, method, status });
        self.talk.actions.extend(self.then);
        if self.is_guessing {
            self.talk.hang_up(CutFor::Guesses);
        }
    }

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
                Err(Refusal::not_now(StatusCode::MethodNotAllowed))
            }
        }
    }

    fn options(&mut self) -> Result<Reply, Refusal> {
        let session = self.request.session().map(|_| self.session()).transpose()?;
        Ok(self.ok(session.as_deref()).public())
    }

    fn describe(&self) -> Result<Reply, Refusal> {
        let (channel, _) = self.channel()?;
        if self.is_newcomer {
            self.world.welcome(&channel, self.now).map_err(|reason| self.too_much(reason))?;
        }
        if !accepts_sdp(self.request.header("Accept")) {
            return Err(StatusCode::NotAcceptable.into());
        }
        let group =
            self.world.out_group(&channel).filter(|_| self.asks_for_group() && self.world.allows_udp());
        let server = self.world.local().ip();
        let description = match (group, self.repairs(&channel)) {
            (None, Some(repairs)) => channel.repairable_description(server, repairs),
            (group, _) => channel.description(server, group),
        };
        let description = match self.world.extent(&channel) {
            Some(Extent::Since(from_us)) => recorded(&description, &range::clock(from_us, None)),
            Some(Extent::Lasts(us)) => recorded(&description, &range::npt(0, Some(us))),
            None => description,
        };
        Ok(self.ok(None).description(&self.request.content_base(), &description))
    }

    /// A description that names a group has players join it, and firewalls and Wi-Fi may keep it from them: so it is
    /// for those alone whose URL says that they want it.
    fn asks_for_group(&self) -> bool {
        let Target::Channel { query: Some(query), .. } = &self.request.target else { return false };
        query.split('&').any(|word| ["multicast", "vlcmulticast"].contains(&word))
    }

    fn play(&mut self) -> Result<Reply, Refusal> {
        let session = self.aggregate()?;
        if let Some(reply) = self.play_past(&session)? {
            return Ok(reply);
        }
        if !session.goes_live(self.range(&session)?, self.is_kept(&session), self.now) {
            return Ok(tempo::told(self.ok(Some(&session)), self.request, session.plays_at()));
        }
        let resumed = self.resumed.take();
        let reply = tempo::told(self.ok(Some(&session)), self.request, Pace::AS_IT_CAME);
        let reply = match &resumed {
            Some(plan) => reply.range(&range::clock(session.begins(plan, self.now), None)),
            None => reply.live_range(),
        };
        let plan = resumed.unwrap_or_else(|| session.plan(self.now));
        if plan.is_empty() {
            return Ok(reply);
        }
        session.weigh().map_err(|beyond| self.too_much(RefusedFor::egress(beyond)))?;
        let info: Vec<_> = plan.iter().map(rtp_info).collect();
        let reply =
            if plan.iter().any(|track| track.entry.start.is_some()) { reply.rtp_info(&info) } else { reply };
        let agent = self.request.header("User-Agent").map(str::to_owned);
        self.then = Some(Action::Start { session, plan, agent });
        Ok(reply)
    }

    fn pause(&mut self) -> Result<Reply, Refusal> {
        let session = self.aggregate()?;
        if session.is_playing() {
            self.talk.actions.push_back(Action::Pause(session.clone()));
        } else if !session.is_paused() {
            return Err(Refusal::not_now(StatusCode::MethodNotValidInThisState));
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
        if let Some(track) = track.as_ref().filter(|_| self.is_about_rtx()) {
            session.tear_down_again(track.number);
            return Ok(self.ok(Some(&session)));
        }
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
    fn parameter(&mut self) -> Result<Reply, Refusal> {
        if self.request.target != Target::Server {
            self.channel()?;
        }
        let session = self.request.session().map(|_| self.session()).transpose()?;
        if self.request.body.iter().any(|byte| !byte.is_ascii_whitespace()) {
            return Err(StatusCode::ParameterNotUnderstood.into());
        }
        Ok(self.ok(session.as_deref()))
    }

    /// The session whose whole presentation a request is about. Where the URI is the server's the session says what is meant.
    pub fn aggregate(&mut self) -> Result<Arc<Session>, Refusal> {
        if self.request.target == Target::Server && self.request.session().is_some() {
            return self.session();
        }
        let (channel, track) = self.channel()?;
        let session = self.session()?;
        if !Arc::ptr_eq(&session.channel, &channel) {
            return Err(StatusCode::SessionNotFound.into());
        }
        match track {
            Some(_) if session.tracks() > 1 || self.is_about_rtx() => {
                Err(StatusCode::OnlyAggregateOperationAllowed.into())
            }
            Some(track) if session.granted(track.number).is_none() => {
                Err(Refusal::not_now(StatusCode::MethodNotValidInThisState))
            }
            _ => Ok(session),
        }
    }

    /// Whether the URI names what a track sends again.
    pub fn is_about_rtx(&self) -> bool {
        matches!(self.request.target, Target::Channel { of_rtx: true, .. })
    }

    /// How the client is offered to have again what it loses of a channel.
    pub fn repairs(&self, channel: &Channel) -> Option<Repairs> {
        let agent = self.request.header("User-Agent");
        self.world.repair_agents().offered(channel.offer_repair, agent)
    }

    /// The channel that the URI names, and the track if it names one.
    pub fn channel(&self) -> Result<(Arc<Channel>, Option<Arc<Track>>), Refusal> {
        let Target::Channel { name, track, .. } = &self.request.target else {
            return Err(StatusCode::NotFound.into());
        };
        let expected = self.world.expected(name);
        let Some(channel) = self.world.channel(name) else {
            let status = match expected {
                Some(_) => StatusCode::GatewayTimeout,
                None if self.world.is_no_film(name) => StatusCode::UnsupportedMediaType,
                None => StatusCode::NotFound,
            };
            return Err(status.into());
        };
        let find = |number: u32| channel.track(number as usize).cloned();
        let track = track.map(|number| find(number).ok_or(StatusCode::NotFound)).transpose()?;
        Ok((channel, track))
    }

    /// The session that the request names, if it is this client's. It belongs to who asked for it last.
    pub fn session(&mut self) -> Result<Arc<Session>, Refusal> {
        let id = self.request.session().ok_or(StatusCode::SessionNotFound)?;
        let Some(session) = self.world.session(id) else {
            self.is_guessing = self.world.is_guessing(self.now);
            return Err(StatusCode::SessionNotFound.into());
        };
        session.touch(self.now);
        self.talk.take_over(&session);
        Ok(session)
    }

    pub fn ok(&self, session: Option<&Session>) -> Reply {
        let reply = Reply::new(StatusCode::Ok, Some(self.request.cseq));
        match session {
            Some(session) => reply.session(&session.id, self.world.timeout_seconds()),
            None => reply,
        }
    }

    /// A refusal for what there is too little of.
    pub fn too_much(&self, reason: RefusedFor) -> Refusal {
        self.world.counters().session_refused(reason);
        let refusal = Refusal::of(reason, self.world.peer().port());
        match self.elsewhere(reason) {
            Some(location) => {
                Refusal { status: StatusCode::Found, header: Some(("Location", location)), ..refusal }
            }
            None => refusal,
        }
    }

    /// Where a newcomer is sent instead: it is we who are full.
    fn elsewhere(&self, reason: RefusedFor) -> Option<String> {
        let is_sent = reason.is_full() && self.is_newcomer;
        is_sent.then(|| self.world.elsewhere(&self.request.uri)).flatten()
    }

    fn refuse(&mut self, refusal: &Refusal) -> Reply {
        if let Some(reason) = refusal.reason {
            self.talk.actions.push_back(Action::Refused(self.told(refusal.status, reason)));
        }
        let reply =
            Reply::new(refusal.status, Some(self.request.cseq)).challenges(refusal.challenges.clone());
        match &refusal.header {
            Some((name, value)) => reply.header(name, value),
            None => reply,
        }
    }

    /// A refusal in the words of the log.
    fn told(&self, status: StatusCode, reason: &'static str) -> Refused {
        let request = self.request;
        let asked = match &request.target {
            Target::Server => "*",
            Target::Channel { name, .. } => name,
        };
        // An `@` behind the path: what was taken for one may be a password that has a `?` or `#` in it.
        let behind = request.uri.find(['?', '#']).map_or("", |place| &request.uri[place..]);
        let method: &str = (&request.method).into();
        Refused {
            status,
            reason,
            method: Some(method.to_owned()),
            asked: Some(asked.to_owned()).filter(|_| !behind.contains('@')),
            agent: request.header("User-Agent").map(str::to_owned),
        }
    }
}

fn rtp_info(planned: &Planned) -> RtpInfo<'_> {
    RtpInfo {
        url: &planned.url,
        sequence: planned.entry.start.map(|start| start.sequence),
        rtptime: planned.entry.start.map(|start| start.timestamp),
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
