//! What must hold for any conversation, whatever a client says and whatever happens meanwhile: led without a socket, over
//! ways that only note whether they are on.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use crate::event::clock;
use crate::wire::rtsp::framing::{self, FROM_SERVERS};
use crate::wire::rtsp::{Incoming, Method, Reply, Response, StatusCode};

use super::super::access::Good;
use super::conversation::Conversation;
use super::fake::{Fake, MOST_SESSIONS, Mood};
use super::home::Home;
use super::talk::Action;

const METHODS: [&str; 12] = [
    "SETUP",
    "PLAY",
    "PAUSE",
    "TEARDOWN",
    "SETUP",
    "PLAY",
    "OPTIONS",
    "DESCRIBE",
    "GET_PARAMETER",
    "ANNOUNCE",
    "DANCE",
    "SET_PARAMETER",
];
const TARGETS: [&str; 8] =
    ["duo/trackID=1", "duo/trackID=2", "duo", "news", "news/trackID=1", "nothing", "", "news/rtxID=1"];
const TRANSPORTS: [&str; 10] = [
    "RTP/AVP/TCP;unicast;interleaved=0-1",
    "RTP/AVP/TCP;unicast",
    "RTP/AVP;unicast;client_port=40000-40001",
    "RTP/AVP;unicast;client_port=40002-40003",
    "RTP/AVP;unicast;client_port=53-54",
    "RTP/AVP;multicast",
    "RTP/AVP/TCP;interleaved=2-2,RTP/AVP/TCP;interleaved=4-5",
    "nonsense",
    "RTP/AVPF;unicast;client_port=40006-40007",
    "RAW/RAW/UDP;unicast;client_port=40004,MP2T/H2221/UDP;client_port=40000,RTP/AVP;client_port=40004-40005",
];
const MOODS: [Mood; 5] = [Mood::Friendly, Mood::Friendly, Mood::Asking, Mood::Closed, Mood::Waiting];

/// Leads two conversations of one client's: the bytes choose what is said in which of them, in which parts it arrives, and
/// what happens beside it.
pub fn exercise(bytes: &[u8]) {
    let mut dice = bytes.iter().copied();
    let now = clock::now();
    let mut lead = Lead {
        world: Fake::new(now),
        lines: [Line::new(now), Line::new(now)],
        on: 0,
        now,
        cseq: 0,
        owed: Vec::new(),
    };
    while let Some(choice) = dice.next() {
        let mut next = || dice.next().unwrap_or(0);
        match choice % 16 {
            0..=8 => lead.ask(&mut next),
            9 => lead.world.mood = MOODS[usize::from(next()) % MOODS.len()],
            10 => lead.change_lines(next()),
            11 => lead.end_one(next()),
            12 => lead.world.is_full = !lead.world.is_full,
            13 => lead.pass(Duration::from_millis(u64::from(next()) * 100)),
            14 => lead.world.receive(next()),
            _ => lead.say_rtcp(next(), next()),
        }
        lead.check();
    }
    lead.end();
}

/// A connection, but for its socket.
struct Line {
    home: Arc<Home>,
    conversation: Conversation,
}

impl Line {
    fn new(now: Instant) -> Self {
        let home = Arc::<Home>::default();
        Self { conversation: Conversation::new(home.clone(), now), home }
    }
}

struct Lead {
    world: Fake,
    lines: [Line; 2],
    /// The one that is spoken on.
    on: usize,
    now: Instant,
    cseq: u32,
    /// Requests that are not answered.
    owed: Vec<(u32, Method)>,
}

impl Lead {
    /// Sends one request, in two parts.
    fn ask(&mut self, next: &mut impl FnMut() -> u8) {
        let of = |all: &[&'static str], die: u8| all[usize::from(die) % all.len()];
        let (method, target) = (of(&METHODS, next()), of(&TARGETS, next()));
        self.cseq += 1;
        let mut request = format!("{method} rtsp://edge/{target} RTSP/1.0\r\nCSeq: {}\r\n", self.cseq);
        if method == "SETUP" {
            request += &format!("Transport: {}\r\n", of(&TRANSPORTS, next()));
        }
        let known = self.world.sessions.all();
        match usize::from(next()) % (known.len() + 3) {
            0 => {}
            1 => request += "Session: guessed\r\n",
            which => {
                if let Some(session) = known.get(which - 2) {
                    request += &format!("Session: {}\r\n", session.id);
                }
            }
        }
        request += "\r\n";
        self.owed.push((self.cseq, Method::from(method)));
        let (before, after) = request.as_bytes().split_at(usize::from(next()) % request.len());
        self.hear(before);
        self.hear(after);
        assert!(self.owed.is_empty(), "a whole request is answered at once");
    }

    fn hear(&mut self, bytes: &[u8]) {
        self.lines[self.on].conversation.add(bytes);
        while self.lines[self.on].conversation.step(&self.world, self.now) {
            while let Some(action) = self.lines[self.on].conversation.poll() {
                self.carry_out(action);
            }
        }
        self.lines[self.on].conversation.settle(self.now);
    }

    /// The client goes on by its other connection, and may close this one for a new one.
    fn change_lines(&mut self, die: u8) {
        if die.is_multiple_of(2) {
            self.close();
        }
        self.on = 1 - self.on;
    }

    /// Closes a connection. What goes by it ends with it.
    fn close(&mut self) {
        let mut line = mem::replace(&mut self.lines[self.on], Line::new(self.now));
        line.home.close(self.now);
        for session in line.conversation.end() {
            if !session.leave(&line.home, self.now) {
                self.world.sessions.end(&session, "connection closed", self.now);
            }
        }
        assert!(line.home.is_empty());
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Reply { reply, status, .. } => self.answered(reply, status),
            Action::Start { session, plan, agent } => {
                session.play(&plan, agent.as_deref(), self.now);
                assert!(self.world.has_ended(&session) || session.is_playing());
            }
            // Nothing is kept in this world.
            Action::StartPast { session, agent } => session.play_past(agent.as_deref(), self.now),
            Action::ChangeOver(session) => session.change_over(self.now),
            Action::Pause(session) => {
                session.pause(self.now);
                assert!(session.is_paused());
            }
            Action::TearDown(session, track) => {
                session.tear_down(track);
                assert!(session.granted(track).is_none() && session.tracks() > 0);
            }
            Action::End(session, reason) => {
                self.world.sessions.end(&session, reason, self.now);
                assert!(self.world.has_ended(&session));
            }
            Action::Watch(session) => assert!(self.world.sessions.find(&session.id).is_some()),
            Action::Refused(_) | Action::HangUp(_) => {}
        }
    }

    /// Each request has one reply, in order, which a client can read.
    fn answered(&mut self, reply: Reply, status: StatusCode) {
        let bytes = reply.to_bytes();
        let (cseq, _) = self.owed.remove(0);
        let read = framing::next(&bytes, &FROM_SERVERS);
        assert!(matches!(read, Ok(Some((Incoming::Response, length))) if length == bytes.len()), "{read:?}");
        let response = Response::parse(&bytes).expect("a response");
        assert_eq!((response.cseq(), response.status()), (Some(cseq), status));
        let refused = match self.world.mood {
            Mood::Friendly => return,
            Mood::Asking => StatusCode::Unauthorized,
            Mood::Closed => StatusCode::Forbidden,
            Mood::Waiting => StatusCode::ServiceUnavailable,
        };
        assert_eq!(status, refused, "whatever it asks for");
    }

    /// Another thread ends a session.
    fn end_one(&mut self, which: u8) {
        let all = self.world.sessions.all();
        if let Some(session) = all.get(usize::from(which) % all.len().max(1)) {
            self.world.sessions.end(session, "timeout", self.now);
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        let (minute, ten) = (Duration::from_secs(60), Duration::from_secs(10));
        for Line { conversation, .. } in &mut self.lines {
            conversation.lives_by_sessions(self.now);
            assert!(conversation.time_is_up(ten, minute).0 <= self.now + minute);
        }
    }

    fn say_rtcp(&mut self, channel: u8, ssrc: u8) {
        let goodbye = [0x81, 203, 0, 1, 0, 0, 0, ssrc];
        self.hear(&[&[b'$', channel % 6, 0, 8][..], &goodbye].concat());
    }

    fn check(&self) {
        let sessions = self.world.sessions.all();
        assert!(sessions.len() <= MOST_SESSIONS);
        let plays = sessions.iter().filter(|session| session.is_playing()).count();
        let on = self.world.on.load(Relaxed);
        assert!((plays..=2 * plays).contains(&on), "{on} ways are on for {plays} sessions that play");
        assert_eq!(self.world.held(Good::Sessions), sessions.len() as u64);
    }

    fn end(mut self) {
        for on in [0, 1] {
            self.on = on;
            self.close();
        }
        for session in self.world.sessions.all() {
            assert!(session.home().is_none() && !session.is_bound(), "it goes by no connection");
            self.world.sessions.end(&session, "not back", self.now);
        }
        assert_eq!(self.world.on.load(Relaxed), 0, "nobody is sent anything any more");
        let held = [Good::Sessions, Good::Egress].map(|good| self.world.held(good));
        assert_eq!(held, [0, 0], "what was given is given back");
        assert!(self.world.taken.lock().is_ok_and(|taken| taken.is_empty()), "and so are ports");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_conversation_keeps_its_order_and_gives_all_back(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            exercise(&bytes);
        }
    }

    #[test]
    fn seeds_replay() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/conversation");
        let seeds: Vec<_> = std::fs::read_dir(folder).expect("a folder of seeds").collect();
        assert!(!seeds.is_empty());
        for seed in seeds {
            exercise(&std::fs::read(seed.expect("readable").path()).expect("a seed"));
        }
    }
}
