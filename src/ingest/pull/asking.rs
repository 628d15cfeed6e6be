//! Requests, one at a time: numbered, with the session and the login, and asked again where the server wants another login.
//!
//! It knows what was asked last and what the server makes of it, and not why.

use std::time::{Duration, Instant};
use std::vec;

use crate::wire::rtsp::{Answers, Ask, Had, Method, NoUse, Response, StatusCode, Url, Wish};

use super::patience::ANSWER_WITHIN;

const AGENT: &str = concat!("Mirrorball/", env!("CARGO_PKG_VERSION"));
/// So often one request is asked with a login: with the nonce that is known, a new one, and one more that has grown stale.
const MOST_LOGINS: u8 = 3;

/// What is asked of one server.
pub(super) struct Asking {
    login: Answers,
    within: Duration,
    via: String,
    cseq: u32,
    session: Option<String>,
    pending: Option<Pending>,
}

/// What is to be asked.
#[derive(Debug, Clone)]
pub(super) struct Question {
    pub method: Method,
    /// What it is about. Where the server does not know that, the next ones are asked about.
    pub about: vec::IntoIter<Url>,
    /// For SETUP.
    pub wish: Option<Wish>,
}

/// A question whose answer is still to come.
#[derive(Debug)]
struct Pending {
    question: Question,
    url: Url,
    cseq: u32,
    due: Instant,
    had: Had,
    logins: u8,
}

/// What an answer is.
pub(super) enum Answered {
    /// One to an earlier request, or not the last one.
    Nothing,
    /// It is asked again.
    Again(Vec<u8>),
    /// It is the answer.
    Answer(Question),
    /// A login is of no use.
    NoLogin(Question, NoUse),
}

impl Question {
    pub fn new(method: Method, about: Vec<Url>) -> Self {
        Self { method, about: about.into_iter(), wish: None }
    }
}

impl Asking {
    pub fn new(login: Answers, within: Duration) -> Self {
        Self { login, within, via: String::new(), cseq: 0, session: None, pending: None }
    }

    /// For whom it asks for a description.
    pub fn comes_by(&mut self, via: String) {
        self.via = via;
    }

    /// When it is waited for no longer.
    pub fn due(&self) -> Option<Instant> {
        self.pending.as_ref().map(|pending| pending.due)
    }

    /// It is waited for no longer.
    pub fn give_up(&mut self) -> Option<Question> {
        self.pending.take().map(|pending| pending.question)
    }

    pub fn wants_hash(&self) -> bool {
        self.login.wants_hash()
    }

    pub fn has_session(&self) -> bool {
        self.session.is_some()
    }

    pub fn belongs_to(&mut self, session: &str) {
        self.session = Some(session.to_owned());
    }

    /// Asks a question that is about something. `None`: it is about nothing more.
    pub fn ask(&mut self, mut question: Question, now: Instant) -> Option<Vec<u8>> {
        let url = question.about.next()?;
        Some(self.send(question, url, (Had::None, 0), now))
    }

    /// Takes in a response.
    pub fn answered(&mut self, response: &Response, now: Instant) -> Answered {
        let is_other = |pending: &Pending| response.cseq().is_some_and(|cseq| cseq != pending.cseq);
        let Some(mut pending) = self.pending.take_if(|pending| !is_other(pending)) else {
            return Answered::Nothing;
        };
        self.within = self.within.max(ANSWER_WITHIN); // it is there
        let status = u16::from(response.status());
        if status / 100 == 1 {
            pending.due = now + self.within;
            self.pending = Some(pending);
            return Answered::Nothing;
        }
        if status != 401 {
            return Answered::Answer(pending.question);
        }
        let challenged = self.login.challenged(response.challenges().unwrap_or_default(), pending.had);
        match challenged {
            Ok(()) if pending.logins < MOST_LOGINS => {
                let logins = (Had::Fresh, pending.logins + 1);
                Answered::Again(self.send(pending.question, pending.url, logins, now))
            }
            Ok(()) => Answered::NoLogin(pending.question, NoUse::Refused),
            Err(no_use) => Answered::NoLogin(pending.question, no_use),
        }
    }

    fn send(&mut self, question: Question, url: Url, (had, logins): (Had, u8), now: Instant) -> Vec<u8> {
        self.cseq = self.cseq.wrapping_add(1);
        let method = question.method.clone();
        let answer = self.login.answer((&method).into(), url.as_str());
        let (is_sdp, is_play) = (method == Method::Describe, method == Method::Play);
        let mut ask = Ask::new(method, &url, self.cseq, AGENT);
        if let Some(id) = &self.session {
            ask = ask.session(id);
        }
        if is_sdp {
            ask = ask.accept_sdp();
            if !self.via.is_empty() {
                ask = ask.via(&self.via);
            }
        }
        if is_play {
            ask = ask.from_now();
        }
        if let Some(wish) = question.wish {
            ask = ask.transport(wish);
        }
        // A nonce that is known is answered at once.
        let had = match (&answer, had) {
            (None, _) => Had::None,
            (Some(_), Had::None) => Had::Earlier,
            (Some(_), had) => had,
        };
        if let Some(answer) = &answer {
            ask = ask.authorization(answer);
        }
        let (cseq, due) = (self.cseq, now + self.within);
        self.pending = Some(Pending { question, url, cseq, due, had, logins });
        ask.to_bytes()
    }
}

/// Whether another URL may do.
pub(super) fn is_about_the_url(status: StatusCode) -> bool {
    matches!(u16::from(status), 400 | 404 | 405 | 451 | 454..=460)
}

/// Whether other tracks may be served all the same.
pub(super) fn is_about_the_track(status: StatusCode) -> bool {
    matches!(u16::from(status), 400 | 403..=415 | 451 | 455..=460)
}
