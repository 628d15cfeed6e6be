//! What is asked of a server next, and what its answers mean.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::wire::rtsp::{
    Answers, Base, GrantedDelivery, Method, NoUse, Reply, Request, Response, StatusCode, Url, Wish,
};
use crate::wire::sdp::{self, Presentation};

use super::action::{Action, End, Way};
use super::asking::{Answered, Asking, Question, is_about_the_track, is_about_the_url};
use super::failure::Failure;
use super::signs::Signs;
use super::silence::{Silence, SilenceLimit};

/// What a server may ask of us.
const METHODS: &str = "OPTIONS, ANNOUNCE, GET_PARAMETER, SET_PARAMETER, REDIRECT, TEARDOWN";
/// Who says nothing for so long while it plays is asked whether it is there.
const QUIET: Duration = Duration::from_secs(3);
/// How long an answer to TEARDOWN is waited for.
const FAREWELL: Duration = Duration::from_secs(2);

pub(super) struct Talk {
    url: Url,
    pub asking: Asking,
    stage: Stage,
    tracks: Vec<Offer>,
    aggregate: Vec<Url>,
    presentation: Option<Presentation>,
    /// How each track comes, once it is granted.
    pub ways: Vec<Option<Way>>,
    signs: Signs,
    next_signs: Instant,
    pub silence: Silence,
    heard_at: Instant,
    asked_at: Instant,
    pub actions: VecDeque<Action<'static>>,
}

/// One track that can be set up.
struct Offer {
    about: Vec<Url>,
    wish: Wish,
    /// The server does not serve it.
    refused: Option<StatusCode>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Introducing,
    Describing,
    /// It is described: how it shall come is for others to say.
    Choosing,
    /// This track.
    SettingUp(usize),
    Starting,
    Playing,
    Leaving,
    Over,
}

impl Talk {
    pub fn new(url: &Url, login: Answers, waits: (Duration, SilenceLimit), now: Instant) -> Self {
        let (answer_within, silence_limit) = waits;
        let mut talk = Self {
            url: url.clone(),
            asking: Asking::new(login, answer_within),
            stage: Stage::Introducing,
            tracks: Vec::new(),
            aggregate: vec![url.clone()],
            presentation: None,
            ways: Vec::new(),
            signs: Signs::default(),
            next_signs: now,
            silence: Silence::new(silence_limit, now),
            heard_at: now,
            asked_at: now,
            actions: VecDeque::new(),
        };
        talk.ask(Question::new(Method::Options, vec![url.clone()]), now);
        talk
    }

    /// For whom the stream is asked for.
    pub fn comes_by(&mut self, via: String) {
        self.asking.comes_by(via);
    }

    pub fn shows_life_every(&self) -> Duration {
        self.signs.interval()
    }

    pub fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    pub fn heard(&mut self, now: Instant) {
        self.heard_at = now;
    }

    pub fn media(&mut self, now: Instant) {
        self.heard_at = now;
        self.silence.media(now);
    }

    /// The track that a channel carries, and whether it is its RTCP.
    pub fn carries(&self, channel: u8) -> Option<(usize, bool)> {
        self.ways.iter().enumerate().find_map(|(track, way)| match way {
            Some(Way::Channels(rtp, _)) if *rtp == channel => Some((track, false)),
            Some(Way::Channels(_, rtcp)) if *rtcp == channel => Some((track, true)),
            _ => None,
        })
    }

    pub fn due(&self) -> Option<Instant> {
        match self.stage {
            Stage::Over | Stage::Choosing => None,
            Stage::Leaving => Some(self.asked_at + FAREWELL),
            Stage::Playing => self.asking.due().or(Some(self.signs_due())).min(Some(self.silence.due())),
            _ => self.asking.due(),
        }
    }

    pub fn pass(&mut self, now: Instant) {
        if self.due().is_none_or(|due| now < due) {
            return;
        }
        if self.stage == Stage::Leaving {
            return self.end(End::Left);
        }
        if self.stage == Stage::Playing && now >= self.silence.due() {
            // A server that lets few in is to know that the session has ended.
            self.ask(Question::new(Method::Teardown, self.aggregate.clone()), now);
            return self.fail(Failure::NoMedia(self.silence.lasts()));
        }
        match self.asking.give_up() {
            None => {
                self.signs.begin();
                self.next_signs = now + self.signs.interval();
                self.show_life(now);
            }
            // It does not answer this one, and lives.
            Some(question) if self.stage == Stage::Playing && self.heard_at > self.asked_at => {
                self.signs.answered(&question.method, None);
                self.show_life(now);
            }
            Some(question) => self.fail(Failure::Silence(question.method)),
        }
    }

    pub fn set_up(&mut self, wishes: Vec<Wish>, now: Instant) {
        if self.stage != Stage::Choosing {
            return;
        }
        self.tracks.iter_mut().zip(wishes).for_each(|(track, wish)| track.wish = wish);
        self.set_up_from(0, now);
    }

    pub fn leave(&mut self, now: Instant) {
        match self.stage {
            Stage::Leaving | Stage::Over => {}
            _ if !self.asking.has_session() => self.end(End::Left),
            _ => {
                self.stage = Stage::Leaving;
                self.ask(Question::new(Method::Teardown, self.aggregate.clone()), now);
            }
        }
    }

    pub fn fail(&mut self, failure: Failure) {
        // Whoever leaves does not mind.
        self.end(if self.stage == Stage::Leaving { End::Left } else { End::Failed(failure) });
    }

    pub fn reply(&mut self, reply: Reply) {
        self.actions.push_back(Action::Write(reply.to_bytes()));
    }

    /// The server asks something.
    pub fn asked(&mut self, request: &Request) {
        let understood = Reply::new(StatusCode::Ok, Some(request.cseq));
        match request.method {
            Method::Options => self.reply(understood.header("Public", METHODS)),
            Method::GetParameter | Method::SetParameter => self.reply(understood),
            Method::Announce => {
                self.reply(understood);
                self.announced(&request.body);
            }
            Method::Redirect | Method::Teardown => {
                self.reply(understood);
                match request.header("Location").filter(|_| request.method == Method::Redirect) {
                    Some(location) => self.end(End::Redirected(location.to_owned())),
                    None => self.fail(Failure::Ended),
                }
            }
            _ => self.reply(Reply::new(StatusCode::NotImplemented, Some(request.cseq))),
        }
    }

    /// A description that comes unasked, or an event, which says nothing to us.
    fn announced(&mut self, body: &[u8]) {
        let (Ok(offered), Some(known)) = (sdp::offered(body), &self.presentation) else { return };
        if !offered.presentation.carries_what_is_in(known) {
            self.fail(Failure::Changed);
        }
    }

    pub fn answered(&mut self, response: &Response, now: Instant) {
        match self.asking.answered(response, now) {
            Answered::Nothing => {}
            Answered::Again(bytes) => {
                self.asked_at = now;
                self.actions.push_back(Action::Write(bytes));
            }
            Answered::NoLogin(question, no_use) => self.no_login(&question, no_use, now),
            Answered::Answer(question) => self.take(question, response, now),
        }
    }

    fn no_login(&mut self, question: &Question, no_use: NoUse, now: Instant) {
        match self.stage {
            // Not all that ask for a login want one for each request.
            Stage::Introducing if no_use == NoUse::NoLogin => self.describe(now),
            Stage::Playing => {
                self.signs.answered(&question.method, Some(StatusCode::Unauthorized));
                self.show_life(now);
            }
            _ => self.fail(Failure::Login(no_use)),
        }
    }

    fn take(&mut self, question: Question, response: &Response, now: Instant) {
        let status = response.status();
        match self.stage {
            Stage::Introducing => {
                self.signs.offered(response);
                self.describe(now);
            }
            Stage::Playing => self.kept_alive(&question.method, status, now),
            Stage::Leaving => self.end(End::Left),
            _ if u16::from(status) / 100 == 2 => self.accepted(response, now),
            _ => self.refused(question, response, now),
        }
    }

    fn accepted(&mut self, response: &Response, now: Instant) {
        match self.stage {
            Stage::Describing => self.described(response),
            Stage::SettingUp(track) => self.granted(track, response, now),
            Stage::Starting => {
                self.stage = Stage::Playing;
                self.heard_at = now;
                self.silence.begin(now);
                self.next_signs = now + self.signs.interval();
                self.actions.push_back(Action::Playing);
            }
            _ => {}
        }
    }

    fn refused(&mut self, question: Question, response: &Response, now: Instant) {
        let (method, status) = (question.method.clone(), response.status());
        if u16::from(status) / 100 == 3
            && let Some(location) = response.location()
        {
            return self.end(End::Redirected(location.to_owned()));
        }
        // It may be known by another URL.
        if is_about_the_url(status) && self.ask(question, now) {
            return;
        }
        match self.stage {
            Stage::SettingUp(track) if is_about_the_track(status) => {
                self.tracks[track].refused = Some(status);
                self.actions.push_back(Action::TrackRefused(track, status));
                self.set_up_from(track + 1, now);
            }
            _ => {
                let wanted = response.retry_after_s().map(|seconds| Duration::from_secs(seconds.into()));
                self.fail(Failure::Refused(method, status, wanted));
            }
        }
    }

    fn describe(&mut self, now: Instant) {
        self.stage = Stage::Describing;
        self.ask(Question::new(Method::Describe, vec![self.url.clone()]), now);
    }

    fn described(&mut self, response: &Response) {
        let offered = match sdp::offered(response.body()) {
            Ok(offered) => offered,
            Err(problem) => return self.fail(Failure::Description(problem)),
        };
        let base = Base::new(&self.url, response.content_base());
        self.aggregate = base.leads(offered.aggregate.as_deref());
        let offers = offered.controls.iter().map(|control| Offer {
            about: base.leads(control.as_deref()),
            wish: Wish::Interleaved(0, 1),
            refused: None,
        });
        self.tracks = offers.collect();
        let mut about = std::iter::once(&self.aggregate).chain(self.tracks.iter().map(|track| &track.about));
        if let Some(track) = about.position(Vec::is_empty) {
            let of = if track == 0 { "the whole".to_owned() } else { format!("track {track}") };
            return self.fail(Failure::Description(format!("the control of {of} is no URL")));
        }
        self.ways = vec![None; self.tracks.len()];
        self.stage = Stage::Choosing;
        self.presentation = Some(offered.presentation.clone());
        self.actions.push_back(Action::Described(Box::new(offered.presentation)));
    }

    /// Sets a track up, or plays when there is none left.
    fn set_up_from(&mut self, track: usize, now: Instant) {
        if let Some(offer) = self.tracks.get(track) {
            let (about, wish) = (offer.about.clone(), Some(offer.wish));
            self.stage = Stage::SettingUp(track);
            let question = Question { wish, ..Question::new(Method::Setup, about) };
            self.ask(question, now);
            return;
        }
        if self.ways.iter().all(Option::is_none) {
            let last = self.tracks.iter().rev().find_map(|track| track.refused);
            let status = last.unwrap_or(StatusCode::NotFound);
            return self.fail(Failure::Refused(Method::Setup, status, None));
        }
        self.stage = Stage::Starting;
        self.ask(Question::new(Method::Play, self.aggregate.clone()), now);
    }

    fn granted(&mut self, track: usize, response: &Response, now: Instant) {
        if let Some((id, timeout_s)) = response.session() {
            self.asking.belongs_to(id);
            self.signs.lives_for(Duration::from_secs(timeout_s.into()));
        }
        let granted = response.granted().map(|granted| granted.delivery);
        let way = match (self.tracks[track].wish, granted) {
            (Wish::Udp(..), Some(GrantedDelivery::Udp { server_ports })) => Way::Udp(server_ports),
            (
                Wish::Interleaved(..),
                Some(GrantedDelivery::Interleaved { rtp_channel: rtp, rtcp_channel: rtcp }),
            )
            // Who names none has taken ours.
            | (Wish::Interleaved(rtp, rtcp), None) => Way::Channels(rtp, rtcp),
            _ => {
                let other = "grants another transport than was asked for";
                return self.fail(Failure::Answer(Method::Setup, other));
            }
        };
        self.ways[track] = Some(way);
        self.actions.push_back(Action::Granted(track, way));
        self.set_up_from(track + 1, now);
    }

    /// Asks what is next in the round of signs.
    fn show_life(&mut self, now: Instant) {
        if let Some(method) = self.signs.next() {
            self.ask(Question::new(method, self.aggregate.clone()), now);
        }
    }

    fn signs_due(&self) -> Instant {
        let is_quiet_at = self.heard_at.max(self.asked_at) + QUIET;
        self.next_signs.min(is_quiet_at)
    }

    /// A server that does not know the request knows the session all the same; only 454 says that it is gone.
    fn kept_alive(&mut self, method: &Method, status: StatusCode, now: Instant) {
        if status == StatusCode::SessionNotFound {
            return self.fail(Failure::Refused(method.clone(), status, None));
        }
        self.signs.answered(method, Some(status));
        self.show_life(now);
    }

    /// `false`: it is about nothing more.
    fn ask(&mut self, question: Question, now: Instant) -> bool {
        let Some(bytes) = self.asking.ask(question, now) else { return false };
        self.asked_at = now;
        self.actions.push_back(Action::Write(bytes));
        true
    }

    fn end(&mut self, end: End) {
        let is_left = matches!(end, End::Left | End::Failed(Failure::Ended));
        if self.stage != Stage::Over {
            if self.asking.has_session() && !is_left {
                // What went wrong, or leads elsewhere, is not to be kept at the server.
                let farewell = Question::new(Method::Teardown, self.aggregate.clone());
                self.actions.extend(self.asking.ask(farewell, self.heard_at).map(Action::Write));
            }
            self.stage = Stage::Over;
            self.actions.push_back(Action::Over(end));
        }
    }
}
