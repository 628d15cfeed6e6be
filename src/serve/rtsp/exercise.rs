//! What must hold for any conversation, whatever a client says and whatever happens meanwhile: led without a socket, over
//! ways that only note whether they are on.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use crate::event::{TaskQueue, Timers, clock, lock};
use crate::relay::rig::{ROOMY, by_hand, outward, packet, stopped};
use crate::relay::{Catalogue, Channel, Coalesce, Dispatch, Place, Track};
use crate::wire::rtsp::framing::{self, FROM_SERVERS};
use crate::wire::rtsp::{Incoming, Method, Reply, Response, StatusCode};
use crate::wire::sdp;

use super::super::access::{Account, Addresses, Good, PerAddress};
use super::super::journal::{Story, Teller};
use super::super::media::{Grant, Heirs, Way};
use super::super::stats::{Counters, RefusedFor};
use super::super::stream::Room;
use super::conversation::{Action, Conversation};
use super::session::Session;
use super::sessions::Sessions;
use super::setup::Costs;
use super::world::{Wanted, World};

const DUO: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=duo\r\nc=IN IP4 239.77.60.1/8\r\nt=0 0\r\n\
    m=video 5004 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\nm=audio 5006 RTP/AVP 0\r\n";

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
const TARGETS: [&str; 7] = ["duo/trackID=1", "duo/trackID=2", "duo", "news", "news/trackID=1", "nothing", ""];
const TRANSPORTS: [&str; 9] = [
    "RTP/AVP/TCP;unicast;interleaved=0-1",
    "RTP/AVP/TCP;unicast",
    "RTP/AVP;unicast;client_port=40000-40001",
    "RTP/AVP;unicast;client_port=40002-40003",
    "RTP/AVP;unicast;client_port=53-54",
    "RTP/AVP;multicast",
    "RTP/AVP/TCP;interleaved=2-2,RTP/AVP/TCP;interleaved=4-5",
    "nonsense",
    "RAW/RAW/UDP;unicast;client_port=40004,MP2T/H2221/UDP;client_port=40000,RTP/AVP;client_port=40004-40005",
];
const MOST_SESSIONS: usize = 3;

/// Leads one conversation: the bytes choose what is said, in which parts it arrives, and what happens beside it.
pub fn exercise(bytes: &[u8]) {
    let mut dice = bytes.iter().copied();
    let now = clock::now();
    let mut lead =
        Lead { world: Fake::new(now), conversation: Conversation::new(now), now, cseq: 0, owed: Vec::new() };
    while let Some(choice) = dice.next() {
        let mut next = || dice.next().unwrap_or(0);
        match choice % 16 {
            0..=10 => lead.ask(&mut next),
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

struct Lead {
    world: Fake,
    conversation: Conversation,
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
        self.conversation.add(bytes);
        while self.conversation.step(&self.world, self.now) {
            while let Some(action) = self.conversation.poll() {
                self.carry_out(action);
            }
        }
        self.conversation.settle(self.now);
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Reply { reply, status, .. } => self.answered(reply, status),
            Action::Start { session, plan, agent } => {
                session.play(&plan, agent.as_deref(), self.now);
                assert!(session.has_ended() || session.is_playing());
            }
            Action::ChangeOver(session) => session.change_over(),
            Action::Pause(session) => {
                session.pause();
                assert!(session.is_paused());
            }
            Action::TearDown(session, track) => {
                session.tear_down(track);
                assert!(session.granted(track).is_none() && session.tracks() > 0);
            }
            Action::End(session, reason) => {
                self.world.sessions.end(&session, reason, self.now);
                assert!(session.has_ended());
            }
            Action::Watch(session) => assert!(self.world.sessions.find(&session.id).is_some()),
            Action::Refused(_) | Action::HangUp => {}
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
        self.conversation.lives_by_sessions(self.now);
        let (minute, ten) = (Duration::from_secs(60), Duration::from_secs(10));
        assert!(self.conversation.time_is_up(ten, minute).0 <= self.now + minute);
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
        for session in self.conversation.end() {
            self.world.sessions.end(&session, "connection closed", self.now);
        }
        assert_eq!(self.world.sessions.len(), 0, "a session ends with the connection that it was set up by");
        assert_eq!(self.world.on.load(Relaxed), 0, "nobody is sent anything any more");
        let held = [Good::Sessions, Good::Egress].map(|good| self.world.held(good));
        assert_eq!(held, [0, 0], "what was given is given back");
        assert!(self.world.taken.lock().is_ok_and(|taken| taken.is_empty()), "and so are ports");
    }
}

/// A world of memory.
struct Fake {
    peer: SocketAddr,
    catalogue: Catalogue,
    sessions: Sessions,
    account: Arc<Account>,
    _addresses: Arc<Addresses>,
    counters: Arc<Counters>,
    teller: Arc<Teller>,
    room: Room,
    /// Nobody new is welcome.
    is_full: bool,
    begun: AtomicUsize,
    /// Ways that are on.
    on: Arc<AtomicUsize>,
    /// Clients' places that are in use.
    taken: Arc<Mutex<Vec<SocketAddr>>>,
}

impl Fake {
    fn new(now: Instant) -> Self {
        /// Queues that have stopped, for what only ever asks to be run.
        struct Stopped(Dispatch, Arc<TaskQueue>, Arc<Timers>);
        static STOPPED: OnceLock<Stopped> = OnceLock::new();
        let Stopped(dispatch, queue, timers) = STOPPED.get_or_init(|| {
            let (queue, timers) = stopped();
            Stopped(by_hand(), queue, timers)
        });
        let channel = |name: &str, presentation| {
            Channel::new(
                &outward(name),
                presentation,
                Duration::from_secs(2),
                ROOMY,
                Coalesce::Auto,
                dispatch,
                now,
            )
        };
        let peer = SocketAddr::from(([192, 0, 2, 9], 50_000));
        let per_address = PerAddress { connections: 9, sessions: 9, unread_bytes: 1 << 20, egress: 1 << 20 };
        let (addresses, counters) = (Addresses::new(per_address), Arc::<Counters>::default());
        let news = sdp::mpegts("news", [239, 77, 60, 2].into(), 5004, None);
        Self {
            peer,
            catalogue: Catalogue::new([
                channel("news", news),
                channel("duo", sdp::parse(DUO.as_bytes()).expect("a description")),
            ]),
            sessions: Sessions::new(MOST_SESSIONS, counters.clone()),
            account: addresses.account(peer.ip()),
            _addresses: addresses,
            counters,
            teller: Teller::new(queue.clone(), timers.clone()),
            room: Room::default(),
            is_full: false,
            begun: AtomicUsize::new(0),
            on: Arc::default(),
            taken: Arc::default(),
        }
    }

    /// A packet comes for one of the channels.
    fn receive(&self, number: u8) {
        let name = if number.is_multiple_of(2) { "news" } else { "duo" };
        let channel = self.catalogue.find(name).expect("it is there");
        channel.tracks[0].rtp.push([packet(number.into(), 10)]);
    }

    fn held(&self, good: Good) -> u64 {
        self.account.held(good)
    }
}

impl World for Fake {
    fn peer(&self) -> SocketAddr {
        self.peer
    }

    fn local(&self) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], 554))
    }

    fn channel(&self, name: &str) -> Option<Arc<Channel>> {
        self.catalogue.find(name).cloned()
    }

    fn out_group(&self, channel: &Channel) -> Option<(SocketAddr, u8)> {
        (channel.name == "news").then_some((SocketAddr::from(([239, 2, 2, 2], 5000)), 1))
    }

    fn session(&self, id: &str) -> Option<Arc<Session>> {
        self.sessions.find(id)
    }

    fn welcome(&self, _: Instant) -> Result<(), RefusedFor> {
        if self.is_full { Err(RefusedFor::Late) } else { Ok(()) }
    }

    fn begin(&self, channel: Arc<Channel>, now: Instant) -> Result<Arc<Session>, RefusedFor> {
        let id = format!("session-{}", self.begun.fetch_add(1, Relaxed));
        let place = self.account.take(Good::Sessions, 1).ok_or(RefusedFor::Address)?;
        let story = Story::new(&self.teller, self.peer, channel.clone());
        let session = Arc::new(Session::new(id, channel, (self.peer.ip(), None), (place, story), now));
        if self.sessions.add(&session) { Ok(session) } else { Err(RefusedFor::Limit) }
    }

    fn costs(&self, _: &Session, _: &Track, url: &str) -> Result<Costs, RefusedFor> {
        let memory = self.room.for_setup(url.len()).ok_or(RefusedFor::Connection)?;
        Ok(Costs { egress: self.account.take(Good::Egress, 0).ok_or(RefusedFor::Egress)?, memory })
    }

    fn way(
        &self,
        _: &Arc<Session>,
        _: &Track,
        wanted: Wanted,
        _: Instant,
    ) -> Result<Box<dyn Way>, RefusedFor> {
        let local = self.local();
        let (grant, place) = match wanted {
            Wanted::Interleaved { channels } => (Grant::Interleaved { channels }, None),
            Wanted::Udp { client } => (Grant::Udp { local, client, server: (6970, 6971) }, Some(client.0)),
            Wanted::Multicast => {
                (Grant::Multicast { group: [239, 2, 2, 2].into(), ports: (5000, 5001), ttl: 1 }, None)
            }
            Wanted::Raw { client } => (Grant::Raw { local, client, server: 6970 }, Some(client)),
        };
        let mut taken = lock(&self.taken);
        if place.is_some_and(|place| taken.contains(&place)) {
            return Err(RefusedFor::Limit);
        }
        taken.extend(place);
        Ok(Box::new(Noted { grant, place, is_on: false, on: self.on.clone(), taken: self.taken.clone() }))
    }

    fn timeout_seconds(&self) -> u32 {
        60
    }

    fn counters(&self) -> &Counters {
        &self.counters
    }
}

/// A way that notes whether it is on.
struct Noted {
    grant: Grant,
    /// The client's place that it takes.
    place: Option<SocketAddr>,
    is_on: bool,
    on: Arc<AtomicUsize>,
    taken: Arc<Mutex<Vec<SocketAddr>>>,
}

impl Way for Noted {
    fn grant(&self) -> Grant {
        self.grant
    }

    fn start(&mut self, _: &Track, _: (Place, Place), _: &Arc<Story>) {
        assert!(!self.is_on, "started twice");
        self.is_on = true;
        self.on.fetch_add(1, Relaxed);
    }

    fn stop(&mut self, _: Option<&Heirs>) {
        assert!(self.is_on, "stopped and not on");
        self.is_on = false;
        self.on.fetch_sub(1, Relaxed);
    }

    fn say(&self, _: &[u8]) {}
}

impl Drop for Noted {
    fn drop(&mut self) {
        assert!(!self.is_on || std::thread::panicking(), "let go while it is on");
        lock(&self.taken).retain(|place| Some(*place) != self.place);
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
