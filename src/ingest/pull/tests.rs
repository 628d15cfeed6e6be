//! Conversations with a server that says what a test has it say.

use std::time::{Duration, Instant};

use super::action::{Action, End, Way};
use super::conversation::Conversation;
use super::failure::Failure;
use super::silence::SilenceLimit;
use crate::event::clock;
use crate::wire::rtsp::authorization::{Credentials, parse};
use crate::wire::rtsp::digest::{Ha1, challenges};
use crate::wire::rtsp::framing::{self, FROM_CLIENTS};
use crate::wire::rtsp::{
    Answers, Incoming, Login, Method, NoUse, Reply, Request, StatusCode, Url, Wish, interleaved_header,
};

const SECOND: Duration = Duration::from_secs(1);
const WITHIN: Duration = Duration::from_secs(5);
const SDP: &str = "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=x\r\nt=0 0\r\na=control:*\r\n\
                   m=video 0 RTP/AVP 33\r\na=control:trackID=1\r\nm=audio 0 RTP/AVP 8\r\na=control:trackID=2\r\n";
const PACKET: [u8; 12] = [0x80, 33, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7];

/// A conversation, and what came of it.
struct Lead {
    conversation: Conversation,
    now: Instant,
    asked: Vec<Request>,
    replied: Vec<String>,
    frames: Vec<(usize, bool)>,
    ways: Vec<(usize, Way)>,
    is_playing: bool,
    end: Option<End>,
    /// Whether it is set up once it is described.
    wishes: fn(u8) -> Wish,
}

impl Lead {
    fn begin(url: &str, login: Option<(&str, &str)>) -> Self {
        let now = clock::now();
        let login = login.map(|(user, password)| Login { user: user.into(), password: password.into() });
        let url = Url::parse(url).expect("a URL");
        let answers = Answers::new(login, "abcd".into());
        let mut lead = Self {
            conversation: Conversation::new(&url, answers, (WITHIN, SilenceLimit::default()), now),
            now,
            asked: Vec::new(),
            replied: Vec::new(),
            frames: Vec::new(),
            ways: Vec::new(),
            is_playing: false,
            end: None,
            wishes: |track| Wish::Interleaved(2 * track, 2 * track + 1),
        };
        lead.carry_out();
        lead
    }

    fn carry_out(&mut self) {
        let mut described = 0;
        loop {
            while let Some(action) = self.conversation.poll(self.now) {
                assert!(self.end.is_none(), "after the end there is nothing");
                match action {
                    Action::Write(bytes) if bytes.starts_with(b"RTSP/") => {
                        self.replied.push(String::from_utf8(bytes).expect("text"));
                    }
                    Action::Write(bytes) => match framing::next(&bytes, &FROM_CLIENTS) {
                        Ok(Some((Incoming::Request(request), _))) => self.asked.push(request),
                        other => panic!("{other:?}"),
                    },
                    Action::Frame { track, is_rtcp, .. } => self.frames.push((track, is_rtcp)),
                    Action::Described(presentation) => described = presentation.tracks.len(),
                    Action::Granted(track, way) => self.ways.push((track, way)),
                    Action::TrackRefused(..) => {}
                    Action::Playing => self.is_playing = true,
                    Action::Over(end) => self.end = Some(end),
                }
            }
            if described == 0 {
                return;
            }
            let wishes = (0..described as u8).map(self.wishes).collect();
            self.conversation.set_up(wishes, self.now);
            described = 0;
        }
    }

    fn hear(&mut self, bytes: &[u8]) {
        self.conversation.hear(bytes, self.now);
        self.carry_out();
    }

    fn last(&self) -> &Request {
        self.asked.last().expect("something was asked")
    }

    fn method(&self) -> Method {
        self.last().method.clone()
    }

    /// The server answers what was asked last.
    fn answer(&mut self, status: u16, fill: impl FnOnce(Reply) -> Reply) {
        let reply = fill(Reply::new(StatusCode::from(status), Some(self.last().cseq)));
        self.hear(&reply.to_bytes());
    }

    fn ok(&mut self) {
        self.answer(200, |reply| reply);
    }

    /// Up to what is asked after the description.
    fn describe(&mut self, base: Option<&str>, sdp: &str) {
        assert_eq!(self.method(), Method::Options);
        self.ok();
        assert_eq!(self.method(), Method::Describe);
        let length = sdp.len().to_string();
        let cseq = self.last().cseq;
        let base = base.map_or_else(String::new, |base| format!("Content-Base: {base}\r\n"));
        self.hear(
            format!("RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\n{base}Content-Length: {length}\r\n\r\n{sdp}")
                .as_bytes(),
        );
    }

    /// A sign of life is asked for, perhaps.
    fn answer_if_asked(&mut self) {
        if self.end.is_none() && self.method() != Method::Play {
            self.ok();
        }
    }

    fn grant(&mut self, session: &str, transport: &str) {
        assert_eq!(self.method(), Method::Setup);
        self.answer(200, |reply| reply.header("Session", session).transport(transport));
    }

    /// One that plays, by a session with these parameters.
    fn playing(session: &str) -> Self {
        let mut lead = Self::begin("rtsp://edge/news", Some(("anna", "sesame")));
        lead.describe(Some("rtsp://edge/news/"), SDP);
        lead.grant(session, "RTP/AVP/TCP;unicast;interleaved=0-1");
        lead.grant(session, "RTP/AVP/TCP;unicast;interleaved=2-3");
        assert_eq!((lead.method(), lead.last().uri.as_str()), (Method::Play, "rtsp://edge/news/"));
        lead.ok();
        assert!(lead.is_playing);
        lead
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.conversation.pass(self.now);
        self.carry_out();
    }

    /// Waits until it asks by itself, while media comes; returns for how long that was.
    fn wait_for_a_question(&mut self) -> Duration {
        let (began, asked) = (self.now, self.asked.len());
        while self.asked.len() == asked {
            self.hear(&frame(0));
            self.pass(Duration::from_millis(500));
            assert!(self.now < began + 100 * SECOND, "nothing is asked");
        }
        self.now - began
    }

    fn failure(&self) -> Failure {
        match &self.end {
            Some(End::Failed(failure)) => failure.clone(),
            other => panic!("{other:?}"),
        }
    }
}

fn frame(channel: u8) -> Vec<u8> {
    [&interleaved_header(channel, PACKET.len() as u16)[..], &PACKET].concat()
}

#[test]
fn from_the_description_to_the_end() {
    let mut lead = Lead::playing("c0ffee;timeout=60");
    let uris: Vec<_> = lead.asked.iter().map(|request| request.uri.as_str()).collect();
    assert_eq!(
        uris[..4],
        ["rtsp://edge/news", "rtsp://edge/news", "rtsp://edge/news/trackID=1", "rtsp://edge/news/trackID=2"]
    );
    assert_eq!((lead.asked[2].session(), lead.asked[3].session()), (None, Some("c0ffee")));
    assert_eq!(lead.asked[3].header("Transport"), Some("RTP/AVP/TCP;unicast;interleaved=2-3"));
    [0, 1, 2, 4, 3].iter().for_each(|channel| lead.hear(&frame(*channel)));
    assert_eq!(lead.frames, [(0, false), (0, true), (1, false), (1, true)]);
    assert_eq!(lead.conversation.take_strays().frames, 1);
    assert_eq!(lead.conversation.framed(1, b"rr").as_deref(), Some(&b"$\x03\x00\x02rr"[..]));
    lead.conversation.leave(lead.now);
    lead.carry_out();
    assert_eq!((lead.method(), lead.last().session()), (Method::Teardown, Some("c0ffee")));
    lead.ok();
    assert_eq!((lead.end.clone(), lead.conversation.due()), (Some(End::Left), None));
}

#[test]
fn who_leaves_waits_for_no_answer_for_long() {
    let mut lead = Lead::playing("c0ffee");
    lead.conversation.leave(lead.now);
    lead.carry_out();
    lead.pass(2 * SECOND);
    assert_eq!(lead.end, Some(End::Left));
    let mut lead = Lead::begin("rtsp://edge/news", None);
    lead.conversation.leave(lead.now);
    lead.carry_out();
    assert_eq!(lead.end, Some(End::Left), "there is no session to end");
}

#[test]
fn over_udp_the_servers_ports_are_told() {
    let mut lead = Lead::begin("rtsp://edge/news", None);
    lead.wishes = |track| Wish::Udp(5000 + 2 * u16::from(track), 5001 + 2 * u16::from(track));
    lead.describe(None, SDP);
    lead.grant("1", "RTP/AVP;unicast;client_port=5000-5001;server_port=6970-6971");
    lead.grant("1", "RTP/AVP;unicast;client_port=5002-5003");
    assert_eq!(lead.ways, [(0, Way::Udp(Some((6970, 6971)))), (1, Way::Udp(None))]);
    assert_eq!(lead.asked[3].header("Transport"), Some("RTP/AVP;unicast;client_port=5002-5003"));
    assert_eq!(lead.conversation.framed(0, b"rr"), None);
}

#[test]
fn other_channels_than_asked_for_are_used() {
    let mut lead = Lead::begin("rtsp://edge/news", None);
    lead.describe(None, SDP);
    lead.grant("1", "RTP/AVP/TCP;unicast;interleaved=8-9");
    lead.answer(200, |reply| reply.header("Session", "1"));
    assert_eq!(lead.ways, [(0, Way::Channels(8, 9)), (1, Way::Channels(2, 3))], "who names none took ours");
    lead.hear(&[frame(8), frame(0), frame(3)].concat());
    assert_eq!(lead.frames, [(0, false), (1, true)]);
}

#[test]
fn another_transport_than_asked_for_is_a_failure() {
    let mut lead = Lead::begin("rtsp://edge/news", None);
    lead.describe(None, SDP);
    lead.grant("1", "RTP/AVP;unicast;server_port=6970-6971");
    assert_eq!(lead.failure().reason(), "unreadable");
}

#[test]
fn a_track_that_is_refused_costs_no_other() {
    let mut lead = Lead::begin("rtsp://edge/news", None);
    lead.describe(None, SDP);
    lead.answer(404, |reply| reply);
    lead.grant("1", "RTP/AVP/TCP;unicast;interleaved=2-3");
    lead.ok();
    assert!(lead.is_playing);
    let mut lead = Lead::begin("rtsp://edge/news", None);
    lead.describe(None, SDP);
    lead.answer(404, |reply| reply);
    lead.answer(404, |reply| reply);
    assert_eq!(lead.failure(), Failure::Refused(Method::Setup, StatusCode::NotFound, None));
    let mut lead = Lead::begin("rtsp://edge/news", None);
    lead.describe(None, SDP);
    lead.answer(461, |reply| reply);
    assert_eq!(lead.failure().reason(), "refused", "and the transport is all tracks'");
}

#[test]
fn behind_a_query_or_before_it_a_track_is_found() {
    let mut lead = Lead::begin("rtsp://192.0.2.1/cam?ch=1", None);
    lead.describe(None, "v=0\r\nm=video 0 RTP/AVP 33\r\na=control:trackID=1\r\n");
    assert_eq!(lead.last().uri, "rtsp://192.0.2.1/cam?ch=1/trackID=1");
    lead.answer(404, |reply| reply);
    assert_eq!(lead.last().uri, "rtsp://192.0.2.1/cam/trackID=1?ch=1");
    lead.grant("1", "RTP/AVP/TCP;unicast;interleaved=0-1");
    assert_eq!(lead.last().uri, "rtsp://192.0.2.1/cam?ch=1");
}

#[test]
fn whatever_host_a_description_names_the_connections_is_asked() {
    let axis = "v=0\r\na=control:rtsp://10.0.0.9/axis/media.amp?sw=true\r\n\
                m=video 0 RTP/AVP 96\r\na=control:rtsp://10.0.0.9/axis/media.amp/stream=0?sw=true\r\n";
    for base in [Some("rtsp://10.0.0.9/axis/media.amp/"), None] {
        let mut lead = Lead::begin("rtsp://192.0.2.1/axis/media.amp?sw=true", None);
        lead.describe(base, axis);
        assert_eq!(lead.last().uri, "rtsp://192.0.2.1/axis/media.amp/stream=0?sw=true");
        lead.grant("1", "RTP/AVP/TCP;unicast;interleaved=0-1");
        assert_eq!(lead.last().uri, "rtsp://192.0.2.1/axis/media.amp?sw=true");
    }
    let mut lead = Lead::begin("rtsp://192.0.2.1/live", None);
    lead.describe(Some("rtsp://camera.local/live"), "v=0\r\nm=video 0 RTP/AVP 96\r\n");
    assert_eq!(lead.last().uri, "rtsp://192.0.2.1/live", "without a control the whole is asked for");
}

#[test]
fn the_strongest_challenge_is_answered_and_the_login_comes_along_from_then_on() {
    let ha1 = Ha1::of("anna", "Mirrorball", "sesame");
    let is_right = |request: &Request| match request.header("Authorization").map(parse) {
        Some(Ok(Credentials::Digest(answer))) => answer.is_right(&ha1, (&request.method).into()),
        _ => false,
    };
    let mut lead = Lead::begin("rtsp://edge/news", Some(("anna", "sesame")));
    assert_eq!(lead.last().header("Authorization"), None, "unasked it is not given");
    lead.answer(401, |reply| reply.challenges(challenges("Mirrorball", "n1", false, true)));
    assert_eq!(lead.method(), Method::Options);
    lead.describe(None, SDP);
    lead.grant("1;timeout=10", "RTP/AVP/TCP;unicast;interleaved=0-1");
    assert!(lead.asked[1..].iter().all(is_right), "{:?}", lead.asked);
}

#[test]
fn a_nonce_that_has_expired_stops_nothing() {
    for stale in [true, false] {
        let mut lead = Lead::playing("c0ffee;timeout=10");
        for nonce in ["n1", "n2", "n3"] {
            lead.wait_for_a_question();
            assert_eq!(lead.method(), Method::GetParameter);
            lead.answer(401, |reply| reply.challenges(challenges("R", nonce, stale, false)));
            assert_eq!(lead.method(), Method::GetParameter, "again, with the new one");
            assert!(lead.last().header("Authorization").is_some_and(|answer| answer.contains(nonce)));
            lead.ok();
            assert_eq!(lead.method(), Method::Options);
            lead.ok();
        }
        lead.conversation.leave(lead.now);
        lead.carry_out();
        assert!(lead.last().header("Authorization").is_some());
        assert_eq!(lead.end, None);
    }
}

#[test]
fn a_login_is_tried_once_a_nonce_and_no_more() {
    let mut lead = Lead::begin("rtsp://edge/news", Some(("anna", "wrong")));
    lead.answer(401, |reply| reply.challenges(challenges("R", "n1", false, false)));
    lead.answer(401, |reply| reply.challenges(challenges("R", "n2", false, false)));
    assert_eq!(lead.failure(), Failure::Login(NoUse::Refused));
    let mut lead = Lead::begin("rtsp://edge/news", Some(("anna", "sesame")));
    for nonce in ["n1", "n2", "n3", "n4"] {
        lead.answer(401, |reply| reply.challenges(challenges("R", nonce, true, false)));
    }
    assert_eq!(lead.failure(), Failure::Login(NoUse::Refused), "a server that always has it stale");
    assert_eq!(lead.asked.len(), 4);
    let mut lead = Lead::begin("rtsp://edge/news", None);
    lead.answer(401, |reply| reply.challenges(challenges("R", "n1", false, false)));
    assert_eq!(lead.method(), Method::Describe, "OPTIONS may want a login where nothing else does");
    lead.answer(401, |reply| reply.challenges(challenges("R", "n1", false, false)));
    assert_eq!(lead.failure(), Failure::Login(NoUse::NoLogin));
    let mut lead = Lead::begin("rtsp://edge/news", Some(("anna", "sesame")));
    lead.answer(401, |reply| reply.header("WWW-Authenticate", "Negotiate"));
    assert_eq!(lead.failure(), Failure::Login(NoUse::NotUnderstood));
}

#[test]
fn a_server_that_has_wanted_a_hash_does_not_get_the_password() {
    let mut lead = Lead::begin("rtsp://edge/news", Some(("anna", "sesame")));
    assert!(!lead.conversation.wants_hash());
    lead.answer(401, |reply| reply.challenges(challenges("R", "n1", false, false)));
    lead.ok();
    lead.answer(401, |reply| reply.header("WWW-Authenticate", "Basic realm=\"R\""));
    assert_eq!((lead.failure(), lead.conversation.wants_hash()), (Failure::Login(NoUse::InClear), true));
    let given = lead.asked.iter().filter_map(|request| request.header("Authorization"));
    assert!(given.clone().count() == 2 && given.clone().all(|given| given.starts_with("Digest ")));
}

#[test]
fn a_session_is_shown_life_twice_in_the_time_it_lives() {
    for (session, at_most_s) in [("1;timeout=10", 5), ("1", 30), ("1;timeout=2", 1), ("1;timeout=0", 30)] {
        let mut lead = Lead::playing(session);
        for _ in 0..2 {
            let waited = lead.wait_for_a_question();
            assert!(
                waited <= at_most_s * SECOND && waited >= at_most_s * SECOND / 2,
                "{session}: {waited:?}"
            );
            lead.ok();
            lead.ok();
        }
        assert_eq!(lead.asked.len(), 9, "two requests each time");
    }
}

#[test]
fn a_request_that_is_refused_is_replaced_by_another_one() {
    for status in [400, 405, 501, 551] {
        let mut lead = Lead::playing("1;timeout=10");
        lead.wait_for_a_question();
        for method in [Method::GetParameter, Method::Options] {
            assert_eq!(lead.method(), method);
            lead.answer(status, |reply| reply);
        }
        assert_eq!(lead.method(), Method::SetParameter, "at once");
        lead.ok();
        lead.wait_for_a_question();
        assert_eq!(lead.method(), Method::SetParameter);
        lead.answer(status, |reply| reply);
        for _ in 0..3 {
            let waited = lead.wait_for_a_question();
            assert_eq!((lead.method(), waited), (Method::Options, 5 * SECOND), "there is nothing else");
            lead.answer(status, |reply| reply);
        }
        assert_eq!(lead.end, None);
    }
    let mut lead = Lead::playing("1;timeout=10");
    lead.wait_for_a_question();
    lead.answer(454, |reply| reply);
    assert_eq!(lead.failure().reason(), "refused", "the session is gone");
}

#[test]
fn a_request_that_is_never_answered_is_left_out_while_media_comes() {
    let mut lead = Lead::playing("1;timeout=10");
    for _ in 0..3 {
        lead.wait_for_a_question();
        assert_eq!(lead.method(), Method::GetParameter, "once is not never");
        lead.wait_for_a_question();
        assert_eq!((lead.method(), &lead.end), (Method::Options, &None));
        lead.ok();
    }
    lead.wait_for_a_question();
    assert_eq!(lead.method(), Method::Options, "alone from now on");
}

#[test]
fn a_server_that_has_gone_without_a_word_is_noticed() {
    let mut lead = Lead::playing("1");
    let began = lead.now;
    while lead.end.is_none() {
        lead.pass(Duration::from_millis(100));
    }
    assert_eq!(lead.failure(), Failure::Silence(Method::GetParameter));
    assert!(lead.now - began < 10 * SECOND);
    let mut lead = Lead::playing("1");
    for _ in 0..9 {
        lead.pass(SECOND);
        lead.answer_if_asked();
    }
    assert_eq!(lead.end, None, "and one whose source is silent says that it is there");
}

#[test]
fn a_session_that_plays_and_brings_no_media_is_ended() {
    for media_for_s in [0, 100] {
        let mut lead = Lead::playing("1;timeout=10");
        for _ in 0..media_for_s {
            lead.hear(&frame(0));
            lead.pass(SECOND);
            lead.answer_if_asked();
        }
        let began = lead.now;
        while lead.end.is_none() {
            lead.hear(&frame(1)); // which is RTCP
            lead.pass(SECOND / 2);
            lead.answer_if_asked();
        }
        let waited = lead.now - began;
        assert!(waited <= 10 * SECOND && waited > 8 * SECOND, "{waited:?}");
        assert_eq!(lead.failure(), Failure::NoMedia(10 * SECOND));
        assert_eq!((lead.method(), lead.last().session()), (Method::Teardown, Some("1")), "it is told so");
        assert_eq!(lead.conversation.has_media(), media_for_s > 0);
    }
}

#[test]
fn media_that_comes_another_way_is_media() {
    let mut lead = Lead::playing("1");
    for _ in 0..100 {
        lead.conversation.media(lead.now);
        lead.pass(SECOND);
        lead.answer_if_asked();
    }
    assert_eq!(lead.end, None);
}

#[test]
fn what_is_not_answered_in_time_fails() {
    for answers in 0..5 {
        let mut lead = Lead::begin("rtsp://edge/news", None);
        if answers > 0 {
            lead.ok();
        }
        if answers > 1 {
            lead.answer(200, |reply| reply.description("rtsp://edge/news/", SDP));
        }
        (2..answers).for_each(|_| lead.grant("1", "RTP/AVP/TCP;unicast;interleaved=0-1"));
        let method = lead.method();
        lead.pass(WITHIN - Duration::from_millis(1));
        assert_eq!(lead.end, None);
        lead.answer(100, |reply| reply);
        lead.pass(WITHIN - Duration::from_millis(1));
        assert_eq!(lead.end, None, "100 asks for patience");
        lead.pass(Duration::from_millis(1));
        assert_eq!(lead.failure(), Failure::Silence(method));
    }
}

#[test]
fn an_answer_to_an_earlier_request_means_nothing_and_one_without_number_is_the_last_ones() {
    let mut lead = Lead::begin("rtsp://edge/news", None);
    lead.hear(b"RTSP/1.0 200 OK\r\nCSeq: 77\r\n\r\n");
    assert_eq!(lead.method(), Method::Options);
    lead.hear(b"RTSP/1.0 200 OK\r\n\r\n");
    assert_eq!(lead.method(), Method::Describe);
}

#[test]
fn a_server_that_knows_no_options_is_asked_on() {
    let mut lead = Lead::begin("rtsp://edge/news", None);
    lead.answer(501, |reply| reply);
    assert_eq!(lead.method(), Method::Describe);
}

#[test]
fn a_redirect_is_told() {
    for status in [301, 302, 303, 307] {
        let mut lead = Lead::begin("rtsp://edge/news", None);
        lead.ok();
        lead.answer(status, |reply| reply.header("Location", "rtsp://other/news"));
        assert_eq!(lead.end, Some(End::Redirected("rtsp://other/news".into())));
    }
    let mut lead = Lead::begin("rtsp://edge/news", None);
    lead.describe(None, SDP);
    lead.answer(302, |reply| reply.header("Location", "rtsp://other/news"));
    assert!(matches!(lead.end, Some(End::Redirected(_))), "at SETUP too");
    let mut lead = Lead::begin("rtsp://edge/news", None);
    lead.ok();
    lead.answer(302, |reply| reply);
    assert_eq!(lead.failure().reason(), "refused", "without saying where");
}

#[test]
fn a_refusal_is_told_with_the_time_that_the_server_wants() {
    let mut lead = Lead::begin("rtsp://edge/news", None);
    lead.ok();
    lead.answer(503, |reply| reply.header("Retry-After", "7"));
    let status = StatusCode::ServiceUnavailable;
    assert_eq!(lead.failure(), Failure::Refused(Method::Describe, status, Some(7 * SECOND)));
}

#[test]
fn what_is_no_description_is_told() {
    for (sdp, what) in [("<html>", "no session description"), ("v=0\r\ns=x\r\n", "no RTP")] {
        let mut lead = Lead::begin("rtsp://edge/news", None);
        lead.describe(None, sdp);
        assert!(lead.failure().to_string().contains(what), "{}", lead.failure());
    }
}

#[test]
fn a_server_that_asks_is_answered() {
    let mut lead = Lead::playing("1");
    for (request, answer) in [
        ("OPTIONS * RTSP/1.0\r\nCSeq: 5\r\n\r\n", "RTSP/1.0 200 OK\r\nCSeq: 5\r\n"),
        ("GET_PARAMETER rtsp://us/ RTSP/1.0\r\nCSeq: 6\r\n\r\n", "RTSP/1.0 200 "),
        ("SET_PARAMETER rtsp://us/ RTSP/1.0\r\nCSeq: 7\r\nContent-Length: 3\r\n\r\na:b", "RTSP/1.0 200 "),
        ("ANNOUNCE rtsp://us/ RTSP/1.0\r\nCSeq: 8\r\n\r\n", "RTSP/1.0 200 "),
        ("SETUP rtsp://us/ RTSP/1.0\r\nCSeq: 9\r\n\r\n", "RTSP/1.0 501 "),
        ("OPTIONS * RTSP/1.0\r\n\r\n", "RTSP/1.0 400 "),
    ] {
        lead.hear(request.as_bytes());
        let replied = lead.replied.pop().expect("a reply");
        assert!(replied.starts_with(answer), "{request}: {replied}");
    }
    let announce = |sdp: &str| {
        format!("ANNOUNCE rtsp://us/ RTSP/1.0\r\nCSeq: 8\r\nContent-Length: {}\r\n\r\n{sdp}", sdp.len())
    };
    lead.hear(announce(SDP).as_bytes());
    assert_eq!(lead.end, None, "the same tracks");
    lead.hear(announce("v=0\r\nm=video 0 RTP/AVP 96\r\n").as_bytes());
    assert_eq!(lead.failure(), Failure::Changed);
}

#[test]
fn a_server_may_end_the_session_or_lead_elsewhere() {
    let mut lead = Lead::playing("1");
    lead.hear(b"TEARDOWN rtsp://us/ RTSP/1.0\r\nCSeq: 1\r\n\r\n");
    assert_eq!((lead.failure(), lead.replied.len()), (Failure::Ended, 1));
    let mut lead = Lead::playing("1");
    lead.hear(b"REDIRECT rtsp://us/ RTSP/1.0\r\nCSeq: 1\r\nLocation: rtsp://other/\r\n\r\n");
    assert_eq!(lead.end, Some(End::Redirected("rtsp://other/".into())));
    assert_eq!((lead.method(), lead.last().session()), (Method::Teardown, Some("1")));
}

#[test]
fn what_goes_wrong_is_kept_at_no_server() {
    let mut lead = Lead::playing("1");
    let other = "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=x\r\nt=0 0\r\nm=audio 0 RTP/AVP 8\r\n";
    let length = other.len();
    lead.hear(
        format!("ANNOUNCE rtsp://us/ RTSP/1.0\r\nCSeq: 1\r\nContent-Length: {length}\r\n\r\n{other}")
            .as_bytes(),
    );
    assert_eq!((lead.failure(), lead.method()), (Failure::Changed, Method::Teardown));
    let mut lead = Lead::playing("1");
    lead.hear(b"TEARDOWN rtsp://us/ RTSP/1.0\r\nCSeq: 1\r\n\r\n");
    assert_ne!(lead.method(), Method::Teardown, "the server knows");
}

#[test]
fn a_description_is_asked_for_in_the_name_of_who_wants_it() {
    let mut lead = Lead::begin("rtsp://edge/news", None);
    lead.conversation.comes_by("RTSP/1.0 a, RTSP/1.0 b".into());
    lead.ok();
    assert_eq!(
        (lead.method(), lead.last().header("Via")),
        (Method::Describe, Some("RTSP/1.0 a, RTSP/1.0 b"))
    );
}

#[test]
fn rubbish_between_frames_is_counted_and_passed_over() {
    let mut lead = Lead::playing("1");
    lead.hear(&[&frame(0)[..], b"\0\0\0\0", &frame(2)].concat());
    assert_eq!(lead.frames, [(0, false), (1, false)]);
    assert_eq!(lead.conversation.take_strays().rubbish_bytes, 4);
    lead.hear(&vec![0; 70_000]);
    assert_eq!(lead.failure().reason(), "unreadable", "up to a bound");
    lead.hear(&frame(0));
    assert_eq!(lead.frames.len(), 2, "then it is over");
}
