//! One subscriber's conversation with the server: what to ask, and what an answer means. Pure: bytes out,
//! responses in; time is the caller's.
//!
//! ```text
//!  describe ─▶ Described ─▶ set_up ─▶ Granted ─▶ set_up … ─▶ play ─▶ Playing ─▶ keep_alive … ─▶ tear_down ─▶ Over
//! ```

use std::time::Duration;

use crate::wire::rtsp::{Ask, Base, Granted, Method, Response, StatusCode, Url, Wish};
use crate::wire::sdp;

use super::{Course, Failure, Tracks};

const AGENT: &str = concat!("Mirrorball-probe/", env!("CARGO_PKG_VERSION"));

/// One track that can be set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Its URI.
    pub control: Url,
    /// The clock rate in Hz of its first payload type, if it is known.
    pub clock_rate: Option<u32>,
}

/// What an answer means.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// These are the tracks to set up, at least one.
    Described(Vec<Offer>),
    /// A track is set up: go on with the next, or play.
    Granted(Granted),
    /// It plays; whether the server says that there are packets, and what of the stream it says that it plays.
    Playing { flows: bool, said: Option<String> },
    /// It is paused.
    Paused,
    /// The session is over.
    Over,
    /// Nothing that changes anything.
    Nothing,
}

/// The state of the conversation.
pub struct Dialogue {
    url: Url,
    /// The URI of the whole stream, once it is described.
    aggregate: Url,
    cseq: u32,
    /// What was asked last, whose answer is still to come.
    asked: Option<Method>,
    session: Option<String>,
    timeout: Duration,
    /// Servers without GET_PARAMETER are kept alive with OPTIONS.
    keep_alive: Method,
    course: Course,
}

impl Dialogue {
    /// A conversation that has not begun.
    pub fn new(url: &Url, course: &Course) -> Self {
        Self {
            url: url.clone(),
            aggregate: url.clone(),
            cseq: 0,
            asked: None,
            session: None,
            timeout: Duration::from_secs(60),
            keep_alive: Method::GetParameter,
            course: course.clone(),
        }
    }

    /// Asks what there is.
    pub fn describe(&mut self) -> Vec<u8> {
        let url = self.url.clone();
        self.ask(Method::Describe, &url).accept_sdp().to_bytes()
    }

    /// Asks for a track.
    pub fn set_up(&mut self, offer: &Offer, wish: Wish) -> Vec<u8> {
        self.ask(Method::Setup, &offer.control).transport(wish).to_bytes()
    }

    /// Asks for media.
    pub fn play(&mut self) -> Vec<u8> {
        let (aggregate, Course { range, scale, speed, .. }) = (self.aggregate.clone(), self.course.clone());
        let ask = self.ask(Method::Play, &aggregate);
        let ask = match range {
            Some(range) => ask.range(&range),
            None => ask.from_now(),
        };
        let ask = scale.iter().fold(ask, |ask, scale| ask.scale(scale));
        speed.iter().fold(ask, |ask, speed| ask.speed(speed)).to_bytes()
    }

    /// Asks that it is paused.
    pub fn pause(&mut self) -> Vec<u8> {
        let aggregate = self.aggregate.clone();
        self.ask(Method::Pause, &aggregate).to_bytes()
    }

    /// Asks that it goes on where it was paused.
    pub fn resume(&mut self) -> Vec<u8> {
        let aggregate = self.aggregate.clone();
        self.ask(Method::Play, &aggregate).to_bytes()
    }

    /// A sign of life, unless an answer is being waited for anyway.
    pub fn keep_alive(&mut self) -> Option<Vec<u8>> {
        let (method, aggregate) = (self.keep_alive.clone(), self.aggregate.clone());
        self.asked.is_none().then(|| self.ask(method, &aggregate).to_bytes())
    }

    /// Ends the session. None if there is none.
    pub fn tear_down(&mut self) -> Option<Vec<u8>> {
        let aggregate = self.aggregate.clone();
        self.session.is_some().then(|| self.ask(Method::Teardown, &aggregate).to_bytes())
    }

    /// What is being waited for.
    pub fn asked(&self) -> Option<&Method> {
        self.asked.as_ref()
    }

    /// How often a sign of life is due: twice in the time a session lives without one.
    pub fn keep_alive_interval(&self) -> Duration {
        self.timeout / 2
    }

    /// Takes in a response. One to an earlier request means nothing.
    pub fn answer(&mut self, response: &Response, tracks: Tracks) -> Result<Outcome, Failure> {
        if response.cseq().is_some_and(|cseq| cseq != self.cseq) {
            return Ok(Outcome::Nothing);
        }
        let Some(method) = self.asked.take() else { return Ok(Outcome::Nothing) };
        if u16::from(response.status()) / 100 == 1 {
            self.asked = Some(method); // the final answer is still to come
            return Ok(Outcome::Nothing);
        }
        match method {
            Method::Teardown => return Ok(Outcome::Over),
            Method::GetParameter | Method::Options => return self.kept_alive(method, response.status()),
            _ => accepted(&method, response)?,
        }
        match method {
            Method::Describe => self.described(response, tracks),
            Method::Setup => self.granted(response),
            Method::Pause => Ok(Outcome::Paused),
            _ => Ok(Outcome::Playing { flows: response.names_a_packet(), said: said(response) }),
        }
    }

    fn described(&mut self, response: &Response, tracks: Tracks) -> Result<Outcome, Failure> {
        let base = Base::new(&self.url, response.content_base());
        let offered = sdp::offered(response.body()).map_err(Failure::Description)?;
        let lead = |control: &Option<String>| {
            let url = base.leads(control.as_deref()).into_iter().next();
            url.ok_or_else(|| unusable(control.as_deref().unwrap_or_default()))
        };
        self.aggregate = lead(&offered.aggregate)?;
        let all = offered.controls.iter().zip(&offered.presentation.tracks);
        let asked = all.take(if tracks == Tracks::First { 1 } else { usize::MAX });
        let offers =
            asked.map(|(control, track)| Ok(Offer { control: lead(control)?, clock_rate: track.clock_rate }));
        Ok(Outcome::Described(offers.collect::<Result<_, _>>()?))
    }

    fn granted(&mut self, response: &Response) -> Result<Outcome, Failure> {
        let (id, timeout_s) = response.session().ok_or(Failure::Answer(Method::Setup, "names no session"))?;
        self.session = Some(id.to_owned());
        self.timeout = Duration::from_secs(timeout_s.into());
        let granted =
            response.granted().ok_or(Failure::Answer(Method::Setup, "has no transport that can be read"))?;
        Ok(Outcome::Granted(granted))
    }

    /// A server that does not know the request knows the session all the same; only 454 says that it is gone.
    fn kept_alive(&mut self, method: Method, status: StatusCode) -> Result<Outcome, Failure> {
        match status {
            StatusCode::SessionNotFound => Err(Failure::Refused(method, status)),
            StatusCode::MethodNotAllowed | StatusCode::NotImplemented => {
                self.keep_alive = Method::Options;
                Ok(Outcome::Nothing)
            }
            _ => Ok(Outcome::Nothing),
        }
    }

    fn ask(&mut self, method: Method, uri: &Url) -> Ask {
        self.cseq = self.cseq.wrapping_add(1);
        let ask = Ask::new(method.clone(), uri, self.cseq, AGENT);
        self.asked = Some(method);
        match &self.session {
            Some(id) => ask.session(id),
            None => ask,
        }
    }
}

fn accepted(method: &Method, response: &Response) -> Result<(), Failure> {
    let status = response.status();
    match (u16::from(status) / 100, response.location()) {
        (2, _) => Ok(()),
        (3, Some(location)) => Err(Failure::Elsewhere(method.clone(), status, brief(location))),
        _ => Err(Failure::Refused(method.clone(), status)),
    }
}

/// What an answer to PLAY says that is played.
fn said(response: &Response) -> Option<String> {
    let words = ["", "scale ", "speed "].iter().zip(response.played());
    let said: Vec<_> = words.filter_map(|(word, said)| Some(format!("{word}{}", brief(said?)))).collect();
    (!said.is_empty()).then(|| said.join(", "))
}

fn unusable(control: &str) -> Failure {
    Failure::Description(format!("its control \"{}\" is no URL", brief(control)))
}

/// Of a server's text, as much as a line of the report holds.
fn brief(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(120).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::rtsp::{Incoming, Reply, Request, framing};

    const SDP: &str = "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=x\r\nt=0 0\r\na=control:*\r\n\
                       m=video 0 RTP/AVP 33\r\na=control:trackID=1\r\nm=audio 0 RTP/AVP 8\r\na=control:trackID=2\r\n";
    const UDP: &str = "RTP/AVP;unicast;client_port=5000-5001;server_port=6970-6971";

    struct Talk(Dialogue);

    impl Talk {
        fn begin() -> Self {
            Self(Dialogue::new(&Url::parse("rtsp://edge/news").expect("a URL"), &Course::default()))
        }

        /// What the server makes of our bytes.
        fn heard(bytes: &[u8]) -> Request {
            match framing::next(bytes, &framing::FROM_CLIENTS) {
                Ok(Some((Incoming::Request(request), _))) => request,
                other => panic!("{other:?}"),
            }
        }

        fn answer(&mut self, reply: Reply) -> Result<Outcome, Failure> {
            self.0.answer(&Response::parse(&reply.to_bytes()).expect("a response"), Tracks::All)
        }

        fn playing(timeout_s: u32) -> Self {
            let mut talk = Self::begin();
            talk.0.describe();
            let described = talk.answer(ok(1).description("rtsp://edge/news/", SDP)).expect("described");
            let Outcome::Described(offers) = described else { panic!("{described:?}") };
            for (cseq, offer) in (2..).zip(&offers) {
                talk.0.set_up(offer, Wish::Udp(5000, 5001));
                talk.answer(ok(cseq).session("c0ffee", timeout_s).transport(UDP)).expect("granted");
            }
            talk.0.play();
            assert_eq!(talk.answer(ok(4)), Ok(Outcome::Playing { flows: false, said: None }));
            talk
        }
    }

    fn ok(cseq: u32) -> Reply {
        Reply::new(StatusCode::Ok, Some(cseq))
    }

    #[test]
    fn from_the_description_to_playing() {
        let mut talk = Talk::begin();
        assert_eq!(Talk::heard(&talk.0.describe()).uri, "rtsp://edge/news");
        let described = talk.answer(ok(1).description("rtsp://edge/news/", SDP)).expect("described");
        let Outcome::Described(offers) = described else { panic!("{described:?}") };
        let asked = Talk::heard(&talk.0.set_up(&offers[0], Wish::Interleaved(0, 1)));
        assert_eq!((asked.uri.as_str(), asked.session()), ("rtsp://edge/news/trackID=1", None));
        let granted = talk.answer(ok(2).session("c0ffee", 60).transport("RTP/AVP/TCP;interleaved=4-5"));
        assert!(matches!(granted, Ok(Outcome::Granted(_))), "{granted:?}");
        let asked = Talk::heard(&talk.0.set_up(&offers[1], Wish::Udp(5000, 5001)));
        assert_eq!((asked.uri.as_str(), asked.session()), ("rtsp://edge/news/trackID=2", Some("c0ffee")));
        assert_eq!(asked.header("Transport"), Some("RTP/AVP;unicast;client_port=5000-5001"));
        talk.answer(ok(3).session("c0ffee", 60).transport(UDP)).expect("granted");
        assert_eq!(Talk::heard(&talk.0.play()).uri, "rtsp://edge/news/", "the whole stream, by one request");
        assert_eq!(talk.answer(ok(4)), Ok(Outcome::Playing { flows: false, said: None }));
        assert_eq!(Talk::heard(&talk.0.tear_down().expect("a session")).method, Method::Teardown);
        assert_eq!(talk.answer(ok(5)), Ok(Outcome::Over));
    }

    #[test]
    fn what_is_asked_for_of_it_is_asked_for_and_what_is_played_is_read() {
        let mut talk = Talk::playing(60);
        talk.0.course =
            Course { range: Some("npt=12-".to_owned()), scale: Some("4".to_owned()), ..Course::default() };
        let asked = Talk::heard(&talk.0.play());
        let told = ["Range", "Scale", "Speed"].map(|name| asked.header(name));
        assert_eq!(told, [Some("npt=12-"), Some("4"), None]);
        let reply = ok(5).range("npt=10.5-60").header("Scale", "4");
        let said = Some("npt=10.5-60, scale 4".to_owned());
        assert_eq!(talk.answer(reply), Ok(Outcome::Playing { flows: false, said }));
        assert_eq!(Talk::heard(&talk.0.pause()).method, Method::Pause);
        assert_eq!(talk.answer(ok(6)), Ok(Outcome::Paused));
        assert_eq!(Talk::heard(&talk.0.resume()).header("Range"), None, "from where it was");
    }

    #[test]
    fn the_first_track_alone_if_so_wished() {
        let mut dialogue = Dialogue::new(&Url::parse("rtsp://edge/news").expect("a URL"), &Course::default());
        dialogue.describe();
        let reply = ok(1).description("rtsp://edge/news/", SDP).to_bytes();
        let outcome = dialogue.answer(&Response::parse(&reply).expect("a response"), Tracks::First);
        assert!(matches!(outcome, Ok(Outcome::Described(offers)) if offers.len() == 1));
    }

    #[test]
    fn a_session_is_kept_alive_twice_in_its_timeout_by_what_the_server_knows() {
        let mut talk = Talk::playing(30);
        assert_eq!(talk.0.keep_alive_interval(), Duration::from_secs(15));
        assert_eq!(Talk::heard(&talk.0.keep_alive().expect("due")).method, Method::GetParameter);
        assert_eq!(talk.0.keep_alive(), None, "not before the last one is answered");
        let answer = talk.answer(Reply::new(StatusCode::NotImplemented, Some(5)));
        assert_eq!(answer, Ok(Outcome::Nothing));
        assert_eq!(Talk::heard(&talk.0.keep_alive().expect("due")).method, Method::Options);
        let gone = talk.answer(Reply::new(StatusCode::SessionNotFound, Some(6)));
        assert_eq!(gone, Err(Failure::Refused(Method::Options, StatusCode::SessionNotFound)));
    }

    #[test]
    fn refusals_name_the_request_and_what_cannot_be_used() {
        let fail = |reply: Reply| {
            let mut talk = Talk::begin();
            talk.0.describe();
            talk.answer(reply).expect_err("refused").to_string()
        };
        assert!(fail(Reply::new(StatusCode::NotFound, Some(1))).starts_with("DESCRIBE was answered 404"));
        let moved = Reply::new(StatusCode::Found, Some(1)).header("Location", "rtsp://b/");
        assert!(fail(moved).ends_with("probe rtsp://b/ instead"));
        assert!(fail(ok(1).description("rtsp://edge/news/", "v=0\r\ns=x\r\n")).contains("it offers no RTP"));
    }

    #[test]
    fn an_answer_to_an_earlier_request_means_nothing() {
        let mut talk = Talk::playing(60);
        talk.0.keep_alive();
        talk.0.tear_down();
        assert_eq!(talk.answer(ok(5)), Ok(Outcome::Nothing));
        assert_eq!(talk.answer(Reply::new(StatusCode::SessionNotFound, Some(6))), Ok(Outcome::Over));
    }
}
